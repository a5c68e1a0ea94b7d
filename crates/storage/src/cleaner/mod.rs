//! Log compaction: of all records with the same key, a compacted log keeps the newest.
//!
//! A log is clean up to some offset and dirty behind it. Compaction walks over the dirty part and notes where
//! each key was seen last (`keys`, `offset_map`); then over all of it, and copies what is still the newest
//! of its key (`filter`) into new segments, which are swapped in (`clean`). Which log, and how far, is
//! arithmetic (`plan`). Offsets never change. Who reads the log from its begin sees the last value of every
//! key, and tombstones for `delete.retention.ms` after they were seen first (KIP-534); aborted transactions
//! go, and with the last record of a transaction its marker (`transactions`).
//!
//! The policy is pure. Files are touched by `clean` and by those parts of the log named `cleaning`.

mod checkpoints;
mod clean;
mod config;
#[cfg(test)]
mod crash_test;
mod error;
mod filter;
mod keys;
mod log_cleaner;
mod manager;
mod offset_map;
mod plan;
mod state;
mod stats;
#[cfg(test)]
mod testing;
mod throttle;
mod transactions;

pub(crate) use checkpoints::CleanerCheckpoints;
pub use config::{CleanerConfig, InvalidCleanerConfig};
pub(crate) use error::CleanError;
pub(crate) use filter::LastRecord;
pub use log_cleaner::{LogCleaner, ReconfigureError};
pub(crate) use manager::LogCleanerManager;
pub use stats::{CleanerMetrics, CleanerStats, PreCleanStats};

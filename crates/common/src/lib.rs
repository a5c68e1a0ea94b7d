//! The words everybody speaks: ids, error codes, time.
//!
//! Nothing here does IO; [`time::SystemTime`] is the one door to the wall clock.

pub mod config;
pub mod error;
pub mod internal_topics;
pub mod time;
mod topic_partition;
mod transferable;
mod uuid;

pub use error::ErrorCode;
pub use topic_partition::TopicPartition;
pub use transferable::{TransferSource, TransferableRecords};
pub use uuid::{ParseUuidError, Uuid};

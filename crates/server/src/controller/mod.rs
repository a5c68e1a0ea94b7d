//! The shell around the controller kernel: one task that takes events in order.
//!
//! - [`QuorumControllerHandle`]: what request handlers call. Clones speak to the same controller.
//! - `task`: the event loop. It decides, appends to the metadata log, replays, and parks the answer until the
//!   records are committed.
//! - [`MetadataQuorum`]: what it needs of the metadata log, which is the raft client's handle.
//! - [`raft_link`]: ties the two together.

mod handle;
mod quorum;
mod task;
#[cfg(test)]
mod task_test;

pub use handle::{QuorumControllerHandle, SharedImage};
pub use quorum::{MetadataEvent, MetadataQuorum};
pub use task::{ControllerTask, QuorumControllerOptions};

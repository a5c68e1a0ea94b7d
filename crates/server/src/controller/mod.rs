//! The shell around the controller kernel: one task that takes events in order.
//!
//! - [`QuorumControllerHandle`]: what request handlers call. Clones speak to the same controller.
//! - `task`: the event loop. It decides, appends to the metadata log, replays, and parks the answer until the
//!   records are committed.
//! - [`MetadataQuorum`]: what it needs of the metadata log, which is the raft client's handle.
//! - [`ControllerListener`]: ties the two together. Make the task, register the listener, run the task.

mod handle;
mod quorum;
mod raft_link;
mod registration;
mod task;
#[cfg(test)]
mod task_test;

pub use handle::{QuorumControllerHandle, SharedImage};
pub use quorum::{MetadataEvent, MetadataQuorum};
pub use raft_link::ControllerListener;
pub use registration::{controller_registration, register_controller};
pub use task::{ControllerTask, QuorumControllerOptions};

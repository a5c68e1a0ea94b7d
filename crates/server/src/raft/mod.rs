//! The shell around the KRaft kernel: its thread, its files and the handle others hold.
//!
//! - [`RaftClient`]: the handle. [`RaftListener`]: who is told what is committed and who leads.
//! - `driver`: the one thread that feeds the kernel (`ottla_raft`) and does what it asks for.
//! - `metadata_log`: `__cluster_metadata-0` on a `UnifiedLog`, with its snapshots.
//! - `quorum_state_store`: the file `quorum-state`.

mod client;
mod driver;
mod listener;
mod listeners;
mod metadata_log;
mod quorum_state_store;
mod shared;
mod snapshot;

pub use client::{CreateSnapshotError, RaftClient, RaftConfig, RaftStartError};
pub use listener::{CommittedBatch, RaftListener};
pub use metadata_log::MetadataLogError;
pub use ottla_raft::{
    AppendError, Endpoint, Endpoints, LeaderAndEpoch, OffsetAndEpoch, ReplicaKey, VoterNode, VoterSet,
};
pub use quorum_state_store::QuorumStateError;
pub use snapshot::{SnapshotError, SnapshotReader, SnapshotWriter};

#[cfg(test)]
mod raft_test;

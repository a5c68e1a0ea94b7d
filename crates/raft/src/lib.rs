//! The KRaft consensus kernel.
//!
//! [`KafkaRaftClient`] is a machine without hands: [`RaftInput`]s and the time go in, [`RaftAction`]s come out,
//! and `poll_timeout` tells when it wants to be asked again. It reads no clock and no file and draws no
//! random number but from its seed, so a simulator can replay every interleaving of a quorum.
//!
//! What is agreed on is a log ([`LogView`] is what the kernel knows of it) with snapshots ([`snapshot`]).
//! Control records in it ([`control`]) say who leads, who votes and by which version of the protocol
//! ([`PartitionState`]). KIP-595 is the protocol, KIP-630 the snapshots, KIP-853 the voters in the log and
//! KIP-996 the vote before the vote.

pub mod control;
pub mod epoch_state;
pub mod snapshot;

mod accumulator;
mod client;
mod election_state;
mod ids;
mod log_view;
mod partition_state;
mod quorum_state;
mod voter_set;

pub use accumulator::{AppendError, BatchAccumulator, CompletedBatch, MAX_BATCH_SIZE_BYTES};
pub use client::{
    CLUSTER_METADATA_TOPIC, KafkaRaftClient, KernelConfig, Node, RaftAction, RaftInput, RaftRequest,
    RaftResponse,
};
pub use election_state::ElectionState;
pub use ids::{LeaderAndEpoch, OffsetAndEpoch, ReplicaKey};
pub use log_view::{LogView, ValidOffsetAndEpoch};
pub use partition_state::PartitionState;
pub use quorum_state::{InitializeError, MAX_KRAFT_VERSION, QuorumConfig, QuorumState};
pub use voter_set::{Endpoint, Endpoints, VoterNode, VoterSet};

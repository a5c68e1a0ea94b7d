//! What a transactional producer is doing, and what it asks its coordinators.

use std::collections::BTreeMap;

use bytestring::ByteString;
use ottla_common::TopicPartition;

use super::severity::StepKind;
use crate::ClientError;
use crate::admin::OffsetAndMetadata;
use crate::consumer::ConsumerGroupMetadata;
use crate::producer::accumulator::Producer;

/// What a transactional producer is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Nothing: `init_transactions` was not called.
    Uninitialized,
    /// Getting its id, or a higher epoch.
    Initializing,
    /// Between transactions.
    Ready,
    /// Within one.
    InTransaction,
    /// Ending it.
    Committing,
    /// Ending it.
    Aborting,
    /// Only an abort helps.
    AbortableError,
    /// Nothing helps.
    FatalError,
}

/// A call that ends with the coordinator's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Init,
    Commit,
    Abort,
}

impl Operation {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Init => "init_transactions",
            Self::Commit => "commit_transaction",
            Self::Abort => "abort_transaction",
        }
    }
}

/// What the cluster finalized, as of some epoch of its features.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Features {
    pub(crate) epoch: i64,
    /// `transaction.version`.
    pub(crate) transaction_version: i16,
    /// Whether InitProducerId can raise the epoch of a producer (KIP-360).
    pub(crate) bumps_epoch: bool,
}

impl Features {
    pub(super) const UNKNOWN: Self = Self { epoch: -1, transaction_version: 0, bumps_epoch: false };
}

/// What to ask a coordinator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// For an id, or for a higher epoch of the one there is.
    InitProducerId { bump: Option<Producer> },
    /// To make partitions part of the transaction (before KIP-890).
    AddPartitions { producer: Producer, partitions: Vec<TopicPartition> },
    /// To make a group's offsets part of the transaction (before KIP-890).
    AddOffsets { producer: Producer, ticket: u64, group_id: ByteString },
    /// To hold offsets for the transaction. The group's coordinator is asked.
    CommitOffsets {
        producer: Producer,
        ticket: u64,
        group: ConsumerGroupMetadata,
        offsets: BTreeMap<TopicPartition, OffsetAndMetadata>,
        /// Whether the group adds itself to the transaction (KIP-890).
        v2: bool,
    },
    /// To end it.
    End { producer: Producer, committed: bool, v2: bool },
}

impl Step {
    pub(crate) fn kind(&self) -> StepKind {
        match self {
            Self::InitProducerId { .. } => StepKind::InitProducerId,
            Self::AddPartitions { .. } => StepKind::AddPartitions,
            Self::AddOffsets { .. } => StepKind::AddOffsets,
            Self::CommitOffsets { .. } => StepKind::CommitOffsets,
            Self::End { committed: true, .. } => StepKind::Commit,
            Self::End { committed: false, .. } => StepKind::Abort,
        }
    }
}

/// What is to become of batches that are not sent yet.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// They are sent.
    Send,
    /// Those that never were sent are given up.
    DropUnsent(ClientError),
    /// All are given up.
    DropAll(ClientError),
}

use std::fmt;

use bytes::Bytes;
use ottla_common::ErrorCode;
use ottla_coordinator::runtime::{AppendLinger, CoordinatorResult, CoordinatorShard};
use ottla_record::Compression;
use thiserror::Error;

/// What a shard of this kind decided.
pub type ResultOf<K> = CoordinatorResult<(), <K as CoordinatorKind>::Shard>;

/// What is particular about one kind of coordinator.
pub trait CoordinatorKind: fmt::Debug + Send + Sync + 'static {
    /// The state machine of one partition.
    type Shard: CoordinatorShard<
            Record: Send,
            Change: Send,
            Reply: Send,
            Effect: Send,
            Continuation: Send,
            TimerKey: Send,
            TimerEvent: Send,
        > + Send
        + 'static;

    /// The coordinator's topic.
    const TOPIC: &'static str;

    /// A shard that has read nothing of the log, and knows the cluster as it is now.
    fn new_shard(&self, leader_epoch: i32) -> Self::Shard;

    /// Reads a record of the log.
    fn decode(
        key: Bytes,
        value: Option<Bytes>,
    ) -> Result<<Self::Shard as CoordinatorShard>::Record, Undecodable>;

    /// How batches are compressed.
    fn compression(&self) -> Compression;

    /// How long records wait for others to share their batch with.
    fn append_linger(&self) -> AppendLinger;

    /// Patience with the commit of an append.
    fn write_timeout_ms(&self) -> i64;

    /// What a client is told when an append ends in this.
    fn append_error(error: ErrorCode) -> ErrorCode;

    /// The shard serves from now on. What it should have heard of the cluster while it was loading is decided here.
    fn catch_up(&self, shard: &Self::Shard) -> Option<ResultOf<Self>>
    where
        Self: Sized;

    /// Does something outside of the shard. Must not wait.
    fn run(&self, source: Source, effect: <Self::Shard as CoordinatorShard>::Effect);

    /// The shard of a partition is no more.
    fn on_unloaded(&self, _source: Source) {}
}

/// A partition of the coordinator's topic, in the epoch that this broker leads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source {
    /// Its index.
    pub partition: i32,
    /// The epoch.
    pub leader_epoch: i32,
}

/// Why a record of the log cannot be read.
#[derive(Debug, Error)]
pub enum Undecodable {
    /// A kind of record that this release does not know. Kafka skips such records, and so do we.
    #[error("unknown record type {0}")]
    UnknownType(i16),
    /// Anything else: skipping it would lose state.
    #[error("{0}")]
    Broken(String),
}

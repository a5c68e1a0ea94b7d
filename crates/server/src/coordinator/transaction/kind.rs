use std::sync::Arc;
use std::sync::atomic::{AtomicI16, Ordering};

use bytes::Bytes;
use ottla_common::ErrorCode;
use ottla_common::internal_topics::TRANSACTION_STATE_TOPIC;
use ottla_coordinator::runtime::AppendLinger;
use ottla_coordinator::transaction::{
    TransactionConfig, TransactionCoordinatorShard, TransactionDecision, TransactionEffect,
    TransactionRecord, TransactionRecordError, TransactionVersion, append_error,
};
use ottla_record::Compression;
use tokio::sync::mpsc;

use super::markers::MarkerNews;
use crate::coordinator::runtime::{CoordinatorKind, Source, Undecodable};

/// What is particular about transaction coordinators, and where what they want done goes.
#[derive(Debug)]
pub struct TransactionCoordinators {
    config: Arc<TransactionConfig>,
    /// The newest `transaction.version`. Shards that load begin with it, the others are told.
    version: AtomicI16,
    markers: mpsc::UnboundedSender<MarkerNews>,
    /// Shards that want producer ids: each at most one wish at a time.
    wishes: mpsc::UnboundedSender<Source>,
}

impl TransactionCoordinators {
    pub(super) fn new(
        config: Arc<TransactionConfig>,
        markers: mpsc::UnboundedSender<MarkerNews>,
        wishes: mpsc::UnboundedSender<Source>,
    ) -> Self {
        let version = AtomicI16::new(TransactionVersion::default().feature_level());
        Self { config, version, markers, wishes }
    }

    /// The newest `transaction.version`.
    pub(super) fn version(&self) -> TransactionVersion {
        let level = self.version.load(Ordering::Acquire);
        TransactionVersion::from_feature_level(level).unwrap_or(TransactionVersion::LATEST)
    }

    /// Whether that is news.
    pub(super) fn set_version(&self, version: TransactionVersion) -> bool {
        let level = version.feature_level();
        self.version.swap(level, Ordering::AcqRel) != level
    }
}

impl CoordinatorKind for TransactionCoordinators {
    type Shard = TransactionCoordinatorShard;

    const TOPIC: &'static str = TRANSACTION_STATE_TOPIC;

    fn new_shard(&self, leader_epoch: i32) -> TransactionCoordinatorShard {
        TransactionCoordinatorShard::new(Arc::clone(&self.config), leader_epoch, self.version())
    }

    fn decode(key: Bytes, value: Option<Bytes>) -> Result<TransactionRecord, Undecodable> {
        TransactionRecord::decode(key, value).map_err(|error| match error {
            TransactionRecordError::UnknownType(kind) => Undecodable::UnknownType(kind),
            // A newer release wrote it; skipped like a kind that is not known.
            TransactionRecordError::UnknownValueVersion(version) => Undecodable::UnknownType(version),
            error => Undecodable::Broken(error.to_string()),
        })
    }

    /// As in Kafka, where nothing can be set.
    fn compression(&self) -> Compression {
        Compression::NONE
    }

    fn append_linger(&self) -> AppendLinger {
        AppendLinger::Adaptive
    }

    fn write_timeout_ms(&self) -> i64 {
        i64::from(self.config.request_timeout_ms)
    }

    fn append_error(error: ErrorCode) -> ErrorCode {
        append_error(error)
    }

    fn catch_up(&self, shard: &TransactionCoordinatorShard) -> Option<TransactionDecision<()>> {
        Some(shard.change_transaction_version(self.version()))
    }

    /// A task that is gone needs no news: the broker stops.
    fn run(&self, source: Source, effect: TransactionEffect) {
        match effect {
            TransactionEffect::SendMarkers(markers) => {
                let _ = self.markers.send(MarkerNews::Send(source, markers));
            }
            TransactionEffect::RequestProducerIds => {
                let _ = self.wishes.send(source);
            }
        }
    }

    fn on_unloaded(&self, source: Source) {
        let _ = self.markers.send(MarkerNews::Unloaded(source));
    }
}

//! Partitions of one broker on a disk of their own, and batches to put into them.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use ottla_common::time::MockTime;
use ottla_common::{TopicPartition, Uuid};
use ottla_metadata::PartitionRegistration;
use ottla_record::{Compression, MemoryRecords, SimpleRecord};
use ottla_storage::fs::OsFileSystem;
use ottla_storage::{LogConfig, LogManager, LogManagerParams, ProducerStateManagerConfig, VerificationGuard};

use crate::{LocalPartition, LogConfigSource, Partition, ReplicaManager};

pub(crate) const NODE: i32 = 1;
pub(crate) const NOW: i64 = 1_790_000_000_000;

const TOPIC_ID: Uuid = Uuid::from_u128(9);

#[derive(Debug)]
struct Defaults(LogConfig);

impl LogConfigSource for Defaults {
    fn log_config(&self, _: &str) -> LogConfig {
        self.0.clone()
    }
}

pub(crate) struct Bench {
    pub(crate) replicas: Arc<ReplicaManager>,
    _dir: tempfile::TempDir,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with_config(LogConfig::default())
    }

    pub(crate) fn with_config(config: LogConfig) -> Self {
        Self::with(config, ProducerStateManagerConfig::default())
    }

    /// Records of a transaction need no proof.
    pub(crate) fn trusting(config: LogConfig) -> Self {
        let transaction_verification_enabled = false;
        Self::with(
            config,
            ProducerStateManagerConfig { transaction_verification_enabled, ..Default::default() },
        )
    }

    fn with(config: LogConfig, producer_state: ProducerStateManagerConfig) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let logs = logs(dir.path(), &config, producer_state);
        Self { replicas: Arc::new(ReplicaManager::new(NODE, logs, Arc::new(Defaults(config)))), _dir: dir }
    }

    /// Two replicas, of which these are in sync.
    pub(crate) fn lead(&self, index: i32, leader: i32, leader_epoch: i32, isr: &[i32]) {
        let registration = PartitionRegistration {
            replicas: [NODE, 2][..].into(),
            directories: [Uuid::MIGRATING_DIR; 2].into(),
            isr: isr.into(),
            leader,
            leader_epoch,
            ..Default::default()
        };
        let local =
            LocalPartition { tp: tp(index), topic_id: TOPIC_ID, registration: Arc::new(registration) };
        self.replicas.apply(&local).unwrap();
    }

    pub(crate) fn partition(&self, index: i32) -> Arc<Partition> {
        self.replicas.partition(&tp(index)).unwrap()
    }

    /// Appends a record; answers its offset.
    pub(crate) fn append(&self, index: i32) -> i64 {
        let (acks, guard) = (1, VerificationGuard::SENTINEL);
        self.replicas.append(&tp(index), TOPIC_ID, batch(), acks, false, guard).unwrap().last_offset
    }
}

fn logs(dir: &Path, config: &LogConfig, producer_state: ProducerStateManagerConfig) -> Arc<LogManager> {
    LogManager::open(LogManagerParams {
        fs: Arc::new(OsFileSystem),
        time: Arc::new(MockTime::new(NOW)),
        log_dirs: vec![dir.to_path_buf()],
        default_config: Arc::new(config.clone()),
        recovery_threads_per_data_dir: 1,
        producer_state,
    })
    .unwrap()
}

pub(crate) fn tp(index: i32) -> TopicPartition {
    TopicPartition::new("avisos", index)
}

fn record() -> SimpleRecord {
    SimpleRecord::of_value(NOW, vec![b'a'; 100])
}

/// One record.
pub(crate) fn batch() -> Bytes {
    MemoryRecords::with_records(Compression::NONE, &[record()]).unwrap().into_bytes()
}

/// One record of a transaction.
pub(crate) fn transactional(producer_id: i64, epoch: i16, sequence: i32) -> Bytes {
    let records = [record()];
    let batch =
        MemoryRecords::with_transactional_records(Compression::NONE, producer_id, epoch, sequence, &records);
    batch.unwrap().into_bytes()
}

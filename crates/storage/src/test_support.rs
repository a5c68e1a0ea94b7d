//! Logs on a simulated disk, and batches to put into them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use ottla_common::time::MockTime;
use ottla_record::{CompressionType, EndTransactionMarker, MemoryRecords, RecordsBuilder, SimpleRecord};

use crate::fs::FileSystem;
use crate::fs::sim::SimFileSystem;
use crate::log_dir_failure::LogDirFailureChannel;
use crate::producer_state::{
    AppendOrigin, ProducerStateManagerConfig, TransactionVersion, VerificationGuard,
};
use crate::{AppendError, FetchIsolation, LogAppendInfo, LogConfig, UnifiedLog, UnifiedLogParams};

pub(crate) const NOW: i64 = 1_700_000_000_000;
pub(crate) const DIR: &str = "/logs/topic-0";

/// A disk, a clock, and what a log is opened with.
#[derive(Debug, Clone)]
pub(crate) struct Bench {
    pub(crate) disk: SimFileSystem,
    pub(crate) time: Arc<MockTime>,
    pub(crate) config: LogConfig,
    pub(crate) failures: Arc<LogDirFailureChannel>,
    pub(crate) clean: bool,
    pub(crate) recovery_point: i64,
    pub(crate) log_start_offset: i64,
    pub(crate) verification: bool,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::on(SimFileSystem::new(7))
    }

    pub(crate) fn on(disk: SimFileSystem) -> Self {
        disk.create_dir_all(Path::new("/logs")).unwrap();
        disk.set_now_ms(NOW);
        Self {
            disk,
            time: Arc::new(MockTime::new(NOW)),
            config: LogConfig::default(),
            failures: Arc::default(),
            clean: false,
            recovery_point: 0,
            log_start_offset: 0,
            verification: false,
        }
    }

    pub(crate) fn open(&self) -> Arc<UnifiedLog> {
        self.try_open().expect("the log opens")
    }

    pub(crate) fn try_open(&self) -> Result<Arc<UnifiedLog>, crate::LogError> {
        UnifiedLog::open(UnifiedLogParams {
            fs: Arc::new(self.disk.clone()),
            time: self.time.clone(),
            dir: PathBuf::from(DIR),
            config: Arc::new(self.config.clone()),
            log_start_offset: self.log_start_offset,
            recovery_point: self.recovery_point,
            last_shutdown_clean: self.clean,
            topic_id: None,
            producer_state: ProducerStateManagerConfig {
                transaction_verification_enabled: self.verification,
                ..ProducerStateManagerConfig::default()
            },
            failures: Arc::clone(&self.failures),
        })
    }

    pub(crate) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> =
            self.disk.list_dir(Path::new(DIR)).unwrap().into_iter().map(|entry| entry.name).collect();
        names.sort();
        names
    }
}

pub(crate) fn records(count: usize, timestamp: i64) -> Vec<SimpleRecord> {
    let value = |i: usize| format!("value-{i}-{timestamp}");
    (0..count).map(|i| SimpleRecord::new(timestamp, Some(format!("key-{i}")), Some(value(i)))).collect()
}

pub(crate) fn batch(count: usize, timestamp: i64) -> Bytes {
    packed(CompressionType::None, count, timestamp)
}

pub(crate) fn packed(codec: CompressionType, count: usize, timestamp: i64) -> Bytes {
    RecordsBuilder::new(codec).build_from(&records(count, timestamp)).unwrap().into_bytes()
}

pub(crate) fn idempotent(producer_id: i64, epoch: i16, sequence: i32, count: usize) -> Bytes {
    let builder = RecordsBuilder::new(CompressionType::None).producer(producer_id, epoch, sequence);
    builder.build_from(&records(count, NOW)).unwrap().into_bytes()
}

pub(crate) fn transactional(producer_id: i64, epoch: i16, sequence: i32, count: usize) -> Bytes {
    let builder = RecordsBuilder::new(CompressionType::None).producer(producer_id, epoch, sequence);
    builder.transactional(true).build_from(&records(count, NOW)).unwrap().into_bytes()
}

pub(crate) fn marker(producer_id: i64, epoch: i16, committed: bool) -> Bytes {
    let mut builder = RecordsBuilder::new(CompressionType::None)
        .producer(producer_id, epoch, ottla_record::NO_SEQUENCE)
        .transactional(true)
        .control(true);
    builder.append_end_transaction_marker(NOW, EndTransactionMarker::new(committed, 0)).unwrap();
    builder.build().unwrap().into_bytes()
}

pub(crate) fn append(log: &UnifiedLog, records: Bytes) -> LogAppendInfo {
    try_append(log, records).expect("the records are appended")
}

pub(crate) fn try_append(log: &UnifiedLog, records: Bytes) -> Result<LogAppendInfo, AppendError> {
    let (guard, version) = (VerificationGuard::SENTINEL, TransactionVersion::UNKNOWN);
    log.append_as_leader(records, 0, AppendOrigin::Client, guard, version)
}

pub(crate) fn append_marker(log: &UnifiedLog, records: Bytes) -> LogAppendInfo {
    let (guard, version) = (VerificationGuard::SENTINEL, TransactionVersion::TV_0);
    log.append_as_leader(records, 0, AppendOrigin::Coordinator, guard, version)
        .expect("the marker is appended")
}

/// Offsets of all records from an offset on.
pub(crate) fn read_offsets(log: &UnifiedLog, from: i64) -> Vec<i64> {
    let mut offsets = Vec::new();
    let mut next = from;
    while next < log.log_end_offset() {
        let found = log.read(next, 1 << 20, FetchIsolation::LogEnd, true).expect("the log is read");
        let bytes = found.records.read_all().expect("the file is read");
        if bytes.is_empty() {
            break;
        }
        for record in MemoryRecords::new(bytes).records(ottla_record::DecompressionLimits::default()) {
            let offset = record.expect("the record is read").offset;
            next = next.max(offset + 1);
            if offset >= from {
                offsets.push(offset);
            }
        }
    }
    offsets
}

pub(crate) fn replicate_all(log: &UnifiedLog) {
    log.maybe_increment_high_watermark(log.log_end_offset_metadata());
}

/// Bytes of the batches below an offset.
pub(crate) fn prefix_len(bytes: &[u8], offset: i64) -> usize {
    let batches = MemoryRecords::new(bytes.to_vec().into()).batches();
    batches.map_while(|b| b.ok().filter(|b| b.last_offset() < offset).map(|b| b.size_in_bytes())).sum()
}

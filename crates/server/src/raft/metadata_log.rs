//! `__cluster_metadata-0`: a log of the storage room with snapshots beside it.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use ottla_common::Uuid;
use ottla_common::time::Time;
use ottla_raft::snapshot::{DELETE_SUFFIX, SUFFIX, SnapshotName, filename_from_snapshot_id, parse_name};
use ottla_raft::{CLUSTER_METADATA_TOPIC, LogView, OffsetAndEpoch, PartitionState};
use ottla_record::MemoryRecords;
use ottla_storage::fs::FileSystem;
use ottla_storage::{
    AppendOrigin, FetchIsolation, LeaderEpochFileCache, LogConfig, LogDirFailureChannel, LogError,
    LogOffsetMetadata, LogStartOffsetIncrementReason, ProducerStateManagerConfig, TransactionVersion,
    UnifiedLog, UnifiedLogParams, VerificationGuard,
};

use super::client::RaftConfig;
use super::snapshot::{SnapshotError, SnapshotReader};

/// How long files of deleted snapshots stay, for those who read them.
const FILE_DELETE_DELAY_MS: i64 = 60_000;
/// How much is read of the log at once.
const READ_BYTES: usize = 8 << 20;

/// Why the metadata log cannot be used. The node cannot go on without it.
#[derive(Debug, thiserror::Error)]
pub enum MetadataLogError {
    /// The log could not be opened.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The disk failed.
    #[error(transparent)]
    Storage(#[from] ottla_storage::StorageError),
    /// An append was refused.
    #[error("cannot append to the metadata log: {0}")]
    Append(#[from] ottla_storage::AppendError),
    /// A read was refused.
    #[error("cannot read the metadata log: {0}")]
    Read(#[from] ottla_storage::ReadError),
    /// The log's start could not be moved.
    #[error(transparent)]
    LogStart(#[from] ottla_storage::OffsetBeyondHighWatermark),
    /// A file could not be accessed.
    #[error("cannot access {path}: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The cause.
        error: io::Error,
    },
    /// The log's beginning is gone and nothing stands for it.
    #[error("the metadata log starts at offset {start_offset} but its latest snapshot is {latest:?}")]
    SnapshotMissing {
        /// Where the log starts.
        start_offset: i64,
        /// What there is.
        latest: Option<OffsetAndEpoch>,
    },
    /// A batch has a wrong checksum or wrong content.
    #[error("the metadata log is corrupt at offset {offset}: {problem}")]
    Corrupt {
        /// Where.
        offset: i64,
        /// What is wrong.
        problem: String,
    },
    /// A snapshot could not be read.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
}

/// The snapshots that are visible. Shared with writers, which add to it.
#[derive(Debug, Clone, Default)]
pub(super) struct SnapshotSet(Arc<Mutex<BTreeSet<OffsetAndEpoch>>>);

impl SnapshotSet {
    fn lock(&self) -> MutexGuard<'_, BTreeSet<OffsetAndEpoch>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn insert(&self, id: OffsetAndEpoch) {
        self.lock().insert(id);
    }

    pub(super) fn contains(&self, id: OffsetAndEpoch) -> bool {
        self.lock().contains(&id)
    }

    pub(super) fn latest(&self) -> Option<OffsetAndEpoch> {
        self.lock().last().copied()
    }

    fn all(&self) -> BTreeSet<OffsetAndEpoch> {
        self.lock().clone()
    }

    /// Takes out those before `id`.
    fn forget_before(&self, id: OffsetAndEpoch) -> BTreeSet<OffsetAndEpoch> {
        let mut all = self.lock();
        let kept = all.split_off(&id);
        std::mem::replace(&mut all, kept)
    }
}

/// The log and its snapshots. Used by the raft thread; readers of snapshots share parts of it.
#[derive(Debug)]
pub(super) struct KafkaMetadataLog {
    fs: Arc<dyn FileSystem>,
    dir: PathBuf,
    log: Arc<UnifiedLog>,
    snapshots: SnapshotSet,
    max_retention_bytes: i64,
    max_retention_ms: i64,
    /// Renamed files, and when they go.
    doomed: Vec<(PathBuf, i64)>,
}

/// The folder of the log.
pub(super) fn log_dir(metadata_log_dir: &Path) -> PathBuf {
    metadata_log_dir.join(format!("{CLUSTER_METADATA_TOPIC}-0"))
}

impl KafkaMetadataLog {
    /// Opens the log. Recovery reads all of it, whatever the last shutdown was like, as Kafka's does: no
    /// checkpoint is kept for this log.
    pub(super) fn open(
        config: &RaftConfig,
        fs: Arc<dyn FileSystem>,
        time: Arc<dyn Time>,
    ) -> Result<Self, MetadataLogError> {
        let dir = log_dir(&config.metadata_log_dir);
        let log_config = LogConfig {
            segment_bytes: usize::try_from(config.segment_bytes).unwrap_or(1 << 30),
            segment_ms: config.segment_ms,
            max_message_bytes: ottla_raft::MAX_BATCH_SIZE_BYTES,
            retention_bytes: -1,
            retention_ms: -1,
            ..LogConfig::default()
        };
        let log = UnifiedLog::open(UnifiedLogParams {
            fs: Arc::clone(&fs),
            time,
            dir: dir.clone(),
            config: Arc::new(log_config),
            log_start_offset: 0,
            recovery_point: 0,
            last_shutdown_clean: false,
            topic_id: Some(Uuid::METADATA_TOPIC_ID),
            producer_state: ProducerStateManagerConfig::default(),
            failures: Arc::new(LogDirFailureChannel::default()),
        })?;
        // Recovery read what is there; whether all of it reached the disk only a flush tells.
        log.flush(false)?;
        let mut this = Self {
            fs,
            dir,
            log,
            snapshots: SnapshotSet::default(),
            max_retention_bytes: config.max_retention_bytes,
            max_retention_ms: config.max_retention_ms,
            doomed: Vec::new(),
        };
        this.recover_snapshots()?;
        this.truncate_to_latest_snapshot()?;
        Ok(this)
    }

    fn recover_snapshots(&mut self) -> Result<(), MetadataLogError> {
        let start_offset = self.log.log_start_offset();
        let entries = self.fs.list_dir(&self.dir).map_err(|error| self.io(&self.dir, error))?;
        for (name, snapshot) in entries.iter().filter_map(|e| Some((&e.name, parse_name(&e.name)?))) {
            let SnapshotName { id, partial, deleted } = snapshot;
            if partial || deleted || id.offset < start_offset {
                let path = self.dir.join(name);
                self.fs.remove_file_if_exists(&path).map_err(|error| self.io(&path, error))?;
            } else {
                self.snapshots.insert(id);
            }
        }
        let latest = self.snapshots.latest();
        if start_offset > 0 && latest.is_none_or(|id| id.offset < start_offset) {
            return Err(MetadataLogError::SnapshotMissing { start_offset, latest });
        }
        Ok(())
    }

    /// A fetched snapshot may be ahead of the log, if the node stopped in between.
    fn truncate_to_latest_snapshot(&mut self) -> Result<(), MetadataLogError> {
        let Some(id) = self.snapshots.latest() else { return Ok(()) };
        let latest_epoch = self.log.latest_epoch().unwrap_or(0);
        let ahead =
            id.epoch > latest_epoch || (id.epoch == latest_epoch && id.offset > self.log.log_end_offset());
        if ahead { self.truncate_to_snapshot(id, 0) } else { Ok(()) }
    }

    /// Empties the log, which begins at the snapshot.
    pub(super) fn truncate_to_snapshot(
        &mut self,
        id: OffsetAndEpoch,
        now_ms: i64,
    ) -> Result<(), MetadataLogError> {
        self.log.truncate_fully_and_start_at(id.offset, None)?;
        let forgotten = self.snapshots.forget_before(id);
        self.doom(forgotten, now_ms)
    }

    /// What the kernel has to know.
    pub(super) fn view(&self) -> Result<LogView, MetadataLogError> {
        let cache = LeaderEpochFileCache::open(Arc::clone(&self.fs), &self.dir)
            .map_err(|error| self.io(&self.dir, error))?;
        let epochs = cache.entries().iter().map(|entry| (entry.epoch, entry.start_offset)).collect();
        let (start, end) = (self.log.log_start_offset(), self.log.log_end_offset());
        Ok(LogView::new(start, end, epochs, self.snapshots.all()))
    }

    /// Reads snapshot and log for their control records.
    pub(super) fn replay(&self, partition: &mut PartitionState) -> Result<(), MetadataLogError> {
        let mut offset = self.log.log_start_offset();
        if let Some(id) = self.snapshots.latest() {
            let mut snapshot = self.open_snapshot(id)?;
            while snapshot.next_batch()?.is_some() {}
            for record in snapshot.control_records() {
                partition.replay(id.offset - 1, record);
            }
            offset = offset.max(id.offset);
        }
        while offset < self.log.log_end_offset() {
            let next = self.for_each_batch(offset, FetchIsolation::LogEnd, |batch| {
                partition.replay_batch(batch).map_err(|error| error.to_string())
            })?;
            offset = next;
        }
        Ok(())
    }

    /// Hands over batches from an offset on, as many as one read gives. Returns the offset after the last.
    pub(super) fn for_each_batch(
        &self,
        offset: i64,
        isolation: FetchIsolation,
        mut consume: impl FnMut(&ottla_record::RecordBatch) -> Result<(), String>,
    ) -> Result<i64, MetadataLogError> {
        let corrupt = |offset: i64, problem: String| MetadataLogError::Corrupt { offset, problem };
        let records = MemoryRecords::new(self.read(offset, READ_BYTES, isolation)?);
        let mut next = offset;
        for batch in records.batches() {
            let batch = batch.map_err(|error| corrupt(next, error.to_string()))?;
            batch.ensure_valid().map_err(|error| corrupt(next, error.to_string()))?;
            consume(&batch).map_err(|problem| corrupt(batch.base_offset(), problem))?;
            next = batch.next_offset();
        }
        if next == offset {
            return Err(corrupt(offset, "no whole batch follows".to_owned()));
        }
        Ok(next)
    }

    pub(super) fn read(
        &self,
        offset: i64,
        max_bytes: usize,
        isolation: FetchIsolation,
    ) -> Result<Bytes, MetadataLogError> {
        let info = self.log.read(offset, max_bytes, isolation, true)?;
        info.records.read_all().map_err(|error| self.io(&self.dir, error))
    }

    pub(super) fn append_as_leader(&self, records: Bytes, epoch: i32) -> Result<(), MetadataLogError> {
        let (origin, guard) = (AppendOrigin::RaftLeader, VerificationGuard::SENTINEL);
        self.log.append_as_leader(records, epoch, origin, guard, TransactionVersion::UNKNOWN)?;
        Ok(())
    }

    pub(super) fn append_as_follower(&self, records: Bytes, epoch: i32) -> Result<(), MetadataLogError> {
        self.log.append_as_follower(records, epoch)?;
        Ok(())
    }

    /// Forces everything to disk. Returns the end of it.
    pub(super) fn flush(&self) -> Result<i64, MetadataLogError> {
        let end = self.log.log_end_offset();
        self.log.flush(false)?;
        Ok(end)
    }

    pub(super) fn truncate_to(&self, offset: i64) -> Result<(), MetadataLogError> {
        self.log.truncate_to(offset)?;
        Ok(())
    }

    pub(super) fn update_high_watermark(&self, offset: i64) {
        self.log.update_high_watermark(LogOffsetMetadata::offset_only(offset));
    }

    pub(super) fn start_offset(&self) -> i64 {
        self.log.log_start_offset()
    }

    pub(super) fn log(&self) -> &Arc<UnifiedLog> {
        &self.log
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn snapshots(&self) -> &SnapshotSet {
        &self.snapshots
    }

    pub(super) fn open_snapshot(&self, id: OffsetAndEpoch) -> Result<SnapshotReader, SnapshotError> {
        SnapshotReader::open(self.fs.as_ref(), &self.dir, id)
    }

    /// Deletes what snapshots made superfluous, once it is too much or too old. Returns the snapshot at which
    /// the log starts now, if that changed.
    pub(super) fn maybe_clean(&mut self, now_ms: i64) -> Result<Option<OffsetAndEpoch>, MetadataLogError> {
        let mut cleaned = None;
        while let Some(next) = self.next_to_clean(now_ms)? {
            // A follower that starts does not know yet that it is committed.
            if next.offset > self.log.high_watermark() {
                break;
            }
            if next.offset > self.log.log_start_offset() {
                let reason = LogStartOffsetIncrementReason::SnapshotGenerated;
                self.log.maybe_increment_log_start_offset(next.offset, reason)?;
                self.log.delete_old_segments()?;
            }
            let forgotten = self.snapshots.forget_before(next);
            self.doom(forgotten, now_ms)?;
            cleaned = Some(next);
        }
        Ok(cleaned)
    }

    /// The snapshot after the oldest, if the oldest has to go. The newest always stays.
    fn next_to_clean(&self, now_ms: i64) -> Result<Option<OffsetAndEpoch>, MetadataLogError> {
        let all = self.snapshots.all();
        let mut ids = all.iter();
        let (Some(oldest), Some(next)) = (ids.next(), ids.next()) else { return Ok(None) };
        let mut size = self.log.size();
        for id in &all {
            size += self.open_snapshot(*id)?.size_in_bytes();
        }
        let too_large = self.max_retention_bytes >= 0 && size > self.max_retention_bytes.unsigned_abs();
        let timestamp = self.open_snapshot(*oldest)?.last_contained_log_timestamp();
        let too_old = self.max_retention_ms >= 0 && now_ms.saturating_sub(timestamp) > self.max_retention_ms;
        Ok((too_large || too_old).then_some(*next))
    }

    fn doom(&mut self, ids: BTreeSet<OffsetAndEpoch>, now_ms: i64) -> Result<(), MetadataLogError> {
        for id in ids {
            let name = filename_from_snapshot_id(id);
            let (from, to) =
                (self.dir.join(format!("{name}{SUFFIX}")), self.dir.join(format!("{name}{DELETE_SUFFIX}")));
            self.fs.rename_if_exists(&from, &to).map_err(|error| self.io(&from, error))?;
            tracing::info!(snapshot = %id, "marked a metadata snapshot for deletion");
            self.doomed.push((to, now_ms + FILE_DELETE_DELAY_MS));
        }
        Ok(())
    }

    /// What was put off.
    pub(super) fn run_background_tasks(&mut self, now_ms: i64) -> Result<(), MetadataLogError> {
        self.log.run_background_tasks(now_ms)?;
        let fs = &self.fs;
        self.doomed.retain(|(path, when)| {
            // What cannot be removed now is removed at the next start.
            *when > now_ms || (fs.remove_file_if_exists(path).is_err() && fs.exists(path).unwrap_or(false))
        });
        Ok(())
    }

    pub(super) fn close(&self) -> Result<(), MetadataLogError> {
        self.log.flush(true)?;
        self.log.close()?;
        Ok(())
    }

    fn io(&self, path: &Path, error: io::Error) -> MetadataLogError {
        MetadataLogError::Io { path: path.to_owned(), error }
    }
}

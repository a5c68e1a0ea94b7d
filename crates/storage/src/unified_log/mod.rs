//! The log of one partition, as everybody above sees it.

mod append;
mod cleaning;
mod maintenance;
mod read;
mod retention;
mod settle;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod transaction_property_test;
#[cfg(test)]
mod transaction_test;
mod write_back;

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use ottla_common::time::Time;
use ottla_common::{TopicPartition, Uuid};

use crate::checkpoint::{EpochEntry, LEADER_EPOCH_CHECKPOINT_FILE_NAME, PartitionMetadataFile};
use crate::error::{AppendError, LogError, StorageError};
use crate::file_records::ScanError;
use crate::fs::FileSystem;
use crate::leader_epoch_cache::{LeaderEpochFileCache, OffsetAndEpoch};
use crate::local_log::LocalLog;
use crate::log_config::LogConfig;
use crate::log_dir_failure::LogDirFailureChannel;
use crate::log_file_names::{FUTURE_DIR_SUFFIX, LOG_FILE_SUFFIX, parse_log_dir_name};
use crate::log_loader::LogLoader;
use crate::log_offset::LogOffsetMetadata;
use crate::producer_state::{ProducerStateManager, ProducerStateManagerConfig, VerificationGuard};
use crate::sync::{Mutex, RwLock};
use settle::Folder;
use write_back::Flushing;

pub use append::LogAppendInfo;
pub use read::ListOffsetsTimestamp;
pub use retention::{LogStartOffsetIncrementReason, OffsetBeyondHighWatermark};

/// The log of one partition: segments, producers, epochs, and how far what is replicated and visible.
///
/// Appends, truncations and the like take one lock; reads take none but for glances at offsets and the
/// list of segments. Any error of the disk takes the log directory offline.
#[derive(Debug)]
pub struct UnifiedLog {
    local: LocalLog,
    /// The log directory the partition's folder is in.
    parent_dir: PathBuf,
    failures: Arc<LogDirFailureChannel>,
    leader_epochs: LeaderEpochFileCache,
    topic_id: RwLock<Option<Uuid>>,
    marks: RwLock<Marks>,
    state: Mutex<LogState>,
    /// Base offset of the latest segment rolled to: those before are to be flushed.
    flush_up_to: AtomicI64,
    flushing: Flushing,
    folder: Folder,
}

/// What changes together, under the log's lock.
#[derive(Debug)]
struct LogState {
    producers: ProducerStateManager,
    /// Producer snapshots written without sync when segments rolled.
    unsynced_snapshots: Vec<PathBuf>,
    /// Offsets of those that were written between the begins of segments, for a recovery from there.
    interim_snapshots: Vec<i64>,
    /// Appended since the directory's write-back was told.
    unnoted_bytes: usize,
    closed: bool,
}

#[derive(Debug, Clone, Copy)]
struct Marks {
    log_start_offset: i64,
    high_watermark: LogOffsetMetadata,
    first_unstable_offset: Option<LogOffsetMetadata>,
}

/// What must be known to open a log.
#[derive(Debug)]
pub struct UnifiedLogParams {
    /// The disk.
    pub fs: Arc<dyn FileSystem>,
    /// The clock.
    pub time: Arc<dyn Time>,
    /// The partition's folder; made if missing.
    pub dir: PathBuf,
    /// The topic's settings.
    pub config: Arc<LogConfig>,
    /// From the checkpoint; 0 if unknown.
    pub log_start_offset: i64,
    /// From the checkpoint; 0 if unknown.
    pub recovery_point: i64,
    /// Whether the marker of a clean shutdown was there.
    pub last_shutdown_clean: bool,
    /// The topic's id, if known: checked against `partition.metadata`.
    pub topic_id: Option<Uuid>,
    /// Settings of producer state.
    pub producer_state: ProducerStateManagerConfig,
    /// Where failures are told.
    pub failures: Arc<LogDirFailureChannel>,
}

/// All offsets of a log at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogOffsetSnapshot {
    /// First offset.
    pub log_start_offset: i64,
    /// The offset after the last.
    pub log_end_offset: LogOffsetMetadata,
    /// Up to where records are replicated.
    pub high_watermark: LogOffsetMetadata,
    /// Up to where transactions are decided.
    pub last_stable_offset: LogOffsetMetadata,
}

/// A producer, as DescribeProducers shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ActiveProducer {
    /// The producer.
    pub producer_id: i64,
    /// Its epoch.
    pub producer_epoch: i16,
    /// Sequence of its last record, or -1.
    pub last_sequence: i32,
    /// Timestamp of its last batch, or -1.
    pub last_timestamp: i64,
    /// Epoch of the coordinator that wrote its last marker, or -1.
    pub coordinator_epoch: i32,
    /// First offset of its open transaction, or -1.
    pub current_txn_start_offset: i64,
}

impl UnifiedLog {
    /// Opens a log, recovering it if need be. A folder that is missing is made.
    pub fn open(params: UnifiedLogParams) -> Result<Arc<Self>, LogError> {
        let name = params.dir.file_name().and_then(|name| name.to_str());
        let partition = name.and_then(parse_log_dir_name).map(|(partition, _)| partition);
        let partition = partition.ok_or_else(|| LogError::InvalidFolderName(params.dir.clone()))?;
        let log = Self::open_or_plan(params, &partition)?;
        log.write_folder()?;
        Ok(log)
    }

    /// Opens the log of a partition whose folder this is, or begins a new one in memory: its folder is to be
    /// made by [`Self::write_folder`].
    pub(crate) fn open_or_plan(
        params: UnifiedLogParams,
        partition: &TopicPartition,
    ) -> Result<Arc<Self>, LogError> {
        let parent_dir = params.dir.parent().unwrap_or(Path::new("")).to_path_buf();
        let context = || format!("cannot load the log of {partition}");
        let failures = Arc::clone(&params.failures);
        let topic_id = params.topic_id;
        let log = failures
            .guard(&parent_dir, context, || Self::load(params, partition.clone(), parent_dir.clone()))?;
        let log = Arc::new(log);
        log.initialize_topic_id(topic_id)?;
        Ok(log)
    }

    fn load(params: UnifiedLogParams, partition: TopicPartition, parent_dir: PathBuf) -> io::Result<Self> {
        let (fs, time) = (Arc::clone(&params.fs), Arc::clone(&params.time));
        let (dir, config): (Arc<Path>, _) = (params.dir.as_path().into(), Arc::clone(&params.config));
        let found = file_names(fs.as_ref(), &dir)?;
        let is_new = found.is_none();
        // The checkpoint knows current logs only.
        let is_future = dir.as_os_str().as_encoded_bytes().ends_with(FUTURE_DIR_SUFFIX.as_bytes());
        let recovery_point = if is_future { 0 } else { params.recovery_point };
        let names = found.unwrap_or_default();
        let mut producers = ProducerStateManager::empty(Arc::clone(&fs), &dir, params.producer_state);
        let no_epochs = || LeaderEpochFileCache::empty(Arc::clone(&fs), &dir);
        let leader_epochs = if names.contains(LEADER_EPOCH_CHECKPOINT_FILE_NAME) {
            match LeaderEpochFileCache::open_in(Arc::clone(&fs), &dir) {
                Err(error) if is_torn(&error, &params) && has_no_record(fs.as_ref(), &dir, &names)? => {
                    no_epochs()
                }
                result => result?,
            }
        } else {
            no_epochs()
        };
        let loader = LogLoader {
            fs: &fs,
            dir: &dir,
            config: &config,
            now_ms: time.now_ms(),
            had_clean_shutdown: params.last_shutdown_clean,
            log_start_offset_checkpoint: params.log_start_offset,
            recovery_point_checkpoint: recovery_point,
            leader_epochs: &leader_epochs,
            names,
            swapped: false,
        };
        let loaded = if is_new { loader.begin()? } else { loader.load(&mut producers)? };
        leader_epochs.note_loaded();
        let (next, log_start_offset) = (loaded.next_offset, loaded.log_start_offset);
        let local = LocalLog::new(fs, time, partition, dir, config, loaded);
        let marks = Marks {
            log_start_offset,
            high_watermark: LogOffsetMetadata::offset_only(log_start_offset),
            first_unstable_offset: None,
        };
        local.update_recovery_point(local.recovery_point().max(log_start_offset.min(next)));
        // A crash may have come between the making of the folder and its sync.
        let folder = match (is_new, params.last_shutdown_clean || next > 0) {
            (true, _) => Folder::planned(),
            (false, true) => Folder::settled(),
            (false, false) => Folder::written(),
        };
        let flushing = Flushing::new(recovery_point, local.recovery_point());
        let log = Self {
            local,
            parent_dir,
            failures: params.failures,
            leader_epochs,
            topic_id: RwLock::new(None),
            marks: RwLock::new(marks),
            state: Mutex::new(LogState {
                producers,
                unsynced_snapshots: Vec::new(),
                interim_snapshots: Vec::new(),
                unnoted_bytes: 0,
                closed: false,
            }),
            flush_up_to: AtomicI64::new(0),
            flushing,
            folder,
        };
        log.update_first_unstable_offset(&mut log.state.lock());
        Ok(log)
    }

    fn initialize_topic_id(&self, expected: Option<Uuid>) -> Result<(), LogError> {
        if !self.has_folder() {
            *self.topic_id.write() = expected;
            return Ok(());
        }
        let found = self.guard("cannot read partition.metadata", || {
            match self.partition_metadata_file().read() {
                // The file of a folder that was not synced yet; whose it is will be told again.
                Err(error) if error.kind() == io::ErrorKind::InvalidData && self.is_unsettled() => Ok(None),
                result => result,
            }
        })?;
        *self.topic_id.write() = found;
        expected.map_or(Ok(()), |expected| self.assign_topic_id(expected))
    }

    /// Notes the topic's id, on disk too. It never changes.
    pub fn assign_topic_id(&self, topic_id: Uuid) -> Result<(), LogError> {
        // Keeps the log from being settled without the id.
        let _state = self.state.lock();
        let mut current = self.topic_id.write();
        match *current {
            Some(found) if found != topic_id => {
                Err(LogError::InconsistentTopicId { expected: topic_id, found })
            }
            Some(_) => Ok(()),
            None if self.is_unsettled() => {
                *current = Some(topic_id);
                self.plan_folder_again();
                Ok(())
            }
            None => {
                let write = || self.partition_metadata_file().write(topic_id);
                self.guard("cannot write partition.metadata", write)?;
                *current = Some(topic_id);
                Ok(())
            }
        }
    }

    fn partition_metadata_file(&self) -> PartitionMetadataFile {
        PartitionMetadataFile::new(Arc::clone(self.local.fs()), &self.local.dir())
    }

    fn guard<T>(&self, context: &str, action: impl FnOnce() -> io::Result<T>) -> Result<T, StorageError> {
        let partition = self.local.topic_partition();
        self.failures.guard(&self.parent_dir, || format!("{partition}: {context}"), action)
    }

    fn fail(&self, context: &str, error: io::Error) -> StorageError {
        self.failures.fail(&self.parent_dir, format!("{}: {context}", self.local.topic_partition()), error)
    }
}

/// Whether a file may be without its content because of a crash before the folder of a new log was synced.
fn is_torn(error: &io::Error, params: &UnifiedLogParams) -> bool {
    error.kind() == io::ErrorKind::InvalidData && !params.last_shutdown_clean
}

/// Whether no segment of a folder has anything in it.
fn has_no_record(fs: &dyn FileSystem, dir: &Path, names: &BTreeSet<String>) -> io::Result<bool> {
    for name in names.iter().filter(|name| name.ends_with(LOG_FILE_SUFFIX)) {
        if fs.metadata(&dir.join(name))?.is_some_and(|file| file.len > 0) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Names of the files in a folder; `None` if there is no folder.
fn file_names(fs: &dyn FileSystem, dir: &Path) -> io::Result<Option<BTreeSet<String>>> {
    match fs.list_dir(dir) {
        Ok(entries) => {
            Ok(Some(entries.into_iter().filter(|entry| !entry.is_dir).map(|entry| entry.name).collect()))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Who it is and what is set.
impl UnifiedLog {
    /// The partition.
    pub fn topic_partition(&self) -> &TopicPartition {
        self.local.topic_partition()
    }

    /// The topic's id, if known.
    pub fn topic_id(&self) -> Option<Uuid> {
        *self.topic_id.read()
    }

    /// The partition's folder.
    pub fn dir(&self) -> Arc<Path> {
        self.local.dir()
    }

    /// The log directory.
    pub fn parent_dir(&self) -> &Path {
        &self.parent_dir
    }

    /// Whether this is a copy that will replace the current log.
    pub fn is_future(&self) -> bool {
        // The name of any other folder of a log ends with a number.
        self.local.dir().as_os_str().as_encoded_bytes().ends_with(FUTURE_DIR_SUFFIX.as_bytes())
    }

    /// The settings in force.
    pub fn config(&self) -> Arc<LogConfig> {
        self.local.config()
    }

    /// Puts settings in force; returns those before.
    pub fn update_config(&self, config: Arc<LogConfig>) -> Arc<LogConfig> {
        self.local.update_config(config)
    }

    /// Bytes of all segments.
    pub fn size(&self) -> u64 {
        self.local.size()
    }

    /// How many segments there are.
    pub fn number_of_segments(&self) -> usize {
        self.local.with_segments(|segments| segments.len())
    }
}

/// Offsets.
impl UnifiedLog {
    /// First offset that may be read.
    pub fn log_start_offset(&self) -> i64 {
        self.marks.read().log_start_offset
    }

    pub(crate) fn first_segment_base_offset(&self) -> i64 {
        self.local.first_segment_base_offset()
    }

    /// First offset that may be read from the local disk.
    pub fn local_log_start_offset(&self) -> i64 {
        self.log_start_offset().max(self.local.first_segment_base_offset())
    }

    /// The offset the next record gets.
    pub fn log_end_offset(&self) -> i64 {
        self.local.end_offset()
    }

    /// That offset and where it will lie.
    pub fn log_end_offset_metadata(&self) -> LogOffsetMetadata {
        self.local.end_metadata()
    }

    /// Up to where everything is on disk.
    pub fn recovery_point(&self) -> i64 {
        self.local.recovery_point()
    }

    /// Whether there is no record.
    pub fn is_empty(&self) -> bool {
        self.log_start_offset() == self.log_end_offset()
    }

    /// Up to where records are replicated.
    pub fn high_watermark(&self) -> i64 {
        self.marks.read().high_watermark.message_offset
    }

    /// Up to where `read_committed` consumers see.
    pub fn last_stable_offset(&self) -> i64 {
        self.marks.read().last_stable().message_offset
    }

    /// First offset of the earliest transaction not known to be over.
    pub fn first_unstable_offset(&self) -> Option<i64> {
        self.marks.read().first_unstable_offset.map(|offset| offset.message_offset)
    }

    /// All offsets, with their places.
    pub fn fetch_offset_snapshot(&self) -> Result<LogOffsetSnapshot, StorageError> {
        let high_watermark = self.high_watermark_metadata()?;
        let last_stable_offset = self.last_stable_offset_metadata()?;
        Ok(LogOffsetSnapshot {
            log_start_offset: self.log_start_offset(),
            log_end_offset: self.log_end_offset_metadata(),
            high_watermark,
            last_stable_offset,
        })
    }

    /// Moves the high watermark where a leader says, within the log. Returns where it went if it moved.
    pub fn maybe_update_high_watermark(&self, offset: i64) -> Option<i64> {
        let mut state = self.state.lock();
        let before = self.high_watermark();
        let after = self.update_high_watermark_locked(&mut state, LogOffsetMetadata::offset_only(offset));
        (before != after).then_some(after)
    }

    /// Sets the high watermark, bounded by the log. Returns where it went.
    pub fn update_high_watermark(&self, offset: LogOffsetMetadata) -> i64 {
        self.update_high_watermark_locked(&mut self.state.lock(), offset)
    }

    /// Moves a leader's high watermark forward, never back. Returns the old one if it moved: also when only
    /// the segment became known to be a newer one.
    pub fn maybe_increment_high_watermark(&self, new: LogOffsetMetadata) -> Option<LogOffsetMetadata> {
        let mut state = self.state.lock();
        assert!(new.message_offset <= self.log_end_offset(), "HW-LE-LEO");
        let old = self.marks.read().high_watermark;
        let moved = old.message_offset < new.message_offset
            || (old.message_offset == new.message_offset && old.on_older_segment(&new));
        if !moved {
            return None;
        }
        self.set_high_watermark(&mut state, new);
        Some(old)
    }

    fn update_high_watermark_locked(&self, state: &mut LogState, offset: LogOffsetMetadata) -> i64 {
        let end = self.local.end_metadata();
        let start = self.log_start_offset();
        let new = if offset.message_offset < start {
            LogOffsetMetadata::offset_only(start)
        } else if offset.message_offset >= end.message_offset {
            end
        } else {
            offset
        };
        self.set_high_watermark(state, new);
        new.message_offset
    }

    fn set_high_watermark(&self, state: &mut LogState, new: LogOffsetMetadata) {
        assert!(new.message_offset >= 0, "HW-NOT-NEGATIVE");
        let old = {
            let mut marks = self.marks.write();
            std::mem::replace(&mut marks.high_watermark, new)
        };
        if new.message_offset < old.message_offset {
            let (partition, from, to) = (self.topic_partition(), old.message_offset, new.message_offset);
            tracing::warn!(%partition, from, to, "high watermark goes back");
        }
        state.producers.on_high_watermark_updated(new.message_offset);
        self.update_first_unstable_offset(state);
    }

    /// After a truncation the high watermark may be ahead of the log; after a roll its place is a new one.
    fn update_high_watermark_with_log_end_offset(&self, state: &mut LogState) {
        let end = self.local.end_metadata();
        if self.high_watermark() >= end.message_offset {
            self.set_high_watermark(state, end);
        }
    }

    fn update_first_unstable_offset(&self, state: &mut LogState) {
        let first = state.producers.first_unstable_offset();
        let mut marks = self.marks.write();
        let start = marks.log_start_offset;
        marks.first_unstable_offset = first.map(|offset| {
            if offset.message_offset < start { LogOffsetMetadata::offset_only(start) } else { offset }
        });
        assert!(marks.last_stable().message_offset <= marks.high_watermark.message_offset, "LSO-LE-HW");
    }

    /// The high watermark and its place, which is looked up once if it is not known.
    fn high_watermark_metadata(&self) -> Result<LogOffsetMetadata, StorageError> {
        let known = self.marks.read().high_watermark;
        if known.location.is_some() {
            return Ok(known);
        }
        let full = self.locate(known)?;
        let mut marks = self.marks.write();
        if marks.high_watermark == known {
            marks.high_watermark = full;
        }
        Ok(full)
    }

    fn last_stable_offset_metadata(&self) -> Result<LogOffsetMetadata, StorageError> {
        let known = self.marks.read().last_stable();
        if known.location.is_some() {
            return Ok(known);
        }
        let full = self.locate(known)?;
        let mut marks = self.marks.write();
        if marks.first_unstable_offset == Some(known) {
            marks.first_unstable_offset = Some(full);
        }
        Ok(full)
    }

    /// Where an offset lies; without a place if that cannot be told.
    fn locate(&self, offset: LogOffsetMetadata) -> Result<LogOffsetMetadata, StorageError> {
        match self.local.convert_to_offset_metadata(offset.message_offset) {
            Ok(found) => Ok(LogOffsetMetadata { message_offset: offset.message_offset, ..found }),
            Err(ScanError::Io(error)) => Err(self.fail("cannot look up an offset", error)),
            Err(ScanError::Corrupt(error)) => {
                tracing::error!(partition = %self.topic_partition(), %error, "cannot look up an offset");
                Ok(offset)
            }
        }
    }
}

impl Marks {
    fn last_stable(&self) -> LogOffsetMetadata {
        let unstable = self.first_unstable_offset;
        let below = unstable.filter(|offset| offset.message_offset < self.high_watermark.message_offset);
        below.unwrap_or(self.high_watermark)
    }
}

/// Leader epochs.
impl UnifiedLog {
    /// The latest epoch in the log.
    pub fn latest_epoch(&self) -> Option<i32> {
        self.leader_epochs.latest_epoch()
    }

    /// Where an epoch ends, or the one before it that is known (OffsetsForLeaderEpoch).
    pub fn end_offset_for_epoch(&self, epoch: i32) -> Option<OffsetAndEpoch> {
        self.leader_epochs.end_offset_for(epoch, self.log_end_offset())
    }

    /// The epoch an offset was written in.
    pub fn epoch_for_offset(&self, offset: i64) -> Option<i32> {
        self.leader_epochs.epoch_for_offset(offset)
    }

    /// All epochs and where they begin.
    pub fn leader_epoch_entries(&self) -> Vec<EpochEntry> {
        self.leader_epochs.entries()
    }

    /// Notes that an epoch begins: what a new leader does before its first append. The disk learns of it with
    /// the first record, so that the leader of thousands of partitions need not wait for it.
    pub fn assign_epoch_start_offset(&self, epoch: i32, start_offset: i64) {
        let _state = self.state.lock();
        if self.leader_epochs.assign_in_memory(epoch, start_offset) && self.is_unsettled() {
            self.plan_folder_again();
        }
    }

    /// Puts the epoch of records on disk that are about to be appended.
    fn assign_epoch_of_records(&self, epoch: i32, start_offset: i64) -> Result<(), StorageError> {
        let assign = || self.leader_epochs.assign(epoch, start_offset);
        self.guard("cannot write the leader epoch checkpoint", assign).map(drop)
    }
}

/// Producers.
impl UnifiedLog {
    /// All producers, as DescribeProducers shows them.
    pub fn active_producers(&self) -> Vec<ActiveProducer> {
        let state = self.state.lock();
        let producers = state.producers.active_producers();
        let mut active: Vec<ActiveProducer> = producers
            .map(|entry| ActiveProducer {
                producer_id: entry.producer_id,
                producer_epoch: entry.producer_epoch,
                last_sequence: entry.last_seq(),
                last_timestamp: entry.last_timestamp,
                coordinator_epoch: entry.coordinator_epoch,
                current_txn_start_offset: entry.current_txn_first_offset.unwrap_or(-1),
            })
            .collect();
        active.sort_unstable_by_key(|producer| producer.producer_id);
        active
    }

    /// Begins the verification of a transactional producer, unless its transaction is open here already
    /// (KIP-890): then the sentinel is returned and nothing needs to be asked. The same where verification is
    /// switched off, but for clients that leave it to the leader to add partitions to their transactions.
    pub fn maybe_start_transaction_verification(
        &self,
        producer_id: i64,
        sequence: i32,
        epoch: i16,
        supports_epoch_bump: bool,
    ) -> Result<VerificationGuard, AppendError> {
        let mut state = self.state.lock();
        let producers = &mut state.producers;
        if !supports_epoch_bump && !producers.config().transaction_verification_enabled {
            return Ok(VerificationGuard::SENTINEL);
        }
        let current = producers.last_entry(producer_id).map(|entry| entry.producer_epoch);
        if let Some(current) = current.filter(|current| epoch < *current) {
            let text =
                format!("epoch {epoch} of producer {producer_id} is behind the last seen epoch {current}");
            return Err(AppendError::InvalidProducerEpoch(text));
        }
        if producers.has_ongoing_transaction(producer_id, epoch) {
            return Ok(VerificationGuard::SENTINEL);
        }
        let now = self.local.time().now_ms();
        Ok(producers.maybe_create_verification_state_entry(
            now,
            producer_id,
            sequence,
            epoch,
            supports_epoch_bump,
        ))
    }

    /// Whether a producer's transaction is open here in this epoch.
    pub fn has_ongoing_transaction(&self, producer_id: i64, epoch: i16) -> bool {
        self.state.lock().producers.has_ongoing_transaction(producer_id, epoch)
    }

    /// Whether a transaction hangs: it is open for longer than any may be.
    pub fn has_late_transaction(&self, now_ms: i64) -> bool {
        self.state.lock().producers.has_late_transaction(now_ms)
    }

    /// How many producers are known.
    pub fn producer_id_count(&self) -> usize {
        self.state.lock().producers.active_producers().len()
    }

    /// Puts other settings of producers in force: they may change while the broker runs.
    pub fn update_producer_state_config(&self, config: ProducerStateManagerConfig) {
        self.state.lock().producers.update_config(config);
    }

    /// Forgets producers that wrote nothing for long.
    pub fn remove_expired_producers(&self, now_ms: i64) {
        self.state.lock().producers.remove_expired_producers(now_ms);
    }

    fn flush_up_to(&self) -> i64 {
        self.flush_up_to.load(Ordering::Acquire)
    }
}

mod replace;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ottla_common::TopicPartition;
use ottla_common::time::Time;

use crate::fetch::FetchDataInfo;
use crate::file_records::{FileRecords, ScanError};
use crate::fs::FileSystem;
use crate::index::AbortedTxn;
use crate::log_config::LogConfig;
use crate::log_file_names::{
    DELETED_FILE_SUFFIX, INDEX_FILE_SUFFIX, LOG_FILE_SUFFIX, TIME_INDEX_FILE_SUFFIX, TXN_INDEX_FILE_SUFFIX,
    segment_file,
};
use crate::log_loader::LoadedLog;
use crate::log_offset::LogOffsetMetadata;
use crate::log_segment::LogSegment;
use crate::log_segments::LogSegments;
use crate::stamped_records::StampedRecords;
use crate::sync::{Mutex, RwLock};

/// The segments of one partition in one folder, and nothing of what their records mean.
///
/// Only the holder of the log's lock changes it; reads take a shared lock for a glance, never while they
/// read from disk.
#[derive(Debug)]
pub(crate) struct LocalLog {
    fs: Arc<dyn FileSystem>,
    time: Arc<dyn Time>,
    topic_partition: TopicPartition,
    dir: RwLock<Arc<Path>>,
    config: RwLock<Arc<LogConfig>>,
    segments: RwLock<LogSegments>,
    offsets: RwLock<Offsets>,
    doomed_files: Mutex<Vec<DoomedFiles>>,
    /// Whether the folder has names that may not be on disk.
    unsynced_names: AtomicBool,
}

#[derive(Debug, Clone, Copy)]
struct Offsets {
    end: LogOffsetMetadata,
    recovery_point: i64,
    last_flushed_ms: i64,
}

/// Files to be removed once nobody reads them any more. By name, because the folder may be renamed.
#[derive(Debug)]
struct DoomedFiles {
    deadline_ms: i64,
    names: Vec<PathBuf>,
}

impl LocalLog {
    pub(crate) fn new(
        fs: Arc<dyn FileSystem>,
        time: Arc<dyn Time>,
        topic_partition: TopicPartition,
        dir: Arc<Path>,
        config: Arc<LogConfig>,
        loaded: LoadedLog,
    ) -> Self {
        let LoadedLog { segments, recovery_point, next_offset: end_offset, .. } = loaded;
        assert!(!segments.is_empty(), "LOG-HAS-SEGMENT: a log has at least one segment");
        let last_flushed_ms = time.now_ms();
        let end = LogOffsetMetadata::offset_only(end_offset);
        let log = Self {
            fs,
            time,
            topic_partition,
            dir: RwLock::new(dir),
            config: RwLock::new(config),
            segments: RwLock::new(segments),
            offsets: RwLock::new(Offsets { end, recovery_point, last_flushed_ms }),
            doomed_files: Mutex::default(),
            unsynced_names: AtomicBool::new(!loaded.is_synced),
        };
        log.update_log_end_offset(end_offset);
        log.doom_files(loaded.doomed_files);
        log
    }

    pub(crate) fn topic_partition(&self) -> &TopicPartition {
        &self.topic_partition
    }

    pub(crate) fn fs(&self) -> &Arc<dyn FileSystem> {
        &self.fs
    }

    pub(crate) fn time(&self) -> &Arc<dyn Time> {
        &self.time
    }

    pub(crate) fn dir(&self) -> Arc<Path> {
        Arc::clone(&self.dir.read())
    }

    pub(crate) fn config(&self) -> Arc<LogConfig> {
        Arc::clone(&self.config.read())
    }

    pub(crate) fn update_config(&self, config: Arc<LogConfig>) -> Arc<LogConfig> {
        std::mem::replace(&mut *self.config.write(), config)
    }

    pub(crate) fn end_metadata(&self) -> LogOffsetMetadata {
        self.offsets.read().end
    }

    pub(crate) fn end_offset(&self) -> i64 {
        self.end_metadata().message_offset
    }

    pub(crate) fn recovery_point(&self) -> i64 {
        self.offsets.read().recovery_point
    }

    pub(crate) fn last_flushed_ms(&self) -> i64 {
        self.offsets.read().last_flushed_ms
    }

    pub(crate) fn update_recovery_point(&self, offset: i64) {
        self.offsets.write().recovery_point = offset;
    }

    /// Everything below the offset is on disk.
    pub(crate) fn mark_flushed(&self, offset: i64) {
        let now = self.time.now_ms();
        let mut offsets = self.offsets.write();
        if offset > offsets.recovery_point {
            offsets.recovery_point = offset;
            offsets.last_flushed_ms = now;
        }
    }

    pub(crate) fn update_log_end_offset(&self, end_offset: i64) {
        let active = self.active_segment();
        let mut offsets = self.offsets.write();
        offsets.end = LogOffsetMetadata::at(end_offset, active.base_offset(), active.size());
        offsets.recovery_point = offsets.recovery_point.min(end_offset);
    }

    /// All segments, in order.
    pub(crate) fn segments(&self) -> Vec<Arc<LogSegment>> {
        self.segments.read().as_slice().to_vec()
    }

    pub(crate) fn with_segments<T>(&self, look: impl FnOnce(&LogSegments) -> T) -> T {
        look(&self.segments.read())
    }

    pub(crate) fn active_segment(&self) -> Arc<LogSegment> {
        let last = self.segments.read().last().map(Arc::clone);
        last.expect("LOG-HAS-SEGMENT: a log has at least one segment")
    }

    pub(crate) fn first_segment_base_offset(&self) -> i64 {
        self.segments.read().first().map_or(0, |segment| segment.base_offset())
    }

    pub(crate) fn floor_segment(&self, offset: i64) -> Option<Arc<LogSegment>> {
        self.segments.read().floor(offset).map(Arc::clone)
    }

    pub(crate) fn higher_segment(&self, base_offset: i64) -> Option<Arc<LogSegment>> {
        self.segments.read().higher(base_offset).map(Arc::clone)
    }

    pub(crate) fn size(&self) -> u64 {
        self.segments.read().as_slice().iter().map(|segment| segment.size()).sum()
    }

    /// Appends whole batches whose last offset is `last_offset`.
    pub(crate) fn append(&self, last_offset: i64, records: &StampedRecords) -> io::Result<()> {
        let before = self.end_offset();
        assert!(last_offset >= before, "LEO-MONOTONIC: appends move the log's end forward");
        self.active_segment().append(records)?;
        self.update_log_end_offset(last_offset + 1);
        Ok(())
    }

    /// Forces segments with offsets below `offset` that are not known to be on disk.
    pub(crate) fn flush(&self, offset: i64) -> io::Result<()> {
        let recovery_point = self.recovery_point();
        if recovery_point > offset {
            return Ok(());
        }
        let segments = self.with_segments(|segments| segments.between(recovery_point, offset));
        for segment in &segments {
            segment.flush()?;
        }
        if self.unsynced_names.swap(false, Ordering::AcqRel) {
            match self.fs.sync_dir(&self.dir()) {
                // The folder was renamed meanwhile, to be deleted.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                result => result.inspect_err(|_| self.unsynced_names.store(true, Ordering::Release))?,
            }
        }
        Ok(())
    }

    /// Hands what [`Self::flush`] would force to disk to it, in pieces; `go_on` is asked between them.
    pub(crate) fn write_out(&self, offset: i64, go_on: &mut dyn FnMut(Duration) -> bool) {
        let segments = self.with_segments(|segments| segments.between(self.recovery_point(), offset));
        segments.iter().all(|segment| segment.write_out(go_on));
    }

    /// Bytes of the segments that may have records which are not on disk.
    pub(crate) fn size_above_recovery_point(&self) -> u64 {
        let (from, end) = (self.recovery_point(), self.end_offset());
        if from >= end {
            return 0;
        }
        let segments = self.with_segments(|segments| segments.between(from, end));
        segments.iter().map(|segment| segment.size()).sum()
    }

    /// Everything is on disk.
    pub(crate) fn note_synced(&self) {
        self.unsynced_names.store(false, Ordering::Release);
        self.segments.read().as_slice().iter().for_each(|segment| segment.note_synced());
        self.mark_flushed(self.end_offset());
    }

    /// Whether a flush would have anything to do.
    pub(crate) fn is_unsynced(&self) -> bool {
        self.unsynced_names.load(Ordering::Acquire)
            || self.segments.read().as_slice().iter().any(|segment| segment.is_unsynced())
    }

    /// Begins a new segment at the log's end, or above it.
    pub(crate) fn roll(&self, expected_next_offset: Option<i64>) -> io::Result<Arc<LogSegment>> {
        let end = self.end_offset();
        let new_offset = expected_next_offset.unwrap_or(0).max(end);
        let active = self.active_segment();
        if active.base_offset() == new_offset {
            assert_eq!(
                active.size(),
                0,
                "ROLL-AFTER-ACTIVE: an active segment with records ends above its base"
            );
            // An index without room, in a segment without records: the settings have changed. Start anew.
            return self.create_and_delete_segment(new_offset, &active);
        }
        assert!(
            new_offset > active.base_offset(),
            "ROLL-AFTER-ACTIVE: a new segment lies behind the active one"
        );
        let dir = self.dir();
        for kind in [LOG_FILE_SUFFIX, INDEX_FILE_SUFFIX, TIME_INDEX_FILE_SUFFIX, TXN_INDEX_FILE_SUFFIX] {
            if self.fs.remove_file_if_exists(&segment_file(&dir, new_offset, kind))? {
                tracing::warn!(dir = %dir.display(), new_offset, kind, "file of a new segment was there already");
            }
        }
        active.on_become_inactive()?;
        let segment = self.open_segment(&dir, new_offset)?;
        self.segments.write().insert(Arc::clone(&segment));
        self.update_log_end_offset(end);
        Ok(segment)
    }

    /// Forgets everything and begins at an offset. Returns the segments removed.
    pub(crate) fn truncate_fully_and_start_at(&self, new_offset: i64) -> io::Result<Vec<Arc<LogSegment>>> {
        let removed = self.segments();
        let active = self.active_segment();
        self.remove_and_delete_segments(&removed[..removed.len() - 1])?;
        self.create_and_delete_segment(new_offset, &active)?;
        self.fs.sync_dir(&self.dir())?;
        self.update_log_end_offset(new_offset);
        Ok(removed)
    }

    /// Forgets all from an offset on that is not below the first segment. Returns the segments removed.
    pub(crate) fn truncate_to(&self, offset: i64) -> Result<Vec<Arc<LogSegment>>, ScanError> {
        let removed: Vec<_> = self.segments().into_iter().filter(|s| s.base_offset() > offset).collect();
        self.remove_and_delete_segments(&removed)?;
        if !removed.is_empty() {
            // A segment that came back after a crash would hide what is appended in its place.
            self.fs.sync_dir(&self.dir())?;
        }
        let active = self.active_segment();
        active.truncate_to(offset, self.time.now_ms())?;
        self.update_log_end_offset(offset);
        Ok(removed)
    }

    /// Takes segments out of the log now; their files go after `file.delete.delay.ms`, because somebody
    /// may be sending them. One segment must remain.
    pub(crate) fn remove_and_delete_segments(&self, doomed: &[Arc<LogSegment>]) -> io::Result<()> {
        {
            let mut segments = self.segments.write();
            for segment in doomed {
                segments.remove(segment.base_offset());
            }
            assert!(!segments.is_empty(), "LOG-HAS-SEGMENT: a log has at least one segment");
        }
        doomed.iter().try_for_each(|segment| self.doom(segment))
    }

    fn create_and_delete_segment(
        &self,
        new_offset: i64,
        doomed: &Arc<LogSegment>,
    ) -> io::Result<Arc<LogSegment>> {
        self.doom(doomed)?;
        let segment = self.open_segment(&self.dir(), new_offset)?;
        {
            let mut segments = self.segments.write();
            segments.remove(doomed.base_offset());
            segments.insert(Arc::clone(&segment));
        }
        self.update_log_end_offset(self.end_offset());
        Ok(segment)
    }

    fn open_segment(&self, dir: &Arc<Path>, base_offset: i64) -> io::Result<Arc<LogSegment>> {
        let now = self.time.now_ms();
        self.unsynced_names.store(true, Ordering::Release);
        LogSegment::create(&self.fs, dir, base_offset, &self.config(), now).map(Arc::new)
    }

    fn doom(&self, segment: &LogSegment) -> io::Result<()> {
        segment.change_suffix(DELETED_FILE_SUFFIX)?;
        self.doom_files(segment.files().to_vec());
        Ok(())
    }

    /// Has files removed after `file.delete.delay.ms`. They must have been renamed.
    pub(crate) fn doom_files(&self, paths: Vec<PathBuf>) {
        if paths.is_empty() {
            return;
        }
        let deadline_ms = self.time.now_ms().saturating_add(self.config().file_delete_delay_ms);
        let names: Vec<PathBuf> =
            paths.iter().filter_map(|path| path.file_name()).map(PathBuf::from).collect();
        let mut doomed = self.doomed_files.lock();
        // A segment that is compacted again soon gives the name to another file, which has its own time to go.
        doomed.iter_mut().for_each(|files| files.names.retain(|name| !names.contains(name)));
        doomed.push(DoomedFiles { deadline_ms, names });
    }

    /// Removes files whose time has come. Returns how many.
    pub(crate) fn delete_doomed_files(&self, now_ms: i64) -> io::Result<usize> {
        let due: Vec<DoomedFiles> =
            self.doomed_files.lock().extract_if(.., |files| files.deadline_ms <= now_ms).collect();
        if due.is_empty() {
            return Ok(0);
        }
        let dir = self.dir();
        let mut removed = 0;
        for name in due.iter().flat_map(|files| &files.names) {
            removed += usize::from(self.fs.remove_file_if_exists(&dir.join(name))?);
        }
        Ok(removed)
    }

    /// Has the folder renamed, and nobody look for a file in it meanwhile. The caller syncs the log
    /// directory.
    pub(crate) fn rename_dir(
        &self,
        name: &str,
        rename: impl FnOnce(&Path, &Path) -> io::Result<()>,
    ) -> io::Result<()> {
        let old = self.dir();
        let new: Arc<Path> = old.with_file_name(name).into();
        let segments = self.segments.read();
        let held: Vec<_> = segments.as_slice().iter().map(|segment| segment.hold_names()).collect();
        rename(&old, &new)?;
        held.into_iter().for_each(|segment| segment.change_dir(&new));
        *self.dir.write() = new;
        Ok(())
    }

    pub(crate) fn close(&self) -> io::Result<()> {
        self.segments().iter().try_for_each(|segment| segment.close())
    }

    /// Reads from a place on, up to a bound. The caller knows that the offset is within the log.
    pub(crate) fn read(
        &self,
        start_offset: i64,
        max_length: usize,
        min_one_message: bool,
        max_offset: LogOffsetMetadata,
        include_aborted: bool,
    ) -> Result<FetchDataInfo, ScanError> {
        let nothing = |at: LogOffsetMetadata| FetchDataInfo {
            fetch_offset_metadata: at,
            records: FileRecords::EMPTY,
            first_entry_incomplete: false,
            aborted_transactions: include_aborted.then(Vec::new),
        };
        if start_offset == max_offset.message_offset {
            return Ok(nothing(max_offset));
        }
        if start_offset > max_offset.message_offset {
            return Ok(nothing(self.convert_to_offset_metadata(start_offset)?));
        }
        let mut next = self.floor_segment(start_offset);
        while let Some(segment) = next {
            let base_offset = segment.base_offset();
            let max_position =
                max_offset.location.and_then(|max| match base_offset.cmp(&max.segment_base_offset) {
                    std::cmp::Ordering::Less => Some(segment.size()),
                    std::cmp::Ordering::Equal => Some(max.relative_position),
                    std::cmp::Ordering::Greater => None,
                });
            let Some(read) = segment.read(start_offset, max_length, max_position, min_one_message)? else {
                next = self.higher_segment(base_offset);
                continue;
            };
            let aborted_transactions = if include_aborted {
                let bound = segment.fetch_upper_bound_offset(read.position, read.records.size_in_bytes())?;
                Some(self.aborted_in(start_offset, bound, &segment)?)
            } else {
                None
            };
            return Ok(FetchDataInfo {
                fetch_offset_metadata: LogOffsetMetadata::at(start_offset, base_offset, read.position),
                records: read.records,
                first_entry_incomplete: read.first_entry_incomplete,
                aborted_transactions,
            });
        }
        // All records behind the offset were compacted away.
        Ok(nothing(self.end_metadata()))
    }

    /// Where an offset lies.
    pub(crate) fn convert_to_offset_metadata(&self, offset: i64) -> Result<LogOffsetMetadata, ScanError> {
        let end = self.end_metadata();
        if offset >= end.message_offset {
            return Ok(if offset == end.message_offset {
                end
            } else {
                LogOffsetMetadata::offset_only(offset)
            });
        }
        if offset < self.first_segment_base_offset() {
            return Ok(LogOffsetMetadata::offset_only(offset));
        }
        Ok(self.read(offset, 1, false, end, false)?.fetch_offset_metadata)
    }

    fn aborted_in(
        &self,
        start_offset: i64,
        bound: Option<i64>,
        segment: &LogSegment,
    ) -> io::Result<Vec<AbortedTxn>> {
        let next = || self.higher_segment(segment.base_offset()).map(|next| next.base_offset());
        let upper_bound = bound.or_else(next).unwrap_or_else(|| self.end_offset());
        self.collect_aborted_transactions(start_offset, upper_bound, segment.base_offset())
    }

    /// Aborted transactions with records in `[start_offset, upper_bound)`, from a segment on.
    pub(crate) fn collect_aborted_transactions(
        &self,
        start_offset: i64,
        upper_bound: i64,
        from_base_offset: i64,
    ) -> io::Result<Vec<AbortedTxn>> {
        let segments = self.with_segments(|segments| segments.between(from_base_offset, i64::MAX));
        let mut aborted = Vec::new();
        for segment in segments {
            let found = segment.collect_aborted_txns(start_offset, upper_bound)?;
            aborted.extend(found.aborted);
            if found.is_complete {
                break;
            }
        }
        Ok(aborted)
    }
}

mod append;
mod cleaning;
mod read;
mod recovery;
mod timestamps;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, MutexGuard, OnceLock};
use std::time::{Duration, Instant};

use crate::file_records::FileRecords;
use crate::fs::{FileSystem, HeldName, LogFile, OpenMode};
use crate::index::{OffsetIndex, OffsetPosition, TimeIndex, TimestampOffset, TransactionIndex};
use crate::log_config::LogConfig;
use crate::log_file_names::{
    INDEX_FILE_SUFFIX, LOG_FILE_SUFFIX, TIME_INDEX_FILE_SUFFIX, TXN_INDEX_FILE_SUFFIX, segment_file,
};
use crate::recent_batches::RecentBatches;
use crate::sync::Mutex;

/// One piece on its way to the disk: some milliseconds of its time.
const WRITE_OUT_BYTES: u64 = 8 << 20;
/// No file has this size.
const NEVER_SYNCED: u64 = u64::MAX;

/// A stretch of the log: a `.log` file of batches and its indexes.
///
/// Appends and truncations come from under the log's lock, reads from anywhere: what grows is behind
/// locks of its own, held only in memory.
#[derive(Debug)]
pub struct LogSegment {
    fs: Arc<dyn FileSystem>,
    base_offset: i64,
    /// Made when first needed, like the indexes: see [`Self::file`].
    file: OnceLock<Arc<dyn LogFile>>,
    size: AtomicU64,
    /// Up to where the file system has given room.
    reserved: AtomicU64,
    /// The size when the file was last forced to disk.
    synced: AtomicU64,
    index_interval_bytes: usize,
    roll_jitter_ms: i64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Folder and suffix, for names; both can change.
    dir: Arc<Path>,
    suffix: &'static str,
    max_index_size: usize,
    indexes: Option<Box<Indexes>>,
    /// Read when first needed, too.
    txn_index: Option<Box<TransactionIndex>>,
    /// What was seen of batches, once one was.
    seen: Option<Box<Seen>>,
    created_ms: i64,
    /// Rolled: descriptors of the indexes can go once they are flushed.
    inactive: bool,
}

#[derive(Debug, Default)]
struct Seen {
    /// Largest timestamp so far and the last offset of its batch. Read from the index when first needed.
    max_timestamp: Option<TimestampOffset>,
    /// Timestamp of the first batch, from which age is counted.
    rolling_based_timestamp: Option<i64>,
    bytes_since_last_index_entry: usize,
    recent: RecentBatches,
}

/// Read when first needed: most segments are never looked into, and starting must not wait for them.
#[derive(Debug)]
struct Indexes {
    offset: OffsetIndex,
    time: TimeIndex,
}

impl State {
    fn seen(&mut self) -> &mut Seen {
        self.seen.get_or_insert_default()
    }

    fn path(&self, base_offset: i64, kind: &str) -> PathBuf {
        segment_file(&self.dir, base_offset, &format!("{kind}{}", self.suffix))
    }

    /// Hands all entries to the files. Those returned are to be synced.
    fn begin_index_flush(&mut self) -> io::Result<Vec<Arc<dyn LogFile>>> {
        let mut unsynced = Vec::new();
        if let Some(indexes) = &mut self.indexes {
            unsynced.extend(indexes.offset.begin_flush()?);
            unsynced.extend(indexes.time.begin_flush()?);
        }
        if let Some(index) = &mut self.txn_index {
            unsynced.extend(index.begin_flush()?);
        }
        Ok(unsynced)
    }

    fn note_indexes_unsynced(&mut self) {
        if let Some(indexes) = &mut self.indexes {
            indexes.offset.note_unsynced();
            indexes.time.note_unsynced();
        }
        if let Some(index) = &mut self.txn_index {
            index.note_unsynced();
        }
    }

    fn flush_indexes(&mut self) -> io::Result<()> {
        if let Some(indexes) = &mut self.indexes {
            indexes.offset.flush()?;
            indexes.time.flush()?;
        }
        self.txn_index.as_mut().map_or(Ok(()), |index| index.flush())
    }

    fn close_indexes(&mut self) -> io::Result<()> {
        if let Some(indexes) = &mut self.indexes {
            indexes.offset.close()?;
            indexes.time.close()?;
        }
        if let Some(index) = &mut self.txn_index {
            index.close();
        }
        Ok(())
    }
}

/// What decides whether the next records go to a new segment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RollParams {
    pub(crate) max_segment_ms: i64,
    pub(crate) max_segment_bytes: usize,
    pub(crate) max_timestamp_in_messages: i64,
    pub(crate) max_offset_in_messages: i64,
    pub(crate) messages_size: usize,
    pub(crate) now_ms: i64,
}

/// What one read of a segment found.
#[derive(Debug)]
pub(crate) struct SegmentRead {
    /// First byte of the batch with the wanted offset.
    pub(crate) position: u64,
    pub(crate) records: FileRecords,
    pub(crate) first_entry_incomplete: bool,
}

/// A record's time and offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimestampAndOffset {
    /// The timestamp, or -1.
    pub timestamp: i64,
    /// The offset.
    pub offset: i64,
    /// Epoch in which it was written, if known.
    pub leader_epoch: Option<i32>,
}

impl LogSegment {
    /// A segment that is there. Its files are opened when they are used.
    pub(crate) fn open(
        fs: &Arc<dyn FileSystem>,
        dir: &Arc<Path>,
        base_offset: i64,
        config: &LogConfig,
        now_ms: i64,
        suffix: &'static str,
    ) -> io::Result<Self> {
        let path = segment_file(dir, base_offset, &format!("{LOG_FILE_SUFFIX}{suffix}"));
        let size = fs.metadata(&path)?.ok_or(io::ErrorKind::NotFound)?.len;
        let segment = Self::plan(fs, dir, base_offset, config, now_ms);
        segment.state.lock().suffix = suffix;
        segment.size.store(size, Ordering::Release);
        segment.reserved.store(size, Ordering::Relaxed);
        segment.synced.store(NEVER_SYNCED, Ordering::Release);
        Ok(segment)
    }

    /// A new segment whose files are still to be made: until then it is empty, and nobody looks into them.
    pub(crate) fn plan(
        fs: &Arc<dyn FileSystem>,
        dir: &Arc<Path>,
        base_offset: i64,
        config: &LogConfig,
        now_ms: i64,
    ) -> Self {
        let (suffix, size) = ("", 0);
        Self {
            fs: Arc::clone(fs),
            base_offset,
            file: OnceLock::new(),
            size: AtomicU64::new(size),
            reserved: AtomicU64::new(size),
            synced: AtomicU64::new(size),
            index_interval_bytes: config.index_interval_bytes,
            roll_jitter_ms: roll_jitter(config, base_offset, now_ms),
            state: Mutex::new(State {
                dir: Arc::clone(dir),
                suffix,
                max_index_size: config.segment_index_bytes,
                indexes: None,
                txn_index: None,
                seen: None,
                created_ms: now_ms,
                inactive: false,
            }),
        }
    }

    /// Makes the files of a new segment, also of its indexes, so that a crash does not leave it without.
    pub(crate) fn create(
        fs: &Arc<dyn FileSystem>,
        dir: &Arc<Path>,
        base_offset: i64,
        config: &LogConfig,
        now_ms: i64,
    ) -> io::Result<Self> {
        let segment = Self::plan(fs, dir, base_offset, config, now_ms);
        segment.create_files()?;
        Ok(segment)
    }

    /// Makes the files that were planned.
    pub(crate) fn create_files(&self) -> io::Result<()> {
        let state = self.state.lock();
        for kind in [LOG_FILE_SUFFIX, INDEX_FILE_SUFFIX, TIME_INDEX_FILE_SUFFIX] {
            self.fs.open(&state.path(self.base_offset, kind), OpenMode::Truncate)?;
        }
        Ok(())
    }

    /// The file is as a clean shutdown left it, or without content: nothing is to be forced to disk.
    pub(crate) fn note_synced(&self) {
        self.synced.store(self.size(), Ordering::Release);
    }

    /// Whether something was written that was not forced to disk.
    pub(crate) fn is_unsynced(&self) -> bool {
        self.synced.load(Ordering::Acquire) != self.size()
    }

    /// The `.log` file. Not to be asked for with the segment's lock held.
    fn file(&self) -> io::Result<&Arc<dyn LogFile>> {
        match self.file.get() {
            Some(file) => Ok(file),
            None => self.name_file(),
        }
    }

    #[cold]
    fn name_file(&self) -> io::Result<&Arc<dyn LogFile>> {
        // Under the lock, so that the name cannot change before whoever changes it sees the file.
        let state = self.state.lock();
        if self.file.get().is_none() {
            let path = state.path(self.base_offset, LOG_FILE_SUFFIX);
            let _ = self.file.set(self.fs.open_later(&path)?);
        }
        self.file.get().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// First offset the segment may have.
    pub fn base_offset(&self) -> i64 {
        self.base_offset
    }

    /// Bytes of the `.log` file.
    pub fn size(&self) -> u64 {
        self.size.load(Ordering::Acquire)
    }

    /// Hands records that were not forced to disk yet to it, in pieces; `go_on` is asked between them.
    pub(crate) fn write_out(&self, go_on: &mut dyn FnMut(Duration) -> bool) -> bool {
        let synced = self.synced.load(Ordering::Acquire);
        let (mut position, end) = (if synced == NEVER_SYNCED { 0 } else { synced }, self.size());
        while position < end {
            let begin = Instant::now();
            if let Ok(file) = self.file() {
                file.write_out(position, WRITE_OUT_BYTES);
            }
            position += WRITE_OUT_BYTES;
            if !go_on(begin.elapsed()) {
                return false;
            }
        }
        true
    }

    /// Forces files to disk. Appends need not wait for it: no lock of theirs is held meanwhile.
    pub(crate) fn flush(&self) -> io::Result<()> {
        if self.is_unsynced() {
            // What is appended meanwhile may be missed.
            let size = self.size();
            self.file()?.sync()?;
            self.synced.store(size, Ordering::Release);
        }
        let unsynced = self.state.lock().begin_index_flush()?;
        let synced = unsynced.iter().try_for_each(|file| file.sync());
        let mut state = self.state.lock();
        if let Err(error) = synced {
            state.note_indexes_unsynced();
            // Renamed meanwhile, and opened again by the old name.
            if error.kind() != io::ErrorKind::NotFound {
                return Err(error);
            }
            state.flush_indexes()?;
        }
        if state.inactive {
            state.close_indexes()?;
        }
        Ok(())
    }

    /// Nothing more will be appended: the time index gets its last entry, files their final length.
    pub(crate) fn on_become_inactive(&self) -> io::Result<()> {
        self.release_reserved()?;
        let mut state = self.state.lock();
        self.append_last_time_entry(&mut state)?;
        state.inactive = true;
        state.seen().recent.clear();
        let indexes = self.indexes(&mut state)?;
        // Opened again by the first entry: a partition nobody writes to costs one descriptor, as in Kafka.
        indexes.offset.close()?;
        indexes.time.close()
    }

    /// Leaves files as a clean shutdown does.
    pub(crate) fn close(&self) -> io::Result<()> {
        self.release_reserved()?;
        let mut state = self.state.lock();
        if let Some(index) = &mut state.txn_index {
            index.close();
        }
        // An index nobody opened is as it was made or as the last shutdown left it; do not read it only to
        // close it.
        if state.indexes.is_none() {
            return Ok(());
        }
        if state.seen.as_ref().is_some_and(|seen| seen.max_timestamp.is_some()) {
            self.append_last_time_entry(&mut state)?;
        }
        let indexes = self.indexes(&mut state)?;
        indexes.offset.close()?;
        indexes.time.close()
    }

    fn offset_index_lookup(&self, offset: i64) -> io::Result<OffsetPosition> {
        let mut state = self.state.lock();
        Ok(self.indexes(&mut state)?.offset.lookup(offset))
    }

    fn offset_index_position(&self, state: &mut State, offset: i64) -> io::Result<u64> {
        Ok(u64::from(self.indexes(state)?.offset.lookup(offset).position))
    }

    fn indexes<'s>(&self, state: &'s mut State) -> io::Result<&'s mut Indexes> {
        if state.indexes.is_none() {
            let path = |kind: &str| state.path(self.base_offset, kind);
            let (max, fs) = (state.max_index_size, || Arc::clone(&self.fs));
            let offset = OffsetIndex::open(fs(), path(INDEX_FILE_SUFFIX), self.base_offset, max)?;
            let time = TimeIndex::open(fs(), path(TIME_INDEX_FILE_SUFFIX), self.base_offset, max)?;
            state.indexes = Some(Box::new(Indexes { offset, time }));
        }
        state.indexes.as_deref_mut().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn txn_index<'s>(&self, state: &'s mut State) -> io::Result<&'s mut TransactionIndex> {
        if state.txn_index.is_none() {
            let path = state.path(self.base_offset, TXN_INDEX_FILE_SUFFIX);
            let index = TransactionIndex::open(Arc::clone(&self.fs), path, self.base_offset)?;
            state.txn_index = Some(Box::new(index));
        }
        state.txn_index.as_deref_mut().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

/// Names of the files.
impl LogSegment {
    fn path(&self, kind: &str) -> PathBuf {
        self.state.lock().path(self.base_offset, kind)
    }

    /// Renames all files; a missing one is no error.
    pub(crate) fn change_suffix(&self, suffix: &'static str) -> io::Result<()> {
        let mut held = self.hold_names();
        let (dir, old) = (Arc::clone(&held.state.dir), held.state.suffix);
        for kind in [LOG_FILE_SUFFIX, INDEX_FILE_SUFFIX, TIME_INDEX_FILE_SUFFIX, TXN_INDEX_FILE_SUFFIX] {
            let name = |suffix: &str| segment_file(&dir, self.base_offset, &format!("{kind}{suffix}"));
            self.fs.rename_if_exists(&name(old), &name(suffix))?;
        }
        held.state.suffix = suffix;
        held.change_dir(&dir);
        Ok(())
    }

    /// Keeps everybody from opening the files under their names while those change.
    pub(crate) fn hold_names(&self) -> HeldSegment<'_> {
        let state = self.state.lock();
        let log = self.file.get().and_then(|file| file.hold_name());
        HeldSegment { base_offset: self.base_offset, state, log }
    }

    /// Paths of all files, there or not.
    pub(crate) fn files(&self) -> [PathBuf; 4] {
        [LOG_FILE_SUFFIX, INDEX_FILE_SUFFIX, TIME_INDEX_FILE_SUFFIX, TXN_INDEX_FILE_SUFFIX]
            .map(|kind| self.path(kind))
    }
}

/// A segment whose files, or whose folder, are being renamed.
#[derive(Debug)]
pub(crate) struct HeldSegment<'a> {
    base_offset: i64,
    state: MutexGuard<'a, State>,
    log: Option<HeldName<'a>>,
}

impl HeldSegment<'_> {
    /// The folder has this name now.
    pub(crate) fn change_dir(mut self, dir: &Arc<Path>) {
        let state = &mut *self.state;
        let path = |kind: &str| segment_file(dir, self.base_offset, &format!("{kind}{}", state.suffix));
        if let Some(name) = self.log {
            name.change(&path(LOG_FILE_SUFFIX));
        }
        if let Some(indexes) = &mut state.indexes {
            indexes.offset.set_path(path(INDEX_FILE_SUFFIX));
            indexes.time.set_path(path(TIME_INDEX_FILE_SUFFIX));
        }
        if let Some(index) = &mut state.txn_index {
            index.set_path(path(TXN_INDEX_FILE_SUFFIX));
        }
        state.dir = Arc::clone(dir);
    }
}

/// Spreads rolls in time, so that partitions made together do not roll together. No more than a spread
/// is needed, so a mix of what is at hand does for chance.
fn roll_jitter(config: &LogConfig, base_offset: i64, now_ms: i64) -> i64 {
    let max = config.max_segment_jitter_ms();
    if max <= 0 {
        return 0;
    }
    let seed = (base_offset as u64).wrapping_add((now_ms as u64).rotate_left(32));
    let mixed = (seed ^ (seed >> 29)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    ((mixed ^ (mixed >> 32)) % max as u64) as i64
}

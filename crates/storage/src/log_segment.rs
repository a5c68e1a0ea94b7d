use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, MutexGuard};

use ottla_record::{DecompressionLimits, NO_TIMESTAMP, RecordBatchHeader, RecordError, peek_batch_size};

use crate::file_records::{BatchAt, BatchScanner, FileRecords, ScanError, read_batch};
use crate::fs::{FileSystem, HeldName, LogFile, OpenMode};
use crate::index::{
    AbortedTxn, CorruptIndexError, OffsetIndex, OffsetPosition, TimeIndex, TimestampOffset, TransactionIndex,
    TxnIndexSearchResult,
};
use crate::log_config::LogConfig;
use crate::log_entry::LogEntry;
use crate::log_file_names::{
    INDEX_FILE_SUFFIX, LOG_FILE_SUFFIX, TIME_INDEX_FILE_SUFFIX, TXN_INDEX_FILE_SUFFIX, segment_file,
};
use crate::recent_batches::{BatchPlace, RecentBatches};
use crate::stamped_records::StampedRecords;
use crate::sync::Mutex;

/// Room reserved ahead: this part of what the segment has.
const RESERVED_PART: u64 = 8;
const RESERVED_BYTES_MIN: u64 = 64 * 1024;
const RESERVED_BYTES_MAX: u64 = 8 * 1024 * 1024;
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
    file: Arc<dyn LogFile>,
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
    /// Largest timestamp so far and the last offset of its batch. Read from the index when first needed.
    max_timestamp: Option<TimestampOffset>,
    /// Timestamp of the first batch, from which age is counted.
    rolling_based_timestamp: Option<i64>,
    created_ms: i64,
    bytes_since_last_index_entry: usize,
    recent: RecentBatches,
    /// Rolled: descriptors of the indexes can go once they are flushed.
    inactive: bool,
}

/// Read when first needed: most segments are never looked into, and starting must not wait for them.
#[derive(Debug)]
struct Indexes {
    offset: OffsetIndex,
    time: TimeIndex,
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
        let segment = Self::plan(fs, dir, base_offset, config, now_ms)?;
        segment.state.lock().suffix = suffix;
        if let Some(name) = segment.file.hold_name() {
            name.change(&path);
        }
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
    ) -> io::Result<Self> {
        let (suffix, size) = ("", 0);
        let file = fs.open_later(&segment_file(dir, base_offset, LOG_FILE_SUFFIX))?;
        Ok(Self {
            fs: Arc::clone(fs),
            base_offset,
            file,
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
                max_timestamp: None,
                rolling_based_timestamp: None,
                created_ms: now_ms,
                bytes_since_last_index_entry: 0,
                recent: RecentBatches::default(),
                inactive: false,
            }),
        })
    }

    /// Makes the files of a new segment, also of its indexes, so that a crash does not leave it without.
    pub(crate) fn create(
        fs: &Arc<dyn FileSystem>,
        dir: &Arc<Path>,
        base_offset: i64,
        config: &LogConfig,
        now_ms: i64,
    ) -> io::Result<Self> {
        let segment = Self::plan(fs, dir, base_offset, config, now_ms)?;
        segment.create_files()?;
        Ok(segment)
    }

    /// Makes the files that were planned.
    pub(crate) fn create_files(&self) -> io::Result<()> {
        let state = self.state.lock();
        for kind in [LOG_FILE_SUFFIX, INDEX_FILE_SUFFIX, TIME_INDEX_FILE_SUFFIX] {
            self.fs.open(&segment_file(&state.dir, self.base_offset, kind), OpenMode::Truncate)?;
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

    /// First offset the segment may have.
    pub fn base_offset(&self) -> i64 {
        self.base_offset
    }

    /// Bytes of the `.log` file.
    pub fn size(&self) -> u64 {
        self.size.load(Ordering::Acquire)
    }

    pub(crate) fn should_roll(&self, p: &RollParams) -> io::Result<bool> {
        let size = self.size();
        let waited = self.time_waited_for_roll(p.now_ms, p.max_timestamp_in_messages)?;
        let reached_roll_ms = waited > p.max_segment_ms.saturating_sub(self.roll_jitter_ms);
        let mut state = self.state.lock();
        let indexes = self.indexes(&mut state)?;
        Ok(size + p.messages_size as u64 > p.max_segment_bytes as u64
            || (size > 0 && reached_roll_ms)
            || indexes.offset.is_full()
            || indexes.time.is_full()
            || !indexes.offset.can_append_offset(p.max_offset_in_messages))
    }

    /// Writes batches at the end. They are whole, valid, and in order.
    pub(crate) fn append(&self, records: &StampedRecords) -> io::Result<()> {
        let start = self.size();
        self.reserve_ahead(start, records.len() as u64);
        records.write_to(self.file.as_ref(), start)?;
        self.size.store(start + records.len() as u64, Ordering::Release);
        let mut state = self.state.lock();
        self.load_max_timestamp(&mut state)?;
        let mut rest = &records.unstamped()[..];
        let mut position = start;
        while let Ok(Some(size)) = peek_batch_size(rest)
            && let Some((batch, next)) = rest.split_at_checked(size)
            && let Ok(batch) = RecordBatchHeader::new(batch)
        {
            let offset = batch.last_offset() + records.offset_shift();
            let last = TimestampOffset { timestamp: batch.max_timestamp(), offset };
            self.note_entry(&mut state, last, size, position)?;
            let base_offset = batch.base_offset() + records.offset_shift();
            state.recent.push(BatchPlace { base_offset, last_offset: offset, position, size });
            position += size as u64;
            rest = next;
        }
        assert!(rest.is_empty(), "SEGMENT-WHOLE-BATCHES: only whole batches are appended");
        Ok(())
    }

    /// Has the file system give room in larger steps than batches are: it is busy with each of them.
    fn reserve_ahead(&self, start: u64, len: u64) {
        let end = start + len;
        if end > self.reserved.load(Ordering::Relaxed) {
            let ahead = (end / RESERVED_PART).clamp(RESERVED_BYTES_MIN, RESERVED_BYTES_MAX);
            self.file.reserve(start, len + ahead);
            self.reserved.store(end + ahead, Ordering::Relaxed);
        }
    }

    fn release_reserved(&self) -> io::Result<()> {
        if self.reserved.swap(0, Ordering::Relaxed) > self.size() {
            self.file.release_reserved(self.size())?;
        }
        Ok(())
    }

    /// Takes note of largest timestamp and last offset of an entry, and of its bytes.
    fn note_entry(
        &self,
        state: &mut State,
        entry: TimestampOffset,
        size: usize,
        position: u64,
    ) -> io::Result<()> {
        let max = state.max_timestamp.filter(|max| max.timestamp >= entry.timestamp).unwrap_or(entry);
        state.max_timestamp = Some(max);
        state.rolling_based_timestamp.get_or_insert(entry.timestamp);
        if state.bytes_since_last_index_entry > self.index_interval_bytes {
            let indexes = self.indexes(state)?;
            if !indexes.offset.is_full() {
                indexes.offset.append(entry.offset, position as u32)?;
            }
            if !indexes.time.is_full() {
                indexes.time.maybe_append(max)?;
            }
            state.bytes_since_last_index_entry = 0;
        }
        state.bytes_since_last_index_entry += size;
        Ok(())
    }

    /// Notes an aborted transaction whose marker was just appended.
    pub(crate) fn append_aborted_txn(&self, txn: AbortedTxn) -> io::Result<()> {
        self.txn_index(&mut self.state.lock())?.append(txn)
    }

    /// The first batch whose last offset is not below `offset`.
    pub(crate) fn translate_offset(&self, offset: i64) -> Result<Option<BatchAt>, ScanError> {
        let start = self.offset_index_lookup(offset)?;
        let mut scanner = BatchScanner::new(self.file.as_ref(), u64::from(start.position), self.size());
        while let Some(batch) = scanner.next_header()? {
            if batch.header.last_offset() >= offset {
                return Ok(Some(batch));
            }
        }
        Ok(None)
    }

    /// Position and size of the first batch whose last offset is not below `offset`.
    fn place_of(&self, offset: i64) -> Result<Option<(u64, usize)>, ScanError> {
        let recent = self.state.lock().recent.find(offset);
        if let Some(place) = recent {
            return Ok(Some((place.position, place.size)));
        }
        let found = self.translate_offset(offset)?;
        Ok(found.map(|batch| (batch.position, batch.header.size_in_bytes())))
    }

    /// Reads from the batch that has `start_offset`, up to `max_position` of the file. `None` if all
    /// offsets here are smaller; without `max_position` nothing may be read.
    pub(crate) fn read(
        &self,
        start_offset: i64,
        max_size: usize,
        max_position: Option<u64>,
        min_one_message: bool,
    ) -> Result<Option<SegmentRead>, ScanError> {
        let Some((position, first_size)) = self.place_of(start_offset)? else { return Ok(None) };
        let max_size = if min_one_message { max_size.max(first_size) } else { max_size };
        let available = max_position.map_or(0, |max| max.saturating_sub(position));
        let len = usize::try_from(available).unwrap_or(usize::MAX).min(max_size);
        if len == 0 {
            let records = FileRecords::EMPTY;
            return Ok(Some(SegmentRead { position, records, first_entry_incomplete: false }));
        }
        let records = FileRecords::new(Arc::clone(&self.file), position, len);
        Ok(Some(SegmentRead { position, records, first_entry_incomplete: max_size < first_size }))
    }

    /// Whole records of a stretch of the file, for replaying producer state.
    pub(crate) fn scan_from(&self, position: u64, end: u64) -> BatchScanner<'_> {
        BatchScanner::for_recovery(self.file.as_ref(), position, end.min(self.size()))
    }

    pub(crate) fn fetch_upper_bound_offset(
        &self,
        position: u64,
        fetch_size: usize,
    ) -> io::Result<Option<i64>> {
        let start = OffsetPosition { offset: self.base_offset, position: position as u32 };
        let mut state = self.state.lock();
        let bound = self.indexes(&mut state)?.offset.fetch_upper_bound_offset(start, fetch_size);
        Ok(bound.map(|b| b.offset))
    }

    pub(crate) fn collect_aborted_txns(
        &self,
        fetch_offset: i64,
        upper_bound: i64,
    ) -> io::Result<TxnIndexSearchResult> {
        Ok(self.txn_index(&mut self.state.lock())?.collect_aborted(fetch_offset, upper_bound))
    }

    /// The first record from `starting_offset` on whose timestamp is not below `timestamp`.
    pub(crate) fn find_offset_by_timestamp(
        &self,
        timestamp: i64,
        starting_offset: i64,
        limits: &DecompressionLimits,
    ) -> Result<Option<TimestampAndOffset>, ScanError> {
        let from = {
            let mut state = self.state.lock();
            let indexes = self.indexes(&mut state)?;
            let entry = indexes.time.lookup(timestamp);
            indexes.offset.lookup(entry.offset.max(starting_offset))
        };
        let mut scanner = BatchScanner::new(self.file.as_ref(), u64::from(from.position), self.size());
        while let Some(batch) = scanner.next_header()? {
            if batch.header.max_timestamp() < timestamp || batch.header.last_offset() < starting_offset {
                continue;
            }
            let found = |ts: i64, offset: i64| ts >= timestamp && offset >= starting_offset;
            if let Some(record) = self.find_record(&batch, found, limits)? {
                return Ok(Some(record));
            }
        }
        Ok(None)
    }

    /// The first record with the segment's largest timestamp.
    pub(crate) fn find_max_timestamp_record(
        &self,
        limits: &DecompressionLimits,
    ) -> Result<Option<TimestampAndOffset>, ScanError> {
        let max = self.max_timestamp_and_offset()?;
        let from = self.offset_index_lookup(max.offset)?;
        let mut scanner = BatchScanner::new(self.file.as_ref(), u64::from(from.position), self.size());
        while let Some(batch) = scanner.next_header()? {
            if batch.header.max_timestamp() == max.timestamp {
                return self.find_record(&batch, |ts, _| ts == max.timestamp, limits);
            }
        }
        Ok(None)
    }

    fn find_record(
        &self,
        batch: &BatchAt,
        wanted: impl Fn(i64, i64) -> bool,
        limits: &DecompressionLimits,
    ) -> Result<Option<TimestampAndOffset>, ScanError> {
        let epoch = Some(batch.header.partition_leader_epoch()).filter(|epoch| *epoch >= 0);
        // A batch that is gone meanwhile was truncated; that is no failure of the disk.
        let bytes = match read_batch(self.file.as_ref(), batch) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            result => result?,
        };
        let found = LogEntry::new(bytes)?.find_record(wanted, limits)?;
        Ok(found.map(|(timestamp, offset)| TimestampAndOffset { timestamp, offset, leader_epoch: epoch }))
    }

    /// Forgets all from `offset` on. Returns the bytes removed.
    pub(crate) fn truncate_to(&self, offset: i64, now_ms: i64) -> Result<u64, ScanError> {
        let from = self.translate_offset(offset)?;
        let mut state = self.state.lock();
        let indexes = self.indexes(&mut state)?;
        indexes.offset.truncate_to(offset)?;
        indexes.time.truncate_to(offset)?;
        self.txn_index(&mut state)?.truncate_to(offset)?;
        let removed = match from {
            Some(batch) => self.truncate_file(batch.position)?,
            None => 0,
        };
        if self.size() == 0 {
            state.created_ms = now_ms;
            state.rolling_based_timestamp = None;
        }
        state.bytes_since_last_index_entry = 0;
        state.recent.clear();
        let largest = self.read_largest_timestamp(&mut state)?;
        state.max_timestamp = Some(largest);
        Ok(removed)
    }

    pub(crate) fn truncate_file(&self, len: u64) -> io::Result<u64> {
        let old = self.size();
        if len < old {
            self.file.set_len(len)?;
            self.size.store(len, Ordering::Release);
            // If the next records go to another segment, no flush would come here any more, and after a
            // crash the old records were back beside the new ones.
            self.file.sync()?;
            self.synced.store(len, Ordering::Release);
        }
        Ok(old.saturating_sub(len))
    }

    /// The offset after the last record, or the base offset.
    pub(crate) fn read_next_offset(&self) -> Result<i64, ScanError> {
        let last_indexed = {
            let mut state = self.state.lock();
            if self.size() == 0 {
                return Ok(self.base_offset);
            }
            let offset = self.indexes(&mut state)?.offset.last_offset();
            self.offset_index_position(&mut state, offset)?
        };
        let mut scanner = BatchScanner::new(self.file.as_ref(), last_indexed, self.size());
        let mut next = self.base_offset;
        while let Some(batch) = scanner.next_header()? {
            next = next.max(batch.header.next_offset());
        }
        Ok(next)
    }

    /// Forces files to disk.
    pub(crate) fn flush(&self) -> io::Result<()> {
        if self.is_unsynced() {
            // What is appended meanwhile may be missed.
            let size = self.size();
            self.file.sync()?;
            self.synced.store(size, Ordering::Release);
        }
        let mut state = self.state.lock();
        let inactive = state.inactive;
        if let Some(indexes) = &mut state.indexes {
            indexes.offset.flush()?;
            indexes.time.flush()?;
            if inactive {
                indexes.offset.close()?;
                indexes.time.close()?;
            }
        }
        if let Some(index) = &mut state.txn_index {
            index.flush()?;
            if inactive {
                index.close();
            }
        }
        Ok(())
    }

    /// Nothing more will be appended: the time index gets its last entry, files their final length.
    pub(crate) fn on_become_inactive(&self) -> io::Result<()> {
        self.release_reserved()?;
        let mut state = self.state.lock();
        self.append_last_time_entry(&mut state)?;
        state.inactive = true;
        state.recent.clear();
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
        if state.max_timestamp.is_some() {
            self.append_last_time_entry(&mut state)?;
        }
        let indexes = self.indexes(&mut state)?;
        indexes.offset.close()?;
        indexes.time.close()
    }

    fn append_last_time_entry(&self, state: &mut State) -> io::Result<()> {
        let max = self.load_max_timestamp(state)?;
        self.indexes(state)?.time.maybe_append(max)
    }

    /// Largest timestamp of the segment's records, -1 if none has one.
    pub fn max_timestamp_so_far(&self) -> io::Result<i64> {
        Ok(self.max_timestamp_and_offset()?.timestamp)
    }

    pub(crate) fn max_timestamp_and_offset(&self) -> io::Result<TimestampOffset> {
        self.load_max_timestamp(&mut self.state.lock())
    }

    /// Largest timestamp, or when the file was last written if no record has one: what retention goes by.
    pub(crate) fn largest_timestamp(&self) -> io::Result<i64> {
        let max = self.max_timestamp_so_far()?;
        if max >= 0 { Ok(max) } else { self.last_modified_ms() }
    }

    /// When the `.log` file was last written.
    pub(crate) fn last_modified_ms(&self) -> io::Result<i64> {
        let path = self.path(LOG_FILE_SUFFIX);
        let metadata = self.fs.metadata(&path)?;
        match metadata {
            Some(file) => Ok(file.modified_ms),
            // It is still to be made.
            None if self.size() == 0 => Ok(self.state.lock().created_ms),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// Timestamp of the first batch; the largest number if there is none.
    pub fn first_batch_timestamp(&self) -> io::Result<i64> {
        let first = self.rolling_based_timestamp()?;
        Ok(first.filter(|ts| *ts >= 0).unwrap_or(i64::MAX))
    }

    fn time_waited_for_roll(&self, now_ms: i64, message_timestamp: i64) -> io::Result<i64> {
        let first = self.rolling_based_timestamp()?;
        Ok(match first.filter(|ts| *ts >= 0) {
            Some(first) => message_timestamp.saturating_sub(first),
            None => now_ms.saturating_sub(self.state.lock().created_ms),
        })
    }

    fn rolling_based_timestamp(&self) -> io::Result<Option<i64>> {
        let known = self.state.lock().rolling_based_timestamp;
        if known.is_some() || self.size() == 0 {
            return Ok(known);
        }
        let mut scanner = BatchScanner::new(self.file.as_ref(), 0, self.size());
        let first = match scanner.next_header() {
            Ok(first) => first.map(|batch| batch.header.max_timestamp()),
            Err(ScanError::Io(error)) => return Err(error),
            Err(ScanError::Corrupt(_)) => None,
        };
        self.state.lock().rolling_based_timestamp = first;
        Ok(first)
    }

    fn load_max_timestamp(&self, state: &mut State) -> io::Result<TimestampOffset> {
        if let Some(known) = state.max_timestamp {
            return Ok(known);
        }
        let last = self.indexes(state)?.time.last_entry();
        state.max_timestamp = Some(last);
        Ok(last)
    }

    /// The last time index entry, or a larger timestamp behind it.
    fn read_largest_timestamp(&self, state: &mut State) -> Result<TimestampOffset, ScanError> {
        let last = self.indexes(state)?.time.last_entry();
        let from = self.offset_index_position(state, last.offset)?;
        let mut largest = last;
        let mut scanner = BatchScanner::new(self.file.as_ref(), from, self.size());
        while let Some(batch) = scanner.next_header()? {
            let timestamp = batch.header.max_timestamp();
            if timestamp > largest.timestamp {
                largest = TimestampOffset { timestamp, offset: batch.header.last_offset() };
            }
        }
        Ok(largest)
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
            let path =
                |kind: &str| segment_file(&state.dir, self.base_offset, &format!("{kind}{}", state.suffix));
            let (max, fs) = (state.max_index_size, || Arc::clone(&self.fs));
            let offset = OffsetIndex::open(fs(), path(INDEX_FILE_SUFFIX), self.base_offset, max)?;
            let time = TimeIndex::open(fs(), path(TIME_INDEX_FILE_SUFFIX), self.base_offset, max)?;
            state.indexes = Some(Box::new(Indexes { offset, time }));
        }
        state.indexes.as_deref_mut().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn txn_index<'s>(&self, state: &'s mut State) -> io::Result<&'s mut TransactionIndex> {
        if state.txn_index.is_none() {
            let name = format!("{TXN_INDEX_FILE_SUFFIX}{}", state.suffix);
            let path = segment_file(&state.dir, self.base_offset, &name);
            let index = TransactionIndex::open(Arc::clone(&self.fs), path, self.base_offset)?;
            state.txn_index = Some(Box::new(index));
        }
        state.txn_index.as_deref_mut().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

/// Checking and rebuilding.
impl LogSegment {
    /// Whether the transaction index makes sense.
    pub(crate) fn check_txn_index(&self) -> io::Result<Result<(), CorruptIndexError>> {
        Ok(self.txn_index(&mut self.state.lock())?.sanity_check())
    }

    /// What is wrong with a segment without an offset index.
    pub(crate) fn index_missing(&self) -> CorruptIndexError {
        let path = self.path(INDEX_FILE_SUFFIX).display().to_string();
        CorruptIndexError { path, reason: "it is missing".into() }
    }

    /// Whether the indexes of a segment that will be appended to are in order.
    pub(crate) fn check_indexes(&self) -> io::Result<Result<(), CorruptIndexError>> {
        let mut state = self.state.lock();
        let size = self.size();
        let indexes = self.indexes(&mut state)?;
        let last = indexes.offset.len().checked_sub(1).and_then(|slot| indexes.offset.entry(slot));
        if last.is_some_and(|entry| u64::from(entry.position) >= size) {
            let path = indexes.offset.path().display().to_string();
            return Ok(Err(CorruptIndexError { path, reason: "it points behind the log".into() }));
        }
        Ok(indexes.offset.sanity_check().and_then(|()| indexes.time.sanity_check()))
    }

    /// Frees the indexes of the zeros that Kafka reserves in those of the active segment, and of the metadata
    /// log leaves there when it stops.
    pub(crate) fn trim_overlong_indexes(&self) -> io::Result<()> {
        let mut state = self.state.lock();
        let indexes = self.indexes(&mut state)?;
        indexes.offset.trim_overlong()?;
        indexes.time.trim_overlong()
    }

    /// Rebuilds the indexes from the batches, hands each batch to `visit`, and cuts the file at the first
    /// one that is damaged or not whole. Returns the bytes cut.
    pub(crate) fn recover(
        &self,
        mut visit: impl FnMut(&Self, &LogEntry<&[u8]>) -> io::Result<()>,
    ) -> io::Result<u64> {
        {
            let mut state = self.state.lock();
            let indexes = self.indexes(&mut state)?;
            indexes.offset.reset()?;
            indexes.time.reset()?;
            self.txn_index(&mut state)?.reset()?;
            state.max_timestamp = Some(TimestampOffset { timestamp: NO_TIMESTAMP, offset: self.base_offset });
            state.rolling_based_timestamp = None;
            state.bytes_since_last_index_entry = 0;
            state.recent.clear();
        }
        let file = Arc::clone(&self.file);
        let mut scanner = BatchScanner::for_recovery(file.as_ref(), 0, self.size());
        let mut valid_bytes = 0;
        let mut next_offset = self.base_offset;
        loop {
            match self.recover_batch(&mut scanner, &mut next_offset, &mut visit) {
                Ok(Some(end)) => valid_bytes = end,
                Ok(None) => break,
                Err(ScanError::Io(error)) => return Err(error),
                Err(ScanError::Corrupt(error)) => {
                    let path = self.path(LOG_FILE_SUFFIX);
                    tracing::warn!(path = %path.display(), valid_bytes, %error, "invalid batch, the log is cut");
                    break;
                }
            }
        }
        let cut = self.truncate_file(valid_bytes)?;
        let mut state = self.state.lock();
        self.append_last_time_entry(&mut state)?;
        let indexes = self.indexes(&mut state)?;
        indexes.offset.close()?;
        indexes.time.close()?;
        Ok(cut)
    }

    fn recover_batch(
        &self,
        scanner: &mut BatchScanner<'_>,
        next_offset: &mut i64,
        visit: &mut impl FnMut(&Self, &LogEntry<&[u8]>) -> io::Result<()>,
    ) -> Result<Option<u64>, ScanError> {
        let Some(at) = scanner.next_header()? else { return Ok(None) };
        let entry = LogEntry::new(scanner.whole_batch(&at)?)?;
        entry.ensure_valid()?;
        // The checksum does not cover the offset, so it must make sense by itself.
        let offsets = entry.base_offset()..=at.header.last_offset();
        let representable = |offset: &i64| {
            offset.checked_sub(self.base_offset).is_some_and(|d| (0..=i64::from(i32::MAX)).contains(&d))
        };
        if offsets.is_empty() || *offsets.start() < *next_offset || !representable(offsets.end()) {
            return Err(RecordError::InvalidLength(at.header.size_in_bytes() as i32).into());
        }
        *next_offset = at.header.next_offset();
        let last = TimestampOffset { timestamp: at.header.max_timestamp(), offset: at.header.last_offset() };
        self.note_entry(&mut self.state.lock(), last, at.header.size_in_bytes(), at.position)?;
        visit(self, &entry)?;
        Ok(Some(at.end()))
    }
}

/// Names of the files.
impl LogSegment {
    fn path(&self, kind: &str) -> PathBuf {
        let state = self.state.lock();
        segment_file(&state.dir, self.base_offset, &format!("{kind}{}", state.suffix))
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
        HeldSegment { base_offset: self.base_offset, state, log: self.file.hold_name() }
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

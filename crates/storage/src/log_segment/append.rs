//! What changes a segment: batches behind its end, and cuts.

use std::io;
use std::sync::atomic::Ordering;

use ottla_record::{RecordBatchHeader, peek_batch_size};

use super::{LogSegment, RollParams, State};
use crate::file_records::ScanError;
use crate::fs::LogFile;
use crate::index::{AbortedTxn, TimestampOffset};
use crate::recent_batches::BatchPlace;
use crate::stamped_records::StampedRecords;

/// Room reserved ahead: this part of what the segment has.
const RESERVED_PART: u64 = 8;
const RESERVED_BYTES_MIN: u64 = 64 * 1024;
const RESERVED_BYTES_MAX: u64 = 8 * 1024 * 1024;

impl LogSegment {
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
        let file = self.file()?.as_ref();
        self.reserve_ahead(file, start, records.len() as u64);
        records.write_to(file, start)?;
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
            state.seen().recent.push(BatchPlace { base_offset, last_offset: offset, position, size });
            position += size as u64;
            rest = next;
        }
        assert!(rest.is_empty(), "SEGMENT-WHOLE-BATCHES: only whole batches are appended");
        Ok(())
    }

    /// Has the file system give room in larger steps than batches are: it is busy with each of them.
    pub(super) fn reserve_ahead(&self, file: &dyn LogFile, start: u64, len: u64) {
        let end = start + len;
        if end > self.reserved.load(Ordering::Relaxed) {
            let ahead = (end / RESERVED_PART).clamp(RESERVED_BYTES_MIN, RESERVED_BYTES_MAX);
            file.reserve(start, len + ahead);
            self.reserved.store(end + ahead, Ordering::Relaxed);
        }
    }

    pub(super) fn release_reserved(&self) -> io::Result<()> {
        if self.reserved.swap(0, Ordering::Relaxed) > self.size() {
            self.file()?.release_reserved(self.size())?;
        }
        Ok(())
    }

    /// Takes note of largest timestamp and last offset of an entry, and of its bytes.
    pub(super) fn note_entry(
        &self,
        state: &mut State,
        entry: TimestampOffset,
        size: usize,
        position: u64,
    ) -> io::Result<()> {
        let seen = state.seen();
        let max = seen.max_timestamp.filter(|max| max.timestamp >= entry.timestamp).unwrap_or(entry);
        seen.max_timestamp = Some(max);
        seen.rolling_based_timestamp.get_or_insert(entry.timestamp);
        let is_due = seen.bytes_since_last_index_entry > self.index_interval_bytes;
        let before = if is_due { 0 } else { seen.bytes_since_last_index_entry };
        seen.bytes_since_last_index_entry = before + size;
        if is_due {
            let indexes = self.indexes(state)?;
            if !indexes.offset.is_full() {
                indexes.offset.append(entry.offset, position as u32)?;
            }
            if !indexes.time.is_full() {
                indexes.time.maybe_append(max)?;
            }
        }
        Ok(())
    }

    /// Notes an aborted transaction whose marker was just appended.
    pub(crate) fn append_aborted_txn(&self, txn: AbortedTxn) -> io::Result<()> {
        self.txn_index(&mut self.state.lock())?.append(txn)
    }

    /// Forgets all from `offset` on. Returns the bytes removed.
    pub(crate) fn truncate_to(&self, offset: i64, now_ms: i64) -> Result<u64, ScanError> {
        // This also names the file, which cannot be done under the lock.
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
            state.seen().rolling_based_timestamp = None;
        }
        state.seen().bytes_since_last_index_entry = 0;
        state.seen().recent.clear();
        let largest = self.read_largest_timestamp(&mut state)?;
        state.seen().max_timestamp = Some(largest);
        Ok(removed)
    }

    pub(crate) fn truncate_file(&self, len: u64) -> io::Result<u64> {
        let old = self.size();
        if len < old {
            self.file()?.set_len(len)?;
            self.size.store(len, Ordering::Release);
            // If the next records go to another segment, no flush would come here any more, and after a
            // crash the old records were back beside the new ones.
            self.file()?.sync()?;
            self.synced.store(len, Ordering::Release);
        }
        Ok(old.saturating_sub(len))
    }
}

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ottla_record::NO_TIMESTAMP;

use super::CorruptIndexError;
use super::entries::Entries;
use crate::fs::{FileSystem, LogFile};

const ENTRY_SIZE: usize = 12;

/// A timestamp and the last offset of the batch that has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimestampOffset {
    /// Largest timestamp up to this batch.
    pub timestamp: i64,
    /// Last offset of the batch.
    pub offset: i64,
}

/// `.timeindex`: largest timestamp so far (8 bytes) to relative offset (4 bytes), big-endian. All batches
/// before an entry's have timestamps not above the entry's.
#[derive(Debug)]
pub struct TimeIndex {
    base_offset: i64,
    entries: Entries<ENTRY_SIZE>,
}

impl TimeIndex {
    /// Opens or begins the index of a segment.
    pub fn open(
        fs: Arc<dyn FileSystem>,
        path: PathBuf,
        base_offset: i64,
        max_index_size: usize,
    ) -> io::Result<Self> {
        Ok(Self { base_offset, entries: Entries::open(fs, path, max_index_size)? })
    }

    /// The last entry not above `target`; the segment's start if there is none.
    pub fn lookup(&self, target: i64) -> TimestampOffset {
        let after = self.entries.partition_point(|e| self.parse(e).timestamp <= target);
        let entry = after.checked_sub(1).and_then(|slot| self.entry(slot));
        entry.unwrap_or(self.nothing())
    }

    /// The last entry, or "no timestamp" at the base offset.
    pub fn last_entry(&self) -> TimestampOffset {
        self.entries.last().map_or(self.nothing(), |e| self.parse(e))
    }

    /// Adds an entry if its timestamp is new. The last slot is kept for the entry that closes a segment.
    pub fn maybe_append(&mut self, entry: TimestampOffset) -> io::Result<()> {
        let last = self.last_entry();
        let relative = entry.offset.checked_sub(self.base_offset).and_then(|d| i32::try_from(d).ok());
        let ordered = self.is_empty() || entry.offset >= last.offset;
        if entry.timestamp <= last.timestamp || !ordered {
            return Ok(());
        }
        let Some(relative) = relative.filter(|r| *r >= 0) else { return Ok(()) };
        let mut bytes = [0; ENTRY_SIZE];
        bytes[..8].copy_from_slice(&entry.timestamp.to_be_bytes());
        bytes[8..].copy_from_slice(&relative.to_be_bytes());
        self.entries.push(bytes)
    }

    /// Forgets entries at and above an offset.
    pub fn truncate_to(&mut self, offset: i64) -> io::Result<()> {
        let keep = self.entries.partition_point(|e| self.parse(e).offset < offset);
        self.entries.truncate(keep)
    }

    /// Forgets all.
    pub fn reset(&mut self) -> io::Result<()> {
        self.entries.truncate(0)?;
        self.entries.trim()
    }

    /// Entry of a slot.
    pub fn entry(&self, slot: usize) -> Option<TimestampOffset> {
        self.entries.get(slot).map(|e| self.parse(e))
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether only the slot of the closing entry is left, which rolls the segment.
    pub fn is_full(&self) -> bool {
        self.len() + 1 >= self.entries.max_entries()
    }

    /// Kafka's checks, and order.
    pub fn sanity_check(&self) -> Result<(), CorruptIndexError> {
        let entries = (0..self.len()).filter_map(|slot| self.entry(slot));
        let sorted = entries.is_sorted_by(|a, b| a.timestamp < b.timestamp && a.offset <= b.offset);
        if !self.is_empty() && self.last_entry().offset < self.base_offset {
            return Err(self.entries.corrupt("last offset is below the base offset".into()));
        }
        if sorted { Ok(()) } else { Err(self.entries.corrupt("entries are not in order".into())) }
    }

    /// How many entries at the front are in order and of offsets not above one.
    pub(crate) fn sound_entries(&self, up_to: i64) -> usize {
        let mut last: Option<TimestampOffset> = None;
        let entries = (0..self.len()).map_while(|slot| self.entry(slot));
        let sound = entries.take_while(|entry| {
            let before = last.replace(*entry);
            let grows = before.is_none_or(|b| b.timestamp < entry.timestamp && b.offset <= entry.offset);
            grows && entry.offset >= self.base_offset && entry.offset <= up_to
        });
        sound.count()
    }

    /// Leaves a file of exactly the entries, and lets go of it.
    pub fn close(&mut self) -> io::Result<()> {
        self.entries.trim()?;
        self.entries.close();
        Ok(())
    }

    /// Makes the file be there, with exactly the entries.
    pub fn trim(&mut self) -> io::Result<()> {
        self.entries.trim()
    }

    /// Like [`Self::trim`], if the file was found longer than its entries.
    pub fn trim_overlong(&mut self) -> io::Result<()> {
        self.entries.trim_overlong()
    }

    /// Makes entries survive a loss of power.
    pub fn flush(&mut self) -> io::Result<()> {
        self.entries.flush()
    }

    /// As [`Self::flush`], for a caller that syncs the file itself, if one is returned.
    pub(crate) fn begin_flush(&mut self) -> io::Result<Option<Arc<dyn LogFile>>> {
        self.entries.begin_flush()
    }

    /// The caller of [`Self::begin_flush`] could not sync the file.
    pub(crate) fn note_unsynced(&mut self) {
        self.entries.note_unsynced();
    }

    /// Forgets all but so many entries at the front.
    pub(crate) fn keep(&mut self, entries: usize) -> io::Result<()> {
        self.entries.truncate(entries)
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        self.entries.path()
    }

    /// The file was renamed.
    pub fn set_path(&mut self, path: PathBuf) {
        self.entries.set_path(path);
    }

    fn nothing(&self) -> TimestampOffset {
        TimestampOffset { timestamp: NO_TIMESTAMP, offset: self.base_offset }
    }

    fn parse(&self, entry: &[u8; ENTRY_SIZE]) -> TimestampOffset {
        let [t0, t1, t2, t3, t4, t5, t6, t7, a, b, c, d] = *entry;
        let relative = i32::from_be_bytes([a, b, c, d]);
        TimestampOffset {
            timestamp: i64::from_be_bytes([t0, t1, t2, t3, t4, t5, t6, t7]),
            offset: self.base_offset.wrapping_add(i64::from(relative)),
        }
    }
}

#[cfg(test)]
#[path = "time_test.rs"]
mod tests;

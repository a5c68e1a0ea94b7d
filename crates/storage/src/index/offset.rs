use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::CorruptIndexError;
use super::entries::Entries;
use crate::fs::{FileSystem, LogFile};

const ENTRY_SIZE: usize = 8;

/// An offset and where in the file its batch begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OffsetPosition {
    /// Last offset of the batch.
    pub offset: i64,
    /// First byte of the batch in the `.log` file.
    pub position: u32,
}

/// `.index`: offset, relative to the segment's base, to file position; 4 bytes each, big-endian.
#[derive(Debug)]
pub struct OffsetIndex {
    base_offset: i64,
    entries: Entries<ENTRY_SIZE>,
}

impl OffsetIndex {
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
    pub fn lookup(&self, target: i64) -> OffsetPosition {
        let after = self.entries.partition_point(|e| self.parse(e).offset <= target);
        let entry = after.checked_sub(1).and_then(|slot| self.entry(slot));
        entry.unwrap_or(OffsetPosition { offset: self.base_offset, position: 0 })
    }

    /// The first entry at or behind `fetch_size` bytes after a position: an upper bound of the offsets
    /// in between.
    pub fn fetch_upper_bound_offset(
        &self,
        start: OffsetPosition,
        fetch_size: usize,
    ) -> Option<OffsetPosition> {
        let end = u64::from(start.position) + fetch_size as u64;
        self.entry(self.entries.partition_point(|e| u64::from(self.parse(e).position) < end))
    }

    /// Adds an entry. Offsets must grow.
    pub fn append(&mut self, offset: i64, position: u32) -> io::Result<()> {
        // Offsets come from batches on disk too, when an index is rebuilt.
        if !self.can_append_offset(offset) || (!self.is_empty() && offset <= self.last_offset()) {
            let text = format!(
                "INDEX-OFFSETS-GROW: {offset} after {} in {}",
                self.last_offset(),
                self.path().display()
            );
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        let relative = (offset - self.base_offset) as u32;
        let mut entry = [0; ENTRY_SIZE];
        entry[..4].copy_from_slice(&relative.to_be_bytes());
        entry[4..].copy_from_slice(&position.to_be_bytes());
        self.entries.push(entry)
    }

    /// Whether the distance to the base offset fits 31 bits.
    pub fn can_append_offset(&self, offset: i64) -> bool {
        offset.checked_sub(self.base_offset).is_some_and(|d| (0..=i64::from(i32::MAX)).contains(&d))
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
    pub fn entry(&self, slot: usize) -> Option<OffsetPosition> {
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

    /// Whether `segment.index.bytes` are used up, which rolls the segment.
    pub fn is_full(&self) -> bool {
        self.len() >= self.entries.max_entries()
    }

    /// Offset of the last entry, or the base offset.
    pub fn last_offset(&self) -> i64 {
        self.entries.last().map_or(self.base_offset, |e| self.parse(e).offset)
    }

    /// Kafka's check, and order: entries out of order send searches astray.
    pub fn sanity_check(&self) -> Result<(), CorruptIndexError> {
        if !self.is_empty() && self.last_offset() < self.base_offset {
            let reason =
                format!("last offset {} is below base offset {}", self.last_offset(), self.base_offset);
            return Err(self.entries.corrupt(reason));
        }
        let entries = (0..self.len()).filter_map(|slot| self.entry(slot));
        let sorted = entries.is_sorted_by(|a, b| a.offset < b.offset && a.position <= b.position);
        if sorted { Ok(()) } else { Err(self.entries.corrupt("entries are not in order".into())) }
    }

    /// How many entries at the front are in order, of offsets below one, and within a file of this size. What
    /// follows them may be anything: it was not flushed.
    pub(crate) fn sound_entries(&self, below: i64, size: u64) -> usize {
        let mut last: Option<OffsetPosition> = None;
        let entries = (0..self.len()).map_while(|slot| self.entry(slot));
        let sound = entries.take_while(|entry| {
            let before = last.replace(*entry);
            let grows = before.is_none_or(|b| b.offset < entry.offset && b.position < entry.position);
            let within = entry.offset >= self.base_offset && entry.offset < below;
            grows && within && u64::from(entry.position) < size
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

    fn parse(&self, entry: &[u8; ENTRY_SIZE]) -> OffsetPosition {
        let [a, b, c, d, e, f, g, h] = *entry;
        let relative = i32::from_be_bytes([a, b, c, d]);
        OffsetPosition {
            offset: self.base_offset.wrapping_add(i64::from(relative)),
            position: u32::from_be_bytes([e, f, g, h]),
        }
    }
}

#[cfg(test)]
#[path = "offset_test.rs"]
mod tests;

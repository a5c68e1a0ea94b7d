use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::checkpoint::{EpochEntry, LeaderEpochCheckpointFile};
use crate::fs::FileSystem;
use crate::sync::RwLock;

/// Which leader wrote which offsets (KIP-101): epochs and their start offsets, both growing.
///
/// An epoch reaches the disk before its first record: until then it can be noted in memory, as loading would
/// drop it anyway. Truncations may reach the disk late: loading repeats them.
#[derive(Debug)]
pub struct LeaderEpochFileCache {
    state: RwLock<State>,
}

#[derive(Debug)]
struct State {
    /// In order; few, mostly one.
    epochs: Vec<EpochEntry>,
    checkpoint: LeaderEpochCheckpointFile,
    /// Truncated since it was written.
    dirty: bool,
    /// An epoch is noted that must be written before its first record.
    noted: bool,
}

/// End offset of an epoch, and the epoch it was found for, which may be an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OffsetAndEpoch {
    /// First offset after the epoch.
    pub offset: i64,
    /// The epoch.
    pub epoch: i32,
}

impl LeaderEpochFileCache {
    /// Reads the checkpoint of a partition's folder.
    pub fn open(fs: Arc<dyn FileSystem>, partition_dir: &Path) -> io::Result<Self> {
        Self::open_in(fs, &partition_dir.into())
    }

    /// The same for a log, all parts of which share the folder's name.
    pub(crate) fn open_in(fs: Arc<dyn FileSystem>, partition_dir: &Arc<Path>) -> io::Result<Self> {
        let checkpoint = LeaderEpochCheckpointFile::new(fs, Arc::clone(partition_dir));
        let mut epochs = checkpoint.read()?;
        epochs.sort_by_key(|entry| entry.epoch);
        // Of an epoch that is there twice the last one counts.
        epochs.reverse();
        epochs.dedup_by_key(|entry| entry.epoch);
        epochs.reverse();
        Ok(Self { state: RwLock::new(State { epochs, checkpoint, dirty: false, noted: false }) })
    }

    /// The cache of a folder that was just made.
    pub(crate) fn empty(fs: Arc<dyn FileSystem>, partition_dir: &Arc<Path>) -> Self {
        let checkpoint = LeaderEpochCheckpointFile::new(fs, Arc::clone(partition_dir));
        Self { state: RwLock::new(State { epochs: Vec::new(), checkpoint, dirty: false, noted: false }) }
    }

    /// Notes that an epoch begins at an offset. Entries it contradicts go. Returns whether it was news.
    pub fn assign(&self, epoch: i32, start_offset: i64) -> io::Result<bool> {
        if epoch < 0 || start_offset < 0 {
            return Ok(false);
        }
        // Every append asks, and nearly none brings news, so look first under the shared lock.
        {
            let state = self.state.read();
            if !state.noted && !state.is_news(epoch, start_offset) {
                return Ok(false);
            }
        }
        let mut state = self.state.write();
        let is_news = state.note(epoch, start_offset);
        if is_news || state.noted {
            state.write()?;
        }
        Ok(is_news)
    }

    /// Notes an epoch that has no record yet. The append of the first one calls [`Self::assign`]. Returns
    /// whether it was news.
    pub(crate) fn assign_in_memory(&self, epoch: i32, start_offset: i64) -> bool {
        if epoch < 0 || start_offset < 0 {
            return false;
        }
        let mut state = self.state.write();
        let is_news = state.note(epoch, start_offset);
        state.noted |= is_news;
        is_news
    }

    /// What loading has truncated it will truncate the next time, too: the file may stay as it is.
    pub(crate) fn note_loaded(&self) {
        self.state.write().dirty = false;
    }

    /// The latest epoch.
    pub fn latest_epoch(&self) -> Option<i32> {
        self.state.read().epochs.last().map(|last| last.epoch)
    }

    /// The earliest entry.
    pub fn earliest_entry(&self) -> Option<EpochEntry> {
        self.state.read().epochs.first().copied()
    }

    /// The last entry before this epoch.
    pub fn previous_entry(&self, epoch: i32) -> Option<EpochEntry> {
        self.state.read().epochs.iter().rfind(|entry| entry.epoch < epoch).copied()
    }

    /// All entries, in order.
    pub fn entries(&self) -> Vec<EpochEntry> {
        self.state.read().epochs.clone()
    }

    /// Where the largest epoch not above `requested` ends. The latest epoch ends at the log's end; an
    /// epoch before all known ones ends where those begin. `None` for an epoch never heard of.
    pub fn end_offset_for(&self, requested: i32, log_end_offset: i64) -> Option<OffsetAndEpoch> {
        let state = self.state.read();
        if requested < 0 {
            return None;
        }
        if state.epochs.last().is_some_and(|last| last.epoch == requested) {
            return Some(OffsetAndEpoch { offset: log_end_offset, epoch: requested });
        }
        let after = state.epochs.partition_point(|entry| entry.epoch <= requested);
        let offset = state.epochs.get(after)?.start_offset;
        let floor = after.checked_sub(1).and_then(|index| state.epochs.get(index));
        Some(OffsetAndEpoch { offset, epoch: floor.map_or(requested, |entry| entry.epoch) })
    }

    /// The epoch in which an offset was written.
    pub fn epoch_for_offset(&self, offset: i64) -> Option<i32> {
        let state = self.state.read();
        let after = state.epochs.partition_point(|entry| entry.start_offset <= offset);
        after.checked_sub(1).and_then(|index| state.epochs.get(index)).map(|entry| entry.epoch)
    }

    /// Forgets epochs that begin at or after the log's new end.
    pub fn truncate_from_end(&self, end_offset: i64) {
        let mut state = self.state.write();
        while end_offset >= 0 && state.epochs.last().is_some_and(|last| last.start_offset >= end_offset) {
            state.epochs.pop();
            state.dirty = true;
        }
    }

    /// Forgets epochs that end before the log's new start; the one in force there begins there now.
    pub fn truncate_from_start(&self, start_offset: i64) {
        let mut state = self.state.write();
        let begun = state.epochs.partition_point(|entry| entry.start_offset <= start_offset);
        let Some(before) = begun.checked_sub(1) else { return };
        state.epochs.drain(..before);
        if let Some(in_force) = state.epochs.first_mut() {
            let moves = in_force.start_offset != start_offset;
            in_force.start_offset = start_offset;
            state.dirty |= moves || before > 0;
        }
    }

    /// Forgets all, on disk too.
    pub fn clear_and_flush(&self) -> io::Result<()> {
        let mut state = self.state.write();
        state.epochs.clear();
        state.write()
    }

    /// Forgets all, in memory only: the folder is going away.
    pub fn clear(&self) {
        let mut state = self.state.write();
        state.epochs.clear();
        (state.dirty, state.noted) = (false, false);
    }

    /// Writes truncations that have not reached the disk yet.
    pub fn flush(&self) -> io::Result<()> {
        let mut state = self.state.write();
        if state.dirty { state.write() } else { Ok(()) }
    }

    /// Makes the checkpoint in a new folder, if there is anything to write; the caller syncs both.
    pub(crate) fn write_first(&self) -> io::Result<()> {
        let mut state = self.state.write();
        if !state.epochs.is_empty() {
            state.checkpoint.write_first(&state.epochs)?;
        }
        (state.dirty, state.noted) = (false, false);
        Ok(())
    }

    /// The folder was renamed.
    pub fn update_dir(&self, fs: Arc<dyn FileSystem>, partition_dir: &Arc<Path>) {
        self.state.write().checkpoint = LeaderEpochCheckpointFile::new(fs, Arc::clone(partition_dir));
    }
}

impl State {
    /// Returns whether it was news.
    fn note(&mut self, epoch: i32, start_offset: i64) -> bool {
        if !self.is_news(epoch, start_offset) {
            return false;
        }
        while let Some(&EpochEntry { epoch: last_epoch, start_offset: last_start }) = self.epochs.last()
            && (last_epoch >= epoch || last_start >= start_offset)
        {
            if last_start != start_offset {
                tracing::warn!(
                    epoch,
                    start_offset,
                    last_epoch,
                    last_start,
                    "epoch conflicts with a later one"
                );
            }
            self.epochs.pop();
        }
        // Most logs have one entry for good.
        self.epochs.reserve_exact(1);
        self.epochs.push(EpochEntry { epoch, start_offset });
        let sorted = self.epochs.is_sorted_by(|a, b| a.epoch < b.epoch && a.start_offset <= b.start_offset);
        assert!(sorted, "EPOCH-CACHE-SORTED");
        true
    }

    fn is_news(&self, epoch: i32, start_offset: i64) -> bool {
        self.epochs.last().is_none_or(|last| last.epoch != epoch || start_offset < last.start_offset)
    }

    fn write(&mut self) -> io::Result<()> {
        self.checkpoint.write(&self.epochs)?;
        (self.dirty, self.noted) = (false, false);
        Ok(())
    }
}

#[cfg(test)]
#[path = "leader_epoch_cache_test.rs"]
mod tests;

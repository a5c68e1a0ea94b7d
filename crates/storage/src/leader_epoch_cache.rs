use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::checkpoint::{EpochEntry, LeaderEpochCheckpointFile};
use crate::fs::FileSystem;
use crate::sync::RwLock;

/// Which leader wrote which offsets (KIP-101): epochs and their start offsets, both growing.
///
/// New epochs reach the disk at once. Truncations may reach it late: loading repeats them.
#[derive(Debug)]
pub struct LeaderEpochFileCache {
    state: RwLock<State>,
}

#[derive(Debug)]
struct State {
    epochs: BTreeMap<i32, i64>,
    checkpoint: LeaderEpochCheckpointFile,
    dirty: bool,
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
        let checkpoint = LeaderEpochCheckpointFile::new(fs, partition_dir);
        let epochs = checkpoint.read()?.into_iter().map(|e| (e.epoch, e.start_offset)).collect();
        Ok(Self { state: RwLock::new(State { epochs, checkpoint, dirty: false }) })
    }

    /// The cache of a folder that was just made.
    pub(crate) fn empty(fs: Arc<dyn FileSystem>, partition_dir: &Path) -> Self {
        let checkpoint = LeaderEpochCheckpointFile::new(fs, partition_dir);
        Self { state: RwLock::new(State { epochs: BTreeMap::new(), checkpoint, dirty: false }) }
    }

    /// Notes that an epoch begins at an offset. Entries it contradicts go. Returns whether it was news.
    pub fn assign(&self, epoch: i32, start_offset: i64) -> io::Result<bool> {
        if epoch < 0 || start_offset < 0 {
            return Ok(false);
        }
        // Every append asks, and nearly none brings news, so look first under the shared lock.
        if !self.state.read().is_news(epoch, start_offset) {
            return Ok(false);
        }
        let mut state = self.state.write();
        let is_news = state.note(epoch, start_offset);
        if is_news {
            state.write()?;
        }
        Ok(is_news)
    }

    /// As [`Self::assign`] for a log without records: the disk learns of it with [`Self::flush`], which
    /// must come before the first record.
    pub(crate) fn assign_in_memory(&self, epoch: i32, start_offset: i64) {
        if epoch >= 0 && start_offset >= 0 {
            let mut state = self.state.write();
            state.dirty |= state.note(epoch, start_offset);
        }
    }

    /// The latest epoch.
    pub fn latest_epoch(&self) -> Option<i32> {
        self.state.read().epochs.last_key_value().map(|(epoch, _)| *epoch)
    }

    /// The earliest entry.
    pub fn earliest_entry(&self) -> Option<EpochEntry> {
        self.state.read().epochs.first_key_value().map(entry)
    }

    /// The last entry before this epoch.
    pub fn previous_entry(&self, epoch: i32) -> Option<EpochEntry> {
        self.state.read().epochs.range(..epoch).next_back().map(entry)
    }

    /// All entries, in order.
    pub fn entries(&self) -> Vec<EpochEntry> {
        self.state.read().epochs.iter().map(entry).collect()
    }

    /// Where the largest epoch not above `requested` ends. The latest epoch ends at the log's end; an
    /// epoch before all known ones ends where those begin. `None` for an epoch never heard of.
    pub fn end_offset_for(&self, requested: i32, log_end_offset: i64) -> Option<OffsetAndEpoch> {
        let state = self.state.read();
        let latest = state.epochs.last_key_value().map(|(epoch, _)| *epoch);
        if requested < 0 {
            return None;
        }
        if latest == Some(requested) {
            return Some(OffsetAndEpoch { offset: log_end_offset, epoch: requested });
        }
        let (_, &offset) = state.epochs.range(requested.checked_add(1)?..).next()?;
        let floor = state.epochs.range(..=requested).next_back().map(|(epoch, _)| *epoch);
        Some(OffsetAndEpoch { offset, epoch: floor.unwrap_or(requested) })
    }

    /// The epoch in which an offset was written.
    pub fn epoch_for_offset(&self, offset: i64) -> Option<i32> {
        let state = self.state.read();
        state.epochs.iter().take_while(|(_, start)| **start <= offset).last().map(|(epoch, _)| *epoch)
    }

    /// Forgets epochs that begin at or after the log's new end.
    pub fn truncate_from_end(&self, end_offset: i64) {
        let mut state = self.state.write();
        while end_offset >= 0 && state.epochs.last_key_value().is_some_and(|(_, start)| *start >= end_offset)
        {
            state.epochs.pop_last();
            state.dirty = true;
        }
    }

    /// Forgets epochs that end before the log's new start; the one in force there begins there now.
    pub fn truncate_from_start(&self, start_offset: i64) {
        let mut state = self.state.write();
        let mut in_force = None;
        while let Some((&epoch, &start)) = state.epochs.first_key_value()
            && start <= start_offset
        {
            state.epochs.pop_first();
            in_force = Some((epoch, start));
        }
        if let Some((epoch, start)) = in_force {
            state.epochs.insert(epoch, start_offset);
            state.dirty |= start != start_offset || state.epochs.len() == 1;
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
        state.dirty = false;
    }

    /// Writes truncations that have not reached the disk yet.
    pub fn flush(&self) -> io::Result<()> {
        let mut state = self.state.write();
        if state.dirty { state.write() } else { Ok(()) }
    }

    /// The folder was renamed.
    pub fn update_dir(&self, fs: Arc<dyn FileSystem>, partition_dir: &Path) {
        self.state.write().checkpoint = LeaderEpochCheckpointFile::new(fs, partition_dir);
    }
}

impl State {
    /// Returns whether it was news.
    fn note(&mut self, epoch: i32, start_offset: i64) -> bool {
        if !self.is_news(epoch, start_offset) {
            return false;
        }
        while let Some((&last_epoch, &last_start)) = self.epochs.last_key_value()
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
            self.epochs.pop_last();
        }
        self.epochs.insert(epoch, start_offset);
        assert!(self.epochs.values().is_sorted(), "EPOCH-CACHE-SORTED");
        true
    }

    fn is_news(&self, epoch: i32, start_offset: i64) -> bool {
        let latest = self.epochs.last_key_value();
        latest.is_none_or(|(last_epoch, last_start)| *last_epoch != epoch || start_offset < *last_start)
    }

    fn write(&mut self) -> io::Result<()> {
        let entries: Vec<EpochEntry> = self.epochs.iter().map(entry).collect();
        self.checkpoint.write(&entries)?;
        self.dirty = false;
        Ok(())
    }
}

fn entry((epoch, start_offset): (&i32, &i64)) -> EpochEntry {
    EpochEntry { epoch: *epoch, start_offset: *start_offset }
}

#[cfg(test)]
#[path = "leader_epoch_cache_test.rs"]
mod tests;

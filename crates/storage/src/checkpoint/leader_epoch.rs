use std::fmt::Write;
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::{CheckpointEntry, CheckpointFile};
use crate::fs::FileSystem;

/// Name of the file in a partition's folder.
pub const LEADER_EPOCH_CHECKPOINT_FILE_NAME: &str = "leader-epoch-checkpoint";

/// A leader epoch and the first offset written in it (KIP-101).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpochEntry {
    /// The epoch.
    pub epoch: i32,
    /// Offset of its first record.
    pub start_offset: i64,
}

impl CheckpointEntry for EpochEntry {
    fn write_line(&self, out: &mut String) {
        // Writing to a string cannot fail.
        let _ = write!(out, "{} {}", self.epoch, self.start_offset);
    }

    fn parse_line(line: &str) -> Option<Self> {
        let mut parts = line.split_ascii_whitespace();
        let epoch = parts.next()?.parse().ok()?;
        let start_offset = parts.next()?.parse().ok()?;
        parts.next().is_none().then_some(Self { epoch, start_offset })
    }
}

/// The history of leader epochs on disk.
#[derive(Debug)]
pub struct LeaderEpochCheckpointFile {
    fs: Arc<dyn FileSystem>,
    /// The folder's name, which all that is in it share.
    dir: Arc<Path>,
}

impl LeaderEpochCheckpointFile {
    /// The checkpoint of a partition's folder.
    pub fn new(fs: Arc<dyn FileSystem>, partition_dir: Arc<Path>) -> Self {
        Self { fs, dir: partition_dir }
    }

    fn file(&self) -> CheckpointFile {
        CheckpointFile::new(Arc::clone(&self.fs), self.dir.join(LEADER_EPOCH_CHECKPOINT_FILE_NAME))
    }

    /// Replaces all entries.
    pub fn write(&self, entries: &[EpochEntry]) -> io::Result<()> {
        self.file().write(entries)
    }

    /// Writes the first entries into a new folder; the caller syncs both.
    pub(crate) fn write_first(&self, entries: &[EpochEntry]) -> io::Result<()> {
        self.file().write_first(entries)
    }

    /// All entries; none if the file is missing.
    pub fn read(&self) -> io::Result<Vec<EpochEntry>> {
        self.file().read()
    }
}

//! Small files that say where things stand: text, a version line first, replaced as a whole.

mod clean_shutdown;
mod leader_epoch;
mod offset;
mod partition_metadata;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::fs::{FileSystem, OpenMode};

pub use clean_shutdown::{CLEAN_SHUTDOWN_FILE_NAME, CleanShutdownFile};
pub use leader_epoch::{EpochEntry, LEADER_EPOCH_CHECKPOINT_FILE_NAME, LeaderEpochCheckpointFile};
pub use offset::{
    CLEANER_OFFSET_CHECKPOINT_FILE, LOG_START_OFFSET_CHECKPOINT_FILE, OffsetCheckpointFile,
    RECOVERY_POINT_CHECKPOINT_FILE, REPLICATION_OFFSET_CHECKPOINT_FILE,
};
pub use partition_metadata::{PARTITION_METADATA_FILE_NAME, PartitionMetadataFile};

/// More than any real checkpoint needs: a line for each of some millions of partitions.
const MAX_CHECKPOINT_BYTES: u64 = 512 << 20;

/// An entry that is one line of a checkpoint.
pub trait CheckpointEntry: Sized {
    /// Writes the line, without its end.
    fn write_line(&self, out: &mut String);
    /// Reads the line; `None` if it is malformed.
    fn parse_line(line: &str) -> Option<Self>;
}

/// A checkpoint file of version 0: version, number of entries, then a line for each.
#[derive(Debug)]
pub struct CheckpointFile {
    fs: Arc<dyn FileSystem>,
    path: PathBuf,
}

impl CheckpointFile {
    const VERSION: &str = "0";

    /// Names the file; nothing is read or made.
    pub fn new(fs: Arc<dyn FileSystem>, path: PathBuf) -> Self {
        Self { fs, path }
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Replaces the file so that a crash leaves the old or the new one.
    pub fn write<T: CheckpointEntry>(&self, entries: &[T]) -> io::Result<()> {
        self.fs.replace_file(&self.path, Self::text(entries).as_bytes())
    }

    /// Makes the file in a new folder; the caller syncs both.
    pub(crate) fn write_first<T: CheckpointEntry>(&self, entries: &[T]) -> io::Result<()> {
        self.fs.open(&self.path, OpenMode::Truncate)?.write_all_at(Self::text(entries).as_bytes(), 0)
    }

    fn text<T: CheckpointEntry>(entries: &[T]) -> String {
        let mut text = format!("{}\n{}\n", Self::VERSION, entries.len());
        for entry in entries {
            entry.write_line(&mut text);
            text.push('\n');
        }
        text
    }

    /// All entries; none if the file is missing or empty.
    pub fn read<T: CheckpointEntry>(&self) -> io::Result<Vec<T>> {
        let Some(bytes) = self.fs.read_file(&self.path, MAX_CHECKPOINT_BYTES)? else { return Ok(Vec::new()) };
        let text = std::str::from_utf8(&bytes).map_err(|_| self.malformed("text that is no UTF-8"))?;
        let mut lines = text.lines();
        let Some(version) = lines.next() else { return Ok(Vec::new()) };
        if version.trim_end() != Self::VERSION {
            return Err(self.malformed(&format!("the unknown version `{version}`")));
        }
        let Some(count) = lines.next() else { return Ok(Vec::new()) };
        let count: usize = count.trim_end().parse().map_err(|_| self.malformed(&format!("`{count}`")))?;
        let entries = lines
            .map(|line| T::parse_line(line).ok_or_else(|| self.malformed(&format!("`{line}`"))))
            .collect::<io::Result<Vec<T>>>()?;
        if entries.len() != count {
            return Err(self.malformed(&format!("{} entries instead of {count}", entries.len())));
        }
        Ok(entries)
    }

    fn malformed(&self, what: &str) -> io::Error {
        let text = format!("checkpoint file {} has {what}", self.path.display());
        io::Error::new(io::ErrorKind::InvalidData, text)
    }
}

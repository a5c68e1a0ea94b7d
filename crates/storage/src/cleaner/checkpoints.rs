use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ottla_common::TopicPartition;

use crate::checkpoint::{CLEANER_OFFSET_CHECKPOINT_FILE, OffsetCheckpointFile};
use crate::fs::FileSystem;
use crate::log_dir_failure::LogDirFailureChannel;

/// Up to where logs are compacted: `cleaner-offset-checkpoint` of each directory. The files are read once;
/// nobody else writes them.
#[derive(Debug)]
pub(crate) struct CleanerCheckpoints {
    failures: Arc<LogDirFailureChannel>,
    dirs: BTreeMap<PathBuf, Checkpoint>,
}

#[derive(Debug)]
struct Checkpoint {
    file: OffsetCheckpointFile,
    /// Once read.
    offsets: Option<BTreeMap<TopicPartition, i64>>,
}

impl CleanerCheckpoints {
    pub(crate) fn new(
        fs: &Arc<dyn FileSystem>,
        log_dirs: impl IntoIterator<Item = PathBuf>,
        failures: &Arc<LogDirFailureChannel>,
    ) -> Self {
        let checkpoint = |dir: PathBuf| {
            let file = OffsetCheckpointFile::new(Arc::clone(fs), &dir, CLEANER_OFFSET_CHECKPOINT_FILE);
            (dir, Checkpoint { file, offsets: None })
        };
        Self { failures: Arc::clone(failures), dirs: log_dirs.into_iter().map(checkpoint).collect() }
    }

    /// Up to where a partition was compacted in a directory.
    pub(crate) fn get(&mut self, dir: &Path, partition: &TopicPartition) -> Option<i64> {
        self.offsets(dir)?.get(partition).copied()
    }

    /// Notes up to where a partition is compacted, and forgets those that are not there any more.
    pub(crate) fn set(
        &mut self,
        dir: &Path,
        partition: &TopicPartition,
        offset: i64,
        is_there: &dyn Fn(&TopicPartition) -> bool,
    ) {
        let Some(offsets) = self.offsets(dir) else { return };
        if offsets.insert(partition.clone(), offset) != Some(offset) {
            offsets.retain(|known, _| known == partition || is_there(known));
            self.write(dir);
        }
    }

    /// Forgets partitions of a directory.
    pub(crate) fn remove(&mut self, dir: &Path, partitions: &[&TopicPartition]) {
        let Some(offsets) = self.offsets(dir) else { return };
        let removed = partitions.iter().filter(|partition| offsets.remove(**partition).is_some()).count();
        if removed > 0 {
            self.write(dir);
        }
    }

    /// A partition goes on in another directory.
    pub(crate) fn transfer(
        &mut self,
        partition: &TopicPartition,
        from: &Path,
        to: &Path,
        is_there: &dyn Fn(&TopicPartition) -> bool,
    ) {
        let Some(offset) = self.get(from, partition) else { return };
        self.remove(from, &[partition]);
        self.set(to, partition, offset, is_there);
    }

    /// The directory failed.
    pub(crate) fn forget_dir(&mut self, dir: &Path) {
        self.dirs.remove(dir);
    }

    fn offsets(&mut self, dir: &Path) -> Option<&mut BTreeMap<TopicPartition, i64>> {
        let checkpoint = self.dirs.get_mut(dir)?;
        if checkpoint.offsets.is_none() {
            checkpoint.offsets = match checkpoint.file.read() {
                Ok(offsets) => Some(offsets),
                // More is compacted than need be.
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    tracing::warn!(dir = %dir.display(), %error, "checkpoint is ignored");
                    Some(BTreeMap::new())
                }
                Err(error) => {
                    self.failures.maybe_add_offline_log_dir(
                        dir,
                        "cannot read the cleaner checkpoint",
                        &error,
                    );
                    None
                }
            };
        }
        checkpoint.offsets.as_mut()
    }

    fn write(&self, dir: &Path) {
        let Some(checkpoint) = self.dirs.get(dir).filter(|_| !self.failures.is_offline(dir)) else { return };
        let Some(offsets) = &checkpoint.offsets else { return };
        if let Err(error) = checkpoint.file.write(offsets) {
            self.failures.maybe_add_offline_log_dir(dir, "cannot write the cleaner checkpoint", &error);
        }
    }
}

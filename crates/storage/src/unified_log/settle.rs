use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU8, Ordering};

use super::{LogState, UnifiedLog};
use crate::checkpoint::{LEADER_EPOCH_CHECKPOINT_FILE_NAME, PARTITION_METADATA_FILE_NAME};
use crate::error::StorageError;
use crate::fs::OpenMode;

/// How much of a log's folder is there.
#[derive(Debug)]
pub(super) struct Folder(AtomicU8);

const PLANNED: u8 = 0;
const WRITTEN: u8 = 1;
const SETTLED: u8 = 2;

impl Folder {
    /// Nothing was done about it yet.
    pub(super) const fn planned() -> Self {
        Self(AtomicU8::new(PLANNED))
    }

    /// It is there, and not known to be on disk.
    pub(super) const fn written() -> Self {
        Self(AtomicU8::new(WRITTEN))
    }

    /// It is on disk.
    pub(super) const fn settled() -> Self {
        Self(AtomicU8::new(SETTLED))
    }

    fn is(&self, state: u8) -> bool {
        self.0.load(Ordering::Acquire) == state
    }

    fn set(&self, state: u8) {
        self.0.store(state, Ordering::Release);
    }
}

/// A new log is made without waiting for the disk, because a broker makes them by the thousand, and until
/// there is a record nothing can be lost: an empty folder that a crash leaves, or takes away, is as good as
/// none. So the log begins in memory. Its folder, with the topic's id and the epoch, must be on disk before
/// the first record; the first append sees to it, or a task in the background that does so for many logs
/// with one sync.
impl UnifiedLog {
    /// Whether the folder is not known to be on disk.
    pub(crate) fn is_unsettled(&self) -> bool {
        !self.folder.is(SETTLED)
    }

    /// Whether there is a folder as it should be.
    pub(super) fn has_folder(&self) -> bool {
        !self.folder.is(PLANNED)
    }

    /// What was written into the folder is not what belongs there any more. Under the log's lock.
    pub(super) fn plan_folder_again(&self) {
        debug_assert!(self.is_unsettled(), "a folder with records in it stays");
        self.folder.set(PLANNED);
    }

    /// Nobody will settle the folder any more: it is going away.
    pub(super) fn forget_folder(&self) {
        self.folder.set(SETTLED);
    }

    /// Makes the folder of a new log and what belongs into it, without waiting for the disk.
    pub(crate) fn write_folder(&self) -> Result<(), StorageError> {
        let state = self.state.lock();
        if state.closed || self.has_folder() {
            return Ok(());
        }
        self.guard("cannot make the folder of a new log", || self.write_folder_locked())
    }

    /// Everything on the volume was synced since [`Self::write_folder`].
    pub(crate) fn note_folder_synced(&self) {
        let _state = self.state.lock();
        if self.folder.is(WRITTEN) {
            self.folder.set(SETTLED);
        }
    }

    /// Puts the folder of a new log on disk.
    pub(crate) fn settle(&self) -> Result<(), StorageError> {
        let mut state = self.state.lock();
        if state.closed { Ok(()) } else { self.settle_locked(&mut state) }
    }

    /// The same under the log's lock.
    pub(super) fn settle_locked(&self, _: &mut LogState) -> Result<(), StorageError> {
        if !self.is_unsettled() {
            return Ok(());
        }
        self.guard("cannot make the folder of a new log", || {
            if !self.has_folder() {
                self.write_folder_locked()?;
            }
            let (fs, dir) = (self.local.fs(), self.local.dir());
            for name in [PARTITION_METADATA_FILE_NAME, LEADER_EPOCH_CHECKPOINT_FILE_NAME] {
                match fs.open(&dir.join(name), OpenMode::Read) {
                    Ok(file) => file.sync()?,
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Err(error),
                }
            }
            fs.sync_dir(&dir)?;
            fs.sync_dir(&self.parent_dir)
        })?;
        self.folder.set(SETTLED);
        Ok(())
    }

    fn write_folder_locked(&self) -> io::Result<()> {
        let dir = self.local.dir();
        self.local.fs().create_dir_all(&dir)?;
        self.local.active_segment().create_files()?;
        if let Some(topic_id) = *self.topic_id.read() {
            self.partition_metadata_file().write_first(topic_id)?;
        }
        self.leader_epochs.write_first()?;
        self.folder.set(WRITTEN);
        Ok(())
    }

    /// Renames the folder, if there is one yet.
    pub(super) fn rename_folder(&self, name: &str) -> io::Result<()> {
        let rename = |from: &Path, to: &Path| match self.local.fs().rename(from, to) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && !self.has_folder() => Ok(()),
            result => result,
        };
        self.local.rename_dir(name, rename)
    }
}

use std::sync::atomic::Ordering;

use super::{LogState, UnifiedLog};
use crate::error::StorageError;

/// A new log is made without waiting for the disk, because a broker makes them by the thousand, and until
/// there is a record nothing can be lost: an empty folder that a crash leaves, or takes away, is as good as
/// none. What must be on disk before the first record is its folder's name, the topic's id and the epoch;
/// the first append sees to it, or a task in the background that does so for many logs at once.
impl UnifiedLog {
    /// Whether [`Self::settle`] is still to be done.
    pub(crate) fn is_unsettled(&self) -> bool {
        self.unsettled.load(Ordering::Acquire)
    }

    /// Puts the folder of a new log on disk. The caller has synced the log directory since the log was made.
    pub(crate) fn settle(&self) -> Result<(), StorageError> {
        let mut state = self.state.lock();
        if state.closed { Ok(()) } else { self.settle_folder(&mut state) }
    }

    /// The same, the log directory included.
    pub(super) fn settle_locked(&self, state: &mut LogState) -> Result<(), StorageError> {
        if !self.is_unsettled() {
            return Ok(());
        }
        self.guard("cannot sync the log directory", || self.local.fs().sync_dir(&self.parent_dir))?;
        self.settle_folder(state)
    }

    fn settle_folder(&self, _: &mut LogState) -> Result<(), StorageError> {
        if !self.is_unsettled() {
            return Ok(());
        }
        let topic_id = *self.topic_id.read();
        self.guard("cannot write the folder of a new log", || {
            if let Some(topic_id) = topic_id {
                self.partition_metadata_file().write_in_unsynced_dir(topic_id)?;
            }
            self.leader_epochs.flush()?;
            self.local.fs().sync_dir(&self.local.dir())
        })?;
        self.unsettled.store(false, Ordering::Release);
        Ok(())
    }
}

use std::io;
use std::sync::Arc;

use super::{LogState, UnifiedLog};
use crate::error::StorageError;
use crate::file_records::ScanError;
use crate::log_loader::{Rebuild, rebuild_producer_state};

impl UnifiedLog {
    /// Begins a new segment.
    pub fn roll(&self) -> Result<i64, StorageError> {
        let mut state = self.state.lock();
        self.settle_locked(&mut state)?;
        Ok(self.roll_locked(&mut state, None)?.base_offset())
    }

    /// Forces all records to disk and moves the recovery point. The active segment is left out unless
    /// asked for when it is empty.
    pub fn flush(&self, force_active_segment: bool) -> Result<(), StorageError> {
        self.flush_to(self.log_end_offset(), force_active_segment)
    }

    /// Forces records below an offset to disk.
    pub fn flush_up_to_offset_exclusive(&self, offset: i64) -> Result<(), StorageError> {
        self.flush_to(offset, false)
    }

    fn flush_to(&self, offset: i64, including: bool) -> Result<(), StorageError> {
        let flush_offset = if including { offset.saturating_add(1) } else { offset };
        if flush_offset <= self.recovery_point() {
            return Ok(());
        }
        let _turn = self.flushing.turn.lock();
        // Whoever moved the log's end to the offset is to have written its index entries, too.
        drop(self.state.lock());
        self.flush_in_turn(offset, flush_offset)
    }

    pub(super) fn flush_in_turn(&self, offset: i64, flush_offset: i64) -> Result<(), StorageError> {
        self.sync_snapshots()?;
        self.guard("cannot flush", || self.local.flush(flush_offset))?;
        // A truncation before our turn may have moved the end.
        let _state = self.state.lock();
        self.local.mark_flushed(offset.min(self.log_end_offset()));
        Ok(())
    }

    /// What was put off: flushes segments that were rolled, removes files whose time has come, writes the
    /// epochs. To be called every second or so.
    pub fn run_background_tasks(&self, now_ms: i64) -> Result<(), StorageError> {
        let flush_up_to = self.flush_up_to();
        if flush_up_to > self.recovery_point() && flush_up_to <= self.log_end_offset() {
            self.flush_up_to_offset_exclusive(flush_up_to)?;
        }
        let closed = self.state.lock().closed;
        self.guard("cannot clean up", || {
            self.local.delete_doomed_files(now_ms)?;
            if closed || self.is_unsettled() { Ok(()) } else { self.leader_epochs.flush() }
        })
    }

    /// Milliseconds since the last flush.
    pub fn time_since_last_flush_ms(&self, now_ms: i64) -> i64 {
        now_ms.saturating_sub(self.local.last_flushed_ms())
    }

    /// Forgets records from an offset on. Tells whether there were any.
    pub fn truncate_to(&self, offset: i64) -> Result<bool, StorageError> {
        assert!(offset >= 0, "a log is truncated to an offset");
        let _turn = self.flushing.turn.lock();
        let mut state = self.state.lock();
        self.failures.check(&self.parent_dir)?;
        let high_watermark = self.high_watermark();
        if offset < high_watermark {
            let partition = self.topic_partition();
            tracing::warn!(%partition, offset, high_watermark, "truncating below the high watermark");
        }
        if offset >= self.log_end_offset() {
            // A leader notes its epoch before its first append; if it never appended, the note must go.
            self.leader_epochs.truncate_from_end(self.log_end_offset());
            return Ok(false);
        }
        if self.local.first_segment_base_offset() > offset {
            self.truncate_fully_locked(&mut state, offset, None)?;
            return Ok(true);
        }
        let context = "cannot truncate";
        let removed = self.local.truncate_to(offset).map_err(|error| match error {
            ScanError::Io(error) => self.fail(context, error),
            ScanError::Corrupt(error) => {
                self.fail(context, io::Error::new(io::ErrorKind::InvalidData, error))
            }
        })?;
        let bases: Vec<i64> = removed.iter().map(|segment| segment.base_offset()).collect();
        self.guard(context, || self.doom_producer_snapshots(&mut state.producers, &bases))?;
        self.leader_epochs.truncate_from_end(offset);
        {
            let mut marks = self.marks.write();
            marks.log_start_offset = marks.log_start_offset.min(offset);
        }
        self.note_recovery_point_moved(&mut state);
        self.rebuild_producer_state(&mut state, offset)?;
        self.update_high_watermark_with_log_end_offset(&mut state);
        self.update_first_unstable_offset(&mut state);
        Ok(true)
    }

    /// Forgets all records; the log goes on at an offset, and may claim to start below it.
    pub fn truncate_fully_and_start_at(
        &self,
        offset: i64,
        log_start_offset: Option<i64>,
    ) -> Result<(), StorageError> {
        let _turn = self.flushing.turn.lock();
        self.truncate_fully_locked(&mut self.state.lock(), offset, log_start_offset)
    }

    fn truncate_fully_locked(
        &self,
        state: &mut LogState,
        offset: i64,
        log_start_offset: Option<i64>,
    ) -> Result<(), StorageError> {
        self.settle_locked(state)?;
        self.guard("cannot truncate the entire log", || {
            self.local.truncate_fully_and_start_at(offset)?;
            self.leader_epochs.clear_and_flush()?;
            state.producers.truncate_fully_and_start_at(offset)
        })?;
        self.note_recovery_point_moved(state);
        self.marks.write().log_start_offset = log_start_offset.unwrap_or(offset);
        self.rebuild_producer_state(state, offset)?;
        let end = self.local.end_metadata();
        self.set_high_watermark(state, end);
        Ok(())
    }

    fn rebuild_producer_state(&self, state: &mut LogState, last_offset: i64) -> Result<(), StorageError> {
        let rebuild = Rebuild {
            log_start_offset: self.log_start_offset(),
            last_offset,
            now_ms: self.local.time().now_ms(),
            reload_from_clean_shutdown: false,
        };
        self.guard("cannot rebuild producer state", || {
            let segments = self.local.with_segments(Clone::clone);
            rebuild_producer_state(&mut state.producers, &segments, &rebuild)
        })
    }

    /// Leaves the files as Kafka does when it stops in order: with a producer snapshot at the log's end.
    pub fn close(&self) -> Result<(), StorageError> {
        self.close_files(true)
    }

    /// The same for a caller that syncs the volume, and then calls [`Self::note_synced`].
    pub(crate) fn close_unsynced(&self) -> Result<(), StorageError> {
        self.close_files(false)
    }

    /// Whether something was appended that is not on disk, or whose producers are not.
    pub(crate) fn is_unsynced(&self) -> bool {
        self.local.is_unsynced() || self.state.lock().producers.is_ahead_of_snapshot()
    }

    /// Everything was synced since the log was closed.
    pub(crate) fn note_synced(&self) {
        self.local.note_synced();
    }

    fn close_files(&self, sync: bool) -> Result<(), StorageError> {
        let _turn = self.flushing.turn.lock();
        let mut state = self.state.lock();
        if std::mem::replace(&mut state.closed, true) {
            return Ok(());
        }
        self.settle_locked(&mut state)?;
        self.guard("cannot close", || {
            state.producers.take_snapshot(sync)?;
            self.leader_epochs.flush()?;
            self.local.close()
        })
    }

    /// Lets go without writing: the disk failed.
    pub fn close_handlers(&self) {
        self.state.lock().closed = true;
    }

    /// Renames the folder. A log that is going away writes no checkpoints any more.
    pub fn rename_dir(&self, name: &str, going_away: bool) -> Result<(), StorageError> {
        self.rename_dir_unsynced(name, going_away)?;
        self.guard("cannot sync the log directory", || self.local.fs().sync_dir(&self.parent_dir))
    }

    /// As [`Self::rename_dir`], for a caller that syncs the log directory once for many logs.
    pub(crate) fn rename_dir_unsynced(&self, name: &str, going_away: bool) -> Result<(), StorageError> {
        let _turn = self.flushing.turn.lock();
        let mut state = self.state.lock();
        self.guard("cannot rename the folder", || self.rename_folder(name))?;
        let dir = self.local.dir();
        state.producers.update_dir(&dir);
        state.unsynced_snapshots.clear();
        self.leader_epochs.update_dir(Arc::clone(self.local.fs()), &dir);
        if going_away {
            self.forget_folder();
            self.leader_epochs.clear();
            state.closed = true;
        }
        Ok(())
    }

    /// Removes the folder and all in it.
    pub fn delete(&self) -> Result<(), StorageError> {
        let _turn = self.flushing.turn.lock();
        let mut state = self.state.lock();
        state.closed = true;
        self.forget_folder();
        self.leader_epochs.clear();
        self.guard("cannot delete the log", || {
            let dir = self.local.dir();
            match self.local.fs().remove_dir_all(&dir) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                result => result,
            }
        })
    }
}

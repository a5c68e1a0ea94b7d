use std::io;
use std::sync::Arc;

use super::LocalLog;
use crate::log_file_names::SWAP_FILE_SUFFIX;
use crate::log_segment::LogSegment;

impl LocalLog {
    /// Whether these are segments of the log, and none of them is the active one.
    pub(crate) fn has_inactive(&self, wanted: &[Arc<LogSegment>]) -> bool {
        self.with_segments(|segments| {
            let is_there = |wanted: &Arc<LogSegment>| {
                let found = segments.floor(wanted.base_offset());
                let is_active = segments.last().is_some_and(|active| Arc::ptr_eq(active, wanted));
                !is_active && found.is_some_and(|found| Arc::ptr_eq(found, wanted))
            };
            wanted.iter().all(is_there)
        })
    }

    /// Puts a compacted segment, whose files are complete and on disk, in the place of those it was made from.
    /// Returns base offsets of those that are gone, but for its own.
    ///
    /// A crash leaves either the old segments, or the new one under a name from which the next start goes on
    /// here: it must be on disk before the first of the old ones goes.
    pub(crate) fn replace_segments(
        &self,
        cleaned: &Arc<LogSegment>,
        replaced: &[Arc<LogSegment>],
    ) -> io::Result<Vec<i64>> {
        assert!(
            self.has_inactive(replaced),
            "COMPACTION-BELOW-ACTIVE: the active segment is never compacted"
        );
        let base_offset = cleaned.base_offset();
        cleaned.change_suffix(SWAP_FILE_SUFFIX)?;
        self.fs.sync_dir(&self.dir())?;
        {
            let mut segments = self.segments.write();
            for old in replaced {
                segments.remove(old.base_offset());
            }
            segments.insert(Arc::clone(cleaned));
        }
        replaced.iter().try_for_each(|old| self.doom(old))?;
        cleaned.change_suffix("")?;
        self.fs.sync_dir(&self.dir())?;
        let bases = replaced.iter().map(|old| old.base_offset());
        Ok(bases.filter(|base| *base != base_offset).collect())
    }
}

//! What compaction needs of segments.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::LogSegment;
use crate::fs::FileSystem;
use crate::log_config::LogConfig;
use crate::log_file_names::{
    CLEANED_FILE_SUFFIX, INDEX_FILE_SUFFIX, LOG_FILE_SUFFIX, TIME_INDEX_FILE_SUFFIX,
};

impl LogSegment {
    /// Begins a segment that is to replace others. Until it is complete its files have names that the next
    /// start removes; what an earlier attempt has left of them goes.
    pub(crate) fn create_cleaned(
        fs: &Arc<dyn FileSystem>,
        dir: &Arc<Path>,
        base_offset: i64,
        config: &LogConfig,
        now_ms: i64,
    ) -> io::Result<Self> {
        let segment = Self::plan(fs, dir, base_offset, config, now_ms);
        segment.state.lock().suffix = CLEANED_FILE_SUFFIX;
        segment.delete_files()?;
        segment.create_files()?;
        Ok(segment)
    }

    /// Removes all files. Nobody may use the segment any more.
    pub(crate) fn delete_files(&self) -> io::Result<()> {
        self.files().iter().try_for_each(|path| self.fs.remove_file_if_exists(path).map(drop))
    }

    /// Bytes of offset and time index of a segment that is appended to no more.
    pub(crate) fn index_bytes(&self) -> io::Result<[u64; 2]> {
        let len =
            |kind: &str| Ok::<u64, io::Error>(self.fs.metadata(&self.path(kind))?.map_or(0, |file| file.len));
        Ok([len(INDEX_FILE_SUFFIX)?, len(TIME_INDEX_FILE_SUFFIX)?])
    }

    /// Dates the files as those were that the segment stands for.
    pub(crate) fn set_last_modified_ms(&self, modified_ms: i64) -> io::Result<()> {
        let kinds = [LOG_FILE_SUFFIX, INDEX_FILE_SUFFIX, TIME_INDEX_FILE_SUFFIX];
        kinds.iter().try_for_each(|kind| self.fs.set_modified_ms(&self.path(kind), modified_ms))
    }
}

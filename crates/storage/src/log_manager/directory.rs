use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use ottla_common::{TopicPartition, Uuid};

use super::LogManager;
use crate::checkpoint::{
    CleanShutdownFile, LOG_START_OFFSET_CHECKPOINT_FILE, OffsetCheckpointFile,
    RECOVERY_POINT_CHECKPOINT_FILE, REPLICATION_OFFSET_CHECKPOINT_FILE,
};
use crate::error::LogError;
use crate::fs::{DirLock, FileSystem};
use crate::log_dir_failure::LogDirFailureChannel;
use crate::meta_properties::MetaProperties;
use crate::sync::Mutex;
use crate::write_back::WriteBack;

const LOCK_FILE: &str = ".lock";

/// One of `log.dirs`, locked.
#[derive(Debug)]
pub(super) struct LogDir {
    path: PathBuf,
    directory_id: Option<Uuid>,
    had_clean_shutdown: bool,
    previous_broker_epoch: Option<i64>,
    loaded: AtomicBool,
    clean_shutdown_file: CleanShutdownFile,
    pub(super) recovery_points: OffsetCheckpointFile,
    pub(super) log_start_offsets: OffsetCheckpointFile,
    pub(super) high_watermarks: OffsetCheckpointFile,
    /// Held from looking at recovery points to their being on disk: none overtakes another.
    pub(super) checkpointing: Mutex<()>,
    pub(super) write_back: Arc<WriteBack>,
    _lock: Box<dyn DirLock>,
}

impl LogDir {
    /// Makes the directory if it is missing, locks it and reads its id. `None` if the disk fails.
    pub(super) fn open(
        fs: &Arc<dyn FileSystem>,
        path: &Path,
        failures: &LogDirFailureChannel,
        manager: &Weak<LogManager>,
    ) -> Result<Option<Self>, LogError> {
        match Self::try_open(fs, path, manager) {
            Ok(Some(dir)) => Ok(Some(dir)),
            Ok(None) => Err(LogError::Locked(path.to_path_buf())),
            Err(error) => {
                failures.maybe_add_offline_log_dir(path, "cannot open the log directory", &error);
                Ok(None)
            }
        }
    }

    fn try_open(
        fs: &Arc<dyn FileSystem>,
        path: &Path,
        manager: &Weak<LogManager>,
    ) -> io::Result<Option<Self>> {
        if !fs.exists(path)? {
            fs.create_dir_all(path)?;
            path.parent().map_or(Ok(()), |parent| fs.sync_dir(parent))?;
        }
        fs.list_dir(path)?;
        let Some(lock) = fs.try_lock(&path.join(LOCK_FILE))? else { return Ok(None) };
        let meta = MetaProperties::read(fs.as_ref(), path)?;
        let checkpoint = |name: &str| OffsetCheckpointFile::new(Arc::clone(fs), path, name);
        let clean_shutdown_file = CleanShutdownFile::new(Arc::clone(fs), path);
        Ok(Some(Self {
            path: path.to_path_buf(),
            directory_id: meta.and_then(|meta| meta.directory_id),
            had_clean_shutdown: clean_shutdown_file.exists()?,
            previous_broker_epoch: clean_shutdown_file.read(),
            loaded: AtomicBool::new(false),
            clean_shutdown_file,
            recovery_points: checkpoint(RECOVERY_POINT_CHECKPOINT_FILE),
            log_start_offsets: checkpoint(LOG_START_OFFSET_CHECKPOINT_FILE),
            high_watermarks: checkpoint(REPLICATION_OFFSET_CHECKPOINT_FILE),
            checkpointing: Mutex::default(),
            write_back: WriteBack::new(manager, path),
            _lock: lock,
        }))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn directory_id(&self) -> Option<Uuid> {
        self.directory_id
    }

    pub(super) fn had_clean_shutdown(&self) -> bool {
        self.had_clean_shutdown
    }

    pub(super) fn previous_broker_epoch(&self) -> Option<i64> {
        self.previous_broker_epoch
    }

    pub(super) fn clean_shutdown_file(&self) -> &CleanShutdownFile {
        &self.clean_shutdown_file
    }

    /// Whether all logs of the directory were loaded.
    pub(super) fn is_loaded(&self) -> bool {
        self.loaded.load(Ordering::Acquire)
    }

    pub(super) fn set_loaded(&self) {
        self.loaded.store(true, Ordering::Release);
    }

    /// A checkpoint, or nothing if it is damaged: then more is recovered than need be.
    pub(super) fn read_checkpoint(&self, file: &OffsetCheckpointFile) -> BTreeMap<TopicPartition, i64> {
        file.read().unwrap_or_else(|error| {
            tracing::warn!(dir = %self.path.display(), %error, "checkpoint is ignored");
            BTreeMap::new()
        })
    }
}

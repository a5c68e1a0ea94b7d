use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::StorageError;
use crate::sync::Mutex;

/// Where failed disks are reported and looked up. A directory that failed once stays offline until the
/// broker restarts: what is on it can no longer be trusted to match what was promised.
#[derive(Debug, Default)]
pub struct LogDirFailureChannel {
    state: Mutex<State>,
    /// Whether any directory failed, so that all threads need not meet at the lock to hear that none did.
    any_offline: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    offline: BTreeSet<PathBuf>,
    unhandled: VecDeque<PathBuf>,
}

impl LogDirFailureChannel {
    /// Takes a directory offline and tells whether that is news.
    pub fn maybe_add_offline_log_dir(&self, dir: &Path, context: &str, error: &io::Error) -> bool {
        let mut state = self.state.lock();
        let news = state.offline.insert(dir.to_path_buf());
        self.any_offline.store(true, Ordering::Release);
        if news {
            tracing::error!(dir = %dir.display(), %error, "{context}");
            state.unhandled.push_back(dir.to_path_buf());
        }
        news
    }

    /// Whether the directory failed.
    pub fn is_offline(&self, dir: &Path) -> bool {
        self.any_offline.load(Ordering::Acquire) && self.state.lock().offline.contains(dir)
    }

    /// The next failed directory nobody has dealt with yet.
    pub fn take_next_offline_log_dir(&self) -> Option<PathBuf> {
        self.state.lock().unhandled.pop_front()
    }

    /// Runs what touches the disk; an error takes the directory offline.
    pub(crate) fn guard<T>(
        &self,
        dir: &Path,
        context: impl FnOnce() -> String,
        action: impl FnOnce() -> io::Result<T>,
    ) -> Result<T, StorageError> {
        self.check(dir)?;
        action().map_err(|source| self.fail(dir, context(), source))
    }

    /// Fails if the directory is offline.
    pub(crate) fn check(&self, dir: &Path) -> Result<(), StorageError> {
        if self.is_offline(dir) {
            let context = "it is offline since an earlier error".to_owned();
            return Err(StorageError { dir: dir.to_path_buf(), context, source: None });
        }
        Ok(())
    }

    /// Takes the directory offline.
    pub(crate) fn fail(&self, dir: &Path, context: String, source: io::Error) -> StorageError {
        self.maybe_add_offline_log_dir(dir, &context, &source);
        StorageError { dir: dir.to_path_buf(), context, source: Some(source) }
    }
}

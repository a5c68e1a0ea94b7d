//! All logs of a broker, in all its log directories.

mod cleaning;
mod describe;
mod directory;
mod loading;
mod periodic;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, Weak};

use ottla_common::time::Time;
use ottla_common::{TopicPartition, Uuid};

use crate::cleaner::LogCleaner;
use crate::error::{LogError, StorageError};
use crate::fs::FileSystem;
use crate::log_config::LogConfig;
use crate::log_dir_failure::LogDirFailureChannel;
use crate::log_file_names::{log_delete_dir_name, log_dir_name, log_stray_dir_name};
use crate::producer_state::ProducerStateManagerConfig;
use crate::sync::{Mutex, RwLock};
use crate::unified_log::{UnifiedLog, UnifiedLogParams};

pub use describe::{LogDirDescription, ReplicaDescription};
use directory::LogDir;
use periodic::MIN_LOGS_FOR_SYNC_OF_ALL;

/// What must be known to manage logs.
#[derive(Debug)]
pub struct LogManagerParams {
    /// The disk.
    pub fs: Arc<dyn FileSystem>,
    /// The clock.
    pub time: Arc<dyn Time>,
    /// `log.dirs`.
    pub log_dirs: Vec<PathBuf>,
    /// Settings of topics that have none of their own.
    pub default_config: Arc<LogConfig>,
    /// `num.recovery.threads.per.data.dir`.
    pub recovery_threads_per_data_dir: usize,
    /// Settings of producer state.
    pub producer_state: ProducerStateManagerConfig,
}

/// All logs of a broker: finds, makes, deletes, checkpoints and closes them.
///
/// It has no threads of its own, but for one that writes back what is appended to a directory. What Kafka does on timers are methods here, to be called by a shell:
/// see [`Self::run_background_tasks`] and those after it.
#[derive(Debug)]
pub struct LogManager {
    fs: Arc<dyn FileSystem>,
    time: Arc<dyn Time>,
    failures: Arc<LogDirFailureChannel>,
    producer_state: RwLock<ProducerStateManagerConfig>,
    recovery_threads_per_data_dir: usize,
    default_config: RwLock<Arc<LogConfig>>,
    dirs: RwLock<Vec<Arc<LogDir>>>,
    /// All `log.dirs`, online or not.
    configured_dirs: Vec<PathBuf>,
    /// Ids of the directories that worked at first.
    opened_ids: Vec<Uuid>,
    cordoned: RwLock<BTreeSet<PathBuf>>,
    logs: RwLock<Logs>,
    /// New logs whose folders are still to be made.
    unsettled: Mutex<Vec<Arc<UnifiedLog>>>,
    /// Held while that is done: what one thread writes is not what another has synced.
    settling: Mutex<()>,
    /// One log is made or deleted at a time.
    creation_or_deletion: Mutex<()>,
    /// Once it was started.
    cleaner: OnceLock<Arc<LogCleaner>>,
}

#[derive(Debug, Default)]
struct Logs {
    current: HashMap<TopicPartition, Arc<UnifiedLog>>,
    future: HashMap<TopicPartition, Arc<UnifiedLog>>,
    /// Renamed folders, to be removed.
    doomed: Vec<DoomedDir>,
}

/// A renamed folder and when it goes.
#[derive(Debug, Clone)]
struct DoomedDir {
    log_dir: PathBuf,
    dir: PathBuf,
    deadline_ms: i64,
    /// Kept so that reads under way end well.
    log: Option<Arc<UnifiedLog>>,
}

impl LogManager {
    /// Takes the directories: makes those missing, locks them, reads their ids. A directory that fails is
    /// offline; that all fail is an error, as is one in use by another process.
    pub fn open(params: LogManagerParams) -> Result<Arc<Self>, LogError> {
        let mut opened = Ok(());
        let manager = Arc::new_cyclic(|me| {
            let mut manager = Self::without_dirs(params.fs, params.time, params.default_config);
            manager.producer_state = RwLock::new(params.producer_state);
            manager.recovery_threads_per_data_dir = params.recovery_threads_per_data_dir.max(1);
            opened = manager.open_dirs(params.log_dirs, me);
            manager
        });
        opened.map(|()| manager)
    }

    fn without_dirs(fs: Arc<dyn FileSystem>, time: Arc<dyn Time>, default_config: Arc<LogConfig>) -> Self {
        Self {
            fs,
            time,
            failures: Arc::default(),
            producer_state: RwLock::default(),
            recovery_threads_per_data_dir: 1,
            default_config: RwLock::new(default_config),
            opened_ids: Vec::new(),
            dirs: RwLock::default(),
            configured_dirs: Vec::new(),
            cordoned: RwLock::default(),
            logs: RwLock::default(),
            unsettled: Mutex::default(),
            settling: Mutex::default(),
            creation_or_deletion: Mutex::default(),
            cleaner: OnceLock::new(),
        }
    }

    fn open_dirs(&mut self, paths: Vec<PathBuf>, me: &Weak<Self>) -> Result<(), LogError> {
        let mut dirs = Vec::new();
        for path in paths {
            if self.configured_dirs.contains(&path) {
                return Err(LogError::LogDirNotFound(format!("{} is listed twice", path.display())));
            }
            dirs.extend(LogDir::open(&self.fs, &path, &self.failures, me)?.map(Arc::new));
            self.configured_dirs.push(path);
        }
        if dirs.is_empty() {
            return Err(LogError::NoLogDirOnline);
        }
        self.opened_ids = dirs.iter().filter_map(|dir| dir.directory_id()).collect();
        self.dirs = RwLock::new(dirs);
        Ok(())
    }

    /// Where failed disks are told.
    pub fn failures(&self) -> &Arc<LogDirFailureChannel> {
        &self.failures
    }

    /// Settings of topics that have none of their own.
    pub fn default_config(&self) -> Arc<LogConfig> {
        Arc::clone(&self.default_config.read())
    }

    /// Changes those settings for logs made from now on; those there get theirs by
    /// [`Self::update_topic_config`].
    pub fn reconfigure_default_config(&self, config: Arc<LogConfig>) {
        *self.default_config.write() = config;
    }

    /// Changes the settings of producers for every log, those to come as well.
    pub fn update_producer_state_config(&self, config: ProducerStateManagerConfig) {
        if std::mem::replace(&mut *self.producer_state.write(), config) != config {
            self.all_logs().iter().for_each(|log| log.update_producer_state_config(config));
        }
    }

    /// The log of a partition.
    pub fn get_log(&self, partition: &TopicPartition) -> Option<Arc<UnifiedLog>> {
        self.logs.read().current.get(partition).map(Arc::clone)
    }

    /// The copy that will replace a partition's log.
    pub fn get_future_log(&self, partition: &TopicPartition) -> Option<Arc<UnifiedLog>> {
        self.logs.read().future.get(partition).map(Arc::clone)
    }

    /// All logs, also future ones.
    pub fn all_logs(&self) -> Vec<Arc<UnifiedLog>> {
        let logs = self.logs.read();
        logs.current.values().chain(logs.future.values()).map(Arc::clone).collect()
    }

    /// Current logs of a topic.
    pub fn logs_of_topic(&self, topic: &str) -> Vec<Arc<UnifiedLog>> {
        let logs = self.logs.read();
        let of_topic = logs.current.iter().filter(|(partition, _)| &*partition.topic == topic);
        of_topic.map(|(_, log)| Arc::clone(log)).collect()
    }

    /// Puts a topic's settings in force in all its logs.
    pub fn update_topic_config(&self, topic: &str, config: &Arc<LogConfig>) {
        for log in self.logs_of_topic(topic) {
            let before = log.update_config(Arc::clone(config));
            if before.compact && !config.compact {
                self.abort_cleaning(log.topic_partition());
            }
        }
    }

    /// The log of a partition, made if there is none. It goes to the directory asked for, if that is
    /// online; without a wish to the one with the fewest logs.
    pub fn get_or_create_log(
        &self,
        partition: &TopicPartition,
        topic_id: Option<Uuid>,
        config: Arc<LogConfig>,
        directory_id: Option<Uuid>,
    ) -> Result<Arc<UnifiedLog>, LogError> {
        let _guard = self.creation_or_deletion.lock();
        if let Some(log) = self.get_log(partition) {
            if let Some(topic_id) = topic_id {
                log.assign_topic_id(topic_id)?;
            }
            return Ok(log);
        }
        let dir = self.choose_dir(directory_id)?;
        let params = UnifiedLogParams {
            fs: Arc::clone(&self.fs),
            time: Arc::clone(&self.time),
            dir: dir.path().join(log_dir_name(partition)),
            config,
            log_start_offset: 0,
            recovery_point: 0,
            last_shutdown_clean: false,
            topic_id,
            producer_state: *self.producer_state.read(),
            failures: Arc::clone(&self.failures),
        };
        let log = UnifiedLog::open_or_plan(params, partition)?;
        self.attach_write_back(&log);
        self.logs.write().current.insert(partition.clone(), Arc::clone(&log));
        if log.is_unsettled() {
            self.unsettled.lock().push(Arc::clone(&log));
        }
        tracing::info!(%partition, dir = %log.dir().display(), "log created");
        Ok(log)
    }

    fn choose_dir(&self, directory_id: Option<Uuid>) -> Result<Arc<LogDir>, LogError> {
        let online: Vec<Arc<LogDir>> = self.online_dirs();
        // Ids below 100 have a meaning of their own, such as "not assigned yet" (KIP-858).
        if let Some(id) = directory_id.filter(|id| id.as_u128() >= 100) {
            let found = online.into_iter().find(|dir| dir.directory_id() == Some(id));
            return found.ok_or_else(|| LogError::LogDirNotFound(id.to_string()));
        }
        let cordoned = self.cordoned.read();
        let logs = self.logs.read();
        let count =
            |dir: &Arc<LogDir>| logs.current.values().filter(|log| log.parent_dir() == dir.path()).count();
        let mut free: Vec<_> = online.into_iter().filter(|dir| !cordoned.contains(dir.path())).collect();
        // Counting looks at all logs, for each that is made: only when there is a choice.
        if free.len() < 2 {
            return free.pop().ok_or(LogError::NoLogDirOnline);
        }
        free.into_iter().min_by_key(count).ok_or(LogError::NoLogDirOnline)
    }

    /// What is appended to the log is forced to disk by its directory's thread.
    fn attach_write_back(&self, log: &Arc<UnifiedLog>) {
        let dirs = self.dirs.read();
        if let Some(dir) = dirs.iter().find(|dir| dir.path() == log.parent_dir()) {
            log.attach(&dir.write_back);
        }
    }

    /// Takes a partition's log out and renames its folder; files go after `file.delete.delay.ms`. Tells
    /// whether there was one.
    pub fn delete_log(&self, partition: &TopicPartition) -> Result<bool, StorageError> {
        let deleted = self.take_out(partition, log_delete_dir_name(partition, random_id()), true)?;
        self.forget_cleaned(deleted.iter());
        self.sync_parents(deleted.iter())?;
        self.forget_recovery_points(deleted.iter())?;
        Ok(deleted.is_some())
    }

    /// The same for many logs, with one sync for each log directory. Each directory that fails is offline
    /// and tells so; returns how many logs there were.
    pub fn delete_logs(&self, partitions: &[TopicPartition]) -> usize {
        let take_out = |partition: &TopicPartition| {
            let name = log_delete_dir_name(partition, random_id());
            self.take_out(partition, name, true).ok().flatten()
        };
        let deleted: Vec<Arc<UnifiedLog>> = partitions.iter().filter_map(take_out).collect();
        self.forget_cleaned(deleted.iter());
        // Its failure took the directory offline, which is all that is to be done.
        let _ = self.sync_parents(deleted.iter());
        let _ = self.forget_recovery_points(deleted.iter());
        deleted.len()
    }

    fn sync_parents<'a>(&self, logs: impl Iterator<Item = &'a Arc<UnifiedLog>>) -> Result<(), StorageError> {
        let dirs: BTreeSet<&Path> = logs.map(|log| log.parent_dir()).collect();
        dirs.into_iter().try_for_each(|dir| {
            let sync = || self.fs.sync_dir(dir);
            self.failures.guard(dir, || "cannot sync the log directory".to_owned(), sync)
        })
    }

    /// A log made anew under the name must not be taken to be on disk as far as the one that went.
    fn forget_recovery_points<'a>(
        &self,
        logs: impl Iterator<Item = &'a Arc<UnifiedLog>>,
    ) -> Result<(), StorageError> {
        let dirs: BTreeSet<&Path> =
            logs.filter(|log| log.is_checkpointed()).map(|log| log.parent_dir()).collect();
        dirs.into_iter().try_for_each(|dir| self.checkpoint_recovery_points_in(dir))
    }

    /// Takes out a log nobody claims; its folder is kept under another name.
    pub fn mark_stray(&self, partition: &TopicPartition) -> Result<bool, StorageError> {
        let stray = self.take_out(partition, log_stray_dir_name(partition, random_id()), false)?;
        self.forget_cleaned(stray.iter());
        self.sync_parents(stray.iter())?;
        Ok(stray.is_some())
    }

    fn take_out(
        &self,
        partition: &TopicPartition,
        name: String,
        delete: bool,
    ) -> Result<Option<Arc<UnifiedLog>>, StorageError> {
        let _guard = self.creation_or_deletion.lock();
        let Some(log) = self.logs.write().current.remove(partition) else { return Ok(None) };
        self.abort_cleaning(partition);
        log.rename_dir_unsynced(&name, true)?;
        tracing::info!(%partition, dir = %log.dir().display(), "log is taken out");
        if delete {
            let deadline_ms = self.time.now_ms().saturating_add(log.config().file_delete_delay_ms);
            let (log_dir, dir) = (log.parent_dir().to_path_buf(), log.dir().to_path_buf());
            let doomed = DoomedDir { log_dir, dir, deadline_ms, log: Some(Arc::clone(&log)) };
            self.logs.write().doomed.push(doomed);
        }
        Ok(Some(log))
    }

    /// Closes all logs in order and leaves the marker of a clean shutdown, in each directory that works.
    /// `broker_epoch` is -1 if unknown.
    pub fn shutdown(&self, broker_epoch: i64) {
        if let Some(cleaner) = self.cleaner.get() {
            cleaner.shutdown();
        }
        self.settle_new_logs();
        for dir in self.online_dirs() {
            if let Err(error) = self.shutdown_dir(&dir, broker_epoch) {
                tracing::error!(dir = %dir.path().display(), %error, "directory was not closed cleanly");
            }
        }
    }

    fn shutdown_dir(&self, dir: &LogDir, broker_epoch: i64) -> Result<(), StorageError> {
        dir.write_back.stop();
        let logs = self.logs_in(dir.path());
        let threads = self.recovery_threads_per_data_dir;
        if logs.iter().filter(|log| log.is_unsynced()).count() < MIN_LOGS_FOR_SYNC_OF_ALL {
            in_parallel(threads, &logs, |log| {
                log.flush(true)?;
                log.close()
            })?;
        } else {
            in_parallel(threads, &logs, |log| log.close_unsynced())?;
            self.sync_volume(dir)?;
            logs.iter().for_each(|log| log.note_synced());
        }
        self.checkpoint_dir(dir, &logs)?;
        // Without this a directory whose loading was cut short would look complete.
        if dir.is_loaded() {
            let write = || dir.clean_shutdown_file().write(broker_epoch);
            self.failures.guard(dir.path(), || "cannot write the clean shutdown marker".to_owned(), write)?;
        }
        Ok(())
    }

    fn logs_in(&self, log_dir: &Path) -> Vec<Arc<UnifiedLog>> {
        self.all_logs().into_iter().filter(|log| log.parent_dir() == log_dir).collect()
    }
}

/// Directories.
impl LogManager {
    /// Directories that work.
    pub fn live_log_dirs(&self) -> Vec<PathBuf> {
        self.online_dirs().iter().map(|dir| dir.path().to_path_buf()).collect()
    }

    /// Directories that failed.
    pub fn offline_log_dirs(&self) -> Vec<PathBuf> {
        let live = self.live_log_dirs();
        self.configured_dirs.iter().filter(|dir| !live.contains(dir)).cloned().collect()
    }

    /// Whether any directory failed.
    pub fn has_offline_log_dirs(&self) -> bool {
        !self.offline_log_dirs().is_empty()
    }

    /// Ids of directories that work.
    pub fn directory_ids(&self) -> BTreeMap<PathBuf, Uuid> {
        let dirs = self.online_dirs();
        dirs.iter().filter_map(|dir| Some((dir.path().to_path_buf(), dir.directory_id()?))).collect()
    }

    /// Ids of directories that worked when they were opened and have failed since.
    pub fn offline_directory_ids(&self) -> Vec<Uuid> {
        self.opened_ids.iter().copied().filter(|id| !self.online_log_dir_id(*id)).collect()
    }

    /// Id of a directory that works.
    pub fn directory_id(&self, log_dir: &Path) -> Option<Uuid> {
        self.online_dirs().iter().find(|dir| dir.path() == log_dir)?.directory_id()
    }

    /// Whether a directory of this id works.
    pub fn online_log_dir_id(&self, id: Uuid) -> bool {
        self.online_dirs().iter().any(|dir| dir.directory_id() == Some(id))
    }

    /// Directories that take no new logs (KIP-1066).
    pub fn update_cordoned_log_dirs(&self, dirs: BTreeSet<PathBuf>) {
        *self.cordoned.write() = dirs;
    }

    /// Epoch of the broker that shut all directories down cleanly, -1 if one of them was not.
    pub fn previous_broker_epoch(&self) -> i64 {
        let epochs = self.online_dirs().into_iter().map(|dir| dir.previous_broker_epoch());
        let all: Option<Vec<i64>> = epochs.collect();
        all.and_then(|epochs| epochs.into_iter().min()).unwrap_or(-1)
    }

    /// Deals with directories that failed since the last call: their logs are gone from here on. Returns
    /// the directories and their ids.
    pub fn handle_log_dir_failures(&self) -> Vec<(PathBuf, Option<Uuid>)> {
        let mut failed = Vec::new();
        while let Some(path) = self.failures.take_next_offline_log_dir() {
            let _guard = self.creation_or_deletion.lock();
            let dir = {
                let mut dirs = self.dirs.write();
                let found = dirs.iter().position(|dir| dir.path() == path);
                found.map(|index| dirs.remove(index))
            };
            if let Some(dir) = &dir {
                dir.write_back.stop();
            }
            if let Some(cleaner) = self.cleaner.get() {
                cleaner.manager().handle_log_dir_failure(&path);
            }
            let mut logs = self.logs.write();
            let Logs { current, future, doomed } = &mut *logs;
            for map in [current, future] {
                for (_, log) in map.extract_if(|_, log| log.parent_dir() == path) {
                    log.close_handlers();
                }
            }
            doomed.retain(|doomed| doomed.log_dir != path);
            failed.push((path, dir.and_then(|dir| dir.directory_id())));
        }
        failed
    }

    /// From here on only the system writes by itself.
    pub(crate) fn stop_write_back(&self) {
        self.dirs.read().iter().for_each(|dir| dir.write_back.stop());
    }

    fn online_dirs(&self) -> Vec<Arc<LogDir>> {
        let dirs = self.dirs.read();
        dirs.iter().filter(|dir| !self.failures.is_offline(dir.path())).map(Arc::clone).collect()
    }
}

impl Drop for LogManager {
    fn drop(&mut self) {
        self.stop_write_back();
        if let Some(cleaner) = self.cleaner.get() {
            cleaner.stop();
        }
    }
}

/// An id no folder has yet. The standard library seeds its hashers by chance, which is chance enough.
fn random_id() -> Uuid {
    let [high, low] = [1_u8, 2].map(|salt| RandomState::new().hash_one(salt));
    Uuid::from_u128((u128::from(high) << 64) | u128::from(low))
}

/// Does something to each item on some threads. All are done even if one fails; the first error is told.
fn in_parallel<T: Sync, E: Send>(
    threads: usize,
    items: &[T],
    action: impl Fn(&T) -> Result<(), E> + Sync,
) -> Result<(), E> {
    let next = std::sync::atomic::AtomicUsize::new(0);
    let first_error = Mutex::new(None);
    let work = || {
        while let Some(item) = items.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed)) {
            if let Err(error) = action(item) {
                first_error.lock().get_or_insert(error);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads.min(items.len()) {
            scope.spawn(work);
        }
        work();
    });
    let error = first_error.lock().take();
    error.map_or(Ok(()), Err)
}

#[cfg(test)]
#[path = "../log_manager_test.rs"]
mod tests;

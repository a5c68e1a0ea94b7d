use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use ottla_common::TopicPartition;
use ottla_common::internal_topics::CLUSTER_METADATA_TOPIC;

use super::directory::LogDir;
use super::{DoomedDir, LogManager, in_parallel, random_id};
use crate::error::LogError;
use crate::log_config::LogConfig;
use crate::log_file_names::{LogDirKind, log_stray_dir_name, parse_log_dir_name};
use crate::log_offset::LogOffsetMetadata;
use crate::unified_log::{UnifiedLog, UnifiedLogParams};

/// Folder of tiered storage's index cache, which is no log.
const REMOTE_INDEX_CACHE_DIR: &str = "remote-log-index-cache";

/// A folder that holds a log.
struct Found {
    dir: PathBuf,
    partition: TopicPartition,
    kind: LogDirKind,
}

struct Checkpoints {
    recovery_points: BTreeMap<TopicPartition, i64>,
    log_start_offsets: BTreeMap<TopicPartition, i64>,
    high_watermarks: BTreeMap<TopicPartition, i64>,
}

/// Settings of topics, worked out once for each.
struct TopicConfigs<'a> {
    source: &'a (dyn Fn(&str) -> Arc<LogConfig> + Sync),
    default: Arc<LogConfig>,
    found: HashMap<Arc<str>, OnceLock<Arc<LogConfig>>>,
}

impl TopicConfigs<'_> {
    fn get(&self, topic: &str) -> Arc<LogConfig> {
        let fresh = || {
            let config = (self.source)(topic);
            // Most topics have no settings of their own, and then share one copy.
            if config == self.default { Arc::clone(&self.default) } else { config }
        };
        self.found.get(topic).map_or_else(fresh, |cell| Arc::clone(cell.get_or_init(fresh)))
    }
}

impl LogManager {
    /// Loads all logs of all directories, on `num.recovery.threads.per.data.dir` threads each. A log for
    /// which `is_stray` is true belongs to no replica any more and is set aside. A directory whose disk
    /// fails goes offline; any other error stops the broker.
    pub fn load_logs(
        &self,
        topic_config: &(dyn Fn(&str) -> Arc<LogConfig> + Sync),
        is_stray: &(dyn Fn(&UnifiedLog) -> bool + Sync),
    ) -> Result<(), LogError> {
        let dirs = self.online_dirs();
        in_parallel(dirs.len(), &dirs, |dir| match self.load_dir(dir, topic_config, is_stray) {
            // Told where it happened, and dealt with by `handle_log_dir_failures`.
            Err(LogError::Storage(_)) => Ok(()),
            result => result,
        })?;
        if self.online_dirs().is_empty() { Err(LogError::NoLogDirOnline) } else { Ok(()) }
    }

    fn load_dir(
        &self,
        dir: &LogDir,
        topic_config: &(dyn Fn(&str) -> Arc<LogConfig> + Sync),
        is_stray: &(dyn Fn(&UnifiedLog) -> bool + Sync),
    ) -> Result<(), LogError> {
        let started = self.time.now_ms();
        // A crash while loading is a crash: the marker goes first (KAFKA-10471).
        let delete = || dir.clean_shutdown_file().delete();
        self.failures.guard(dir.path(), || "cannot delete the clean shutdown marker".to_owned(), delete)?;
        let checkpoints = Checkpoints {
            recovery_points: dir.read_checkpoint(&dir.recovery_points),
            log_start_offsets: dir.read_checkpoint(&dir.log_start_offsets),
            high_watermarks: dir.read_checkpoint(&dir.high_watermarks),
        };
        let found = self.find_logs(dir)?;
        let topic_configs = TopicConfigs {
            source: topic_config,
            default: self.default_config(),
            found: found.iter().map(|found| (Arc::clone(&found.partition.topic), OnceLock::new())).collect(),
        };
        in_parallel(self.recovery_threads_per_data_dir, &found, |found| {
            self.load_log(dir, found, &checkpoints, &topic_configs, is_stray)
        })?;
        dir.set_loaded();
        if !dir.had_clean_shutdown() {
            // Not before: recovery has the disk to itself, and recovery points are written only from here on.
            self.logs_in(dir.path()).iter().for_each(|log| log.note_found());
        }
        let (clean, ms) = (dir.had_clean_shutdown(), self.time.now_ms() - started);
        tracing::info!(dir = %dir.path().display(), logs = found.len(), clean, ms, "logs loaded");
        Ok(())
    }

    fn find_logs(&self, dir: &LogDir) -> Result<Vec<Found>, LogError> {
        let list = || self.fs.list_dir(dir.path());
        let entries = self.failures.guard(dir.path(), || "cannot list the log directory".to_owned(), list)?;
        let mut found: Vec<Found> = Vec::new();
        let mut topics: HashSet<Arc<str>> = HashSet::new();
        for entry in entries.into_iter().filter(|e| e.is_dir && e.name != REMOTE_INDEX_CACHE_DIR) {
            let path = dir.path().join(&entry.name);
            // What file systems put into their roots.
            if entry.name == "lost+found" || entry.name.starts_with('.') {
                continue;
            }
            let Some((mut partition, kind)) = parse_log_dir_name(&entry.name) else {
                return Err(LogError::InvalidFolderName(path));
            };
            // All partitions of a topic share its name.
            match topics.get(&partition.topic) {
                Some(topic) => partition.topic = Arc::clone(topic),
                None => drop(topics.insert(Arc::clone(&partition.topic))),
            }
            // The metadata log is KRaft's.
            if &*partition.topic != CLUSTER_METADATA_TOPIC {
                found.push(Found { dir: path, partition, kind });
            }
        }
        Ok(found)
    }

    fn load_log(
        &self,
        dir: &LogDir,
        found: &Found,
        checkpoints: &Checkpoints,
        topic_configs: &TopicConfigs<'_>,
        is_stray: &(dyn Fn(&UnifiedLog) -> bool + Sync),
    ) -> Result<(), LogError> {
        let Found { dir: path, partition, kind } = found;
        match kind {
            LogDirKind::Deleted => {
                let deadline_ms =
                    self.time.now_ms().saturating_add(self.default_config().file_delete_delay_ms);
                let (log_dir, dir) = (dir.path().to_path_buf(), path.clone());
                self.logs.write().doomed.push(DoomedDir { log_dir, dir, deadline_ms, log: None });
                return Ok(());
            }
            LogDirKind::Stray => {
                tracing::warn!(dir = %path.display(), "stray log is left alone");
                return Ok(());
            }
            LogDirKind::Current | LogDirKind::Future => {}
        }
        let checkpoint =
            |map: &BTreeMap<TopicPartition, i64>| map.get(partition).copied().unwrap_or(0).max(0);
        let params = UnifiedLogParams {
            fs: Arc::clone(&self.fs),
            time: Arc::clone(&self.time),
            dir: path.clone(),
            config: topic_configs.get(&partition.topic),
            log_start_offset: checkpoint(&checkpoints.log_start_offsets),
            recovery_point: checkpoint(&checkpoints.recovery_points),
            last_shutdown_clean: dir.had_clean_shutdown(),
            topic_id: None,
            producer_state: *self.producer_state.read(),
            failures: Arc::clone(&self.failures),
        };
        let log = UnifiedLog::open_or_plan(params, partition)?;
        log.update_high_watermark(LogOffsetMetadata::offset_only(checkpoint(&checkpoints.high_watermarks)));
        if is_stray(&log) {
            log.rename_dir(&log_stray_dir_name(partition, random_id()), true)?;
            tracing::warn!(dir = %log.dir().display(), "log belongs to no replica and is set aside");
            return Ok(());
        }
        self.add_loaded(partition, *kind, log)
    }

    fn add_loaded(
        &self,
        partition: &TopicPartition,
        kind: LogDirKind,
        log: Arc<UnifiedLog>,
    ) -> Result<(), LogError> {
        self.attach_write_back(&log);
        if log.is_unsettled() {
            self.unsettled.lock().push(Arc::clone(&log));
        }
        let mut logs = self.logs.write();
        let map = if kind == LogDirKind::Future { &mut logs.future } else { &mut logs.current };
        let second = log.dir().to_path_buf();
        match map.insert(partition.clone(), log) {
            None => Ok(()),
            Some(previous) => Err(LogError::Duplicate {
                partition: partition.to_string(),
                first: previous.dir().to_path_buf(),
                second,
            }),
        }
    }
}

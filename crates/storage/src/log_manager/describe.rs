use std::path::PathBuf;

use ottla_common::{ErrorCode, TopicPartition, Uuid};

use super::LogManager;

/// A log directory, as DescribeLogDirs shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogDirDescription {
    /// Where it is.
    pub path: PathBuf,
    /// Its id.
    pub directory_id: Option<Uuid>,
    /// `KafkaStorageError` if it is offline.
    pub error: ErrorCode,
    /// Size of its volume, or -1.
    pub total_bytes: i64,
    /// What may still be written to its volume, or -1.
    pub usable_bytes: i64,
    /// Whether it takes no new logs (KIP-1066).
    pub is_cordoned: bool,
    /// Its logs.
    pub replicas: Vec<ReplicaDescription>,
}

/// A log in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaDescription {
    /// The partition.
    pub partition: TopicPartition,
    /// Bytes of its segments.
    pub size: i64,
    /// How far it is behind: its high watermark, or for a future log the current one's end.
    pub offset_lag: i64,
    /// Whether it will replace the current log.
    pub is_future: bool,
}

impl LogManager {
    /// All directories, also those that failed.
    pub fn describe_log_dirs(&self) -> Vec<LogDirDescription> {
        self.configured_dirs.iter().map(|path| self.describe(path.clone())).collect()
    }

    fn describe(&self, path: PathBuf) -> LogDirDescription {
        let online = self.online_dirs().into_iter().find(|dir| dir.path() == path);
        let is_cordoned = self.cordoned.read().contains(&path);
        let Some(dir) = online else {
            return LogDirDescription {
                path,
                directory_id: None,
                error: ErrorCode::KafkaStorageError,
                total_bytes: -1,
                usable_bytes: -1,
                is_cordoned,
                replicas: Vec::new(),
            };
        };
        let space = self.fs.disk_space(&path).ok();
        let mut replicas: Vec<ReplicaDescription> = self
            .logs_in(&path)
            .into_iter()
            .map(|log| {
                let is_future = log.is_future();
                let partition = log.topic_partition().clone();
                let current = self.get_log(&partition);
                let ahead = match current.filter(|_| is_future) {
                    Some(current) => current.log_end_offset(),
                    None => log.high_watermark(),
                };
                ReplicaDescription {
                    partition,
                    size: log.size() as i64,
                    offset_lag: (ahead - log.log_end_offset()).max(0),
                    is_future,
                }
            })
            .collect();
        replicas.sort_by(|a, b| a.partition.cmp(&b.partition));
        LogDirDescription {
            directory_id: dir.directory_id(),
            error: ErrorCode::None,
            total_bytes: space.map_or(-1, |space| space.total_bytes),
            usable_bytes: space.map_or(-1, |space| space.usable_bytes),
            is_cordoned,
            path,
            replicas,
        }
    }
}

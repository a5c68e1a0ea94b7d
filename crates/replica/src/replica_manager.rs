use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use ottla_common::{ErrorCode, TopicPartition, Uuid, internal_topics};
use ottla_metadata::PartitionRegistration;
use ottla_storage::{ActiveProducer, FetchIsolation, LogConfig, LogDirDescription, LogManager};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::append::{AppendFailure, Appended};
use crate::fetch::{FetchInfo, FetchParams, FetchPartitionData};
use crate::offsets::FoundOffset;
use crate::partition::Partition;

/// The most threads that take over partitions at once.
const MAX_APPLY_THREADS: usize = 8;
/// Fewer partitions than this are not worth a thread.
const MIN_PARTITIONS_PER_THREAD: usize = 4;

/// Tells the settings of a topic's logs.
pub trait LogConfigSource: fmt::Debug + Send + Sync {
    /// Settings of the topic over those of the broker over the defaults.
    fn log_config(&self, topic: &str) -> LogConfig;
}

/// What the metadata log says of a partition with a replica here.
#[derive(Debug, Clone)]
pub struct LocalPartition {
    /// Its name.
    pub tp: TopicPartition,
    /// Its topic's id.
    pub topic_id: Uuid,
    /// Leader, epoch, replicas.
    pub registration: Arc<PartitionRegistration>,
}

/// Every partition with a replica on this broker.
#[derive(Debug)]
pub struct ReplicaManager {
    node_id: i32,
    logs: Arc<LogManager>,
    configs: Arc<dyn LogConfigSource>,
    partitions: RwLock<HashMap<TopicPartition, Arc<Partition>>>,
}

impl ReplicaManager {
    /// Begins without any partition: the metadata log brings them.
    pub fn new(node_id: i32, logs: Arc<LogManager>, configs: Arc<dyn LogConfigSource>) -> Self {
        Self { node_id, logs, configs, partitions: RwLock::default() }
    }

    /// The partition, or why this broker has none of it.
    pub fn partition(&self, tp: &TopicPartition) -> Result<Arc<Partition>, ErrorCode> {
        let partitions = self.partitions.read().unwrap_or_else(PoisonError::into_inner);
        partitions.get(tp).cloned().ok_or(ErrorCode::NotLeaderOrFollower)
    }

    /// Every partition here.
    pub fn partitions(&self) -> Vec<Arc<Partition>> {
        self.partitions.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// The logs behind the partitions.
    pub fn logs(&self) -> &Arc<LogManager> {
        &self.logs
    }

    /// Takes over a partition as the metadata log has it now, and opens its log when it is new.
    /// Answers whether this broker begins to lead it.
    pub fn apply(&self, local: &LocalPartition) -> Result<bool, ErrorCode> {
        let config = || self.log_config(&local.tp.topic);
        self.apply_with(local, config)
    }

    /// As [`Self::apply`] for many partitions at once: settings are worked out once for each topic, and
    /// what waits for the disk waits on some threads together. A partition that fails is not told of here:
    /// it is answered for with its error when somebody asks for it.
    pub fn apply_all(&self, locals: &[LocalPartition]) {
        let configs: HashMap<&str, OnceLock<Arc<LogConfig>>> =
            locals.iter().map(|local| (&*local.tp.topic, OnceLock::new())).collect();
        let apply = |local: &LocalPartition| {
            let topic = &*local.tp.topic;
            let fresh = || self.log_config(topic);
            let config = || configs.get(topic).map_or_else(fresh, |cell| cell.get_or_init(fresh).clone());
            let _ = self.apply_with(local, config);
        };
        let next = AtomicUsize::new(0);
        let work = || {
            while let Some(local) = locals.get(next.fetch_add(1, Ordering::Relaxed)) {
                apply(local);
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..MAX_APPLY_THREADS.min(locals.len() / MIN_PARTITIONS_PER_THREAD) {
                scope.spawn(work);
            }
            work();
        });
    }

    /// Settings of a topic. Most topics have none of their own, and then share one copy.
    fn log_config(&self, topic: &str) -> Arc<LogConfig> {
        let default = self.logs.default_config();
        let config = self.configs.log_config(topic);
        if config == *default { default } else { Arc::new(config) }
    }

    fn apply_with(
        &self,
        local: &LocalPartition,
        config: impl FnOnce() -> Arc<LogConfig>,
    ) -> Result<bool, ErrorCode> {
        let existing = self.partition(&local.tp).ok();
        let partition = match existing {
            Some(partition) if partition.topic_id() == local.topic_id => partition,
            _ => self.open(local, config())?,
        };
        partition.apply(&local.registration).map_err(|error| error.code())
    }

    fn open(&self, local: &LocalPartition, config: Arc<LogConfig>) -> Result<Arc<Partition>, ErrorCode> {
        let directory = local.registration.directory(self.node_id);
        let log = self.logs.get_or_create_log(&local.tp, Some(local.topic_id), config, directory).map_err(
            |error| {
                tracing::error!(
                    logger = "kafka.server.ReplicaManager",
                    "Cannot open the log of {}: {error}",
                    local.tp
                );
                ErrorCode::KafkaStorageError
            },
        )?;
        let partition = Arc::new(Partition::new(local.tp.clone(), local.topic_id, self.node_id, log));
        self.partitions
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(local.tp.clone(), partition.clone());
        Ok(partition)
    }

    /// Forgets partitions and deletes their logs.
    pub fn delete_all(&self, tps: &[TopicPartition]) {
        let removed: Vec<Arc<Partition>> = {
            let mut partitions = self.partitions.write().unwrap_or_else(PoisonError::into_inner);
            tps.iter().filter_map(|tp| partitions.remove(tp)).collect()
        };
        // A directory that fails here tells so itself, and its logs are gone anyway.
        self.logs.delete_logs(tps);
        // Whoever waits for these partitions learns that they are gone.
        removed.iter().for_each(|partition| partition.close());
    }

    /// Gives the logs of a topic its new settings.
    pub fn update_config(&self, topic: &str) {
        self.logs.update_topic_config(topic, &self.log_config(topic));
    }

    /// Appends what a client sent.
    pub fn append(
        &self,
        tp: &TopicPartition,
        topic_id: Uuid,
        records: Bytes,
        acks: i16,
        internal_allowed: bool,
    ) -> Result<Appended, AppendFailure> {
        if !(-1..=1).contains(&acks) {
            return Err(ErrorCode::InvalidRequiredAcks.into());
        }
        if internal_topics::is_internal(&tp.topic) && !internal_allowed {
            return Err(ErrorCode::InvalidTopicException.into());
        }
        let partition = self.partition(tp)?;
        if partition.topic_id() != topic_id {
            return Err(ErrorCode::NotLeaderOrFollower.into());
        }
        partition.append(records, acks)
    }

    /// Waits until each partition has committed up to its offset; answers a code for each.
    pub async fn wait_until_committed(
        &self,
        offsets: &[(TopicPartition, i64)],
        timeout_ms: i32,
    ) -> Vec<ErrorCode> {
        let waiter = Arc::new(Notify::new());
        let deadline = Instant::now() + Duration::from_millis(timeout_ms.max(0) as u64);
        let mut parked = false;
        loop {
            let states: Vec<Result<bool, ErrorCode>> =
                offsets.iter().map(|(tp, last)| self.partition(tp)?.is_committed(*last)).collect();
            if states.iter().all(|s| !matches!(s, Ok(false))) {
                return states.into_iter().map(|s| s.err().unwrap_or(ErrorCode::None)).collect();
            }
            if !parked || tokio::time::timeout_at(deadline, waiter.notified()).await.is_ok() {
                // Look again after parking: the watermark may have moved in between.
                self.park(offsets.iter().map(|(tp, _)| tp), &waiter);
                parked = true;
                continue;
            }
            let late = |s| match s {
                Ok(true) => ErrorCode::None,
                Ok(false) => ErrorCode::RequestTimedOut,
                Err(error) => error,
            };
            return states.into_iter().map(late).collect();
        }
    }

    /// Reads from every partition, in order, waiting for `min_bytes` as long as the fetcher would.
    pub async fn fetch_messages(&self, params: &FetchParams, infos: &[FetchInfo]) -> Vec<FetchPartitionData> {
        let mut results = self.read_all(params, infos);
        if params.max_wait_ms <= 0 || is_enough(params, &results) {
            return results;
        }
        let waiter = Arc::new(Notify::new());
        let deadline = Instant::now() + Duration::from_millis(params.max_wait_ms as u64);
        loop {
            // Look again after parking: records may have come in between.
            self.park(infos.iter().map(|info| &info.tp), &waiter);
            results = self.read_all(params, infos);
            if is_enough(params, &results)
                || tokio::time::timeout_at(deadline, waiter.notified()).await.is_err()
            {
                return results;
            }
        }
    }

    fn park<'a>(&self, tps: impl Iterator<Item = &'a TopicPartition>, waiter: &Arc<Notify>) {
        for partition in tps.filter_map(|tp| self.partition(tp).ok()) {
            partition.park(waiter);
        }
    }

    fn read_all(&self, params: &FetchParams, infos: &[FetchInfo]) -> Vec<FetchPartitionData> {
        let mut left = params.max_bytes.max(0) as usize;
        // The first partition that has anything delivers at least one batch, however large.
        let mut min_one_message = true;
        infos
            .iter()
            .map(|info| {
                let partition = match self.partition(&info.tp) {
                    Ok(partition) => partition,
                    Err(error) => return FetchPartitionData::failed(error),
                };
                let max_bytes = left.min(info.max_bytes.max(0) as usize);
                let data = partition.read(info, params.isolation, max_bytes, min_one_message);
                if !data.records.is_empty() {
                    min_one_message = false;
                }
                left = left.saturating_sub(data.records.size_in_bytes());
                data
            })
            .collect()
    }

    /// The offset for a timestamp or a named place.
    pub fn fetch_offset(
        &self,
        tp: &TopicPartition,
        timestamp: i64,
        current_leader_epoch: Option<i32>,
        isolation: FetchIsolation,
    ) -> Result<Option<FoundOffset>, ErrorCode> {
        self.partition(tp)?.fetch_offset(timestamp, current_leader_epoch, isolation)
    }

    /// Where an epoch ended.
    pub fn end_offset_for_epoch(
        &self,
        tp: &TopicPartition,
        current: Option<i32>,
        epoch: i32,
    ) -> Result<(i32, i64), ErrorCode> {
        self.partition(tp)?.end_offset_for_epoch(current, epoch)
    }

    /// Moves a log's start.
    pub fn delete_records(&self, tp: &TopicPartition, offset: i64) -> Result<i64, ErrorCode> {
        self.partition(tp)?.delete_records(offset)
    }

    /// The producers a partition remembers.
    pub fn active_producers(&self, tp: &TopicPartition) -> Result<Vec<ActiveProducer>, ErrorCode> {
        let partition = self.partition(tp)?;
        if partition.leader_epoch().is_none() {
            return Err(ErrorCode::NotLeaderOrFollower);
        }
        Ok(partition.log().active_producers())
    }

    /// Every log directory with its logs.
    pub fn describe_log_dirs(&self) -> Vec<LogDirDescription> {
        self.logs.describe_log_dirs()
    }
}

fn is_enough(params: &FetchParams, results: &[FetchPartitionData]) -> bool {
    let bytes: usize = results.iter().map(|r| r.records.size_in_bytes()).sum();
    bytes >= params.min_bytes.max(0) as usize || results.iter().any(FetchPartitionData::is_final)
}

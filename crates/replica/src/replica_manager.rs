use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard};

use bytes::Bytes;
use ottla_common::{ErrorCode, TopicPartition, Uuid, internal_topics};
use ottla_metadata::PartitionRegistration;
use ottla_storage::{
    ActiveProducer, FetchIsolation, LogConfig, LogDirDescription, LogManager, VerificationGuard,
};

use crate::alarms::Alarms;
use crate::append::{AppendFailure, Appended};
use crate::end_transaction::EndTransaction;
use crate::hosted_partitions::HostedPartitions;
use crate::offsets::FoundOffset;
use crate::partition::Partition;
use crate::transaction_verifier::Verification;

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
    partitions: RwLock<HostedPartitions>,
    pub(crate) alarms: Alarms,
    pub(crate) verification: OnceLock<Verification>,
}

impl ReplicaManager {
    /// Begins without any partition: the metadata log brings them.
    pub fn new(node_id: i32, logs: Arc<LogManager>, configs: Arc<dyn LogConfigSource>) -> Self {
        Self {
            node_id,
            logs,
            configs,
            partitions: RwLock::default(),
            alarms: Alarms::default(),
            verification: OnceLock::new(),
        }
    }

    /// The partition, or why this broker has none of it.
    pub fn partition(&self, tp: &TopicPartition) -> Result<Arc<Partition>, ErrorCode> {
        self.hosted().get(tp).cloned().ok_or(ErrorCode::NotLeaderOrFollower)
    }

    /// The partition, unless it has no replica here or its log directory is offline.
    pub fn online_partition(&self, tp: &TopicPartition) -> Option<Arc<Partition>> {
        self.partition(tp).ok().filter(|partition| partition.log().check_online().is_ok())
    }

    /// As [`Self::partition`] for many, those of a topic best one after the other.
    pub(crate) fn partitions_of<'a>(
        &self,
        tps: impl Iterator<Item = &'a TopicPartition>,
    ) -> Vec<Result<Arc<Partition>, ErrorCode>> {
        let hosted = self.hosted();
        let found = hosted.get_all(tps).map(|found| found.cloned().ok_or(ErrorCode::NotLeaderOrFollower));
        found.collect()
    }

    /// Every partition here.
    pub fn partitions(&self) -> Vec<Arc<Partition>> {
        self.hosted().iter().cloned().collect()
    }

    fn hosted(&self) -> RwLockReadGuard<'_, HostedPartitions> {
        self.partitions.read().unwrap_or_else(PoisonError::into_inner)
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

    /// As [`Self::apply`] for many partitions at once: settings are worked out once for each topic. A partition
    /// that fails is not told of here: it is answered for with its error when somebody asks for it.
    pub fn apply_all(&self, locals: &[LocalPartition]) {
        let configs: HashMap<&str, OnceLock<Arc<LogConfig>>> =
            locals.iter().map(|local| (&*local.tp.topic, OnceLock::new())).collect();
        let apply = |local: &LocalPartition| {
            let topic = &*local.tp.topic;
            let fresh = || self.log_config(topic);
            let config = || configs.get(topic).map_or_else(fresh, |cell| cell.get_or_init(fresh).clone());
            let _ = self.apply_with(local, config);
        };
        // Not on several threads: new logs wait for no disk and are made one at a time anyway.
        locals.iter().for_each(apply);
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
        let partition = Arc::new(Partition::new(local.topic_id, self.node_id, log));
        self.partitions.write().unwrap_or_else(PoisonError::into_inner).insert(partition.clone());
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

    /// Gives all logs the settings that their topics have now, because those of brokers have changed.
    pub fn update_all_configs(&self) {
        let mut configs: HashMap<Arc<str>, Arc<LogConfig>> = HashMap::new();
        for log in self.logs.all_logs() {
            let topic = &log.topic_partition().topic;
            let config = configs.entry(topic.clone()).or_insert_with(|| self.log_config(topic));
            log.update_config(config.clone());
        }
    }

    /// Appends what a client sent; records of a transaction with what its verification gave.
    pub fn append(
        &self,
        tp: &TopicPartition,
        topic_id: Uuid,
        records: Bytes,
        acks: i16,
        internal_allowed: bool,
        guard: VerificationGuard,
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
        partition.append_verified(records, acks, guard)
    }

    /// Ends a producer's transaction on a partition that this broker leads.
    pub fn append_end_transaction_marker(
        &self,
        tp: &TopicPartition,
        end: &EndTransaction,
        now_ms: i64,
    ) -> Result<Appended, AppendFailure> {
        let partition = self.online_partition(tp).ok_or(ErrorCode::UnknownTopicOrPartition)?;
        partition.append_end_transaction_marker(end, now_ms)
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

    /// The producers that a partition remembers, whether this broker leads it or follows.
    pub fn active_producers(&self, tp: &TopicPartition) -> Result<Vec<ActiveProducer>, ErrorCode> {
        let partition = self.partition(tp)?;
        partition.log().check_online().map_err(|error| error.code())?;
        Ok(partition.log().active_producers())
    }

    /// Every log directory with its logs.
    pub fn describe_log_dirs(&self) -> Vec<LogDirDescription> {
        self.logs.describe_log_dirs()
    }
}

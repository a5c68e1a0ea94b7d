use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use ottla_common::time::Time;
use ottla_common::{ErrorCode, TopicPartition, Uuid};
use ottla_share::{SharePartitionId, ShareSessionCache};
use tokio::sync::Semaphore;

use super::cache::SharePartitionCache;
use super::config::{ShareGroupConfigs, ShareGroupSettings, ShareLimits};
use super::dead_letters::DeadLetterSink;
use super::hosted::HostedSharePartition;
use super::lock_timer::LockTimer;
use super::persister::{Persister, SharePartitionKey};
use crate::ReplicaManager;
use crate::alarms::Alarms;
use crate::partition::Partition;

pub(super) const LOGGER: &str = "kafka.server.share.SharePartitionManager";
/// Ranges of dead letters that are under way at the same time: each may hold copies as large as a message.
const CONCURRENT_DEAD_LETTERS: usize = 8;

/// What a [`SharePartitionManager`] works with.
#[derive(Debug)]
pub struct SharePartitionManagerParts {
    /// The partitions of this broker.
    pub replicas: Arc<ReplicaManager>,
    /// The way to the share coordinator.
    pub persister: Arc<dyn Persister>,
    /// The way to dead-letter queues.
    pub dead_letter_sink: Arc<dyn DeadLetterSink>,
    /// How groups are configured.
    pub configs: Arc<dyn ShareGroupConfigs>,
    /// How much there may be.
    pub limits: ShareLimits,
    /// The clock.
    pub time: Arc<dyn Time>,
}

/// The share-partitions of this broker, and the sessions of those who fetch them.
///
/// A share-partition comes with the first ShareFetch that names it, and goes when this broker does not lead
/// the partition any more, when nobody of the group has a session here, when the topic is deleted, or when the
/// share coordinator says that somebody else has it. A group can be deleted, or its offsets reset, only while
/// it has no members.
///
/// All methods that change something must be called within a tokio runtime.
#[derive(Debug)]
pub struct SharePartitionManager {
    pub(super) persister: Arc<dyn Persister>,
    pub(super) dead_letter_sink: Arc<dyn DeadLetterSink>,
    pub(super) dead_letter_slots: Semaphore,
    pub(super) time: Arc<dyn Time>,
    pub(super) lock_timer: LockTimer,
    pub(super) session_cache: Mutex<ShareSessionCache>,
    pub(super) locks_timed_out: AtomicU64,
    replicas: Arc<ReplicaManager>,
    configs: Arc<dyn ShareGroupConfigs>,
    max_share_partitions: usize,
    cache: RwLock<SharePartitionCache>,
    next_id: AtomicU64,
}

impl SharePartitionManager {
    /// Begins without any share-partition: members bring them.
    pub fn new(parts: SharePartitionManagerParts) -> Self {
        Self {
            persister: parts.persister,
            dead_letter_sink: parts.dead_letter_sink,
            dead_letter_slots: Semaphore::new(CONCURRENT_DEAD_LETTERS),
            time: parts.time,
            lock_timer: LockTimer::default(),
            session_cache: Mutex::new(ShareSessionCache::new(parts.limits.max_share_sessions)),
            locks_timed_out: AtomicU64::new(0),
            replicas: parts.replicas,
            configs: parts.configs,
            max_share_partitions: parts.limits.max_share_partitions,
            cache: RwLock::default(),
            next_id: AtomicU64::new(0),
        }
    }

    /// This broker does not lead these partitions any more, or has no replica of them: their topics' ids and
    /// their numbers. To be told after [`ReplicaManager`] knows it.
    pub fn on_partitions_lost(self: &Arc<Self>, partitions: &[(Uuid, i32)]) {
        let lost: Vec<_> = {
            let cache = self.cache();
            partitions.iter().flat_map(|partition| cache.of_partition(*partition)).collect()
        };
        self.fence_all(&lost);
    }

    /// A topic is deleted.
    pub fn on_topic_deleted(self: &Arc<Self>, topic_id: Uuid) {
        let lost = self.cache().of_topic(topic_id);
        self.fence_all(&lost);
    }

    /// Nobody of a group has a session at this broker any more.
    pub fn remove_group(self: &Arc<Self>, group_id: &str) {
        let lost = self.cache().of_group(group_id);
        self.fence_all(&lost);
    }

    /// Share groups were turned off (`share.version` 0).
    pub fn remove_all(self: &Arc<Self>) {
        self.sessions().remove_all();
        let lost = self.cache().all();
        self.fence_all(&lost);
    }

    /// The configuration of a group changed.
    pub fn on_group_config_changed(self: &Arc<Self>, group_id: &str) {
        let config = self.settings(group_id).partition;
        let hosted = self.cache().of_group(group_id);
        for hosted in hosted {
            self.with(&hosted, |state| state.kernel.update_config(config));
        }
    }

    /// The configuration of the broker, or `share.version`, changed.
    pub fn on_broker_config_changed(self: &Arc<Self>) {
        let groups: BTreeSet<Arc<str>> =
            self.cache().all().iter().map(|hosted| hosted.key.group_id.clone()).collect();
        groups.iter().for_each(|group_id| self.on_group_config_changed(group_id));
    }

    /// How a group is configured now.
    pub fn settings(&self, group_id: &str) -> ShareGroupSettings {
        self.configs.settings(group_id)
    }

    /// How many share-partitions there are.
    pub fn num_share_partitions(&self) -> usize {
        self.cache().len()
    }

    /// Records whose acquisition locks ended by themselves (metric `AcquisitionLockTimeoutPerSec`).
    pub fn locks_timed_out(&self) -> u64 {
        self.locks_timed_out.load(Ordering::Relaxed)
    }

    /// A share-partition that is here.
    pub(super) fn get(&self, group_id: &str, id: &SharePartitionId) -> Option<Arc<HostedSharePartition>> {
        self.cache().get(group_id, (id.topic_id, id.partition)).cloned()
    }

    /// A share-partition of a partition that this broker leads.
    pub(super) fn get_or_create(
        self: &Arc<Self>,
        group_id: &Arc<str>,
        id: &SharePartitionId,
    ) -> Result<Arc<HostedSharePartition>, ErrorCode> {
        if let Some(hosted) = self.get(group_id, id) {
            return Ok(hosted);
        }
        let (partition, leader_epoch) = self.led_partition(id)?;
        let config = self.settings(group_id).partition;
        let hosted = {
            let mut cache = self.cache_mut();
            if let Some(hosted) = cache.get(group_id, (id.topic_id, id.partition)) {
                return Ok(Arc::clone(hosted));
            }
            if cache.len() >= self.max_share_partitions {
                tracing::warn!(logger = LOGGER, "There are as many share-partitions as may be");
                return Err(ErrorCode::UnknownServerError);
            }
            let key = SharePartitionKey {
                group_id: Arc::clone(group_id),
                topic_id: id.topic_id,
                partition: id.partition,
            };
            let hosted = HostedSharePartition::new(self.next_id(), key, partition, leader_epoch, config);
            let hosted = Arc::new(hosted);
            cache.insert(Arc::clone(&hosted));
            hosted
        };
        // Whoever takes the partition away changes its role first and looks for its share-partitions then:
        // either it finds this one, or the change is seen here.
        if hosted.partition.leader_epoch().is_none() {
            self.fence(&hosted);
            return Err(ErrorCode::NotLeaderOrFollower);
        }
        Ok(hosted)
    }

    fn led_partition(&self, id: &SharePartitionId) -> Result<(Arc<Partition>, i32), ErrorCode> {
        let topic = id.topic.as_ref().ok_or(ErrorCode::UnknownTopicId)?;
        let tp = TopicPartition { topic: Arc::clone(topic), partition: id.partition };
        let partition = self.replicas.partition(&tp)?;
        if partition.topic_id() != id.topic_id {
            return Err(ErrorCode::NotLeaderOrFollower);
        }
        let leader_epoch = partition.leader_epoch().ok_or(ErrorCode::NotLeaderOrFollower)?;
        Ok((partition, leader_epoch))
    }

    /// Fences a share-partition that is of no use any more, and forgets it. The next fetch makes a new one, or
    /// learns why it cannot.
    pub(super) fn fence(self: &Arc<Self>, hosted: &Arc<HostedSharePartition>) {
        if self.forget(hosted) {
            tracing::info!(logger = LOGGER, "The share-partition {} is fenced", hosted.key);
        }
        self.with(hosted, |state| state.kernel.mark_fenced());
    }

    fn fence_all(self: &Arc<Self>, hosted: &[Arc<HostedSharePartition>]) {
        hosted.iter().for_each(|hosted| self.fence(hosted));
    }

    /// Forgets a share-partition; false if it was forgotten before.
    pub(super) fn forget(&self, hosted: &Arc<HostedSharePartition>) -> bool {
        self.cache_mut().remove(hosted)
    }

    /// Ends the acquisition locks whose time has come. See [`LockTimer::take_due`].
    pub(super) fn expire_acquisition_locks(self: &Arc<Self>, slept_for: i64) -> Option<i64> {
        let now_ms = self.now_ms();
        let (due, next) = self.lock_timer.take_due(slept_for, now_ms);
        for hosted in &due {
            self.with(hosted, |state| {
                // The timer has let go of it.
                state.timer_ms = None;
                state.kernel.handle_timeout(now_ms);
            });
        }
        next
    }

    /// By the monotonic clock: acquisition locks do not end earlier because somebody set the clock.
    pub(super) fn now_ms(&self) -> i64 {
        self.time.monotonic_ns() / 1_000_000
    }

    pub(super) fn alarms(&self) -> &Alarms {
        &self.replicas.alarms
    }

    pub(super) fn next_fetch_id(&self) -> Uuid {
        Uuid::from_u128(u128::from(self.next_id()))
    }

    fn next_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    /// A poisoned lock means that a request panicked; entries are put and taken whole.
    fn cache(&self) -> RwLockReadGuard<'_, SharePartitionCache> {
        self.cache.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn cache_mut(&self) -> RwLockWriteGuard<'_, SharePartitionCache> {
        self.cache.write().unwrap_or_else(PoisonError::into_inner)
    }
}

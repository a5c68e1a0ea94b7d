//! What a broker does when the metadata log moves: the one list of reactions, in their order.

use std::path::PathBuf;
use std::sync::Arc;

use bytestring::ByteString;
use ottla_apis::support::metadata_cache::MetadataCache;
use ottla_common::time::Time;
use ottla_common::{TopicPartition, Uuid};
use ottla_metadata::delta::LocalReplicaChanges;
use ottla_metadata::feature::Feature;
use ottla_metadata::{
    ApiMessageAndVersion, ConfigResourceType, ImageWriterOptions, LoadError, MetadataDelta, MetadataImage,
    MetadataLoader, MetadataProvenance, MetadataUpdate, PartitionInfo, SnapshotPolicy, image,
};
use ottla_replica::share::SharePartitionManager;
use ottla_replica::{LocalPartition, LogConfigSource, ReplicaManager};
use ottla_storage::{LogError, UnifiedLog};
use tokio::sync::{mpsc, watch};
use tracing::{error, info};

use super::coordinators::Coordinators;
use super::live_config::LiveConfig;
use super::log_tasks::LogWatch;
use crate::raft::{CommittedBatch, LeaderAndEpoch, OffsetAndEpoch, RaftClient, RaftListener, SnapshotReader};

/// News of the metadata log, on their way from the raft thread to the publisher's task.
#[derive(Debug)]
enum News {
    Commit(Vec<Arc<CommittedBatch>>),
    Snapshot { provenance: MetadataProvenance, records: Vec<ApiMessageAndVersion> },
}

/// The most batches that are withheld before the publisher hears of them: its image must not fall behind so
/// far that the log could not be cut.
const WITHHELD_MAX: usize = 64;

/// The raft thread's side: passes on and returns.
#[derive(Debug)]
pub struct PublisherListener {
    news: mpsc::UnboundedSender<News>,
    applied: watch::Sender<i64>,
    /// Batches that say nothing, with which the publisher need not be woken.
    withheld: Vec<Arc<CommittedBatch>>,
}

impl PublisherListener {
    /// A publisher that has applied everything has also applied what says nothing.
    fn withhold(&mut self, batches: &[Arc<CommittedBatch>]) -> bool {
        let (Some(first), Some(last)) = (batches.first(), batches.last()) else { return true };
        if self.withheld.len() >= WITHHELD_MAX || !batches.iter().all(|batch| batch.is_no_op()) {
            return false;
        }
        self.applied.send_if_modified(|applied| {
            let follows = *applied >= 0 && *applied + 1 == first.base_offset;
            if follows {
                *applied = last.last_offset;
            }
            follows
        })
    }
}

impl RaftListener for PublisherListener {
    fn handle_commit(&mut self, batches: &[Arc<CommittedBatch>]) {
        if self.withhold(batches) {
            self.withheld.extend_from_slice(batches);
            return;
        }
        let mut news = std::mem::take(&mut self.withheld);
        news.extend_from_slice(batches);
        // A publisher that has stopped needs no news.
        let _ = self.news.send(News::Commit(news));
    }

    fn handle_load_snapshot(&mut self, mut snapshot: SnapshotReader) {
        let id = snapshot.snapshot_id();
        if id == OffsetAndEpoch::BOOTSTRAP_SNAPSHOT_ID {
            // What formatting left; the controller writes it to the log, and only that counts.
            return;
        }
        let provenance = MetadataProvenance {
            last_contained_offset: snapshot.last_contained_log_offset(),
            last_contained_epoch: id.epoch,
            last_contained_log_time_ms: snapshot.last_contained_log_timestamp(),
            is_offset_batch_aligned: true,
        };
        self.withheld.clear();
        match snapshot.read_all() {
            Ok(records) => {
                let _ = self.news.send(News::Snapshot { provenance, records });
            }
            Err(e) => error!(logger = "kafka.server.MetadataLoader", "Snapshot {id} cannot be read: {e}"),
        }
    }

    fn handle_leader_change(&mut self, _: LeaderAndEpoch) {}
}

/// Why a broker cannot follow the metadata log any more.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// A record makes no sense.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The logs on disk cannot be opened.
    #[error(transparent)]
    Logs(#[from] LogError),
    /// Taking over or deleting partitions ended in the middle.
    #[error("partitions were not taken over: see the message before")]
    Apply,
}

/// What the publisher works on.
#[derive(Debug)]
pub struct PublisherParts {
    /// `node.id`.
    pub node_id: i32,
    /// Where handlers look.
    pub cache: Arc<MetadataCache>,
    /// The configuration.
    pub config: Arc<LiveConfig>,
    /// The partitions.
    pub replicas: Arc<ReplicaManager>,
    /// The coordinators.
    pub coordinators: Coordinators,
    /// Share groups' records in flight.
    pub share: Arc<SharePartitionManager>,
    /// Where snapshots go.
    pub raft: RaftClient,
    /// When snapshots are due.
    pub policy: SnapshotPolicy,
    /// The clock.
    pub time: Arc<dyn Time>,
    /// Who keeps house behind changes of partitions.
    pub log_watch: LogWatch,
}

/// Follows the committed log and makes the broker do what it says.
#[derive(Debug)]
pub struct MetadataPublisher {
    parts: PublisherParts,
    loader: MetadataLoader,
    news: mpsc::UnboundedReceiver<News>,
    applied: watch::Sender<i64>,
    /// Whether the committed log was read to its end once.
    started: bool,
}

impl MetadataPublisher {
    /// A publisher, and the raft thread's way to it. `applied` is told how far it has come.
    pub fn new(parts: PublisherParts, applied: watch::Sender<i64>) -> (Self, PublisherListener) {
        let (sender, news) = mpsc::unbounded_channel();
        let listener = PublisherListener { news: sender, applied: applied.clone(), withheld: Vec::new() };
        let publisher = Self { parts, loader: MetadataLoader::default(), news, applied, started: false };
        (publisher, listener)
    }

    /// Runs until the raft client is gone, or until the log cannot be followed.
    pub async fn run(mut self) -> Result<(), PublishError> {
        while let Some(news) = self.news.recv().await {
            let updates = match news {
                News::Commit(batches) => self.loader.load_batches(batches.iter().map(|b| borrowed(b)))?,
                News::Snapshot { provenance, records } => {
                    vec![self.loader.load_snapshot(provenance, &records)?]
                }
            };
            for update in updates {
                if self.started {
                    self.publish(update).await?;
                } else if self.has_caught_up(&update.image) {
                    self.started = true;
                    self.load_logs(&update.image)?;
                    // The first update stands for all that were read before it.
                    let delta = MetadataDelta::from_nothing(&update.image);
                    self.publish(MetadataUpdate { delta, ..update }).await?;
                }
            }
        }
        Ok(())
    }

    /// Nothing is done before everything that is committed was read: a log whose topic comes later in
    /// the metadata log would look like nobody's.
    fn has_caught_up(&self, image: &MetadataImage) -> bool {
        self.parts.raft.high_watermark().is_some_and(|high_watermark| image.offset() + 1 >= high_watermark)
    }

    /// The order matters: settings before the logs that take them, partitions before the clients that
    /// learn of them.
    async fn publish(&mut self, update: MetadataUpdate) -> Result<(), PublishError> {
        let image = update.image.clone();
        self.parts.config.update(image.clone());
        self.cordon_log_dirs();
        let changes = update.delta.local_changes(self.parts.node_id);
        self.parts.coordinators.learn_partitions(&image);
        self.delete_partitions(&changes).await?;
        self.apply_partitions(&changes).await?;
        self.let_go_of_share_partitions(&changes);
        if !is_first(&update.delta) {
            self.update_topic_configs(&update.delta);
        }
        let topology_changed = update.delta.changes_topology();
        self.parts.cache.publish(image.clone(), self.parts.raft.kraft_version(), topology_changed);
        // Coordinators look at the cluster as soon as they begin: a partition that is not there yet has no leader to
        // whom a transaction's end could be told.
        self.parts.coordinators.on_metadata(&image, &update.delta).await;
        self.parts.coordinators.on_applied(&changes);
        self.tell_share_groups(&image, &update.delta);
        self.forget_deleted_topics(&update.delta).await;
        self.maybe_write_snapshot(&update);
        self.applied.send_replace(image.offset());
        self.parts.log_watch.note();
        Ok(())
    }

    fn cordon_log_dirs(&self) {
        let dirs = self.parts.config.current().cordoned_log_dirs();
        let logs = self.parts.replicas.logs();
        logs.update_cordoned_log_dirs(dirs.into_iter().map(PathBuf::from).collect());
    }

    fn load_logs(&self, image: &Arc<MetadataImage>) -> Result<(), LogError> {
        let config = &self.parts.config;
        config.update(image.clone());
        self.parts.replicas.logs().update_producer_state_config(config.current().producer_state());
        let settings = |topic: &str| Arc::new(config.log_config(topic));
        let stray = |log: &UnifiedLog| is_stray(image, self.parts.node_id, log);
        self.parts.replicas.logs().load_logs(&settings, &stray)
    }

    async fn delete_partitions(&self, changes: &LocalReplicaChanges) -> Result<(), PublishError> {
        let deletes: Vec<TopicPartition> = changes.deletes.keys().cloned().collect();
        if deletes.is_empty() {
            return Ok(());
        }
        let replicas = self.parts.replicas.clone();
        let deleted = tokio::task::spawn_blocking(move || replicas.delete_all(&deletes));
        deleted.await.map_err(|_| PublishError::Apply)?;
        self.parts.coordinators.on_deleted(changes.deletes.keys());
        Ok(())
    }

    async fn apply_partitions(&self, changes: &LocalReplicaChanges) -> Result<(), PublishError> {
        let all = || changes.leaders.iter().chain(&changes.followers);
        let local = |(tp, info): (&TopicPartition, &PartitionInfo)| LocalPartition {
            tp: tp.clone(),
            topic_id: info.topic_id,
            registration: info.partition.clone(),
        };
        let locals: Vec<LocalPartition> = all().map(local).collect();
        if !locals.is_empty() {
            let replicas = self.parts.replicas.clone();
            let applied = tokio::task::spawn_blocking(move || replicas.apply_all(&locals));
            applied.await.map_err(|_| PublishError::Apply)?;
        }
        Ok(())
    }

    /// Where this broker does not lead any more, records in flight are another's. After the partitions know it, so
    /// that nothing new begins.
    fn let_go_of_share_partitions(&self, changes: &LocalReplicaChanges) {
        let deleted = changes.deletes.iter().map(|(tp, topic_id)| (*topic_id, tp.partition));
        let followed = changes.followers.iter().map(|(tp, info)| (info.topic_id, tp.partition));
        let lost: Vec<(Uuid, i32)> = deleted.chain(followed).collect();
        if !lost.is_empty() {
            self.parts.share.on_partitions_lost(&lost);
        }
    }

    fn tell_share_groups(&self, image: &MetadataImage, delta: &MetadataDelta) {
        let share = &self.parts.share;
        for topic_id in delta.topics.deleted.keys() {
            share.on_topic_deleted(*topic_id);
        }
        let mut brokers_changed = delta.changed_features.contains(Feature::ShareVersion.feature_name());
        for resource in &delta.changed_configs {
            match resource.resource_type {
                ConfigResourceType::Group => share.on_group_config_changed(&resource.name),
                ConfigResourceType::Broker => brokers_changed = true,
                _ => {}
            }
        }
        if brokers_changed {
            share.on_broker_config_changed();
        }
        if delta.base().features.level(Feature::ShareVersion) > 0
            && image.features.level(Feature::ShareVersion) == 0
        {
            share.remove_all();
        }
    }

    fn update_topic_configs(&self, delta: &MetadataDelta) {
        let mut brokers_changed = false;
        // Logs of new topics were opened with their settings.
        let created = &delta.topics.created;
        let is_new = |name: &str| delta.next().topics.topic_id(name).is_some_and(|id| created.contains(&id));
        for resource in &delta.changed_configs {
            match resource.resource_type {
                ConfigResourceType::Topic if !is_new(&resource.name) => {
                    self.parts.replicas.update_config(&resource.name);
                }
                // Topics inherit what is set for brokers.
                ConfigResourceType::Broker => brokers_changed = true,
                _ => {}
            }
        }
        if brokers_changed {
            let producers = self.parts.config.current().producer_state();
            self.parts.replicas.logs().update_producer_state_config(producers);
            self.parts.replicas.update_all_configs();
        }
    }

    async fn forget_deleted_topics(&self, delta: &MetadataDelta) {
        let deleted: Vec<(ByteString, Uuid)> =
            delta.topics.deleted.values().map(|topic| (ByteString::from(&*topic.name), topic.id)).collect();
        if !deleted.is_empty() {
            self.parts.coordinators.on_topics_deleted(&deleted).await;
        }
    }

    fn maybe_write_snapshot(&mut self, update: &MetadataUpdate) {
        let now = self.parts.time.now_ms();
        if self.parts.policy.on_update(update, now).is_none() {
            return;
        }
        let raft = self.parts.raft.clone();
        let image = update.image.clone();
        tokio::task::spawn_blocking(move || write_snapshot(&raft, &image));
    }
}

/// Whether nothing was known before: every log was then opened with the settings it has now.
fn is_first(delta: &MetadataDelta) -> bool {
    delta.base().offset() < 0
}

/// A log whose partition is gone, belongs to an older topic of the same name, or lives elsewhere now.
fn is_stray(image: &MetadataImage, node_id: i32, log: &UnifiedLog) -> bool {
    let tp = log.topic_partition();
    let Some(topic) = image.topics.topic_by_name(&tp.topic) else { return true };
    let Some(partition) = topic.partitions.get(&tp.partition) else { return true };
    !partition.is_replica(node_id) || log.topic_id().is_some_and(|id| id != topic.id)
}

fn write_snapshot(raft: &RaftClient, image: &MetadataImage) {
    let provenance = image.provenance;
    let id = OffsetAndEpoch { offset: image.offset() + 1, epoch: provenance.last_contained_epoch };
    let records = image::write_image(image, &ImageWriterOptions::from_image(image));
    let written = raft.create_snapshot(id, provenance.last_contained_log_time_ms).map_err(|e| e.to_string());
    let frozen = written.and_then(|writer| match writer {
        None => Ok(0),
        Some(mut writer) => writer.append(&records).and_then(|()| writer.freeze()).map_err(|e| e.to_string()),
    });
    match frozen {
        Ok(bytes) => info!(logger = "kafka.server.SnapshotGenerator", "Wrote snapshot {id} of {bytes} bytes"),
        Err(e) => error!(logger = "kafka.server.SnapshotGenerator", "Snapshot {id} was not written: {e}"),
    }
}

fn borrowed(batch: &CommittedBatch) -> ottla_metadata::CommittedBatch<'_> {
    ottla_metadata::CommittedBatch {
        base_offset: batch.base_offset,
        last_offset: batch.last_offset,
        epoch: batch.epoch,
        append_timestamp_ms: batch.append_timestamp,
        size_bytes: batch.size_in_bytes as i64,
        records: &batch.records,
    }
}

#[cfg(test)]
#[path = "metadata_publisher_test.rs"]
mod tests;

//! The kernel: state, leadership and the clockwork around the decisions.

use std::sync::Arc;

use ottla_common::{ErrorCode, Uuid};
use ottla_metadata::loader::{CommittedBatch, LoadError};
use ottla_metadata::{
    ApiMessageAndVersion, BootstrapMetadata, ConfigResource, ConfigResourceType, MetadataImage, ReplayError,
};
use ottla_protocol::records::metadata::{
    AbortTransactionRecord, BeginTransactionRecord, ConfigRecord, EndTransactionRecord, MetadataRecord,
    NoOpRecord,
};
use ottla_server_common::Timeline;

use crate::broker_heartbeats::BrokerHeartbeatManager;
use crate::config_schema::{ConfigLayersBelowTopic, ConfigSchema};
use crate::result::{ApiError, ControllerResult};
use crate::state::ControllerState;

/// The most records one operation may write.
pub const MAX_RECORDS_PER_USER_OP: usize = 10_000;

/// Key of the topic configuration that the controller itself reads most.
pub(crate) const MIN_IN_SYNC_REPLICAS: &str = "min.insync.replicas";
/// Whether a topic would rather lose records than be without a leader.
pub(crate) const UNCLEAN_LEADER_ELECTION_ENABLE: &str = "unclean.leader.election.enable";

/// What the node's file says to the controller.
#[derive(Debug, Clone)]
pub struct ControllerConfig {
    /// `node.id`.
    pub node_id: i32,
    /// `cluster.id` of meta.properties.
    pub cluster_id: String,
    /// `num.partitions`.
    pub default_num_partitions: i32,
    /// `default.replication.factor`.
    pub default_replication_factor: i16,
    /// `broker.session.timeout.ms`.
    pub session_timeout_ms: i64,
    /// `auto.leader.rebalance.enable` gives `leader.imbalance.check.interval.seconds`; `None` switches
    /// the check off.
    pub leader_imbalance_check_interval_ms: Option<i64>,
    /// `unclean.leader.election.interval.ms`.
    pub unclean_leader_election_check_interval_ms: i64,
    /// `metadata.max.idle.interval.ms`; `None` when it is 0.
    pub max_idle_interval_ms: Option<i64>,
    /// Whether a broker with this node's id runs in this very process. An older life of that broker is
    /// then known to be dead, so a restart need not wait for its session to end.
    pub has_co_located_broker: bool,
    /// Voters of the quorum: features must be supported by all of them.
    pub quorum_node_ids: Vec<i32>,
}

/// The metadata quorum's leader, or a replica that may become it.
///
/// Decisions take `&self` and give records; [`Self::apply`] replays those that the log has taken,
/// [`Self::commit`] makes them final, [`Self::renounce`] undoes those that never were. The shell owns one
/// of these on one task.
#[derive(Debug)]
pub struct QuorumController {
    pub(crate) config: ControllerConfig,
    pub(crate) schema: Arc<dyn ConfigSchema>,
    bootstrap: BootstrapMetadata,
    timeline: Timeline<ControllerState>,
    leadership: Option<Leadership>,
    pub(crate) heartbeats: BrokerHeartbeatManager,
    kraft_version: i16,
}

#[derive(Debug, Clone, Copy)]
struct Leadership {
    epoch: i32,
    next_write_offset: i64,
}

impl QuorumController {
    /// A controller that has read nothing and leads nothing.
    pub fn new(
        config: ControllerConfig,
        schema: Arc<dyn ConfigSchema>,
        bootstrap: BootstrapMetadata,
    ) -> Self {
        Self {
            heartbeats: BrokerHeartbeatManager::new(config.session_timeout_ms),
            config,
            schema,
            bootstrap,
            timeline: Timeline::new(ControllerState::default(), -1),
            leadership: None,
            kraft_version: 0,
        }
    }

    /// The newest state, uncommitted changes included: what decisions are based on.
    pub fn state(&self) -> &ControllerState {
        self.timeline.latest()
    }

    /// The state that is committed: what may be shown.
    pub fn committed_state(&self) -> &ControllerState {
        self.timeline.committed()
    }

    pub(crate) fn image(&self) -> &MetadataImage {
        self.state().image()
    }

    /// What the node's file says.
    pub fn config(&self) -> &ControllerConfig {
        &self.config
    }

    /// The epoch in which this node leads, if it does.
    pub fn active_epoch(&self) -> Option<i32> {
        self.leadership.map(|leadership| leadership.epoch)
    }

    /// The offset that the next record will have. Names the next broker epoch.
    pub fn next_write_offset(&self) -> i64 {
        self.leadership.map_or(-1, |leadership| leadership.next_write_offset)
    }

    /// The log ends before this offset: the quorum may have written records of its own.
    pub fn note_log_end_offset(&mut self, end_offset: i64) {
        if let Some(leadership) = &mut self.leadership {
            leadership.next_write_offset = leadership.next_write_offset.max(end_offset);
        }
    }

    /// The offset of the last committed record that this replica knows.
    pub fn last_committed_offset(&self) -> i64 {
        self.timeline.committed_offset()
    }

    /// The finalized `kraft.version`, which the raft log's control records hold.
    pub fn set_kraft_version(&mut self, level: i16) {
        self.kraft_version = level;
    }

    pub(crate) fn kraft_version(&self) -> i16 {
        self.kraft_version
    }

    /// A batch is committed. As leader this makes its own changes final, else it is where changes come from.
    pub fn handle_commit(&mut self, batch: &CommittedBatch<'_>) -> Result<(), LoadError> {
        if self.leadership.is_some() {
            // Replayed when it was written.
            self.timeline.commit(batch.last_offset);
            return Ok(());
        }
        for (index, record) in batch.records.iter().enumerate() {
            let offset = batch.base_offset + index as i64;
            let replayed = self.timeline.latest_mut().replay(&record.message, offset);
            replayed.map_err(|source| LoadError { offset, source })?;
        }
        self.timeline.commit_latest(batch.last_offset);
        Ok(())
    }

    /// Starts over from a snapshot that ends at `last_offset`.
    pub fn load_snapshot<'a>(
        &mut self,
        last_offset: i64,
        records: impl IntoIterator<Item = &'a ApiMessageAndVersion>,
    ) -> Result<(), LoadError> {
        let mut state = ControllerState::default();
        for (index, record) in records.into_iter().enumerate() {
            // Brokers in a snapshot have read their registration when they have read the snapshot.
            let replayed = state.replay(&record.message, last_offset);
            replayed.map_err(|source| LoadError { offset: index as i64, source })?;
        }
        self.timeline.reset(state, last_offset);
        Ok(())
    }

    /// This node leads from now on, and the log ends before `next_write_offset`. Gives the records that
    /// must be written before anything else is decided.
    pub fn claim(&mut self, epoch: i32, next_write_offset: i64, now_ms: i64) -> ControllerResult<()> {
        assert!(self.leadership.is_none(), "ONE-LEADERSHIP: epoch {epoch} claimed while leading");
        self.leadership = Some(Leadership { epoch, next_write_offset });
        self.heartbeats = BrokerHeartbeatManager::new(self.config.session_timeout_ms);
        let unfenced: Vec<(i32, i64, bool)> =
            self.image().cluster.brokers.values().map(|b| (b.id, b.epoch, b.fenced)).collect();
        for (id, broker_epoch, fenced) in unfenced {
            self.heartbeats.touch(id, fenced, -1);
            if !fenced {
                self.heartbeats.update_contact_time((id, broker_epoch), now_ms);
            }
        }
        self.activation_records()
    }

    fn activation_records(&self) -> ControllerResult<()> {
        let is_empty = self.image().features.metadata_version.is_none();
        let level =
            if is_empty { self.bootstrap.metadata_version() } else { self.state().metadata_version() };
        let transactional = level.is_metadata_transaction_supported();
        let mut records = Vec::new();
        if self.state().transaction_start_offset().is_some() {
            let reason = Some("Controller failover".into());
            records
                .push(ApiMessageAndVersion::new(AbortTransactionRecord { reason, ..Default::default() }, 0));
        }
        if !is_empty {
            return ControllerResult::atomic_of(records, ());
        }
        if transactional {
            let name = Some("Bootstrap records".into());
            records.push(ApiMessageAndVersion::new(BeginTransactionRecord { name, ..Default::default() }, 0));
        }
        records.extend(self.bootstrap.records().iter().cloned());
        let has_elr = self.bootstrap.records().iter().any(|record| {
            matches!(&record.message, MetadataRecord::FeatureLevelRecord(r)
                if &*r.name == "eligible.leader.replicas.version" && r.feature_level > 0)
        });
        if has_elr {
            records.push(self.cluster_min_isr_record());
        }
        if transactional {
            records.push(ApiMessageAndVersion::new(EndTransactionRecord::default(), 0));
            ControllerResult::of(records, ())
        } else {
            ControllerResult::atomic_of(records, ())
        }
    }

    /// ELR depends on one `min.insync.replicas` for all brokers, so it is pinned in the log (KIP-966).
    pub(crate) fn cluster_min_isr_record(&self) -> ApiMessageAndVersion {
        let value = self.schema.static_min_in_sync_replicas().to_string();
        let record = ConfigRecord {
            resource_type: ConfigResourceType::Broker.id(),
            resource_name: "".into(),
            name: MIN_IN_SYNC_REPLICAS.into(),
            value: Some(value.into()),
            ..Default::default()
        };
        ApiMessageAndVersion::new(record, 0)
    }

    /// The log has taken the records, the last of them at `last_offset`. They are replayed and can still
    /// be undone.
    pub fn apply(&mut self, records: &[ApiMessageAndVersion], last_offset: i64) -> Result<(), ReplayError> {
        let Some(leadership) = &mut self.leadership else {
            return Ok(());
        };
        let base_offset = last_offset + 1 - records.len() as i64;
        // The quorum writes control records of its own in between, so offsets may be skipped, never reused.
        assert!(base_offset >= leadership.next_write_offset, "WRITE-OFFSET-MONOTONIC: {base_offset}");
        leadership.next_write_offset = last_offset + 1;
        for (index, record) in records.iter().enumerate() {
            self.timeline.latest_mut().replay(&record.message, base_offset + index as i64)?;
            self.note_registration(&record.message);
        }
        if !records.is_empty() {
            self.timeline.snapshot(last_offset);
        }
        Ok(())
    }

    /// This node leads no more. Whatever is not committed is undone; it may come back as committed.
    pub fn renounce(&mut self) {
        self.leadership = None;
        self.timeline.revert_to_committed();
        self.heartbeats = BrokerHeartbeatManager::new(self.config.session_timeout_ms);
    }

    /// A record that says nothing, written so that followers see the offset move
    /// (`metadata.max.idle.interval.ms`, KIP-835).
    pub fn no_op(&self) -> ControllerResult<()> {
        ControllerResult::of(vec![ApiMessageAndVersion::new(NoOpRecord::default(), 0)], ())
    }

    fn note_registration(&mut self, record: &MetadataRecord) {
        match record {
            MetadataRecord::RegisterBrokerRecord(r) => {
                self.heartbeats.touch(r.broker_id, r.fenced, -1);
            }
            MetadataRecord::UnregisterBrokerRecord(r) => self.heartbeats.remove(r.broker_id),
            _ => {}
        }
    }

    pub(crate) fn check_broker_epoch(&self, broker_id: i32, broker_epoch: i64) -> Result<(), ApiError> {
        let Some(broker) = self.image().cluster.broker(broker_id) else {
            let message = format!("No broker registration found for broker id {broker_id}");
            return Err(ApiError::new(ErrorCode::StaleBrokerEpoch, message));
        };
        if broker.epoch != broker_epoch {
            let message =
                format!("Expected broker epoch {}, but got broker epoch {broker_epoch}", broker.epoch);
            return Err(ApiError::new(ErrorCode::StaleBrokerEpoch, message));
        }
        Ok(())
    }

    pub(crate) fn layers_below_topic(&self) -> ConfigLayersBelowTopic<'_> {
        let configs = &self.image().configs;
        ConfigLayersBelowTopic {
            node: configs.get(&ConfigResource::broker(self.config.node_id)),
            cluster: configs.get(&ConfigResource::default_broker()),
        }
    }

    pub(crate) fn topic_config(&self, topic: &Arc<str>, key: &str) -> Option<String> {
        let set = self.image().configs.get(&ConfigResource::topic(topic.clone()));
        self.schema.effective_topic_config(key, set, self.layers_below_topic())
    }

    /// The committed id of a topic.
    pub fn find_topic_id(&self, name: &str) -> Option<Uuid> {
        self.committed_state().image().topics.topic_id(name)
    }

    /// The committed name of a topic.
    pub fn find_topic_name(&self, id: Uuid) -> Option<Arc<str>> {
        self.committed_state().image().topics.topic_name(id).cloned()
    }
}

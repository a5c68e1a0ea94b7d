//! A controller that leads, with a log that commits at once.

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_common::{ErrorCode, Uuid};
use ottla_metadata::image::ConfigurationImage;
use ottla_metadata::loader::CommittedBatch;
use ottla_metadata::{
    ApiMessageAndVersion, BootstrapMetadata, ConfigResource, ConfigResourceType, MetadataVersion,
    PartitionRegistration, feature,
};
use ottla_protocol::messages::broker_heartbeat_request::BrokerHeartbeatRequest;
use ottla_protocol::messages::broker_registration_request::{BrokerRegistrationRequest, Feature, Listener};
use ottla_protocol::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
};
use ottla_protocol::messages::create_topics_response::CreatableTopicResult;

use crate::config_schema::{ConfigLayersBelowTopic, ConfigSchema, TopicConfigEntry};
use crate::quorum_controller::{ControllerConfig, QuorumController};
use crate::random::SeededRandom;
use crate::replication_control::{BrokerHeartbeatReply, Describable};
use crate::result::{ApiError, ControllerResult};

pub(crate) const SESSION_TIMEOUT_MS: i64 = 9_000;

/// A few keys, as rows would describe them.
#[derive(Debug)]
pub(crate) struct TestConfigSchema;

const TOPIC_KEYS: &[(&str, &str)] = &[
    ("cleanup.policy", "delete"),
    ("min.insync.replicas", "1"),
    ("retention.ms", "604800000"),
    ("unclean.leader.election.enable", "false"),
];

impl ConfigSchema for TestConfigSchema {
    fn validate(
        &self,
        resource: &ConfigResource,
        new: &BTreeMap<String, String>,
        _existing: &BTreeMap<String, String>,
    ) -> Result<(), ApiError> {
        if resource.resource_type != ConfigResourceType::Topic {
            return Ok(());
        }
        for (key, value) in new {
            let known = TOPIC_KEYS.iter().any(|(name, _)| name == key);
            let is_number = key.ends_with("ms") || key.ends_with("replicas");
            if !known || (is_number && value.parse::<i64>().is_err()) {
                let message = format!("Invalid value {value} for configuration {key}");
                return Err(ApiError::new(ErrorCode::InvalidConfig, message));
            }
        }
        Ok(())
    }

    fn is_splittable(&self, _resource_type: ConfigResourceType, key: &str) -> bool {
        key == "cleanup.policy"
    }

    fn default_value(&self, _resource_type: ConfigResourceType, key: &str) -> Option<String> {
        TOPIC_KEYS.iter().find(|(name, _)| *name == key).map(|(_, value)| (*value).to_owned())
    }

    fn effective_topic_config(
        &self,
        key: &str,
        topic: Option<&ConfigurationImage>,
        layers: ConfigLayersBelowTopic<'_>,
    ) -> Option<String> {
        let set =
            [topic, layers.node, layers.cluster].into_iter().flatten().find_map(|c| c.get(key).cloned());
        set.or_else(|| self.default_value(ConfigResourceType::Topic, key))
    }

    fn effective_topic_configs(
        &self,
        topic: &BTreeMap<String, String>,
        _layers: ConfigLayersBelowTopic<'_>,
    ) -> Vec<TopicConfigEntry> {
        let entry = |(name, default): &(&str, &str)| TopicConfigEntry {
            name: (*name).to_owned(),
            value: topic.get(*name).cloned().or_else(|| Some((*default).to_owned())),
            source: if topic.contains_key(*name) { 1 } else { 5 },
            is_sensitive: false,
            is_read_only: false,
        };
        TOPIC_KEYS.iter().map(entry).collect()
    }

    fn static_min_in_sync_replicas(&self) -> i32 {
        1
    }
}

/// The kernel with a log at hand, and a clock that moves when told to.
pub(crate) struct TestController {
    pub(crate) kernel: QuorumController,
    pub(crate) random: SeededRandom,
    pub(crate) now_ms: i64,
    pub(crate) log: Vec<ApiMessageAndVersion>,
}

impl TestController {
    pub(crate) fn new() -> Self {
        Self::with_bootstrap(BootstrapMetadata::with_defaults(MetadataVersion::LATEST_PRODUCTION, "a test"))
    }

    pub(crate) fn without_elr() -> Self {
        let mut features = feature::default_levels(MetadataVersion::LATEST_PRODUCTION);
        features.remove("eligible.leader.replicas.version");
        let level = MetadataVersion::LATEST_PRODUCTION;
        Self::with_bootstrap(BootstrapMetadata::from_versions(level, &features, "a test"))
    }

    pub(crate) fn with_bootstrap(bootstrap: BootstrapMetadata) -> Self {
        let mut this = Self {
            kernel: QuorumController::new(Self::config(), Arc::new(TestConfigSchema), bootstrap),
            random: SeededRandom::new(42),
            now_ms: 1_000,
            log: Vec::new(),
        };
        let activation = this.kernel.claim(1, 0, this.now_ms);
        this.write(activation);
        this
    }

    pub(crate) fn config() -> ControllerConfig {
        ControllerConfig {
            node_id: 3000,
            cluster_id: "cluster".to_owned(),
            default_num_partitions: 1,
            default_replication_factor: 3,
            session_timeout_ms: SESSION_TIMEOUT_MS,
            leader_imbalance_check_interval_ms: None,
            unclean_leader_election_check_interval_ms: 300_000,
            max_idle_interval_ms: None,
            has_co_located_broker: false,
            quorum_node_ids: vec![3000],
        }
    }

    /// Appends, replays and commits what was decided.
    pub(crate) fn write<T>(&mut self, result: ControllerResult<T>) -> T {
        let base_offset = self.log.len() as i64;
        self.log.extend(result.records.iter().cloned());
        if !result.records.is_empty() {
            let last_offset = self.log.len() as i64 - 1;
            self.kernel.apply(&result.records, last_offset).unwrap();
            let batch =
                CommittedBatch { base_offset, last_offset, records: &result.records, ..Default::default() };
            self.kernel.handle_commit(&batch).unwrap();
        }
        result.response
    }

    pub(crate) fn registration(id: i32, incarnation: u128) -> BrokerRegistrationRequest {
        BrokerRegistrationRequest {
            broker_id: id,
            cluster_id: "cluster".into(),
            incarnation_id: Uuid::from_u128(incarnation),
            listeners: vec![Listener {
                name: "PLAINTEXT".into(),
                host: "localhost".into(),
                port: 9092,
                ..Default::default()
            }],
            features: feature::supported_features()
                .into_iter()
                .map(|(name, range)| Feature {
                    name: name.into(),
                    min_supported_version: range.min,
                    max_supported_version: range.max,
                    ..Default::default()
                })
                .collect(),
            rack: None,
            log_dirs: vec![Uuid::from_u128(10_000 + id as u128)],
            previous_broker_epoch: -1,
            ..Default::default()
        }
    }

    pub(crate) fn register(&mut self, id: i32) -> i64 {
        let request = Self::registration(id, 500 + id as u128);
        let result = self.kernel.register_broker(&request, 4, self.now_ms).unwrap();
        self.write(result)
    }

    pub(crate) fn beat(&mut self, request: BrokerHeartbeatRequest) -> BrokerHeartbeatReply {
        self.kernel.track_broker_heartbeat(request.broker_id, request.broker_epoch, self.now_ms);
        let result = self.kernel.process_broker_heartbeat(&request).unwrap();
        let reply = self.write(result);
        let offset = self.kernel.next_write_offset() - 1;
        self.kernel.note_heartbeat(&request, reply, offset);
        reply
    }

    pub(crate) fn heartbeat(&self, id: i32) -> BrokerHeartbeatRequest {
        BrokerHeartbeatRequest {
            broker_id: id,
            broker_epoch: self.kernel.state().image().cluster.broker_epoch(id),
            current_metadata_offset: self.log.len() as i64,
            ..Default::default()
        }
    }

    pub(crate) fn unfence(&mut self, id: i32) {
        let reply = self.beat(self.heartbeat(id));
        assert!(!reply.is_fenced);
    }

    /// Brokers 0, 1, … that serve.
    pub(crate) fn with_brokers(mut self, count: i32) -> Self {
        for id in 0..count {
            self.register(id);
            self.unfence(id);
        }
        self
    }

    pub(crate) fn create(&mut self, topic: CreatableTopic) -> CreatableTopicResult {
        let request = CreateTopicsRequest { topics: vec![topic], ..Default::default() };
        let result = self.kernel.create_topics(&request, &Describable::All, &mut self.random).unwrap();
        self.write(result).topics.remove(0)
    }

    /// A topic of one partition with these replicas, all of them in sync, the first leading.
    pub(crate) fn create_on(&mut self, name: &str, replicas: &[i32]) -> Uuid {
        let result = self.create(manual_topic(name, &[replicas]));
        assert_eq!(result.error_code, 0, "{:?}", result.error_message);
        result.topic_id
    }

    pub(crate) fn partition(&self, name: &str, index: i32) -> PartitionRegistration {
        let topic = self.kernel.state().image().topics.topic_by_name(name).unwrap();
        (**topic.partitions.get(&index).unwrap()).clone()
    }
}

pub(crate) fn topic(name: &str, num_partitions: i32, replication_factor: i16) -> CreatableTopic {
    CreatableTopic { name: name.into(), num_partitions, replication_factor, ..Default::default() }
}

pub(crate) fn manual_topic(name: &str, assignments: &[&[i32]]) -> CreatableTopic {
    let assignments = assignments.iter().zip(0..).map(|(ids, partition_index)| CreatableReplicaAssignment {
        partition_index,
        broker_ids: ids.to_vec(),
        ..Default::default()
    });
    CreatableTopic { assignments: assignments.collect(), ..topic(name, -1, -1) }
}

pub(crate) fn with_config(mut topic: CreatableTopic, name: &str, value: Option<&str>) -> CreatableTopic {
    topic.configs.push(CreatableTopicConfig {
        name: name.into(),
        value: value.map(Into::into),
        ..Default::default()
    });
    topic
}

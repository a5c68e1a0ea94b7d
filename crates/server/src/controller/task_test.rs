//! The event loop against a log in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use ottla_common::ErrorCode;
use ottla_common::time::SystemTime;
use ottla_controller::{
    ApiError, ConfigLayersBelowTopic, ConfigSchema, ControllerConfig, Describable, SeededRandom,
    TopicConfigEntry,
};
use ottla_metadata::image::ConfigurationImage;
use ottla_metadata::{
    ApiMessageAndVersion, BootstrapMetadata, ConfigResource, ConfigResourceType, MetadataVersion, feature,
};
use ottla_protocol::messages::broker_heartbeat_request::BrokerHeartbeatRequest;
use ottla_protocol::messages::broker_registration_request::{BrokerRegistrationRequest, Feature};
use ottla_protocol::messages::create_topics_request::{CreatableTopic, CreateTopicsRequest};
use ottla_raft::AppendError;

use super::*;

#[derive(Debug)]
struct NoSchema;

impl ConfigSchema for NoSchema {
    fn validate(
        &self,
        _: &ConfigResource,
        _: &BTreeMap<String, String>,
        _: &BTreeMap<String, String>,
    ) -> Result<(), ApiError> {
        Ok(())
    }
    fn is_splittable(&self, _: ConfigResourceType, _: &str) -> bool {
        false
    }
    fn default_value(&self, _: ConfigResourceType, _: &str) -> Option<String> {
        None
    }
    fn effective_topic_config(
        &self,
        _: &str,
        _: Option<&ConfigurationImage>,
        _: ConfigLayersBelowTopic<'_>,
    ) -> Option<String> {
        None
    }
    fn effective_topic_configs(
        &self,
        _: &BTreeMap<String, String>,
        _: ConfigLayersBelowTopic<'_>,
    ) -> Vec<TopicConfigEntry> {
        Vec::new()
    }
    fn static_min_in_sync_replicas(&self) -> i32 {
        1
    }
}

/// A log that commits when told to.
#[derive(Debug, Default)]
struct MemoryQuorum {
    batches: Mutex<Vec<(i64, Vec<ApiMessageAndVersion>)>>,
    end: Mutex<i64>,
    resigned: Mutex<Vec<i32>>,
    fails: Mutex<bool>,
}

impl MetadataQuorum for MemoryQuorum {
    fn prepare_append(&self, epoch: i32, records: Vec<ApiMessageAndVersion>) -> Result<i64, AppendError> {
        if *self.fails.lock().unwrap() {
            return Err(AppendError::NotLeader { requested: epoch, current: None });
        }
        let mut end = self.end.lock().unwrap();
        let base = *end;
        *end += records.len() as i64;
        self.batches.lock().unwrap().push((base, records));
        Ok(*end - 1)
    }
    fn schedule_prepared_append(&self) {}
    fn append_when_idle(&self, _: i32, _: i64, _: Vec<ApiMessageAndVersion>) {}
    fn log_end_offset(&self) -> i64 {
        *self.end.lock().unwrap()
    }
    fn kraft_version(&self) -> i16 {
        1
    }
    fn leader_id(&self) -> Option<i32> {
        Some(7)
    }
    fn resign(&self, epoch: i32) {
        self.resigned.lock().unwrap().push(epoch);
    }
}

struct Fixture {
    quorum: Arc<MemoryQuorum>,
    handle: QuorumControllerHandle,
}

impl Fixture {
    fn start() -> Self {
        let quorum = Arc::new(MemoryQuorum::default());
        let (task, handle) = ControllerTask::new(QuorumControllerOptions {
            config: ControllerConfig {
                node_id: 1,
                cluster_id: "c".to_owned(),
                default_num_partitions: 1,
                default_replication_factor: 1,
                session_timeout_ms: 9_000,
                leader_imbalance_check_interval_ms: None,
                unclean_leader_election_check_interval_ms: 300_000,
                max_idle_interval_ms: None,
                has_co_located_broker: true,
                quorum_node_ids: vec![1],
            },
            schema: Arc::new(NoSchema),
            bootstrap: BootstrapMetadata::with_defaults(MetadataVersion::LATEST_PRODUCTION, "a test"),
            quorum: quorum.clone(),
            time: Arc::new(SystemTime::default()),
            random: Box::new(SeededRandom::new(1)),
        });
        tokio::spawn(task.run());
        Self { quorum, handle }
    }

    /// Commits what was appended so far.
    fn commit(&self) {
        for (base_offset, records) in std::mem::take(&mut *self.quorum.batches.lock().unwrap()) {
            self.handle.metadata_event(MetadataEvent::Commit(Arc::new(crate::raft::CommittedBatch {
                base_offset,
                last_offset: base_offset + records.len() as i64 - 1,
                epoch: 1,
                append_timestamp: 0,
                size_in_bytes: 100,
                records,
            })));
        }
    }

    async fn lead(&self) {
        self.handle.metadata_event(MetadataEvent::LeaderChange { active_epoch: Some(1) });
        // A read takes its turn after the activation.
        let (handle, quorum) = (self.handle.clone(), self.quorum.clone());
        let read = tokio::spawn(async move { handle.finalized_features().await });
        until(|| !quorum.batches.lock().unwrap().is_empty()).await;
        self.commit();
        read.await.unwrap().unwrap();
    }
}

async fn until(condition: impl Fn() -> bool) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while !condition() {
        assert!(std::time::Instant::now() < deadline, "the condition never came about");
        tokio::task::yield_now().await;
    }
}

fn registration() -> BrokerRegistrationRequest {
    BrokerRegistrationRequest {
        broker_id: 1,
        cluster_id: "c".into(),
        incarnation_id: ottla_common::Uuid::from_u128(5_000),
        log_dirs: vec![ottla_common::Uuid::from_u128(6_000)],
        features: feature::supported_features()
            .into_iter()
            .map(|(name, range)| Feature {
                name: name.into(),
                min_supported_version: range.min,
                max_supported_version: range.max,
                ..Default::default()
            })
            .collect(),
        ..Default::default()
    }
}

fn topics(names: &[&str]) -> CreateTopicsRequest {
    let topic = |name: &&str| CreatableTopic {
        name: (*name).into(),
        num_partitions: 1,
        replication_factor: 1,
        ..Default::default()
    };
    CreateTopicsRequest { topics: names.iter().map(topic).collect(), ..Default::default() }
}

#[tokio::test]
async fn answers_wait_for_the_commit() {
    let fixture = Fixture::start();
    fixture.lead().await;
    let handle = fixture.handle.clone();
    let registered = tokio::spawn(async move { handle.register_broker(registration(), 4).await });
    until(|| !fixture.quorum.batches.lock().unwrap().is_empty()).await;
    assert!(!registered.is_finished());
    fixture.commit();
    let broker_epoch = registered.await.unwrap().unwrap();
    assert_eq!(fixture.handle.committed_image().cluster.broker_epoch(1), broker_epoch);

    let heartbeat = BrokerHeartbeatRequest {
        broker_id: 1,
        broker_epoch,
        current_metadata_offset: fixture.quorum.log_end_offset(),
        ..Default::default()
    };
    let handle = fixture.handle.clone();
    let beaten = tokio::spawn(async move { handle.broker_heartbeat(heartbeat).await });
    until(|| !fixture.quorum.batches.lock().unwrap().is_empty()).await;
    fixture.commit();
    assert!(!beaten.await.unwrap().unwrap().is_fenced);

    let handle = fixture.handle.clone();
    let created = tokio::spawn(async move { handle.create_topics(topics(&["a"]), Describable::All).await });
    until(|| !fixture.quorum.batches.lock().unwrap().is_empty()).await;
    assert!(fixture.handle.committed_image().topics.is_empty());
    fixture.commit();
    let response = created.await.unwrap().unwrap();
    assert_eq!(response.topics[0].error_code, 0, "{:?}", response.topics[0].error_message);
    assert_eq!(fixture.handle.committed_image().topics.len(), 1);
}

#[tokio::test]
async fn who_does_not_lead_says_who_does() {
    let fixture = Fixture::start();
    let error = fixture.handle.create_topics(topics(&["a"]), Describable::All).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::NotController);
    assert_eq!(error.message.as_deref(), Some("The active controller appears to be node 7."));
}

#[tokio::test]
async fn lost_leadership_fails_what_waits_and_undoes_it() {
    let fixture = Fixture::start();
    fixture.lead().await;
    let handle = fixture.handle.clone();
    let registered = tokio::spawn(async move { handle.register_broker(registration(), 4).await });
    until(|| !fixture.quorum.batches.lock().unwrap().is_empty()).await;
    fixture.handle.metadata_event(MetadataEvent::LeaderChange { active_epoch: None });
    assert_eq!(registered.await.unwrap().unwrap_err().code, ErrorCode::NotController);
    assert!(fixture.handle.committed_image().cluster.brokers.is_empty());
    // The records made it after all; the next leader's commit brings them.
    fixture.commit();
    until(|| !fixture.handle.committed_image().cluster.brokers.is_empty()).await;
}

#[tokio::test]
async fn a_log_that_refuses_ends_the_leadership() {
    let fixture = Fixture::start();
    fixture.lead().await;
    *fixture.quorum.fails.lock().unwrap() = true;
    let error = fixture.handle.register_broker(registration(), 4).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::NotController);
    assert_eq!(*fixture.quorum.resigned.lock().unwrap(), [1]);
}

#[tokio::test]
async fn a_stopped_controller_refuses() {
    let fixture = Fixture::start();
    fixture.handle.begin_shutdown();
    let error = fixture.handle.register_broker(registration(), 4).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::NotController);
}

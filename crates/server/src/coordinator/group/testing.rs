//! A coordinator on partitions in memory, the topics of a cluster, and partners that answer when told to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytestring::ByteString;
use ottla_apis::context::BoxFuture;
use ottla_common::time::SystemTime;
use ottla_common::{ErrorCode, Uuid};
use ottla_coordinator::metadata::{CoordinatorMetadata, CoordinatorTopic};
use ottla_protocol::messages::read_share_group_state_summary_response as summary;
use ottla_protocol::messages::{
    DeleteShareGroupStateRequest, DeleteShareGroupStateResponse, InitializeShareGroupStateRequest,
    InitializeShareGroupStateResponse, ListGroupsRequest, ReadShareGroupStateRequest,
    ReadShareGroupStateResponse, ReadShareGroupStateSummaryRequest, ReadShareGroupStateSummaryResponse,
    WriteShareGroupStateRequest, WriteShareGroupStateResponse, delete_share_group_state_response as delete,
    initialize_share_group_state_response as initialize,
};
use ottla_record::Compression;
use ottla_replica::{TransactionalWrite, VerificationGuard};
use tokio::runtime::Handle;

use super::{
    GroupCoordinatorService, GroupPartners, LatestOffsets, PartitionMetadataClient,
    TopologyDescriptionPlugin, TransactionGate,
};
use crate::coordinator::runtime::testing::{MemoryPartitions, until};
use crate::coordinator::share_persister::{Persisted, Persister};
use crate::coordinator::{GroupCoordinatorConfig, RequestContext};

pub(super) const PARTITIONS: i32 = 4;
pub(super) const GROUP: &str = "grupo";
/// How far the share coordinator says that groups are.
pub(super) const START_OFFSET: i64 = 10;
/// Where the leaders say that partitions end.
pub(super) const END_OFFSET: i64 = 25;

pub(super) fn context(api_version: i16) -> RequestContext {
    RequestContext { api_version, client_id: "cliente".into(), client_host: "/127.0.0.1".into() }
}

/// The id of the n-th topic of [`Topics`].
pub(super) fn topic_id(n: u128) -> Uuid {
    Uuid::from_u128(0x1000 + n)
}

/// Topics by name, with their numbers of partitions.
#[derive(Debug)]
pub(super) struct Topics(Vec<CoordinatorTopic>);

impl Topics {
    pub(super) fn of(topics: &[(&'static str, i32)]) -> Self {
        let topic = |(n, (name, num_partitions)): (u128, &(&'static str, i32))| CoordinatorTopic {
            id: topic_id(n),
            name: ByteString::from_static(name),
            num_partitions: *num_partitions,
        };
        Self((0..).zip(topics).map(topic).collect())
    }
}

impl CoordinatorMetadata for Topics {
    fn version(&self) -> i64 {
        1
    }

    fn topic(&self, name: &str) -> Option<CoordinatorTopic> {
        self.0.iter().find(|topic| &*topic.name == name).cloned()
    }

    fn topic_by_id(&self, id: Uuid) -> Option<CoordinatorTopic> {
        self.0.iter().find(|topic| topic.id == id).cloned()
    }

    fn topic_names(&self) -> Box<dyn Iterator<Item = ByteString> + '_> {
        Box::new(self.0.iter().map(|topic| topic.name.clone()))
    }

    fn partition_racks(&self, _id: Uuid, _partition: i32) -> Vec<ByteString> {
        Vec::new()
    }
}

/// Partners of a coordinator, all in one.
#[derive(Debug, Default)]
pub(super) struct TestPartners(Mutex<Answers>);

#[derive(Debug, Default)]
pub(super) struct Answers {
    /// What the share coordinator says to whole requests.
    pub(super) persister_error: Option<ErrorCode>,
    /// What the share coordinator says to each partition.
    pub(super) partition_error: Option<ErrorCode>,
    /// What leaders say when they are asked where partitions end.
    pub(super) end_error: Option<ErrorCode>,
    /// What the transaction coordinator says.
    pub(super) transaction_error: Option<ErrorCode>,
    /// What the share coordinator was asked to begin with.
    pub(super) initialized: Vec<InitializeShareGroupStateRequest>,
    /// What the share coordinator was asked to forget.
    pub(super) deleted: Vec<DeleteShareGroupStateRequest>,
    /// What the transaction coordinator was asked.
    pub(super) verified: Vec<TransactionalWrite>,
}

impl Answers {
    fn partition_code(&self) -> i16 {
        self.partition_error.unwrap_or(ErrorCode::None).code()
    }

    fn answer<'a, T: Send + 'a>(&self, answer: T) -> Persisted<'a, T> {
        let answer = self.persister_error.map_or(Ok(answer), Err);
        Box::pin(std::future::ready(answer))
    }
}

impl TestPartners {
    pub(super) fn answers(&self) -> MutexGuard<'_, Answers> {
        self.0.lock().unwrap()
    }
}

impl Persister for TestPartners {
    fn initialize_state(
        &self,
        request: InitializeShareGroupStateRequest,
    ) -> Persisted<'_, InitializeShareGroupStateResponse> {
        let mut answers = self.answers();
        let error_code = answers.partition_code();
        let results = request.topics.iter().map(|topic| initialize::InitializeStateResult {
            topic_id: topic.topic_id,
            partitions: topic
                .partitions
                .iter()
                .map(|data| initialize::PartitionResult {
                    partition: data.partition,
                    error_code,
                    ..Default::default()
                })
                .collect(),
            ..Default::default()
        });
        let response = InitializeShareGroupStateResponse { results: results.collect(), ..Default::default() };
        answers.initialized.push(request);
        answers.answer(response)
    }

    fn read_state(&self, _: ReadShareGroupStateRequest) -> Persisted<'_, ReadShareGroupStateResponse> {
        self.answers().answer(ReadShareGroupStateResponse::default())
    }

    fn write_state(&self, _: WriteShareGroupStateRequest) -> Persisted<'_, WriteShareGroupStateResponse> {
        self.answers().answer(WriteShareGroupStateResponse::default())
    }

    fn delete_state(
        &self,
        request: DeleteShareGroupStateRequest,
    ) -> Persisted<'_, DeleteShareGroupStateResponse> {
        let mut answers = self.answers();
        let error_code = answers.partition_code();
        let results = request.topics.iter().map(|topic| delete::DeleteStateResult {
            topic_id: topic.topic_id,
            partitions: topic
                .partitions
                .iter()
                .map(|data| delete::PartitionResult {
                    partition: data.partition,
                    error_code,
                    ..Default::default()
                })
                .collect(),
            ..Default::default()
        });
        let response = DeleteShareGroupStateResponse { results: results.collect(), ..Default::default() };
        answers.deleted.push(request);
        answers.answer(response)
    }

    fn read_summary(
        &self,
        request: ReadShareGroupStateSummaryRequest,
    ) -> Persisted<'_, ReadShareGroupStateSummaryResponse> {
        let answers = self.answers();
        let error_code = answers.partition_code();
        let results = request.topics.iter().map(|topic| summary::ReadStateSummaryResult {
            topic_id: topic.topic_id,
            partitions: topic
                .partitions
                .iter()
                .map(|data| summary::PartitionResult {
                    partition: data.partition,
                    error_code,
                    start_offset: START_OFFSET,
                    delivery_complete_count: 0,
                    ..Default::default()
                })
                .collect(),
            ..Default::default()
        });
        let response =
            ReadShareGroupStateSummaryResponse { results: results.collect(), ..Default::default() };
        answers.answer(response)
    }
}

impl PartitionMetadataClient for TestPartners {
    fn list_latest_offsets(&self, partitions: BTreeSet<(ByteString, i32)>) -> BoxFuture<'_, LatestOffsets> {
        let end = self.answers().end_error.map_or(Ok(END_OFFSET), Err);
        let ends: BTreeMap<_, _> = partitions.into_iter().map(|partition| (partition, end)).collect();
        Box::pin(std::future::ready(ends))
    }
}

impl TransactionGate for TestPartners {
    fn verify(&self, write: TransactionalWrite) -> BoxFuture<'_, Result<VerificationGuard, ErrorCode>> {
        let mut answers = self.answers();
        answers.verified.push(write);
        let verdict = answers.transaction_error.map_or(Ok(VerificationGuard::SENTINEL), Err);
        Box::pin(std::future::ready(verdict))
    }
}

/// A coordinator with its partners.
pub(super) struct Fixture {
    pub(super) log: Arc<MemoryPartitions>,
    pub(super) partners: Arc<TestPartners>,
    pub(super) service: Arc<GroupCoordinatorService>,
}

/// Nobody waits for the next assignment.
fn config() -> GroupCoordinatorConfig {
    let mut config = GroupCoordinatorConfig::default();
    config.consumer.assignment_interval_ms = 0;
    config.share.assignment_interval_ms = 0;
    config.streams.assignment_interval_ms = 0;
    config.streams.initial_rebalance_delay_ms = 0;
    config
}

impl Fixture {
    /// A coordinator that is not started up.
    pub(super) fn stopped() -> Self {
        Self::describing(None)
    }

    fn describing(topology_descriptions: Option<Arc<dyn TopologyDescriptionPlugin>>) -> Self {
        let log = Arc::new(MemoryPartitions::default());
        let partners = Arc::new(TestPartners::default());
        let service = GroupCoordinatorService::new(
            config(),
            Compression::NONE,
            Arc::new(SystemTime::default()),
            log.clone(),
            GroupPartners {
                persister: partners.clone(),
                partition_metadata: partners.clone(),
                transactions: partners.clone(),
                topology_descriptions,
            },
            Handle::current(),
        );
        Self { log, partners, service: Arc::new(service) }
    }

    /// A coordinator that leads nothing.
    pub(super) fn leading_nothing() -> Self {
        let fixture = Self::stopped();
        fixture.service.runtime().startup(PARTITIONS);
        fixture
    }

    /// A coordinator of everything, in a cluster with the topic `pagos` of two partitions.
    pub(super) async fn started() -> Self {
        Self::started_describing(None).await
    }

    /// The same with somebody who keeps descriptions of topologies.
    pub(super) async fn started_describing(plugin: Option<Arc<dyn TopologyDescriptionPlugin>>) -> Self {
        let fixture = Self::describing(plugin);
        fixture.service.runtime().startup(PARTITIONS);
        for partition in 0..PARTITIONS {
            fixture.service.runtime().on_election(partition, 1);
        }
        until("loaded", async || {
            fixture.service.list_groups(ListGroupsRequest::default()).await.error_code == 0
        })
        .await;
        fixture.put_topics(&[("pagos", 2)]).await;
        fixture
    }

    pub(super) async fn put_topics(&self, topics: &[(&'static str, i32)]) {
        let changed = topics.iter().map(|(name, _)| ByteString::from_static(name)).collect();
        self.service.on_new_metadata(Arc::new(Topics::of(topics)), changed).await;
    }
}

/// Lets a little time pass.
pub(super) async fn a_moment() {
    tokio::time::sleep(Duration::from_millis(2)).await;
}

use std::sync::{Arc, Mutex};

use ottla_apis::support::metadata_cache::MetadataCache;
use ottla_common::time::SystemTime;
use ottla_common::{ErrorCode, TopicPartition, Uuid};
use ottla_coordinator::runtime::AppendLinger;
use ottla_coordinator::share_state::{ShareCoordinatorConfig, SharePartitionKey};
use ottla_metadata::{ApiMessageAndVersion, MetadataLoader, MetadataProvenance};
use ottla_protocol::messages::*;
use ottla_protocol::messages::{
    delete_share_group_state_request as delete, initialize_share_group_state_request as initialize,
    read_share_group_state_request as read, read_share_group_state_response,
    read_share_group_state_summary_request as summary, write_share_group_state_request as write,
};
use ottla_protocol::records::metadata::{PartitionRecord, TopicRecord};
use ottla_record::Compression;
use tokio::runtime::Handle;

use super::{ShareCoordinatorParts, ShareCoordinatorService, StateRecords};
use crate::coordinator::runtime::testing::{MemoryPartitions, until};

const STATE_PARTITIONS: i32 = 4;
const GROUP: &str = "cola";
const TOPIC: Uuid = Uuid::from_u128(7);
/// Partitions of the topic that the group reads: enough for every partition of the state topic.
const PARTITIONS: i32 = 40;

/// What was deleted, partition by partition.
#[derive(Debug, Default)]
struct Deletions {
    done: Mutex<Vec<(i32, i64)>>,
    refuse: Mutex<Option<ErrorCode>>,
}

impl StateRecords for Deletions {
    fn delete_records(&self, partition: &TopicPartition, before: i64) -> Result<(), ErrorCode> {
        if let Some(error) = *self.refuse.lock().unwrap() {
            return Err(error);
        }
        self.done.lock().unwrap().push((partition.partition, before));
        Ok(())
    }
}

fn metadata() -> Arc<MetadataCache> {
    let topic = TopicRecord { name: "pedidos".into(), topic_id: TOPIC, ..Default::default() };
    let mut records = vec![ApiMessageAndVersion::new(topic, 0)];
    for partition_id in 0..PARTITIONS {
        let partition = PartitionRecord {
            topic_id: TOPIC,
            partition_id,
            replicas: vec![1],
            isr: vec![1],
            leader: 1,
            ..Default::default()
        };
        records.push(ApiMessageAndVersion::new(partition, 2));
    }
    let provenance = MetadataProvenance { last_contained_offset: 10, ..MetadataProvenance::EMPTY };
    let image = MetadataLoader::default().load_snapshot(provenance, &records).unwrap().image;
    let cache = MetadataCache::default();
    cache.publish(image, 1, true);
    Arc::new(cache)
}

struct Fixture {
    log: Arc<MemoryPartitions>,
    deletions: Arc<Deletions>,
    service: Arc<ShareCoordinatorService>,
}

impl Fixture {
    fn stopped() -> Self {
        let log = Arc::new(MemoryPartitions::default());
        let deletions = Arc::new(Deletions::default());
        let service = ShareCoordinatorService::new(ShareCoordinatorParts {
            config: ShareCoordinatorConfig { write_timeout_ms: 60_000, ..Default::default() },
            compression: Compression::NONE,
            append_linger: AppendLinger::Adaptive,
            metadata: metadata(),
            log: log.clone(),
            records: deletions.clone(),
            time: Arc::new(SystemTime::default()),
            runtime: Handle::current(),
        });
        Self { log, deletions, service: Arc::new(service) }
    }

    async fn started() -> Self {
        let fixture = Self::stopped();
        fixture.service.runtime().startup(STATE_PARTITIONS);
        fixture.elect(1).await;
        fixture
    }

    async fn elect(&self, epoch: i32) {
        for partition in 0..STATE_PARTITIONS {
            self.service.runtime().on_election(partition, epoch);
        }
        until("loaded", async || {
            let codes: Vec<_> = self.summaries(0..PARTITIONS).await.iter().map(|r| r.error_code).collect();
            codes.iter().all(|code| *code == 0)
        })
        .await;
    }

    async fn initialize(
        &self,
        partitions: impl IntoIterator<Item = i32>,
        state_epoch: i32,
    ) -> Vec<ErrorCode> {
        let data = |partition| initialize::PartitionData {
            partition,
            state_epoch,
            start_offset: 0,
            ..Default::default()
        };
        let topic = initialize::InitializeStateData {
            topic_id: TOPIC,
            partitions: partitions.into_iter().map(data).collect(),
            ..Default::default()
        };
        let request = InitializeShareGroupStateRequest {
            group_id: GROUP.into(),
            topics: vec![topic],
            ..Default::default()
        };
        let response = self.service.initialize_state(request).await;
        assert_eq!(response.results.len(), 1);
        codes(response.results[0].partitions.iter().map(|result| result.error_code))
    }

    async fn write(&self, partition: i32, leader_epoch: i32, start_offset: i64) -> ErrorCode {
        let data = write::PartitionData {
            partition,
            state_epoch: 1,
            leader_epoch,
            start_offset,
            ..Default::default()
        };
        self.write_all(vec![data]).await[0]
    }

    async fn write_all(&self, partitions: Vec<write::PartitionData>) -> Vec<ErrorCode> {
        let topic = write::WriteStateData { topic_id: TOPIC, partitions, ..Default::default() };
        let request =
            WriteShareGroupStateRequest { group_id: GROUP.into(), topics: vec![topic], ..Default::default() };
        let response = self.service.write_state(request).await;
        codes(response.results[0].partitions.iter().map(|result| result.error_code))
    }

    async fn read(
        &self,
        partition: i32,
        leader_epoch: i32,
    ) -> read_share_group_state_response::PartitionResult {
        let data = read::PartitionData { partition, leader_epoch, ..Default::default() };
        let topic = read::ReadStateData { topic_id: TOPIC, partitions: vec![data], ..Default::default() };
        let request =
            ReadShareGroupStateRequest { group_id: GROUP.into(), topics: vec![topic], ..Default::default() };
        let mut response = self.service.read_state(request).await;
        response.results.remove(0).partitions.remove(0)
    }

    async fn delete(&self, partition: i32) -> ErrorCode {
        let data = delete::PartitionData { partition, ..Default::default() };
        let topic = delete::DeleteStateData { topic_id: TOPIC, partitions: vec![data], ..Default::default() };
        let request = DeleteShareGroupStateRequest {
            group_id: GROUP.into(),
            topics: vec![topic],
            ..Default::default()
        };
        let response = self.service.delete_state(request).await;
        ErrorCode::from_code(response.results[0].partitions[0].error_code)
    }

    async fn summaries(
        &self,
        partitions: impl IntoIterator<Item = i32>,
    ) -> Vec<read_share_group_state_summary_response::PartitionResult> {
        let data = |partition| summary::PartitionData { partition, ..Default::default() };
        let topic = summary::ReadStateSummaryData {
            topic_id: TOPIC,
            partitions: partitions.into_iter().map(data).collect(),
            ..Default::default()
        };
        let request = ReadShareGroupStateSummaryRequest {
            group_id: GROUP.into(),
            topics: vec![topic],
            ..Default::default()
        };
        self.service.read_state_summary(request).await.results.remove(0).partitions
    }
}

fn codes(codes: impl Iterator<Item = i16>) -> Vec<ErrorCode> {
    codes.map(ErrorCode::from_code).collect()
}

/// Where the state of a partition is kept.
fn state_partition(partition: i32) -> i32 {
    SharePartitionKey::new(&GROUP.into(), TOPIC, partition).partition_for(STATE_PARTITIONS)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_goes_to_many_shards_and_comes_back_in_its_order() {
    let f = Fixture::started().await;
    assert_eq!(f.initialize(0..PARTITIONS, 1).await, vec![ErrorCode::None; PARTITIONS as usize]);
    for partition in 0..STATE_PARTITIONS {
        assert!(f.log.end_offset(partition) > 0, "nothing in {partition}");
    }
    let summaries = f.summaries(0..PARTITIONS).await;
    let partitions: Vec<_> = summaries.iter().map(|result| result.partition).collect();
    assert_eq!(partitions, (0..PARTITIONS).collect::<Vec<_>>());
    assert!(summaries.iter().all(|result| (result.error_code, result.start_offset) == (0, 0)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_state_lives_and_another_coordinator_takes_over() {
    let f = Fixture::started().await;
    assert_eq!(f.initialize([3], 1).await, [ErrorCode::None]);
    assert_eq!(f.read(3, 5).await.error_code, 0);
    assert_eq!(f.write(3, 4, 9).await, ErrorCode::FencedLeaderEpoch);
    assert_eq!(f.write(3, 5, 10).await, ErrorCode::None);
    for partition in 0..STATE_PARTITIONS {
        f.service.runtime().on_resignation(partition, Some(2));
    }
    assert_eq!(f.write(3, 5, 11).await, ErrorCode::NotCoordinator);
    f.elect(2).await;
    let read = f.read(3, 5).await;
    assert_eq!((read.error_code, read.state_epoch, read.start_offset), (0, 1, 10));
    assert_eq!(f.delete(3).await, ErrorCode::None);
    assert_eq!(f.read(3, 5).await.error_code, ErrorCode::InvalidRequest.code(), "it is not initialized");
}

#[tokio::test]
async fn a_share_partition_that_is_named_twice_is_written_twice_in_order() {
    let f = Fixture::started().await;
    f.initialize([0], 1).await;
    let data = |start_offset| write::PartitionData { state_epoch: 1, start_offset, ..Default::default() };
    assert_eq!(f.write_all(vec![data(5), data(8)]).await, [ErrorCode::None, ErrorCode::None]);
    assert_eq!(f.read(0, 0).await.start_offset, 8);
}

#[tokio::test]
async fn what_does_not_exist_is_refused_by_itself() {
    let f = Fixture::started().await;
    let refused = f.initialize([0, PARTITIONS, -1, 1], 1).await;
    let expected =
        [ErrorCode::None, ErrorCode::UnknownTopicOrPartition, ErrorCode::InvalidRequest, ErrorCode::None];
    assert_eq!(refused, expected);
    assert_eq!(f.initialize([0], 0).await, [ErrorCode::FencedStateEpoch]);
}

#[tokio::test]
async fn requests_that_lack_something_are_answered_with_nothing() {
    let f = Fixture::started().await;
    assert!(f.service.read_state(ReadShareGroupStateRequest::default()).await.results.is_empty());
    let topics = vec![write::WriteStateData { topic_id: TOPIC, ..Default::default() }];
    let request = WriteShareGroupStateRequest { group_id: GROUP.into(), topics, ..Default::default() };
    assert!(f.service.write_state(request).await.results.is_empty());
}

#[tokio::test]
async fn before_the_start_there_is_no_coordinator() {
    let f = Fixture::stopped();
    assert_eq!(f.write(0, 0, 1).await, ErrorCode::CoordinatorNotAvailable);
    f.service.runtime().startup(STATE_PARTITIONS);
    assert_eq!(f.write(0, 0, 1).await, ErrorCode::NotCoordinator);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_it_loads_it_says_so() {
    let f = Fixture::stopped();
    f.service.runtime().startup(STATE_PARTITIONS);
    f.log.set(|state| state.hold_reads = true);
    f.service.runtime().on_election(state_partition(0), 1);
    assert_eq!(f.write(0, 0, 1).await, ErrorCode::CoordinatorLoadInProgress);
    f.log.set(|state| state.hold_reads = false);
    until("loaded", async || f.write(0, 0, 1).await == ErrorCode::InvalidRequest).await;
}

#[tokio::test]
async fn an_append_that_is_refused_is_told_in_the_words_of_a_coordinator() {
    let f = Fixture::started().await;
    f.log.set(|state| state.refuse_append = Some(ErrorCode::NotLeaderOrFollower));
    assert_eq!(f.initialize([0], 1).await, [ErrorCode::NotCoordinator]);
    f.log.set(|state| state.refuse_append = Some(ErrorCode::NotEnoughReplicas));
    assert_eq!(f.initialize([0], 1).await, [ErrorCode::CoordinatorNotAvailable]);
    f.log.set(|state| state.refuse_append = None);
    assert_eq!(f.write(0, 0, 1).await, ErrorCode::InvalidRequest, "it never happened");
}

#[tokio::test]
async fn what_is_redundant_is_deleted_once() {
    let f = Fixture::started().await;
    f.initialize([0], 1).await;
    f.service.prune().await;
    assert!(f.deletions.done.lock().unwrap().is_empty(), "nothing lies before the first snapshot");
    f.initialize([0], 2).await;
    *f.deletions.refuse.lock().unwrap() = Some(ErrorCode::KafkaStorageError);
    f.service.prune().await;
    *f.deletions.refuse.lock().unwrap() = None;
    f.service.prune().await;
    f.service.prune().await;
    assert_eq!(*f.deletions.done.lock().unwrap(), [(state_partition(0), 1)]);
    f.initialize([0], 3).await;
    f.service.prune().await;
    assert_eq!(f.deletions.done.lock().unwrap().last(), Some(&(state_partition(0), 2)));
}

#[tokio::test]
async fn what_is_not_committed_is_not_pruned_by() {
    let f = Fixture::started().await;
    f.initialize([0], 1).await;
    f.log.set(|state| state.hold = true);
    let service = f.service.clone();
    let writing = tokio::spawn(async move {
        let data = initialize::PartitionData { state_epoch: 2, ..Default::default() };
        let topic =
            initialize::InitializeStateData { topic_id: TOPIC, partitions: vec![data], ..Default::default() };
        let request = InitializeShareGroupStateRequest {
            group_id: GROUP.into(),
            topics: vec![topic],
            ..Default::default()
        };
        service.initialize_state(request).await
    });
    until("appended", async || f.log.end_offset(state_partition(0)) == 2).await;
    f.service.prune().await;
    assert!(f.deletions.done.lock().unwrap().is_empty());
    f.log.set(|state| state.high_watermarks.insert(state_partition(0), 2));
    f.service.runtime().on_high_watermark(state_partition(0));
    writing.await.unwrap();
    f.service.prune().await;
    assert_eq!(*f.deletions.done.lock().unwrap(), [(state_partition(0), 1)]);
}

#[tokio::test]
async fn states_of_deleted_topics_are_forgotten() {
    let f = Fixture::started().await;
    f.initialize([0, 1], 1).await;
    f.service.on_topics_deleted(&[("pedidos".into(), TOPIC)]).await;
    until("forgotten", async || {
        let summaries = f.summaries([0, 1]).await;
        summaries.iter().all(|result| result.start_offset == -1)
    })
    .await;
}

//! A coordinator on partitions in memory; leaders of partitions and a source of producer ids that do what the test
//! wants.

use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ottla_apis::context::BoxFuture;
use ottla_common::ErrorCode;
use ottla_common::time::SystemTime;
use ottla_coordinator::transaction::{
    MarkerLeader, TransactionConfig, TransactionRecord, TransactionState, partition_for,
};
use ottla_protocol::messages::add_partitions_to_txn_request::{
    AddPartitionsToTxnTopic, AddPartitionsToTxnTransaction,
};
use ottla_protocol::messages::write_txn_markers_request::WritableTxnMarker;
use ottla_protocol::messages::write_txn_markers_response::{
    WritableTxnMarkerPartitionResult, WritableTxnMarkerResult, WritableTxnMarkerTopicResult,
};
use ottla_protocol::messages::*;
use ottla_record::{DecompressionLimits, MemoryRecords};
use tokio::runtime::Handle;

use super::{MarkerTransport, ProducerIdBlocks, TransactionCoordinatorService, TransactionServiceParts};
use crate::coordinator::runtime::testing::{MemoryPartitions, until};

pub(super) const PARTITIONS: i32 = 4;
pub(super) const TX: &str = "pagos-tx";
/// The newest versions that know of no bump at the end.
pub(super) const OLD_ADD: i16 = 3;
pub(super) const OLD_END: i16 = 4;
/// The first versions that do.
pub(super) const NEW_ADD: i16 = 4;
pub(super) const NEW_END: i16 = 5;

pub(super) struct Fixture {
    pub(super) log: Arc<MemoryPartitions>,
    pub(super) leaders: Arc<FakeLeaders>,
    pub(super) blocks: Arc<FakeBlocks>,
    pub(super) service: Arc<TransactionCoordinatorService>,
}

impl Fixture {
    pub(super) fn stopped(config: TransactionConfig) -> Self {
        let log = Arc::new(MemoryPartitions::default());
        let leaders = Arc::new(FakeLeaders::default());
        let blocks = Arc::new(FakeBlocks::default());
        let service = TransactionCoordinatorService::new(TransactionServiceParts {
            config,
            time: Arc::new(SystemTime::default()),
            log: log.clone(),
            transport: leaders.clone(),
            producer_ids: blocks.clone(),
            runtime: Handle::current(),
        });
        Self { log, leaders, blocks, service }
    }

    /// A coordinator of a cluster of this `transaction.version`.
    pub(super) async fn started(level: i16) -> Self {
        Self::started_with(level, TransactionConfig::default()).await
    }

    pub(super) async fn started_with(level: i16, config: TransactionConfig) -> Self {
        let fixture = Self::stopped(config);
        fixture.service.on_new_transaction_version(level).await;
        fixture.service.runtime().startup(PARTITIONS);
        fixture.elect(1).await;
        fixture
    }

    pub(super) async fn elect(&self, epoch: i32) {
        for partition in 0..PARTITIONS {
            self.service.runtime().on_election(partition, epoch);
        }
        until("all loaded", async || self.list(ListTransactionsRequest::default()).await.error_code == 0)
            .await;
    }

    pub(super) async fn list(&self, request: ListTransactionsRequest) -> ListTransactionsResponse {
        self.service.list_transactions(request).await
    }

    pub(super) async fn init(&self, request: InitProducerIdRequest) -> Result<(i64, i16), ErrorCode> {
        let response = self.service.init_producer_id(5, request).await;
        match ErrorCode::from_code(response.error_code) {
            ErrorCode::None => Ok((response.producer_id, response.producer_epoch)),
            error => Err(error),
        }
    }

    /// A producer that begins; it tries again like every producer.
    pub(super) async fn initialized(&self) -> (i64, i16) {
        let mut producer = (-1, -1);
        until("initialized", async || {
            let Ok(given) = self.init(init_request()).await else { return false };
            producer = given;
            true
        })
        .await;
        producer
    }

    pub(super) async fn add(&self, version: i16, producer: (i64, i16), verify_only: bool) -> ErrorCode {
        let transaction = transaction(producer, verify_only);
        let request = AddPartitionsToTxnRequest { transactions: vec![transaction], ..Default::default() };
        let response = self.service.add_partitions_to_txn(version, request).await;
        first_error(&response)
    }

    pub(super) async fn end(&self, version: i16, producer: (i64, i16), committed: bool) -> EndTxnResponse {
        let request = EndTxnRequest {
            transactional_id: TX.into(),
            producer_id: producer.0,
            producer_epoch: producer.1,
            committed,
            ..Default::default()
        };
        self.service.end_txn(version, request).await
    }

    pub(super) async fn described(&self) -> describe_transactions_response::TransactionState {
        let request =
            DescribeTransactionsRequest { transactional_ids: vec![TX.into()], ..Default::default() };
        self.service.describe_transactions(request).await.transaction_states.remove(0)
    }

    pub(super) async fn until_state(&self, state: &str) {
        until(state, async || &self.described().await.transaction_state[..] == state).await;
    }

    /// The versions and states of the records in the log, in order.
    pub(super) fn written(&self) -> Vec<(i16, TransactionState)> {
        let partition = partition_for(TX, PARTITIONS);
        let batches = self.log.set(|state| state.batches.get(&partition).cloned().unwrap_or_default());
        let mut written = Vec::new();
        for bytes in batches {
            for batch in MemoryRecords::new(bytes).batches() {
                for record in batch.unwrap().owned_records(&DecompressionLimits::default()).unwrap() {
                    let record = record.unwrap();
                    let record = TransactionRecord::decode(record.key.unwrap(), record.value).unwrap();
                    let (version, value) = record.value.unwrap();
                    written.push((version, TransactionState::from_id(value.transaction_status).unwrap()));
                }
            }
        }
        written
    }
}

pub(super) fn init_request() -> InitProducerIdRequest {
    InitProducerIdRequest {
        transactional_id: Some(TX.into()),
        transaction_timeout_ms: 60_000,
        producer_id: -1,
        producer_epoch: -1,
        ..Default::default()
    }
}

pub(super) fn transaction(producer: (i64, i16), verify_only: bool) -> AddPartitionsToTxnTransaction {
    AddPartitionsToTxnTransaction {
        transactional_id: TX.into(),
        producer_id: producer.0,
        producer_epoch: producer.1,
        verify_only,
        topics: vec![AddPartitionsToTxnTopic {
            name: "pagos".into(),
            partitions: vec![0, 1],
            ..Default::default()
        }],
        ..Default::default()
    }
}

pub(super) fn first_error(response: &AddPartitionsToTxnResponse) -> ErrorCode {
    let topic = &response.results_by_transaction[0].topic_results[0];
    ErrorCode::from_code(topic.results_by_partition[0].partition_error_code)
}

pub(super) fn code(error_code: i16) -> ErrorCode {
    ErrorCode::from_code(error_code)
}

/// The broker that leads every partition, as a rule.
pub(super) const LEADER: i32 = 1;

#[derive(Debug)]
pub(super) struct Leaders {
    pub(super) requests: Vec<(i32, WriteTxnMarkersRequest)>,
    /// What each partition says; nothing comes back when `None`.
    pub(super) answer: Option<ErrorCode>,
    /// Whether answers wait.
    pub(super) hold: bool,
    pub(super) leader: MarkerLeader,
}

/// Leaders that write no log.
#[derive(Debug)]
pub(super) struct FakeLeaders(Mutex<Leaders>);

impl Default for FakeLeaders {
    fn default() -> Self {
        Self(Mutex::new(Leaders {
            requests: Vec::new(),
            answer: Some(ErrorCode::None),
            hold: false,
            leader: MarkerLeader::Broker(LEADER),
        }))
    }
}

impl FakeLeaders {
    pub(super) fn set<T>(&self, change: impl FnOnce(&mut Leaders) -> T) -> T {
        change(&mut self.0.lock().unwrap())
    }

    /// Every marker that was asked for, in order.
    pub(super) fn markers(&self) -> Vec<WritableTxnMarker> {
        self.set(|leaders| leaders.requests.iter().flat_map(|(_, request)| request.markers.clone()).collect())
    }
}

impl MarkerTransport for FakeLeaders {
    fn leader(&self, _topic: &str, _partition: i32) -> MarkerLeader {
        self.set(|leaders| leaders.leader)
    }

    fn write_txn_markers(
        &self,
        broker_id: i32,
        request: WriteTxnMarkersRequest,
    ) -> BoxFuture<'_, Option<WriteTxnMarkersResponse>> {
        self.set(|leaders| leaders.requests.push((broker_id, request.clone())));
        Box::pin(async move {
            while self.set(|leaders| leaders.hold) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            self.set(|leaders| leaders.answer).map(|error| all(&request, error))
        })
    }
}

/// The same answer for every partition.
fn all(request: &WriteTxnMarkersRequest, error: ErrorCode) -> WriteTxnMarkersResponse {
    let mut response = WriteTxnMarkersResponse::default();
    for marker in &request.markers {
        let mut result = WritableTxnMarkerResult { producer_id: marker.producer_id, ..Default::default() };
        for topic in &marker.topics {
            let of_partition = |index: &i32| WritableTxnMarkerPartitionResult {
                partition_index: *index,
                error_code: error.code(),
                ..Default::default()
            };
            result.topics.push(WritableTxnMarkerTopicResult {
                name: topic.name.clone(),
                partitions: topic.partition_indexes.iter().map(of_partition).collect(),
                ..Default::default()
            });
        }
        response.markers.push(result);
    }
    response
}

/// Counts up from its first id, or refuses.
#[derive(Debug)]
pub(super) struct FakeBlocks(Mutex<Result<i64, ErrorCode>>);

impl Default for FakeBlocks {
    fn default() -> Self {
        Self(Mutex::new(Ok(1_000)))
    }
}

impl FakeBlocks {
    pub(super) fn set(&self, next: Result<i64, ErrorCode>) {
        *self.0.lock().unwrap() = next;
    }
}

impl ProducerIdBlocks for FakeBlocks {
    fn next_block(&self, length: i64) -> BoxFuture<'_, Result<Range<i64>, ErrorCode>> {
        let mut next = self.0.lock().unwrap();
        let block = next.map(|first| first..first + length);
        *next = next.map(|first| first + length);
        Box::pin(std::future::ready(block))
    }
}

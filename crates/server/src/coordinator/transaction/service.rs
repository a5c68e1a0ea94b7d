use std::sync::Arc;

use bytestring::ByteString;
use ottla_common::ErrorCode;
use ottla_common::time::Time;
use ottla_coordinator::transaction::{
    TransactionConfig, TransactionCoordinatorShard, TransactionDecision, TransactionVersion,
    add_offsets_error, append_error, end_txn_error, init_producer_id_error, result_for_transaction,
    unknown_state_filters,
};
use ottla_metadata::Feature;
use ottla_metadata::image::FeaturesImage;
use ottla_protocol::messages::describe_transactions_response::TransactionState as DescribedTransaction;
use ottla_protocol::messages::{
    AddOffsetsToTxnRequest, AddOffsetsToTxnResponse, AddPartitionsToTxnRequest, AddPartitionsToTxnResponse,
    DescribeTransactionsRequest, DescribeTransactionsResponse, EndTxnRequest, EndTxnResponse,
    InitProducerIdRequest, InitProducerIdResponse, ListTransactionsRequest, ListTransactionsResponse,
};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use super::kind::TransactionCoordinators;
use super::markers::{MarkerTask, MarkerTransport};
use super::pattern::TransactionalIdPattern;
use super::producer_ids::{ProducerIdBlocks, serve_wishes};
use crate::coordinator::runtime::{CoordinatorRuntime, PartitionLog, Worker};

/// What a transaction coordinator stands on.
#[derive(Debug)]
pub struct TransactionServiceParts {
    /// The configuration.
    pub config: TransactionConfig,
    /// The clock.
    pub time: Arc<dyn Time>,
    /// The partitions of `__transaction_state`.
    pub log: Arc<dyn PartitionLog>,
    /// The way of markers to the leaders.
    pub transport: Arc<dyn MarkerTransport>,
    /// Where producer ids come from.
    pub producer_ids: Arc<dyn ProducerIdBlocks>,
    /// Where the tasks run.
    pub runtime: Handle,
}

/// The transaction coordinator of this broker: every partition of `__transaction_state` that it leads.
#[derive(Debug)]
pub struct TransactionCoordinatorService {
    time: Arc<dyn Time>,
    runtime: CoordinatorRuntime<TransactionCoordinators>,
}

/// An answer that is on its way.
type Pending<T> = oneshot::Receiver<Result<T, ErrorCode>>;

impl TransactionCoordinatorService {
    /// A coordinator that refuses everything until it is started up. Its tasks end when it is dropped.
    pub fn new(parts: TransactionServiceParts) -> Arc<Self> {
        let TransactionServiceParts { config, time, log, transport, producer_ids, runtime } = parts;
        let (markers, marker_news) = mpsc::unbounded_channel();
        let (wishes, wished) = mpsc::unbounded_channel();
        let kind = Arc::new(TransactionCoordinators::new(Arc::new(config), markers, wishes));
        let coordinators = CoordinatorRuntime::new(kind, Arc::clone(&time), log, runtime.clone());
        let service = Arc::new(Self { time: Arc::clone(&time), runtime: coordinators });
        let task = MarkerTask::new(transport, Arc::downgrade(&service), time);
        runtime.spawn(task.run(marker_news));
        runtime.spawn(serve_wishes(wished, producer_ids, Arc::downgrade(&service)));
        service
    }

    /// The tasks behind the service: the start, the stop, elections and resignations go there.
    pub fn runtime(&self) -> &CoordinatorRuntime<TransactionCoordinators> {
        &self.runtime
    }

    /// The cluster's `transaction.version` is this now. Says nothing new as a rule, which costs nothing.
    pub async fn on_new_transaction_version(&self, level: i16) {
        // A level that this release does not know: the broker would not have been let into the cluster.
        let version = TransactionVersion::from_feature_level(level).unwrap_or(TransactionVersion::LATEST);
        // First the version that a loading shard looks at when it is done.
        if self.runtime.kind().set_version(version) {
            self.runtime.tell_all(move |shard| shard.change_transaction_version(version)).await;
        }
    }

    /// The cluster's features are these now.
    pub async fn on_new_features(&self, features: &FeaturesImage) {
        self.on_new_transaction_version(features.level(Feature::TransactionVersion)).await;
    }

    /// A transactional producer begins, and fences the one before it.
    pub async fn init_producer_id(
        &self,
        version: i16,
        request: InitProducerIdRequest,
    ) -> InitProducerIdResponse {
        let id = request.transactional_id.clone().unwrap_or_default();
        let decide = move |now_ms, shard: &TransactionCoordinatorShard| {
            shard.init_producer_id(now_ms, version, &request)
        };
        self.decide(&id, decide).await.unwrap_or_else(init_producer_id_error)
    }

    /// Adds partitions to transactions, or verifies that they belong to them. Requests and answers are in the words
    /// of version 4 and later, whatever `version` says: see
    /// [`normalize_request`](ottla_coordinator::transaction::normalize_request). Which partitions there are is not
    /// checked here.
    pub async fn add_partitions_to_txn(
        &self,
        version: i16,
        request: AddPartitionsToTxnRequest,
    ) -> AddPartitionsToTxnResponse {
        // All of them first: transactions wait for their commits together.
        let mut begun = Vec::with_capacity(request.transactions.len());
        for transaction in request.transactions {
            let asked = transaction.clone();
            let decide = move |now_ms, shard: &TransactionCoordinatorShard| {
                shard.add_partitions_to_transaction(now_ms, version, &transaction)
            };
            let pending = self.begin(&asked.transactional_id, decide).await;
            begun.push((asked, pending));
        }
        let mut response = AddPartitionsToTxnResponse::default();
        for (asked, pending) in begun {
            let result = finish(pending).await.unwrap_or_else(|error| result_for_transaction(&asked, error));
            response.results_by_transaction.push(result);
        }
        response
    }

    /// Adds the partition of `__consumer_offsets` that the request's group lives in.
    pub async fn add_offsets_to_txn(
        &self,
        version: i16,
        request: AddOffsetsToTxnRequest,
        group_partition: i32,
    ) -> AddOffsetsToTxnResponse {
        let id = request.transactional_id.clone();
        let decide = move |now_ms, shard: &TransactionCoordinatorShard| {
            shard.add_offsets_to_transaction(now_ms, version, &request, group_partition)
        };
        self.decide(&id, decide).await.unwrap_or_else(add_offsets_error)
    }

    /// Commits or aborts a transaction. The markers follow.
    pub async fn end_txn(&self, version: i16, request: EndTxnRequest) -> EndTxnResponse {
        let id = request.transactional_id.clone();
        let decide = move |now_ms, shard: &TransactionCoordinatorShard| {
            shard.end_transaction(now_ms, version, &request)
        };
        self.decide(&id, decide).await.unwrap_or_else(end_txn_error)
    }

    /// The transactions of every partition that this broker leads.
    pub async fn list_transactions(&self, request: ListTransactionsRequest) -> ListTransactionsResponse {
        let failed =
            |error: ErrorCode| ListTransactionsResponse { error_code: error.code(), ..Default::default() };
        if !self.runtime.is_active() {
            return failed(ErrorCode::CoordinatorNotAvailable);
        }
        let pattern = match TransactionalIdPattern::parse(request.transactional_id_pattern.as_deref()) {
            Ok(pattern) => pattern,
            Err(error) => return failed(error),
        };
        let mut response = ListTransactionsResponse {
            unknown_state_filters: unknown_state_filters(&request),
            ..Default::default()
        };
        let request = Arc::new(request);
        let now_ms = self.time.now_ms();
        for partition in self.runtime.led_partitions() {
            let (request, pattern) = (Arc::clone(&request), pattern.clone());
            // What is not committed is not seen in the newest state either: see `begin_move`.
            let look = move |_: &TransactionCoordinatorShard, newest: &TransactionCoordinatorShard| {
                let is_match = |id: &str| pattern.as_ref().is_none_or(|pattern| pattern.is_match(id));
                newest.list_transactions(now_ms, &request, Some(&is_match))
            };
            match self.runtime.read(partition, look).await {
                Ok(transactions) => response.transaction_states.extend(transactions),
                // The partition moved meanwhile: another broker lists its transactions.
                Err(ErrorCode::NotCoordinator) => {}
                Err(error) => return failed(error),
            }
        }
        response
    }

    /// What there is to know about transactional ids.
    pub async fn describe_transactions(
        &self,
        request: DescribeTransactionsRequest,
    ) -> DescribeTransactionsResponse {
        let mut response = DescribeTransactionsResponse::default();
        for transactional_id in request.transactional_ids {
            response.transaction_states.push(self.describe_transaction(transactional_id).await);
        }
        response
    }

    async fn describe_transaction(&self, transactional_id: ByteString) -> DescribedTransaction {
        let failed = |error: ErrorCode| DescribedTransaction {
            error_code: error.code(),
            transactional_id: transactional_id.clone(),
            ..Default::default()
        };
        let partition = match self.runtime.partition_of(&transactional_id) {
            Ok(_) if transactional_id.is_empty() => return failed(ErrorCode::InvalidRequest),
            Ok(partition) => partition,
            Err(error) => return failed(error),
        };
        let asked = transactional_id.clone();
        let look = move |_: &TransactionCoordinatorShard, newest: &TransactionCoordinatorShard| {
            newest.describe_transaction(&asked)
        };
        self.runtime.read(partition, look).await.unwrap_or_else(failed)
    }

    async fn decide<T, F>(&self, transactional_id: &str, decide: F) -> Result<T, ErrorCode>
    where
        T: Send + 'static,
        F: FnOnce(i64, &TransactionCoordinatorShard) -> TransactionDecision<T> + Send + 'static,
    {
        finish(self.begin(transactional_id, decide).await).await
    }

    /// Has a shard decide. What it writes is answered once that is committed. What writes nothing is answered at
    /// once, as in Kafka: it rests on nothing that may still be lost, for a move that is not committed has not happened.
    async fn begin<T, F>(&self, transactional_id: &str, decide: F) -> Result<Pending<T>, ErrorCode>
    where
        T: Send + 'static,
        F: FnOnce(i64, &TransactionCoordinatorShard) -> TransactionDecision<T> + Send + 'static,
    {
        if transactional_id.is_empty() {
            return Err(ErrorCode::InvalidRequest);
        }
        let partition = self.runtime.partition_of(transactional_id)?;
        let (sender, receiver) = oneshot::channel();
        self.runtime.send(partition, move |worker| answer(worker, decide, sender)).await?;
        Ok(receiver)
    }
}

async fn finish<T>(begun: Result<Pending<T>, ErrorCode>) -> Result<T, ErrorCode> {
    begun?.await.unwrap_or(Err(ErrorCode::NotCoordinator))
}

fn answer<T, F>(
    worker: &mut Worker<TransactionCoordinators>,
    decide: F,
    sender: oneshot::Sender<Result<T, ErrorCode>>,
) where
    T: Send + 'static,
    F: FnOnce(i64, &TransactionCoordinatorShard) -> TransactionDecision<T>,
{
    let (now_ms, shard) = worker.look();
    let (decision, response) = decide(now_ms, shard).split_response();
    // Whoever asked may have gone away meanwhile.
    if decision.records.is_empty() {
        worker.execute(decision, None);
        let _ = sender.send(Ok(response));
        return;
    }
    let complete = move |outcome: Result<(), ErrorCode>| {
        let _ = sender.send(outcome.map(|()| response).map_err(append_error));
    };
    worker.execute(decision, Some(Box::new(complete)));
}

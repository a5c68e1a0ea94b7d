use std::time::{Duration, Instant};

use ottla_protocol::messages::add_partitions_to_txn_response::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnResult, AddPartitionsToTxnTopicResult,
};
use ottla_replica::transaction_verification::TransactionSupportedOperation;

use super::*;

/// A coordinator that refuses one partition, and waits as long as the test wants.
#[derive(Debug)]
struct FakeChannel(Mutex<State>);

#[derive(Debug)]
struct State {
    coordinator: Option<i32>,
    fails: Option<ChannelError>,
    hold: bool,
    requests: Vec<(i32, AddPartitionsToTxnRequest)>,
}

impl FakeChannel {
    fn set<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.0.lock().unwrap())
    }
}

impl CoordinatorChannel for FakeChannel {
    fn coordinator(&self, _transactional_id: &str) -> Option<i32> {
        self.set(|state| state.coordinator)
    }

    fn add_partitions_to_txn(
        &self,
        node_id: i32,
        request: AddPartitionsToTxnRequest,
    ) -> BoxFuture<'_, Result<AddPartitionsToTxnResponse, ChannelError>> {
        self.set(|state| state.requests.push((node_id, request.clone())));
        Box::pin(async move {
            while self.set(|state| state.hold) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            match self.set(|state| state.fails) {
                Some(error) => Err(error),
                None => Ok(answer(&request)),
            }
        })
    }
}

/// Partition 1 is part of no transaction.
fn answer(request: &AddPartitionsToTxnRequest) -> AddPartitionsToTxnResponse {
    let mut response = AddPartitionsToTxnResponse::default();
    for transaction in &request.transactions {
        let mut result = AddPartitionsToTxnResult {
            transactional_id: transaction.transactional_id.clone(),
            ..Default::default()
        };
        for topic in &transaction.topics {
            let of_partition = |index: &i32| AddPartitionsToTxnPartitionResult {
                partition_index: *index,
                partition_error_code: if *index == 1 { ErrorCode::TransactionAbortable.code() } else { 0 },
                ..Default::default()
            };
            result.topic_results.push(AddPartitionsToTxnTopicResult {
                name: topic.name.clone(),
                results_by_partition: topic.partitions.iter().map(of_partition).collect(),
                ..Default::default()
            });
        }
        response.results_by_transaction.push(result);
    }
    response
}

fn fixture() -> (Arc<FakeChannel>, Arc<CoordinatorVerifier>) {
    let state = State { coordinator: Some(3), fails: None, hold: false, requests: Vec::new() };
    let channel = Arc::new(FakeChannel(Mutex::new(state)));
    let verifier = CoordinatorVerifier::new(channel.clone(), Handle::current());
    (channel, Arc::new(verifier))
}

fn question(transactional_id: &str, partitions: &[i32]) -> TransactionToVerify {
    TransactionToVerify {
        transactional_id: transactional_id.to_owned(),
        producer_id: 7,
        producer_epoch: 0,
        partitions: partitions.iter().map(|partition| TopicPartition::new("pagos", *partition)).collect(),
        operation: TransactionSupportedOperation::GenericErrorSupported,
    }
}

fn errors(partitions: &[i32], error: ErrorCode) -> Errors {
    partitions.iter().map(|partition| (TopicPartition::new("pagos", *partition), error)).collect()
}

async fn until_asked(channel: &FakeChannel, requests: usize) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while channel.set(|state| state.requests.len()) < requests {
        assert!(Instant::now() < deadline, "never asked");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn a_coordinator_says_which_partitions_are_not_part_of_it() {
    let (channel, verifier) = fixture();
    let refused = verifier.add_or_verify_transaction(question("tx", &[0, 1])).await;
    assert_eq!(refused, errors(&[1], ErrorCode::TransactionAbortable));
    let (node_id, request) = channel.set(|state| state.requests.remove(0));
    assert_eq!((node_id, request.transactions.len()), (3, 1));
    assert!(request.transactions[0].verify_only);
}

#[tokio::test]
async fn without_a_coordinator_nothing_is_confirmed() {
    let (channel, verifier) = fixture();
    channel.set(|state| state.coordinator = None);
    let refused = verifier.add_or_verify_transaction(question("tx", &[0])).await;
    assert_eq!(refused, errors(&[0], ErrorCode::CoordinatorNotAvailable));
}

#[tokio::test]
async fn what_goes_wrong_on_the_way() {
    let (channel, verifier) = fixture();
    let sasl = ErrorCode::SaslAuthenticationFailed;
    for (error, told) in [
        (ChannelError::Disconnected, errors(&[0], ErrorCode::NetworkException)),
        (ChannelError::AuthenticationFailed(sasl), errors(&[0], sasl)),
        (ChannelError::UnsupportedVersion, Errors::new()),
    ] {
        channel.set(|state| state.fails = Some(error));
        assert_eq!(verifier.add_or_verify_transaction(question("tx", &[0])).await, told);
    }
}

#[tokio::test]
async fn questions_are_gathered_while_another_is_under_way() {
    let (channel, verifier) = fixture();
    channel.set(|state| state.hold = true);
    let ask = |id: &'static str| {
        let verifier = Arc::clone(&verifier);
        tokio::spawn(async move { verifier.add_or_verify_transaction(question(id, &[0, 1])).await })
    };
    let first = ask("a");
    until_asked(&channel, 1).await;
    // One who goes away does not take the answer from the others.
    first.abort();
    let (second, third) = (ask("b"), ask("c"));
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(channel.set(|state| state.requests.len()), 1, "one request to a node at a time");
    channel.set(|state| state.hold = false);
    for asked in [second, third] {
        assert_eq!(asked.await.unwrap(), errors(&[1], ErrorCode::TransactionAbortable));
    }
    let counts: Vec<_> =
        channel.set(|state| state.requests.iter().map(|(_, request)| request.transactions.len()).collect());
    assert_eq!(counts, [1, 2]);
}

use std::collections::VecDeque;
use std::sync::Mutex;

use ottla_storage::{LogConfig, TransactionVersion};
use tokio::sync::Semaphore;
use tokio::task::yield_now;

use super::*;
use crate::EndTransaction;
use crate::test_support::{Bench, NODE, NOW, tp, transactional};
use TransactionSupportedOperation::{AddPartition, DefaultError};

const PRODUCER: i64 = 5;

/// A transaction coordinator that says what it is told to say, and else that all is well.
#[derive(Debug)]
struct Coordinator {
    asked: Mutex<Vec<TransactionToVerify>>,
    answers: Mutex<VecDeque<BTreeMap<TopicPartition, ErrorCode>>>,
    /// One permit for each answer.
    ready: Semaphore,
}

impl TransactionVerifier for Coordinator {
    fn add_or_verify_transaction(
        &self,
        transaction: TransactionToVerify,
    ) -> BoxFuture<'_, BTreeMap<TopicPartition, ErrorCode>> {
        self.asked.lock().unwrap().push(transaction);
        Box::pin(async move {
            self.ready.acquire().await.unwrap().forget();
            self.answers.lock().unwrap().pop_front().unwrap_or_default()
        })
    }
}

impl Coordinator {
    /// How often it was asked, and of which partitions at last.
    fn asked(&self) -> (usize, Vec<TopicPartition>) {
        let asked = self.asked.lock().unwrap();
        (asked.len(), asked.last().map(|question| question.partitions.clone()).unwrap_or_default())
    }

    fn will_answer(&self, errors: &[(i32, ErrorCode)]) {
        let answer = errors.iter().map(|(index, error)| (tp(*index), *error)).collect();
        self.answers.lock().unwrap().push_back(answer);
    }
}

struct Fixture {
    bench: Bench,
    coordinator: Arc<Coordinator>,
}

impl Fixture {
    fn new(bench: Bench) -> Self {
        (0..2).for_each(|index| bench.lead(index, NODE, 0, &[NODE]));
        let coordinator = Arc::new(Coordinator {
            asked: Mutex::default(),
            answers: Mutex::default(),
            ready: Semaphore::new(100),
        });
        bench.replicas.set_transaction_verifier(coordinator.clone(), AddPartitionsToTxnConfig::default());
        Self { bench, coordinator }
    }

    async fn verify(&self, write: &TransactionalWrite) -> VerifiedPartitions {
        self.bench.replicas.verify_transactional_produce(write).await
    }

    fn append(&self, index: i32, sequence: i32, verified: &VerifiedPartitions) -> ErrorCode {
        let appended = verified.guard(&tp(index)).map_err(Into::into).and_then(|guard| {
            let records = transactional(PRODUCER, 0, sequence);
            self.bench.partition(index).append_verified(records, -1, guard)
        });
        appended.err().map_or(ErrorCode::None, |failure| failure.error)
    }

    fn end(&self, index: i32, producer_epoch: i16, version: TransactionVersion) {
        let end = EndTransaction {
            producer_id: PRODUCER,
            producer_epoch,
            coordinator_epoch: 0,
            committed: false,
            transaction_version: version,
        };
        self.bench.partition(index).append_end_transaction_marker(&end, NOW).unwrap();
    }
}

fn write(operation: TransactionSupportedOperation, partitions: &[(i32, i32)]) -> TransactionalWrite {
    TransactionalWrite {
        transactional_id: "contable".to_owned(),
        producer_id: PRODUCER,
        producer_epoch: 0,
        operation,
        partitions: partitions.iter().map(|(index, sequence)| (tp(*index), *sequence)).collect(),
    }
}

#[tokio::test]
async fn a_transaction_is_asked_about_once_for_each_partition() {
    let f = Fixture::new(Bench::new());
    let verified = f.verify(&write(DefaultError, &[(0, 0), (1, 0)])).await;
    assert_eq!(f.coordinator.asked(), (1, vec![tp(0), tp(1)]));
    assert_eq!((f.append(0, 0, &verified), f.append(1, 0, &verified)), (ErrorCode::None, ErrorCode::None));
    let verified = f.verify(&write(DefaultError, &[(0, 1), (1, 1)])).await;
    assert_eq!(verified, VerifiedPartitions::default());
    assert_eq!(f.coordinator.asked().0, 1, "the transaction is open here");
    assert_eq!(f.append(0, 1, &verified), ErrorCode::None);
    f.end(0, 0, TransactionVersion::TV_0);
    f.verify(&write(DefaultError, &[(0, 2), (1, 1)])).await;
    assert_eq!(f.coordinator.asked(), (2, vec![tp(0)]));
}

#[tokio::test]
async fn what_the_coordinator_refuses_is_not_appended() {
    let f = Fixture::new(Bench::new());
    f.coordinator.will_answer(&[(0, ErrorCode::InvalidTxnState)]);
    let verified = f.verify(&write(DefaultError, &[(0, 0), (1, 0)])).await;
    assert_eq!(f.append(0, 0, &verified), ErrorCode::InvalidTxnState);
    assert_eq!(f.append(1, 0, &verified), ErrorCode::None);
    assert_eq!(f.bench.partition(0).log().log_end_offset(), 0);
}

#[tokio::test]
async fn a_marker_between_question_and_append_takes_the_proof_back() {
    let f = Fixture::new(Bench::new());
    let verified = f.verify(&write(DefaultError, &[(0, 0)])).await;
    f.end(0, 0, TransactionVersion::TV_0);
    assert_eq!(f.append(0, 0, &verified), ErrorCode::InvalidTxnState);
    let verified = f.verify(&write(DefaultError, &[(0, 0)])).await;
    assert_eq!(f.append(0, 0, &verified), ErrorCode::None, "of the next transaction");
}

#[tokio::test]
async fn a_marker_during_the_question_makes_the_answer_worthless() {
    let f = Arc::new(Fixture::new(Bench::new()));
    f.coordinator.ready.forget_permits(100);
    let verifying = {
        let f = f.clone();
        tokio::spawn(async move { f.verify(&write(DefaultError, &[(0, 0)])).await })
    };
    while f.coordinator.asked().0 == 0 {
        yield_now().await;
    }
    f.end(0, 0, TransactionVersion::TV_0);
    f.coordinator.ready.add_permits(1);
    let late = verifying.await.unwrap();
    f.coordinator.ready.add_permits(1);
    let next = f.verify(&write(DefaultError, &[(0, 0)])).await;
    assert_eq!(f.append(0, 0, &late), ErrorCode::InvalidTxnState, "it proves another transaction");
    assert_eq!(f.append(0, 0, &next), ErrorCode::None);
}

#[tokio::test]
async fn with_a_newer_epoch_at_every_end_the_next_transaction_is_verified_before_the_marker_comes() {
    let f = Fixture::new(Bench::new());
    let next = TransactionalWrite { producer_epoch: 1, ..write(AddPartition, &[(0, 0)]) };
    let verified = f.verify(&next).await;
    f.end(0, 1, TransactionVersion::TV_2);
    let guard = verified.guard(&tp(0)).unwrap();
    let appended = f.bench.partition(0).append_verified(transactional(PRODUCER, 1, 0), -1, guard);
    assert_eq!(appended.unwrap().base_offset, 1);
}

#[tokio::test(start_paused = true)]
async fn a_transaction_that_is_being_completed_is_asked_about_again() {
    let f = Fixture::new(Bench::new());
    let busy = [(0, ErrorCode::ConcurrentTransactions)];
    (0..2).for_each(|_| f.coordinator.will_answer(&busy));
    let begin = Instant::now();
    let verified = f.verify(&write(AddPartition, &[(0, 0)])).await;
    assert_eq!((f.coordinator.asked().0, begin.elapsed().as_millis()), (3, 40));
    assert_eq!(f.append(0, 0, &verified), ErrorCode::None);
}

#[tokio::test(start_paused = true)]
async fn patience_ends() {
    let f = Fixture::new(Bench::new());
    let busy = [(0, ErrorCode::ConcurrentTransactions)];
    (0..20).for_each(|_| f.coordinator.will_answer(&busy));
    let begin = Instant::now();
    let verified = f.verify(&write(AddPartition, &[(0, 0)])).await;
    assert_eq!((f.coordinator.asked().0, begin.elapsed().as_millis()), (6, 100));
    assert_eq!(verified.guard(&tp(0)), Err(ErrorCode::ConcurrentTransactions));
    f.bench.replicas.verify_transaction(&write(AddPartition, &[(0, 0)])).await;
    assert_eq!(f.coordinator.asked().0, 7, "a coordinator's own client tries again");
    f.verify(&write(DefaultError, &[(0, 0)])).await;
    assert_eq!(f.coordinator.asked().0, 8, "and so do clients that add partitions by themselves");
}

#[tokio::test]
async fn nobody_is_asked_about_partitions_that_cannot_be_written() {
    let f = Fixture::new(Bench::new());
    f.bench.lead(1, 2, 1, &[NODE, 2]);
    let verified = f.verify(&write(DefaultError, &[(0, 0), (1, 0), (7, 0)])).await;
    assert_eq!(f.coordinator.asked(), (1, vec![tp(0)]));
    for index in [1, 7] {
        assert_eq!(verified.guard(&tp(index)), Err(ErrorCode::NotLeaderOrFollower));
    }
    f.end(0, 3, TransactionVersion::TV_0);
    let older = f.verify(&write(DefaultError, &[(0, 0)])).await;
    assert_eq!(older.guard(&tp(0)), Err(ErrorCode::InvalidProducerEpoch));
    assert_eq!(f.coordinator.asked().0, 1);
}

#[tokio::test]
async fn without_verification_partitions_are_still_added_for_newer_clients() {
    let f = Fixture::new(Bench::trusting(LogConfig::default()));
    let verified = f.verify(&write(DefaultError, &[(0, 0)])).await;
    assert_eq!((f.coordinator.asked().0, f.append(0, 0, &verified)), (0, ErrorCode::None));
    let verified = f.verify(&write(AddPartition, &[(1, 0)])).await;
    assert_eq!((f.coordinator.asked().0, f.append(1, 0, &verified)), (1, ErrorCode::None));
}

#[tokio::test]
async fn without_anybody_to_ask_nothing_is_proven() {
    let bench = Bench::new();
    bench.lead(0, NODE, 0, &[NODE]);
    let verified = bench.replicas.verify_transactional_produce(&write(DefaultError, &[(0, 0)])).await;
    assert_eq!(verified.guard(&tp(0)), Ok(VerificationGuard::SENTINEL));
    let refused = bench.partition(0).append(transactional(PRODUCER, 0, 0), -1).unwrap_err();
    assert_eq!(refused.error, ErrorCode::InvalidTxnState);
}

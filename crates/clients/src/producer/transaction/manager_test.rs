//! The transaction manager against coordinators that say what the test wants.

use std::collections::BTreeMap;
use std::time::Duration;

use ottla_common::{ErrorCode, TopicPartition};

use super::answers::{Answer, Reaction};
use super::manager::TransactionManager;
use super::step::{Features, Operation, State, Step, Verdict};
use crate::ClientError;
use crate::consumer::ConsumerGroupMetadata;
use crate::producer::accumulator::Producer;

const FIRST: Producer = Producer { id: 7, epoch: 0 };
const SECOND: Producer = Producer { id: 7, epoch: 1 };

fn features(epoch: i64, transaction_version: i16) -> Features {
    Features { epoch, transaction_version, bumps_epoch: true }
}

fn tp(partition: i32) -> TopicPartition {
    TopicPartition::new("t", partition)
}

/// A producer between transactions, in a cluster with this `transaction.version`.
fn ready(transaction_version: i16) -> TransactionManager {
    let mut manager = TransactionManager::new();
    manager.begin_init().unwrap();
    let step = manager.next_step(true).unwrap();
    assert_eq!(step, Step::InitProducerId { bump: None });
    manager.observe(features(1, transaction_version));
    let answer = Answer::Initialized(ErrorCode::None, FIRST);
    assert_eq!(manager.on_answer(&step, answer), Reaction::GoOn);
    assert!(matches!(manager.outcome(Operation::Init), Some(Ok(()))));
    manager
}

/// A producer that has sent to partition 0.
fn sending(transaction_version: i16) -> TransactionManager {
    let mut manager = ready(transaction_version);
    manager.begin_transaction().unwrap();
    manager.add_partition(&tp(0)).unwrap();
    if transaction_version < 2 {
        let step = manager.next_step(false).unwrap();
        manager.on_answer(&step, Answer::Partitions(vec![(tp(0), ErrorCode::None)]));
    }
    assert!(manager.may_send(&tp(0)));
    manager
}

fn end(manager: &mut TransactionManager, code: ErrorCode, next: Option<Producer>) -> Reaction {
    let step = manager.next_step(true).unwrap();
    assert!(matches!(step, Step::End { .. }), "{step:?}");
    manager.on_answer(&step, Answer::Ended(code, next))
}

fn offsets() -> BTreeMap<TopicPartition, crate::admin::OffsetAndMetadata> {
    BTreeMap::from([(tp(5), 10i64.into()), (tp(6), 20i64.into())])
}

#[test]
fn version_two_adds_nothing_and_takes_its_epoch_from_the_end() {
    let mut manager = sending(2);
    assert_eq!(manager.next_step(false), None);
    manager.begin_commit().unwrap();
    assert_eq!(manager.next_step(false), None, "records are still under way");
    let step = manager.next_step(true).unwrap();
    assert_eq!(step, Step::End { producer: FIRST, committed: true, v2: true });
    assert!(manager.outcome(Operation::Commit).is_none());
    manager.on_answer(&step, Answer::Ended(ErrorCode::None, Some(SECOND)));
    assert_eq!(manager.producer(), Some(SECOND));
    assert!(matches!(manager.outcome(Operation::Commit), Some(Ok(()))));
    assert_eq!(manager.state, State::Ready);
    assert!(!manager.may_send(&tp(0)), "partitions belong to one transaction");
}

#[test]
fn older_versions_add_partitions_first() {
    let mut manager = ready(1);
    manager.begin_transaction().unwrap();
    manager.add_partition(&tp(0)).unwrap();
    assert!(!manager.may_send(&tp(0)));
    let step = manager.next_step(false).unwrap();
    assert_eq!(step, Step::AddPartitions { producer: FIRST, partitions: vec![tp(0)] });
    manager.on_answer(&step, Answer::Partitions(vec![(tp(0), ErrorCode::None)]));
    assert!(manager.may_send(&tp(0)));
    manager.add_partition(&tp(0)).unwrap();
    assert_eq!(manager.next_step(false), None, "it is added once");
    manager.begin_commit().unwrap();
    let step = manager.next_step(true).unwrap();
    assert_eq!(step, Step::End { producer: FIRST, committed: true, v2: false });
    manager.on_answer(&step, Answer::Ended(ErrorCode::None, None));
    assert_eq!((manager.producer(), manager.state), (Some(FIRST), State::Ready));
}

#[test]
fn the_first_partition_is_tried_again_soon() {
    let mut manager = ready(1);
    manager.begin_transaction().unwrap();
    manager.add_partition(&tp(0)).unwrap();
    let step = manager.next_step(false).unwrap();
    let busy = || Answer::Partitions(vec![(tp(0), ErrorCode::ConcurrentTransactions)]);
    assert_eq!(manager.on_answer(&step, busy()), Reaction::RetryAfter(Duration::from_millis(20)));
    assert_eq!(manager.next_step(false).as_ref(), Some(&step), "it stays due");
    let moved = Answer::Partitions(vec![(tp(0), ErrorCode::NotCoordinator)]);
    assert_eq!(manager.on_answer(&step, moved), Reaction::FindCoordinator);
    manager.on_answer(&step, Answer::Partitions(vec![(tp(0), ErrorCode::None)]));
    manager.add_partition(&tp(1)).unwrap();
    let step = manager.next_step(false).unwrap();
    let busy = Answer::Partitions(vec![(tp(1), ErrorCode::ConcurrentTransactions)]);
    assert_eq!(manager.on_answer(&step, busy), Reaction::Retry);
}

#[test]
fn an_empty_transaction_ends_without_a_request() {
    for version in [0, 2] {
        let mut manager = ready(version);
        manager.begin_transaction().unwrap();
        manager.begin_commit().unwrap();
        assert_eq!(manager.next_step(true), None);
        assert!(matches!(manager.outcome(Operation::Commit), Some(Ok(()))));
        assert_eq!(manager.state, State::Ready);
    }
}

#[test]
fn offsets_go_to_the_group_after_the_transaction_knows_of_it() {
    let mut manager = ready(0);
    manager.begin_transaction().unwrap();
    let ticket = manager.send_offsets(offsets(), ConsumerGroupMetadata::new("g")).unwrap();
    let step = manager.next_step(false).unwrap();
    assert_eq!(step, Step::AddOffsets { producer: FIRST, ticket, group_id: "g".into() });
    assert_eq!(manager.on_answer(&step, Answer::OffsetsAdded(ErrorCode::None)), Reaction::GoOn);
    let step = manager.next_step(false).unwrap();
    assert!(matches!(&step, Step::CommitOffsets { v2: false, offsets, .. } if offsets.len() == 2));
    let partly = vec![(tp(5), ErrorCode::None), (tp(6), ErrorCode::CoordinatorLoadInProgress)];
    assert_eq!(manager.on_answer(&step, Answer::OffsetsCommitted(partly)), Reaction::Retry);
    assert!(manager.offsets_outcome(ticket).is_none());
    let step = manager.next_step(false).unwrap();
    assert!(matches!(&step, Step::CommitOffsets { offsets, .. } if offsets.len() == 1));
    manager.on_answer(&step, Answer::OffsetsCommitted(vec![(tp(6), ErrorCode::None)]));
    assert!(matches!(manager.offsets_outcome(ticket), Some(Ok(()))));
    assert_eq!(manager.next_step(false), None);
    manager.begin_commit().unwrap();
    assert_eq!(end(&mut manager, ErrorCode::None, None), Reaction::GoOn);
}

#[test]
fn version_two_commits_offsets_at_once() {
    let mut manager = ready(2);
    manager.begin_transaction().unwrap();
    let ticket = manager.send_offsets(offsets(), ConsumerGroupMetadata::new("g")).unwrap();
    let step = manager.next_step(false).unwrap();
    assert!(matches!(&step, Step::CommitOffsets { v2: true, .. }));
    let lost = Answer::OffsetsCommitted(vec![(tp(5), ErrorCode::StaleMemberEpoch)]);
    manager.on_answer(&step, lost);
    let outcome = manager.offsets_outcome(ticket).unwrap().unwrap_err();
    assert!(outcome.is_abortable() && outcome.code() == Some(ErrorCode::StaleMemberEpoch), "{outcome}");
    assert_eq!(manager.state, State::AbortableError);
}

#[test]
fn a_lost_record_makes_the_commit_fail_and_an_abort_heals_it() {
    for (version, next) in [(1, None), (2, Some(SECOND))] {
        let mut manager = sending(version);
        manager.begin_commit().unwrap();
        manager.on_batch_failed(&ClientError::api("t-0", ErrorCode::OutOfOrderSequenceNumber, None));
        let error = manager.outcome(Operation::Commit).unwrap().unwrap_err();
        assert!(error.is_abortable(), "{error}");
        assert!(manager.begin_commit().unwrap_err().is_abortable());
        assert!(manager.begin_transaction().unwrap_err().is_abortable());
        assert!(manager.add_partition(&tp(1)).unwrap_err().is_abortable());
        assert!(matches!(manager.verdict(), Verdict::DropUnsent(_)));
        manager.begin_abort().unwrap();
        end(&mut manager, ErrorCode::None, next);
        if version < 2 {
            assert!(manager.outcome(Operation::Abort).is_none(), "the epoch has to be raised first");
            let step = manager.next_step(true).unwrap();
            assert_eq!(step, Step::InitProducerId { bump: Some(FIRST) });
            manager.on_answer(&step, Answer::Initialized(ErrorCode::None, SECOND));
        }
        assert!(matches!(manager.outcome(Operation::Abort), Some(Ok(()))));
        assert_eq!((manager.producer(), manager.state), (Some(SECOND), State::Ready));
        manager.begin_transaction().unwrap();
    }
}

#[test]
fn without_a_higher_epoch_a_lost_record_is_the_end() {
    let mut manager = TransactionManager::new();
    manager.begin_init().unwrap();
    let step = manager.next_step(true).unwrap();
    manager.observe(Features { epoch: 1, transaction_version: 0, bumps_epoch: false });
    manager.on_answer(&step, Answer::Initialized(ErrorCode::None, FIRST));
    manager.outcome(Operation::Init);
    manager.begin_transaction().unwrap();
    manager.add_partition(&tp(0)).unwrap();
    manager.on_batch_failed(&ClientError::api("t-0", ErrorCode::OutOfOrderSequenceNumber, None));
    assert_eq!(manager.state, State::FatalError);
}

#[test]
fn a_fenced_producer_can_do_nothing() {
    for code in [ErrorCode::ProducerFenced, ErrorCode::InvalidProducerEpoch] {
        let mut manager = sending(2);
        manager.begin_commit().unwrap();
        end(&mut manager, code, None);
        let error = manager.outcome(Operation::Commit).unwrap().unwrap_err();
        assert_eq!((error.is_abortable(), error.code()), (false, Some(ErrorCode::ProducerFenced)));
        assert!(manager.begin_abort().is_err() && manager.begin_transaction().is_err());
        assert!(matches!(manager.verdict(), Verdict::DropAll(_)));
        assert!(!manager.may_send(&tp(0)));
        assert_eq!(manager.next_step(true), None);
    }
}

#[test]
fn the_end_is_repeated_while_the_coordinator_is_busy() {
    let mut manager = sending(2);
    manager.begin_commit().unwrap();
    assert_eq!(end(&mut manager, ErrorCode::ConcurrentTransactions, None), Reaction::Retry);
    assert_eq!(end(&mut manager, ErrorCode::CoordinatorLoadInProgress, None), Reaction::Retry);
    assert_eq!(end(&mut manager, ErrorCode::NotCoordinator, None), Reaction::FindCoordinator);
    assert_eq!(manager.state, State::Committing);
    assert_eq!(end(&mut manager, ErrorCode::None, Some(SECOND)), Reaction::GoOn);
}

#[test]
fn an_abortable_commit_can_be_aborted_and_an_abortable_abort_is_fatal() {
    let mut manager = sending(2);
    manager.begin_commit().unwrap();
    end(&mut manager, ErrorCode::TransactionAbortable, None);
    assert!(manager.outcome(Operation::Commit).unwrap().unwrap_err().is_abortable());
    manager.begin_abort().unwrap();
    assert!(matches!(manager.verdict(), Verdict::DropUnsent(ClientError::TransactionAborted)));
    end(&mut manager, ErrorCode::TransactionAbortable, None);
    assert!(!manager.outcome(Operation::Abort).unwrap().unwrap_err().is_abortable());
    assert_eq!(manager.state, State::FatalError);
}

#[test]
fn an_invalid_state_is_fatal() {
    let mut manager = sending(1);
    manager.begin_commit().unwrap();
    end(&mut manager, ErrorCode::InvalidTxnState, None);
    assert_eq!(manager.state, State::FatalError);
}

#[test]
fn a_topic_that_is_not_allowed_is_named() {
    let mut manager = ready(1);
    manager.begin_transaction().unwrap();
    manager.add_partition(&tp(0)).unwrap();
    manager.add_partition(&tp(1)).unwrap();
    let step = manager.next_step(false).unwrap();
    let results =
        vec![(tp(0), ErrorCode::OperationNotAttempted), (tp(1), ErrorCode::TopicAuthorizationFailed)];
    manager.on_answer(&step, Answer::Partitions(results));
    let error = manager.begin_commit().unwrap_err();
    assert!(error.is_abortable() && error.code() == Some(ErrorCode::TopicAuthorizationFailed), "{error}");
    assert!(error.to_string().contains("t-1"), "{error}");
    manager.begin_abort().unwrap();
    assert_eq!(manager.next_step(true), None, "the coordinator knows of no partition");
    assert_eq!(manager.state, State::Ready);
}

#[test]
fn a_refused_id_can_be_asked_for_again() {
    let mut manager = TransactionManager::new();
    manager.begin_init().unwrap();
    let step = manager.next_step(true).unwrap();
    let denied = ErrorCode::TransactionalIdAuthorizationFailed;
    manager.on_answer(&step, Answer::Initialized(denied, FIRST));
    assert_eq!(manager.outcome(Operation::Init).unwrap().unwrap_err().code(), Some(denied));
    assert!(manager.begin_transaction().unwrap_err().to_string().contains("init_transactions first"));
    manager.begin_init().unwrap();
    assert!(manager.next_step(true).is_some());
}

#[test]
fn calls_that_were_left_are_joined_and_nothing_else_is_done_before() {
    let mut manager = sending(2);
    manager.begin_commit().unwrap();
    manager.begin_commit().unwrap();
    assert!(matches!(manager.begin_abort(), Err(ClientError::IllegalState(_))));
    end(&mut manager, ErrorCode::None, Some(SECOND));
    let error = manager.begin_transaction().unwrap_err().to_string();
    assert!(error.contains("commit_transaction timed out"), "{error}");
    manager.begin_commit().unwrap();
    assert!(matches!(manager.outcome(Operation::Commit), Some(Ok(()))));
    manager.begin_transaction().unwrap();
}

#[test]
fn the_new_version_begins_with_a_new_epoch() {
    let mut manager = sending(1);
    manager.observe(features(2, 2));
    assert!(!manager.is_v2(), "a transaction ends as it began");
    manager.begin_commit().unwrap();
    let step = manager.next_step(true).unwrap();
    assert_eq!(step, Step::End { producer: FIRST, committed: true, v2: false });
    manager.on_answer(&step, Answer::Ended(ErrorCode::None, None));
    let step = manager.next_step(true).unwrap();
    assert_eq!(step, Step::InitProducerId { bump: Some(FIRST) });
    manager.on_answer(&step, Answer::Initialized(ErrorCode::None, SECOND));
    assert!(manager.is_v2() && matches!(manager.outcome(Operation::Commit), Some(Ok(()))));
}

#[test]
fn calls_out_of_turn_say_what_to_call() {
    let mut manager = TransactionManager::new();
    for error in [manager.begin_transaction(), manager.begin_commit(), manager.check_send()] {
        let error = error.unwrap_err().to_string();
        assert!(error.contains("call init_transactions first"), "{error}");
    }
    let mut manager = ready(2);
    let error = manager.check_send().unwrap_err().to_string();
    assert!(error.contains("call begin_transaction first"), "{error}");
    manager.begin_transaction().unwrap();
    let error = manager.begin_transaction().unwrap_err().to_string();
    assert!(error.contains("has to be ended first"), "{error}");
}

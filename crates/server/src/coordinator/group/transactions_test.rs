use ottla_common::ErrorCode;
use ottla_coordinator::runtime::{EndTransaction, TransactionResult, TransactionalProducer};
use ottla_protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use ottla_protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use ottla_protocol::messages::*;
use ottla_replica::transaction_verification::TransactionSupportedOperation;

use super::testing::{Fixture, GROUP, PARTITIONS, context, topic_id};
use crate::coordinator::partition_for;

const NEWEST: i16 = 6;
const PRODUCER: TransactionalProducer = TransactionalProducer { producer_id: 9, producer_epoch: 2 };

fn commit_request(group_id: &str, offset: i64) -> TxnOffsetCommitRequest {
    let partition = TxnOffsetCommitRequestPartition { committed_offset: offset, ..Default::default() };
    let topic = TxnOffsetCommitRequestTopic {
        name: "pagos".into(),
        topic_id: topic_id(0),
        partitions: vec![partition],
        ..Default::default()
    };
    TxnOffsetCommitRequest {
        transactional_id: "compra".into(),
        group_id: group_id.into(),
        producer_id: PRODUCER.producer_id,
        producer_epoch: PRODUCER.producer_epoch,
        generation_id_or_member_epoch: -1,
        topics: vec![topic],
        ..Default::default()
    }
}

fn end(result: TransactionResult) -> EndTransaction {
    EndTransaction { producer: PRODUCER, coordinator_epoch: 0, result, transaction_version: 2 }
}

impl Fixture {
    async fn commit_in(&self, version: i16, request: TxnOffsetCommitRequest) -> ErrorCode {
        let response = self.service.txn_offset_commit(context(version), request).await;
        ErrorCode::from_code(response.topics[0].partitions[0].error_code)
    }

    async fn committed_offset(&self) -> i64 {
        let request = OffsetFetchRequestGroup {
            group_id: GROUP.into(),
            topics: Some(vec![OffsetFetchRequestTopics {
                name: "pagos".into(),
                partition_indexes: vec![0],
                ..Default::default()
            }]),
            ..Default::default()
        };
        let group = self.service.fetch_offsets(&context(9), request, false).await;
        assert_eq!(group.error_code, 0);
        group.topics[0].partitions[0].committed_offset
    }
}

#[tokio::test]
async fn who_is_not_the_coordinator_says_so() {
    for (f, error) in [
        (Fixture::stopped(), ErrorCode::CoordinatorNotAvailable),
        (Fixture::leading_nothing(), ErrorCode::NotCoordinator),
    ] {
        assert_eq!(f.commit_in(NEWEST, commit_request(GROUP, 7)).await, error);
        assert_eq!(f.service.complete_transaction(0, end(TransactionResult::Commit)).await, Err(error));
    }
}

#[tokio::test]
async fn groups_without_a_name_are_refused() {
    let f = Fixture::started().await;
    assert_eq!(f.commit_in(NEWEST, commit_request("", 7)).await, ErrorCode::InvalidGroupId);
}

#[tokio::test]
async fn offsets_count_when_their_transaction_is_committed() {
    let f = Fixture::started().await;
    let partition = partition_for(GROUP, PARTITIONS);
    assert_eq!(f.commit_in(NEWEST, commit_request(GROUP, 7)).await, ErrorCode::None);
    assert_eq!(f.committed_offset().await, -1, "its transaction is open");
    assert_eq!(f.service.complete_transaction(partition, end(TransactionResult::Commit)).await, Ok(()));
    assert_eq!(f.committed_offset().await, 7);
    assert_eq!(f.commit_in(NEWEST, commit_request(GROUP, 8)).await, ErrorCode::None);
    assert_eq!(f.service.complete_transaction(partition, end(TransactionResult::Abort)).await, Ok(()));
    assert_eq!(f.committed_offset().await, 7, "the other one never happened");
}

#[tokio::test]
async fn the_transaction_coordinator_is_asked_first() {
    let f = Fixture::started().await;
    assert_eq!(f.commit_in(3, commit_request(GROUP, 7)).await, ErrorCode::None);
    assert_eq!(f.commit_in(NEWEST, commit_request(GROUP, 7)).await, ErrorCode::None);
    let answers = f.partners.answers();
    let (old, new) = (&answers.verified[0], &answers.verified[1]);
    assert_eq!(old.operation, TransactionSupportedOperation::DefaultError);
    assert_eq!(new.operation, TransactionSupportedOperation::AddPartition);
    assert_eq!((new.transactional_id.as_str(), new.producer_id, new.producer_epoch), ("compra", 9, 2));
    let (tp, sequence) = &new.partitions[0];
    assert_eq!((&*tp.topic, *sequence), ("__consumer_offsets", -1));
    assert_eq!(tp.partition, partition_for(GROUP, PARTITIONS));
}

#[tokio::test]
async fn a_transaction_that_is_not_confirmed_commits_nothing() {
    let f = Fixture::started().await;
    for (said, version, told) in [
        (ErrorCode::InvalidTxnState, NEWEST, ErrorCode::InvalidTxnState),
        (ErrorCode::TransactionAbortable, NEWEST, ErrorCode::TransactionAbortable),
        (ErrorCode::InvalidProducerEpoch, NEWEST, ErrorCode::InvalidProducerEpoch),
        (ErrorCode::NetworkException, NEWEST, ErrorCode::CoordinatorLoadInProgress),
        (ErrorCode::NetworkException, 2, ErrorCode::CoordinatorLoadInProgress),
        (ErrorCode::NetworkException, 1, ErrorCode::CoordinatorNotAvailable),
        (ErrorCode::NotLeaderOrFollower, NEWEST, ErrorCode::NotCoordinator),
    ] {
        f.partners.answers().transaction_error = Some(said);
        assert_eq!(f.commit_in(version, commit_request(GROUP, 7)).await, told);
    }
    assert_eq!(f.log.end_offset(partition_for(GROUP, PARTITIONS)), 0);
}

#[tokio::test]
async fn a_group_that_is_not_there_has_no_members() {
    let f = Fixture::started().await;
    let mut request = commit_request(GROUP, 7);
    request.generation_id_or_member_epoch = 3;
    assert_eq!(f.commit_in(NEWEST, request.clone()).await, ErrorCode::GroupIdNotFound);
    assert_eq!(f.commit_in(5, request).await, ErrorCode::IllegalGeneration);
}

#[tokio::test]
async fn what_cannot_be_written_did_not_happen() {
    let f = Fixture::started().await;
    f.log.set(|state| state.refuse_append = Some(ErrorCode::NotEnoughReplicas));
    assert_eq!(f.commit_in(NEWEST, commit_request(GROUP, 7)).await, ErrorCode::CoordinatorNotAvailable);
    f.log.set(|state| state.refuse_append = Some(ErrorCode::InvalidTxnState));
    assert_eq!(f.commit_in(NEWEST, commit_request(GROUP, 7)).await, ErrorCode::InvalidTxnState);
    f.log.set(|state| state.refuse_append = None);
    assert_eq!(f.committed_offset().await, -1);
}

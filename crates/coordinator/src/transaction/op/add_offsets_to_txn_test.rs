use super::*;
use crate::transaction::testing::{TX, TestContext};
use crate::transaction::{TransactionState, append_error};

fn request(t: &TestContext) -> AddOffsetsToTxnRequest {
    let (producer_id, producer_epoch) = t.producer();
    AddOffsetsToTxnRequest {
        transactional_id: TX.into(),
        producer_id,
        producer_epoch,
        group_id: "grupo".into(),
        ..Default::default()
    }
}

fn add(t: &mut TestContext, version: i16, request: &AddOffsetsToTxnRequest) -> ErrorCode {
    let decision = t.shard().add_offsets_to_transaction(t.now_ms, version, request, 17);
    let (response, event) = t.execute(decision);
    match t.outcome(event) {
        Some(Err(error)) => append_error(error),
        _ => ErrorCode::from_code(response.error_code),
    }
}

#[test]
fn the_partition_of_the_groups_offsets_joins_the_transaction() {
    let mut t = TestContext::new(TransactionVersion::V1);
    t.initialized();
    let request = request(&t);
    assert_eq!(add(&mut t, 3, &request), ErrorCode::None);
    assert_eq!(t.state(), TransactionState::Ongoing);
    assert!(t.metadata().partitions.contains(&"__consumer_offsets".into(), 17));
    assert_eq!(add(&mut t, 3, &request), ErrorCode::None);
    assert_eq!(t.written().len(), 2);
}

#[test]
fn who_may_not_add_offsets() {
    let mut t = TestContext::new(TransactionVersion::V1);
    t.initialized();
    let good = request(&t);
    let nobody = AddOffsetsToTxnRequest { transactional_id: "".into(), ..good.clone() };
    assert_eq!(add(&mut t, 3, &nobody), ErrorCode::InvalidRequest);
    let foreign = AddOffsetsToTxnRequest { producer_id: 5, ..good.clone() };
    assert_eq!(add(&mut t, 3, &foreign), ErrorCode::InvalidProducerIdMapping);
    let stale = AddOffsetsToTxnRequest { producer_epoch: 7, ..good.clone() };
    assert_eq!(add(&mut t, 1, &stale), ErrorCode::InvalidProducerEpoch);
    assert_eq!(add(&mut t, 2, &stale), ErrorCode::ProducerFenced);
    t.log.hold = true;
    add(&mut t, 3, &good);
    assert_eq!(add(&mut t, 3, &good), ErrorCode::ConcurrentTransactions);
}

#[test]
fn an_error_says_nothing_else() {
    let response = add_offsets_error(ErrorCode::CoordinatorNotAvailable);
    assert_eq!(ErrorCode::from_code(response.error_code), ErrorCode::CoordinatorNotAvailable);
}

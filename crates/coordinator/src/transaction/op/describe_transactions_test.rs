use ottla_common::ErrorCode;

use super::*;
use crate::transaction::TransactionVersion;
use crate::transaction::testing::{FIRST_ID, TIMEOUT_MS, TX, TestContext};

#[test]
fn what_a_transaction_is_doing() {
    let mut t = TestContext::new(TransactionVersion::V2);
    t.initialized();
    t.open(4, &[3, 1]);
    let described = t.shard().describe_transaction(&TX.into());
    assert_eq!(ErrorCode::from_code(described.error_code), ErrorCode::None);
    assert_eq!((&described.transactional_id[..], &described.transaction_state[..]), (TX, "Ongoing"));
    assert_eq!((described.producer_id, described.producer_epoch), (FIRST_ID, 0));
    assert_eq!(
        (described.transaction_timeout_ms, described.transaction_start_time_ms),
        (TIMEOUT_MS, t.now_ms)
    );
    assert_eq!(described.topics.len(), 1);
    assert_eq!((&described.topics[0].topic[..], &described.topics[0].partitions[..]), ("pagos", &[1, 3][..]));
}

#[test]
fn what_cannot_be_described() {
    let mut t = TestContext::new(TransactionVersion::V2);
    let code = |t: &TestContext, id: &'static str| {
        let described = t.shard().describe_transaction(&ByteString::from_static(id));
        assert_eq!(&described.transactional_id[..], id);
        ErrorCode::from_code(described.error_code)
    };
    assert_eq!(code(&t, ""), ErrorCode::InvalidRequest);
    assert_eq!(code(&t, TX), ErrorCode::TransactionalIdNotFound);
    t.initialized();
    assert_eq!(code(&t, TX), ErrorCode::None);
    t.tamper(|metadata| metadata.state = TransactionState::Dead);
    assert_eq!(code(&t, TX), ErrorCode::TransactionalIdNotFound);
}

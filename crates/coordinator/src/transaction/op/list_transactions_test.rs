use super::*;
use crate::transaction::TransactionVersion;
use crate::transaction::testing::{FIRST_ID, OLD_END, TX, TestContext};

/// One open transaction, one that is being committed, and an id without any.
fn three() -> TestContext {
    let mut t = TestContext::new(TransactionVersion::V0);
    t.initialized();
    t.open(3, &[0]);
    let mut empty = t.init_request();
    empty.transactional_id = Some("vacia".into());
    t.init(5, &empty);
    t
}

fn list(t: &TestContext, request: &ListTransactionsRequest) -> Vec<(String, String)> {
    let listed = t.shard().list_transactions(t.now_ms, request, None);
    listed.iter().map(|t| (t.transactional_id.to_string(), t.transaction_state.to_string())).collect()
}

fn everything() -> ListTransactionsRequest {
    ListTransactionsRequest { duration_filter: -1, ..Default::default() }
}

#[test]
fn all_of_them_or_those_that_pass_the_filters() {
    let mut t = three();
    let both: [(String, String); 2] = [(TX.into(), "Ongoing".into()), ("vacia".into(), "Empty".into())];
    assert_eq!(list(&t, &everything()), both);
    let of_state = |state: &'static str| ListTransactionsRequest {
        state_filters: vec![ByteString::from_static(state)],
        ..everything()
    };
    assert_eq!(list(&t, &of_state("Ongoing")), both[..1]);
    assert!(list(&t, &of_state("PrepareCommit")).is_empty());
    assert!(list(&t, &of_state("ongoing")).is_empty());
    let of_producer = ListTransactionsRequest { producer_id_filters: vec![FIRST_ID + 1, 77], ..everything() };
    assert_eq!(list(&t, &of_producer), both[1..]);
    t.end_now(OLD_END, true);
    assert_eq!(list(&t, &of_state("PrepareCommit")).len(), 1);
}

#[test]
fn only_what_runs_for_longer() {
    let mut t = three();
    let longer = |duration_filter| ListTransactionsRequest { duration_filter, ..of_ongoing() };
    assert!(list(&t, &longer(0)).is_empty());
    t.now_ms += 10;
    assert_eq!(list(&t, &longer(9)).len(), 1);
    assert!(list(&t, &longer(10)).is_empty());
}

fn of_ongoing() -> ListTransactionsRequest {
    ListTransactionsRequest { state_filters: vec!["Ongoing".into()], ..everything() }
}

#[test]
fn a_pattern_is_the_callers() {
    let t = three();
    let is_match = |id: &str| id.starts_with("va");
    let listed = t.shard().list_transactions(t.now_ms, &everything(), Some(&is_match));
    assert_eq!(listed.len(), 1);
    assert_eq!((&listed[0].transactional_id[..], listed[0].producer_id), ("vacia", FIRST_ID + 1));
}

#[test]
fn filters_that_name_nothing_are_told() {
    let request =
        ListTransactionsRequest { state_filters: vec!["Ongoing".into(), "Abierta".into()], ..everything() };
    assert_eq!(unknown_state_filters(&request), [ByteString::from_static("Abierta")]);
}

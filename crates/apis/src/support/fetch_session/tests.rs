use bytes::Bytes;
use ottla_common::{ErrorCode, Uuid};
use ottla_protocol::messages::fetch_response::PartitionData;

use super::{FINAL_EPOCH, FetchContext, FetchManager, FetchPartition, INITIAL_EPOCH, PartitionKey};

fn partition(index: i32, offset: i64) -> FetchPartition {
    FetchPartition {
        key: PartitionKey { topic_id: Uuid::from_u128(7), topic: "pagos".into(), partition: index },
        fetch_offset: offset,
        log_start_offset: -1,
        max_bytes: 1024,
        current_leader_epoch: -1,
        last_fetched_epoch: -1,
    }
}

fn data(index: i32, high_watermark: i64, records: &'static [u8]) -> (PartitionKey, PartitionData) {
    let data = PartitionData {
        partition_index: index,
        high_watermark,
        log_start_offset: 0,
        records: Some(Bytes::from_static(records).into()),
        ..Default::default()
    };
    (partition(index, 0).key, data)
}

fn open_session(manager: &FetchManager, now_ms: i64) -> i32 {
    let context =
        manager.new_context(17, 0, INITIAL_EPOCH, false, vec![partition(0, 0), partition(1, 0)], &[], now_ms);
    context.respond(manager, vec![data(0, 5, b""), data(1, 5, b"")], now_ms).session_id
}

#[test]
fn a_session_answers_only_what_changed() {
    let manager = FetchManager::new(10, 120_000, 1);
    let id = open_session(&manager, 0);
    assert_ne!(id, 0);
    let mut context = manager.new_context(17, id, 1, false, vec![], &[], 1);
    assert_eq!(context.partitions(|_| None).len(), 2);
    let response = context.respond(&manager, vec![data(0, 5, b""), data(1, 6, b"")], 1);
    assert_eq!(response.session_id, id);
    assert_eq!(response.responses[0].partitions.iter().map(|p| p.partition_index).collect::<Vec<_>>(), [1]);
}

#[test]
fn partitions_that_delivered_wait_behind_the_others() {
    let manager = FetchManager::new(10, 120_000, 1);
    let id = open_session(&manager, 0);
    let context = manager.new_context(17, id, 1, false, vec![], &[], 1);
    context.respond(&manager, vec![data(0, 6, b"x"), data(1, 5, b"")], 1);
    let mut context = manager.new_context(17, id, 2, false, vec![], &[], 2);
    let order: Vec<_> = context.partitions(|_| None).iter().map(|p| p.key.partition).collect();
    assert_eq!(order, [1, 0]);
}

#[test]
fn wrong_sessions_and_epochs_are_told_apart() {
    let manager = FetchManager::new(10, 120_000, 1);
    let id = open_session(&manager, 0);
    let error = |context: FetchContext| match context {
        FetchContext::Error(error) => error,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        error(manager.new_context(17, id + 1, 1, false, vec![], &[], 1)),
        ErrorCode::FetchSessionIdNotFound
    );
    assert_eq!(
        error(manager.new_context(17, id, 3, false, vec![], &[], 1)),
        ErrorCode::InvalidFetchSessionEpoch
    );
    assert_eq!(
        error(manager.new_context(12, id, 1, false, vec![], &[], 1)),
        ErrorCode::FetchSessionTopicIdError
    );
}

#[test]
fn forgetting_everything_closes_the_session() {
    let manager = FetchManager::new(10, 120_000, 1);
    let id = open_session(&manager, 0);
    let forgotten = [partition(0, 0).key, partition(1, 0).key];
    let context = manager.new_context(17, id, 1, false, vec![], &forgotten, 1);
    assert!(matches!(context, FetchContext::Sessionless { .. }));
    let context = manager.new_context(17, id, 2, false, vec![], &[], 1);
    assert!(matches!(context, FetchContext::Error(ErrorCode::FetchSessionIdNotFound)));
}

#[test]
fn a_final_epoch_closes_without_a_successor() {
    let manager = FetchManager::new(10, 120_000, 1);
    let id = open_session(&manager, 0);
    let context = manager.new_context(17, id, FINAL_EPOCH, false, vec![partition(0, 0)], &[], 1);
    assert_eq!(context.respond(&manager, vec![data(0, 5, b"")], 1).session_id, 0);
}

#[test]
fn a_full_cache_keeps_the_fresh_and_drops_the_stale() {
    let manager = FetchManager::new(1, 1_000, 1);
    let first = open_session(&manager, 0);
    assert_ne!(first, 0);
    assert_eq!(open_session(&manager, 500), 0, "the first is still fresh");
    assert_ne!(open_session(&manager, 2_000), 0, "the first is stale");
}

use std::sync::Arc;
use std::time::Duration;

use ottla_share::{
    FINAL_EPOCH, FetchOutcome, INITIAL_EPOCH, ReadState, ShareFetchContext, ShareSessionError,
    ShareSessionKey, ShareSessionRequest,
};

use super::config::ShareLimits;
use super::persister::SharePartitionKey;
use super::testing::*;

fn key(member: &str) -> ShareSessionKey {
    ShareSessionKey { group_id: GROUP.into(), member_id: member.into() }
}

/// The request of a session that wants the first partition.
fn open(
    bench: &Bench,
    member: &str,
    epoch: i32,
    connection: &str,
) -> Result<ShareFetchContext, ShareSessionError> {
    let connection_id: Arc<str> = connection.into();
    bench.manager.new_context(&ShareSessionRequest {
        key: &key(member),
        epoch,
        partitions: &[bench.id(0)],
        forgotten: &[],
        has_acknowledgements: false,
        connection_id: &connection_id,
    })
}

/// A member that holds five records.
async fn holding(member: &str, connection: &str) -> Bench {
    let bench = Bench::new();
    bench.append(0, 5);
    assert!(open(&bench, member, INITIAL_EPOCH, connection).is_ok());
    assert_eq!(acquired(&bench.fetch(&bench.request(member)).await), [(0, 0, 4, 1)]);
    bench
}

#[tokio::test(start_paused = true)]
async fn who_ends_its_session_gives_back_what_it_holds() {
    let bench = holding("a", "c1").await;
    assert!(open(&bench, "b", INITIAL_EPOCH, "c2").is_ok());
    let waiting = bench.begin(bench.request("b")).await;
    assert_eq!(open(&bench, "a", FINAL_EPOCH, "c1"), Ok(ShareFetchContext::Final));
    bench.manager.release_session(&key("a"));
    assert_eq!(acquired(&answer(waiting).await), [(0, 0, 4, 2)]);
    assert_eq!((bench.manager.num_sessions(), bench.manager.num_share_partitions()), (1, 1));
    bench.manager.release_session(&key("a"));
    assert_eq!(open(&bench, "a", 1, "c1"), Err(ShareSessionError::NotFound));
}

#[tokio::test(start_paused = true)]
async fn who_hangs_up_gives_back_what_it_holds() {
    let bench = holding("a", "c1").await;
    assert!(open(&bench, "b", INITIAL_EPOCH, "c2").is_ok());
    let waiting = bench.begin(bench.request("b")).await;
    bench.manager.disconnect("c1");
    assert_eq!(acquired(&answer(waiting).await), [(0, 0, 4, 2)]);
    assert_eq!((bench.manager.num_sessions(), bench.manager.num_share_partitions()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn the_last_of_a_group_takes_the_share_partitions_along() {
    let bench = holding("a", "c1").await;
    bench.manager.disconnect("c9");
    assert_eq!(bench.manager.num_share_partitions(), 1);
    bench.manager.disconnect("c1");
    assert_eq!((bench.manager.num_sessions(), bench.manager.num_share_partitions()), (0, 0));
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert_eq!(bench.persister.writes.lock().unwrap().len(), 1, "what it held is written as available");
    assert_eq!(acquired(&bench.fetch(&bench.request("b")).await), [(0, 0, 4, 1)]);
}

#[tokio::test(start_paused = true)]
async fn who_comes_after_the_last_session_begins_with_what_the_coordinator_has() {
    let bench = holding("a", "c1").await;
    bench.manager.release_session(&key("a"));
    assert_eq!(bench.manager.num_share_partitions(), 0, "though the connection stays");
    let share_partition =
        SharePartitionKey { group_id: GROUP.into(), topic_id: bench.topic_id(), partition: 0 };
    let reset = ReadState { state_epoch: 1, start_offset: 3, batches: Vec::new() };
    bench.persister.states.lock().unwrap().insert(share_partition, reset);
    assert!(open(&bench, "a", INITIAL_EPOCH, "c1").is_ok());
    assert_eq!(acquired(&bench.fetch(&bench.request("a")).await), [(0, 3, 4, 1)], "the group was reset");
}

#[tokio::test(start_paused = true)]
async fn sessions_count_on_and_are_bounded() {
    let bench = Bench::with_limits(ShareLimits { max_share_sessions: 1, ..ShareLimits::default() });
    assert!(open(&bench, "a", INITIAL_EPOCH, "c1").is_ok());
    assert_eq!(open(&bench, "b", INITIAL_EPOCH, "c2"), Err(ShareSessionError::LimitReached));
    assert!(open(&bench, "a", 1, "c1").is_ok());
    assert_eq!(open(&bench, "a", 1, "c1"), Err(ShareSessionError::InvalidEpoch));
    assert_eq!(bench.manager.acknowledge_session_update(&key("a"), 2), Ok(()));
    assert_eq!(
        bench.manager.acknowledge_session_update(&key("a"), INITIAL_EPOCH),
        Err(ShareSessionError::InvalidEpoch)
    );
    assert!(open(&bench, "a", 3, "c1").is_ok());
}

#[tokio::test(start_paused = true)]
async fn answers_name_what_is_worth_telling() {
    let bench = Bench::new();
    let initial = open(&bench, "a", INITIAL_EPOCH, "c1").unwrap();
    let nothing = FetchOutcome { has_records: false, error: ottla_common::ErrorCode::None };
    let outcomes = [(bench.id(0), nothing)];
    assert_eq!(bench.manager.select_for_response(&key("a"), &initial, &outcomes), Ok(vec![true]));
    let subsequent = open(&bench, "a", 1, "c1").unwrap();
    assert_eq!(bench.manager.select_for_response(&key("a"), &subsequent, &outcomes), Ok(vec![false]));
}

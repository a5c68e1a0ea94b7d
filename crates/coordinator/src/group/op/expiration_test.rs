use super::*;
use crate::group::GroupCoordinatorConfig;
use crate::group::testing::{GROUP, TestContext, commit_request, join_request};

const RETENTION_MS: i64 = 100_000;
const CHECK_MS: i64 = 1_000;

fn context() -> TestContext {
    TestContext::with(config())
}

fn config() -> GroupCoordinatorConfig {
    GroupCoordinatorConfig {
        offsets_retention_ms: RETENTION_MS,
        offsets_retention_check_interval_ms: CHECK_MS,
        ..Default::default()
    }
}

fn commit(t: &mut TestContext, generation_id: i32, member_id: &ByteString, topic: &'static str) {
    let mut request = commit_request(generation_id, member_id);
    request.topics[0].name = ByteString::from_static(topic);
    assert_eq!(t.commit_offset(9, &request), Ok(0));
}

fn has(t: &TestContext, topic: &str) -> bool {
    t.shard().offsets.committed.get(&GROUP.into(), &topic.into(), 0).is_some()
}

#[test]
fn a_group_of_offsets_counts_from_each_commit_and_goes_with_the_last() {
    let mut t = context();
    commit(&mut t, -1, &ByteString::new(), "uno");
    t.advance(RETENTION_MS / 2);
    commit(&mut t, -1, &ByteString::new(), "dos");
    t.advance(RETENTION_MS / 2 + CHECK_MS);
    assert!(!has(&t, "uno") && has(&t, "dos"));
    t.advance(RETENTION_MS / 2);
    assert_eq!(t.state(), "none");
    assert_eq!(t.restarted().state(), "none");
}

#[test]
fn an_empty_group_counts_from_the_last_members_leaving() {
    let mut t = context();
    let ids = t.stable_group(1);
    commit(&mut t, 1, &ids[0], "pagos");
    for _ in 0..30 {
        t.advance(5_000);
        t.heartbeat(&ids[0], 1);
    }
    t.advance(15_000);
    assert_eq!((t.state(), has(&t, "pagos")), ("Empty", true));
    t.advance(RETENTION_MS - 10_000);
    assert!(has(&t, "pagos"), "not since the commit");
    t.advance(10_000);
    assert_eq!((t.state(), has(&t, "pagos")), ("none", false));
}

#[test]
fn consumers_at_work_lose_what_they_read_no_more() {
    let mut t = context();
    let ids = t.stable_group(1);
    commit(&mut t, 1, &ids[0], "pagos");
    commit(&mut t, 1, &ids[0], "antiguo");
    for _ in 0..30 {
        t.advance(5_000);
        t.heartbeat(&ids[0], 1);
    }
    assert!(has(&t, "pagos") && !has(&t, "antiguo"));
}

#[test]
fn members_that_are_no_consumers_keep_everything() {
    let mut t = context();
    let mut join = join_request(&ByteString::new());
    join.protocol_type = "connect".into();
    let token = t.join(3, &join);
    let ids = t.settle(&[token]);
    commit(&mut t, 1, &ids[0], "antiguo");
    for _ in 0..30 {
        t.advance(5_000);
        t.heartbeat(&ids[0], 1);
    }
    assert!(has(&t, "antiguo"));
}

#[test]
fn an_offset_with_its_own_time_expires_by_it() {
    let mut t = context();
    let mut request = commit_request(-1, &ByteString::new());
    request.retention_time_ms = 5_000;
    t.commit_offset(2, &request).unwrap();
    t.advance(4_000);
    assert!(has(&t, "pagos"));
    t.advance(1_000 + CHECK_MS);
    assert!(!has(&t, "pagos"));
}

#[test]
fn a_group_that_nobody_came_back_to_goes() {
    let mut t = context();
    t.new_member_id();
    t.advance(CHECK_MS);
    assert_eq!(t.state(), "none");
}

#[test]
fn transactions_under_way_are_waited_for() {
    use crate::group::testing::MemoryLog;
    let entries = vec![TestContext::transactional_entry(-1, 1), TestContext::transactional_entry(9, 500)];
    let log = MemoryLog { high_watermark: 2, entries, ..Default::default() };
    let mut t = TestContext::on(config(), log, 0);
    t.advance(RETENTION_MS * 2);
    assert!(has(&t, "pagos"));
}

#[test]
fn many_tombstones_are_split_over_batches() {
    let mut t = context();
    for partition_index in 0..10 {
        let mut request = commit_request(-1, &ByteString::new());
        request.topics[0].partitions[0].partition_index = partition_index;
        t.commit_offset(9, &request).unwrap();
    }
    // Three tombstones fit, and not four.
    t.log.max_batch_bytes = Some(300);
    t.log.batches.clear();
    t.advance(RETENTION_MS + CHECK_MS);
    assert_eq!(t.state(), "none");
    assert_eq!(t.log.batches.iter().sum::<usize>(), 11);
    assert!(t.log.batches.iter().all(|batch| *batch <= 3));
}

use ottla_common::{ErrorCode, Uuid};

use super::*;

fn key(group: &str, member: &str) -> ShareSessionKey {
    ShareSessionKey { group_id: group.into(), member_id: member.into() }
}

fn partition(partition: i32) -> SharePartitionId {
    SharePartitionId { topic_id: Uuid::from_u128(7), partition, topic: Some("envios".into()) }
}

struct TestContext {
    cache: ShareSessionCache,
    key: ShareSessionKey,
    connection_id: Arc<str>,
}

impl TestContext {
    fn new() -> Self {
        Self { cache: ShareSessionCache::new(2), key: key("g", "m"), connection_id: "c1".into() }
    }

    fn fetch(
        &mut self,
        epoch: i32,
        add: &[i32],
        forget: &[i32],
    ) -> Result<ShareFetchContext, ShareSessionError> {
        let add: Vec<_> = add.iter().copied().map(partition).collect();
        let forget: Vec<_> = forget.iter().copied().map(partition).collect();
        let request = ShareSessionRequest {
            key: &self.key,
            epoch,
            partitions: &add,
            forgotten: &forget,
            has_acknowledgements: false,
            connection_id: &self.connection_id,
        };
        self.cache.new_context(&request)
    }

    fn fetches(&mut self, epoch: i32, add: &[i32], forget: &[i32]) -> Vec<i32> {
        match self.fetch(epoch, add, forget).unwrap() {
            ShareFetchContext::Initial { partitions } | ShareFetchContext::Subsequent { partitions, .. } => {
                partitions.iter().map(|id| id.partition).collect()
            }
            ShareFetchContext::Final => Vec::new(),
        }
    }
}

fn outcome(has_records: bool, error: ErrorCode) -> FetchOutcome {
    FetchOutcome { has_records, error }
}

#[test]
fn a_session_remembers_what_it_fetches() {
    let mut t = TestContext::new();
    assert_eq!(t.fetches(0, &[0, 1], &[]), [0, 1]);
    assert_eq!(t.fetches(1, &[], &[]), [0, 1]);
    assert_eq!(t.fetches(2, &[2, 1], &[0]), [1, 2]);
    assert_eq!((t.cache.len(), t.cache.total_partitions()), (1, 2));
}

#[test]
fn a_partition_named_twice_counts_once() {
    let mut t = TestContext::new();
    t.fetches(0, &[0, 0], &[]);
    assert_eq!(t.fetches(1, &[], &[]), [0]);
}

#[test]
fn share_session_not_found() {
    let mut t = TestContext::new();
    assert_eq!(t.fetch(5, &[], &[]).map_err(ShareSessionError::code), Err(ErrorCode::ShareSessionNotFound));
    assert_eq!(t.fetch(-1, &[], &[]), Err(ShareSessionError::NotFound));
    let unknown = key("g", "m");
    for epoch in [-1, 1] {
        assert_eq!(t.cache.acknowledge_session_update(&unknown, epoch), Err(ShareSessionError::NotFound));
    }
}

#[test]
fn invalid_share_session_epoch() {
    let mut t = TestContext::new();
    t.fetches(0, &[0], &[]);
    for epoch in [2, -2, i32::MAX] {
        let error = t.fetch(epoch, &[], &[]).unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidShareSessionEpoch);
    }
    assert_eq!(t.fetches(1, &[], &[]), [0]);
    assert_eq!(t.fetch(1, &[], &[]), Err(ShareSessionError::InvalidEpoch), "the same again");
    let key = t.key.clone();
    for epoch in [0, 1] {
        let result = t.cache.acknowledge_session_update(&key, epoch);
        assert_eq!(result, Err(ShareSessionError::InvalidEpoch));
    }
}

#[test]
fn share_session_limit_reached() {
    let mut t = TestContext::new();
    t.fetches(0, &[0], &[]);
    t.key = key("g", "n");
    t.fetches(0, &[0], &[]);
    t.key = key("g", "o");
    let error = t.fetch(0, &[0], &[]).unwrap_err();
    assert_eq!(error.code(), ErrorCode::ShareSessionLimitReached);
    t.key = key("g", "n");
    assert_eq!(t.fetches(0, &[1], &[]), [1], "a session may begin anew");
}

#[test]
fn acknowledgements_at_the_start_are_an_invalid_request() {
    let mut t = TestContext::new();
    let request = ShareSessionRequest {
        key: &t.key,
        epoch: 0,
        partitions: &[],
        forgotten: &[],
        has_acknowledgements: true,
        connection_id: &t.connection_id,
    };
    let error = t.cache.new_context(&request).unwrap_err();
    assert_eq!(error.code(), ErrorCode::InvalidRequest);
    assert!(t.cache.is_empty());
}

#[test]
fn acknowledging_counts_on_too() {
    let mut t = TestContext::new();
    t.fetches(0, &[0], &[]);
    let key = t.key.clone();
    assert_eq!(t.cache.acknowledge_session_update(&key, 1), Ok(()));
    assert_eq!(t.cache.acknowledge_session_update(&key, -1), Ok(()), "the end may come at any time");
    assert_eq!(t.fetches(2, &[], &[]), [0]);
}

#[test]
fn the_last_request_leaves_the_session_for_its_acknowledgements() {
    let mut t = TestContext::new();
    t.fetches(0, &[0], &[]);
    assert_eq!(t.fetch(-1, &[], &[]), Ok(ShareFetchContext::Final));
    let key = t.key.clone();
    assert!(t.cache.remove(&key).is_some());
    assert!(t.cache.remove(&key).is_none());
}

#[test]
fn a_connection_takes_its_session_along() {
    let mut t = TestContext::new();
    t.fetches(0, &[0, 1], &[]);
    let departure = t.cache.disconnect("c1");
    let (left, partitions) = departure.session.unwrap();
    assert_eq!((left, partitions.len()), (key("g", "m"), 2));
    assert_eq!(departure.empty_group.as_deref(), Some("g"));
    assert_eq!((t.cache.len(), t.cache.evictions()), (0, 1));
    assert_eq!(t.cache.disconnect("c1"), Departure::default());
}

#[test]
fn an_old_connection_does_not_take_a_session_that_moved() {
    let mut t = TestContext::new();
    t.fetches(0, &[0], &[]);
    t.connection_id = "c2".into();
    t.fetches(0, &[0], &[]);
    assert_eq!(t.cache.disconnect("c1"), Departure::default());
    assert_eq!(t.fetches(1, &[], &[]), [0]);
    assert!(t.cache.disconnect("c2").session.is_some());
}

#[test]
fn a_group_is_empty_when_its_last_member_goes() {
    let mut t = TestContext::new();
    t.fetches(0, &[0], &[]);
    t.key = key("g", "n");
    t.connection_id = "c2".into();
    t.fetches(0, &[0], &[]);
    assert_eq!(t.cache.disconnect("c1").empty_group, None);
    let last = t.key.clone();
    t.cache.remove(&last);
    assert_eq!(t.cache.disconnect("c2").empty_group.as_deref(), Some("g"));
}

#[test]
fn only_what_is_worth_telling_is_answered() {
    let mut t = TestContext::new();
    t.fetches(0, &[0, 1], &[]);
    let context = t.fetch(1, &[2], &[]).unwrap();
    let key = t.key.clone();
    let none = outcome(false, ErrorCode::None);
    let outcomes =
        [(partition(0), none), (partition(1), outcome(true, ErrorCode::None)), (partition(2), none)];
    for update in [false, true] {
        let selected = t.cache.select_for_response(&key, &context, &outcomes, update).unwrap();
        assert_eq!(selected, [false, true, true], "new partitions and records are told");
    }
    let selected = t.cache.select_for_response(&key, &context, &outcomes, true).unwrap();
    assert_eq!(selected, [false, true, false]);
    assert_eq!(t.fetches(2, &[], &[]), [0, 2, 1], "who gave records waits for its next turn");
}

#[test]
fn an_error_is_told_and_taken_back() {
    let mut t = TestContext::new();
    t.fetches(0, &[0], &[]);
    let context = t.fetch(1, &[], &[]).unwrap();
    let key = t.key.clone();
    let mut selected = |error| {
        let outcomes = [(partition(0), outcome(false, error))];
        t.cache.select_for_response(&key, &context, &outcomes, true).unwrap()
    };
    assert_eq!(selected(ErrorCode::NotLeaderOrFollower), [true]);
    assert_eq!(selected(ErrorCode::None), [true]);
    assert_eq!(selected(ErrorCode::None), [false]);
}

#[test]
fn an_answer_that_comes_too_late_is_refused() {
    let mut t = TestContext::new();
    t.fetches(0, &[0], &[]);
    let late = t.fetch(1, &[], &[]).unwrap();
    t.fetches(2, &[], &[]);
    let key = t.key.clone();
    let result = t.cache.select_for_response(&key, &late, &[], true);
    assert_eq!(result, Err(ShareSessionError::InvalidEpoch));
}

#[test]
fn epochs_count_round_without_the_first_and_the_last() {
    assert_eq!(next_epoch(0), 1);
    assert_eq!(next_epoch(i32::MAX), 1);
    assert_eq!(next_epoch(-1), -1);
}

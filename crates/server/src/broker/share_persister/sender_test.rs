use ottla_protocol::messages::read_share_group_state_request::PartitionData;
use ottla_protocol::messages::read_share_group_state_response::{PartitionResult, ReadStateResult};
use ottla_protocol::messages::{ReadShareGroupStateRequest, ReadShareGroupStateResponse};

use super::super::api::ReadState;
use super::*;

const TOPIC: Uuid = Uuid::from_u128(7);

fn key(group_id: &str, partition: i32) -> SharePartitionKey {
    SharePartitionKey::new(&group_id.into(), TOPIC, partition)
}

struct Fixture {
    sender: StateSender<ReadState>,
    now_ms: i64,
    /// Who coordinates everything.
    coordinator: Option<i32>,
}

impl Fixture {
    fn new() -> Self {
        Self { sender: StateSender::new(1), now_ms: 1_000, coordinator: Some(1) }
    }

    fn ask(&mut self, group_id: &str, partition: i32) -> OperationId {
        self.sender.add(key(group_id, partition), PartitionData { partition, ..Default::default() })
    }

    fn poll(&mut self) -> Vec<Call<ReadState>> {
        let coordinator = self.coordinator;
        self.sender.poll(self.now_ms, |_| coordinator)
    }

    fn one_call(&mut self) -> Call<ReadState> {
        let mut calls = self.poll();
        assert_eq!(calls.len(), 1);
        calls.remove(0)
    }

    fn respond(&mut self, call: &Call<ReadState>, error: ErrorCode) {
        let response = Ok(response(&call.request, error));
        self.sender.on_response(self.now_ms, &call.route, response);
    }

    /// Lets the time pass until something falls due.
    fn wait(&mut self) -> i64 {
        let waited = self.sender.next_deadline().unwrap() - self.now_ms;
        self.now_ms += waited;
        waited
    }
}

fn response(request: &ReadShareGroupStateRequest, error: ErrorCode) -> ReadShareGroupStateResponse {
    let result = |data: &PartitionData| PartitionResult {
        partition: data.partition,
        error_code: error.code(),
        start_offset: i64::from(data.partition),
        ..Default::default()
    };
    let results = request.topics.iter().map(|topic| ReadStateResult {
        topic_id: topic.topic_id,
        partitions: topic.partitions.iter().map(result).collect(),
        ..Default::default()
    });
    ReadShareGroupStateResponse { results: results.collect(), ..Default::default() }
}

fn partitions(call: &Call<ReadState>) -> Vec<i32> {
    call.request.topics.iter().flat_map(|topic| &topic.partitions).map(|data| data.partition).collect()
}

fn errors(f: &mut Fixture) -> Vec<ErrorCode> {
    f.sender.take_answers().iter().map(|(_, result)| ErrorCode::from_code(result.error_code)).collect()
}

#[test]
fn what_comes_together_goes_together_group_by_group() {
    let mut f = Fixture::new();
    for (group_id, partition) in [("a", 0), ("b", 1), ("a", 2)] {
        f.ask(group_id, partition);
    }
    let calls = f.poll();
    let asked: Vec<_> = calls.iter().map(|call| (&*call.request.group_id, partitions(call))).collect();
    assert_eq!(asked, [("a", vec![0, 2]), ("b", vec![1])]);
    f.respond(&calls[0], ErrorCode::None);
    let offsets: Vec<_> = f.sender.take_answers().iter().map(|(_, result)| result.start_offset).collect();
    assert_eq!(offsets, [0, 2]);
}

#[test]
fn what_comes_while_a_call_is_under_way_goes_with_the_next() {
    let mut f = Fixture::new();
    f.ask("a", 0);
    let call = f.one_call();
    f.ask("a", 1);
    f.ask("a", 2);
    assert!(f.poll().is_empty());
    f.respond(&call, ErrorCode::None);
    assert_eq!(partitions(&f.one_call()), [1, 2]);
}

#[test]
fn another_node_is_another_way() {
    let mut f = Fixture::new();
    f.ask("a", 0);
    f.one_call();
    f.coordinator = Some(2);
    f.ask("a", 1);
    assert_eq!(f.one_call().route.node_id, 2);
}

#[test]
fn a_share_partition_goes_into_a_request_once() {
    let mut f = Fixture::new();
    let (first, second) = (f.ask("a", 0), f.ask("a", 0));
    let call = f.one_call();
    assert_eq!(partitions(&call), [0]);
    f.respond(&call, ErrorCode::None);
    assert_eq!(f.sender.take_answers()[0].0, first);
    let call = f.one_call();
    f.respond(&call, ErrorCode::None);
    assert_eq!(f.sender.take_answers()[0].0, second);
}

#[test]
fn what_is_worth_it_is_asked_again_of_whoever_coordinates_then() {
    for error in [
        ErrorCode::CoordinatorNotAvailable,
        ErrorCode::CoordinatorLoadInProgress,
        ErrorCode::NotCoordinator,
        ErrorCode::UnknownTopicOrPartition,
    ] {
        let mut f = Fixture::new();
        f.ask("a", 0);
        let call = f.one_call();
        f.respond(&call, error);
        assert!(f.sender.take_answers().is_empty(), "{error}");
        assert!(f.poll().is_empty());
        f.wait();
        f.coordinator = Some(2);
        let call = f.one_call();
        assert_eq!(call.route.node_id, 2);
        f.respond(&call, ErrorCode::None);
        assert_eq!(errors(&mut f), [ErrorCode::None]);
    }
}

#[test]
fn a_node_that_does_not_answer_is_asked_again() {
    for error in [ErrorCode::NetworkException, ErrorCode::RequestTimedOut] {
        let mut f = Fixture::new();
        f.ask("a", 0);
        let call = f.one_call();
        f.sender.on_response(f.now_ms, &call.route, Err(error));
        f.wait();
        let call = f.one_call();
        f.respond(&call, ErrorCode::None);
        assert_eq!(errors(&mut f), [ErrorCode::None]);
    }
}

#[test]
fn whoever_waits_behind_a_node_that_is_gone_looks_elsewhere() {
    let mut f = Fixture::new();
    f.ask("a", 0);
    let call = f.one_call();
    f.ask("a", 1);
    assert!(f.poll().is_empty());
    f.coordinator = Some(2);
    f.sender.on_response(f.now_ms, &call.route, Err(ErrorCode::NetworkException));
    let call = f.one_call();
    assert_eq!((call.route.node_id, partitions(&call)), (2, vec![1]));
}

#[test]
fn other_errors_are_answers() {
    for error in [ErrorCode::FencedLeaderEpoch, ErrorCode::FencedStateEpoch, ErrorCode::InvalidRequest] {
        let mut f = Fixture::new();
        f.ask("a", 0);
        let call = f.one_call();
        f.respond(&call, error);
        assert_eq!(errors(&mut f), [error]);
    }
    let mut f = Fixture::new();
    f.ask("a", 0);
    let call = f.one_call();
    f.sender.on_response(f.now_ms, &call.route, Err(ErrorCode::UnsupportedVersion));
    assert_eq!(errors(&mut f), [ErrorCode::UnsupportedVersion]);
}

#[test]
fn pauses_grow_and_end_in_the_last_error() {
    let mut f = Fixture::new();
    f.ask("a", 0);
    let mut pauses = Vec::new();
    for _ in 1..MAX_ATTEMPTS {
        let call = f.one_call();
        f.respond(&call, ErrorCode::CoordinatorLoadInProgress);
        pauses.push(f.wait());
    }
    let call = f.one_call();
    f.respond(&call, ErrorCode::NotCoordinator);
    assert_eq!(errors(&mut f), [ErrorCode::NotCoordinator]);
    for (pause, exact) in pauses.iter().zip([250, 500, 1_000, 2_000, 4_000, 8_000, 16_000]) {
        assert!((exact * 8 / 10..=exact * 12 / 10).contains(pause), "{pause} for {exact}");
    }
    let total: i64 = pauses.iter().sum();
    assert!((25_000..40_000).contains(&total), "{total}");
    assert_eq!(f.sender.next_deadline(), None);
}

#[test]
fn a_coordinator_that_is_never_found_is_not_available() {
    let mut f = Fixture::new();
    f.coordinator = None;
    f.ask("a", 0);
    for _ in 1..MAX_ATTEMPTS {
        assert!(f.poll().is_empty());
        f.wait();
    }
    f.poll();
    assert_eq!(errors(&mut f), [ErrorCode::CoordinatorNotAvailable]);
}

#[test]
fn a_share_partition_that_the_response_leaves_out_is_an_error() {
    let mut f = Fixture::new();
    f.ask("a", 0);
    let call = f.one_call();
    f.sender.on_response(f.now_ms, &call.route, Ok(ReadShareGroupStateResponse::default()));
    assert_eq!(errors(&mut f), [ErrorCode::UnknownServerError]);
}

use ottla_protocol::messages::read_share_group_state_summary_response::ReadStateSummaryResult;

use super::*;
use crate::group::modern::testing::topic_id;
use crate::group::share::testing::{TestContext, group};

fn request(topics: Option<&[(&str, &[i32])]>) -> DescribeShareGroupOffsetsRequestGroup {
    let topic = |(name, partitions): &(&str, &[i32])| DescribeShareGroupOffsetsRequestTopic {
        topic_name: (*name).into(),
        partitions: partitions.to_vec(),
        ..Default::default()
    };
    DescribeShareGroupOffsetsRequestGroup {
        group_id: group(),
        topics: topics.map(|topics| topics.iter().map(topic).collect()),
        ..Default::default()
    }
}

fn describe(t: &TestContext, request: &DescribeShareGroupOffsetsRequestGroup) -> DescribedOffsets {
    t.manager().describe_share_group_offsets(t.lookup(&request.group_id), request)
}

fn pedidos(partition: i32) -> (ByteString, i32) {
    (ByteString::from_static("pedidos"), partition)
}

/// The share coordinator's answer for `pedidos`: start offset, delivery complete count, error.
fn summary(partitions: &[(i64, i32, ErrorCode)]) -> ReadShareGroupStateSummaryResponse {
    let result = |(partition, (start_offset, count, error)): (i32, &(i64, i32, ErrorCode))| PartitionResult {
        partition,
        error_code: error.code(),
        leader_epoch: 4,
        start_offset: *start_offset,
        delivery_complete_count: *count,
        ..Default::default()
    };
    let topic = ReadStateSummaryResult {
        topic_id: topic_id(0),
        partitions: (0..).zip(partitions).map(result).collect(),
        ..Default::default()
    };
    ReadShareGroupStateSummaryResponse { results: vec![topic], ..Default::default() }
}

#[test]
fn lag_is_what_lies_between_without_what_is_done() {
    let t = TestContext::new();
    let described = describe(&t, &request(Some(&[("pedidos", &[0, 1, 2]), ("nada", &[5])])));
    let read = described.read.clone().unwrap();
    assert_eq!((read.topics.len(), read.topics[0].partitions.len()), (1, 3));
    let summary = summary(&[(10, 3, ErrorCode::None), (-1, -1, ErrorCode::None), (7, -1, ErrorCode::None)]);
    let to_list = described.partitions_to_list(&summary);
    assert_eq!(to_list, BTreeSet::from([pedidos(0)]));
    let ends = BTreeMap::from([(pedidos(0), Ok(20))]);
    let group = described.finish(&summary, &ends);
    assert_eq!((group.error_code, group.topics.len()), (0, 2));
    let told: Vec<_> =
        group.topics[0].partitions.iter().map(|p| (p.start_offset, p.leader_epoch, p.lag)).collect();
    assert_eq!(told, vec![(10, 4, 7), (-1, 4, -1), (7, 4, -1)]);
    let unknown = &group.topics[1];
    assert_eq!((&unknown.topic_name[..], unknown.topic_id), ("nada", Uuid::ZERO));
    assert_eq!((unknown.partitions[0].partition_index, unknown.partitions[0].start_offset), (5, -1));
}

#[test]
fn what_the_share_coordinator_cannot_tell_is_no_error() {
    let t = TestContext::new();
    let described = describe(&t, &request(Some(&[("pedidos", &[0])])));
    let summary = summary(&[(10, 3, ErrorCode::NotCoordinator)]);
    assert!(described.partitions_to_list(&summary).is_empty());
    let group = described.finish(&summary, &BTreeMap::new());
    let partition = &group.topics[0].partitions[0];
    assert_eq!((partition.error_code, partition.start_offset), (0, -1));
    assert_eq!((partition.leader_epoch, partition.lag), (0, -1));
}

#[test]
fn what_a_leader_cannot_tell_is_its_error() {
    let t = TestContext::new();
    let described = describe(&t, &request(Some(&[("pedidos", &[0])])));
    let summary = summary(&[(10, 3, ErrorCode::None)]);
    let ends = BTreeMap::from([(pedidos(0), Err(ErrorCode::NotLeaderOrFollower))]);
    let group = described.finish(&summary, &ends);
    let partition = &group.topics[0].partitions[0];
    assert_eq!(ErrorCode::from_code(partition.error_code), ErrorCode::NotLeaderOrFollower);
    assert!(partition.error_message.is_some());
}

#[test]
fn all_offsets_are_those_of_initialized_partitions() {
    let mut t = TestContext::new();
    assert_eq!(describe(&t, &request(None)).read, None, "no group, no offsets");
    t.stable_group(&["m1"], &["pedidos", "envios"]);
    t.metadata.remove("envios");
    let read = describe(&t, &request(None)).read.unwrap();
    assert_eq!(read.topics.iter().map(|topic| topic.topic_id).collect::<Vec<_>>(), vec![topic_id(0)]);
    assert_eq!(read.topics[0].partitions.len(), 3);
    let nothing = describe(&t, &request(Some(&[]))).finish(&Default::default(), &BTreeMap::new());
    assert!(nothing.topics.is_empty());
}

use ottla_protocol::messages::alter_share_group_offsets_request::AlterShareGroupOffsetsRequestPartition;

use super::*;
use crate::group::modern::testing::topic_id;
use crate::group::share::testing::{TestContext, group, initialize_answer};

fn request(topics: &[(&str, &[(i32, i64)])]) -> AlterShareGroupOffsetsRequest {
    let partition = |(partition_index, start_offset): &(i32, i64)| AlterShareGroupOffsetsRequestPartition {
        partition_index: *partition_index,
        start_offset: *start_offset,
        ..Default::default()
    };
    let topics = topics.iter().map(|(name, partitions)| AlterShareGroupOffsetsRequestTopic {
        topic_name: (*name).into(),
        partitions: partitions.iter().map(partition).collect(),
        ..Default::default()
    });
    AlterShareGroupOffsetsRequest { group_id: group(), topics: topics.collect(), ..Default::default() }
}

fn alter(
    t: &mut TestContext,
    request: &AlterShareGroupOffsetsRequest,
) -> Result<AlteredOffsets, ShareGroupError> {
    let decision = t.manager().alter_share_group_offsets(t.lookup(&request.group_id), request)?;
    Ok(t.execute(decision))
}

fn codes(response: &AlterShareGroupOffsetsResponse) -> Vec<ErrorCode> {
    let partitions = response.responses.iter().flat_map(|topic| &topic.partitions);
    partitions.map(|partition| ErrorCode::from_code(partition.error_code)).collect()
}

#[test]
fn a_new_group_begins_where_it_is_told() {
    let mut t = TestContext::new();
    let altered = alter(&mut t, &request(&[("pedidos", &[(0, 7), (2, 0)])])).unwrap();
    assert_eq!(codes(&altered.response), vec![ErrorCode::None; 2]);
    assert_eq!(altered.response.responses[0].topic_id, topic_id(0));
    assert_eq!(t.kinds(), vec![15]);
    let initialize = altered.initialize.unwrap();
    let offsets: Vec<_> = initialize.topics[0]
        .partitions
        .iter()
        .map(|data| (data.partition, data.state_epoch, data.start_offset))
        .collect();
    assert_eq!(offsets, vec![(0, 1, 7), (2, 1, 0)]);
    let answer = initialize_answer(&initialize, ErrorCode::None);
    let decision = t.manager().share_group_state_initialized(t.lookup(&group()), &answer);
    t.execute(decision);
    let mut t = t.restarted();
    assert_eq!((t.group().epoch(), t.group().is_empty()), (1, true));
    t.heartbeat("m1", 0, Some(&["pedidos"])).unwrap();
    let rest: Vec<_> =
        t.initialize[0].topics[0].partitions.iter().map(|p| (p.partition, p.start_offset)).collect();
    assert_eq!(rest, vec![(1, 0)], "the partition that nobody spoke of");
}

#[test]
fn partitions_that_are_not_there_are_unknown() {
    let mut t = TestContext::new();
    let wrong = request(&[("nada", &[(0, 1)]), ("pedidos", &[(3, 1), (-1, 1)])]);
    let altered = alter(&mut t, &wrong).unwrap();
    assert_eq!(codes(&altered.response), vec![ErrorCode::UnknownTopicOrPartition; 3]);
    assert_eq!(altered.initialize, None);
    assert!(t.log.is_empty(), "no group is made for nothing");
    let mixed = request(&[("pedidos", &[(3, 1), (1, 1)])]);
    let altered = alter(&mut t, &mixed).unwrap();
    assert_eq!(codes(&altered.response), vec![ErrorCode::UnknownTopicOrPartition, ErrorCode::None]);
    assert_eq!(altered.initialize.unwrap().topics[0].partitions.len(), 1);
}

#[test]
fn what_the_share_coordinator_refuses_is_refused() {
    let mut t = TestContext::new();
    let altered = alter(&mut t, &request(&[("pedidos", &[(0, 7), (1, 7), (9, 7)])])).unwrap();
    let mut answer = initialize_answer(&altered.initialize.unwrap(), ErrorCode::None);
    assert_eq!(altered_offsets(altered.response.clone(), Ok(&answer)), altered.response);
    answer.results[0].partitions[1].error_code = ErrorCode::FencedStateEpoch.code();
    let response = altered_offsets(altered.response.clone(), Ok(&answer));
    let expected = [ErrorCode::None, ErrorCode::FencedStateEpoch, ErrorCode::UnknownTopicOrPartition];
    assert_eq!(codes(&response), expected);
    let response = altered_offsets(altered.response, Err(ErrorCode::CoordinatorNotAvailable));
    assert_eq!(response.error_code, ErrorCode::CoordinatorNotAvailable.code());
    assert_eq!(codes(&response), vec![ErrorCode::CoordinatorNotAvailable; 3]);
}

#[test]
fn a_group_with_members_is_left_alone() {
    let mut t = TestContext::new();
    t.heartbeat("m1", 0, Some(&["pedidos"])).unwrap();
    let refused = alter(&mut t, &request(&[("pedidos", &[(0, 7)])])).unwrap_err();
    assert_eq!(refused.code(), ErrorCode::NonEmptyGroup);
    t.heartbeat("m1", -1, None).unwrap();
    let altered = alter(&mut t, &request(&[("pedidos", &[(0, 7)])])).unwrap();
    assert_eq!(altered.initialize.unwrap().topics[0].partitions[0].state_epoch, t.group().epoch());
}

#[test]
fn groups_that_cannot_be_are_refused() {
    let mut t = TestContext::new();
    let nameless = AlterShareGroupOffsetsRequest { group_id: "".into(), ..request(&[]) };
    assert_eq!(alter(&mut t, &nameless).unwrap_err().code(), ErrorCode::InvalidGroupId);
    t.others.insert(group());
    assert_eq!(alter(&mut t, &request(&[])).unwrap_err().code(), ErrorCode::GroupIdNotFound);
}

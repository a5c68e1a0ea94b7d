use ottla_protocol::messages::delete_share_group_offsets_request::DeleteShareGroupOffsetsRequestTopic;

use super::*;
use crate::group::modern::testing::topic_id;
use crate::group::share::testing::{TestContext, delete_answer, group};

fn request(topics: &[&str]) -> DeleteShareGroupOffsetsRequest {
    let topic = |name: &&str| DeleteShareGroupOffsetsRequestTopic {
        topic_name: (*name).into(),
        ..Default::default()
    };
    DeleteShareGroupOffsetsRequest {
        group_id: group(),
        topics: topics.iter().map(topic).collect(),
        ..Default::default()
    }
}

fn initiate(
    t: &mut TestContext,
    request: &DeleteShareGroupOffsetsRequest,
) -> Result<DeletedOffsets, ShareGroupError> {
    let group = t.lookup(&request.group_id);
    let decision = t.manager().initiate_delete_share_group_offsets(group, request)?;
    Ok(t.execute(decision))
}

fn complete(t: &mut TestContext, deleted: DeletedOffsets, error: ErrorCode) -> Vec<(String, ErrorCode)> {
    let answer = delete_answer(&deleted.delete.unwrap(), error);
    let group = t.lookup(&group());
    let decision = t.manager().complete_delete_share_group_offsets(group, &answer, deleted.errors);
    let response = t.execute(decision);
    assert_eq!(response.error_code, 0);
    let topics = response.responses.iter();
    topics.map(|topic| (topic.topic_name.to_string(), ErrorCode::from_code(topic.error_code))).collect()
}

/// A group that read both topics, and has no members any more.
fn emptied() -> TestContext {
    let mut t = TestContext::new();
    t.stable_group(&["m1"], &["pedidos", "envios"]);
    t.heartbeat("m1", -1, None).unwrap();
    t
}

#[test]
fn a_topic_is_forgotten_in_two_steps() {
    let mut t = emptied();
    let deleted = initiate(&mut t, &request(&["pedidos", "nada"])).unwrap();
    assert_eq!(t.kinds(), vec![15]);
    let state = t.group().state_partitions().unwrap();
    assert!(state.deleting.contains_key(&topic_id(0)) && !state.initialized.contains_key(&topic_id(0)));
    let delete = deleted.delete.as_ref().unwrap();
    let partitions: Vec<_> = delete.topics[0].partitions.iter().map(|data| data.partition).collect();
    assert_eq!((delete.topics.len(), partitions), (1, vec![0, 1, 2]));
    let answer = complete(&mut t, deleted, ErrorCode::None);
    let expected =
        [("pedidos".to_string(), ErrorCode::None), ("nada".to_string(), ErrorCode::UnknownTopicOrPartition)];
    assert_eq!(answer, expected);
    let t = t.restarted();
    let state = t.group().state_partitions().unwrap();
    assert!(state.deleting.is_empty());
    assert_eq!(state.initialized.keys().copied().collect::<Vec<_>>(), vec![topic_id(1)]);
}

#[test]
fn what_the_share_coordinator_did_not_forget_can_be_deleted_again() {
    let mut t = emptied();
    let deleted = initiate(&mut t, &request(&["pedidos"])).unwrap();
    let answer = complete(&mut t, deleted, ErrorCode::NotCoordinator);
    assert_eq!(answer, [("pedidos".to_string(), ErrorCode::NotCoordinator)]);
    let deleted = initiate(&mut t, &request(&["pedidos"])).unwrap();
    assert_eq!(deleted.delete.as_ref().unwrap().topics[0].partitions.len(), 3);
    complete(&mut t, deleted, ErrorCode::None);
    let deleted = initiate(&mut t, &request(&["pedidos"])).unwrap();
    assert_eq!(deleted.delete, None);
    assert_eq!(deleted.errors[0].error_code, ErrorCode::UnknownTopicOrPartition.code());
}

#[test]
fn a_group_without_offsets_has_nothing_to_delete() {
    let mut t = TestContext::new();
    t.heartbeat("m1", 0, Some(&["nada"])).unwrap();
    t.heartbeat("m1", -1, None).unwrap();
    let deleted = initiate(&mut t, &request(&["pedidos"])).unwrap();
    assert_eq!(deleted, DeletedOffsets { errors: vec![], delete: None });
}

#[test]
fn groups_that_cannot_be_are_refused() {
    let mut t = TestContext::new();
    let nameless = DeleteShareGroupOffsetsRequest { group_id: "".into(), ..request(&[]) };
    assert_eq!(initiate(&mut t, &nameless).unwrap_err().code(), ErrorCode::InvalidGroupId);
    assert_eq!(initiate(&mut t, &request(&[])).unwrap_err().code(), ErrorCode::GroupIdNotFound);
    t.heartbeat("m1", 0, Some(&["pedidos"])).unwrap();
    assert_eq!(initiate(&mut t, &request(&[])).unwrap_err().code(), ErrorCode::NonEmptyGroup);
    t.groups.clear();
    t.others.insert(group());
    assert_eq!(initiate(&mut t, &request(&[])).unwrap_err().code(), ErrorCode::GroupIdNotFound);
}

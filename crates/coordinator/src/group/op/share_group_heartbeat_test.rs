use ottla_common::ErrorCode;

use super::*;
use crate::group::modern::testing::topic_id;
use crate::group::share::testing::{GROUP, TestContext, assigned, group, heartbeat};

fn code(result: Result<ShareGroupHeartbeatResponse, ShareGroupError>) -> ErrorCode {
    result.map_or_else(ShareGroupError::code, |_| ErrorCode::None)
}

fn everything() -> MemberAssignment {
    MemberAssignment::from([(topic_id(0), BTreeSet::from([0, 1, 2]))])
}

#[test]
fn the_first_member_makes_the_group() {
    let mut t = TestContext::new();
    let response = t.heartbeat("m1", 0, Some(&["pedidos"])).unwrap();
    assert_eq!(response.member_id, Some("m1".into()));
    assert_eq!((response.member_epoch, response.heartbeat_interval_ms), (2, 5_000));
    assert_eq!(assigned(&response), Some(MemberAssignment::new()), "nothing is initialized yet");
    assert_eq!(t.kinds(), vec![10, 11, 13, 12, 14, 15]);
    let t = t.restarted();
    let member = t.group().member(&"m1".into()).unwrap();
    assert_eq!((member.member_epoch, member.previous_member_epoch), (2, 0));
    assert_eq!((&member.client_id[..], &member.client_host[..]), ("cliente", "/127.0.0.1"));
    assert_eq!(t.group().epoch(), 2);
}

#[test]
fn partitions_are_assigned_once_they_are_initialized() {
    let mut t = TestContext::new();
    t.heartbeat("m1", 0, Some(&["pedidos"])).unwrap();
    let request = &t.initialize[0];
    assert_eq!((&request.group_id[..], request.topics[0].topic_id), (GROUP, topic_id(0)));
    let offsets: Vec<_> =
        request.topics[0].partitions.iter().map(|p| (p.partition, p.state_epoch, p.start_offset)).collect();
    assert_eq!(offsets, vec![(0, 2, -1), (1, 2, -1), (2, 2, -1)]);
    t.advance(5_000);
    let response = t.heartbeat("m1", 2, None).unwrap();
    assert_eq!((response.member_epoch, assigned(&response)), (2, None));
    assert_eq!(t.initialize.len(), 1, "it is asked once");
    t.answer_initialize(ErrorCode::None);
    assert_eq!(t.kinds(), vec![15]);
    let response = t.heartbeat("m1", 2, None).unwrap();
    assert_eq!((response.member_epoch, assigned(&response)), (3, Some(everything())));
    assert_eq!(t.kinds(), vec![11, 13, 12, 14]);
    let response = t.heartbeat("m1", 3, None).unwrap();
    assert_eq!((response.member_epoch, assigned(&response)), (3, None));
    assert!(t.written.is_empty());
}

#[test]
fn a_share_coordinator_that_does_not_answer_is_asked_again() {
    let mut t = TestContext::new();
    t.heartbeat("m1", 0, Some(&["pedidos"])).unwrap();
    t.advance(29_999);
    t.heartbeat("m1", 2, None).unwrap();
    assert_eq!(t.initialize.len(), 1);
    t.advance(1);
    t.heartbeat("m1", 2, None).unwrap();
    assert_eq!(t.initialize.len(), 2);
    let again = &t.initialize[1].topics[0].partitions;
    assert_eq!((again.len(), again[0].start_offset), (3, 0), "by now the topic is known");
    let mut t = t.restarted();
    t.heartbeat("m1", 2, None).unwrap();
    assert!(t.initialize.is_empty(), "the coordinator before may have asked just now");
    t.advance(30_000);
    t.heartbeat("m1", 2, None).unwrap();
    assert_eq!(t.initialize.len(), 1);
}

#[test]
fn new_partitions_of_a_known_topic_begin_with_their_first_record() {
    let mut t = TestContext::new();
    let epoch = t.stable_group(&["m1"], &["pedidos"]);
    t.metadata.put(0, "pedidos", 5);
    t.groups.values_mut().for_each(|group| std::sync::Arc::make_mut(group).request_metadata_refresh());
    t.heartbeat("m1", epoch, None).unwrap();
    let partitions = &t.initialize[0].topics[0].partitions;
    let offsets: Vec<_> = partitions.iter().map(|p| (p.partition, p.state_epoch, p.start_offset)).collect();
    assert_eq!(offsets, vec![(3, epoch + 1, 0), (4, epoch + 1, 0)]);
    t.answer_initialize(ErrorCode::None);
    t.advance(1_000);
    let response = t.heartbeat("m1", epoch + 1, None).unwrap();
    assert_eq!(assigned(&response).unwrap()[&topic_id(0)], BTreeSet::from([0, 1, 2, 3, 4]));
}

#[test]
fn members_share_what_there_is() {
    let mut t = TestContext::new();
    let epoch = t.stable_group(&["m1", "m2", "m3", "m4"], &["pedidos"]);
    let sizes: Vec<usize> = t.group().members().map(|m| m.assigned_partitions[&topic_id(0)].len()).collect();
    assert_eq!(sizes.iter().sum::<usize>(), 6, "each partition has two members");
    assert!(sizes.iter().all(|size| (1..=2).contains(size)), "{sizes:?}");
    let t = t.restarted();
    assert_eq!((t.group().epoch(), t.group().target_assignment().epoch()), (epoch, epoch));
    assert_eq!(t.group().num_members(), 4);
}

#[test]
fn the_next_assignment_waits_for_its_interval() {
    let mut t = TestContext::new();
    let epoch = t.stable_group(&["m1"], &["pedidos"]);
    t.heartbeat("m1", epoch, Some(&["envios"])).unwrap();
    t.answer_initialize(ErrorCode::None);
    // Half a second after that assignment comes another member.
    t.advance(500);
    let response = t.heartbeat("m2", 0, Some(&["envios"])).unwrap();
    assert_eq!(response.member_epoch, epoch + 1, "the target assignment is the one before");
    assert_eq!(assigned(&response), Some(MemberAssignment::new()));
    t.advance(500);
    let response = t.heartbeat("m2", epoch + 1, None).unwrap();
    assert_eq!(response.member_epoch, epoch + 2);
    assert!(!assigned(&response).unwrap().is_empty());
}

#[test]
fn a_subscription_that_shrinks_shows_at_once() {
    let mut t = TestContext::new();
    let epoch = t.stable_group(&["m1"], &["pedidos", "envios"]);
    t.config.assignment_interval_ms = 15_000;
    let response = t.heartbeat("m1", epoch, Some(&["envios"])).unwrap();
    let only = MemberAssignment::from([(topic_id(1), BTreeSet::from([0, 1]))]);
    assert_eq!((response.member_epoch, assigned(&response)), (epoch, Some(only)));
    assert_eq!(t.kinds(), vec![10, 11, 14]);
}

#[test]
fn a_member_may_join_again_and_be_late_by_one_answer() {
    let mut t = TestContext::new();
    let epoch = t.stable_group(&["m1"], &["pedidos"]);
    let previous = t.group().member(&"m1".into()).unwrap().previous_member_epoch;
    let response = t.heartbeat("m1", previous, None).unwrap();
    assert_eq!(response.member_epoch, epoch);
    let response = t.heartbeat("m1", 0, Some(&["pedidos"])).unwrap();
    assert_eq!((response.member_epoch, assigned(&response)), (epoch, Some(everything())));
    assert!(t.written.is_empty());
    assert_eq!(code(t.heartbeat("m1", previous - 1, None)), ErrorCode::FencedMemberEpoch);
    assert_eq!(code(t.heartbeat("m1", epoch + 1, None)), ErrorCode::FencedMemberEpoch);
}

#[test]
fn a_member_that_leaves_is_gone() {
    let mut t = TestContext::new();
    let epoch = t.stable_group(&["m1", "m2"], &["pedidos"]);
    let response = t.heartbeat("m1", -1, None).unwrap();
    assert_eq!((response.member_id, response.member_epoch), (Some("m1".into()), -1));
    assert_eq!(t.kinds(), vec![-14, -13, -10, 11]);
    t.heartbeat("m2", -1, None).unwrap();
    assert_eq!(t.kinds(), vec![-14, -13, -10, 11, 12]);
    let t = t.restarted();
    assert!(t.group().is_empty());
    assert_eq!((t.group().epoch(), t.group().target_assignment().epoch()), (epoch + 2, epoch + 2));
    assert_eq!(t.group().target_assignment().timestamp_ms(), 0, "nothing makes the next member wait");
    assert_eq!(t.group().metadata_hash(), 0);
}

#[test]
fn a_member_that_is_silent_is_gone() {
    let mut t = TestContext::new();
    t.stable_group(&["m1", "m2"], &["pedidos"]);
    t.advance(30_000);
    let epoch = t.member_epoch("m2");
    t.heartbeat("m2", epoch, None).unwrap();
    t.advance(15_000);
    assert!(t.group().member(&"m1".into()).is_none());
    assert!(t.group().member(&"m2".into()).is_some());
    let mut t = t.restarted();
    t.advance(45_000);
    assert!(t.group().is_empty(), "sessions are counted from the load on");
}

#[test]
fn a_group_has_its_own_timeouts() {
    let mut t = TestContext::new();
    t.overrides.session_timeout_ms = Some(60_000);
    t.overrides.heartbeat_interval_ms = Some(7_000);
    let response = t.heartbeat("m1", 0, Some(&["pedidos"])).unwrap();
    assert_eq!(response.heartbeat_interval_ms, 7_000);
    t.advance(59_999);
    assert!(!t.group().is_empty());
    t.advance(1);
    assert!(t.group().is_empty());
}

#[test]
fn a_full_group_takes_nobody_in() {
    let mut t = TestContext::new();
    t.config.max_size = 2;
    t.heartbeat("m1", 0, Some(&["pedidos"])).unwrap();
    t.heartbeat("m2", 0, Some(&["pedidos"])).unwrap();
    assert_eq!(code(t.heartbeat("m3", 0, Some(&["pedidos"]))), ErrorCode::GroupMaxSizeReached);
    assert_eq!(code(t.heartbeat("m1", 0, Some(&["pedidos"]))), ErrorCode::None, "who is in stays");
}

#[test]
fn only_epoch_zero_makes_groups_and_members() {
    let mut t = TestContext::new();
    assert_eq!(code(t.heartbeat("m1", 1, None)), ErrorCode::GroupIdNotFound);
    assert_eq!(code(t.heartbeat("m1", -1, None)), ErrorCode::GroupIdNotFound);
    t.heartbeat("m1", 0, Some(&["pedidos"])).unwrap();
    assert_eq!(code(t.heartbeat("m2", 1, None)), ErrorCode::UnknownMemberId);
    assert_eq!(code(t.heartbeat("m2", -1, None)), ErrorCode::UnknownMemberId);
}

#[test]
fn groups_of_other_types_are_not_found() {
    let mut t = TestContext::new();
    t.others.insert(group());
    assert_eq!(code(t.heartbeat("m1", 0, Some(&["pedidos"]))), ErrorCode::GroupIdNotFound);
    assert_eq!(code(t.heartbeat("m1", -1, None)), ErrorCode::GroupIdNotFound);
    assert!(t.log.is_empty());
}

#[test]
fn requests_that_cannot_be_are_invalid() {
    let mut t = TestContext::new();
    let good = heartbeat("m1", 0, Some(&["pedidos"]));
    let bad = [
        ShareGroupHeartbeatRequest { member_id: " ".into(), ..good.clone() },
        ShareGroupHeartbeatRequest { group_id: "".into(), ..good.clone() },
        ShareGroupHeartbeatRequest { rack_id: Some("".into()), ..good.clone() },
        ShareGroupHeartbeatRequest { subscribed_topic_names: None, ..good.clone() },
        ShareGroupHeartbeatRequest { subscribed_topic_names: Some(vec![]), ..good.clone() },
        ShareGroupHeartbeatRequest { member_epoch: -2, ..good },
    ];
    for request in bad {
        assert_eq!(code(t.send(&request)), ErrorCode::InvalidRequest, "{request:?}");
    }
    assert!(t.log.is_empty());
}

#[test]
fn topics_that_do_not_exist_are_waited_for() {
    let mut t = TestContext::new();
    let response = t.heartbeat("m1", 0, Some(&["nada"])).unwrap();
    assert_eq!(t.kinds(), vec![10, 11, 13, 12, 14]);
    assert!(t.initialize.is_empty());
    t.metadata.put(7, "nada", 1);
    t.groups.values_mut().for_each(|group| std::sync::Arc::make_mut(group).request_metadata_refresh());
    t.advance(1_000);
    t.heartbeat("m1", response.member_epoch, None).unwrap();
    assert_eq!(t.initialize[0].topics[0].topic_id, topic_id(7));
}

use super::*;
use crate::group::GroupReply;
use crate::group::classic::{ClassicGroup, ClassicGroupMember, ClassicGroupState, Protocol};
use crate::group::consumer::testing::{
    GROUP, TestGroup, alive, assigned, is_static, joins, joins_with_regex, owns, partitions, request_context,
};
use crate::group::consumer::{ExistingGroup, UpgradeError};
use crate::runtime::Token;
use ottla_protocol::Message;
use ottla_protocol::messages::ConsumerProtocolAssignment;

const SESSION_TIMEOUT_MS: i32 = 10_000;

/// A subscription to `pagos` of a member that has these partitions of it.
pub(in crate::group::op) fn subscription(owned: &[i32]) -> Bytes {
    use ottla_protocol::messages::consumer_protocol_subscription::TopicPartition;
    let owned_partitions = match owned {
        [] => Vec::new(),
        owned => vec![TopicPartition { topic: "pagos".into(), partitions: owned.to_vec() }],
    };
    let subscription =
        ConsumerProtocolSubscription { topics: vec!["pagos".into()], owned_partitions, ..Default::default() };
    prefixed(1, &subscription)
}

fn prefixed<M: Message>(version: i16, message: &M) -> Bytes {
    let mut bytes = version.to_be_bytes().to_vec();
    bytes.extend_from_slice(&message.to_bytes(version).unwrap());
    Bytes::from(bytes)
}

pub(in crate::group::op) fn request(member_id: &str, owned: &[i32]) -> JoinGroupRequest {
    JoinGroupRequest {
        group_id: GROUP.into(),
        session_timeout_ms: SESSION_TIMEOUT_MS,
        rebalance_timeout_ms: 30_000,
        member_id: member_id.into(),
        protocol_type: "consumer".into(),
        protocols: vec![JoinGroupRequestProtocol {
            name: "range".into(),
            metadata: subscription(owned),
            ..Default::default()
        }],
        ..Default::default()
    }
}

pub(in crate::group::op) fn join(
    t: &mut TestGroup,
    request: &JoinGroupRequest,
) -> Result<JoinGroupResponse, ErrorCode> {
    let uuid = t.uuid();
    let group = t.group().clone();
    match consumer_group_join(&t.context(), &request_context(9), &group, request, uuid) {
        Ok(result) => Ok(t.execute(result)),
        Err(error) => Err(error.code()),
    }
}

/// A classic group of these members, each with one partition of `pagos`, in generation 7.
fn classic_group(member_ids: &[&'static str]) -> ClassicGroup {
    let mut group = ClassicGroup::new(GROUP.into(), Some(0));
    for (partition, member_id) in (0..).zip(member_ids) {
        use ottla_protocol::messages::consumer_protocol_assignment::TopicPartition;
        let assigned = TopicPartition { topic: "pagos".into(), partitions: vec![partition] };
        let assignment = ConsumerProtocolAssignment { assigned_partitions: vec![assigned], user_data: None };
        group.put_member(ClassicGroupMember {
            member_id: ByteString::from_static(member_id),
            group_instance_id: None,
            client_id: "cliente".into(),
            client_host: "/127.0.0.1".into(),
            rebalance_timeout_ms: 30_000,
            session_timeout_ms: SESSION_TIMEOUT_MS,
            protocol_type: "consumer".into(),
            protocols: Arc::from([Protocol { name: "range".into(), metadata: subscription(&[]) }]),
            assignment: prefixed(1, &assignment),
            awaiting_join: None,
            awaiting_sync: None,
            is_new: false,
        });
    }
    group.state = ClassicGroupState::Stable;
    group.generation_id = 7;
    group.protocol_name = Some("range".into());
    group
}

/// A live classic group of `c1` and `c2`, which `m1` of the new protocol has just joined.
pub(in crate::group::op) fn upgraded() -> TestGroup {
    let mut t = TestGroup::new(&[("pagos", 3)]);
    t.classic = Some(classic_group(&["c1", "c2"]));
    t.ok(&joins("m1", &["pagos"]));
    t
}

#[test]
fn a_live_classic_group_becomes_a_consumer_group() {
    let mut t = TestGroup::new(&[("pagos", 3)]);
    t.classic = Some(classic_group(&["c1", "c2"]));
    let response = t.ok(&joins("m1", &["pagos"]));
    assert_eq!(t.converted, Some("from classic"));
    let kinds: Vec<u8> = t.records.iter().map(|record| record.encode().unwrap().0[1]).collect();
    let of_the_group = [5, 5, 3, 7, 7, 6, 8, 8];
    assert_eq!(kinds[..8], of_the_group, "the group as it was; then what the new member makes of it");
    assert_eq!(kinds[8..], [5, 3, 7, 6, 8]);
    assert_eq!((response.member_epoch, assigned(&response)), (8, Some(partitions(&[(0, &[2])]))));
    let c1 = t.member("c1");
    assert_eq!((c1.member_epoch, c1.uses_classic_protocol()), (7, true));
    assert_eq!(c1.assigned_partitions.len(), 1);
    t.advance(i64::from(SESSION_TIMEOUT_MS));
    assert!(!t.has_member("c1") && t.has_member("m1"), "sessions go on, each by its own timeout");
}

#[test]
fn who_waits_in_the_classic_group_is_answered() {
    let mut t = TestGroup::new(&[("pagos", 3)]);
    let mut classic = classic_group(&["c1", "c2"]);
    classic.update_member(&"c1".into(), |member| member.awaiting_join = Some(Token(1)));
    classic.update_member(&"c2".into(), |member| member.awaiting_sync = Some(Token(2)));
    t.classic = Some(classic);
    t.ok(&joins("m1", &["pagos"]));
    let rebalance = ErrorCode::RebalanceInProgress.code();
    let [(Token(1), GroupReply::Join(join)), (Token(2), GroupReply::Sync(sync))] = &t.replies[..] else {
        panic!("{:?}", t.replies);
    };
    assert_eq!((join.error_code, sync.error_code), (rebalance, rebalance));
}

#[test]
fn an_empty_classic_group_just_goes() {
    let mut t = TestGroup::new(&[("pagos", 3)]);
    t.classic = Some(ClassicGroup::new(GROUP.into(), None));
    t.ok(&joins("m1", &["pagos"]));
    assert_eq!((t.converted, t.group().num_members()), (Some("from classic"), 1));
}

#[test]
fn upgrades_are_refused_for_a_reason() {
    let refused = |change: &dyn Fn(&mut TestGroup, &mut ClassicGroup)| {
        let mut t = TestGroup::new(&[("pagos", 3)]);
        let mut classic = classic_group(&["c1", "c2"]);
        change(&mut t, &mut classic);
        t.classic = Some(classic);
        assert_eq!(t.heartbeat(&joins("m1", &["pagos"])), Err(ErrorCode::GroupIdNotFound));
        assert!(t.classic.is_some() && t.group.is_none() && t.replies.is_empty(), "nothing changed");
        let error = crate::group::op::consumer_group_heartbeat::consumer_group_heartbeat(
            &t.context(),
            &request_context(1),
            t.existing(),
            &joins("m1", &["pagos"]),
            Uuid::ONE,
        );
        match error.unwrap_err() {
            ConsumerGroupError::UpgradeRefused(_, why) => why,
            other => panic!("{other}"),
        }
    };
    let policy = |t: &mut TestGroup, _: &mut ClassicGroup| {
        t.config.migration_policy = ConsumerGroupMigrationPolicy::Downgrade;
    };
    assert_eq!(refused(&policy), UpgradeError::Disabled);
    assert_eq!(refused(&|t, _| t.config.max_size = 1), UpgradeError::TooManyMembers);
    let other_type =
        |_: &mut TestGroup, group: &mut ClassicGroup| group.protocol_type = Some("connect".into());
    assert_eq!(refused(&other_type), UpgradeError::OtherProtocolType);
    let with_assignment = |assignment: Bytes| {
        move |_: &mut TestGroup, group: &mut ClassicGroup| {
            let assignment = assignment.clone();
            group.update_member(&"c2".into(), |member| member.assignment = assignment);
        }
    };
    let malformed = with_assignment(Bytes::from_static(b"\0"));
    assert_eq!(refused(&malformed), UpgradeError::Malformed);
    let user_data =
        ConsumerProtocolAssignment { user_data: Some(Bytes::from_static(b"x")), ..Default::default() };
    let custom = with_assignment(prefixed(1, &user_data));
    assert_eq!(refused(&custom), UpgradeError::CustomAssignor);
}

#[test]
fn classic_members_follow_by_joining() {
    let mut t = upgraded();
    let response = join(&mut t, &request("c1", &[0])).unwrap();
    assert_eq!((response.error_code, response.generation_id), (0, 8));
    assert_eq!(response.protocol_type.as_deref(), Some("consumer"));
    assert_eq!(response.protocol_name.as_deref(), Some("range"));
    assert!(response.leader.is_empty() && response.members.is_empty(), "the coordinator assigns");
    join(&mut t, &request("c2", &[1])).unwrap();
    assert_eq!(t.state(), "Stable");
}

#[test]
fn classic_members_join_and_give_up() {
    let mut t = TestGroup::new(&[("pagos", 4)]);
    t.ok(&joins("m1", &["pagos"]));
    let response = join(&mut t, &request("", &[])).unwrap();
    assert_eq!(response.error_code, ErrorCode::MemberIdRequired.code());
    assert!(t.records.is_empty());
    let c1 = response.member_id;
    let response = join(&mut t, &request(&c1, &[])).unwrap();
    assert_eq!((response.generation_id, &response.member_id), (3, &c1));
    t.ok(&owns("m1", 2, &[(0, &[0, 1, 2, 3])]));
    t.ok(&owns("m1", 2, &[(0, &[0, 1])]));
    let all = t.member("m1").assigned_partitions.len();
    assert_eq!(all, 1);
    assert_eq!(join(&mut t, &request(&c1, &[])).unwrap().generation_id, 3);
    assert_eq!(t.state(), "Stable");
    t.advance(i64::from(SESSION_TIMEOUT_MS));
    assert!(!t.has_member(&c1), "its own session timeout counts");
}

#[test]
fn protocols_must_be_the_groups() {
    let mut t = upgraded();
    let bad = ErrorCode::InconsistentGroupProtocol;
    assert_eq!(
        join(&mut t, &JoinGroupRequest { protocol_type: "connect".into(), ..request("x", &[]) }),
        Err(bad)
    );
    assert_eq!(join(&mut t, &JoinGroupRequest { protocols: Vec::new(), ..request("x", &[]) }), Err(bad));
    let mut other = request("x", &[]);
    other.protocols[0].name = "sticky".into();
    assert_eq!(join(&mut t, &other), Err(bad));
    let mut malformed = request("x", &[]);
    malformed.protocols[0].metadata = Bytes::from_static(b"\0\x01\0");
    assert_eq!(join(&mut t, &malformed), Err(bad));
    t.config.migration_policy = ConsumerGroupMigrationPolicy::Disabled;
    assert_eq!(join(&mut t, &request("c1", &[0])), Err(bad));
}

#[test]
fn a_full_group_takes_no_classic_member_in() {
    let mut t = upgraded();
    t.config.max_size = 3;
    assert_eq!(join(&mut t, &request("x", &[])), Err(ErrorCode::GroupMaxSizeReached));
    assert!(join(&mut t, &request("c1", &[0])).is_ok());
}

#[test]
fn static_ids_are_kept_apart() {
    let mut t = TestGroup::new(&[("pagos", 4)]);
    t.ok(&joins("m0", &["pagos"]));
    t.ok(&is_static(joins("m1", &["pagos"]), "i1"));
    let named = |member_id: &str, id: &str| JoinGroupRequest {
        group_instance_id: Some(id.into()),
        ..request(member_id, &[])
    };
    assert_eq!(join(&mut t, &named("x", "i1")), Err(ErrorCode::FencedInstanceId));
    assert_eq!(join(&mut t, &named("x", "i9")), Err(ErrorCode::UnknownMemberId));
    // Who has no id and this instance id takes the member's place, whatever protocol it spoke.
    let response = join(&mut t, &named("", "i1")).unwrap();
    assert!(!t.has_member("m1") && t.member(&response.member_id).uses_classic_protocol());
    assert_eq!(t.converted, None, "m0 still speaks the new protocol");
}

#[test]
fn the_last_static_member_to_turn_classic_takes_the_group_with_it() {
    let mut t = TestGroup::new(&[("pagos", 2)]);
    t.ok(&is_static(joins("m1", &["pagos"]), "i1"));
    let generation = t.group().epoch();
    let request = JoinGroupRequest { group_instance_id: Some("i1".into()), ..request("", &[]) };
    let response = join(&mut t, &request).unwrap();
    assert_eq!(t.converted, Some("to classic"));
    let classic = t.classic.as_ref().unwrap();
    assert_eq!((classic.state().name(), classic.generation_id()), ("Stable", generation));
    assert_eq!(response.generation_id, generation);
    let member = classic.member(&response.member_id).unwrap();
    assert!(member.is_static() && !member.assignment.is_empty(), "with what the old one had");
}

#[test]
fn the_last_member_of_the_new_protocol_leaves_a_classic_group() {
    let mut t = upgraded();
    join(&mut t, &request("c1", &[0])).unwrap();
    join(&mut t, &request("c2", &[1])).unwrap();
    let generation = t.group().epoch();
    t.ok(&alive("m1", -1));
    assert_eq!(t.converted, Some("to classic"));
    let kinds: Vec<u8> = t.records.iter().map(|record| record.encode().unwrap().0[1]).collect();
    assert_eq!(kinds, [8, 8, 8, 7, 7, 7, 6, 5, 5, 5, 4, 3]);
    let classic = t.classic.as_ref().unwrap();
    assert_eq!((classic.num_members(), classic.generation_id()), (2, generation));
    assert_eq!(classic.state().name(), "PreparingRebalance", "the others take over what it had");
    assert!(classic.is_subscribed_to(&"pagos".into()));
    assert_eq!(t.timers.next_deadline(), None, "the classic group has timers of its own");
}

#[test]
fn downgrades_need_leave_and_room() {
    let stays = |change: &dyn Fn(&mut TestGroup)| {
        let mut t = upgraded();
        change(&mut t);
        t.ok(&alive("m1", -1));
        assert_eq!((t.converted, t.group().num_classic_members()), (None, 2));
    };
    stays(&|t| t.config.migration_policy = ConsumerGroupMigrationPolicy::Upgrade);
    stays(&|t| t.classic_config.classic_group_max_size = 1);
}

#[test]
fn a_group_in_the_new_protocol_keeps_its_expressions() {
    let mut t = TestGroup::new(&[("pagos", 2)]);
    t.ok(&is_static(joins_with_regex("m1", "p.*"), "i1"));
    t.resolve();
    t.ok(&joins("m2", &["pagos"]));
    let request = JoinGroupRequest { group_instance_id: Some("i1".into()), ..request("", &[]) };
    join(&mut t, &request).unwrap();
    assert!(t.group().resolved_regex(&"p.*".into()).is_none(), "classic members have none");
    assert!(matches!(t.existing(), ExistingGroup::Consumer(_)));
}

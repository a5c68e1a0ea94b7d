use super::*;
use crate::group::consumer::testing::{
    GROUP, REBALANCE_TIMEOUT_MS, TestGroup, alive, assigned, is_static, joins, kinds, names, owns,
    partitions, request_context,
};
use crate::group::consumer::{ConsumerGroupConfig, ConsumerGroupRecord};
use crate::group::modern::testing::topic_id;
use ottla_common::ErrorCode;

/// Two members of a settled group: `m1` has 0 and 1, `m2` has 2 and 3.
fn two_members() -> TestGroup {
    let mut t = TestGroup::new(&[("pagos", 4)]);
    t.ok(&joins("m1", &["pagos"]));
    t.ok(&joins("m2", &["pagos"]));
    let m1 = t.ok(&owns("m1", 2, &[(0, &[0, 1, 2, 3])]));
    assert_eq!(assigned(&m1), Some(partitions(&[(0, &[0, 1])])));
    t.ok(&owns("m1", 2, &[(0, &[0, 1])]));
    t.ok(&alive("m2", 3));
    assert_eq!(t.state(), "Stable");
    t
}

#[test]
fn the_first_member_gets_everything() {
    let mut t = TestGroup::new(&[("pagos", 2)]);
    let response = t.ok(&joins("m1", &["pagos"]));
    assert_eq!((response.error_code, response.member_epoch), (0, 2));
    assert_eq!(response.member_id, Some("m1".into()));
    assert_eq!(response.heartbeat_interval_ms, 5_000);
    assert_eq!(assigned(&response), Some(partitions(&[(0, &[0, 1])])));
    assert_eq!(kinds(&t), [5, 3, 7, 6, 8], "member, epoch, target, its epoch, what the member has");
    assert_eq!(t.state(), "Stable");
}

#[test]
fn nothing_new_writes_nothing() {
    let mut t = TestGroup::new(&[("pagos", 2)]);
    t.ok(&joins("m1", &["pagos"]));
    let response = t.ok(&alive("m1", 2));
    assert_eq!((response.member_epoch, &response.assignment), (2, &None));
    assert!(t.records.is_empty());
    let full = ConsumerGroupHeartbeatRequest { member_epoch: 2, ..joins("m1", &["pagos"]) };
    let response = t.ok(&full);
    assert_eq!(assigned(&response), Some(partitions(&[(0, &[0, 1])])), "who says all is told all");
    assert!(t.records.is_empty());
}

#[test]
fn a_second_member_waits_for_what_is_given_up() {
    let mut t = TestGroup::new(&[("pagos", 4)]);
    t.ok(&joins("m1", &["pagos"]));
    let m2 = t.ok(&joins("m2", &["pagos"]));
    assert_eq!((m2.member_epoch, assigned(&m2)), (3, Some(partitions(&[]))));
    let m1 = t.ok(&owns("m1", 2, &[(0, &[0, 1, 2, 3])]));
    assert_eq!((m1.member_epoch, assigned(&m1)), (2, Some(partitions(&[(0, &[0, 1])]))));
    assert_eq!(kinds(&t), [8]);
    assert_eq!(t.ok(&alive("m2", 3)).assignment, None, "not yet");
    let m1 = t.ok(&owns("m1", 2, &[(0, &[0, 1])]));
    assert_eq!(m1.member_epoch, 3);
    let m2 = t.ok(&alive("m2", 3));
    assert_eq!(assigned(&m2), Some(partitions(&[(0, &[2, 3])])));
    assert_eq!(t.state(), "Stable");
}

#[test]
fn members_leave_for_good() {
    let mut t = two_members();
    let response = t.ok(&alive("m2", -1));
    assert_eq!((response.member_epoch, response.member_id), (-1, Some("m2".into())));
    assert_eq!(kinds(&t), [8, 7, 5, 3]);
    assert!(!t.has_member("m2"));
    let m1 = t.ok(&alive("m1", 3));
    assert_eq!(assigned(&m1), Some(partitions(&[(0, &[0, 1, 2, 3])])));
    t.ok(&alive("m1", -1));
    assert_eq!(kinds(&t), [8, 7, 5, 3, 6], "an empty group has no target to wait for");
    assert_eq!(t.state(), "Empty");
    assert_eq!(t.group().assignment_epoch(), t.group().epoch());
    assert_eq!(t.timers.next_deadline(), None);
}

#[test]
fn a_static_member_comes_back_to_what_it_had() {
    let mut t = TestGroup::new(&[("pagos", 4)]);
    t.ok(&is_static(joins("m1", &["pagos"]), "i1"));
    let epoch = t.group().epoch();
    let response = t.ok(&is_static(alive("m1", -2), "i1"));
    assert_eq!(response.member_epoch, -2);
    assert_eq!(kinds(&t), [8]);
    assert_eq!(t.member("m1").member_epoch, -2);
    let response = t.ok(&is_static(joins("m2", &["pagos"]), "i1"));
    assert_eq!(kinds(&t), [8, 7, 5, 5, 7, 8, 8], "the old id goes, the new one comes");
    assert_eq!(response.member_epoch, epoch, "no rebalance");
    assert_eq!(assigned(&response), Some(partitions(&[(0, &[0, 1, 2, 3])])));
    assert!(!t.has_member("m1"));
    t.advance(44_000);
    t.ok(&alive("m2", epoch));
    t.advance(44_000);
    assert!(t.has_member("m2"), "the old id's session is nobody's");
}

#[test]
fn a_static_member_that_stays_away_is_out() {
    let mut t = TestGroup::new(&[("pagos", 4)]);
    t.ok(&is_static(joins("m1", &["pagos"]), "i1"));
    t.ok(&is_static(alive("m1", -2), "i1"));
    t.advance(45_000);
    assert_eq!(t.state(), "Empty");
}

#[test]
fn the_answer_with_the_newest_epoch_may_be_lost() {
    let mut t = two_members();
    t.ok(&alive("m2", -1));
    t.ok(&owns("m1", 3, &[(0, &[0, 1])]));
    assert_eq!(t.member("m1").member_epoch, 4);
    let again = t.ok(&owns("m1", 3, &[(0, &[0, 1])]));
    assert_eq!(again.member_epoch, 4);
    assert_eq!(t.heartbeat(&owns("m1", 3, &[(0, &[0, 1, 9])])), Err(ErrorCode::FencedMemberEpoch));
    assert_eq!(t.heartbeat(&alive("m1", 3)), Err(ErrorCode::FencedMemberEpoch), "it may have anything");
    assert_eq!(t.heartbeat(&owns("m1", 2, &[(0, &[])])), Err(ErrorCode::FencedMemberEpoch));
    assert_eq!(t.heartbeat(&alive("m1", 5)), Err(ErrorCode::FencedMemberEpoch));
    assert_eq!(t.ok(&joins("m1", &["pagos"])).member_epoch, 4, "who begins anew is let in");
}

#[test]
fn a_group_comes_into_being_by_joining_only() {
    let mut t = TestGroup::new(&[("pagos", 4)]);
    assert_eq!(t.heartbeat(&alive("m1", 1)), Err(ErrorCode::GroupIdNotFound));
    assert_eq!(t.heartbeat(&alive("m1", -1)), Err(ErrorCode::GroupIdNotFound));
    let other = consumer_group_heartbeat(
        &t.context(),
        &request_context(1),
        ExistingGroup::Other,
        &joins("m1", &["pagos"]),
        Uuid::ONE,
    );
    assert_eq!(other.unwrap_err().code(), ErrorCode::GroupIdNotFound);
}

#[test]
fn strangers_are_told_so() {
    let mut t = two_members();
    assert_eq!(t.heartbeat(&alive("m9", 3)), Err(ErrorCode::UnknownMemberId));
    assert_eq!(t.heartbeat(&alive("m9", -1)), Err(ErrorCode::UnknownMemberId));
    assert_eq!(t.heartbeat(&is_static(alive("m1", 3), "i9")), Err(ErrorCode::UnknownMemberId));
    assert_eq!(t.heartbeat(&is_static(alive("m1", -2), "i9")), Err(ErrorCode::UnknownMemberId));
}

#[test]
fn an_instance_id_has_one_member() {
    let mut t = TestGroup::new(&[("pagos", 4)]);
    t.ok(&is_static(joins("m1", &["pagos"]), "i1"));
    let second = is_static(joins("m2", &["pagos"]), "i1");
    assert_eq!(t.heartbeat(&second), Err(ErrorCode::UnreleasedInstanceId));
    assert_eq!(t.heartbeat(&is_static(alive("m2", 2), "i1")), Err(ErrorCode::FencedInstanceId));
    assert_eq!(t.heartbeat(&is_static(alive("m2", -1), "i1")), Err(ErrorCode::FencedInstanceId));
    assert!(t.records.iter().all(|record| !record.is_tombstone()));
}

#[test]
fn a_full_group_takes_nobody_in() {
    let mut t = TestGroup::new(&[("pagos", 4)]);
    t.config.max_size = 1;
    t.ok(&is_static(joins("m1", &["pagos"]), "i1"));
    assert_eq!(t.heartbeat(&joins("m2", &["pagos"])), Err(ErrorCode::GroupMaxSizeReached));
    t.ok(&alive("m1", 2));
    t.ok(&is_static(alive("m1", -2), "i1"));
    t.ok(&is_static(joins("m2", &["pagos"]), "i1"));
}

#[test]
fn requests_must_make_sense() {
    let mut t = TestGroup::new(&[("pagos", 4)]);
    let join = || joins("m1", &["pagos"]);
    type Request = ConsumerGroupHeartbeatRequest;
    let bad: Vec<Request> = vec![
        joins("", &["pagos"]),
        joins(" \t", &["pagos"]),
        joins(&"x".repeat(40_000), &["pagos"]),
        Request { group_id: "".into(), ..join() },
        is_static(join(), ""),
        Request { rack_id: Some("".into()), ..join() },
        Request { rebalance_timeout_ms: -1, ..join() },
        Request { topic_partitions: None, ..join() },
        Request { topic_partitions: owns("m1", 0, &[(0, &[1])]).topic_partitions, ..join() },
        Request { subscribed_topic_names: None, ..join() },
        alive("m1", -2),
        alive("m1", -3),
    ];
    for request in bad {
        assert_eq!(t.heartbeat(&request), Err(ErrorCode::InvalidRequest), "{request:?}");
    }
    assert_eq!(t.heartbeat_version(0, &alive("", 1)), Err(ErrorCode::InvalidRequest));
    assert!(t.group.is_none(), "nothing changed");
}

#[test]
fn version_0_gives_out_member_ids() {
    let mut t = TestGroup::new(&[("pagos", 4)]);
    let response = t.heartbeat_version(0, &joins("", &["pagos"])).unwrap();
    let member_id = response.member_id.unwrap();
    assert_eq!(member_id.len(), 22, "a UUID as Kafka prints it");
    assert!(t.has_member(&member_id));
}

#[test]
fn assignors_must_be_known() {
    let mut t = TestGroup::new(&[("pagos", 4)]);
    let wants = |name: &str| ConsumerGroupHeartbeatRequest {
        server_assignor: Some(name.into()),
        ..joins("m1", &["pagos"])
    };
    assert_eq!(t.heartbeat(&wants("sticky")), Err(ErrorCode::UnsupportedAssignor));
    t.ok(&joins("m1", &["pagos"]));
    let epoch = t.group().epoch();
    t.ok(&ConsumerGroupHeartbeatRequest { server_assignor: Some("range".into()), ..alive("m1", epoch) });
    assert_eq!(t.group().epoch(), epoch + 1, "another assignor, another target");
    assert_eq!(t.group().preferred_server_assignor(), Some(&"range".into()));
}

#[test]
fn another_subscription_makes_another_target() {
    let mut t = TestGroup::new(&[("pagos", 1), ("envios", 1)]);
    t.ok(&joins("m1", &["pagos"]));
    let changed = ConsumerGroupHeartbeatRequest {
        subscribed_topic_names: Some(names(&["envios"])),
        ..owns("m1", 2, &[(0, &[0])])
    };
    let response = t.ok(&changed);
    assert_eq!((response.member_epoch, assigned(&response)), (2, Some(partitions(&[]))), "first give up");
    let response = t.ok(&owns("m1", 2, &[]));
    assert_eq!((response.member_epoch, assigned(&response)), (3, Some(partitions(&[(1, &[0])]))));
}

#[test]
fn changed_topics_make_another_target() {
    let mut t = TestGroup::new(&[("pagos", 1)]);
    t.ok(&joins("m1", &["pagos"]));
    t.ok(&alive("m1", 2));
    t.metadata.put(0, "pagos", 3);
    assert_eq!(t.ok(&alive("m1", 2)).assignment, None, "nobody told the group");
    if let Some(group) = &mut t.group {
        group.request_metadata_refresh();
    }
    let response = t.ok(&alive("m1", 2));
    assert_eq!((response.member_epoch, assigned(&response)), (3, Some(partitions(&[(0, &[0, 1, 2])]))));
    assert_eq!(kinds(&t), [3, 7, 6, 8]);
}

#[test]
fn targets_keep_their_interval() {
    let mut t = TestGroup::new(&[("pagos", 4)]);
    t.config.assignment_interval_ms = 1_000;
    t.ok(&joins("m1", &["pagos"]));
    let m2 = t.ok(&joins("m2", &["pagos"]));
    assert_eq!((m2.member_epoch, t.group().epoch()), (2, 3), "in the last target's epoch, without any");
    assert_eq!(t.state(), "Assigning");
    t.advance(1_000);
    t.ok(&owns("m1", 2, &[(0, &[0, 1, 2, 3])]));
    assert_eq!(t.group().assignment_epoch(), 3);
}

#[test]
fn an_old_record_about_topics_is_deleted() {
    let mut t = TestGroup::new(&[("pagos", 4)]);
    t.ok(&joins("m1", &["pagos"]));
    let key = ottla_protocol::records::group::ConsumerGroupPartitionMetadataKey { group_id: GROUP.into() };
    let old = ConsumerGroupRecord::PartitionMetadata { key, value: Some(Default::default()) };
    if let Some(group) = &mut t.group {
        group.replay(&old);
        group.request_metadata_refresh();
    }
    t.ok(&alive("m1", 2));
    assert_eq!(kinds(&t), [4]);
    assert!(t.records[0].is_tombstone());
}

#[test]
fn a_member_in_a_newer_releases_state_must_begin_anew() {
    let mut t = TestGroup::new(&[("pagos", 4)]);
    t.ok(&joins("m1", &["pagos"]));
    if let Some(ConsumerGroupRecord::CurrentMemberAssignment { key, value: Some(value) }) = t.records.pop() {
        let value = ottla_protocol::records::group::ConsumerGroupCurrentMemberAssignmentValue {
            state: 9,
            member_epoch: 1,
            ..value
        };
        let record = ConsumerGroupRecord::CurrentMemberAssignment { key, value: Some(value) };
        t.group.as_mut().unwrap().replay(&record);
    }
    assert_eq!(t.heartbeat(&alive("m1", 1)), Err(ErrorCode::FencedMemberEpoch));
    t.ok(&joins("m1", &["pagos"]));
    assert_eq!(t.state(), "Stable");
}

#[test]
fn a_target_that_cannot_be_computed_is_an_error() {
    #[derive(Debug)]
    struct Broken;
    impl crate::group::modern::PartitionAssignor for Broken {
        fn name(&self) -> &'static str {
            "broken"
        }
        fn assign(
            &self,
            _: &crate::group::modern::GroupSpec,
            _: &dyn crate::metadata::CoordinatorMetadata,
        ) -> Result<crate::group::modern::GroupAssignment, crate::group::modern::PartitionAssignorError>
        {
            Err(crate::group::modern::PartitionAssignorError::UnknownTopic(topic_id(0)))
        }
    }
    let mut t = TestGroup::new(&[("pagos", 1)]);
    t.config = ConsumerGroupConfig { assignors: vec![Arc::new(Broken)], ..ConsumerGroupConfig::default() };
    assert_eq!(t.heartbeat(&joins("m1", &["pagos"])), Err(ErrorCode::UnknownServerError));
}

#[test]
fn big_requests_do_no_harm() {
    let mut t = TestGroup::new(&[("pagos", 2)]);
    t.ok(&joins("m1", &["pagos"]));
    let foreign: [(u128, &[i32]); 2] = [(77, &[0, 1]), (0, &[-1, i32::MAX])];
    t.ok(&owns("m1", 2, &foreign));
    let many: Vec<ByteString> = (0..10_000).map(|n| ByteString::from(format!("topic-{n}"))).collect();
    t.ok(&ConsumerGroupHeartbeatRequest { subscribed_topic_names: Some(many), ..owns("m1", 2, &[]) });
    assert_eq!(t.group().subscribed_topics().len(), 10_000);
    assert_eq!(t.member("m1").rebalance_timeout_ms, REBALANCE_TIMEOUT_MS);
}

#[test]
fn another_coordinator_finds_the_same_group() {
    let mut t = two_members();
    let before = format!("{:?}", t.group().members().collect::<Vec<_>>());
    t.restart();
    assert_eq!(format!("{:?}", t.group().members().collect::<Vec<_>>()), before);
    assert_eq!(t.state(), "Stable");
    t.ok(&alive("m1", 3));
    assert!(t.records.is_empty());
}

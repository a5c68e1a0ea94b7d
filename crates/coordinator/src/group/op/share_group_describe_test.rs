use ottla_common::ErrorCode;

use super::*;
use crate::group::modern::testing::topic_id;
use crate::group::share::testing::{GROUP, TestContext, group};

fn describe(t: &TestContext, group_id: &ByteString) -> DescribedGroup {
    t.manager().share_group_describe(group_id, t.lookup(group_id))
}

#[test]
fn a_group_is_shown_with_its_members() {
    let mut t = TestContext::new();
    let epoch = t.stable_group(&["m1", "m2"], &["envios"]);
    let described = describe(&t, &group());
    assert_eq!((described.error_code, &described.group_id[..]), (0, GROUP));
    assert_eq!((&described.group_state[..], &described.assignor_name[..]), ("Stable", "simple"));
    assert_eq!((described.group_epoch, described.assignment_epoch), (epoch, epoch));
    let ids: Vec<_> = described.members.iter().map(|member| &member.member_id[..]).collect();
    assert_eq!(ids, vec!["m1", "m2"]);
    let member = &described.members[0];
    assert_eq!((member.member_epoch, &member.subscribed_topic_names[0][..]), (epoch, "envios"));
    let topic = &member.assignment.topic_partitions[0];
    assert_eq!((topic.topic_id, &topic.topic_name[..]), (topic_id(1), "envios"));
    assert_eq!(topic.partitions.len(), 1);
}

#[test]
fn topics_that_are_gone_are_not_shown() {
    let mut t = TestContext::new();
    t.stable_group(&["m1"], &["envios"]);
    t.metadata.remove("envios");
    assert!(describe(&t, &group()).members[0].assignment.topic_partitions.is_empty());
}

#[test]
fn an_empty_group_is_shown_as_such() {
    let mut t = TestContext::new();
    t.heartbeat("m1", 0, Some(&["envios"])).unwrap();
    t.heartbeat("m1", -1, None).unwrap();
    assert_eq!(&describe(&t, &group()).group_state[..], "Empty");
}

#[test]
fn what_is_no_share_group_is_not_found() {
    let mut t = TestContext::new();
    let code = |t: &TestContext, id: &str| {
        let described = describe(t, &id.into());
        assert_eq!(&described.group_id[..], id);
        (ErrorCode::from_code(described.error_code), described.error_message.unwrap().to_string())
    };
    assert_eq!(code(&t, GROUP), (ErrorCode::GroupIdNotFound, format!("Group {GROUP} not found.")));
    assert_eq!(code(&t, "").0, ErrorCode::InvalidGroupId);
    t.others.insert(group());
    assert_eq!(code(&t, GROUP), (ErrorCode::GroupIdNotFound, format!("Group {GROUP} is not a share group.")));
}

use super::*;
use crate::group::consumer::testing::{GROUP, TestGroup, alive, is_static, joins, joins_with_regex, owns};
use crate::group::modern::testing::topic_id;
use crate::group::op::consumer_group_join::tests::upgraded;
use ottla_common::ErrorCode;

fn described(t: &TestGroup) -> DescribedGroup {
    consumer_group_describe(&t.config, &t.metadata, &GROUP.into(), t.existing())
}

fn indexes(assignment: &Assignment) -> Vec<(&str, Vec<i32>)> {
    let topics = assignment.topic_partitions.iter();
    topics.map(|topic| (&*topic.topic_name, topic.partitions.clone())).collect()
}

#[test]
fn a_group_is_described_with_what_is_on_its_way() {
    let mut t = TestGroup::new(&[("pagos", 2)]);
    t.ok(&is_static(joins("m1", &["pagos"]), "i1"));
    t.ok(&joins("m2", &["pagos"]));
    t.ok(&owns("m1", 2, &[(0, &[0, 1])]));
    let group = described(&t);
    assert_eq!((&*group.group_id, &*group.group_state), (GROUP, "Reconciling"));
    assert_eq!((group.group_epoch, group.assignment_epoch, &*group.assignor_name), (3, 3, "uniform"));
    let [m1, m2] = &group.members[..] else { panic!("{group:?}") };
    assert_eq!((&*m1.member_id, m1.instance_id.as_deref(), m1.member_epoch), ("m1", Some("i1"), 2));
    assert_eq!((&*m1.client_id, &*m1.client_host, m1.member_type), ("cliente", "/127.0.0.1", 1));
    assert_eq!(m1.subscribed_topic_names, ["pagos"]);
    assert_eq!(indexes(&m1.assignment), [("pagos", vec![0, 1])], "what it is to give up is still its own");
    assert_eq!(indexes(&m1.target_assignment), [("pagos", vec![0])]);
    assert!(indexes(&m2.assignment).is_empty());
    assert_eq!(indexes(&m2.target_assignment), [("pagos", vec![1])]);
    assert_eq!(m1.target_assignment.topic_partitions[0].topic_id, topic_id(0));
    t.metadata.remove("pagos");
    assert!(indexes(&described(&t).members[0].assignment).is_empty(), "topics that are gone are left out");
}

#[test]
fn classic_members_and_expressions_are_shown() {
    let t = upgraded();
    let types: Vec<i8> = described(&t).members.iter().map(|member| member.member_type).collect();
    assert_eq!(types, [0, 0, 1]);
    let mut t = TestGroup::new(&[("pagos", 2)]);
    t.ok(&joins_with_regex("m1", "p.*"));
    assert_eq!(described(&t).members[0].subscribed_topic_regex.as_deref(), Some("p.*"));
    t.ok(&alive("m1", -1));
    assert_eq!((&*described(&t).group_state, described(&t).members.len()), ("Empty", 0));
}

#[test]
fn what_is_none_is_not_found() {
    let t = TestGroup::new(&[]);
    for existing in [ExistingGroup::None, ExistingGroup::Other] {
        let group = consumer_group_describe(&t.config, &t.metadata, &GROUP.into(), existing);
        assert_eq!(ErrorCode::from_code(group.error_code), ErrorCode::GroupIdNotFound);
        assert!(group.error_message.is_some_and(|message| message.contains(GROUP)));
    }
}

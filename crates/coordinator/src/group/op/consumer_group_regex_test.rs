use std::collections::BTreeSet;

use ottla_common::ErrorCode;
use ottla_protocol::messages::ConsumerGroupHeartbeatRequest;

use super::*;
use crate::group::consumer::resolve_regular_expressions;
use crate::group::consumer::testing::{
    GROUP, TestGroup, alive, assigned, joins_with_regex, kinds, names, partitions,
};

#[test]
fn the_same_topics_make_no_new_epoch() {
    let mut t = TestGroup::new(&[("pagos", 1)]);
    t.ok(&joins_with_regex("m1", "p.*"));
    t.resolve();
    let epoch = t.group().epoch();
    let group = t.group().clone();
    let again =
        resolve_regular_expressions(&BTreeSet::from([ByteString::from("p.*")]), &t.metadata, t.now_ms + 5);
    let result = on_regular_expressions_resolved(&t.context(), &group, again);
    t.execute(result);
    assert_eq!((t.records.len(), t.group().epoch()), (1, epoch), "only when they were looked for");
    assert_eq!(t.group().resolved_regex(&"p.*".into()).unwrap().timestamp_ms, t.now_ms + 5);
}

#[test]
fn what_may_not_be_described_is_left_out() {
    let mut t = TestGroup::new(&[("pagos", 1), ("privado", 1)]);
    t.ok(&joins_with_regex("m1", "p.*"));
    let group = t.group().clone();
    let mut resolved =
        resolve_regular_expressions(&BTreeSet::from([ByteString::from("p.*")]), &t.metadata, t.now_ms);
    for resolved in resolved.values_mut() {
        resolved.topics.retain(|topic| topic != "privado");
    }
    let result = on_regular_expressions_resolved(&t.context(), &group, resolved);
    t.execute(result);
    assert!(t.group().is_subscribed_to("pagos") && !t.group().is_subscribed_to("privado"));
}

#[test]
fn nobody_asks_any_more() {
    let mut t = TestGroup::new(&[("pagos", 1)]);
    t.ok(&joins_with_regex("m1", "p.*"));
    t.ok(&alive("m1", -1));
    t.resolve();
    assert!(t.records.is_empty() && t.group().subscribed_topics().is_empty());
}

#[test]
fn expressions_are_resolved_behind_the_members_back() {
    let mut t = TestGroup::new(&[("pagos", 1), ("pagos-2", 1), ("envios", 1)]);
    let response = t.ok(&joins_with_regex("m1", "pagos.*"));
    assert_eq!(kinds(&t), [5, 8], "nothing to assign yet, and no epoch for it");
    assert_eq!((response.member_epoch, assigned(&response)), (1, Some(partitions(&[]))));
    let resolution = t.resolve.clone().unwrap();
    assert_eq!((&*resolution.group_id, &*resolution.member_id), (GROUP, "m1"));
    t.resolve();
    assert_eq!(kinds(&t), [16, 3]);
    let response = t.ok(&alive("m1", 1));
    let both = partitions(&[(0, &[0]), (1, &[0])]);
    assert_eq!((response.member_epoch, assigned(&response)), (2, Some(both)));
    t.ok(&joins_with_regex("m2", "pagos.*"));
    assert!(t.resolve.is_none(), "the expression is known");
    assert_eq!(t.group().subscription_type(), crate::group::modern::SubscriptionType::Homogeneous);
}

#[test]
fn expressions_are_refreshed() {
    let mut t = TestGroup::new(&[("pagos", 1)]);
    t.ok(&joins_with_regex("m1", "pagos.*"));
    t.resolve();
    t.metadata.put(5, "pagos-2", 1);
    t.new_topics_version = t.metadata.version;
    t.ok(&alive("m1", 1));
    assert!(t.resolve.is_none(), "not so soon after the last time");
    t.advance(10_001);
    let epoch = t.member("m1").member_epoch;
    t.ok(&alive("m1", epoch));
    t.resolve();
    assert!(t.group().is_subscribed_to("pagos-2"));
    t.now_ms += 10 * 60 * 1_000 + 1;
    let epoch = t.member("m1").member_epoch;
    t.ok(&alive("m1", epoch));
    assert!(t.resolve.is_some(), "every ten minutes anyway");
}

#[test]
fn an_expression_goes_with_its_last_member() {
    let mut t = TestGroup::new(&[("pagos", 1)]);
    t.ok(&joins_with_regex("m1", "p.*"));
    t.resolve();
    let names_topics = ConsumerGroupHeartbeatRequest {
        subscribed_topic_regex: Some("".into()),
        subscribed_topic_names: Some(names(&["pagos"])),
        ..alive("m1", 1)
    };
    t.ok(&names_topics);
    assert!(kinds(&t).contains(&16) && t.group().resolved_regex(&"p.*".into()).is_none());
    t.ok(&joins_with_regex("m2", "q.*"));
    t.resolve();
    t.ok(&alive("m2", -1));
    assert_eq!(kinds(&t), [8, 7, 5, 16, 3]);
}

#[test]
fn expressions_must_be_valid() {
    let mut t = TestGroup::new(&[("pagos", 1)]);
    let invalid = t.heartbeat(&joins_with_regex("m1", "pagos(?=x)"));
    assert_eq!(invalid, Err(ErrorCode::InvalidRegularExpression));
    assert!(t.group.is_none());
}

use std::collections::BTreeSet;

use super::*;
use crate::group::consumer::resolve_regular_expressions;
use crate::group::consumer::testing::{TestGroup, alive, joins_with_regex};

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

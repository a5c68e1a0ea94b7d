use super::*;
use crate::group::consumer::testing::{REBALANCE_TIMEOUT_MS, TestGroup, alive, joins, owns};
use crate::runtime::TimerChange;

#[test]
fn who_is_silent_is_out() {
    let mut t = TestGroup::new(&[("pagos", 4)]);
    t.ok(&joins("m1", &["pagos"]));
    t.advance(44_999);
    t.ok(&alive("m1", 2));
    t.advance(44_999);
    assert!(t.has_member("m1"));
    t.advance(1);
    assert_eq!(t.state(), "Empty");
}

#[test]
fn who_does_not_give_up_is_out() {
    let mut t = TestGroup::new(&[("pagos", 4)]);
    t.ok(&joins("m1", &["pagos"]));
    t.ok(&joins("m2", &["pagos"]));
    t.ok(&owns("m1", 2, &[(0, &[0, 1, 2, 3])]));
    for _ in 0..2 {
        t.advance(i64::from(REBALANCE_TIMEOUT_MS) / 2 - 1);
        t.ok(&alive("m1", 2));
    }
    t.advance(2);
    assert!(!t.has_member("m1") && t.has_member("m2"));
}

#[test]
fn who_gives_up_in_time_stays() {
    let mut t = TestGroup::new(&[("pagos", 4)]);
    t.ok(&joins("m1", &["pagos"]));
    t.ok(&joins("m2", &["pagos"]));
    t.ok(&owns("m1", 2, &[(0, &[0, 1, 2, 3])]));
    t.ok(&owns("m1", 2, &[(0, &[0, 1])]));
    t.advance(i64::from(REBALANCE_TIMEOUT_MS) + 1);
    assert!(t.has_member("m1"));
}

#[test]
fn a_timer_of_another_epoch_means_nothing() {
    let mut t = TestGroup::new(&[("pagos", 4)]);
    t.ok(&joins("m1", &["pagos"]));
    let timer = ConsumerGroupTimer::Rebalance("grupo".into(), "m1".into());
    let event = ConsumerGroupTimerEvent { timer, member_epoch: 1 };
    let result = on_consumer_group_timer(&t.context(), t.group(), &event);
    assert!(result.decision.records.is_empty());
    let timer = ConsumerGroupTimer::Session("grupo".into(), "nadie".into());
    let event = ConsumerGroupTimerEvent { timer, member_epoch: 0 };
    assert!(on_consumer_group_timer(&t.context(), t.group(), &event).decision.records.is_empty());
}

#[test]
fn a_new_coordinator_gives_everybody_a_sessions_time() {
    let mut t = TestGroup::new(&[("pagos", 4)]);
    t.ok(&joins("m1", &["pagos"]));
    t.ok(&joins("m2", &["pagos"]));
    t.ok(&owns("m1", 2, &[(0, &[0, 1, 2, 3])]));
    let result = on_consumer_group_loaded(&t.context(), t.group());
    assert!(result.decision.records.is_empty());
    let mut deadlines: Vec<_> = Vec::new();
    for change in result.decision.timers {
        let TimerChange::Schedule { key, deadline_ms, .. } = change else { panic!("only new timers") };
        deadlines.push((key, deadline_ms - t.now_ms));
    }
    deadlines.sort();
    let ids = |member: &'static str| ("grupo".into(), member.into());
    let session = |member| ConsumerGroupTimer::Session(ids(member).0, ids(member).1);
    let rebalance = ConsumerGroupTimer::Rebalance(ids("m1").0, ids("m1").1);
    assert_eq!(deadlines, [(session("m1"), 45_000), (session("m2"), 45_000), (rebalance, 30_000)]);
}

//! A member and the answers of its coordinator.

use std::collections::BTreeSet;
use std::time::Duration;

use ottla_common::{ErrorCode, TopicPartition, Uuid};
use tokio::time::Instant;

use super::requests::{consumer_heartbeat, share_heartbeat};
use super::state::{Beat, BeatAnswer, NextBeat};
use super::{Assignment, GroupIdentity, GroupKind, GroupMember, MemberSettings, TopicSubscription, resolve};
use crate::{ClientError, Metadata, TopicMetadata};

const INTERVAL: Duration = Duration::from_secs(3);
const MAX_POLL: Duration = Duration::from_secs(300);

fn settings(is_static: bool) -> MemberSettings {
    MemberSettings {
        is_static,
        acknowledges: true,
        max_poll_interval: MAX_POLL,
        retry_backoff: Duration::from_millis(100),
        retry_backoff_max: Duration::from_secs(1),
    }
}

fn topics(names: &[&str]) -> TopicSubscription {
    TopicSubscription { names: names.iter().map(|n| (*n).into()).collect(), regex: None }
}

fn partitions(indexes: &[i32]) -> Assignment {
    Assignment::from([(Uuid::from_u128(9), indexes.iter().copied().collect::<BTreeSet<_>>())])
}

fn answer(code: ErrorCode) -> BeatAnswer {
    BeatAnswer { code, message: None, member_id: None, epoch: 0, interval: INTERVAL, assignment: None }
}

fn success(epoch: i32, assignment: Option<Assignment>) -> BeatAnswer {
    BeatAnswer { epoch, assignment, ..answer(ErrorCode::None) }
}

fn sent(member: &mut GroupMember, now: Instant) -> Beat {
    match member.next(now) {
        NextBeat::Send(beat) => beat,
        NextBeat::Wait(until) => panic!("waits until {until:?} at {now:?}"),
    }
}

/// A member of epoch 1 that owns partition 0, with nothing to tell.
fn settled(is_static: bool, now: Instant) -> GroupMember {
    let mut member = GroupMember::new(settings(is_static), "m".into(), topics(&["t"]), now);
    sent(&mut member, now);
    member.on_answer(now, success(1, Some(partitions(&[0]))));
    let (revision, in_part, target) = member.to_apply().unwrap();
    assert!(!in_part);
    member.applied(revision, target);
    let beat = sent(&mut member, now);
    assert_eq!(beat.owned, Some(partitions(&[0])));
    member.on_answer(now, success(1, None));
    assert_eq!(member.next(now), NextBeat::Wait(Some(now + INTERVAL)));
    member
}

#[test]
fn joining_tells_everything_and_a_settled_member_nothing() {
    let now = Instant::now();
    let mut member = GroupMember::new(settings(false), "m".into(), topics(&["b", "a"]), now);
    let beat = sent(&mut member, now);
    assert_eq!((beat.epoch, beat.full, &*beat.member_id), (0, true, "m"));
    assert_eq!(beat.names, Some(vec!["a".into(), "b".into()]));
    assert_eq!((beat.regex, beat.owned), (None, Some(Assignment::new())));
    assert_eq!(member.identity(), None);
    member.on_answer(now, success(3, Some(Assignment::new())));
    assert_eq!(member.identity(), Some(("m".into(), 3)));
    assert_eq!(member.to_apply(), None, "nothing was given");
    assert_eq!(member.next(now), NextBeat::Wait(Some(now + INTERVAL)));
    let beat = sent(&mut member, now + INTERVAL);
    let quiet = Beat { member_id: "m".into(), epoch: 3, full: false, names: None, regex: None, owned: None };
    assert_eq!(beat, quiet);
}

#[test]
fn what_is_revoked_is_given_up_before_it_is_acknowledged() {
    let now = Instant::now();
    let mut member = settled(false, now);
    let now = now + INTERVAL;
    sent(&mut member, now);
    member.on_answer(now, success(1, Some(Assignment::new())));
    assert_eq!(member.next(now), NextBeat::Wait(Some(now + INTERVAL)), "nothing is given up yet");
    let beat = sent(&mut member, now + INTERVAL);
    assert_eq!(beat.owned, None);
    let (revision, _, target) = member.to_apply().unwrap();
    member.applied(revision, target);
    assert_eq!(sent(&mut member, now + INTERVAL).owned, Some(Assignment::new()), "at once");
}

#[test]
fn unknown_topics_are_acknowledged_in_part_and_tried_again() {
    let now = Instant::now();
    let mut member = settled(false, now);
    let mut target = partitions(&[0]);
    target.insert(Uuid::from_u128(10), BTreeSet::from([5]));
    sent(&mut member, now + INTERVAL);
    member.on_answer(now, success(2, Some(target.clone())));
    let (revision, _, wanted) = member.to_apply().unwrap();
    let mut metadata = Metadata::default();
    let known = TopicMetadata {
        name: "t".into(),
        topic_id: Uuid::from_u128(9),
        is_internal: false,
        error: ErrorCode::None,
        partitions: Vec::new(),
    };
    metadata.topics.insert("t".into(), known);
    let (resolved, named) = resolve(&metadata, &wanted);
    assert_eq!((resolved.clone(), named), (partitions(&[0]), vec![TopicPartition::new("t", 0)]));
    member.applied(revision, resolved);
    assert_eq!(sent(&mut member, now).owned, Some(partitions(&[0])));
    assert_eq!(member.to_apply(), Some((revision, true, target)));
}

#[test]
fn a_fenced_member_lets_go_and_joins_again() {
    for code in [ErrorCode::FencedMemberEpoch, ErrorCode::UnknownMemberId] {
        let now = Instant::now();
        let mut member = settled(false, now);
        sent(&mut member, now + INTERVAL);
        assert!(!member.on_answer(now + INTERVAL, answer(code)));
        assert!(member.must_release() && member.identity().is_none() && member.to_apply().is_none());
        assert_eq!(member.next(now + INTERVAL), NextBeat::Wait(None));
        member.released(now + INTERVAL);
        let beat = sent(&mut member, now + INTERVAL);
        assert_eq!((beat.epoch, beat.full, beat.owned), (0, true, Some(Assignment::new())));
        member.on_answer(now + INTERVAL, success(7, Some(partitions(&[0]))));
        assert!(member.to_apply().is_some(), "the same partitions are new to a new member");
    }
}

#[test]
fn who_does_not_poll_leaves_until_the_next_poll() {
    for (is_static, epoch) in [(false, -1), (true, -2)] {
        let start = Instant::now();
        let mut member = settled(is_static, start);
        let late = start + MAX_POLL + Duration::from_secs(1);
        assert_eq!(sent(&mut member, late).epoch, epoch);
        member.on_answer(late, success(-1, None));
        assert!(member.must_release());
        assert_eq!(member.next(late), NextBeat::Wait(None));
        member.released(late);
        assert_eq!(sent(&mut member, late).epoch, 0);
    }
}

#[test]
fn leaving_says_so_once_and_only_to_who_knows_the_member() {
    let now = Instant::now();
    for (is_static, epoch) in [(false, -1), (true, -2)] {
        let mut member = settled(is_static, now);
        assert_eq!(member.leave().unwrap().epoch, epoch);
        assert_eq!(member.leave(), None);
        assert_eq!(member.next(now), NextBeat::Wait(None));
    }
    let mut stranger = GroupMember::new(settings(false), "m".into(), topics(&["t"]), now);
    assert_eq!(stranger.leave(), None);
}

#[test]
fn failures_are_repeated_in_full_after_a_pause() {
    let now = Instant::now();
    let mut member = settled(false, now);
    let mut now = now + INTERVAL;
    for (code, elsewhere) in [
        (ErrorCode::NotCoordinator, true),
        (ErrorCode::CoordinatorNotAvailable, true),
        (ErrorCode::CoordinatorLoadInProgress, false),
    ] {
        sent(&mut member, now);
        assert_eq!(member.on_answer(now, answer(code)), elsewhere, "{code}");
        let NextBeat::Wait(Some(next)) = member.next(now) else { panic!("no pause after {code}") };
        assert!(next > now && next <= now + Duration::from_secs(1));
        now = next;
    }
    sent(&mut member, now);
    member.on_failure(now, ClientError::Disconnected { address: "a:1".into(), api: None });
    let beat = sent(&mut member, now + Duration::from_secs(1));
    assert_eq!((beat.names, beat.owned), (Some(vec!["t".into()]), Some(partitions(&[0]))));
    assert!(beat.full, "the coordinator may have heard nothing");
    assert_eq!(beat.epoch, 1);
}

#[test]
fn a_new_subscription_is_told_at_once() {
    let now = Instant::now();
    let mut member = settled(false, now);
    member.subscribe(TopicSubscription { names: BTreeSet::new(), regex: Some("a.*".into()) });
    let beat = sent(&mut member, now);
    assert_eq!((beat.names, beat.regex, beat.owned), (Some(Vec::new()), Some("a.*".into()), None));
    member.on_answer(now, success(2, None));
    member.subscribe(topics(&["u"]));
    let beat = sent(&mut member, now);
    assert_eq!((beat.names, beat.regex), (Some(vec!["u".into()]), Some("".into())));
}

#[test]
fn some_errors_end_the_membership() {
    for code in [
        ErrorCode::GroupAuthorizationFailed,
        ErrorCode::InvalidRequest,
        ErrorCode::GroupMaxSizeReached,
        ErrorCode::UnsupportedAssignor,
        ErrorCode::UnreleasedInstanceId,
        ErrorCode::FencedInstanceId,
        ErrorCode::InvalidRegularExpression,
        ErrorCode::UnsupportedVersion,
        ErrorCode::GroupIdNotFound,
    ] {
        let now = Instant::now();
        let mut member = settled(false, now);
        sent(&mut member, now + INTERVAL);
        member.on_answer(now + INTERVAL, answer(code));
        assert_eq!(member.error().and_then(|e| e.code()), Some(code));
        assert!(member.error().is_some(), "for ever");
        assert_eq!(member.next(now + INTERVAL), NextBeat::Wait(None));
    }
}

#[test]
fn a_forbidden_topic_is_told_once_and_the_member_stays() {
    let now = Instant::now();
    let mut member = settled(false, now);
    sent(&mut member, now + INTERVAL);
    member.on_answer(now + INTERVAL, answer(ErrorCode::TopicAuthorizationFailed));
    assert_eq!(member.error().and_then(|e| e.code()), Some(ErrorCode::TopicAuthorizationFailed));
    assert!(member.error().is_none() && member.identity().is_some());
}

#[test]
fn requests_say_what_their_group_knows() {
    let now = Instant::now();
    let kind = GroupKind::Consumer {
        instance_id: Some("i".into()),
        rebalance_timeout: MAX_POLL,
        assignor: Some("uniform".into()),
    };
    let group = GroupIdentity { group_id: "g".into(), rack: Some("r".into()), kind };
    let mut member = GroupMember::new(settings(true), "m".into(), topics(&["t"]), now);
    let beat = sent(&mut member, now);
    let request = consumer_heartbeat(&group, beat.clone());
    assert_eq!((&*request.group_id, request.rebalance_timeout_ms), ("g", 300_000));
    assert_eq!(request.server_assignor.as_deref(), Some("uniform"));
    assert_eq!(request.topic_partitions, Some(Vec::new()));
    member.on_answer(now, success(1, None));
    let request = consumer_heartbeat(&group, sent(&mut member, now + INTERVAL));
    assert_eq!((request.instance_id.as_deref(), request.rebalance_timeout_ms), (Some("i"), -1));
    assert!(request.server_assignor.is_none() && request.rack_id.is_none());
    let request = share_heartbeat(&GroupIdentity { kind: GroupKind::Share, ..group }, beat);
    assert_eq!((request.member_epoch, request.rack_id.as_deref()), (0, Some("r")));
    assert_eq!(request.subscribed_topic_names, Some(vec!["t".into()]));
}

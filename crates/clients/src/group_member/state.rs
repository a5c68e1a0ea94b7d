//! What a member says to its coordinator, and what it makes of the answers. No IO, no clock.

use std::collections::BTreeSet;
use std::time::Duration;

use bytestring::ByteString;
use ottla_common::ErrorCode;
use tokio::time::Instant;

use super::Assignment;
use crate::ClientError;

/// The epoch of a member that joins.
const JOIN_EPOCH: i32 = 0;
/// The epoch of a member that leaves for good.
const LEAVE_EPOCH: i32 = -1;
/// The epoch of a static member that leaves for a while.
const LEAVE_STATIC_EPOCH: i32 = -2;

/// What does not change while a member lives.
#[derive(Debug, Clone)]
pub(crate) struct MemberSettings {
    /// Whether it has a `group.instance.id`.
    pub(crate) is_static: bool,
    /// Whether the coordinator wants to know when partitions were given up and taken over.
    pub(crate) acknowledges: bool,
    pub(crate) max_poll_interval: Duration,
    pub(crate) retry_backoff: Duration,
    pub(crate) retry_backoff_max: Duration,
}

/// What a member wants to read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct TopicSubscription {
    pub(crate) names: BTreeSet<ByteString>,
    /// An expression the coordinator matches topics against.
    pub(crate) regex: Option<ByteString>,
}

/// A heartbeat. What is `None` has not changed since the coordinator was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Beat {
    pub(crate) member_id: ByteString,
    pub(crate) epoch: i32,
    /// Whether it tells what only changes with a new membership, too.
    pub(crate) full: bool,
    pub(crate) names: Option<Vec<ByteString>>,
    /// Empty when there is none any more.
    pub(crate) regex: Option<ByteString>,
    pub(crate) owned: Option<Assignment>,
}

/// What a coordinator answered.
#[derive(Debug, Clone)]
pub(crate) struct BeatAnswer {
    pub(crate) code: ErrorCode,
    pub(crate) message: Option<ByteString>,
    pub(crate) member_id: Option<ByteString>,
    pub(crate) epoch: i32,
    pub(crate) interval: Duration,
    pub(crate) assignment: Option<Assignment>,
}

/// What the member has to do now.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NextBeat {
    /// Send this.
    Send(Beat),
    /// Wait, unless something changes; for good where there is no time.
    Wait(Option<Instant>),
}

/// How a member stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MemberState {
    /// On its way in.
    Joining,
    /// In.
    Member,
    /// The group went on without it; it joins again once it let go of its partitions.
    Fenced,
    /// It left because the application was away for too long, and joins again with the next poll.
    Stale,
    /// Out.
    Left,
    /// Never in again.
    Fatal,
}

/// What the coordinator was told, as far as it is known to have heard it.
#[derive(Debug, Default)]
struct Told {
    anything: bool,
    names: Option<BTreeSet<ByteString>>,
    regex: Option<ByteString>,
    owned_revision: Option<u64>,
    constants: bool,
}

/// A member of a group whose coordinator shares out the partitions.
#[derive(Debug)]
pub(crate) struct GroupMember {
    settings: MemberSettings,
    id: ByteString,
    epoch: i32,
    state: MemberState,
    subscription: TopicSubscription,
    told: Told,
    /// What the coordinator wants this member to have, and how often that changed.
    target: Assignment,
    target_revision: u64,
    /// What this member has, and how often that changed.
    owned: Assignment,
    owned_revision: u64,
    applied_revision: u64,
    polled: Instant,
    next: Instant,
    failures: u32,
    fatal: Option<ClientError>,
    complaint: Option<ClientError>,
}

impl GroupMember {
    pub(crate) fn new(
        settings: MemberSettings,
        id: ByteString,
        subscription: TopicSubscription,
        now: Instant,
    ) -> Self {
        Self {
            settings,
            id,
            epoch: JOIN_EPOCH,
            state: MemberState::Joining,
            subscription,
            told: Told::default(),
            target: Assignment::new(),
            target_revision: 0,
            owned: Assignment::new(),
            owned_revision: 0,
            applied_revision: 0,
            polled: now,
            next: now,
            failures: 0,
            fatal: None,
            complaint: None,
        }
    }

    /// What to do now. What it says to send counts as told.
    pub(crate) fn next(&mut self, now: Instant) -> NextBeat {
        if !self.is_in_group() {
            return NextBeat::Wait(None);
        }
        let limit = self.polled + self.settings.max_poll_interval;
        if now > limit {
            self.state = MemberState::Stale;
            return NextBeat::Send(self.farewell());
        }
        if (self.has_news() && self.failures == 0) || now >= self.next {
            return NextBeat::Send(self.beat(now));
        }
        NextBeat::Wait(Some(self.next.min(limit + Duration::from_millis(1))))
    }

    /// The coordinator answered. Says whether somebody else has to be asked from now on.
    pub(crate) fn on_answer(&mut self, now: Instant, answer: BeatAnswer) -> bool {
        if !self.is_in_group() {
            return false;
        }
        if answer.code.is_none() {
            self.on_success(now, answer);
            return false;
        }
        self.told = Told { anything: true, ..Told::default() };
        let error = ClientError::api("heartbeat", answer.code, answer.message.as_deref());
        match answer.code {
            ErrorCode::NotCoordinator | ErrorCode::CoordinatorNotAvailable => {
                self.back_off(now);
                return true;
            }
            ErrorCode::FencedMemberEpoch | ErrorCode::UnknownMemberId => {
                tracing::info!("Member {} has to join again: {error}", self.id);
                self.state = MemberState::Fenced;
            }
            // Allowed or not, the member stays: permissions may come.
            ErrorCode::TopicAuthorizationFailed => {
                self.complaint = Some(error);
                self.back_off(now);
            }
            code if code.is_retriable() => self.back_off(now),
            _ => self.give_up(error),
        }
        false
    }

    /// No answer came.
    pub(crate) fn on_failure(&mut self, now: Instant, error: ClientError) {
        self.told = Told { anything: true, ..Told::default() };
        let worth = error.is_retriable() || error.code() == Some(ErrorCode::BrokerNotAvailable);
        if worth {
            tracing::debug!("No heartbeat of member {}: {error}", self.id);
            self.back_off(now);
        } else if self.is_in_group() {
            self.give_up(error);
        }
    }

    /// The application is alive.
    pub(crate) fn polled(&mut self, now: Instant) {
        self.polled = now;
    }

    /// The application wants something else.
    pub(crate) fn subscribe(&mut self, subscription: TopicSubscription) {
        self.subscription = subscription;
    }

    /// Whether the partitions are lost and have to be let go before the member joins again.
    pub(crate) fn must_release(&self) -> bool {
        matches!(self.state, MemberState::Fenced | MemberState::Stale)
    }

    /// They were let go.
    pub(crate) fn released(&mut self, now: Instant) {
        if !self.must_release() {
            return;
        }
        self.state = MemberState::Joining;
        self.epoch = JOIN_EPOCH;
        self.target = Assignment::new();
        self.owned = Assignment::new();
        self.applied_revision = self.target_revision;
        self.polled = now;
        self.next = now;
        self.failures = 0;
    }

    /// The partitions the coordinator wants this member to have, where they differ from those it
    /// has; with their revision, and whether that was [applied](Self::applied) in part already.
    pub(crate) fn to_apply(&self) -> Option<(u64, bool, Assignment)> {
        let settled = self.state != MemberState::Member || self.owned == self.target;
        let in_part = self.applied_revision == self.target_revision;
        (!settled).then(|| (self.target_revision, in_part, self.target.clone()))
    }

    /// The member has let go of what it had to give up, and taken over these.
    pub(crate) fn applied(&mut self, revision: u64, owned: Assignment) {
        if self.state != MemberState::Member {
            return;
        }
        self.applied_revision = revision;
        self.owned = owned;
        self.owned_revision += 1;
    }

    /// Leaves. There is nothing to say where the coordinator never heard of the member.
    pub(crate) fn leave(&mut self) -> Option<Beat> {
        let known = self.is_in_group() && self.told.anything;
        if self.state != MemberState::Fatal {
            self.state = MemberState::Left;
        }
        known.then(|| self.farewell())
    }

    /// The id and the epoch, while there is a place in the group.
    pub(crate) fn identity(&self) -> Option<(ByteString, i32)> {
        (self.state == MemberState::Member).then(|| (self.id.clone(), self.epoch))
    }

    /// The id, which outlives the place.
    pub(crate) fn id(&self) -> &ByteString {
        &self.id
    }

    /// What the application has to hear: what ended the membership, or a complaint, once.
    pub(crate) fn error(&mut self) -> Option<ClientError> {
        self.fatal.clone().or_else(|| self.complaint.take())
    }

    fn on_success(&mut self, now: Instant, answer: BeatAnswer) {
        self.failures = 0;
        self.next = now + answer.interval;
        if answer.epoch < 0 {
            return;
        }
        if let Some(id) = answer.member_id.filter(|id| !id.is_empty()) {
            self.id = id;
        }
        self.epoch = answer.epoch;
        self.state = MemberState::Member;
        if let Some(target) = answer.assignment
            && target != self.target
        {
            self.target = target;
            self.target_revision += 1;
        }
    }

    fn is_in_group(&self) -> bool {
        matches!(self.state, MemberState::Joining | MemberState::Member)
    }

    /// Whether something is to be told before the next heartbeat is due.
    fn has_news(&self) -> bool {
        let told = &self.told;
        let acknowledged =
            !self.settings.acknowledges || told.owned_revision.is_none_or(|r| r == self.owned_revision);
        let subscribed = told.names.as_ref().is_none_or(|names| *names == self.subscription.names)
            && told.regex == self.subscription.regex;
        !told.anything || !acknowledged || !subscribed
    }

    fn beat(&mut self, now: Instant) -> Beat {
        let full = self.state == MemberState::Joining;
        let names_changed = self.told.names.as_ref() != Some(&self.subscription.names);
        let regex_changed = self.told.regex != self.subscription.regex;
        let owned_changed = self.told.owned_revision != Some(self.owned_revision);
        let regex = self.subscription.regex.clone();
        let tells_regex = regex_changed || (full && regex.is_some());
        let beat = Beat {
            member_id: self.id.clone(),
            epoch: self.epoch,
            full: full || !self.told.constants,
            names: (full || names_changed).then(|| self.subscription.names.iter().cloned().collect()),
            regex: tells_regex.then(|| regex.clone().unwrap_or_default()),
            owned: (self.settings.acknowledges && (full || owned_changed)).then(|| self.owned.clone()),
        };
        self.told = Told {
            anything: true,
            names: Some(self.subscription.names.clone()),
            regex,
            owned_revision: Some(self.owned_revision),
            constants: true,
        };
        // The answer says when the next one is due. Until then, it is not.
        self.next = now + self.settings.max_poll_interval;
        beat
    }

    fn farewell(&mut self) -> Beat {
        self.told = Told::default();
        let epoch = if self.settings.is_static { LEAVE_STATIC_EPOCH } else { LEAVE_EPOCH };
        let member_id = self.id.clone();
        Beat { member_id, epoch, full: false, names: None, regex: None, owned: None }
    }

    fn back_off(&mut self, now: Instant) {
        let pause = self.settings.retry_backoff.saturating_mul(1 << self.failures.min(16));
        self.failures = self.failures.saturating_add(1);
        self.next = now + pause.min(self.settings.retry_backoff_max);
    }

    fn give_up(&mut self, error: ClientError) {
        tracing::warn!("Member {} is out of its group: {error}", self.id);
        self.state = MemberState::Fatal;
        self.fatal = Some(error);
    }
}

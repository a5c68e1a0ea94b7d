//! A decision about one group in the making.

use std::sync::Arc;

use bytestring::ByteString;

use super::{
    ConsumerGroup, ConsumerGroupChange, ConsumerGroupContext, ConsumerGroupMember, ConsumerGroupRecord,
    ConsumerGroupResult, ConsumerGroupTimer, ConsumerGroupTimerEvent, Conversion, RegexResolution,
    ResolvedRegularExpression, record_of,
};
use crate::group::GroupReply;
use crate::group::modern::{Decision, MetadataRefresh, metadata_hash};
use crate::runtime::Token;

/// The copy of the group that the records so far are replayed into, and what is to follow.
///
/// Replaying is how the group itself will change later; so every step sees what will be.
#[derive(Debug)]
pub(crate) struct Work<'a> {
    pub(crate) context: &'a ConsumerGroupContext<'a>,
    pub(crate) group: ConsumerGroup,
    pub(super) replies: Vec<(Token, GroupReply)>,
    pub(super) conversion: Option<Conversion>,
    pub(crate) resolve: Option<RegexResolution>,
    decision: Decision<(), ConsumerGroupRecord, ConsumerGroupTimer, ConsumerGroupTimerEvent>,
    changes: Vec<ConsumerGroupChange>,
}

impl<'a> Work<'a> {
    pub(crate) fn on(context: &'a ConsumerGroupContext<'a>, group: ConsumerGroup) -> Self {
        Self {
            context,
            group,
            replies: Vec::new(),
            conversion: None,
            resolve: None,
            decision: Decision::of(()),
            changes: Vec::new(),
        }
    }

    pub(crate) fn decided<T>(self, response: T) -> ConsumerGroupResult<T> {
        ConsumerGroupResult {
            decision: self.decision.map(|()| response),
            changes: self.changes,
            replies: self.replies,
            conversion: self.conversion,
            resolve: self.resolve,
        }
    }

    /// Adds a record, and looks at the group as if it was written.
    pub(crate) fn write(&mut self, record: ConsumerGroupRecord) {
        let lives = self.group.replay(&record);
        debug_assert!(lives, "a group that is deleted is worked on no more");
        self.decision.records.push(record);
    }

    /// Writes what a member says about itself.
    pub(crate) fn write_member(&mut self, member: &ConsumerGroupMember) {
        self.write(record_of::member(&self.group.group_id, member));
    }

    /// Writes what a member has.
    pub(crate) fn write_current(&mut self, member: &ConsumerGroupMember) {
        self.write(record_of::current(&self.group.group_id, member));
    }

    /// Writes that a member is no more.
    pub(crate) fn write_member_tombstones(&mut self, member_id: &ByteString) {
        let group_id = self.group.group_id.clone();
        self.write(record_of::current_tombstone(&group_id, member_id));
        self.write(record_of::target_tombstone(&group_id, member_id));
        self.write(record_of::member_tombstone(&group_id, member_id));
    }

    /// Writes the topics that an expression matches.
    pub(crate) fn write_regex(&mut self, regex: &ByteString, resolved: &Arc<ResolvedRegularExpression>) {
        self.write(record_of::regular_expression(&self.group.group_id, regex, resolved));
    }

    /// Writes that an expression is used no more.
    pub(crate) fn write_regex_tombstone(&mut self, regex: &ByteString) {
        self.write(record_of::regular_expression_tombstone(&self.group.group_id, regex));
    }

    /// Writes the next group epoch.
    pub(crate) fn bump_epoch(&mut self, metadata_hash: i64) {
        let epoch = self.group.epoch.saturating_add(1);
        assert!(epoch > self.group.epoch || epoch == i32::MAX, "GROUP-EPOCH-MONOTONIC");
        self.write(record_of::epoch(&self.group.group_id, epoch, metadata_hash));
    }

    /// The hash of the topics that the group reads now.
    pub(crate) fn metadata_hash(&self) -> i64 {
        metadata_hash(self.group.subscribed_topics.names(), self.context.metadata)
    }

    /// Looks at the topics: a change of theirs, or any other reason to, makes for another group epoch.
    pub(crate) fn refresh_metadata(&mut self, bump: bool) {
        let hash = self.metadata_hash();
        if bump || hash != self.group.metadata_hash {
            self.bump_epoch(hash);
        }
        self.metadata_refreshed();
        if self.group.has_subscription_metadata_record {
            self.write(record_of::subscription_metadata_tombstone(&self.group.group_id));
        }
    }

    /// Notes that the topics need not be looked at again.
    pub(crate) fn metadata_refreshed(&mut self) {
        let refresh = MetadataRefresh::done(self.context.now_ms, self.group.epoch);
        self.change(ConsumerGroupChange::MetadataRefreshed(refresh));
    }

    /// Notes a change that is not in the log.
    pub(crate) fn change(&mut self, change: ConsumerGroupChange) {
        self.group.apply(&change);
        self.changes.push(change);
    }

    /// Starts the member's session anew.
    pub(crate) fn schedule_session(&mut self, member_id: &ByteString, timeout_ms: i32) {
        let timer = ConsumerGroupTimer::Session(self.group.group_id.clone(), member_id.clone());
        self.schedule(timer, timeout_ms, 0);
    }

    /// Gives the member so much time to give partitions up.
    pub(crate) fn schedule_rebalance(&mut self, member: &ConsumerGroupMember) {
        let group_id = self.group.group_id.clone();
        let timer = ConsumerGroupTimer::Rebalance(group_id, member.member_id.clone());
        self.schedule(timer, member.rebalance_timeout_ms, member.member_epoch);
    }

    /// Asks a classic member to join again, once: its time does not begin anew when it is asked again.
    pub(crate) fn ask_to_join(&mut self, member: &ConsumerGroupMember) {
        if self.group.asked_to_join.contains(&member.member_id) {
            return;
        }
        let timer = ConsumerGroupTimer::Join(self.group.group_id.clone(), member.member_id.clone());
        self.schedule(timer, member.rebalance_timeout_ms, 0);
        self.change(ConsumerGroupChange::AskedToJoin(member.member_id.clone()));
    }

    /// A classic member joined.
    pub(crate) fn joined(&mut self, member_id: &ByteString) {
        self.cancel(ConsumerGroupTimer::Join(self.group.group_id.clone(), member_id.clone()));
        self.change(ConsumerGroupChange::Joined(member_id.clone()));
    }

    /// Stops every timer of a member.
    pub(crate) fn cancel_timers(&mut self, member_id: &ByteString) {
        let ids = || (self.group.group_id.clone(), member_id.clone());
        let timers = [
            ConsumerGroupTimer::Session(ids().0, ids().1),
            ConsumerGroupTimer::Rebalance(ids().0, ids().1),
            ConsumerGroupTimer::Join(ids().0, ids().1),
            ConsumerGroupTimer::Sync(ids().0, ids().1),
        ];
        for timer in timers {
            self.cancel(timer);
        }
    }

    pub(crate) fn schedule(&mut self, timer: ConsumerGroupTimer, timeout_ms: i32, member_epoch: i32) {
        let event = ConsumerGroupTimerEvent { timer: timer.clone(), member_epoch };
        self.decision.schedule(self.context.now_ms, timeout_ms, timer, event);
    }

    pub(crate) fn cancel(&mut self, timer: ConsumerGroupTimer) {
        self.decision.cancel(timer);
    }

    /// Adds a record that is not tried on the copy, whose end it is.
    pub(super) fn push(&mut self, record: ConsumerGroupRecord) {
        self.decision.records.push(record);
    }
}

//! What happens in streams groups when nobody does anything: sessions end, rebalances take too long,
//! first assignments have waited long enough; and which of that is to be watched after a log was loaded.

use super::streams_group_leave::fence;
use crate::group::modern::{can_compute_next_target_assignment, metadata_hash};
use crate::group::owned;
use crate::group::streams::assignor::StickyTaskAssignor;
use crate::group::streams::soft_state::SoftChange;
use crate::group::streams::topics::configure_topics;
use crate::group::streams::{
    StreamsDecision, StreamsGroup, StreamsGroupContext, StreamsGroupTimer, StreamsMemberState,
    TargetAssignmentBuilder,
};
use crate::runtime::TimerChange;

impl StreamsGroupContext<'_> {
    /// A timer of this group fired. Its group or member may be gone by now.
    pub fn on_timer(&self, timer: &StreamsGroupTimer) -> StreamsDecision<()> {
        let nothing = StreamsDecision::of(());
        match (timer, self.group) {
            (StreamsGroupTimer::Session { member_id, .. }, Some(group)) => {
                group.member(member_id).map_or(nothing, |member| fence(group, member))
            }
            (StreamsGroupTimer::Rebalance { member_id, .. }, Some(group)) => match group.member(member_id) {
                // A static member that left for a while has its session to come back.
                Ok(member)
                    if member.state == StreamsMemberState::UnrevokedTasks && member.member_epoch >= 0 =>
                {
                    fence(group, member)
                }
                _ => nothing,
            },
            (StreamsGroupTimer::InitialRebalance { group_id }, group) => {
                let mut decision = group.map_or(nothing, |group| self.first_assignment(group));
                let over = SoftChange::InitialRebalancePending(false);
                decision.changes.push(self.change(group_id, over));
                decision
            }
            (_, None) => nothing,
        }
    }

    /// The timers of a group that was found in the log.
    pub fn on_loaded(&self) -> Vec<TimerChange<StreamsGroupTimer, StreamsGroupTimer>> {
        let mut timers = Vec::new();
        let Some(group) = self.group else { return timers };
        for member in group.members() {
            let (group_id, member_id) = (owned(group.group_id()), owned(&member.member_id));
            let rebalance =
                StreamsGroupTimer::Rebalance { group_id: group_id.clone(), member_id: member_id.clone() };
            let session = StreamsGroupTimer::Session { group_id, member_id };
            timers.push(session.after(self.now_ms, self.config.session_timeout_ms));
            if member.state == StreamsMemberState::UnrevokedTasks {
                timers.push(rebalance.after(self.now_ms, member.rebalance_timeout_ms));
            }
        }
        timers
    }

    /// The assignment that members were told to wait for. Should it fail, the next heartbeat tries again.
    fn first_assignment(&self, group: &StreamsGroup) -> StreamsDecision<()> {
        let nothing = StreamsDecision::of(());
        let (timestamp_ms, interval_ms) =
            (group.assignment_timestamp_ms(), self.config.assignment_interval_ms);
        let is_due = !group.is_empty()
            && group.group_epoch() > group.assignment_epoch()
            && can_compute_next_target_assignment(timestamp_ms, interval_ms, self.now_ms);
        let (true, Some(topology)) = (is_due, group.topology()) else { return nothing };
        let hash = metadata_hash(topology.required_topics(), self.metadata);
        let Ok(configured) = configure_topics(topology, hash, self.metadata) else { return nothing };
        let (configs, epoch) = (group.last_assignment_configs(), group.group_epoch());
        let builder = TargetAssignmentBuilder::new(group, self.soft);
        match builder.build(&StickyTaskAssignor, &configured, configs, epoch, self.now_ms) {
            Ok(built) => StreamsDecision::with_records(built.records, ()),
            Err(_) => nothing,
        }
    }
}

#[cfg(test)]
#[path = "streams_group_timers_test.rs"]
mod tests;

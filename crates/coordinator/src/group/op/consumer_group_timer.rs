//! Members of consumer groups that were silent for too long, or too slow; and groups that a new
//! coordinator found in the log.

use crate::group::consumer::work::Work;
use crate::group::consumer::{
    ConsumerGroup, ConsumerGroupContext, ConsumerGroupResult, ConsumerGroupTimer, ConsumerGroupTimerEvent,
};
use crate::group::modern::MemberState;

/// A timer of a member fired: the member goes. A timer of somebody who is gone, or of an epoch that the
/// member has left in time, means nothing.
pub(crate) fn on_consumer_group_timer(
    context: &ConsumerGroupContext<'_>,
    group: &ConsumerGroup,
    event: &ConsumerGroupTimerEvent,
) -> ConsumerGroupResult<()> {
    let mut work = Work::on(context, group.clone());
    let Some(member) = group.member(event.timer.member_id()) else { return work.decided(()) };
    let in_time = match event.timer {
        ConsumerGroupTimer::Rebalance(..) => member.member_epoch != event.member_epoch,
        ConsumerGroupTimer::Session(..) | ConsumerGroupTimer::Join(..) | ConsumerGroupTimer::Sync(..) => {
            false
        }
    };
    if !in_time {
        work.fence([member.member_id.clone()].into());
    }
    work.decided(())
}

/// The group was found in the log: every member has another session's time to be heard of.
pub(crate) fn on_consumer_group_loaded(
    context: &ConsumerGroupContext<'_>,
    group: &ConsumerGroup,
) -> ConsumerGroupResult<()> {
    let mut work = Work::on(context, group.clone());
    for member in group.members() {
        work.schedule_session(&member.member_id, context.config.session_timeout_ms);
        if member.state == MemberState::UnrevokedPartitions {
            work.schedule_rebalance(member);
        }
    }
    work.decided(())
}

#[cfg(test)]
#[path = "consumer_group_timer_test.rs"]
mod tests;

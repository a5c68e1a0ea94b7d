//! How a member is led from what it has to what it is to have (KIP-848).
//!
//! First it gives up what is not to be its own any more, staying in its epoch; then it moves on to the
//! target's epoch and gets whatever nobody else has; the rest follows as others give it up.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ottla_common::Uuid;
use ottla_protocol::messages::consumer_group_heartbeat_request::TopicPartitions;

use super::partition_epochs::owns_any;
use super::work::Work;
use super::{
    ConsumerGroup, ConsumerGroupError, ConsumerGroupMember, ConsumerGroupTimer, PartitionEpochs,
    ResolvedRegularExpression,
};
use crate::group::modern::{MemberAssignment, MemberState};
use crate::metadata::CoordinatorMetadata;

impl Work<'_> {
    /// Leads the member one step towards the newest target assignment, and gives it as it is then.
    /// `owned` is what the member says it has.
    pub(crate) fn reconcile(
        &mut self,
        member: ConsumerGroupMember,
        subscription_changed: bool,
        owned: Option<&[TopicPartitions]>,
    ) -> Result<ConsumerGroupMember, ConsumerGroupError> {
        let target_epoch = self.group.assignment_epoch();
        if !subscription_changed && member.is_reconciled_to(target_epoch) {
            return Ok(member);
        }
        let target = Arc::clone(self.group.target.member(&member.member_id));
        let step = Step::of(&self.group, self.context.metadata, &member, target_epoch, &target, owned);
        let updated = step.take(subscription_changed)?;
        if updated == member {
            return Ok(member);
        }
        self.write_current(&updated);
        if !updated.uses_classic_protocol() {
            // Classic members are given time to join and to sync instead.
            if updated.state == MemberState::UnrevokedPartitions {
                self.schedule_rebalance(&updated);
            } else {
                let (group_id, member_id) = (self.group.group_id.clone(), updated.member_id.clone());
                self.cancel(ConsumerGroupTimer::Rebalance(group_id, member_id));
            }
        }
        Ok(updated)
    }
}

/// One step of one member.
struct Step<'a> {
    group: &'a ConsumerGroup,
    metadata: &'a dyn CoordinatorMetadata,
    member: &'a ConsumerGroupMember,
    regex: Option<Arc<ResolvedRegularExpression>>,
    target_epoch: i32,
    target: &'a MemberAssignment,
    owned: Option<&'a [TopicPartitions]>,
}

/// What a member has against what it is to have.
#[derive(Default)]
struct Difference {
    kept: PartitionEpochs,
    revoked: PartitionEpochs,
    /// Nobody has these.
    free: BTreeMap<Uuid, Vec<i32>>,
    /// Whether somebody else has others that are to be the member's.
    unreleased: bool,
}

impl<'a> Step<'a> {
    fn of(
        group: &'a ConsumerGroup,
        metadata: &'a dyn CoordinatorMetadata,
        member: &'a ConsumerGroupMember,
        target_epoch: i32,
        target: &'a MemberAssignment,
        owned: Option<&'a [TopicPartitions]>,
    ) -> Self {
        let regex = member.regex().and_then(|regex| group.resolved_regex(regex)).cloned();
        Self { group, metadata, member, regex, target_epoch, target, owned }
    }

    fn take(&self, subscription_changed: bool) -> Result<ConsumerGroupMember, ConsumerGroupError> {
        let member = self.member;
        let same = || Ok(ConsumerGroupMember::clone(member));
        match member.state {
            MemberState::Stable if member.member_epoch != self.target_epoch => {
                Ok(self.next(member.member_epoch))
            }
            MemberState::Stable if subscription_changed => Ok(self.drop_unsubscribed()),
            MemberState::Stable => same(),
            MemberState::UnrevokedPartitions => {
                if !owns_any(self.owned, &member.partitions_pending_revocation) {
                    Ok(self.next(member.member_epoch))
                } else if subscription_changed {
                    Ok(self.drop_unsubscribed())
                } else {
                    same()
                }
            }
            MemberState::UnreleasedPartitions => Ok(self.next(member.member_epoch)),
            // A newer release was the coordinator before: a member that has nothing can start anew.
            MemberState::Unknown if self.owned.is_some_and(<[_]>::is_empty) => {
                Ok(self.next(self.target_epoch))
            }
            MemberState::Unknown => Err(ConsumerGroupError::UnknownMemberState),
        }
    }

    /// The step towards the target.
    fn next(&self, member_epoch: i32) -> ConsumerGroupMember {
        let Difference { mut kept, revoked, free, unreleased } = self.difference();
        let mut member = self.member.clone();
        if !revoked.is_empty() && owns_any(self.owned, &revoked) {
            member.advance_to(member_epoch);
            member.state = MemberState::UnrevokedPartitions;
            member.assigned_partitions = Arc::new(kept);
            member.partitions_pending_revocation = Arc::new(revoked);
            return member;
        }
        for (topic_id, partitions) in free {
            let of_topic = kept.entry(topic_id).or_default();
            of_topic.extend(partitions.into_iter().map(|partition| (partition, self.target_epoch)));
        }
        member.advance_to(self.target_epoch);
        member.state = match unreleased {
            true => MemberState::UnreleasedPartitions,
            false => MemberState::Stable,
        };
        member.assigned_partitions = Arc::new(kept);
        member.partitions_pending_revocation = Arc::default();
        member
    }

    /// The member is where it is to be, but reads other topics now: what it does not read any more goes
    /// at once, without waiting for the next target.
    fn drop_unsubscribed(&self) -> ConsumerGroupMember {
        let mut member = self.member.clone();
        let mut assigned = PartitionEpochs::new();
        let mut revoked = PartitionEpochs::clone(&member.partitions_pending_revocation);
        for (topic_id, epochs) in member.assigned_partitions.iter() {
            if self.is_subscribed(*topic_id) {
                assigned.insert(*topic_id, epochs.clone());
            } else {
                revoked.entry(*topic_id).or_default().extend(epochs);
            }
        }
        if assigned.len() == member.assigned_partitions.len() {
            return member;
        }
        member.advance_to(self.member.member_epoch);
        member.assigned_partitions = Arc::new(assigned);
        if owns_any(self.owned, &revoked) {
            member.state = MemberState::UnrevokedPartitions;
            member.partitions_pending_revocation = Arc::new(revoked);
        }
        member
    }

    fn difference(&self) -> Difference {
        let mut difference = Difference::default();
        let assigned = &self.member.assigned_partitions;
        let topics: BTreeSet<Uuid> = self.target.keys().chain(assigned.keys()).copied().collect();
        let (no_target, no_epochs) = (BTreeSet::new(), BTreeMap::new());
        for topic_id in topics {
            let target = match self.is_subscribed(topic_id) {
                true => self.target.get(&topic_id).unwrap_or(&no_target),
                false => &no_target,
            };
            let has = assigned.get(&topic_id).unwrap_or(&no_epochs);
            for (partition, epoch) in has {
                let to = match target.contains(partition) {
                    true => &mut difference.kept,
                    false => &mut difference.revoked,
                };
                to.entry(topic_id).or_default().insert(*partition, *epoch);
            }
            for partition in target.iter().filter(|partition| !has.contains_key(partition)) {
                match self.is_free(topic_id, *partition) {
                    true => difference.free.entry(topic_id).or_default().push(*partition),
                    false => difference.unreleased = true,
                }
            }
        }
        difference
    }

    /// Whether nobody has the partition, unless it is the member itself, which was to give it up.
    fn is_free(&self, topic_id: Uuid, partition: i32) -> bool {
        let pending = self.member.partitions_pending_revocation.get(&topic_id);
        self.group.partition_epoch(topic_id, partition).is_none()
            || pending.is_some_and(|of_topic| of_topic.contains_key(&partition))
    }

    /// Whether the member reads the topic. An expression that nobody has resolved yet matches nothing.
    fn is_subscribed(&self, topic_id: Uuid) -> bool {
        self.metadata.topic_by_id(topic_id).is_some_and(|topic| {
            self.member.subscribed_topic_names.contains(&topic.name)
                || self.regex.as_ref().is_some_and(|regex| regex.topics.contains(&topic.name))
        })
    }
}

#[cfg(test)]
#[path = "reconcile_test.rs"]
mod tests;

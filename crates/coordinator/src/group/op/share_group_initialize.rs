//! What the share coordinator says to the partitions that a share group begins with, and what becomes of
//! topics that are gone.

use std::collections::BTreeSet;

use ottla_common::{ErrorCode, Uuid};
use ottla_protocol::messages::{InitializeShareGroupStateRequest, InitializeShareGroupStateResponse};

use crate::group::modern::MemberAssignment;
use crate::group::share::{
    ShareDecision, ShareGroupLookup, ShareGroupManager, StatePartitions, initialized_partitions,
};

impl ShareGroupManager<'_> {
    /// The share coordinator answered. When all went well the partitions may be given to members; one
    /// that failed makes all of them be asked for again. Gives the first error.
    pub fn share_group_state_initialized(
        &self,
        group: ShareGroupLookup<'_>,
        response: &InitializeShareGroupStateResponse,
    ) -> ShareDecision<ErrorCode> {
        let (partitions, error) = initialized_partitions(response);
        let decision = match error {
            ErrorCode::None => self.initialize_state_partitions(group, &partitions),
            _ => self.uninitialize_state_partitions(group, &partitions),
        };
        decision.map(|()| error)
    }

    /// The share coordinator did not answer, or the group could not note its answer.
    pub fn share_group_state_not_initialized(
        &self,
        group: ShareGroupLookup<'_>,
        request: &InitializeShareGroupStateRequest,
    ) -> ShareDecision<()> {
        let topics = request.topics.iter();
        let partitions: MemberAssignment = topics
            .map(|topic| (topic.topic_id, topic.partitions.iter().map(|data| data.partition).collect()))
            .collect();
        self.uninitialize_state_partitions(group, &partitions)
    }

    /// These topics are gone. The share coordinator learns it by itself.
    pub fn cleanup_share_group_state(
        &self,
        group: ShareGroupLookup<'_>,
        topic_ids: &BTreeSet<Uuid>,
    ) -> ShareDecision<()> {
        let Ok(group) = group.existing() else { return ShareDecision::of(()) };
        let mut decision = ShareDecision::of(());
        if let Some(known) = group.state_partitions() {
            let next = known.without_topics(topic_ids);
            if next != *known {
                self.write_state_partitions(&mut decision, group.group_id(), &next);
            }
        }
        decision
    }

    fn initialize_state_partitions(
        &self,
        group: ShareGroupLookup<'_>,
        partitions: &MemberAssignment,
    ) -> ShareDecision<()> {
        let mut decision = ShareDecision::of(());
        // A group that was deleted in the meantime does not come back by this.
        if let Ok(group) = group.existing()
            && !partitions.is_empty()
        {
            let nothing = StatePartitions::default();
            let known = group.state_partitions().unwrap_or(&nothing);
            let next = known.with_initialized(partitions, self.metadata);
            self.write_state_partitions(&mut decision, group.group_id(), &next);
        }
        decision
    }

    fn uninitialize_state_partitions(
        &self,
        group: ShareGroupLookup<'_>,
        partitions: &MemberAssignment,
    ) -> ShareDecision<()> {
        let mut decision = ShareDecision::of(());
        if let Ok(group) = group.existing()
            && let Some(known) = group.state_partitions()
            && !known.initializing.is_empty()
            && !partitions.is_empty()
        {
            let next = known.without_initializing(partitions);
            self.write_state_partitions(&mut decision, group.group_id(), &next);
        }
        decision
    }
}

#[cfg(test)]
#[path = "share_group_initialize_test.rs"]
mod tests;

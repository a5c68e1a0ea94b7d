use std::collections::BTreeMap;

use bytestring::ByteString;
use ottla_protocol::records::group::{
    StreamsGroupCurrentMemberAssignmentValue, StreamsGroupMemberMetadataValue,
};

use super::record_values::{tasks_with_epochs_of, user_endpoint_of};
use super::tasks::TasksTupleWithEpochs;
use crate::group::modern::LEAVE_GROUP_MEMBER_EPOCH;
use crate::group::owned;

/// Where a member of a streams group stands on its way to its target assignment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamsMemberState {
    /// It has everything that its epoch gives it.
    Stable,
    /// It was asked to give tasks up and has not said that it did.
    UnrevokedTasks,
    /// Other members still have tasks that are to be its own.
    UnreleasedTasks,
    /// A state of a newer release, found in the log.
    Unknown,
}

impl StreamsMemberState {
    /// The number in the record.
    pub fn value(self) -> i8 {
        match self {
            Self::Stable => 1,
            Self::UnrevokedTasks => 2,
            Self::UnreleasedTasks => 3,
            Self::Unknown => 127,
        }
    }

    /// The state of this number.
    pub fn from_value(value: i8) -> Self {
        match value {
            1 => Self::Stable,
            2 => Self::UnrevokedTasks,
            3 => Self::UnreleasedTasks,
            _ => Self::Unknown,
        }
    }
}

/// Where a member answers interactive queries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserEndpoint {
    /// The host.
    pub host: ByteString,
    /// The port.
    pub port: u16,
}

/// A member of a streams group: one stream thread of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamsGroupMember {
    /// Its id, chosen by itself.
    pub member_id: ByteString,
    /// The epoch that it was told. -1: it left; -2: it is static, left, and will be back.
    pub member_epoch: i32,
    /// The epoch that it was told before: an answer may get lost.
    pub previous_member_epoch: i32,
    /// Where it stands.
    pub state: StreamsMemberState,
    /// `group.instance.id` of a static member.
    pub instance_id: Option<ByteString>,
    /// `client.rack`
    pub rack_id: Option<ByteString>,
    /// The client's name for itself.
    pub client_id: ByteString,
    /// Where the client connected from.
    pub client_host: ByteString,
    /// How long it may take to give tasks up.
    pub rebalance_timeout_ms: i32,
    /// The epoch of the topology that it runs.
    pub topology_epoch: i32,
    /// The process that it is a part of. All members of a process share state directories.
    pub process_id: ByteString,
    /// Where it answers interactive queries.
    pub user_endpoint: Option<UserEndpoint>,
    /// `client.tag.*`
    pub client_tags: BTreeMap<ByteString, ByteString>,
    /// What it does.
    pub assigned_tasks: TasksTupleWithEpochs,
    /// What it does and was asked to give up.
    pub tasks_pending_revocation: TasksTupleWithEpochs,
}

impl StreamsGroupMember {
    /// A member of which nothing is known but that it is there.
    pub fn new(member_id: ByteString) -> Self {
        Self {
            member_id,
            member_epoch: 0,
            previous_member_epoch: 0,
            state: StreamsMemberState::Stable,
            instance_id: None,
            rack_id: None,
            client_id: ByteString::new(),
            client_host: ByteString::new(),
            rebalance_timeout_ms: -1,
            topology_epoch: -1,
            process_id: ByteString::new(),
            user_endpoint: None,
            client_tags: BTreeMap::new(),
            assigned_tasks: TasksTupleWithEpochs::default(),
            tasks_pending_revocation: TasksTupleWithEpochs::default(),
        }
    }

    /// Whether it has everything that this assignment gives it.
    pub fn is_reconciled_to(&self, assignment_epoch: i32) -> bool {
        self.state == StreamsMemberState::Stable && self.member_epoch == assignment_epoch
    }

    /// Moves to another epoch, which may be the same.
    pub(crate) fn update_member_epoch(&mut self, member_epoch: i32) {
        self.previous_member_epoch = self.member_epoch;
        self.member_epoch = member_epoch;
    }

    /// Whether something differs that the assignment depends on. Static members that come back as they
    /// were disturb nobody.
    pub(crate) fn has_relevant_change(&self, other: &Self) -> bool {
        self.topology_epoch != other.topology_epoch
            || self.rack_id != other.rack_id
            || self.client_tags != other.client_tags
            || self.process_id != other.process_id
    }

    /// What a record says about who the member is.
    pub(crate) fn update_metadata(&mut self, value: &StreamsGroupMemberMetadataValue) {
        self.instance_id = value.instance_id.as_ref().map(owned);
        self.rack_id = value.rack_id.as_ref().map(owned);
        self.client_id = owned(&value.client_id);
        self.client_host = owned(&value.client_host);
        self.rebalance_timeout_ms = value.rebalance_timeout_ms;
        self.topology_epoch = value.topology_epoch;
        self.process_id = owned(&value.process_id);
        self.user_endpoint = value.user_endpoint.as_ref().map(user_endpoint_of);
        self.client_tags = value.client_tags.iter().map(|tag| (owned(&tag.key), owned(&tag.value))).collect();
    }

    /// What a record says about what the member does.
    pub(crate) fn update_current_assignment(&mut self, value: &StreamsGroupCurrentMemberAssignmentValue) {
        self.member_epoch = value.member_epoch;
        self.previous_member_epoch = value.previous_member_epoch;
        self.state = StreamsMemberState::from_value(value.state);
        let epoch = value.member_epoch;
        self.assigned_tasks =
            tasks_with_epochs_of(&value.active_tasks, &value.standby_tasks, &value.warmup_tasks, epoch);
        self.tasks_pending_revocation = tasks_with_epochs_of(
            &value.active_tasks_pending_revocation,
            &value.standby_tasks_pending_revocation,
            &value.warmup_tasks_pending_revocation,
            epoch,
        );
    }

    /// The record that said what the member does is deleted: it is about to go.
    pub(crate) fn remove_current_assignment(&mut self) {
        self.member_epoch = LEAVE_GROUP_MEMBER_EPOCH;
        self.previous_member_epoch = LEAVE_GROUP_MEMBER_EPOCH;
        self.assigned_tasks = TasksTupleWithEpochs::default();
        self.tasks_pending_revocation = TasksTupleWithEpochs::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_have_kafkas_numbers() {
        for value in i8::MIN..=i8::MAX {
            let state = StreamsMemberState::from_value(value);
            assert_eq!(state == StreamsMemberState::Unknown, !(1..=3).contains(&value));
            if state != StreamsMemberState::Unknown {
                assert_eq!(state.value(), value);
            }
        }
    }
}

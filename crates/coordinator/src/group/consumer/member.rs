use std::collections::BTreeSet;
use std::sync::Arc;

use bytestring::ByteString;
use ottla_common::Uuid;
use ottla_protocol::records::group::consumer_group_member_metadata_value::{
    ClassicMemberMetadata, ClassicProtocol,
};
use ottla_protocol::records::group::{
    ConsumerGroupCurrentMemberAssignmentValue, ConsumerGroupMemberMetadataValue,
};

use super::PartitionEpochs;
use super::partition_epochs::{epoch_of, from_record};
use crate::group::modern::{LEAVE_GROUP_MEMBER_EPOCH, LEAVE_GROUP_STATIC_MEMBER_EPOCH, MemberState};
use crate::group::owned;

/// A member of a consumer group.
///
/// What is big is shared: a decision copies the member, changes a few things, and compares.
#[derive(Debug, Clone, PartialEq)]
pub struct ConsumerGroupMember {
    /// The id that the client (KIP-1082) or the coordinator gave it.
    pub member_id: ByteString,
    /// The epoch that it is in; -2 for a static member that is away.
    pub member_epoch: i32,
    /// The epoch that it was in before, should it not have heard of the newest.
    pub previous_member_epoch: i32,
    /// Where it stands on the way to its target assignment.
    pub state: MemberState,
    /// The id that its configuration gave it (KIP-345).
    pub instance_id: Option<ByteString>,
    /// Where it runs.
    pub rack_id: Option<ByteString>,
    /// How long it may take to give partitions up; -1 when it never said.
    pub rebalance_timeout_ms: i32,
    /// The client's name for itself.
    pub client_id: ByteString,
    /// Where the client connected from.
    pub client_host: ByteString,
    /// The topics that it names.
    pub subscribed_topic_names: Arc<BTreeSet<ByteString>>,
    /// The expression for further topics; empty or `None` for none.
    pub subscribed_topic_regex: Option<ByteString>,
    /// The assignor that it wants.
    pub server_assignor: Option<ByteString>,
    /// What it has.
    pub assigned_partitions: Arc<PartitionEpochs>,
    /// What it was asked to give up and may still have.
    pub partitions_pending_revocation: Arc<PartitionEpochs>,
    /// What a member that speaks the classic protocol said about itself.
    pub classic: Option<Arc<ClassicMemberMetadata>>,
}

impl ConsumerGroupMember {
    /// A member that nothing is known of yet.
    pub fn new(member_id: ByteString) -> Self {
        Self {
            member_id,
            member_epoch: 0,
            previous_member_epoch: -1,
            state: MemberState::Stable,
            instance_id: None,
            rack_id: None,
            rebalance_timeout_ms: -1,
            client_id: ByteString::new(),
            client_host: ByteString::new(),
            subscribed_topic_names: Arc::default(),
            // Kafka writes an empty text for members without an expression.
            subscribed_topic_regex: Some(ByteString::new()),
            server_assignor: None,
            assigned_partitions: Arc::default(),
            partitions_pending_revocation: Arc::default(),
            classic: None,
        }
    }

    /// The expression that the member uses.
    pub fn regex(&self) -> Option<&ByteString> {
        self.subscribed_topic_regex.as_ref().filter(|regex| !regex.is_empty())
    }

    /// Whether the member speaks the classic protocol.
    pub fn uses_classic_protocol(&self) -> bool {
        self.classic.is_some()
    }

    /// The protocols that a classic member can speak, most wanted first; nothing for others.
    pub fn classic_protocols(&self) -> &[ClassicProtocol] {
        self.classic.as_ref().map_or(&[], |classic| classic.supported_protocols.as_slice())
    }

    /// How long a classic member may be silent.
    pub fn classic_session_timeout_ms(&self) -> Option<i32> {
        self.classic.as_ref().map(|classic| classic.session_timeout_ms)
    }

    /// Whether the member has everything that this epoch gives it.
    pub fn is_reconciled_to(&self, target_assignment_epoch: i32) -> bool {
        self.state == MemberState::Stable && self.member_epoch == target_assignment_epoch
    }

    /// Whether it is a static member that said it would be back.
    pub fn is_away(&self) -> bool {
        self.member_epoch == LEAVE_GROUP_STATIC_MEMBER_EPOCH
    }

    /// The epoch in which the member got this partition, whether or not it is to give it up.
    pub fn assignment_epoch(&self, topic_id: Uuid, partition: i32) -> Option<i32> {
        epoch_of(&self.assigned_partitions, topic_id, partition)
            .or_else(|| epoch_of(&self.partitions_pending_revocation, topic_id, partition))
    }

    /// Moves on to an epoch, and remembers the one before.
    pub(super) fn advance_to(&mut self, member_epoch: i32) {
        self.previous_member_epoch = self.member_epoch;
        self.member_epoch = member_epoch;
    }

    /// The member as it goes away for a while. Its partitions count as had since epoch 0 by whoever
    /// comes back under its instance id.
    pub(crate) fn going_away(&self) -> Self {
        let from_zero = |(topic_id, epochs): (&Uuid, &std::collections::BTreeMap<i32, i32>)| {
            (*topic_id, epochs.keys().map(|partition| (*partition, 0)).collect())
        };
        Self {
            member_epoch: LEAVE_GROUP_STATIC_MEMBER_EPOCH,
            assigned_partitions: Arc::new(self.assigned_partitions.iter().map(from_zero).collect()),
            partitions_pending_revocation: Arc::default(),
            ..self.clone()
        }
    }

    /// The member as it comes back under another id.
    pub(crate) fn returning_as(&self, member_id: ByteString) -> Self {
        Self { member_id, member_epoch: 0, previous_member_epoch: 0, ..self.clone() }
    }

    /// The member once the log says that it has nothing any more.
    pub(super) fn without_assignment(&self) -> Self {
        Self {
            member_epoch: LEAVE_GROUP_MEMBER_EPOCH,
            previous_member_epoch: LEAVE_GROUP_MEMBER_EPOCH,
            assigned_partitions: Arc::default(),
            partitions_pending_revocation: Arc::default(),
            ..self.clone()
        }
    }

    /// The member with what a record says about it.
    pub(super) fn with_metadata(&self, value: &ConsumerGroupMemberMetadataValue) -> Self {
        let optional = |text: &Option<ByteString>| text.as_ref().map(owned);
        Self {
            instance_id: optional(&value.instance_id),
            rack_id: optional(&value.rack_id),
            client_id: owned(&value.client_id),
            client_host: owned(&value.client_host),
            subscribed_topic_names: Arc::new(value.subscribed_topic_names.iter().map(owned).collect()),
            subscribed_topic_regex: optional(&value.subscribed_topic_regex),
            rebalance_timeout_ms: value.rebalance_timeout_ms,
            server_assignor: optional(&value.server_assignor),
            classic: value.classic_member_metadata.as_ref().map(|classic| Arc::new(owned_classic(classic))),
            ..self.clone()
        }
    }

    /// The member with what a record says it has.
    pub(super) fn with_current(&self, value: &ConsumerGroupCurrentMemberAssignmentValue) -> Self {
        let partitions = |topics: &[_]| Arc::new(from_record(topics, value.member_epoch));
        Self {
            member_epoch: value.member_epoch,
            previous_member_epoch: value.previous_member_epoch,
            state: MemberState::from_value(value.state),
            assigned_partitions: partitions(&value.assigned_partitions),
            partitions_pending_revocation: partitions(&value.partitions_pending_revocation),
            ..self.clone()
        }
    }
}

/// Freed from the frame that it came in.
fn owned_classic(classic: &ClassicMemberMetadata) -> ClassicMemberMetadata {
    let protocol = |protocol: &ClassicProtocol| ClassicProtocol {
        name: owned(&protocol.name),
        metadata: bytes::Bytes::copy_from_slice(&protocol.metadata),
        ..Default::default()
    };
    ClassicMemberMetadata {
        session_timeout_ms: classic.session_timeout_ms,
        supported_protocols: classic.supported_protocols.iter().map(protocol).collect(),
        ..Default::default()
    }
}

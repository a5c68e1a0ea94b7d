//! The records that say something about a group.

use std::sync::Arc;

use bytestring::ByteString;
use ottla_common::Uuid;
use ottla_protocol::records::group::consumer_group_target_assignment_member_value::TopicPartition;
use ottla_protocol::records::group::{
    ConsumerGroupCurrentMemberAssignmentKey, ConsumerGroupCurrentMemberAssignmentValue,
    ConsumerGroupMemberMetadataKey, ConsumerGroupMemberMetadataValue, ConsumerGroupMetadataKey,
    ConsumerGroupMetadataValue, ConsumerGroupPartitionMetadataKey, ConsumerGroupRegularExpressionKey,
    ConsumerGroupRegularExpressionValue, ConsumerGroupTargetAssignmentMemberKey,
    ConsumerGroupTargetAssignmentMemberValue, ConsumerGroupTargetAssignmentMetadataKey,
    ConsumerGroupTargetAssignmentMetadataValue,
};

use super::{ConsumerGroupMember, ConsumerGroupRecord, ResolvedRegularExpression, partition_epochs};
use crate::group::modern::MemberAssignment;

/// The group's epoch, and the hash of its topics.
pub(super) fn epoch(group_id: &ByteString, epoch: i32, metadata_hash: i64) -> ConsumerGroupRecord {
    let value = ConsumerGroupMetadataValue { epoch, metadata_hash, ..Default::default() };
    ConsumerGroupRecord::Metadata { key: group_key(group_id), value: Some(value) }
}

/// The group is no more.
pub(super) fn epoch_tombstone(group_id: &ByteString) -> ConsumerGroupRecord {
    ConsumerGroupRecord::Metadata { key: group_key(group_id), value: None }
}

/// What releases before 4.1 kept about topics is no more.
pub(super) fn subscription_metadata_tombstone(group_id: &ByteString) -> ConsumerGroupRecord {
    let key = ConsumerGroupPartitionMetadataKey { group_id: group_id.clone() };
    ConsumerGroupRecord::PartitionMetadata { key, value: None }
}

/// What a member said about itself.
pub(super) fn member(group_id: &ByteString, member: &ConsumerGroupMember) -> ConsumerGroupRecord {
    let value = ConsumerGroupMemberMetadataValue {
        instance_id: member.instance_id.clone(),
        rack_id: member.rack_id.clone(),
        client_id: member.client_id.clone(),
        client_host: member.client_host.clone(),
        subscribed_topic_names: member.subscribed_topic_names.iter().cloned().collect(),
        subscribed_topic_regex: member.subscribed_topic_regex.clone(),
        rebalance_timeout_ms: member.rebalance_timeout_ms,
        server_assignor: member.server_assignor.clone(),
        classic_member_metadata: member.classic.as_ref().map(|classic| (**classic).clone()),
        ..Default::default()
    };
    ConsumerGroupRecord::MemberMetadata { key: member_key(group_id, &member.member_id), value: Some(value) }
}

/// The member is no more.
pub(super) fn member_tombstone(group_id: &ByteString, member_id: &ByteString) -> ConsumerGroupRecord {
    ConsumerGroupRecord::MemberMetadata { key: member_key(group_id, member_id), value: None }
}

/// The epoch that the target assignment is for, and when it was computed.
pub(super) fn target_metadata(
    group_id: &ByteString,
    assignment_epoch: i32,
    assignment_timestamp: i64,
) -> ConsumerGroupRecord {
    let value = ConsumerGroupTargetAssignmentMetadataValue {
        assignment_epoch,
        assignment_timestamp,
        ..Default::default()
    };
    ConsumerGroupRecord::TargetAssignmentMetadata { key: target_key(group_id), value: Some(value) }
}

/// There is no target assignment any more.
pub(super) fn target_metadata_tombstone(group_id: &ByteString) -> ConsumerGroupRecord {
    ConsumerGroupRecord::TargetAssignmentMetadata { key: target_key(group_id), value: None }
}

/// What a member is to have.
pub(super) fn target(
    group_id: &ByteString,
    member_id: &ByteString,
    assignment: &MemberAssignment,
) -> ConsumerGroupRecord {
    let of_topic = |(topic_id, partitions): (&Uuid, &std::collections::BTreeSet<i32>)| TopicPartition {
        topic_id: *topic_id,
        partitions: partitions.iter().copied().collect(),
        ..Default::default()
    };
    let value = ConsumerGroupTargetAssignmentMemberValue {
        topic_partitions: assignment.iter().map(of_topic).collect(),
        ..Default::default()
    };
    let key = target_member_key(group_id, member_id);
    ConsumerGroupRecord::TargetAssignmentMember { key, value: Some(value) }
}

/// The member is to have nothing any more.
pub(super) fn target_tombstone(group_id: &ByteString, member_id: &ByteString) -> ConsumerGroupRecord {
    let key = target_member_key(group_id, member_id);
    ConsumerGroupRecord::TargetAssignmentMember { key, value: None }
}

/// What a member has, and where it stands.
pub(super) fn current(group_id: &ByteString, member: &ConsumerGroupMember) -> ConsumerGroupRecord {
    let value = ConsumerGroupCurrentMemberAssignmentValue {
        member_epoch: member.member_epoch,
        previous_member_epoch: member.previous_member_epoch,
        state: member.state.value(),
        assigned_partitions: partition_epochs::to_record(&member.assigned_partitions),
        partitions_pending_revocation: partition_epochs::to_record(&member.partitions_pending_revocation),
        ..Default::default()
    };
    let key = current_key(group_id, &member.member_id);
    ConsumerGroupRecord::CurrentMemberAssignment { key, value: Some(value) }
}

/// The member has nothing any more.
pub(super) fn current_tombstone(group_id: &ByteString, member_id: &ByteString) -> ConsumerGroupRecord {
    let key = current_key(group_id, member_id);
    ConsumerGroupRecord::CurrentMemberAssignment { key, value: None }
}

/// The topics that an expression matches.
pub(super) fn regular_expression(
    group_id: &ByteString,
    regex: &ByteString,
    resolved: &Arc<ResolvedRegularExpression>,
) -> ConsumerGroupRecord {
    let value = ConsumerGroupRegularExpressionValue {
        topics: resolved.topics.iter().cloned().collect(),
        version: resolved.version,
        timestamp: resolved.timestamp_ms,
        ..Default::default()
    };
    ConsumerGroupRecord::RegularExpression { key: regex_key(group_id, regex), value: Some(value) }
}

/// Nobody uses the expression any more.
pub(super) fn regular_expression_tombstone(group_id: &ByteString, regex: &ByteString) -> ConsumerGroupRecord {
    ConsumerGroupRecord::RegularExpression { key: regex_key(group_id, regex), value: None }
}

fn group_key(group_id: &ByteString) -> ConsumerGroupMetadataKey {
    ConsumerGroupMetadataKey { group_id: group_id.clone() }
}

fn member_key(group_id: &ByteString, member_id: &ByteString) -> ConsumerGroupMemberMetadataKey {
    ConsumerGroupMemberMetadataKey { group_id: group_id.clone(), member_id: member_id.clone() }
}

fn target_key(group_id: &ByteString) -> ConsumerGroupTargetAssignmentMetadataKey {
    ConsumerGroupTargetAssignmentMetadataKey { group_id: group_id.clone() }
}

fn target_member_key(
    group_id: &ByteString,
    member_id: &ByteString,
) -> ConsumerGroupTargetAssignmentMemberKey {
    ConsumerGroupTargetAssignmentMemberKey { group_id: group_id.clone(), member_id: member_id.clone() }
}

fn current_key(group_id: &ByteString, member_id: &ByteString) -> ConsumerGroupCurrentMemberAssignmentKey {
    ConsumerGroupCurrentMemberAssignmentKey { group_id: group_id.clone(), member_id: member_id.clone() }
}

fn regex_key(group_id: &ByteString, regex: &ByteString) -> ConsumerGroupRegularExpressionKey {
    ConsumerGroupRegularExpressionKey { group_id: group_id.clone(), regular_expression: regex.clone() }
}

//! ConsumerGroupDescribe, versions 0 and 1 (KIP-848, KIP-1099).
//!
//! Errors, each group its own: GROUP_ID_NOT_FOUND; INVALID_GROUP_ID, and what speaks of the coordinator
//! itself, is the shell's to say.

use std::collections::BTreeMap;

use bytestring::ByteString;
use ottla_common::Uuid;
use ottla_protocol::messages::consumer_group_describe_response::{
    Assignment, DescribedGroup, Member, TopicPartitions,
};

use crate::group::consumer::{
    ConsumerGroup, ConsumerGroupConfig, ConsumerGroupError, ConsumerGroupMember, ExistingGroup,
};
use crate::metadata::CoordinatorMetadata;

/// `MemberType` of a member that speaks the classic protocol (KIP-1099).
const CLASSIC_MEMBER: i8 = 0;
/// `MemberType` of a member that speaks the consumer protocol.
const CONSUMER_MEMBER: i8 = 1;

/// What there is to know about a consumer group. To be asked of the committed state.
pub(crate) fn consumer_group_describe(
    config: &ConsumerGroupConfig,
    metadata: &dyn CoordinatorMetadata,
    group_id: &ByteString,
    existing: ExistingGroup<'_>,
) -> DescribedGroup {
    match existing.consumer(group_id) {
        Ok(group) => describe(config, metadata, group),
        Err(error) => not_found(group_id, &error),
    }
}

fn describe(
    config: &ConsumerGroupConfig,
    metadata: &dyn CoordinatorMetadata,
    group: &ConsumerGroup,
) -> DescribedGroup {
    let assignor = group.preferred_server_assignor().cloned();
    DescribedGroup {
        group_id: group.group_id().clone(),
        group_state: ByteString::from_static(group.state().name()),
        group_epoch: group.epoch(),
        assignment_epoch: group.assignment_epoch(),
        assignor_name: assignor.unwrap_or_else(|| ByteString::from_static(config.default_assignor())),
        members: group.members().map(|member| describe_member(metadata, group, member)).collect(),
        ..Default::default()
    }
}

fn describe_member(
    metadata: &dyn CoordinatorMetadata,
    group: &ConsumerGroup,
    member: &ConsumerGroupMember,
) -> Member {
    // What a member is to give up is still its own until it has done so.
    let mut has: BTreeMap<Uuid, Vec<i32>> = BTreeMap::new();
    for partitions in [&member.assigned_partitions, &member.partitions_pending_revocation] {
        for (topic_id, epochs) in partitions.iter() {
            has.entry(*topic_id).or_default().extend(epochs.keys());
        }
    }
    let target = group.target_assignment().member(&member.member_id);
    let target = target.iter().map(|(topic_id, of_topic)| (*topic_id, of_topic.iter().copied().collect()));
    Member {
        member_id: member.member_id.clone(),
        instance_id: member.instance_id.clone(),
        rack_id: member.rack_id.clone(),
        member_epoch: member.member_epoch,
        client_id: member.client_id.clone(),
        client_host: member.client_host.clone(),
        subscribed_topic_names: member.subscribed_topic_names.iter().cloned().collect(),
        subscribed_topic_regex: member.subscribed_topic_regex.clone(),
        assignment: named(metadata, has),
        target_assignment: named(metadata, target),
        member_type: if member.uses_classic_protocol() { CLASSIC_MEMBER } else { CONSUMER_MEMBER },
        ..Default::default()
    }
}

/// Partitions with the names of their topics; topics that are gone are left out.
fn named(
    metadata: &dyn CoordinatorMetadata,
    partitions: impl IntoIterator<Item = (Uuid, Vec<i32>)>,
) -> Assignment {
    let of_topic = |(topic_id, partitions): (Uuid, Vec<i32>)| {
        let topic_name = metadata.topic_by_id(topic_id)?.name;
        Some(TopicPartitions { topic_id, topic_name, partitions, ..Default::default() })
    };
    Assignment {
        topic_partitions: partitions.into_iter().filter_map(of_topic).collect(),
        ..Default::default()
    }
}

fn not_found(group_id: &ByteString, error: &ConsumerGroupError) -> DescribedGroup {
    DescribedGroup {
        group_id: group_id.clone(),
        error_code: error.code().code(),
        error_message: Some(error.message()),
        ..Default::default()
    }
}

#[cfg(test)]
#[path = "consumer_group_describe_test.rs"]
mod tests;

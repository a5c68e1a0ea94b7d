//! Between what records say and what a group knows. Lists are written in order, as Kafka writes them.

use std::collections::BTreeMap;

use bytestring::ByteString;
use ottla_protocol::records::group::streams_group_current_member_assignment_value as current;
use ottla_protocol::records::group::streams_group_member_metadata_value as metadata;
use ottla_protocol::records::group::streams_group_metadata_value::LastAssignmentConfig;
use ottla_protocol::records::group::streams_group_target_assignment_member_value as target;
use ottla_protocol::records::group::{
    StreamsGroupCurrentMemberAssignmentValue, StreamsGroupMemberMetadataValue,
    StreamsGroupTargetAssignmentMemberValue,
};

use super::member::{StreamsGroupMember, UserEndpoint};
use super::tasks::{self, TasksTuple, TasksTupleWithEpochs, TasksWithEpochs};
use crate::group::owned;

pub(crate) fn member_metadata(member: &StreamsGroupMember) -> StreamsGroupMemberMetadataValue {
    let tag = |(key, value): (&ByteString, &ByteString)| metadata::KeyValue {
        key: key.clone(),
        value: value.clone(),
        ..Default::default()
    };
    let endpoint = |endpoint: &UserEndpoint| metadata::Endpoint {
        host: endpoint.host.clone(),
        port: endpoint.port,
        ..Default::default()
    };
    StreamsGroupMemberMetadataValue {
        instance_id: member.instance_id.clone(),
        rack_id: member.rack_id.clone(),
        client_id: member.client_id.clone(),
        client_host: member.client_host.clone(),
        rebalance_timeout_ms: member.rebalance_timeout_ms,
        topology_epoch: member.topology_epoch,
        process_id: member.process_id.clone(),
        user_endpoint: member.user_endpoint.as_ref().map(endpoint),
        client_tags: member.client_tags.iter().map(tag).collect(),
        ..Default::default()
    }
}

pub(crate) fn user_endpoint_of(endpoint: &metadata::Endpoint) -> UserEndpoint {
    UserEndpoint { host: owned(&endpoint.host), port: endpoint.port }
}

pub(crate) fn target_assignment(tasks: &TasksTuple) -> StreamsGroupTargetAssignmentMemberValue {
    let list = |tasks| {
        tasks::list(tasks, |subtopology_id, partitions| target::TaskIds {
            subtopology_id,
            partitions,
            ..Default::default()
        })
    };
    StreamsGroupTargetAssignmentMemberValue {
        active_tasks: list(&tasks.active),
        standby_tasks: list(&tasks.standby),
        warmup_tasks: list(&tasks.warmup),
        ..Default::default()
    }
}

pub(crate) fn target_assignment_of(value: &StreamsGroupTargetAssignmentMemberValue) -> TasksTuple {
    let collect = |list: &[target::TaskIds]| {
        tasks::collect(list.iter().map(|ids| (&ids.subtopology_id, ids.partitions.as_slice())))
    };
    TasksTuple {
        active: collect(&value.active_tasks),
        standby: collect(&value.standby_tasks),
        warmup: collect(&value.warmup_tasks),
    }
}

pub(crate) fn current_assignment(member: &StreamsGroupMember) -> StreamsGroupCurrentMemberAssignmentValue {
    let (assigned, revoked) = (&member.assigned_tasks, &member.tasks_pending_revocation);
    StreamsGroupCurrentMemberAssignmentValue {
        member_epoch: member.member_epoch,
        previous_member_epoch: member.previous_member_epoch,
        state: member.state.value(),
        active_tasks: list_with_epochs(&assigned.active),
        standby_tasks: list_current(&assigned.standby),
        warmup_tasks: list_current(&assigned.warmup),
        active_tasks_pending_revocation: list_with_epochs(&revoked.active),
        standby_tasks_pending_revocation: list_current(&revoked.standby),
        warmup_tasks_pending_revocation: list_current(&revoked.warmup),
        ..Default::default()
    }
}

/// Active tasks without epochs, as early releases wrote them, are taken to be as old as the member's epoch.
pub(crate) fn tasks_with_epochs_of(
    active: &[current::TaskIds],
    standby: &[current::TaskIds],
    warmup: &[current::TaskIds],
    member_epoch: i32,
) -> TasksTupleWithEpochs {
    let collect = |list: &[current::TaskIds]| {
        tasks::collect(list.iter().map(|ids| (&ids.subtopology_id, ids.partitions.as_slice())))
    };
    let mut with_epochs = TasksWithEpochs::new();
    for ids in active.iter().filter(|ids| !ids.partitions.is_empty()) {
        let epochs = ids.assignment_epochs.as_deref().unwrap_or_default();
        let of_subtopology = with_epochs.entry(owned(&ids.subtopology_id)).or_default();
        if epochs.len() == ids.partitions.len() {
            of_subtopology.extend(ids.partitions.iter().copied().zip(epochs.iter().copied()));
        } else {
            of_subtopology.extend(ids.partitions.iter().map(|partition| (*partition, member_epoch)));
        }
    }
    TasksTupleWithEpochs { active: with_epochs, standby: collect(standby), warmup: collect(warmup) }
}

pub(crate) fn assignment_configs(configs: &BTreeMap<ByteString, ByteString>) -> Vec<LastAssignmentConfig> {
    let config = |(key, value): (&ByteString, &ByteString)| LastAssignmentConfig {
        key: key.clone(),
        value: value.clone(),
        ..Default::default()
    };
    configs.iter().map(config).collect()
}

pub(crate) fn assignment_configs_of(
    configs: Option<&[LastAssignmentConfig]>,
) -> BTreeMap<ByteString, ByteString> {
    let configs = configs.unwrap_or_default();
    configs.iter().map(|config| (owned(&config.key), owned(&config.value))).collect()
}

fn list_current(tasks: &tasks::Tasks) -> Vec<current::TaskIds> {
    tasks::list(tasks, |subtopology_id, partitions| current::TaskIds {
        subtopology_id,
        partitions,
        ..Default::default()
    })
}

fn list_with_epochs(tasks: &TasksWithEpochs) -> Vec<current::TaskIds> {
    let one = |(subtopology, partitions): (&ByteString, &BTreeMap<i32, i32>)| current::TaskIds {
        subtopology_id: subtopology.clone(),
        partitions: partitions.keys().copied().collect(),
        assignment_epochs: Some(partitions.values().copied().collect()),
        ..Default::default()
    };
    tasks.iter().map(one).collect()
}

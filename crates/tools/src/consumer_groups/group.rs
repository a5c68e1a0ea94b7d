//! What the coordinator knows of a group, in either protocol.

use std::collections::BTreeMap;

use ottla_common::ErrorCode;
use ottla_protocol::codec::{Message, Reader};
use ottla_protocol::messages::consumer_group_describe_response::{Assignment, Member as NewMember};
use ottla_protocol::messages::offset_fetch_request::OffsetFetchRequestGroup;
use ottla_protocol::messages::{
    ConsumerGroupDescribeRequest, ConsumerProtocolAssignment, DescribeGroupsRequest, MetadataRequest,
    OffsetFetchRequest,
};

use super::check_group;
use crate::cluster::{Cluster, check};
use crate::error::{Result, failed};
use crate::offsets::TopicPartition;

/// A group and its members.
#[derive(Debug, Default)]
pub(super) struct Group {
    pub(super) state: String,
    pub(super) assignor: String,
    pub(super) coordinator: i32,
    pub(super) epoch: Option<i32>,
    pub(super) assignment_epoch: Option<i32>,
    pub(super) members: Vec<Member>,
}

/// A member and its partitions.
#[derive(Debug, Default)]
pub(super) struct Member {
    pub(super) id: String,
    pub(super) instance_id: String,
    pub(super) client_id: String,
    pub(super) host: String,
    pub(super) epoch: Option<i32>,
    pub(super) upgraded: Option<bool>,
    pub(super) assignment: Vec<TopicPartition>,
    pub(super) target: Vec<TopicPartition>,
}

/// An offset that a group has committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Committed {
    pub(super) offset: i64,
    pub(super) leader_epoch: Option<i32>,
}

/// Describes a group: as a consumer group (KIP-848) first, else as a classic one.
pub(super) fn describe(cluster: &mut Cluster, id: &str) -> Result<Group> {
    let coordinator = cluster.group_coordinator(id)?;
    if let Some(group) = describe_consumer_group(cluster, coordinator, id)? {
        return Ok(group);
    }
    let request = DescribeGroupsRequest { groups: vec![id.into()], ..DescribeGroupsRequest::default() };
    let response = cluster.node(coordinator, &request)?;
    let Some(group) = response.groups.into_iter().next() else {
        return failed("The coordinator answered DescribeGroups with nothing.");
    };
    check_group(group.error_code, group.error_message.as_ref())?;
    if &*group.group_state == "Dead" {
        return failed(format!(
            "org.apache.kafka.common.errors.GroupIdNotFoundException: Group {id} not found."
        ));
    }
    let member = |m: &ottla_protocol::messages::describe_groups_response::DescribedGroupMember| Member {
        id: m.member_id.to_string(),
        instance_id: m.group_instance_id.as_ref().map(ToString::to_string).unwrap_or_default(),
        client_id: m.client_id.to_string(),
        host: m.client_host.to_string(),
        assignment: classic_assignment(m.member_assignment.clone()),
        ..Member::default()
    };
    Ok(Group {
        state: group.group_state.to_string(),
        assignor: group.protocol_data.to_string(),
        coordinator,
        members: group.members.iter().map(member).collect(),
        ..Group::default()
    })
}

fn describe_consumer_group(cluster: &mut Cluster, coordinator: i32, id: &str) -> Result<Option<Group>> {
    let request = ConsumerGroupDescribeRequest {
        group_ids: vec![id.into()],
        ..ConsumerGroupDescribeRequest::default()
    };
    // A cluster without the new protocol has classic groups only.
    let Ok(response) = cluster.node(coordinator, &request) else { return Ok(None) };
    let Some(group) = response.groups.into_iter().next() else { return Ok(None) };
    match ErrorCode::from_code(group.error_code) {
        ErrorCode::None => {}
        ErrorCode::GroupIdNotFound | ErrorCode::UnsupportedVersion => return Ok(None),
        _ => check_group(group.error_code, group.error_message.as_ref())?,
    }
    Ok(Some(Group {
        state: group.group_state.to_string(),
        assignor: group.assignor_name.to_string(),
        coordinator,
        epoch: Some(group.group_epoch),
        assignment_epoch: Some(group.assignment_epoch),
        members: group.members.iter().map(new_member).collect(),
    }))
}

fn new_member(member: &NewMember) -> Member {
    let partitions = |assignment: &Assignment| {
        let topics = assignment.topic_partitions.iter();
        topics.flat_map(|t| t.partitions.iter().map(|p| (t.topic_name.to_string(), *p))).collect()
    };
    Member {
        id: member.member_id.to_string(),
        instance_id: member.instance_id.as_ref().map(ToString::to_string).unwrap_or_default(),
        client_id: member.client_id.to_string(),
        host: member.client_host.to_string(),
        epoch: Some(member.member_epoch),
        upgraded: match member.member_type {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        },
        assignment: partitions(&member.assignment),
        target: partitions(&member.target_assignment),
    }
}

/// Assignments of the classic protocol are opaque to brokers; consumers write them in their own format.
fn classic_assignment(bytes: bytes::Bytes) -> Vec<TopicPartition> {
    let read = || {
        let version = i16::from_be_bytes([*bytes.first()?, *bytes.get(1)?]);
        let version =
            version.clamp(ConsumerProtocolAssignment::MIN_VERSION, ConsumerProtocolAssignment::MAX_VERSION);
        let mut reader = Reader::new(bytes.slice(2..));
        ConsumerProtocolAssignment::decode(&mut reader, version).ok()
    };
    let topics = read().map(|assignment| assignment.assigned_partitions).unwrap_or_default();
    topics.into_iter().flat_map(|t| t.partitions.into_iter().map(move |p| (t.topic.to_string(), p))).collect()
}

/// All offsets that a group has committed.
pub(super) fn committed(cluster: &mut Cluster, id: &str) -> Result<BTreeMap<TopicPartition, Committed>> {
    let coordinator = cluster.group_coordinator(id)?;
    let group = OffsetFetchRequestGroup {
        group_id: id.into(),
        topics: None,
        member_epoch: -1,
        ..OffsetFetchRequestGroup::default()
    };
    let response =
        cluster.node(coordinator, &OffsetFetchRequest { groups: vec![group], ..Default::default() })?;
    check(response.error_code, None)?;
    let mut names = BTreeMap::new();
    let mut offsets = BTreeMap::new();
    for group in response.groups {
        check_group(group.error_code, None)?;
        for topic in group.topics {
            if topic.name.is_empty() && names.is_empty() {
                names = topic_names(cluster)?;
            }
            let name = match names.get(&topic.topic_id) {
                Some(name) if topic.name.is_empty() => name.clone(),
                _ => topic.name.to_string(),
            };
            for partition in topic.partitions {
                check(partition.error_code, None)?;
                let leader_epoch =
                    (partition.committed_leader_epoch >= 0).then_some(partition.committed_leader_epoch);
                let committed = Committed { offset: partition.committed_offset, leader_epoch };
                if committed.offset >= 0 {
                    offsets.insert((name.clone(), partition.partition_index), committed);
                }
            }
        }
    }
    Ok(offsets)
}

/// Names of all topics by their ids: newer brokers answer with ids only.
pub(super) fn topic_names(cluster: &mut Cluster) -> Result<BTreeMap<ottla_common::Uuid, String>> {
    let response = cluster.any(&MetadataRequest { topics: None, ..MetadataRequest::default() })?;
    let named = response.topics.into_iter().filter_map(|t| Some((t.topic_id, t.name?.to_string())));
    Ok(named.collect())
}

//! StreamsGroupDescribe, versions 0 and 1 (KIP-1071; topology descriptions KIP-1331).
//!
//! Errors, each group its own: GROUP_ID_NOT_FOUND. (INVALID_GROUP_ID is the caller's to tell.)

use std::collections::BTreeMap;

use bytestring::ByteString;
use ottla_protocol::messages::streams_group_describe_response as response;
use ottla_protocol::messages::streams_group_describe_response::DescribedGroup;
use ottla_protocol::records::group::streams_group_topology_value as record;

use crate::group::streams::assignor::{StickyTaskAssignor, TaskAssignor};
use crate::group::streams::tasks::{Tasks, list, without_epochs};
use crate::group::streams::topics::{
    ConfiguredInternalTopic, ConfiguredSubtopology, ConfiguredTopology, configure_topics,
};
use crate::group::streams::{
    MemberTaskOffsets, StreamsGroup, StreamsGroupContext, StreamsGroupError, StreamsGroupMember,
    StreamsTopology, TasksTuple, TopologyDescriptionStatus,
};

impl StreamsGroupContext<'_> {
    /// Describes the group of this context, which is the committed one.
    pub fn streams_group_describe(&self, group_id: &ByteString) -> DescribedGroup {
        match self.existing(group_id) {
            Ok(group) => self.described(group),
            Err(error) => streams_group_describe_error(group_id, &error),
        }
    }

    /// The epoch of the topology whose stored description belongs to the answer; `None` when there is none
    /// to be had, and then the answer's status says so already. Only asked when the client wants to know.
    pub fn stored_topology_description(&self, described: &mut DescribedGroup) -> Option<i32> {
        if described.error_code != 0 {
            return None;
        }
        let stored = self.group.map(StreamsGroup::stored_description_topology_epoch);
        let current = described.topology.as_ref().map(|topology| topology.epoch);
        let is_stored = self.config.topology_description_plugin_configured
            && stored.is_some_and(|epoch| epoch >= 0)
            && stored == current;
        if !is_stored {
            described.topology_description_status = TopologyDescriptionStatus::NotStored.value();
        }
        stored.filter(|_| is_stored)
    }

    fn described(&self, group: &StreamsGroup) -> DescribedGroup {
        let member = |member: &StreamsGroupMember| {
            let target = group.target_assignment(&member.member_id);
            described_member(member, target.map(|tasks| &**tasks), self.soft.task_offsets(&member.member_id))
        };
        DescribedGroup {
            group_id: group.group_id().clone(),
            group_state: ByteString::from_static(group.state().name()),
            group_epoch: group.group_epoch(),
            assignment_epoch: group.assignment_epoch(),
            topology: group.topology().map(|topology| self.described_topology(topology)),
            members: group.members().map(|of| member(of)).collect(),
            assignor_name: Some(ByteString::from_static(StickyTaskAssignor.name())),
            ..Default::default()
        }
    }

    /// With the numbers of partitions that were found out, if everything is there.
    fn described_topology(&self, topology: &StreamsTopology) -> response::Topology {
        let known = self.soft.configured.as_ref().map(|known| &known.topology);
        let known = known.filter(|known| known.topology_epoch == topology.epoch());
        // A coordinator that has had no heartbeat yet knows the topics as well as any other.
        let looked_up = || configure_topics(topology, 0, self.metadata).ok();
        let configured = known.map(|known| ConfiguredTopology::clone(known)).or_else(looked_up);
        let subtopologies = configured.filter(ConfiguredTopology::is_ready).and_then(|it| it.subtopologies);
        let subtopologies = match subtopologies {
            Some(subtopologies) => subtopologies.iter().map(configured_subtopology).collect(),
            None => topology.subtopologies().values().map(raw_subtopology).collect(),
        };
        let subtopologies = Some(subtopologies);
        response::Topology { epoch: topology.epoch(), subtopologies, ..Default::default() }
    }
}

/// An answer about a group that could not be looked at.
pub(crate) fn streams_group_describe_error(
    group_id: &ByteString,
    error: &StreamsGroupError,
) -> DescribedGroup {
    DescribedGroup {
        group_id: group_id.clone(),
        error_code: error.code().code(),
        error_message: Some(error.message()),
        ..Default::default()
    }
}

fn described_member(
    member: &StreamsGroupMember,
    target: Option<&TasksTuple>,
    offsets: Option<&MemberTaskOffsets>,
) -> response::Member {
    let assigned = &member.assigned_tasks;
    let nothing = TasksTuple::default();
    let target = target.unwrap_or(&nothing);
    let endpoint = member.user_endpoint.as_ref();
    let no_offsets = MemberTaskOffsets::default();
    let offsets = offsets.unwrap_or(&no_offsets);
    response::Member {
        member_id: member.member_id.clone(),
        member_epoch: member.member_epoch,
        instance_id: member.instance_id.clone(),
        rack_id: member.rack_id.clone(),
        client_id: member.client_id.clone(),
        client_host: member.client_host.clone(),
        topology_epoch: member.topology_epoch,
        process_id: member.process_id.clone(),
        user_endpoint: endpoint.map(|endpoint| response::Endpoint {
            host: endpoint.host.clone(),
            port: endpoint.port,
            ..Default::default()
        }),
        client_tags: key_values(&member.client_tags),
        task_offsets: task_offsets(&offsets.task_offsets),
        task_end_offsets: task_offsets(&offsets.task_end_offsets),
        assignment: assignment(&without_epochs(&assigned.active), &assigned.standby, &assigned.warmup),
        target_assignment: assignment(&target.active, &target.standby, &target.warmup),
        ..Default::default()
    }
}

fn assignment(active: &Tasks, standby: &Tasks, warmup: &Tasks) -> response::Assignment {
    let ids = |tasks: &Tasks| {
        list(tasks, |subtopology_id, partitions| response::TaskIds {
            subtopology_id,
            partitions,
            ..Default::default()
        })
    };
    response::Assignment {
        active_tasks: ids(active),
        standby_tasks: ids(standby),
        warmup_tasks: ids(warmup),
        ..Default::default()
    }
}

fn task_offsets(offsets: &BTreeMap<ByteString, BTreeMap<i32, i64>>) -> Vec<response::TaskOffset> {
    let all = offsets.iter().flat_map(|(subtopology, partitions)| {
        partitions.iter().map(move |(partition, offset)| response::TaskOffset {
            subtopology_id: subtopology.clone(),
            partition: *partition,
            offset: *offset,
            ..Default::default()
        })
    });
    all.collect()
}

fn key_values(pairs: &BTreeMap<ByteString, ByteString>) -> Vec<response::KeyValue> {
    let pair = |(key, value): (&ByteString, &ByteString)| response::KeyValue {
        key: key.clone(),
        value: value.clone(),
        ..Default::default()
    };
    pairs.iter().map(pair).collect()
}

fn configured_subtopology((id, subtopology): (&ByteString, &ConfiguredSubtopology)) -> response::Subtopology {
    let topic = |topic: &ConfiguredInternalTopic| response::TopicInfo {
        name: topic.name.clone(),
        partitions: topic.number_of_partitions,
        replication_factor: topic.replication_factor.unwrap_or(0),
        topic_configs: key_values(&topic.topic_configs),
        ..Default::default()
    };
    response::Subtopology {
        subtopology_id: id.clone(),
        source_topics: subtopology.source_topics.iter().cloned().collect(),
        repartition_sink_topics: subtopology.repartition_sink_topics.iter().cloned().collect(),
        state_changelog_topics: subtopology.state_changelog_topics.values().map(topic).collect(),
        repartition_source_topics: subtopology.repartition_source_topics.values().map(topic).collect(),
        ..Default::default()
    }
}

fn raw_subtopology(subtopology: &record::Subtopology) -> response::Subtopology {
    response::Subtopology {
        subtopology_id: subtopology.subtopology_id.clone(),
        source_topics: sorted(&subtopology.source_topics),
        repartition_sink_topics: sorted(&subtopology.repartition_sink_topics),
        state_changelog_topics: raw_topics(&subtopology.state_changelog_topics),
        repartition_source_topics: raw_topics(&subtopology.repartition_source_topics),
        ..Default::default()
    }
}

fn raw_topics(topics: &[record::TopicInfo]) -> Vec<response::TopicInfo> {
    let config = |config: &record::TopicConfig| response::KeyValue {
        key: config.key.clone(),
        value: config.value.clone(),
        ..Default::default()
    };
    let topic = |topic: &record::TopicInfo| response::TopicInfo {
        name: topic.name.clone(),
        partitions: topic.partitions,
        replication_factor: topic.replication_factor,
        topic_configs: topic.topic_configs.iter().map(config).collect(),
        ..Default::default()
    };
    let mut topics: Vec<_> = topics.iter().map(topic).collect();
    topics.sort_by(|one, two| one.name.cmp(&two.name));
    topics
}

fn sorted(names: &[ByteString]) -> Vec<ByteString> {
    let mut names = names.to_vec();
    names.sort_unstable();
    names
}

#[cfg(test)]
#[path = "streams_group_describe_test.rs"]
mod tests;

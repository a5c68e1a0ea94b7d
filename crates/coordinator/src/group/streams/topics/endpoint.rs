use std::collections::BTreeSet;

use ottla_protocol::messages::streams_group_heartbeat_response::{
    Endpoint, EndpointToPartitions, TopicPartition,
};

use super::configured::ConfiguredTopology;
use crate::group::streams::StreamsGroupMember;
use crate::group::streams::tasks::{Tasks, without_epochs};
use crate::metadata::CoordinatorMetadata;

/// Which partitions can be asked for at a member's endpoint; `None` when it has no endpoint. Clients run
/// warm-up tasks as standby tasks, so their partitions are told as such.
pub(crate) fn endpoint_to_partitions(
    member: &StreamsGroupMember,
    topology: &ConfiguredTopology,
    metadata: &dyn CoordinatorMetadata,
) -> Option<EndpointToPartitions> {
    let endpoint = member.user_endpoint.as_ref()?;
    let active = without_epochs(&member.assigned_tasks.active);
    let standby = member.assigned_tasks.standby_and_warmup();
    Some(EndpointToPartitions {
        user_endpoint: Endpoint { host: endpoint.host.clone(), port: endpoint.port, ..Default::default() },
        active_partitions: partitions(&active, topology, metadata),
        standby_partitions: partitions(&standby, topology, metadata),
        ..Default::default()
    })
}

fn partitions(
    tasks: &Tasks,
    topology: &ConfiguredTopology,
    metadata: &dyn CoordinatorMetadata,
) -> Vec<TopicPartition> {
    let mut found = Vec::new();
    let Some(subtopologies) = &topology.subtopologies else { return found };
    for (id, tasks) in tasks {
        let topics = subtopologies.get(id).map(|subtopology| subtopology.all_source_topics());
        for topic in topics.into_iter().flatten() {
            let Some(existing) = metadata.topic(topic) else { continue };
            // There are as many tasks as the widest topic has partitions: narrower ones end earlier.
            let partitions = narrowed(tasks, existing.num_partitions);
            if !partitions.is_empty() {
                found.push(TopicPartition { topic: topic.clone(), partitions, ..Default::default() });
            }
        }
    }
    found
}

fn narrowed(tasks: &BTreeSet<i32>, num_partitions: i32) -> Vec<i32> {
    tasks.iter().copied().filter(|partition| *partition < num_partitions).collect()
}

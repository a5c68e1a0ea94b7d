use std::collections::{BTreeMap, BTreeSet};

use bytestring::ByteString;
use ottla_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use ottla_protocol::records::group::streams_group_topology_value::{Subtopology, TopicInfo};

use super::configured::{
    ConfiguredInternalTopic, ConfiguredSubtopology, ConfiguredTopology, TopicConfigurationProblem,
};
use super::partition_counts::PartitionCounts;
use crate::group::streams::{StatusCode, StreamsGroupError, StreamsTopology};
use crate::metadata::CoordinatorMetadata;

const REPLICATION_FACTOR_OF_THE_BROKER: i16 = -1;
/// How many topics a status names.
const TOPICS_NAMED_MAX: usize = 3;

/// Looks the topics of a topology up. Topics that are missing, or have the wrong number of partitions,
/// are a problem that may pass; a topology that can never work is an error.
pub fn configure_topics(
    topology: &StreamsTopology,
    metadata_hash: i64,
    metadata: &dyn CoordinatorMetadata,
) -> Result<ConfiguredTopology, StreamsGroupError> {
    let nothing = ConfiguredTopology {
        topology_epoch: topology.epoch(),
        metadata_hash,
        subtopologies: None,
        internal_topics_to_create: Vec::new(),
        problem: None,
    };
    match configure(topology, metadata) {
        Ok((subtopologies, internal_topics_to_create)) => {
            let names = internal_topics_to_create.iter().map(|topic| &topic.name);
            let problem = (!internal_topics_to_create.is_empty()).then(|| TopicConfigurationProblem {
                status: StatusCode::MissingInternalTopics,
                detail: format!("internal topics are missing: {}", summary(names)),
            });
            let subtopologies = Some(subtopologies);
            Ok(ConfiguredTopology { subtopologies, internal_topics_to_create, problem, ..nothing })
        }
        Err(Refusal::Problem(problem)) => Ok(ConfiguredTopology { problem: Some(problem), ..nothing }),
        Err(Refusal::Topology(reason)) => Err(StreamsGroupError::StreamsInvalidTopology(reason)),
    }
}

/// Why topics could not be configured.
#[derive(Debug)]
pub(super) enum Refusal {
    /// It may pass.
    Problem(TopicConfigurationProblem),
    /// It cannot.
    Topology(String),
}

impl Refusal {
    pub(super) fn topology(reason: String) -> Self {
        Self::Topology(reason)
    }

    pub(super) fn incorrectly_partitioned(detail: String) -> Self {
        Self::Problem(TopicConfigurationProblem { status: StatusCode::IncorrectlyPartitionedTopics, detail })
    }
}

type Subtopologies = BTreeMap<ByteString, ConfiguredSubtopology>;

fn configure(
    topology: &StreamsTopology,
    metadata: &dyn CoordinatorMetadata,
) -> Result<(Subtopologies, Vec<CreatableTopic>), Refusal> {
    refuse_missing_source_topics(topology, metadata)?;
    let counts = PartitionCounts::decide(topology, metadata)?;
    let mut subtopologies = BTreeMap::new();
    for (id, subtopology) in topology.subtopologies() {
        subtopologies.insert(id.clone(), configured_subtopology(subtopology, &counts)?);
    }
    let missing = missing_internal_topics(topology, &subtopologies, metadata)?;
    Ok((subtopologies, missing))
}

fn refuse_missing_source_topics(
    topology: &StreamsTopology,
    metadata: &dyn CoordinatorMetadata,
) -> Result<(), Refusal> {
    let sources = topology.subtopologies().values().flat_map(|subtopology| &subtopology.source_topics);
    let missing: BTreeSet<_> = sources.filter(|topic| metadata.topic(topic).is_none()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let detail = format!("source topics are missing: {}", summary(missing.into_iter()));
    Err(Refusal::Problem(TopicConfigurationProblem { status: StatusCode::MissingSourceTopics, detail }))
}

fn configured_subtopology(
    subtopology: &Subtopology,
    counts: &PartitionCounts<'_>,
) -> Result<ConfiguredSubtopology, Refusal> {
    let topics = |topics: &[TopicInfo]| -> Result<BTreeMap<_, _>, Refusal> {
        let mut configured = BTreeMap::new();
        for topic in topics {
            configured.insert(topic.name.clone(), internal_topic(topic, counts)?);
        }
        Ok(configured)
    };
    let number_of_tasks = counts.number_of_tasks(subtopology)?;
    if number_of_tasks < 1 {
        let id = &subtopology.subtopology_id;
        return Err(Refusal::topology(format!("subtopology {id} would have no tasks")));
    }
    Ok(ConfiguredSubtopology {
        number_of_tasks,
        source_topics: subtopology.source_topics.iter().cloned().collect(),
        repartition_source_topics: topics(&subtopology.repartition_source_topics)?,
        repartition_sink_topics: subtopology.repartition_sink_topics.iter().cloned().collect(),
        state_changelog_topics: topics(&subtopology.state_changelog_topics)?,
    })
}

fn internal_topic(
    topic: &TopicInfo,
    counts: &PartitionCounts<'_>,
) -> Result<ConfiguredInternalTopic, Refusal> {
    let partitions = match topic.partitions {
        0 => counts.decided(&topic.name),
        partitions => Some(partitions),
    };
    match partitions {
        Some(partitions) if partitions > 0 => Ok(ConfiguredInternalTopic::new(topic, partitions)),
        _ => Err(Refusal::topology(format!("internal topic {} would have no partitions", topic.name))),
    }
}

/// The application's own topics that are not there. One that is there must be as it was to be made.
fn missing_internal_topics(
    topology: &StreamsTopology,
    subtopologies: &Subtopologies,
    metadata: &dyn CoordinatorMetadata,
) -> Result<Vec<CreatableTopic>, Refusal> {
    let mut wanted: BTreeMap<&ByteString, &ConfiguredInternalTopic> = BTreeMap::new();
    for subtopology in subtopologies.values() {
        let topics = subtopology.repartition_source_topics.iter().chain(&subtopology.state_changelog_topics);
        wanted.extend(topics);
    }
    for name in topology.required_topics() {
        let Some(existing) = metadata.topic(name) else { continue };
        let Some(expected) = wanted.remove(name) else { continue };
        let (has, needs) = (existing.num_partitions, expected.number_of_partitions);
        if has != needs {
            let what = format!("topic {name} has {has} partitions where {needs} are needed");
            return Err(Refusal::incorrectly_partitioned(what));
        }
    }
    Ok(wanted.into_values().map(creatable).collect())
}

fn creatable(topic: &ConfiguredInternalTopic) -> CreatableTopic {
    let config = |(name, value): (&ByteString, &ByteString)| CreatableTopicConfig {
        name: name.clone(),
        value: Some(value.clone()),
        ..Default::default()
    };
    CreatableTopic {
        name: topic.name.clone(),
        num_partitions: topic.number_of_partitions,
        replication_factor: topic.replication_factor.unwrap_or(REPLICATION_FACTOR_OF_THE_BROKER),
        configs: topic.topic_configs.iter().map(config).collect(),
        ..Default::default()
    }
}

fn summary<'a>(topics: impl Iterator<Item = &'a ByteString>) -> String {
    let topics: Vec<&str> = topics.map(|topic| &**topic).collect();
    let more = topics.len().saturating_sub(TOPICS_NAMED_MAX);
    let named = topics.iter().take(TOPICS_NAMED_MAX).copied().collect::<Vec<_>>().join(", ");
    if more == 0 { named } else { format!("{named} and {more} more") }
}

#[cfg(test)]
#[path = "configure_test.rs"]
mod tests;

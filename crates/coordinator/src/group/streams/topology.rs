use std::collections::{BTreeMap, BTreeSet};

use bytestring::ByteString;
use ottla_protocol::messages::streams_group_heartbeat_request as request;
use ottla_protocol::records::group::StreamsGroupTopologyValue;
use ottla_protocol::records::group::streams_group_topology_value as record;
use record::Subtopology;

use super::StreamsGroupError;
use crate::group::owned;

/// What an application does, as far as assigning its tasks goes: parts that work apart from each other
/// (subtopologies), the topics that each reads, and those that the application has for itself.
#[derive(Debug, Clone, PartialEq)]
pub struct StreamsTopology {
    epoch: i32,
    subtopologies: BTreeMap<ByteString, Subtopology>,
    /// Which subtopology reads a topic.
    readers: BTreeMap<ByteString, ByteString>,
    required_topics: BTreeSet<ByteString>,
}

impl StreamsTopology {
    /// The topology of a record. What makes no sense was refused before it was written; found here all
    /// the same, the later word counts.
    pub fn from_record(value: &StreamsGroupTopologyValue) -> Self {
        let mut subtopologies = BTreeMap::new();
        for subtopology in &value.subtopologies {
            subtopologies.insert(owned(&subtopology.subtopology_id), owned_subtopology(subtopology));
        }
        let (mut readers, mut required_topics) = (BTreeMap::new(), BTreeSet::new());
        for (id, subtopology) in &subtopologies {
            for topic in source_topics(subtopology) {
                readers.insert(topic.clone(), id.clone());
                required_topics.insert(topic.clone());
            }
            required_topics.extend(subtopology.state_changelog_topics.iter().map(|topic| topic.name.clone()));
        }
        Self { epoch: value.epoch, subtopologies, readers, required_topics }
    }

    /// The number of the topology, counted by the application.
    pub fn epoch(&self) -> i32 {
        self.epoch
    }

    /// The subtopologies, by id.
    pub fn subtopologies(&self) -> &BTreeMap<ByteString, Subtopology> {
        &self.subtopologies
    }

    /// The id of the subtopology that reads this topic.
    pub fn reader_of(&self, topic: &str) -> Option<&ByteString> {
        self.readers.get(topic)
    }

    /// Every topic that must be there before a task can run.
    pub fn required_topics(&self) -> &BTreeSet<ByteString> {
        &self.required_topics
    }
}

/// The topics that a subtopology reads, its own repartition topics among them.
pub(crate) fn source_topics(subtopology: &Subtopology) -> impl Iterator<Item = &ByteString> {
    let repartition = subtopology.repartition_source_topics.iter().map(|topic| &topic.name);
    subtopology.source_topics.iter().chain(repartition)
}

/// The topics of one co-partition group, which point into the subtopology's lists.
pub(crate) fn copartition_group(
    subtopology: &Subtopology,
    group: &record::CopartitionGroup,
) -> BTreeSet<ByteString> {
    let at = |index: &i16| usize::try_from(*index).ok();
    let sources = group.source_topics.iter().filter_map(|i| subtopology.source_topics.get(at(i)?));
    let repartition = group.repartition_source_topics.iter();
    let repartition = repartition.filter_map(|i| subtopology.repartition_source_topics.get(at(i)?));
    sources.cloned().chain(repartition.map(|topic| topic.name.clone())).collect()
}

/// The record of a topology that a member brings. Refused when it contradicts itself.
pub(crate) fn record_of(
    topology: &request::Topology,
) -> Result<StreamsGroupTopologyValue, StreamsGroupError> {
    if topology.epoch < 0 {
        return Err(invalid(format!("topology epoch {} is negative", topology.epoch)));
    }
    let mut ids = BTreeSet::new();
    for subtopology in &topology.subtopologies {
        if !ids.insert(&subtopology.subtopology_id) {
            return Err(invalid(format!("subtopology {} is there twice", subtopology.subtopology_id)));
        }
        validate_subtopology(subtopology)?;
    }
    let subtopologies = topology.subtopologies.iter().map(subtopology_record).collect();
    Ok(StreamsGroupTopologyValue { epoch: topology.epoch, subtopologies, ..Default::default() })
}

fn validate_subtopology(subtopology: &request::Subtopology) -> Result<(), StreamsGroupError> {
    let mut names = BTreeSet::new();
    for topic in &subtopology.repartition_source_topics {
        if topic.partitions < 0 {
            let (name, partitions) = (&topic.name, topic.partitions);
            return Err(invalid(format!("repartition topic {name} cannot have {partitions} partitions")));
        }
        if !names.insert(&topic.name) {
            return Err(invalid(format!("repartition topic {} is there twice", topic.name)));
        }
    }
    // A repartition topic may also be the changelog of a table that is read from it.
    names.clear();
    for topic in &subtopology.state_changelog_topics {
        if topic.partitions != 0 {
            // A changelog topic has a partition for each task; how many there are is found out here.
            return Err(invalid(format!(
                "changelog topic {} cannot ask for {} partitions",
                topic.name, topic.partitions
            )));
        }
        if !names.insert(&topic.name) {
            return Err(invalid(format!("changelog topic {} is there twice", topic.name)));
        }
    }
    for group in &subtopology.copartition_groups {
        let within = |indexes: &[i16], len: usize| {
            indexes.iter().all(|index| usize::try_from(*index).is_ok_and(|index| index < len))
        };
        let sources = within(&group.source_topics, subtopology.source_topics.len());
        let repartition =
            within(&group.repartition_source_topics, subtopology.repartition_source_topics.len());
        if !sources || !repartition {
            let id = &subtopology.subtopology_id;
            return Err(invalid(format!("a co-partition group of subtopology {id} names no topic")));
        }
    }
    Ok(())
}

fn invalid(reason: String) -> StreamsGroupError {
    StreamsGroupError::StreamsInvalidTopology(reason)
}

fn subtopology_record(subtopology: &request::Subtopology) -> Subtopology {
    let groups = subtopology.copartition_groups.iter().map(|group| record::CopartitionGroup {
        source_topics: group.source_topics.clone(),
        source_topic_regex: group.source_topic_regex.clone(),
        repartition_source_topics: group.repartition_source_topics.clone(),
        ..Default::default()
    });
    Subtopology {
        subtopology_id: subtopology.subtopology_id.clone(),
        source_topics: subtopology.source_topics.clone(),
        source_topic_regex: subtopology.source_topic_regex.clone(),
        state_changelog_topics: subtopology.state_changelog_topics.iter().map(topic_record).collect(),
        repartition_sink_topics: subtopology.repartition_sink_topics.clone(),
        repartition_source_topics: subtopology.repartition_source_topics.iter().map(topic_record).collect(),
        copartition_groups: groups.collect(),
        ..Default::default()
    }
}

fn topic_record(topic: &request::TopicInfo) -> record::TopicInfo {
    let config = |config: &request::KeyValue| record::TopicConfig {
        key: config.key.clone(),
        value: config.value.clone(),
        ..Default::default()
    };
    record::TopicInfo {
        name: topic.name.clone(),
        partitions: topic.partitions,
        replication_factor: topic.replication_factor,
        topic_configs: topic.topic_configs.iter().map(config).collect(),
        ..Default::default()
    }
}

/// A copy that holds on to no other memory. Fields of newer releases are left behind.
fn owned_subtopology(subtopology: &Subtopology) -> Subtopology {
    let topic = |topic: &record::TopicInfo| record::TopicInfo {
        name: owned(&topic.name),
        partitions: topic.partitions,
        replication_factor: topic.replication_factor,
        topic_configs: topic.topic_configs.iter().map(owned_config).collect(),
        ..Default::default()
    };
    let group = |group: &record::CopartitionGroup| record::CopartitionGroup {
        unknown_tagged_fields: Vec::new(),
        ..group.clone()
    };
    Subtopology {
        subtopology_id: owned(&subtopology.subtopology_id),
        source_topics: subtopology.source_topics.iter().map(owned).collect(),
        source_topic_regex: subtopology.source_topic_regex.iter().map(owned).collect(),
        state_changelog_topics: subtopology.state_changelog_topics.iter().map(topic).collect(),
        repartition_sink_topics: subtopology.repartition_sink_topics.iter().map(owned).collect(),
        repartition_source_topics: subtopology.repartition_source_topics.iter().map(topic).collect(),
        copartition_groups: subtopology.copartition_groups.iter().map(group).collect(),
        ..Default::default()
    }
}

fn owned_config(config: &record::TopicConfig) -> record::TopicConfig {
    record::TopicConfig { key: owned(&config.key), value: owned(&config.value), ..Default::default() }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{repartition, subtopology, topology};
    use super::*;

    #[test]
    fn a_topology_knows_who_reads_what() {
        let mut first = subtopology("0", &["pedidos"]);
        first.repartition_source_topics.push(repartition("app-x-repartition", 0));
        first.state_changelog_topics.push(repartition("app-s-changelog", 0));
        let value = record_of(&topology(3, vec![first, subtopology("1", &["pagos"])])).unwrap();
        let topology = StreamsTopology::from_record(&value);
        assert_eq!(topology.epoch(), 3);
        assert_eq!(topology.reader_of("app-x-repartition").unwrap(), "0");
        assert_eq!(topology.reader_of("pagos").unwrap(), "1");
        assert_eq!(topology.reader_of("app-s-changelog"), None);
        let required: Vec<_> = topology.required_topics().iter().map(ToString::to_string).collect();
        assert_eq!(required, ["app-s-changelog", "app-x-repartition", "pagos", "pedidos"]);
    }

    #[test]
    fn topologies_that_contradict_themselves_are_refused() {
        let twice = topology(0, vec![subtopology("0", &["a"]), subtopology("0", &["b"])]);
        let mut nowhere = subtopology("0", &["a"]);
        nowhere
            .copartition_groups
            .push(request::CopartitionGroup { source_topics: vec![0, 1], ..Default::default() });
        let mut changelog = subtopology("0", &["a"]);
        changelog.state_changelog_topics.push(repartition("c", 4));
        let mut negative = subtopology("0", &["a"]);
        negative.repartition_source_topics.push(repartition("r", -4));
        let refused = [
            topology(-1, vec![subtopology("0", &["a"])]),
            twice,
            topology(0, vec![nowhere]),
            topology(0, vec![changelog]),
            topology(0, vec![negative]),
        ];
        for topology in refused {
            let error = record_of(&topology).unwrap_err();
            assert_eq!(error.code(), ottla_common::ErrorCode::StreamsInvalidTopology, "{topology:?}");
        }
    }
}

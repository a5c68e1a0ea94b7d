use std::collections::{BTreeMap, BTreeSet};

use bytestring::ByteString;
use ottla_protocol::messages::create_topics_request::CreatableTopic;
use ottla_protocol::records::group::streams_group_topology_value::TopicInfo;

use crate::group::streams::StatusCode;

/// A topology whose topics were looked up.
#[derive(Debug, Clone, PartialEq)]
pub struct ConfiguredTopology {
    /// The epoch of the topology.
    pub topology_epoch: i32,
    /// What its topics came to.
    pub metadata_hash: i64,
    /// The subtopologies, unless something is wrong with topics that are not the application's own.
    pub subtopologies: Option<BTreeMap<ByteString, ConfiguredSubtopology>>,
    /// The topics that the broker is to create, by name.
    pub internal_topics_to_create: Vec<CreatableTopic>,
    /// Why no task can run yet.
    pub problem: Option<TopicConfigurationProblem>,
}

/// Why no task of a topology can run yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicConfigurationProblem {
    /// What members are told.
    pub status: StatusCode,
    /// Which topics it is about.
    pub detail: String,
}

/// A subtopology whose topics were looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfiguredSubtopology {
    /// As many as its source topic with the most partitions has partitions.
    pub number_of_tasks: i32,
    /// The topics that it reads and others write.
    pub source_topics: BTreeSet<ByteString>,
    /// The topics that it reads and the application writes, by name.
    pub repartition_source_topics: BTreeMap<ByteString, ConfiguredInternalTopic>,
    /// The topics that it writes for other subtopologies.
    pub repartition_sink_topics: BTreeSet<ByteString>,
    /// The topics that hold its state, by name.
    pub state_changelog_topics: BTreeMap<ByteString, ConfiguredInternalTopic>,
}

/// A topic that the application has for itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfiguredInternalTopic {
    /// Its name.
    pub name: ByteString,
    /// How many partitions it has, or is to have.
    pub number_of_partitions: i32,
    /// How many replicas it is to have; `None` leaves that to the broker.
    pub replication_factor: Option<i16>,
    /// Its configuration.
    pub topic_configs: BTreeMap<ByteString, ByteString>,
}

impl ConfiguredTopology {
    /// Whether tasks can run.
    pub fn is_ready(&self) -> bool {
        self.problem.is_none()
    }
}

impl ConfiguredSubtopology {
    /// Whether its tasks have state: only those have standby replicas.
    pub fn is_stateful(&self) -> bool {
        !self.state_changelog_topics.is_empty()
    }

    /// Every topic that it reads.
    pub(crate) fn all_source_topics(&self) -> BTreeSet<&ByteString> {
        self.source_topics.iter().chain(self.repartition_source_topics.keys()).collect()
    }
}

impl ConfiguredInternalTopic {
    pub(super) fn new(topic: &TopicInfo, number_of_partitions: i32) -> Self {
        let config = topic.topic_configs.iter();
        Self {
            name: topic.name.clone(),
            number_of_partitions,
            replication_factor: (topic.replication_factor != 0).then_some(topic.replication_factor),
            topic_configs: config.map(|config| (config.key.clone(), config.value.clone())).collect(),
        }
    }
}

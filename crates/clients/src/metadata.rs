use std::collections::{BTreeMap, HashMap};

use bytestring::ByteString;
use ottla_common::{ErrorCode, Uuid};
use ottla_protocol::messages::describe_topic_partitions_response::DescribeTopicPartitionsResponsePartition;
use ottla_protocol::messages::metadata_response::{MetadataResponsePartition, MetadataResponseTopic};
use ottla_protocol::messages::{DescribeClusterResponse, MetadataResponse};

use crate::ClientError;

/// A broker as clients reach it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// `node.id`.
    pub id: i32,
    /// Advertised host.
    pub host: ByteString,
    /// Advertised port.
    pub port: i32,
    /// `broker.rack`.
    pub rack: Option<ByteString>,
}

impl Node {
    /// `host:port`, fit to connect to.
    pub fn address(&self) -> String {
        let Self { host, port, .. } = self;
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }
}

/// What a client knows of its cluster.
#[derive(Debug, Clone, Default)]
pub struct Metadata {
    /// The cluster's id.
    pub cluster_id: Option<ByteString>,
    /// The broker that passes on requests to the controller.
    pub controller_id: Option<i32>,
    /// The brokers by id.
    pub brokers: BTreeMap<i32, Node>,
    /// The topics asked for, by name.
    pub topics: HashMap<ByteString, TopicMetadata>,
}

/// What a client knows of a topic.
#[derive(Debug, Clone)]
pub struct TopicMetadata {
    /// Its name.
    pub name: ByteString,
    /// Its id.
    pub topic_id: Uuid,
    /// Whether the brokers own it.
    pub is_internal: bool,
    /// Why nothing is known of it.
    pub error: ErrorCode,
    /// Its partitions in order.
    pub partitions: Vec<PartitionMetadata>,
}

/// What a client knows of a partition.
#[derive(Debug, Clone)]
pub struct PartitionMetadata {
    /// Its index.
    pub index: i32,
    /// Why it cannot be used.
    pub error: ErrorCode,
    /// Its leader, if there is one.
    pub leader: Option<i32>,
    /// The leader's epoch, or -1.
    pub leader_epoch: i32,
    /// The brokers that have it, the preferred leader first.
    pub replicas: Vec<i32>,
    /// Those that are in sync.
    pub isr: Vec<i32>,
    /// Those whose disk is gone.
    pub offline_replicas: Vec<i32>,
    /// Those that may lead although not in sync (KIP-966); `None` where nobody said.
    pub eligible_leader_replicas: Option<Vec<i32>>,
    /// Those that were the last to be eligible; `None` where nobody said.
    pub last_known_elr: Option<Vec<i32>>,
}

impl TopicMetadata {
    /// A partition.
    pub fn partition(&self, index: i32) -> Option<&PartitionMetadata> {
        self.partitions.get(usize::try_from(index).ok()?).filter(|p| p.index == index)
    }
}

impl Metadata {
    /// The leader of a partition, if there is one that is known.
    pub fn leader(&self, topic: &str, partition: i32) -> Option<i32> {
        let leader = self.topics.get(topic)?.partition(partition)?.leader?;
        self.brokers.contains_key(&leader).then_some(leader)
    }

    /// The name of a topic id.
    pub fn topic_name(&self, id: Uuid) -> Option<&ByteString> {
        self.topics.values().find(|t| t.topic_id == id).map(|t| &t.name)
    }

    /// Takes in the answer of a controller, which knows nodes and no topics (KIP-919).
    pub(crate) fn update_nodes(&mut self, response: DescribeClusterResponse) {
        let nodes = response.brokers.into_iter();
        self.brokers = nodes
            .map(|b| (b.broker_id, Node { id: b.broker_id, host: b.host, port: b.port, rack: b.rack }))
            .collect();
        self.cluster_id = Some(response.cluster_id);
        self.controller_id = (response.controller_id >= 0).then_some(response.controller_id);
    }

    /// Takes in an answer: brokers are replaced, topics are added or replaced.
    pub(crate) fn update(&mut self, response: MetadataResponse) {
        let brokers = response.brokers.into_iter();
        self.brokers = brokers
            .map(|b| (b.node_id, Node { id: b.node_id, host: b.host, port: b.port, rack: b.rack }))
            .collect();
        self.cluster_id = response.cluster_id;
        self.controller_id = (response.controller_id >= 0).then_some(response.controller_id);
        for topic in response.topics.into_iter().filter_map(TopicMetadata::read) {
            self.topics.insert(topic.name.clone(), topic);
        }
    }
}

impl TopicMetadata {
    /// Itself, unless nothing is known of it.
    pub(crate) fn check(self) -> Result<Self, ClientError> {
        match self.error {
            ErrorCode::None => Ok(self),
            error => Err(ClientError::api(format!("topic {}", self.name), error, None)),
        }
    }

    fn read(topic: MetadataResponseTopic) -> Option<Self> {
        let mut partitions: Vec<_> = topic.partitions.into_iter().map(PartitionMetadata::read).collect();
        partitions.sort_by_key(|p| p.index);
        Some(Self {
            name: topic.name?,
            topic_id: topic.topic_id,
            is_internal: topic.is_internal,
            error: ErrorCode::from_code(topic.error_code),
            partitions,
        })
    }
}

impl PartitionMetadata {
    fn read(p: MetadataResponsePartition) -> Self {
        Self {
            index: p.partition_index,
            error: ErrorCode::from_code(p.error_code),
            leader: (p.leader_id >= 0).then_some(p.leader_id),
            leader_epoch: p.leader_epoch,
            replicas: p.replica_nodes,
            isr: p.isr_nodes,
            offline_replicas: p.offline_replicas,
            eligible_leader_replicas: None,
            last_known_elr: None,
        }
    }

    pub(crate) fn described(p: DescribeTopicPartitionsResponsePartition) -> Self {
        Self {
            index: p.partition_index,
            error: ErrorCode::from_code(p.error_code),
            leader: (p.leader_id >= 0).then_some(p.leader_id),
            leader_epoch: p.leader_epoch,
            replicas: p.replica_nodes,
            isr: p.isr_nodes,
            offline_replicas: p.offline_replicas,
            eligible_leader_replicas: p.eligible_leader_replicas,
            last_known_elr: p.last_known_elr,
        }
    }
}

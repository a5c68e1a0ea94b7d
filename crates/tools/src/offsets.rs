//! Partitions, their leaders and their offsets.

use std::collections::BTreeMap;

use ottla_common::ErrorCode;
use ottla_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use ottla_protocol::messages::metadata_request::MetadataRequestTopic;
use ottla_protocol::messages::{ListOffsetsRequest, MetadataRequest};

use crate::cluster::Cluster;
use crate::error::Result;

/// The end of a log.
pub(crate) const LATEST: i64 = -1;
/// The start of a log.
pub(crate) const EARLIEST: i64 = -2;

/// A topic and a partition. It sorts and prints as `topic-0`.
pub(crate) type TopicPartition = (String, i32);

/// What is known of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PartitionInfo {
    /// The leading broker, or -1.
    pub(crate) leader: i32,
}

/// The partitions of these topics (or of all), with their leaders; a topic that is not there is left out.
pub(crate) fn partitions_of(
    cluster: &mut Cluster,
    topics: Option<&[String]>,
) -> Result<BTreeMap<TopicPartition, PartitionInfo>> {
    let topic = |name: &String| MetadataRequestTopic {
        name: Some(name.as_str().into()),
        ..MetadataRequestTopic::default()
    };
    let request = MetadataRequest {
        topics: topics.map(|names| names.iter().map(topic).collect()),
        allow_auto_topic_creation: false,
        ..MetadataRequest::default()
    };
    let response = cluster.any(&request)?;
    let mut partitions = BTreeMap::new();
    for topic in response.topics.into_iter().filter(|topic| topic.error_code == 0) {
        let name = topic.name.unwrap_or_default();
        for partition in topic.partitions {
            let info = PartitionInfo { leader: partition.leader_id };
            partitions.insert((name.to_string(), partition.partition_index), info);
        }
    }
    Ok(partitions)
}

/// The offset that a partition's leader gave for a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Listed {
    /// The offset, or -1 when there is none for that time.
    pub(crate) offset: i64,
}

/// Asks the leaders for the offsets at a time (or [`LATEST`], [`EARLIEST`]).
pub(crate) fn list_offsets(
    cluster: &mut Cluster,
    partitions: &BTreeMap<TopicPartition, PartitionInfo>,
    timestamp: i64,
) -> Result<BTreeMap<TopicPartition, std::result::Result<Listed, ErrorCode>>> {
    let mut by_leader: BTreeMap<i32, BTreeMap<&str, Vec<i32>>> = BTreeMap::new();
    let mut results = BTreeMap::new();
    for ((topic, partition), info) in partitions {
        if info.leader < 0 {
            results.insert((topic.clone(), *partition), Err(ErrorCode::LeaderNotAvailable));
            continue;
        }
        by_leader.entry(info.leader).or_default().entry(topic).or_default().push(*partition);
    }
    for (leader, topics) in by_leader {
        let partition = |index: &i32| ListOffsetsPartition {
            partition_index: *index,
            timestamp,
            ..ListOffsetsPartition::default()
        };
        let topic = |(name, indexes): (&str, Vec<i32>)| ListOffsetsTopic {
            name: name.into(),
            partitions: indexes.iter().map(partition).collect(),
            ..ListOffsetsTopic::default()
        };
        let request = ListOffsetsRequest {
            replica_id: -1,
            topics: topics.into_iter().map(topic).collect(),
            ..ListOffsetsRequest::default()
        };
        for topic in cluster.node(leader, &request)?.topics {
            for partition in topic.partitions {
                let listed = match ErrorCode::from_code(partition.error_code) {
                    ErrorCode::None => Ok(Listed { offset: partition.offset }),
                    code => Err(code),
                };
                results.insert((topic.name.to_string(), partition.partition_index), listed);
            }
        }
    }
    Ok(results)
}

/// `topic-0`.
pub(crate) fn name_of((topic, partition): &TopicPartition) -> String {
    format!("{topic}-{partition}")
}

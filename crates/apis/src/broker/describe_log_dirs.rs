//! DescribeLogDirs (35), versions 1-5: what lies in each log directory (KIP-113, KIP-827, KIP-1066).
//!
//! Errors per directory: KAFKA_STORAGE_ERROR for one that failed.

use std::collections::{BTreeMap, HashSet};

use bytestring::ByteString;
use ottla_common::TopicPartition;
use ottla_protocol::messages::describe_log_dirs_response::{
    DescribeLogDirsPartition, DescribeLogDirsResult, DescribeLogDirsTopic,
};
use ottla_protocol::messages::{DescribeLogDirsRequest, DescribeLogDirsResponse};
use ottla_replica::LogDirDescription;

use crate::{BrokerContext, Call};

/// Describes every directory, with the partitions asked for, or all.
pub async fn handle(
    broker: &BrokerContext,
    _: &Call,
    request: DescribeLogDirsRequest,
) -> DescribeLogDirsResponse {
    let wanted: Option<HashSet<TopicPartition>> = request.topics.map(|topics| {
        let pairs =
            topics.iter().flat_map(|t| t.partitions.iter().map(|p| TopicPartition::new(&*t.topic, *p)));
        pairs.collect()
    });
    let results =
        broker.replicas.describe_log_dirs().into_iter().map(|dir| describe(dir, wanted.as_ref())).collect();
    DescribeLogDirsResponse { results, ..Default::default() }
}

fn describe(dir: LogDirDescription, wanted: Option<&HashSet<TopicPartition>>) -> DescribeLogDirsResult {
    let mut topics: BTreeMap<ByteString, Vec<DescribeLogDirsPartition>> = BTreeMap::new();
    for replica in dir.replicas.into_iter().filter(|r| wanted.is_none_or(|w| w.contains(&r.partition))) {
        let name = ByteString::from(&*replica.partition.topic);
        topics.entry(name).or_default().push(DescribeLogDirsPartition {
            partition_index: replica.partition.partition,
            partition_size: replica.size,
            offset_lag: replica.offset_lag,
            is_future_key: replica.is_future,
            ..Default::default()
        });
    }
    DescribeLogDirsResult {
        error_code: dir.error.code(),
        log_dir: dir.path.to_string_lossy().into_owned().into(),
        topics: topics
            .into_iter()
            .map(|(name, partitions)| DescribeLogDirsTopic { name, partitions, ..Default::default() })
            .collect(),
        total_bytes: dir.total_bytes,
        usable_bytes: dir.usable_bytes,
        is_cordoned: dir.is_cordoned,
        ..Default::default()
    }
}

use std::collections::BTreeMap;

use bytestring::ByteString;
use ottla_common::TopicPartition;
use ottla_protocol::messages::DescribeLogDirsRequest;
use ottla_protocol::messages::describe_log_dirs_request::DescribableLogDirTopic;

use super::{Admin, Outcomes};
use crate::ClientError;
use crate::partitions::tp;

/// A log directory of a broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogDirDescription {
    /// Its path on the broker.
    pub path: ByteString,
    /// Why it cannot be used, if so.
    pub error: Option<ottla_common::ErrorCode>,
    /// The replicas in it.
    pub replicas: BTreeMap<TopicPartition, ReplicaInfo>,
    /// Size of its disk, where known (KIP-827).
    pub total_bytes: Option<i64>,
    /// Free space on its disk, where known.
    pub usable_bytes: Option<i64>,
    /// Whether it takes no new replica (KIP-1066).
    pub is_cordoned: bool,
}

/// A replica on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplicaInfo {
    /// Bytes of its segments.
    pub size: i64,
    /// How far behind it is.
    pub offset_lag: i64,
    /// Whether it will replace the one in another directory.
    pub is_future: bool,
}

impl Admin {
    /// The log directories of brokers, with these topics (all of them for `None`).
    pub async fn describe_log_dirs(
        &self,
        brokers: &[i32],
        topics: Option<&[&str]>,
    ) -> Result<Outcomes<i32, Vec<LogDirDescription>>, ClientError> {
        let topics = match topics {
            None => None,
            Some(names) => {
                let names: Vec<ByteString> = names.iter().map(|n| (*n).into()).collect();
                let metadata = self.client.topics(&names, false).await?;
                let known = names.iter().filter_map(|name| metadata.topics.get(name));
                let topic = known.map(|t| DescribableLogDirTopic {
                    topic: t.name.clone(),
                    partitions: t.partitions.iter().map(|p| p.index).collect(),
                    ..Default::default()
                });
                Some(topic.collect())
            }
        };
        let request = DescribeLogDirsRequest { topics, ..DescribeLogDirsRequest::default() };
        let mut outcomes = Vec::new();
        for broker in brokers {
            let answer =
                self.client.retrying("DescribeLogDirs", || self.client.send_to(*broker, &request)).await;
            let described = answer.and_then(|response| {
                ClientError::check(format!("log directories of broker {broker}"), response.error_code, None)?;
                Ok(response.results.into_iter().map(LogDirDescription::read).collect())
            });
            outcomes.push((*broker, described));
        }
        Ok(outcomes)
    }
}

impl LogDirDescription {
    fn read(dir: ottla_protocol::messages::describe_log_dirs_response::DescribeLogDirsResult) -> Self {
        let replicas = dir.topics.into_iter().flat_map(|t| {
            let name = t.name;
            t.partitions.into_iter().map(move |p| {
                let info = ReplicaInfo {
                    size: p.partition_size,
                    offset_lag: p.offset_lag,
                    is_future: p.is_future_key,
                };
                (tp(&name, p.partition_index), info)
            })
        });
        let known = |bytes: i64| (bytes >= 0).then_some(bytes);
        let error = ottla_common::ErrorCode::from_code(dir.error_code);
        Self {
            path: dir.log_dir,
            error: (!error.is_none()).then_some(error),
            replicas: replicas.collect(),
            total_bytes: known(dir.total_bytes),
            usable_bytes: known(dir.usable_bytes),
            is_cordoned: dir.is_cordoned,
        }
    }
}

use std::collections::BTreeMap;

use ottla_common::TopicPartition;
use ottla_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use ottla_protocol::messages::offset_delete_request::{
    OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use ottla_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use ottla_protocol::messages::{OffsetCommitRequest, OffsetDeleteRequest, OffsetFetchRequest};

use super::groups::missing;
use super::{Admin, OffsetAndMetadata, Outcomes};
use crate::partitions::{by_topic, tp};
use crate::{ClientError, CoordinatorType, NetworkClient};

impl Admin {
    /// The committed offsets of a group: of these partitions, or all there are.
    pub async fn list_group_offsets(
        &self,
        group: &str,
        partitions: Option<&[TopicPartition]>,
    ) -> Result<BTreeMap<TopicPartition, OffsetAndMetadata>, ClientError> {
        self.client
            .retrying("OffsetFetch", || async {
                let coordinator = self.client.find_coordinator(CoordinatorType::Group, group).await?;
                fetch_offsets(&self.client, coordinator, group, partitions, false).await
            })
            .await
    }

    /// Commits offsets for a group that has no member.
    pub async fn alter_group_offsets(
        &self,
        group: &str,
        offsets: &BTreeMap<TopicPartition, OffsetAndMetadata>,
    ) -> Result<Outcomes<TopicPartition, ()>, ClientError> {
        let topics = by_topic(offsets.iter(), |partition, o| OffsetCommitRequestPartition {
            partition_index: partition,
            committed_offset: o.offset,
            committed_leader_epoch: o.leader_epoch.unwrap_or(-1),
            committed_metadata: Some(o.metadata.clone()),
            ..Default::default()
        });
        let topics: Vec<_> = topics
            .into_iter()
            .map(|(name, partitions)| OffsetCommitRequestTopic { name, partitions, ..Default::default() })
            .collect();
        self.client
            .retrying("OffsetCommit", || async {
                let coordinator = self.client.find_coordinator(CoordinatorType::Group, group).await?;
                let connection = self.client.node(coordinator).await?;
                let version = connection.version_up_to::<OffsetCommitRequest>(NAMES_IN_COMMIT)?;
                let request = OffsetCommitRequest {
                    group_id: group.into(),
                    generation_id_or_member_epoch: -1,
                    topics: topics.clone(),
                    ..OffsetCommitRequest::default()
                };
                let patience = self.client.settings().request_timeout;
                let response = connection.send_version(&request, version, patience).await?;
                let results = response.topics.iter().flat_map(|t| {
                    t.partitions.iter().map(|p| (tp(&t.name, p.partition_index), p.error_code))
                });
                collect_outcomes(group, results)
            })
            .await
    }

    /// Removes committed offsets of partitions whose topic no member reads.
    pub async fn delete_group_offsets(
        &self,
        group: &str,
        partitions: &[TopicPartition],
    ) -> Result<Outcomes<TopicPartition, ()>, ClientError> {
        let topics = by_topic(partitions.iter().map(|tp| (tp, ())), |partition_index, ()| {
            OffsetDeleteRequestPartition { partition_index, ..Default::default() }
        });
        let topics = topics.into_iter().map(|(name, partitions)| OffsetDeleteRequestTopic {
            name,
            partitions,
            ..Default::default()
        });
        let request = OffsetDeleteRequest {
            group_id: group.into(),
            topics: topics.collect(),
            ..OffsetDeleteRequest::default()
        };
        self.at_coordinator(group, &request, |response| {
            ClientError::check(format!("group {group}"), response.error_code, None)?;
            let results = response
                .topics
                .iter()
                .flat_map(|t| t.partitions.iter().map(|p| (tp(&t.name, p.partition_index), p.error_code)));
            collect_outcomes(group, results)
        })
        .await
    }
}

/// From the next version on, topics are named by their ids.
pub(crate) const NAMES_IN_COMMIT: i16 = 9;
const NAMES_IN_FETCH: i16 = 9;

/// Asks a coordinator for committed offsets; partitions without one are left out.
pub(crate) async fn fetch_offsets(
    client: &NetworkClient,
    coordinator: i32,
    group: &str,
    partitions: Option<&[TopicPartition]>,
    require_stable: bool,
) -> Result<BTreeMap<TopicPartition, OffsetAndMetadata>, ClientError> {
    const BATCHED: i16 = 8;
    let connection = client.node(coordinator).await?;
    let version = connection.version_up_to::<OffsetFetchRequest>(NAMES_IN_FETCH)?;
    let topics = partitions.map(|p| by_topic(p.iter().map(|tp| (tp, ())), |partition, ()| partition));
    let require_stable = require_stable && version >= 7;
    let mut request = OffsetFetchRequest { require_stable, ..OffsetFetchRequest::default() };
    if version >= BATCHED {
        let topics = topics.map(|topics| {
            let topic = |(name, partition_indexes)| OffsetFetchRequestTopics {
                name,
                partition_indexes,
                ..Default::default()
            };
            topics.into_iter().map(topic).collect()
        });
        request.groups =
            vec![OffsetFetchRequestGroup { group_id: group.into(), topics, ..Default::default() }];
    } else {
        request.group_id = group.into();
        request.topics = topics.map(|topics| {
            let topic = |(name, partition_indexes)| OffsetFetchRequestTopic {
                name,
                partition_indexes,
                ..Default::default()
            };
            topics.into_iter().map(topic).collect()
        });
    }
    let response = connection.send_version(&request, version, client.settings().request_timeout).await?;
    let mut offsets = Vec::new();
    let what = || format!("group {group}");
    if version >= BATCHED {
        let answer = response.groups.into_iter().next().ok_or_else(|| missing(group))?;
        ClientError::check(what(), answer.error_code, None)?;
        for t in answer.topics {
            for p in t.partitions {
                let offset = OffsetAndMetadata::new(p.committed_offset, p.committed_leader_epoch, p.metadata);
                offsets.push((tp(&t.name, p.partition_index), p.error_code, offset));
            }
        }
    } else {
        ClientError::check(what(), response.error_code, None)?;
        for t in response.topics {
            for p in t.partitions {
                let offset = OffsetAndMetadata::new(p.committed_offset, p.committed_leader_epoch, p.metadata);
                offsets.push((tp(&t.name, p.partition_index), p.error_code, offset));
            }
        }
    }
    let mut committed = BTreeMap::new();
    for (tp, error, offset) in offsets {
        ClientError::check(format!("offset of {tp} in group {group}"), error, None)?;
        if offset.offset >= 0 {
            committed.insert(tp, offset);
        }
    }
    Ok(committed)
}

fn collect_outcomes(
    group: &str,
    results: impl Iterator<Item = (TopicPartition, i16)>,
) -> Result<Outcomes<TopicPartition, ()>, ClientError> {
    let mut outcomes = Vec::new();
    for (tp, error) in results {
        let result = ClientError::check(format!("offset of {tp} in group {group}"), error, None);
        match result {
            // The coordinator moved or loads: the whole request goes again.
            Err(error) if error.is_retriable() => return Err(error),
            result => outcomes.push((tp, result)),
        }
    }
    Ok(outcomes)
}

//! Offsets: what is asked of a group, checked, sent to its partition, and put into the words of the
//! client's version. Which topics there are is not checked here.

use std::sync::Arc;

use bytestring::ByteString;
use ottla_common::ErrorCode;
use ottla_coordinator::group::{GroupCoordinatorShard, RequestContext};
use ottla_coordinator::runtime::CoordinatorResult;
use ottla_protocol::messages::offset_commit_response::{
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use ottla_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use ottla_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use ottla_protocol::messages::{
    OffsetCommitRequest, OffsetCommitResponse, OffsetDeleteRequest, OffsetDeleteResponse, OffsetFetchRequest,
    OffsetFetchResponse,
};

use super::GroupCoordinatorService;

/// From this version on a request may be about several groups (KIP-709).
const BATCH_MIN_VERSION: i16 = 8;
/// From this version on a response has an error of its own.
const TOP_LEVEL_ERROR_MIN_VERSION: i16 = 2;

impl GroupCoordinatorService {
    /// Notes how far somebody has come. Topics must have their names, and may have their ids.
    pub async fn offset_commit(
        &self,
        context: RequestContext,
        request: OffsetCommitRequest,
    ) -> OffsetCommitResponse {
        let partition = match self.partition_of(&request.group_id) {
            Ok(partition) => partition,
            Err(error) => return commit_refused(&request, error),
        };
        let asked = Arc::new(request);
        let request = Arc::clone(&asked);
        let decide =
            move |now_ms, shard: &GroupCoordinatorShard| shard.commit_offset(now_ms, &context, &request);
        self.write(partition, decide).await.unwrap_or_else(|error| commit_refused(&asked, error))
    }

    /// What groups have committed. Topics must have their names, and may have their ids.
    pub async fn offset_fetch(
        &self,
        context: RequestContext,
        request: OffsetFetchRequest,
    ) -> OffsetFetchResponse {
        let version = context.api_version;
        let require_stable = request.require_stable;
        let mut groups = Vec::new();
        for group in groups_of(version, request) {
            groups.push(self.fetch_offsets(&context, group, require_stable).await);
        }
        if version >= BATCH_MIN_VERSION {
            return OffsetFetchResponse { groups, ..Default::default() };
        }
        groups.pop().map(single_group).unwrap_or_default()
    }

    /// What one group has committed.
    pub async fn fetch_offsets(
        &self,
        context: &RequestContext,
        request: OffsetFetchRequestGroup,
        require_stable: bool,
    ) -> OffsetFetchResponseGroup {
        let partition = match self.partition_of(&request.group_id) {
            Ok(partition) => partition,
            Err(error) => return fetch_refused(context, &request, error),
        };
        let asked = request.clone();
        let outcome = if require_stable {
            // As a write, it sees what is not committed yet, and answers when that is.
            let decide = move |_, shard: &GroupCoordinatorShard| {
                shard.fetch_offsets(&request, true).map(CoordinatorResult::of)
            };
            self.write(partition, decide).await
        } else {
            let look = move |committed: &GroupCoordinatorShard, _: &GroupCoordinatorShard| {
                committed.fetch_offsets(&request, false).map_err(|error| error.code())
            };
            self.read(partition, look).await.and_then(|outcome| outcome)
        };
        match outcome {
            Ok(response) => response,
            // Older consumers do not expect this one, and would not look for the coordinator anew.
            Err(ErrorCode::CoordinatorNotAvailable) if require_stable => {
                fetch_refused(context, &asked, ErrorCode::NotCoordinator)
            }
            Err(error) => fetch_refused(context, &asked, error),
        }
    }

    /// Forgets offsets.
    pub async fn offset_delete(&self, request: OffsetDeleteRequest) -> OffsetDeleteResponse {
        let refused =
            |error: ErrorCode| OffsetDeleteResponse { error_code: error.code(), ..Default::default() };
        let partition = match self.partition_of(&request.group_id) {
            Ok(_) if request.group_id.is_empty() => return refused(ErrorCode::InvalidGroupId),
            Ok(partition) => partition,
            Err(error) => return refused(error),
        };
        let decide = move |_, shard: &GroupCoordinatorShard| shard.delete_offsets(&request);
        self.write(partition, decide).await.unwrap_or_else(refused)
    }
}

/// Every version's request in the words of the newest.
fn groups_of(version: i16, request: OffsetFetchRequest) -> Vec<OffsetFetchRequestGroup> {
    if version >= BATCH_MIN_VERSION {
        return request.groups;
    }
    let topics = request.topics.map(|topics| {
        let topic = |topic: OffsetFetchRequestTopic| OffsetFetchRequestTopics {
            name: topic.name,
            partition_indexes: topic.partition_indexes,
            ..Default::default()
        };
        topics.into_iter().map(topic).collect()
    });
    vec![OffsetFetchRequestGroup { group_id: request.group_id, topics, ..Default::default() }]
}

/// A group's answer in the words of the versions that know of one group only.
fn single_group(group: OffsetFetchResponseGroup) -> OffsetFetchResponse {
    let partition = |partition: OffsetFetchResponsePartitions| OffsetFetchResponsePartition {
        partition_index: partition.partition_index,
        committed_offset: partition.committed_offset,
        committed_leader_epoch: partition.committed_leader_epoch,
        metadata: partition.metadata,
        error_code: partition.error_code,
        ..Default::default()
    };
    let topic = |topic: OffsetFetchResponseTopics| OffsetFetchResponseTopic {
        name: topic.name,
        partitions: topic.partitions.into_iter().map(partition).collect(),
        ..Default::default()
    };
    OffsetFetchResponse {
        topics: group.topics.into_iter().map(topic).collect(),
        error_code: group.error_code,
        ..Default::default()
    }
}

fn fetch_refused(
    context: &RequestContext,
    request: &OffsetFetchRequestGroup,
    error: ErrorCode,
) -> OffsetFetchResponseGroup {
    let group_id = request.group_id.clone();
    if context.api_version >= TOP_LEVEL_ERROR_MIN_VERSION {
        return OffsetFetchResponseGroup { group_id, error_code: error.code(), ..Default::default() };
    }
    let partition = |index: &i32| OffsetFetchResponsePartitions {
        partition_index: *index,
        committed_offset: -1,
        committed_leader_epoch: -1,
        metadata: Some(ByteString::new()),
        error_code: error.code(),
        ..Default::default()
    };
    let topic = |topic: &OffsetFetchRequestTopics| OffsetFetchResponseTopics {
        name: topic.name.clone(),
        partitions: topic.partition_indexes.iter().map(partition).collect(),
        ..Default::default()
    };
    let topics = request.topics.iter().flatten().map(topic).collect();
    OffsetFetchResponseGroup { group_id, topics, ..Default::default() }
}

fn commit_refused(request: &OffsetCommitRequest, error: ErrorCode) -> OffsetCommitResponse {
    let topics = request.topics.iter().map(|topic| OffsetCommitResponseTopic {
        name: topic.name.clone(),
        topic_id: topic.topic_id,
        partitions: topic
            .partitions
            .iter()
            .map(|partition| OffsetCommitResponsePartition {
                partition_index: partition.partition_index,
                error_code: error.code(),
                ..Default::default()
            })
            .collect(),
        ..Default::default()
    });
    OffsetCommitResponse { topics: topics.collect(), ..Default::default() }
}

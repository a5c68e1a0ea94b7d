//! What a group's coordinator answers: JoinGroup (11), Heartbeat (12), LeaveGroup (13), SyncGroup
//! (14), OffsetCommit (8), OffsetFetch (9), DescribeGroups (15), ListGroups (16), DeleteGroups (42),
//! OffsetDelete (47). The errors are the coordinator's.

use std::collections::HashMap;

use bytestring::ByteString;
use ottla_common::{ErrorCode, Uuid};
use ottla_protocol::messages::offset_commit_response::{
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use ottla_protocol::messages::*;

use crate::support::authorized_operations;
use crate::{BrokerContext, Call};

macro_rules! pass_on {
    ($($method:ident($request:ty) -> $response:ty;)*) => {
        $(
            /// Passes the request to the coordinator.
            pub async fn $method(broker: &BrokerContext, call: &Call, request: $request) -> $response {
                broker.groups.$method(call, request).await
            }
        )*
    };
}

pass_on! {
    join_group(JoinGroupRequest) -> JoinGroupResponse;
    sync_group(SyncGroupRequest) -> SyncGroupResponse;
    heartbeat(HeartbeatRequest) -> HeartbeatResponse;
    leave_group(LeaveGroupRequest) -> LeaveGroupResponse;
    list_groups(ListGroupsRequest) -> ListGroupsResponse;
}

/// From this version on clients know that the deletion of a group may fail (KIP-1331).
const GROUP_DELETION_FAILED_MIN_VERSION: i16 = 3;

/// Puts what older clients do not know into words that they do.
pub async fn delete_groups(
    broker: &BrokerContext,
    call: &Call,
    request: DeleteGroupsRequest,
) -> DeleteGroupsResponse {
    let mut response = broker.groups.delete_groups(call, request).await;
    for result in &mut response.results {
        let failed = result.error_code == ErrorCode::GroupDeletionFailed.code();
        if failed && call.version < GROUP_DELETION_FAILED_MIN_VERSION {
            result.error_code = ErrorCode::UnknownServerError.code();
        }
    }
    response
}

/// Adds what the client may do with each group, when it asks.
pub async fn describe_groups(
    broker: &BrokerContext,
    call: &Call,
    request: DescribeGroupsRequest,
) -> DescribeGroupsResponse {
    let wants_operations = request.include_authorized_operations;
    let mut response = broker.groups.describe_groups(call, request).await;
    for group in response.groups.iter_mut().filter(|g| wants_operations && g.error_code == 0) {
        group.authorized_operations = authorized_operations::GROUP;
    }
    response
}

/// Offsets of topics and partitions that do not exist are refused here; the rest is the
/// coordinator's. From version 10 on topics go by id, and come back by id.
pub async fn offset_commit(
    broker: &BrokerContext,
    call: &Call,
    mut request: OffsetCommitRequest,
) -> OffsetCommitResponse {
    let mut refused = Vec::new();
    let mut ids: HashMap<ByteString, Uuid> = HashMap::new();
    {
        let image = broker.metadata.image();
        request.topics.retain_mut(|topic| {
            let found = if call.version >= 10 {
                image.topics.topic(topic.topic_id)
            } else {
                image.topics.topic_by_name(&topic.name)
            };
            let Some(found) = found else {
                let error = if call.version >= 10 {
                    ErrorCode::UnknownTopicId
                } else {
                    ErrorCode::UnknownTopicOrPartition
                };
                let partitions = topic.partitions.iter().map(|p| (p.partition_index, error)).collect();
                refused.push((topic.name.clone(), topic.topic_id, partitions));
                return false;
            };
            topic.name = ByteString::from(&*found.name);
            if call.version >= 10 {
                ids.insert(topic.name.clone(), found.id);
            }
            let mut missing = Vec::new();
            topic.partitions.retain(|p| {
                let exists = found.partitions.contains_key(&p.partition_index);
                if !exists {
                    missing.push((p.partition_index, ErrorCode::UnknownTopicOrPartition));
                }
                exists
            });
            if !missing.is_empty() {
                refused.push((topic.name.clone(), found.id, missing));
            }
            topic.topic_id = found.id;
            !topic.partitions.is_empty()
        });
    }
    let mut response = if request.topics.is_empty() {
        OffsetCommitResponse::default()
    } else {
        broker.groups.offset_commit(call, request).await
    };
    for topic in &mut response.topics {
        topic.topic_id = ids.get(&topic.name).copied().unwrap_or(topic.topic_id);
    }
    for (name, topic_id, partitions) in refused {
        add_refused(&mut response, name, topic_id, partitions);
    }
    response
}

/// Offsets of topics that do not exist are refused here, as in Kafka.
pub async fn offset_delete(
    broker: &BrokerContext,
    call: &Call,
    mut request: OffsetDeleteRequest,
) -> OffsetDeleteResponse {
    let mut refused = Vec::new();
    {
        let image = broker.metadata.image();
        request.topics.retain_mut(|topic| {
            let found = image.topics.topic_by_name(&topic.name);
            let exists = |index: i32| found.is_some_and(|t| t.partitions.contains_key(&index));
            let (kept, missing): (Vec<_>, Vec<_>) =
                std::mem::take(&mut topic.partitions).into_iter().partition(|p| exists(p.partition_index));
            if !missing.is_empty() {
                refused.push((topic.name.clone(), missing));
            }
            topic.partitions = kept;
            !topic.partitions.is_empty()
        });
    }
    let mut response = broker.groups.offset_delete(call, request).await;
    if response.error_code != 0 {
        return response;
    }
    for (name, missing) in refused {
        let partitions = missing.into_iter().map(|p| offset_delete_response::OffsetDeleteResponsePartition {
            partition_index: p.partition_index,
            error_code: ErrorCode::UnknownTopicOrPartition.code(),
        });
        match response.topics.iter_mut().find(|t| t.name == name) {
            Some(topic) => topic.partitions.extend(partitions),
            None => response.topics.push(offset_delete_response::OffsetDeleteResponseTopic {
                name,
                partitions: partitions.collect(),
            }),
        }
    }
    response
}

fn add_refused(
    response: &mut OffsetCommitResponse,
    name: ByteString,
    topic_id: Uuid,
    partitions: Vec<(i32, ErrorCode)>,
) {
    let partitions = partitions.into_iter().map(|(partition_index, error)| OffsetCommitResponsePartition {
        partition_index,
        error_code: error.code(),
        ..Default::default()
    });
    match response.topics.iter_mut().find(|t| t.name == name && t.topic_id == topic_id) {
        Some(topic) => topic.partitions.extend(partitions),
        None => response.topics.push(OffsetCommitResponseTopic {
            name,
            topic_id,
            partitions: partitions.collect(),
            ..Default::default()
        }),
    }
}

/// From version 10 on topics go by id: names are put in for the coordinator, ids into its answer.
pub async fn offset_fetch(
    broker: &BrokerContext,
    call: &Call,
    mut request: OffsetFetchRequest,
) -> OffsetFetchResponse {
    if call.version < 10 {
        return broker.groups.offset_fetch(call, request).await;
    }
    let image = broker.metadata.image().clone();
    let mut unknown: Vec<(ByteString, offset_fetch_request::OffsetFetchRequestTopics)> = Vec::new();
    for group in &mut request.groups {
        let group_id = group.group_id.clone();
        if let Some(topics) = &mut group.topics {
            topics.retain_mut(|topic| match image.topics.topic_name(topic.topic_id) {
                Some(name) => {
                    topic.name = ByteString::from(&**name);
                    true
                }
                None => {
                    unknown.push((group_id.clone(), topic.clone()));
                    false
                }
            });
        }
    }
    let mut response = broker.groups.offset_fetch(call, request).await;
    for group in &mut response.groups {
        // Offsets of topics that are gone have no id to be named by.
        group.topics.retain_mut(|topic| match image.topics.topic_id(&topic.name) {
            Some(id) => {
                topic.topic_id = id;
                true
            }
            None => !topic.topic_id.is_zero(),
        });
        let failed = group.error_code != 0;
        for (_, topic) in unknown.iter().filter(|(id, _)| !failed && *id == group.group_id) {
            group.topics.push(unknown_topic(topic));
        }
    }
    response
}

fn unknown_topic(
    topic: &offset_fetch_request::OffsetFetchRequestTopics,
) -> offset_fetch_response::OffsetFetchResponseTopics {
    let partition = |index: &i32| offset_fetch_response::OffsetFetchResponsePartitions {
        partition_index: *index,
        committed_offset: -1,
        committed_leader_epoch: -1,
        metadata: Some(ByteString::new()),
        error_code: ErrorCode::UnknownTopicId.code(),
        ..Default::default()
    };
    offset_fetch_response::OffsetFetchResponseTopics {
        topic_id: topic.topic_id,
        partitions: topic.partition_indexes.iter().map(partition).collect(),
        ..Default::default()
    }
}

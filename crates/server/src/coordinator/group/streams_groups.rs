//! Streams groups (KIP-1071): heartbeats and descriptions.

use std::collections::BTreeSet;

use bytestring::ByteString;
use ottla_apis::support::topic_name;
use ottla_common::ErrorCode;
use ottla_common::internal_topics::is_internal;
use ottla_coordinator::group::streams::StreamsGroupHeartbeatResult;
use ottla_coordinator::group::{GroupCoordinatorShard, RequestContext};
use ottla_protocol::messages::streams_group_describe_response::DescribedGroup;
use ottla_protocol::messages::{
    StreamsGroupDescribeRequest, StreamsGroupDescribeResponse, StreamsGroupHeartbeatRequest,
    StreamsGroupHeartbeatResponse,
};

use super::GroupCoordinatorService;
use super::refusal::Refusal;
use super::topology_descriptions::about_description;

/// Of a group's topology, or of the topology whose description is stored: there is none.
const NO_EPOCH: i32 = -1;

impl GroupCoordinatorService {
    /// A member joins, says that it is alive, tells of its topology and its tasks, or leaves. Which topics the group
    /// lacks comes beside the answer.
    pub async fn streams_group_heartbeat(
        &self,
        context: RequestContext,
        request: StreamsGroupHeartbeatRequest,
    ) -> StreamsGroupHeartbeatResult {
        if let Err(refusal) = check_topic_names(&request) {
            return refused(refusal);
        }
        let partition = match self.partition_of(&request.group_id) {
            Ok(partition) => partition,
            Err(error) => return refused(error.into()),
        };
        let (version, member_epoch, group_id) =
            (context.api_version, request.member_epoch, request.group_id.clone());
        let decide = move |now_ms: i64, shard: &GroupCoordinatorShard| {
            shard.streams_group_heartbeat(now_ms, &context, &request).map_err(Refusal::from)
        };
        match self.write_or_refuse(partition, decide).await {
            Ok(mut result) => {
                self.maybe_require_description(version, member_epoch, &group_id, &mut result);
                result
            }
            Err(refusal) => refused(refusal),
        }
    }

    /// What there is to know about streams groups.
    pub async fn streams_group_describe(
        &self,
        request: StreamsGroupDescribeRequest,
    ) -> StreamsGroupDescribeResponse {
        let (now_ms, wants_description) = (self.time.now_ms(), request.include_topology_description);
        let describe = move |shard: &GroupCoordinatorShard, group_id: &ByteString| {
            let mut group = shard.streams_group_describe(now_ms, group_id);
            let stored_epoch = match wants_description {
                true => about_description(shard, now_ms, group_id, |streams| {
                    streams.stored_topology_description(&mut group)
                }),
                false => None,
            };
            (group, stored_epoch)
        };
        let described = self.describe_each(request.group_ids, describe, not_described).await;
        let mut groups = Vec::with_capacity(described.len());
        for (mut group, stored_epoch) in described {
            if let Some(stored_epoch) = stored_epoch {
                self.attach_description(&mut group, stored_epoch).await;
            }
            groups.push(group);
        }
        StreamsGroupDescribeResponse { groups, ..Default::default() }
    }
}

/// A topology may name topics that can exist, and none of the cluster's own.
fn check_topic_names(request: &StreamsGroupHeartbeatRequest) -> Result<(), Refusal> {
    let names = topic_names(request);
    let invalid = |message: String| Err(Refusal::new(ErrorCode::StreamsInvalidTopology, message));
    let internal: Vec<&str> = names.iter().copied().filter(|name| is_internal(name)).collect();
    if !internal.is_empty() {
        let list = internal.join(",");
        return invalid(format!(
            "Use of Kafka internal topics {list} in a Kafka Streams topology is prohibited."
        ));
    }
    let nameless: Vec<&str> = names.into_iter().filter(|name| !topic_name::is_valid(name)).collect();
    if !nameless.is_empty() {
        return invalid(format!("Topic names {} are not valid topic names.", nameless.join(",")));
    }
    Ok(())
}

/// Every topic of the request's topology, each once.
fn topic_names(request: &StreamsGroupHeartbeatRequest) -> BTreeSet<&str> {
    let mut names = BTreeSet::new();
    for subtopology in request.topology.iter().flat_map(|topology| &topology.subtopologies) {
        let read = subtopology.source_topics.iter().chain(&subtopology.repartition_sink_topics);
        let made = subtopology.repartition_source_topics.iter().chain(&subtopology.state_changelog_topics);
        names.extend(read.map(|name| &**name));
        names.extend(made.map(|topic| &*topic.name));
    }
    names
}

fn refused(refusal: Refusal) -> StreamsGroupHeartbeatResult {
    StreamsGroupHeartbeatResult {
        response: StreamsGroupHeartbeatResponse {
            error_code: refusal.error.code(),
            error_message: refusal.message,
            ..Default::default()
        },
        creatable_topics: Vec::new(),
        current_topology_epoch: NO_EPOCH,
        stored_description_topology_epoch: NO_EPOCH,
        failed_description_topology_epoch: NO_EPOCH,
    }
}

fn not_described(group_id: ByteString, error: ErrorCode) -> (DescribedGroup, Option<i32>) {
    (DescribedGroup { group_id, error_code: error.code(), ..Default::default() }, None)
}

//! Consumer groups of the new protocol (KIP-848): heartbeats and descriptions.

use std::sync::Arc;

use bytestring::ByteString;
use ottla_common::ErrorCode;
use ottla_common::time::Time;
use ottla_coordinator::group::consumer::{RegexResolution, resolve_regular_expressions};
use ottla_coordinator::group::{GroupCoordinatorShard, GroupResult, RequestContext};
use ottla_protocol::messages::consumer_group_describe_response::DescribedGroup;
use ottla_protocol::messages::{
    ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse, ConsumerGroupHeartbeatRequest,
    ConsumerGroupHeartbeatResponse,
};
use tokio::runtime::Handle;
use tracing::error;

use super::GroupCoordinatorService;
use super::membership::random_uuid;
use super::refusal::Refusal;
use super::service::GroupRuntime;

impl GroupCoordinatorService {
    /// A member joins, says that it is alive, tells what it reads and has, or leaves.
    pub async fn consumer_group_heartbeat(
        &self,
        context: RequestContext,
        request: ConsumerGroupHeartbeatRequest,
    ) -> ConsumerGroupHeartbeatResponse {
        let partition = match self.partition_of(&request.group_id) {
            Ok(partition) => partition,
            Err(error) => return refused(error.into()),
        };
        let resolver = self.resolver(partition);
        // Boxed, for it is handed on some times until the partition has it.
        let request = Box::new(request);
        let decide = move |now_ms: i64,
                           shard: &GroupCoordinatorShard|
              -> Result<GroupResult<ConsumerGroupHeartbeatResponse>, Refusal> {
            let result = shard.consumer_group_heartbeat(now_ms, &context, &request, random_uuid())?;
            let (rest, heartbeat) = result.split_response();
            // Whether or not the answer can be committed: the group counts on it that somebody looks.
            if let Some(resolution) = heartbeat.resolve {
                resolver.start(resolution);
            }
            Ok(rest.with_response(heartbeat.response))
        };
        self.write_or_refuse(partition, decide).await.unwrap_or_else(refused)
    }

    /// What there is to know about consumer groups.
    pub async fn consumer_group_describe(
        &self,
        request: ConsumerGroupDescribeRequest,
    ) -> ConsumerGroupDescribeResponse {
        let describe =
            |shard: &GroupCoordinatorShard, group_id: &ByteString| shard.consumer_group_describe(group_id);
        let groups = self.describe_each(request.group_ids, describe, not_described).await;
        ConsumerGroupDescribeResponse { groups, ..Default::default() }
    }

    fn resolver(&self, partition: i32) -> RegexResolver {
        RegexResolver {
            runtime: self.shared_runtime(),
            time: Arc::clone(&self.time),
            tasks: self.tasks.clone(),
            partition,
        }
    }
}

/// Looks for the topics that regular expressions match. That may take long, so no partition waits for it.
struct RegexResolver {
    runtime: Arc<GroupRuntime>,
    time: Arc<dyn Time>,
    tasks: Handle,
    partition: i32,
}

impl RegexResolver {
    fn start(self, resolution: RegexResolution) {
        let Self { runtime, time, tasks, partition } = self;
        let RegexResolution { group_id, regexes, .. } = resolution;
        tasks.spawn(async move {
            let metadata = runtime.kind().metadata();
            let look = move || resolve_regular_expressions(&regexes, &*metadata, time.now_ms());
            let resolved = tokio::task::spawn_blocking(look).await;
            if let Err(failure) = &resolved {
                error!(
                    target: "org.apache.kafka.coordinator.group.GroupMetadataManager",
                    "[GroupId {group_id}] Couldn't update regular expression due to: {failure}"
                );
            }
            let tell = move |now_ms: i64, shard: &GroupCoordinatorShard| {
                shard.on_regular_expressions_resolved(now_ms, &group_id, resolved.ok())
            };
            // A partition that moved on looks for itself.
            let _ = runtime.tell(partition, tell).await;
        });
    }
}

fn refused(refusal: Refusal) -> ConsumerGroupHeartbeatResponse {
    ConsumerGroupHeartbeatResponse {
        error_code: refusal.error.code(),
        error_message: refusal.message,
        ..Default::default()
    }
}

fn not_described(group_id: ByteString, error: ErrorCode) -> DescribedGroup {
    DescribedGroup { group_id, error_code: error.code(), ..Default::default() }
}

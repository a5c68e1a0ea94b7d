//! Share groups (KIP-932): heartbeats and descriptions, and what the share coordinator is asked because of them.

use std::sync::Arc;

use bytestring::ByteString;
use ottla_common::ErrorCode;
use ottla_coordinator::group::{GroupCoordinatorShard, RequestContext};
use ottla_protocol::messages::share_group_describe_response::DescribedGroup;
use ottla_protocol::messages::{
    InitializeShareGroupStateRequest, InitializeShareGroupStateResponse, ShareGroupDescribeRequest,
    ShareGroupDescribeResponse, ShareGroupHeartbeatRequest, ShareGroupHeartbeatResponse,
};
use tracing::error;

use super::GroupCoordinatorService;
use super::refusal::Refusal;
use super::service::GroupRuntime;
use crate::coordinator::share_persister::Persister;

/// Members choose their ids, which are texts of UUIDs.
const MEMBER_ID_MAX_LEN: usize = 36;

const LOGGER: &str = "org.apache.kafka.coordinator.group.GroupCoordinatorService";

impl GroupCoordinatorService {
    /// A member joins, says that it is alive, changes what it reads, or leaves.
    pub async fn share_group_heartbeat(
        &self,
        context: RequestContext,
        request: ShareGroupHeartbeatRequest,
    ) -> ShareGroupHeartbeatResponse {
        if !is_member_id(&request.member_id) {
            return refused(Refusal::new(ErrorCode::InvalidRequest, "Invalid member id in the request."));
        }
        let partition = match self.partition_of(&request.group_id) {
            Ok(partition) => partition,
            Err(error) => return refused(error.into()),
        };
        let decide = move |now_ms: i64, shard: &GroupCoordinatorShard| {
            shard.share_group_heartbeat(now_ms, &context, &request).map_err(Refusal::from)
        };
        match self.write_or_refuse(partition, decide).await {
            Ok(heartbeat) => {
                if let Some(initialize) = heartbeat.initialize {
                    let initializer = self.initializer(partition);
                    self.tasks.spawn(async move { initializer.initialize(initialize).await });
                }
                heartbeat.response
            }
            Err(refusal) => refused(refusal),
        }
    }

    /// What there is to know about share groups.
    pub async fn share_group_describe(
        &self,
        request: ShareGroupDescribeRequest,
    ) -> ShareGroupDescribeResponse {
        let now_ms = self.time.now_ms();
        let describe = move |shard: &GroupCoordinatorShard, group_id: &ByteString| {
            shard.share_group_describe(now_ms, group_id)
        };
        let groups = self.describe_each(request.group_ids, describe, not_described).await;
        ShareGroupDescribeResponse { groups, ..Default::default() }
    }

    pub(super) fn initializer(&self, partition: i32) -> StateInitializer {
        let persister = Arc::clone(&self.partners.persister);
        StateInitializer { runtime: self.shared_runtime(), persister, partition }
    }
}

/// Has the share coordinator begin with partitions, and their group note what came of it.
pub(super) struct StateInitializer {
    runtime: Arc<GroupRuntime>,
    persister: Arc<dyn Persister>,
    partition: i32,
}

impl StateInitializer {
    async fn initialize(self, request: InitializeShareGroupStateRequest) {
        match self.persister.initialize_state(request.clone()).await {
            Ok(response) => self.note(request, response).await,
            Err(error) => self.give_up(request, error).await,
        }
    }

    /// The group notes what the share coordinator answered. When it cannot, it is as if nobody had answered: the
    /// partitions will be asked for again.
    pub(super) async fn note(
        self,
        request: InitializeShareGroupStateRequest,
        response: InitializeShareGroupStateResponse,
    ) {
        let group_id = request.group_id.clone();
        let noted = self
            .runtime
            .write(self.partition, move |now_ms, shard| {
                Ok(shard.on_share_group_state_initialized(now_ms, &group_id, &response))
            })
            .await;
        match noted {
            Ok(ErrorCode::None) => {}
            Ok(error) => told_of(&request, error),
            Err(error) => self.give_up(request, error).await,
        }
    }

    async fn give_up(self, request: InitializeShareGroupStateRequest, error: ErrorCode) {
        told_of(&request, error);
        // Should that fail as well, the group's timer has them asked for again.
        let _ = self
            .runtime
            .write(self.partition, move |now_ms, shard| {
                Ok(shard.on_share_group_state_not_initialized(now_ms, &request))
            })
            .await;
    }
}

fn told_of(request: &InitializeShareGroupStateRequest, error: ErrorCode) {
    error!(
        target: LOGGER,
        "Unable to initialize share group state of {}: {}",
        request.group_id,
        error.name()
    );
}

fn is_member_id(member_id: &ByteString) -> bool {
    (1..=MEMBER_ID_MAX_LEN).contains(&member_id.encode_utf16().count())
}

fn refused(refusal: Refusal) -> ShareGroupHeartbeatResponse {
    ShareGroupHeartbeatResponse {
        error_code: refusal.error.code(),
        error_message: refusal.message,
        ..Default::default()
    }
}

fn not_described(group_id: ByteString, error: ErrorCode) -> DescribedGroup {
    DescribedGroup { group_id, error_code: error.code(), ..Default::default() }
}

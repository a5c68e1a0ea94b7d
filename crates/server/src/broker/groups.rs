//! The handlers' view of the group coordinator.

use std::future::{Future, ready};
use std::sync::Arc;

use ottla_apis::Call;
use ottla_apis::context::{BoxFuture, GroupCoordinator};
use ottla_common::ErrorCode;
use ottla_coordinator::runtime::EndTransaction;
use ottla_protocol::messages::*;

use crate::coordinator::group::{GroupProtocols, StreamsInternalTopics, protocols};
use crate::coordinator::{GroupCoordinatorService, RequestContext};

/// Passes requests on to the coordinator's tasks, those of a newer protocol if that is open to clients.
#[derive(Debug)]
pub struct GroupRequests {
    service: Arc<GroupCoordinatorService>,
    protocols: GroupProtocols,
    internal_topics: StreamsInternalTopics,
}

impl GroupRequests {
    /// Asks `service`. What streams groups lack is made by `internal_topics`.
    pub fn new(
        service: Arc<GroupCoordinatorService>,
        protocols: GroupProtocols,
        internal_topics: StreamsInternalTopics,
    ) -> Self {
        Self { service, protocols, internal_topics }
    }
}

fn context(call: &Call) -> RequestContext {
    RequestContext {
        api_version: call.version,
        client_id: call.client_id().into(),
        client_host: call.client_host.clone(),
    }
}

/// The coordinator's answer when the protocol is open, and otherwise what is said in its place.
fn when<'a, T: Send + 'a>(
    is_open: bool,
    answer: impl Future<Output = T> + Send + 'a,
    otherwise: impl FnOnce() -> T,
) -> BoxFuture<'a, T> {
    if is_open { Box::pin(answer) } else { Box::pin(ready(otherwise())) }
}

impl GroupCoordinator for GroupRequests {
    fn join_group<'a>(
        &'a self,
        call: &'a Call,
        request: JoinGroupRequest,
    ) -> BoxFuture<'a, JoinGroupResponse> {
        Box::pin(self.service.join_group(context(call), request))
    }

    fn sync_group<'a>(
        &'a self,
        call: &'a Call,
        request: SyncGroupRequest,
    ) -> BoxFuture<'a, SyncGroupResponse> {
        Box::pin(self.service.sync_group(context(call), request))
    }

    fn heartbeat<'a>(&'a self, _: &'a Call, request: HeartbeatRequest) -> BoxFuture<'a, HeartbeatResponse> {
        Box::pin(self.service.heartbeat(request))
    }

    fn leave_group<'a>(
        &'a self,
        call: &'a Call,
        request: LeaveGroupRequest,
    ) -> BoxFuture<'a, LeaveGroupResponse> {
        Box::pin(self.service.leave_group(context(call), request))
    }

    fn offset_commit<'a>(
        &'a self,
        call: &'a Call,
        request: OffsetCommitRequest,
    ) -> BoxFuture<'a, OffsetCommitResponse> {
        Box::pin(self.service.offset_commit(context(call), request))
    }

    fn offset_fetch<'a>(
        &'a self,
        call: &'a Call,
        request: OffsetFetchRequest,
    ) -> BoxFuture<'a, OffsetFetchResponse> {
        Box::pin(self.service.offset_fetch(context(call), request))
    }

    fn offset_delete<'a>(
        &'a self,
        _: &'a Call,
        request: OffsetDeleteRequest,
    ) -> BoxFuture<'a, OffsetDeleteResponse> {
        Box::pin(self.service.offset_delete(request))
    }

    fn txn_offset_commit<'a>(
        &'a self,
        call: &'a Call,
        request: TxnOffsetCommitRequest,
    ) -> BoxFuture<'a, TxnOffsetCommitResponse> {
        Box::pin(self.service.txn_offset_commit(context(call), request))
    }

    fn complete_transaction(
        &self,
        partition: i32,
        end: EndTransaction,
    ) -> BoxFuture<'_, Result<(), ErrorCode>> {
        Box::pin(self.service.complete_transaction(partition, end))
    }

    fn list_groups<'a>(
        &'a self,
        _: &'a Call,
        request: ListGroupsRequest,
    ) -> BoxFuture<'a, ListGroupsResponse> {
        Box::pin(self.service.list_groups(request))
    }

    fn describe_groups<'a>(
        &'a self,
        call: &'a Call,
        request: DescribeGroupsRequest,
    ) -> BoxFuture<'a, DescribeGroupsResponse> {
        Box::pin(self.service.describe_groups(context(call), request))
    }

    fn delete_groups<'a>(
        &'a self,
        _: &'a Call,
        request: DeleteGroupsRequest,
    ) -> BoxFuture<'a, DeleteGroupsResponse> {
        Box::pin(self.service.delete_groups(request))
    }

    fn consumer_group_heartbeat<'a>(
        &'a self,
        call: &'a Call,
        request: ConsumerGroupHeartbeatRequest,
    ) -> BoxFuture<'a, ConsumerGroupHeartbeatResponse> {
        let answer = self.service.consumer_group_heartbeat(context(call), request);
        when(self.protocols.has_consumer(), answer, protocols::unsupported_consumer_group_heartbeat)
    }

    fn consumer_group_describe<'a>(
        &'a self,
        _: &'a Call,
        request: ConsumerGroupDescribeRequest,
    ) -> BoxFuture<'a, ConsumerGroupDescribeResponse> {
        let group_ids = request.group_ids.clone();
        let answer = self.service.consumer_group_describe(request);
        let otherwise = || protocols::unsupported_consumer_group_describe(group_ids);
        when(self.protocols.has_consumer(), answer, otherwise)
    }

    fn share_group_heartbeat<'a>(
        &'a self,
        call: &'a Call,
        request: ShareGroupHeartbeatRequest,
    ) -> BoxFuture<'a, ShareGroupHeartbeatResponse> {
        let answer = self.service.share_group_heartbeat(context(call), request);
        when(self.protocols.has_share(), answer, protocols::unsupported_share_group_heartbeat)
    }

    fn share_group_describe<'a>(
        &'a self,
        _: &'a Call,
        request: ShareGroupDescribeRequest,
    ) -> BoxFuture<'a, ShareGroupDescribeResponse> {
        let group_ids = request.group_ids.clone();
        let answer = self.service.share_group_describe(request);
        let otherwise = || protocols::unsupported_share_group_describe(group_ids);
        when(self.protocols.has_share(), answer, otherwise)
    }

    fn describe_share_group_offsets<'a>(
        &'a self,
        _: &'a Call,
        request: DescribeShareGroupOffsetsRequest,
    ) -> BoxFuture<'a, DescribeShareGroupOffsetsResponse> {
        let asked = request.clone();
        let answer = self.service.describe_share_group_offsets(request);
        let otherwise = || protocols::unsupported_describe_share_group_offsets(asked);
        when(self.protocols.has_share(), answer, otherwise)
    }

    fn alter_share_group_offsets<'a>(
        &'a self,
        _: &'a Call,
        request: AlterShareGroupOffsetsRequest,
    ) -> BoxFuture<'a, AlterShareGroupOffsetsResponse> {
        let answer = self.service.alter_share_group_offsets(request);
        when(self.protocols.has_share(), answer, protocols::unsupported_alter_share_group_offsets)
    }

    fn delete_share_group_offsets<'a>(
        &'a self,
        _: &'a Call,
        request: DeleteShareGroupOffsetsRequest,
    ) -> BoxFuture<'a, DeleteShareGroupOffsetsResponse> {
        let answer = self.service.delete_share_group_offsets(request);
        when(self.protocols.has_share(), answer, protocols::unsupported_delete_share_group_offsets)
    }

    fn streams_group_heartbeat<'a>(
        &'a self,
        call: &'a Call,
        request: StreamsGroupHeartbeatRequest,
    ) -> BoxFuture<'a, StreamsGroupHeartbeatResponse> {
        let answer = async move {
            let result = self.service.streams_group_heartbeat(context(call), request).await;
            self.internal_topics.create_for(call, result)
        };
        when(self.protocols.has_streams(), answer, protocols::unsupported_streams_group_heartbeat)
    }

    fn streams_group_describe<'a>(
        &'a self,
        _: &'a Call,
        request: StreamsGroupDescribeRequest,
    ) -> BoxFuture<'a, StreamsGroupDescribeResponse> {
        let group_ids = request.group_ids.clone();
        let answer = self.service.streams_group_describe(request);
        let otherwise = || protocols::unsupported_streams_group_describe(group_ids);
        when(self.protocols.has_streams(), answer, otherwise)
    }

    fn streams_group_topology_description_update<'a>(
        &'a self,
        _: &'a Call,
        request: StreamsGroupTopologyDescriptionUpdateRequest,
    ) -> BoxFuture<'a, StreamsGroupTopologyDescriptionUpdateResponse> {
        let answer = self.service.streams_group_topology_description_update(request);
        let otherwise = protocols::unsupported_streams_group_topology_description_update;
        when(self.protocols.has_streams(), answer, otherwise)
    }
}

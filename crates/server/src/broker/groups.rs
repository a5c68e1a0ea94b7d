//! The handlers' view of the group coordinator.

use std::sync::Arc;

use ottla_apis::Call;
use ottla_apis::context::{BoxFuture, GroupCoordinator};
use ottla_protocol::messages::*;

use crate::coordinator::{GroupCoordinatorService, RequestContext};

/// Passes requests on to the coordinator's tasks.
#[derive(Debug)]
pub struct GroupRequests(pub Arc<GroupCoordinatorService>);

fn context(call: &Call) -> RequestContext {
    RequestContext {
        api_version: call.version,
        client_id: call.client_id().into(),
        client_host: call.client_host.clone(),
    }
}

impl GroupCoordinator for GroupRequests {
    fn join_group<'a>(
        &'a self,
        call: &'a Call,
        request: JoinGroupRequest,
    ) -> BoxFuture<'a, JoinGroupResponse> {
        Box::pin(self.0.join_group(context(call), request))
    }

    fn sync_group<'a>(
        &'a self,
        call: &'a Call,
        request: SyncGroupRequest,
    ) -> BoxFuture<'a, SyncGroupResponse> {
        Box::pin(self.0.sync_group(context(call), request))
    }

    fn heartbeat<'a>(&'a self, _: &'a Call, request: HeartbeatRequest) -> BoxFuture<'a, HeartbeatResponse> {
        Box::pin(self.0.heartbeat(request))
    }

    fn leave_group<'a>(
        &'a self,
        call: &'a Call,
        request: LeaveGroupRequest,
    ) -> BoxFuture<'a, LeaveGroupResponse> {
        Box::pin(self.0.leave_group(context(call), request))
    }

    fn offset_commit<'a>(
        &'a self,
        call: &'a Call,
        request: OffsetCommitRequest,
    ) -> BoxFuture<'a, OffsetCommitResponse> {
        Box::pin(self.0.offset_commit(context(call), request))
    }

    fn offset_fetch<'a>(
        &'a self,
        call: &'a Call,
        request: OffsetFetchRequest,
    ) -> BoxFuture<'a, OffsetFetchResponse> {
        Box::pin(self.0.offset_fetch(context(call), request))
    }

    fn offset_delete<'a>(
        &'a self,
        _: &'a Call,
        request: OffsetDeleteRequest,
    ) -> BoxFuture<'a, OffsetDeleteResponse> {
        Box::pin(self.0.offset_delete(request))
    }

    fn list_groups<'a>(
        &'a self,
        _: &'a Call,
        request: ListGroupsRequest,
    ) -> BoxFuture<'a, ListGroupsResponse> {
        Box::pin(self.0.list_groups(request))
    }

    fn describe_groups<'a>(
        &'a self,
        call: &'a Call,
        request: DescribeGroupsRequest,
    ) -> BoxFuture<'a, DescribeGroupsResponse> {
        Box::pin(self.0.describe_groups(context(call), request))
    }

    fn delete_groups<'a>(
        &'a self,
        _: &'a Call,
        request: DeleteGroupsRequest,
    ) -> BoxFuture<'a, DeleteGroupsResponse> {
        Box::pin(self.0.delete_groups(request))
    }
}

//! The coordinator as the handlers of requests see it.

use bytestring::ByteString;
use ottla_apis::Call;
use ottla_apis::context::{BoxFuture, GroupCoordinator};
use ottla_coordinator::group::RequestContext;
use ottla_protocol::messages::*;

use super::GroupCoordinatorService;

fn context(call: &Call) -> RequestContext {
    RequestContext {
        api_version: call.version,
        client_id: ByteString::from(call.client_id()),
        client_host: ByteString::from(call.client_host.as_str()),
    }
}

impl GroupCoordinator for GroupCoordinatorService {
    fn join_group<'a>(
        &'a self,
        call: &'a Call,
        request: JoinGroupRequest,
    ) -> BoxFuture<'a, JoinGroupResponse> {
        Box::pin(self.join_group(context(call), request))
    }

    fn sync_group<'a>(
        &'a self,
        call: &'a Call,
        request: SyncGroupRequest,
    ) -> BoxFuture<'a, SyncGroupResponse> {
        Box::pin(self.sync_group(context(call), request))
    }

    fn heartbeat<'a>(&'a self, _: &'a Call, request: HeartbeatRequest) -> BoxFuture<'a, HeartbeatResponse> {
        Box::pin(self.heartbeat(request))
    }

    fn leave_group<'a>(
        &'a self,
        call: &'a Call,
        request: LeaveGroupRequest,
    ) -> BoxFuture<'a, LeaveGroupResponse> {
        Box::pin(self.leave_group(context(call), request))
    }

    fn offset_commit<'a>(
        &'a self,
        call: &'a Call,
        request: OffsetCommitRequest,
    ) -> BoxFuture<'a, OffsetCommitResponse> {
        Box::pin(self.offset_commit(context(call), request))
    }

    fn offset_fetch<'a>(
        &'a self,
        call: &'a Call,
        request: OffsetFetchRequest,
    ) -> BoxFuture<'a, OffsetFetchResponse> {
        Box::pin(self.offset_fetch(context(call), request))
    }

    fn offset_delete<'a>(
        &'a self,
        _: &'a Call,
        request: OffsetDeleteRequest,
    ) -> BoxFuture<'a, OffsetDeleteResponse> {
        Box::pin(self.offset_delete(request))
    }

    fn list_groups<'a>(
        &'a self,
        _: &'a Call,
        request: ListGroupsRequest,
    ) -> BoxFuture<'a, ListGroupsResponse> {
        Box::pin(self.list_groups(request))
    }

    fn describe_groups<'a>(
        &'a self,
        call: &'a Call,
        request: DescribeGroupsRequest,
    ) -> BoxFuture<'a, DescribeGroupsResponse> {
        Box::pin(self.describe_groups(context(call), request))
    }

    fn delete_groups<'a>(
        &'a self,
        _: &'a Call,
        request: DeleteGroupsRequest,
    ) -> BoxFuture<'a, DeleteGroupsResponse> {
        Box::pin(self.delete_groups(request))
    }
}

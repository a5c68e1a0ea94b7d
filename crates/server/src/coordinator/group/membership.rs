//! Membership: what is asked of a group, checked, sent to its partition, and put into the words of
//! the client's version.

use bytestring::ByteString;
use ottla_common::{ErrorCode, Uuid};
use ottla_coordinator::group::{GroupReply, RequestContext};
use ottla_protocol::messages::describe_groups_response::DescribedGroup;
use ottla_protocol::messages::leave_group_request::MemberIdentity;
use ottla_protocol::messages::{
    DescribeGroupsRequest, DescribeGroupsResponse, HeartbeatRequest, HeartbeatResponse, JoinGroupRequest,
    JoinGroupResponse, LeaveGroupRequest, LeaveGroupResponse, ListGroupsRequest, ListGroupsResponse,
    SyncGroupRequest, SyncGroupResponse,
};
use tokio::sync::oneshot;

use super::{GroupCoordinatorService, GroupCoordinators};
use crate::coordinator::runtime::Worker;

impl GroupCoordinatorService {
    /// A member joins a group; answers when the group's next generation is made.
    pub async fn join_group(&self, context: RequestContext, request: JoinGroupRequest) -> JoinGroupResponse {
        let version = context.api_version;
        let member_id = request.member_id.clone();
        let refused = |error: ErrorCode| JoinGroupResponse {
            error_code: error.code(),
            member_id: member_id.clone(),
            ..Default::default()
        };
        let response = match self.admit_join(&context, request).await {
            Ok(request) => {
                let group_id = request.group_id.clone();
                let join = move |worker: &mut Worker<GroupCoordinators>, sender| {
                    join(worker, &context, &request, sender)
                };
                self.park(&group_id, join).await.unwrap_or_else(refused)
            }
            Err(error) => refused(error),
        };
        in_version(version, response)
    }

    /// A member asks what it is to do; answers when the leader has said so.
    pub async fn sync_group(&self, context: RequestContext, request: SyncGroupRequest) -> SyncGroupResponse {
        let refused = |error: ErrorCode| SyncGroupResponse { error_code: error.code(), ..Default::default() };
        // From version 5 on a member must say what it believes the group to be (KIP-559).
        let says = request.protocol_type.is_some() && request.protocol_name.is_some();
        if context.api_version >= 5 && !says {
            return refused(ErrorCode::InconsistentGroupProtocol);
        }
        if let Err(error) = self.check_group_id(&request.group_id) {
            return refused(error);
        }
        let group_id = request.group_id.clone();
        let sync = move |worker: &mut Worker<GroupCoordinators>,
                         sender: oneshot::Sender<SyncGroupResponse>| {
            let token = worker.park(move |reply| match reply {
                GroupReply::Sync(response) => drop(sender.send(response)),
                GroupReply::Join(_) => debug_assert!(false, "PARKED-ANSWERED-ONCE"),
            });
            let (now_ms, shard) = worker.look();
            let result = shard.classic_group_sync(now_ms, &request, token);
            worker.execute(result, None);
        };
        self.park(&group_id, sync).await.unwrap_or_else(refused)
    }

    /// A member is alive.
    pub async fn heartbeat(&self, request: HeartbeatRequest) -> HeartbeatResponse {
        let told = |error: ErrorCode| HeartbeatResponse { error_code: error.code(), ..Default::default() };
        if let Err(error) = self.check_group_id(&request.group_id) {
            return told(error);
        }
        let outcome = match self.partition_of(&request.group_id) {
            Ok(partition) => {
                let decide = move |now_ms, shard: &ottla_coordinator::group::GroupCoordinatorShard| {
                    shard.classic_group_heartbeat(now_ms, &request)
                };
                self.write(partition, decide).await
            }
            Err(error) => Err(error),
        };
        match outcome {
            Ok(response) => response,
            // Nobody knows yet whether it is a member. It has its session anew after loading.
            Err(ErrorCode::CoordinatorLoadInProgress) => told(ErrorCode::None),
            Err(error) => told(error),
        }
    }

    /// Members leave.
    pub async fn leave_group(
        &self,
        context: RequestContext,
        mut request: LeaveGroupRequest,
    ) -> LeaveGroupResponse {
        let told = |error: ErrorCode| LeaveGroupResponse { error_code: error.code(), ..Default::default() };
        if let Err(error) = self.check_group_id(&request.group_id) {
            return told(error);
        }
        // Before version 3 one member leaves, and the answer is all about it (KIP-345).
        let single = context.api_version < 3;
        if single {
            let member_id = std::mem::take(&mut request.member_id);
            request.members = vec![MemberIdentity { member_id, ..Default::default() }];
        }
        let outcome = match self.partition_of(&request.group_id) {
            Ok(partition) => {
                let decide = move |now_ms, shard: &ottla_coordinator::group::GroupCoordinatorShard| {
                    Ok(shard.classic_group_leave(now_ms, &request))
                };
                self.write(partition, decide).await
            }
            Err(error) => Err(error),
        };
        match outcome {
            Ok(response) if single => LeaveGroupResponse {
                error_code: response.members.first().map_or(0, |member| member.error_code),
                ..Default::default()
            },
            Ok(response) => response,
            Err(error) => told(error),
        }
    }

    /// The groups of every partition that this broker leads.
    pub async fn list_groups(&self, request: ListGroupsRequest) -> ListGroupsResponse {
        let mut response = ListGroupsResponse::default();
        if !self.runtime().is_active() {
            response.error_code = ErrorCode::CoordinatorNotAvailable.code();
            return response;
        }
        for partition in self.runtime().led_partitions() {
            let request = request.clone();
            let groups =
                self.read(partition, move |committed, newest| newest.list_groups(committed, &request));
            match groups.await {
                Ok(groups) => response.groups.extend(groups),
                // The partition moved meanwhile: another broker lists its groups.
                Err(ErrorCode::NotCoordinator) => {}
                Err(error) => {
                    return ListGroupsResponse { error_code: error.code(), ..Default::default() };
                }
            }
        }
        response
    }

    /// What there is to know about groups.
    pub async fn describe_groups(
        &self,
        context: RequestContext,
        request: DescribeGroupsRequest,
    ) -> DescribeGroupsResponse {
        let mut response = DescribeGroupsResponse::default();
        for group_id in request.groups {
            response.groups.push(self.describe_group(&context, group_id).await);
        }
        response
    }

    async fn describe_group(&self, context: &RequestContext, group_id: ByteString) -> DescribedGroup {
        let outcome = match self.partition_of(&group_id) {
            Ok(partition) => {
                let (context, group_id) = (context.clone(), group_id.clone());
                let describe =
                    move |committed: &_, newest: &ottla_coordinator::group::GroupCoordinatorShard| {
                        newest.describe_groups(committed, &context, &[group_id])
                    };
                self.read(partition, describe).await
            }
            Err(error) => Err(error),
        };
        let failed = |error: ErrorCode| DescribedGroup {
            group_id: group_id.clone(),
            error_code: error.code(),
            ..Default::default()
        };
        match outcome {
            Ok(mut groups) => groups.pop().unwrap_or_else(|| failed(ErrorCode::UnknownServerError)),
            Err(error) => failed(error),
        }
    }

    async fn admit_join(
        &self,
        context: &RequestContext,
        mut request: JoinGroupRequest,
    ) -> Result<JoinGroupRequest, ErrorCode> {
        self.check_group_id(&request.group_id)?;
        let config = &self.config;
        let (min, max) =
            (config.classic_group_min_session_timeout_ms, config.classic_group_max_session_timeout_ms);
        if !(min..=max).contains(&request.session_timeout_ms) {
            return Err(ErrorCode::InvalidSessionTimeout);
        }
        if context.api_version == 0 {
            // Version 0 had one timeout for both.
            request.rebalance_timeout_ms = request.session_timeout_ms;
        }
        let partition = self.partition_of(&request.group_id)?;
        self.forget_description_before_join(partition, &request.group_id).await?;
        Ok(request)
    }

    fn check_group_id(&self, group_id: &ByteString) -> Result<(), ErrorCode> {
        if !self.runtime().is_active() {
            return Err(ErrorCode::CoordinatorNotAvailable);
        }
        if group_id.is_empty() { Err(ErrorCode::InvalidGroupId) } else { Ok(()) }
    }

    /// Runs an operation that answers through what it is given, now or later.
    async fn park<T: Send + 'static>(
        &self,
        group_id: &ByteString,
        operation: impl FnOnce(&mut Worker<GroupCoordinators>, oneshot::Sender<T>) + Send + 'static,
    ) -> Result<T, ErrorCode> {
        let partition = self.partition_of(group_id)?;
        let (sender, receiver) = oneshot::channel();
        self.runtime().send(partition, move |worker| operation(worker, sender)).await?;
        receiver.await.map_err(|_| ErrorCode::NotCoordinator)
    }
}

fn join(
    worker: &mut Worker<GroupCoordinators>,
    context: &RequestContext,
    request: &JoinGroupRequest,
    sender: oneshot::Sender<JoinGroupResponse>,
) {
    let token = worker.park(move |reply| match reply {
        GroupReply::Join(response) => drop(sender.send(response)),
        GroupReply::Sync(_) => debug_assert!(false, "PARKED-ANSWERED-ONCE"),
    });
    let (now_ms, shard) = worker.look();
    let result = shard.classic_group_join(now_ms, context, request, random_uuid(), token);
    worker.execute(result, None);
}

/// Before version 7 there is no null for a protocol's name, and from then on null means none.
fn in_version(version: i16, mut response: JoinGroupResponse) -> JoinGroupResponse {
    let name = response.protocol_name.filter(|name| !name.is_empty());
    response.protocol_name = if version >= 7 { name } else { Some(name.unwrap_or_default()) };
    response
}

pub(super) fn random_uuid() -> Uuid {
    loop {
        if let Some(uuid) = Uuid::from_random_bytes(rand::random()) {
            return uuid;
        }
    }
}

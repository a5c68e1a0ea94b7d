use std::collections::BTreeMap;

use bytestring::ByteString;
use ottla_protocol::messages::StreamsGroupHeartbeatResponse;
use ottla_protocol::messages::streams_group_heartbeat_response::{EndpointToPartitions, Status, TaskIds};

use super::config::StreamsGroupConfig;
use super::context::StreamsGroupContext;
use super::group::StreamsGroup;
use super::heartbeat::Heartbeat;
use super::member::StreamsGroupMember;
use super::soft_state::SoftChange;
use super::tasks::{Tasks, list, without_epochs};
use super::topics::{ConfiguredTopology, endpoint_to_partitions};

/// What a heartbeat's answer says beside the assignment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusCode {
    /// The member runs an older topology than the group.
    StaleTopology,
    /// Topics that the application reads and does not write are not there.
    MissingSourceTopics,
    /// Topics do not have as many partitions as they must.
    IncorrectlyPartitionedTopics,
    /// Topics that the application has for itself are not there yet.
    MissingInternalTopics,
    /// A member asked every member to shut down.
    ShutdownApplication,
    /// The assignment waits for more members, or for a while.
    AssignmentDelayed,
    /// The member lacks tags that standby tasks are spread by (KIP-1357; from version 1).
    MissingClientTags,
}

impl StatusCode {
    /// The number in the response.
    pub fn value(self) -> i8 {
        match self {
            Self::StaleTopology => 0,
            Self::MissingSourceTopics => 1,
            Self::IncorrectlyPartitionedTopics => 2,
            Self::MissingInternalTopics => 3,
            Self::ShutdownApplication => 4,
            Self::AssignmentDelayed => 5,
            Self::MissingClientTags => 6,
        }
    }

    pub(crate) fn status(self, detail: String) -> Status {
        Status { status_code: self.value(), status_detail: detail.into(), ..Default::default() }
    }
}

/// What a heartbeat is answered.
impl Heartbeat<'_> {
    pub(super) fn response(
        &mut self,
        before: &StreamsGroupMember,
        member: &StreamsGroupMember,
        replaced: Option<&ByteString>,
        configured: &ConfiguredTopology,
    ) -> StreamsGroupHeartbeatResponse {
        let mut response = response_to(member, self.cx.config);
        let tasks_changed = before.assigned_tasks != member.assigned_tasks;
        if self.is_joining() || tasks_changed {
            put_assignment(&mut response, member);
        }
        let endpoint_changed = before.user_endpoint != member.user_endpoint;
        let mut endpoint_epoch = self.cx.soft.endpoint_information_epoch;
        if endpoint_changed || (tasks_changed && member.user_endpoint.is_some()) {
            endpoint_epoch = endpoint_epoch.wrapping_add(1);
            self.remember(SoftChange::EndpointInformationEpoch(endpoint_epoch));
        }
        if endpoint_epoch != self.request.endpoint_information_epoch {
            let all = partitions_by_user_endpoint(self.cx, self.group, configured, member, replaced);
            response.partitions_by_user_endpoint = Some(all);
        }
        if !self.is_new_group() {
            response.endpoint_information_epoch = endpoint_epoch;
        }
        self.put_status(member, configured);
        response.status = Some(std::mem::take(&mut self.status));
        response
    }

    fn put_status(&mut self, member: &StreamsGroupMember, configured: &ConfiguredTopology) {
        if let Some(problem) = &configured.problem {
            self.status.push(problem.status.status(problem.detail.clone()));
        }
        let request = self.request;
        let asks = request.shutdown_application.then_some(&request.member_id);
        if let Some(who) = self.cx.soft.shutdown_requested_by.as_ref().or(asks) {
            let detail = format!("member {who} failed and asked for the whole application to shut down");
            self.status.push(StatusCode::ShutdownApplication.status(detail));
        }
        // Clients of version 0 fail on a status that they do not know.
        if self.context.api_version >= 1 {
            let tags = &self.cx.config.rack_aware_assignment_tags;
            self.status.extend(missing_client_tags(tags, &member.client_tags));
        }
    }
}

/// An answer without an assignment.
fn response_to(member: &StreamsGroupMember, config: &StreamsGroupConfig) -> StreamsGroupHeartbeatResponse {
    StreamsGroupHeartbeatResponse {
        member_id: member.member_id.clone(),
        member_epoch: member.member_epoch,
        heartbeat_interval_ms: config.heartbeat_interval_ms,
        task_offset_interval_ms: config.task_offset_interval_ms,
        acceptable_recovery_lag: config.acceptable_recovery_lag,
        ..Default::default()
    }
}

/// Tells a member everything that it is to do.
fn put_assignment(response: &mut StreamsGroupHeartbeatResponse, member: &StreamsGroupMember) {
    let tasks = |tasks: &Tasks| {
        list(tasks, |subtopology_id, partitions| TaskIds { subtopology_id, partitions, ..Default::default() })
    };
    response.active_tasks = Some(tasks(&without_epochs(&member.assigned_tasks.active)));
    response.standby_tasks = Some(tasks(&member.assigned_tasks.standby));
    response.warmup_tasks = Some(tasks(&member.assigned_tasks.warmup));
}

/// What can be asked for where, in the whole group. `member` is as it will be, without `replaced`.
fn partitions_by_user_endpoint(
    cx: &StreamsGroupContext<'_>,
    group: &StreamsGroup,
    topology: &ConfiguredTopology,
    member: &StreamsGroupMember,
    replaced: Option<&ByteString>,
) -> Vec<EndpointToPartitions> {
    let others = group.members().map(|other| &**other);
    let others =
        others.filter(|other| other.member_id != member.member_id && Some(&other.member_id) != replaced);
    let all = others.chain(std::iter::once(member));
    all.filter_map(|member| endpoint_to_partitions(member, topology, cx.metadata)).collect()
}

fn missing_client_tags(
    tags: &[ByteString],
    client_tags: &BTreeMap<ByteString, ByteString>,
) -> Option<Status> {
    let missing: Vec<&str> =
        tags.iter().filter(|tag| !client_tags.contains_key(*tag)).map(|tag| &**tag).collect();
    let detail = || {
        let names = missing.join(", ");
        format!("the client has no tags {names}, by which standby tasks are spread: set client.tag.<name>")
    };
    (!missing.is_empty()).then(|| StatusCode::MissingClientTags.status(detail()))
}

use std::collections::BTreeMap;
use std::sync::Arc;

use bytestring::ByteString;
use ottla_protocol::messages::create_topics_request::CreatableTopic;
use ottla_protocol::messages::streams_group_heartbeat_response::Status;
use ottla_protocol::messages::{StreamsGroupHeartbeatRequest, StreamsGroupHeartbeatResponse};
use ottla_protocol::records::group::StreamsGroupTopologyValue;

use super::assignor::StickyTaskAssignor;
use super::config::StreamsGroupConfig;
use super::context::{StreamsDecision, StreamsGroupContext, StreamsGroupTimer};
use super::error::StreamsGroupError;
use super::group::{StreamsGroup, StreamsGroupState};
use super::heartbeat_response::StatusCode;
use super::heartbeat_validation::{JOIN_GROUP_MEMBER_EPOCH, owned_tasks, validate_tasks};
use super::member::{StreamsGroupMember, StreamsMemberState};
use super::next_assignment::NextAssignment;
use super::record::StreamsGroupRecord;
use super::soft_state::{Configured, MemberTaskOffsets, SoftChange};
use super::target_assignment::{NUM_STANDBY_REPLICAS, RACK_AWARE_ASSIGNMENT_TAGS, TargetAssignmentBuilder};
use super::tasks::TasksTuple;
use super::topics::{ConfiguredTopology, configure_topics};
use super::topology::{self, StreamsTopology};
use crate::group::modern::{can_compute_next_target_assignment, metadata_hash};
use crate::group::{RequestContext, owned};

/// The answer to a heartbeat, and what the broker is to do about it.
#[derive(Debug, Clone, PartialEq)]
pub struct StreamsGroupHeartbeatResult {
    /// The answer.
    pub response: StreamsGroupHeartbeatResponse,
    /// Topics that the broker is to create, if the member may have that done.
    pub creatable_topics: Vec<CreatableTopic>,
    /// The epoch of the group's topology, or -1.
    pub current_topology_epoch: i32,
    /// The epoch of the topology whose description is stored, or -1, or -2 for who knows.
    pub stored_description_topology_epoch: i32,
    /// The epoch of the topology whose description can never be stored, or -1.
    pub failed_description_topology_epoch: i32,
}

impl StreamsGroupHeartbeatResult {
    /// An answer about a group as it is.
    pub(crate) fn of(group: &StreamsGroup, response: StreamsGroupHeartbeatResponse) -> Self {
        Self {
            response,
            creatable_topics: Vec::new(),
            current_topology_epoch: group.topology_epoch(),
            stored_description_topology_epoch: group.stored_description_topology_epoch(),
            failed_description_topology_epoch: group.failed_description_topology_epoch(),
        }
    }
}

/// A heartbeat that does not leave, in the making.
///
/// Five steps: who the member is, what the application does, whether its topics are there, who is to do
/// what, and what this member does next. Each may write records; the group's epoch grows at most once.
pub(crate) struct Heartbeat<'a> {
    pub(super) cx: &'a StreamsGroupContext<'a>,
    pub(super) context: &'a RequestContext,
    pub(super) request: &'a StreamsGroupHeartbeatRequest,
    pub(super) group: &'a StreamsGroup,
    pub(super) owned: Option<TasksTuple>,
    pub(super) decision: StreamsDecision<()>,
    pub(super) status: Vec<Status>,
}

/// Towards what the member is to go.
struct Target {
    epoch: i32,
    tasks: TasksTuple,
}

/// Whether, and why, the group's epoch grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AssignmentUpdate {
    None,
    /// Something changed that the assignment depends on.
    Recompute,
    /// The assignment stays; the way to it goes on.
    Refine,
}

impl<'a> Heartbeat<'a> {
    /// Decides about a heartbeat. `group` is the context's, or an empty one when that has none.
    pub(crate) fn decide(
        cx: &'a StreamsGroupContext<'a>,
        context: &'a RequestContext,
        request: &'a StreamsGroupHeartbeatRequest,
        group: &'a StreamsGroup,
    ) -> Result<StreamsDecision<StreamsGroupHeartbeatResult>, StreamsGroupError> {
        let offered = request.topology.as_ref().map(topology::record_of).transpose()?;
        let (owned, decision) = (owned_tasks(request), StreamsDecision::of(()));
        let beat = Self { cx, context, request, group, owned, decision, status: Vec::new() };
        beat.run(offered)
    }

    fn run(
        mut self,
        offered: Option<StreamsGroupTopologyValue>,
    ) -> Result<StreamsDecision<StreamsGroupHeartbeatResult>, StreamsGroupError> {
        let (before, replaced) = self.member()?;
        let mut member = self.updated_member(&before)?;
        let mut update = AssignmentUpdate::None;
        if member != before {
            self.decision.records.push(StreamsGroupRecord::member(self.group.group_id(), &member));
            if self.request.instance_id.is_none() || member.has_relevant_change(&before) {
                update = AssignmentUpdate::Recompute;
            }
        }
        let topology = self.topology(offered, &member)?;
        let configured = self.configured_topology(&topology)?;
        let validated = if configured.is_ready() { topology.epoch() } else { -1 };
        self.validate_owned_tasks(&configured)?;
        self.note_task_offsets()?;
        let configs = assignment_configs(self.cx.config);
        if configured.metadata_hash != self.group.metadata_hash()
            || validated != self.group.validated_topology_epoch()
            || configs != *self.group.last_assignment_configs()
        {
            update = AssignmentUpdate::Recompute;
        }
        if update == AssignmentUpdate::None && self.is_refinement_due(&member) {
            update = AssignmentUpdate::Refine;
        }
        let group_epoch = self.group_epoch(update, configured.metadata_hash, validated, &configs);
        let target = self.target(&member, replaced.as_ref(), &configured, &configs, group_epoch, update)?;
        self.reconcile(&mut member, &target)?;
        self.keep_session(&member);
        let response = self.response(&before, &member, replaced.as_ref(), &configured);
        let result = StreamsGroupHeartbeatResult {
            creatable_topics: configured.internal_topics_to_create.clone(),
            current_topology_epoch: topology.epoch(),
            ..StreamsGroupHeartbeatResult::of(self.group, response)
        };
        Ok(self.decision.map(|()| result))
    }

    pub(super) fn is_joining(&self) -> bool {
        self.request.member_epoch == JOIN_GROUP_MEMBER_EPOCH
    }

    /// A group that this heartbeat makes is known to nobody yet: nothing is remembered beside the log.
    pub(super) fn is_new_group(&self) -> bool {
        self.cx.group.is_none()
    }

    pub(super) fn remember(&mut self, change: SoftChange) {
        if !self.is_new_group() {
            self.decision.changes.push(self.cx.change(self.group.group_id(), change));
        }
    }

    /// What the application does. Whoever comes first says it; it does not change (yet) after that.
    fn topology(
        &mut self,
        offered: Option<StreamsGroupTopologyValue>,
        member: &StreamsGroupMember,
    ) -> Result<Arc<StreamsTopology>, StreamsGroupError> {
        let group_id = self.group.group_id().clone();
        let topology = match (self.group.topology(), offered) {
            (None, None) => {
                let reason = "nobody has said what the application does: join again".to_owned();
                return Err(StreamsGroupError::InvalidRequest(reason));
            }
            (None, Some(offered)) => {
                let topology = Arc::new(StreamsTopology::from_record(&offered));
                self.decision.records.push(StreamsGroupRecord::Topology { group_id, value: Some(offered) });
                return Ok(topology);
            }
            (Some(topology), Some(offered)) if topology.epoch() <= offered.epoch => {
                if **topology != StreamsTopology::from_record(&offered) {
                    let reason = "the topology of a group cannot change".to_owned();
                    return Err(StreamsGroupError::InvalidRequest(reason));
                }
                topology
            }
            (Some(topology), _) => topology,
        };
        if member.topology_epoch < topology.epoch() {
            let (own, epoch) = (member.topology_epoch, topology.epoch());
            let detail = format!("the member has topology epoch {own}, the group is at {epoch}");
            self.status.push(StatusCode::StaleTopology.status(detail));
        }
        Ok(Arc::clone(topology))
    }

    /// The topics of the application as they are now. They are looked up when the cluster's metadata is
    /// another, or when what they came to never made it to the log.
    fn configured_topology(
        &mut self,
        topology: &StreamsTopology,
    ) -> Result<Arc<ConfiguredTopology>, StreamsGroupError> {
        let metadata_version = self.cx.metadata.version();
        let known = self.cx.soft.configured.as_ref();
        let known = known.filter(|known| known.topology.topology_epoch == topology.epoch());
        let is_current = |known: &&Configured| {
            known.metadata_version == metadata_version
                && known.topology.metadata_hash == self.group.metadata_hash()
        };
        if let Some(known) = known.filter(is_current) {
            return Ok(Arc::clone(&known.topology));
        }
        let hash = metadata_hash(topology.required_topics(), self.cx.metadata);
        let topology = match known {
            Some(known) if known.topology.metadata_hash == hash => Arc::clone(&known.topology),
            _ => Arc::new(configure_topics(topology, hash, self.cx.metadata)?),
        };
        let configured = Configured { metadata_version, topology: Arc::clone(&topology) };
        self.remember(SoftChange::Configured(configured));
        Ok(topology)
    }

    fn validate_owned_tasks(&self, configured: &ConfiguredTopology) -> Result<(), StreamsGroupError> {
        match (&configured.subtopologies, &self.owned) {
            (Some(subtopologies), Some(owned)) if configured.is_ready() => {
                validate_tasks(subtopologies, owned)
            }
            _ => Ok(()),
        }
    }

    fn note_task_offsets(&mut self) -> Result<(), StreamsGroupError> {
        let (offsets, end_offsets) = (&self.request.task_offsets, &self.request.task_end_offsets);
        if offsets.is_none() && end_offsets.is_none() {
            return Ok(());
        }
        let nothing = MemberTaskOffsets::default();
        let known = self.cx.soft.task_offsets(&self.request.member_id).unwrap_or(&nothing);
        let updated = known.updated(offsets.as_deref(), end_offsets.as_deref())?;
        self.remember(SoftChange::TaskOffsets(owned(&self.request.member_id), Arc::new(updated)));
        Ok(())
    }

    /// Whether the group has come to rest and this member does something else than the target says.
    ///
    /// Between target and members Kafka has a place for steps that let tasks warm up where they are to go.
    /// In 4.4 that place is empty: the target is what members go towards, so there are no warm-up tasks.
    fn is_refinement_due(&self, member: &StreamsGroupMember) -> bool {
        self.group.state() == StreamsGroupState::Stable
            && match self.group.target_assignment(&member.member_id) {
                Some(target) => !target.same_tasks(&member.assigned_tasks),
                None => !member.assigned_tasks.is_empty(),
            }
    }

    /// The group's epoch from here on.
    fn group_epoch(
        &mut self,
        update: AssignmentUpdate,
        metadata_hash: i64,
        validated_topology_epoch: i32,
        configs: &BTreeMap<ByteString, ByteString>,
    ) -> i32 {
        let mut value = self.group.metadata_value();
        if update != AssignmentUpdate::None {
            value.epoch = value.epoch.saturating_add(1);
            value.metadata_hash = metadata_hash;
            value.validated_topology_epoch = validated_topology_epoch;
            value.last_assignment_configs = Some(super::record_values::assignment_configs(configs));
            self.decision.records.push(self.group.metadata_record(value.clone()));
        }
        assert!(value.epoch >= self.group.group_epoch(), "GROUP-EPOCH-MONOTONIC: {}", value.epoch);
        value.epoch
    }

    fn target(
        &mut self,
        member: &StreamsGroupMember,
        replaced: Option<&ByteString>,
        configured: &ConfiguredTopology,
        configs: &BTreeMap<ByteString, ByteString>,
        group_epoch: i32,
        update: AssignmentUpdate,
    ) -> Result<Target, StreamsGroupError> {
        let (cx, group) = (self.cx, self.group);
        let epoch = group.assignment_epoch();
        if self.is_initial_rebalance_pending() {
            self.delayed("more members may come");
            return Ok(Target { epoch, tasks: TasksTuple::default() });
        }
        let builder = TargetAssignmentBuilder::new(group, cx.soft).with_member(member, replaced);
        let tasks = builder.target_of(&member.member_id).map(|tasks| TasksTuple::clone(tasks));
        let as_it_is = Target { epoch, tasks: tasks.unwrap_or_default() };
        if epoch >= group_epoch {
            return Ok(as_it_is);
        }
        if update == AssignmentUpdate::Refine && epoch >= group.group_epoch() {
            let timestamp_ms = group.assignment_timestamp_ms();
            let group_id = group.group_id();
            let metadata =
                StreamsGroupRecord::target_assignment_metadata(group_id, group_epoch, timestamp_ms);
            self.decision.records.push(metadata);
            return Ok(Target { epoch: group_epoch, ..as_it_is });
        }
        let interval_ms = cx.config.assignment_interval_ms;
        if !can_compute_next_target_assignment(group.assignment_timestamp_ms(), interval_ms, cx.now_ms) {
            self.delayed("the last assignment was computed a moment ago");
            return Ok(as_it_is);
        }
        let built = builder.build(&StickyTaskAssignor, configured, configs, group_epoch, cx.now_ms);
        let mut built = built.map_err(|error| StreamsGroupError::NoAssignment {
            epoch: group_epoch,
            reason: error.to_string(),
        })?;
        self.decision.records.append(&mut built.records);
        let tasks = built.members.remove(&member.member_id).unwrap_or_default();
        Ok(Target { epoch: group_epoch, tasks })
    }

    /// The first assignment of a group waits, so that members that start together cost one assignment.
    fn is_initial_rebalance_pending(&mut self) -> bool {
        if self.cx.soft.initial_rebalance_pending {
            return true;
        }
        let delay_ms = self.cx.config.initial_rebalance_delay_ms;
        let starts = self.group.is_empty() && delay_ms > 0;
        if starts {
            let group_id = owned(self.group.group_id());
            let timer = StreamsGroupTimer::InitialRebalance { group_id };
            self.decision.timers.push(timer.after(self.cx.now_ms, delay_ms));
            // This much is remembered of a new group, too: the timer clears it, whatever becomes of it.
            let pending = SoftChange::InitialRebalancePending(true);
            self.decision.changes.push(self.cx.change(self.group.group_id(), pending));
        }
        starts
    }

    fn delayed(&mut self, why: &str) {
        self.status.push(StatusCode::AssignmentDelayed.status(format!("the assignment waits: {why}")));
    }

    fn reconcile(
        &mut self,
        member: &mut StreamsGroupMember,
        target: &Target,
    ) -> Result<(), StreamsGroupError> {
        if member.is_reconciled_to(target.epoch) {
            return Ok(());
        }
        let owners = self.group.owners();
        let step = NextAssignment::new(member, target.epoch, &target.tasks, owners, self.owned.as_ref());
        let next = step.member()?;
        if next != *member {
            let record = StreamsGroupRecord::current_assignment(self.group.group_id(), &next);
            self.decision.records.push(record);
            let (group_id, member_id) = (owned(self.group.group_id()), owned(&next.member_id));
            let timer = StreamsGroupTimer::Rebalance { group_id, member_id };
            self.decision.timers.push(match next.state {
                StreamsMemberState::UnrevokedTasks => timer.after(self.cx.now_ms, next.rebalance_timeout_ms),
                _ => crate::runtime::TimerChange::Cancel { key: timer },
            });
        }
        *member = next;
        Ok(())
    }

    fn keep_session(&mut self, member: &StreamsGroupMember) {
        let (group_id, member_id) = (owned(self.group.group_id()), owned(&member.member_id));
        let timer = StreamsGroupTimer::Session { group_id, member_id };
        self.decision.timers.push(timer.after(self.cx.now_ms, self.cx.config.session_timeout_ms));
        if self.request.shutdown_application {
            self.remember(SoftChange::ShutdownRequestedBy(owned(&self.request.member_id)));
        }
    }
}

/// What the assignor is told, in the words of the group's record.
pub(crate) fn assignment_configs(config: &StreamsGroupConfig) -> BTreeMap<ByteString, ByteString> {
    let mut configs = BTreeMap::new();
    let standbys = ByteString::from(config.num_standby_replicas.to_string());
    configs.insert(ByteString::from_static(NUM_STANDBY_REPLICAS), standbys);
    if !config.rack_aware_assignment_tags.is_empty() {
        let tags: Vec<&str> = config.rack_aware_assignment_tags.iter().map(|tag| &**tag).collect();
        configs.insert(ByteString::from_static(RACK_AWARE_ASSIGNMENT_TAGS), tags.join(",").into());
    }
    configs
}

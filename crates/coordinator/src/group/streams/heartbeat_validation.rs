use std::collections::BTreeMap;

use bytestring::ByteString;
use ottla_protocol::messages::StreamsGroupHeartbeatRequest;
use ottla_protocol::messages::streams_group_heartbeat_request::TaskIds;

use super::error::StreamsGroupError;
use super::member::StreamsGroupMember;
use super::tasks::{self, Tasks, TasksTuple, has, has_with_epoch};
use super::topics::ConfiguredSubtopology;
use crate::group::modern::LEAVE_GROUP_STATIC_MEMBER_EPOCH;

/// A heartbeat with this member epoch joins the group, or joins it again.
pub(crate) const JOIN_GROUP_MEMBER_EPOCH: i32 = 0;
const NO_TIMEOUT: i32 = -1;

/// Whether a heartbeat makes sense, whatever the group is.
pub(crate) fn validate(request: &StreamsGroupHeartbeatRequest) -> Result<(), StreamsGroupError> {
    let topology = request.topology.as_ref();
    let subtopologies = topology.into_iter().flat_map(|topology| &topology.subtopologies);
    for subtopology in subtopologies {
        require(
            subtopology.source_topic_regex.is_empty(),
            "regular expressions of source topics do not work",
        )?;
    }
    require(!request.member_id.is_empty(), "the member id is empty")?;
    require(!request.group_id.is_empty(), "the group id is empty")?;
    require(request.instance_id.as_ref().is_none_or(|id| !id.is_empty()), "the instance id is empty")?;
    require(request.rack_id.as_ref().is_none_or(|id| !id.is_empty()), "the rack id is empty")?;
    let owned = [&request.active_tasks, &request.standby_tasks, &request.warmup_tasks];
    if request.member_epoch == JOIN_GROUP_MEMBER_EPOCH {
        require(request.rebalance_timeout_ms != NO_TIMEOUT, "who joins must have a rebalance timeout")?;
        let nothing = owned.iter().all(|tasks| tasks.as_ref().is_none_or(Vec::is_empty));
        require(nothing, "who joins cannot have tasks")?;
        require(topology.is_some(), "who joins must say the topology")?;
    } else {
        let instance = request.instance_id.is_some();
        let is_static_leave = request.member_epoch == LEAVE_GROUP_STATIC_MEMBER_EPOCH;
        require(instance || !is_static_leave, "only a member with an instance id leaves for a while")?;
        require(request.member_epoch >= LEAVE_GROUP_STATIC_MEMBER_EPOCH, "there are no such member epochs")?;
        require(topology.is_none(), "only who joins says the topology")?;
    }
    let said = owned.iter().filter(|tasks| tasks.is_some()).count();
    require(said == 0 || said == owned.len(), "who says some tasks must say all: active, standby and warm-up")
}

/// What the member says to have; `None` when it says nothing.
pub(crate) fn owned_tasks(request: &StreamsGroupHeartbeatRequest) -> Option<TasksTuple> {
    let tasks = |ids: &Option<Vec<TaskIds>>| -> Option<Tasks> {
        let ids = ids.as_ref()?.iter();
        Some(tasks::collect(ids.map(|ids| (&ids.subtopology_id, ids.partitions.as_slice()))))
    };
    let (active, standby) = (tasks(&request.active_tasks)?, tasks(&request.standby_tasks)?);
    Some(TasksTuple { active, standby, warmup: tasks(&request.warmup_tasks)? })
}

/// Whether the epoch is the member's, or the one before and nobody else can have what the member says to
/// have: the answer with the new epoch may have been lost.
pub(crate) fn validate_member_epoch(
    member: &StreamsGroupMember,
    received: i32,
    owned: Option<&TasksTuple>,
) -> Result<(), StreamsGroupError> {
    let is_lost_answer =
        || received == member.previous_member_epoch && owned.is_some_and(|owned| is_within(owned, member));
    match received {
        JOIN_GROUP_MEMBER_EPOCH => Ok(()),
        received if received == member.member_epoch => Ok(()),
        received if received < member.member_epoch && is_lost_answer() => Ok(()),
        received => Err(StreamsGroupError::FencedMemberEpoch { received, known: member.member_epoch }),
    }
}

/// Whether the topology has every task that the member speaks of.
pub(crate) fn validate_tasks(
    subtopologies: &BTreeMap<ByteString, ConfiguredSubtopology>,
    owned: &TasksTuple,
) -> Result<(), StreamsGroupError> {
    let all = [&owned.active, &owned.standby, &owned.warmup];
    for (subtopology, partition) in all.into_iter().flat_map(tasks::each) {
        let num_tasks = subtopologies.get(subtopology).map_or(0, |subtopology| subtopology.number_of_tasks);
        if !(0..num_tasks).contains(&partition) {
            let reason = format!("the topology has no task {subtopology}_{partition}");
            return Err(StreamsGroupError::InvalidRequest(reason));
        }
    }
    Ok(())
}

fn is_within(owned: &TasksTuple, member: &StreamsGroupMember) -> bool {
    let assigned = &member.assigned_tasks;
    tasks::each(&owned.active).all(|(s, p)| has_with_epoch(&assigned.active, s, p))
        && tasks::each(&owned.standby).all(|(s, p)| has(&assigned.standby, s, p))
        && tasks::each(&owned.warmup).all(|(s, p)| has(&assigned.warmup, s, p))
}

fn require(condition: bool, otherwise: &str) -> Result<(), StreamsGroupError> {
    match condition {
        true => Ok(()),
        false => Err(StreamsGroupError::InvalidRequest(otherwise.to_owned())),
    }
}

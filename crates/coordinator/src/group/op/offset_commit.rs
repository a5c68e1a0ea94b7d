//! OffsetCommit, versions 2 to 10, of members and of everybody who keeps offsets without being one.
//!
//! Errors: GROUP_ID_NOT_FOUND (from version 9), ILLEGAL_GENERATION, UNKNOWN_MEMBER_ID,
//! FENCED_INSTANCE_ID, REBALANCE_IN_PROGRESS, STALE_MEMBER_EPOCH and UNSUPPORTED_VERSION (groups of the newer
//! protocols); a partition's own: OFFSET_METADATA_TOO_LARGE.

use bytestring::ByteString;
use ottla_common::{ErrorCode, Uuid};
use ottla_protocol::messages::offset_commit_request::OffsetCommitRequestPartition;
use ottla_protocol::messages::offset_commit_response::{
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use ottla_protocol::messages::{OffsetCommitRequest, OffsetCommitResponse};
use ottla_protocol::records::group::OffsetCommitValue;

use super::RequestContext;
use super::consumer_group_offsets::Committer;
use super::offset_validation::{OffsetCommitValidator, validate_modern_commit};
use crate::group::classic::ClassicGroupState as State;
use crate::group::classic::rebalance::heartbeat_timer;
use crate::group::classic::{self};
use crate::group::{Group, GroupCoordinatorShard, GroupError, GroupRecord, GroupResult};

const DEFAULT_RETENTION_TIME_MS: i64 = -1;
const NO_EXPIRY: i64 = -1;
const NO_LEADER_EPOCH: i32 = -1;
const GROUP_ID_NOT_FOUND_MIN_VERSION: i16 = 9;

impl GroupCoordinatorShard {
    /// Notes how far somebody has come. Which topics exist is the caller's to know.
    pub fn commit_offset(
        &self,
        now_ms: i64,
        context: &RequestContext,
        request: &OffsetCommitRequest,
    ) -> Result<GroupResult<OffsetCommitResponse>, GroupError> {
        let validator = self.validate_offset_commit(context, request)?;
        let expire_timestamp = match request.retention_time_ms {
            DEFAULT_RETENTION_TIME_MS => NO_EXPIRY,
            retention_ms => now_ms.saturating_add(retention_ms),
        };
        let mut response = OffsetCommitResponse::default();
        let mut records = Vec::new();
        for topic in &request.topics {
            let mut of_topic = OffsetCommitResponseTopic {
                topic_id: topic.topic_id,
                name: topic.name.clone(),
                ..Default::default()
            };
            for partition in &topic.partitions {
                let index = partition.partition_index;
                validator.validate(&topic.name, topic.topic_id, index)?;
                let error = match self.is_metadata_valid(partition.committed_metadata.as_ref()) {
                    true => {
                        let value = value(now_ms, expire_timestamp, topic.topic_id, partition);
                        records.push(GroupRecord::offset_commit(
                            &request.group_id,
                            &topic.name,
                            index,
                            value,
                        ));
                        ErrorCode::None
                    }
                    false => ErrorCode::OffsetMetadataTooLarge,
                };
                of_topic.partitions.push(OffsetCommitResponsePartition {
                    partition_index: index,
                    error_code: error.code(),
                    ..Default::default()
                });
            }
            response.topics.push(of_topic);
        }
        let mut result = GroupResult::with_records(records, response);
        result.timers.extend(self.keep_session(now_ms, request));
        Ok(result)
    }

    fn validate_offset_commit(
        &self,
        context: &RequestContext,
        request: &OffsetCommitRequest,
    ) -> Result<OffsetCommitValidator<'_>, GroupError> {
        let generation_id = request.generation_id_or_member_epoch;
        match self.groups.get(&request.group_id) {
            Some(Group::Classic(group)) => {
                validate_classic(group, request).map(|()| OffsetCommitValidator::All)
            }
            Some(group) => {
                let committer = Committer {
                    member_id: &request.member_id,
                    instance_id: request.group_instance_id.as_ref(),
                    member_epoch: generation_id,
                    is_transactional: false,
                    api_version: context.api_version,
                };
                validate_modern_commit(group, &committer)
            }
            // Somebody who only keeps offsets: the group comes into being with them.
            None if generation_id < 0 => Ok(OffsetCommitValidator::All),
            None if context.api_version >= GROUP_ID_NOT_FOUND_MIN_VERSION => Err(GroupError::GroupIdNotFound),
            None => Err(GroupError::IllegalGeneration),
        }
    }

    /// A commit is as good as a heartbeat.
    fn keep_session(
        &self,
        now_ms: i64,
        request: &OffsetCommitRequest,
    ) -> Option<crate::runtime::TimerChange<crate::group::GroupTimerKey, crate::group::GroupTimerEvent>> {
        let group = self.classic_group(&request.group_id)?;
        let member = group.member(&request.member_id)?;
        let alive = matches!(group.state(), State::Stable | State::PreparingRebalance);
        alive.then(|| {
            let (group_id, member_id) = (group.group_id().clone(), member.member_id.clone());
            heartbeat_timer(now_ms, group_id, member_id, member.session_timeout_ms)
        })
    }

    fn is_metadata_valid(&self, metadata: Option<&ByteString>) -> bool {
        let max = usize::try_from(self.config.offset_metadata_max_size).unwrap_or(0);
        // Kafka counts what Java calls characters: UTF-16 code units, never more than there are bytes.
        metadata.is_none_or(|text| text.len() <= max || text.encode_utf16().count() <= max)
    }
}

fn validate_classic(group: &classic::ClassicGroup, request: &OffsetCommitRequest) -> Result<(), GroupError> {
    let generation_id = request.generation_id_or_member_epoch;
    let instance_id = request.group_instance_id.as_ref();
    if group.state() == State::Dead {
        return Err(GroupError::CoordinatorNotAvailable);
    }
    if generation_id < 0 && group.is_empty() {
        return Ok(());
    }
    if generation_id < 0 && request.member_id.is_empty() && instance_id.is_none() {
        // Nobody from outside moves the offsets of a group that is at work.
        return Err(GroupError::UnknownMemberId);
    }
    group.validate_member(&request.member_id, instance_id)?;
    if generation_id != group.generation_id() {
        return Err(GroupError::IllegalGeneration);
    }
    match group.state() {
        // A member of the new generation that has no assignment yet: what it commits is not its own.
        State::CompletingRebalance => Err(GroupError::RebalanceInProgress),
        State::Empty | State::PreparingRebalance | State::Stable | State::Dead => Ok(()),
    }
}

fn value(
    now_ms: i64,
    expire_timestamp: i64,
    topic_id: Uuid,
    partition: &OffsetCommitRequestPartition,
) -> OffsetCommitValue {
    // The one version of the record that has an expiry has neither of the two others.
    let (leader_epoch, topic_id) = match expire_timestamp {
        NO_EXPIRY => (partition.committed_leader_epoch, topic_id),
        _ => (NO_LEADER_EPOCH, Uuid::ZERO),
    };
    OffsetCommitValue {
        offset: partition.committed_offset,
        leader_epoch,
        topic_id,
        metadata: partition.committed_metadata.clone().unwrap_or_default(),
        commit_timestamp: now_ms,
        expire_timestamp,
        ..Default::default()
    }
}

#[cfg(test)]
#[path = "offset_commit_test.rs"]
mod tests;

//! TxnOffsetCommit, versions 0 to 6: offsets that take effect when their transaction is committed.
//!
//! Errors: GROUP_ID_NOT_FOUND (from version 6, ILLEGAL_GENERATION before), ILLEGAL_GENERATION,
//! UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID, STALE_MEMBER_EPOCH (from version 6, ILLEGAL_GENERATION before),
//! COORDINATOR_NOT_AVAILABLE (the group is about to go away); a partition's own: OFFSET_METADATA_TOO_LARGE.
//!
//! The records are to be appended as the producer's, after the transaction coordinator confirmed that
//! the partition of `__consumer_offsets` is part of the transaction (KIP-890). Until its marker comes
//! they are pending: `replay_end_transaction_marker` lets them take effect, or forgets them.

use bytestring::ByteString;
use ottla_common::ErrorCode;
use ottla_protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use ottla_protocol::messages::txn_offset_commit_response::{
    TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use ottla_protocol::messages::{TxnOffsetCommitRequest, TxnOffsetCommitResponse};
use ottla_protocol::records::group::OffsetCommitValue;

use super::consumer_group_offsets::Committer;
use super::offset_validation::{OffsetCommitValidator, validate_modern_commit};
use super::{RequestContext, append_error};
use crate::group::classic::{ClassicGroup, ClassicGroupState as State};
use crate::group::{Group, GroupCoordinatorShard, GroupError, GroupRecord, GroupResult};

const NO_EXPIRY: i64 = -1;
/// From here on clients know that a group may be unknown, and an epoch stale (KIP-1319).
const FIRST_WITH_NEWER_ERRORS: i16 = 6;

impl GroupCoordinatorShard {
    /// Notes how far somebody has come, within a transaction. Which topics exist is the caller's to know.
    pub fn commit_transactional_offset(
        &self,
        now_ms: i64,
        context: &RequestContext,
        request: &TxnOffsetCommitRequest,
    ) -> Result<GroupResult<TxnOffsetCommitResponse>, GroupError> {
        let told = |error| as_told(error, context.api_version);
        let validator = self.validate_transactional_offset_commit(context, request).map_err(told)?;
        let mut response = TxnOffsetCommitResponse::default();
        let mut records = Vec::new();
        for topic in &request.topics {
            let mut of_topic = response_topic(topic);
            for partition in &topic.partitions {
                let index = partition.partition_index;
                validator.validate(&topic.name, topic.topic_id, index).map_err(told)?;
                let fits = self.is_transactional_metadata_valid(partition.committed_metadata.as_ref());
                let error = if fits { ErrorCode::None } else { ErrorCode::OffsetMetadataTooLarge };
                if fits {
                    let value = value(now_ms, topic, partition);
                    records.push(GroupRecord::offset_commit(&request.group_id, &topic.name, index, value));
                }
                of_topic.partitions.push(response_partition(index, error));
            }
            response.topics.push(of_topic);
        }
        Ok(GroupResult::with_records(records, response))
    }

    fn validate_transactional_offset_commit(
        &self,
        context: &RequestContext,
        request: &TxnOffsetCommitRequest,
    ) -> Result<OffsetCommitValidator<'_>, GroupError> {
        match self.groups.get(&request.group_id) {
            Some(Group::Classic(group)) => {
                validate_classic(group, request).map(|()| OffsetCommitValidator::All)
            }
            Some(group) => {
                let committer = Committer {
                    member_id: &request.member_id,
                    instance_id: request.group_instance_id.as_ref(),
                    member_epoch: request.generation_id_or_member_epoch,
                    is_transactional: true,
                    api_version: context.api_version,
                };
                validate_modern_commit(group, &committer)
            }
            // Somebody who only keeps offsets: the group comes into being with them.
            None if request.generation_id_or_member_epoch < 0 => Ok(OffsetCommitValidator::All),
            None if context.api_version >= FIRST_WITH_NEWER_ERRORS => Err(GroupError::GroupIdNotFound),
            None => Err(GroupError::IllegalGeneration),
        }
    }

    fn is_transactional_metadata_valid(&self, metadata: Option<&ByteString>) -> bool {
        let max = usize::try_from(self.config.offset_metadata_max_size).unwrap_or(0);
        // As with OffsetCommit: what Java calls characters, never more than there are bytes.
        metadata.is_none_or(|text| text.len() <= max || text.encode_utf16().count() <= max)
    }
}

/// Unlike OffsetCommit, the state of the group does not matter, and producers that are older than KIP-447
/// do not say which member they act for.
fn validate_classic(group: &ClassicGroup, request: &TxnOffsetCommitRequest) -> Result<(), GroupError> {
    let generation_id = request.generation_id_or_member_epoch;
    let instance_id = request.group_instance_id.as_ref();
    if group.state() == State::Dead {
        return Err(GroupError::CoordinatorNotAvailable);
    }
    let names_a_member = generation_id >= 0 || !request.member_id.is_empty() || instance_id.is_some();
    let is_from_outside = generation_id < 0 && group.is_empty();
    if is_from_outside || !names_a_member {
        return Ok(());
    }
    group.validate_member(&request.member_id, instance_id)?;
    match generation_id == group.generation_id() {
        true => Ok(()),
        false => Err(GroupError::IllegalGeneration),
    }
}

/// A stale epoch is told to those only who know of it.
fn as_told(error: GroupError, api_version: i16) -> GroupError {
    match error {
        GroupError::StaleMemberEpoch if api_version < FIRST_WITH_NEWER_ERRORS => {
            GroupError::IllegalGeneration
        }
        error => error,
    }
}

fn value(
    now_ms: i64,
    topic: &TxnOffsetCommitRequestTopic,
    partition: &TxnOffsetCommitRequestPartition,
) -> OffsetCommitValue {
    OffsetCommitValue {
        offset: partition.committed_offset,
        leader_epoch: partition.committed_leader_epoch,
        topic_id: topic.topic_id,
        metadata: partition.committed_metadata.clone().unwrap_or_default(),
        commit_timestamp: now_ms,
        expire_timestamp: NO_EXPIRY,
        ..Default::default()
    }
}

/// What a client is told when the offsets could not be appended, or the transaction coordinator could
/// not be asked about them. Older clients do not expect NETWORK_EXCEPTION here; the code in its place
/// lets them try again without looking for another coordinator.
pub fn txn_offset_commit_error(error: ErrorCode) -> ErrorCode {
    match error {
        ErrorCode::NetworkException => ErrorCode::CoordinatorLoadInProgress,
        other => append_error(other),
    }
}

/// The same answer for every partition of a request.
pub fn txn_offset_commit_error_response(
    request: &TxnOffsetCommitRequest,
    error: ErrorCode,
) -> TxnOffsetCommitResponse {
    let refuse = |topic: &TxnOffsetCommitRequestTopic| {
        let partitions = topic.partitions.iter().map(|p| response_partition(p.partition_index, error));
        TxnOffsetCommitResponseTopic { partitions: partitions.collect(), ..response_topic(topic) }
    };
    TxnOffsetCommitResponse { topics: request.topics.iter().map(refuse).collect(), ..Default::default() }
}

fn response_topic(topic: &TxnOffsetCommitRequestTopic) -> TxnOffsetCommitResponseTopic {
    TxnOffsetCommitResponseTopic { topic_id: topic.topic_id, name: topic.name.clone(), ..Default::default() }
}

fn response_partition(partition_index: i32, error: ErrorCode) -> TxnOffsetCommitResponsePartition {
    TxnOffsetCommitResponsePartition { partition_index, error_code: error.code(), ..Default::default() }
}

#[cfg(test)]
#[path = "txn_offset_commit_test.rs"]
mod tests;

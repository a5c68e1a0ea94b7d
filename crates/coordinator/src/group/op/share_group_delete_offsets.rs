//! DeleteShareGroupOffsets, version 0 (KIP-932): an empty group forgets topics.
//!
//! Errors of the group: INVALID_GROUP_ID, GROUP_ID_NOT_FOUND, NON_EMPTY_GROUP; of a topic:
//! UNKNOWN_TOPIC_OR_PARTITION, and whatever the share coordinator says.

use std::collections::BTreeSet;

use bytestring::ByteString;
use ottla_common::{ErrorCode, Uuid};
use ottla_protocol::messages::delete_share_group_offsets_response::DeleteShareGroupOffsetsResponseTopic;
use ottla_protocol::messages::delete_share_group_state_response::DeleteStateResult;
use ottla_protocol::messages::{
    DeleteShareGroupOffsetsRequest, DeleteShareGroupOffsetsResponse, DeleteShareGroupStateRequest,
    DeleteShareGroupStateResponse,
};

use crate::group::modern::MemberAssignment;
use crate::group::share::{
    ShareDecision, ShareGroupError, ShareGroupLookup, ShareGroupManager, StatePartitions, delete_request,
};

/// What a request to delete offsets leads to.
#[derive(Debug, Clone, PartialEq)]
pub struct DeletedOffsets {
    /// What is answered for topics of which there is nothing to delete.
    pub errors: Vec<DeleteShareGroupOffsetsResponseTopic>,
    /// To be sent to the share coordinator once the records are committed; its answer goes to
    /// [`ShareGroupManager::complete_delete_share_group_offsets`]. Without it `errors` are the answer.
    pub delete: Option<DeleteShareGroupStateRequest>,
}

impl ShareGroupManager<'_> {
    /// Notes that topics are being forgotten, and asks the share coordinator to do so.
    pub fn initiate_delete_share_group_offsets(
        &self,
        group: ShareGroupLookup<'_>,
        request: &DeleteShareGroupOffsetsRequest,
    ) -> Result<ShareDecision<DeletedOffsets>, ShareGroupError> {
        if request.group_id.is_empty() {
            return Err(ShareGroupError::InvalidGroupId);
        }
        let group = group.existing()?;
        if !group.is_empty() {
            return Err(ShareGroupError::NonEmptyGroup);
        }
        let Some(known) = group.state_partitions() else {
            return Ok(ShareDecision::of(DeletedOffsets { errors: Vec::new(), delete: None }));
        };
        let mut next = known.clone();
        let mut errors = Vec::new();
        let mut partitions = MemberAssignment::new();
        for topic in &request.topics {
            match self.move_to_deleting(&mut next, &topic.topic_name) {
                Ok((topic_id, of_topic)) => partitions.entry(topic_id).or_default().extend(of_topic),
                Err(message) => errors.push(DeleteShareGroupOffsetsResponseTopic {
                    topic_name: topic.topic_name.clone(),
                    error_code: ErrorCode::UnknownTopicOrPartition.code(),
                    error_message: Some(ByteString::from_static(message)),
                    ..Default::default()
                }),
            }
        }
        let delete = (!partitions.is_empty()).then(|| delete_request(group.group_id(), &partitions));
        let mut decision = ShareDecision::of(DeletedOffsets { errors, delete });
        if next != *known {
            self.write_state_partitions(&mut decision, group.group_id(), &next);
        }
        Ok(decision)
    }

    /// The partitions of a topic that are to be forgotten, or why there are none. A topic that was being
    /// forgotten already is asked for as a whole again: the answer may have got lost.
    fn move_to_deleting(
        &self,
        state: &mut StatePartitions,
        name: &ByteString,
    ) -> Result<(Uuid, BTreeSet<i32>), &'static str> {
        let topic = self.metadata.topic(name).ok_or("The topic is not known.")?;
        if let Some(initialized) = state.initialized.remove(&topic.id) {
            state.deleting.insert(topic.id, topic.name);
            return Ok((topic.id, initialized.partitions));
        }
        match state.deleting.contains_key(&topic.id) {
            true => Ok((topic.id, (0..topic.num_partitions).collect())),
            false => Err("The group has no offsets of the topic."),
        }
    }

    /// The share coordinator answered: what it forgot is no longer being forgotten.
    pub fn complete_delete_share_group_offsets(
        &self,
        group: ShareGroupLookup<'_>,
        deleted: &DeleteShareGroupStateResponse,
        errors: Vec<DeleteShareGroupOffsetsResponseTopic>,
    ) -> ShareDecision<DeleteShareGroupOffsetsResponse> {
        let of_topics = deleted.results.iter().map(|topic| self.deleted_topic(topic));
        let (successes, failures): (Vec<_>, Vec<_>) =
            of_topics.partition(|topic| topic.error_code == ErrorCode::None.code());
        let topic_ids: BTreeSet<Uuid> = successes.iter().map(|topic| topic.topic_id).collect();
        let responses = successes.into_iter().chain(errors).chain(failures).collect();
        let response = DeleteShareGroupOffsetsResponse { responses, ..Default::default() };
        let mut decision = ShareDecision::of(response);
        if let Ok(group) = group.existing()
            && let Some(known) = group.state_partitions()
        {
            let mut next = known.clone();
            next.deleting.retain(|topic_id, _| !topic_ids.contains(topic_id));
            if next != *known {
                self.write_state_partitions(&mut decision, group.group_id(), &next);
            }
        }
        decision
    }

    fn deleted_topic(&self, topic: &DeleteStateResult) -> DeleteShareGroupOffsetsResponseTopic {
        let mut codes = topic.partitions.iter().map(|result| ErrorCode::from_code(result.error_code));
        let error = codes.find(|error| !error.is_none()).unwrap_or(ErrorCode::None);
        DeleteShareGroupOffsetsResponseTopic {
            topic_name: self.metadata.topic_by_id(topic.topic_id).map(|topic| topic.name).unwrap_or_default(),
            topic_id: topic.topic_id,
            error_code: error.code(),
            error_message: (!error.is_none()).then(|| ByteString::from_static(error.name())),
            ..Default::default()
        }
    }
}

#[cfg(test)]
#[path = "share_group_delete_offsets_test.rs"]
mod tests;

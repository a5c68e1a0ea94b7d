//! AlterShareGroupOffsets, version 0 (KIP-932): an empty group begins anew at offsets of an operator's
//! choice.
//!
//! Errors of the group: INVALID_GROUP_ID, GROUP_ID_NOT_FOUND when it is of another type, NON_EMPTY_GROUP;
//! of a partition: UNKNOWN_TOPIC_OR_PARTITION, and whatever the share coordinator says.

use std::collections::BTreeMap;

use bytestring::ByteString;
use ottla_common::{ErrorCode, Uuid};
use ottla_protocol::messages::alter_share_group_offsets_request::AlterShareGroupOffsetsRequestTopic;
use ottla_protocol::messages::alter_share_group_offsets_response::{
    AlterShareGroupOffsetsResponsePartition, AlterShareGroupOffsetsResponseTopic,
};
use ottla_protocol::messages::{
    AlterShareGroupOffsetsRequest, AlterShareGroupOffsetsResponse, InitializeShareGroupStateRequest,
    InitializeShareGroupStateResponse,
};

use crate::group::share::{
    ShareDecision, ShareGroupError, ShareGroupLookup, ShareGroupManager, StatePartitions, TopicPartitions,
    initialize_request,
};

/// What a request to alter offsets leads to.
#[derive(Debug, Clone, PartialEq)]
pub struct AlteredOffsets {
    /// The answer, unless the share coordinator has something to add: see [`altered_offsets`].
    pub response: AlterShareGroupOffsetsResponse,
    /// To be sent to the share coordinator once the records are committed. Its answer goes to
    /// [`ShareGroupManager::share_group_state_initialized`], if it holds no error.
    pub initialize: Option<InitializeShareGroupStateRequest>,
}

impl ShareGroupManager<'_> {
    /// Asks the share coordinator to begin anew. A group that is not there is made by that.
    pub fn alter_share_group_offsets(
        &self,
        group: ShareGroupLookup<'_>,
        request: &AlterShareGroupOffsetsRequest,
    ) -> Result<ShareDecision<AlteredOffsets>, ShareGroupError> {
        if request.group_id.is_empty() {
            return Err(ShareGroupError::InvalidGroupId);
        }
        let group = group.existing_or_new(&request.group_id)?;
        if !group.is_empty() {
            return Err(ShareGroupError::NonEmptyGroup);
        }
        let mut altered = Altered::default();
        let responses = request.topics.iter().map(|topic| self.altered_topic(topic, &mut altered)).collect();
        let response = AlterShareGroupOffsetsResponse { responses, ..Default::default() };
        if altered.offsets.is_empty() {
            return Ok(ShareDecision::of(AlteredOffsets { response, initialize: None }));
        }
        let initialize = initialize_request(group.group_id(), group.epoch(), &altered.offsets);
        let mut decision = ShareDecision::of(AlteredOffsets { response, initialize: Some(initialize) });
        let nothing = StatePartitions::default();
        let known = group.state_partitions().unwrap_or(&nothing);
        let next = known.with_initializing(&altered.topics);
        self.write_state_partitions(&mut decision, group.group_id(), &next);
        Ok(decision)
    }

    fn altered_topic(
        &self,
        topic: &AlterShareGroupOffsetsRequestTopic,
        altered: &mut Altered,
    ) -> AlterShareGroupOffsetsResponseTopic {
        let known = self.metadata.topic(&topic.topic_name);
        let num_partitions = known.as_ref().map_or(0, |known| known.num_partitions);
        let topic_id = known.as_ref().map_or(Uuid::ZERO, |known| known.id);
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for partition in &topic.partitions {
            let index = partition.partition_index;
            if (0..num_partitions).contains(&index) {
                altered.put(topic_id, &topic.topic_name, index, partition.start_offset);
                partitions.push(result(index, ErrorCode::None));
            } else {
                partitions.push(result(index, ErrorCode::UnknownTopicOrPartition));
            }
        }
        AlterShareGroupOffsetsResponseTopic {
            topic_name: topic.topic_name.clone(),
            topic_id,
            partitions,
            ..Default::default()
        }
    }
}

/// The answer to a request to alter offsets after the share coordinator was asked: what it refused is
/// refused, and when it could not be asked everything is.
pub fn altered_offsets(
    mut response: AlterShareGroupOffsetsResponse,
    initialized: Result<&InitializeShareGroupStateResponse, ErrorCode>,
) -> AlterShareGroupOffsetsResponse {
    match initialized {
        Ok(initialized) => {
            let errors = initialize_errors(initialized);
            for topic in &mut response.responses {
                for partition in &mut topic.partitions {
                    let error = errors.get(&(topic.topic_id, partition.partition_index));
                    if let Some(error) = error
                        && partition.error_code == ErrorCode::None.code()
                    {
                        (partition.error_code, partition.error_message) = error.clone();
                    }
                }
            }
        }
        Err(error) => {
            response.error_code = error.code();
            response.error_message = Some(ByteString::from_static(error.name()));
            for partition in response.responses.iter_mut().flat_map(|topic| &mut topic.partitions) {
                *partition = result(partition.partition_index, error);
            }
        }
    }
    response
}

/// The partitions that the share coordinator refused, with its codes and messages.
fn initialize_errors(
    response: &InitializeShareGroupStateResponse,
) -> BTreeMap<(Uuid, i32), (i16, Option<ByteString>)> {
    let mut errors = BTreeMap::new();
    for topic in &response.results {
        for result in &topic.partitions {
            if result.error_code != ErrorCode::None.code() {
                let error = (result.error_code, result.error_message.clone());
                errors.insert((topic.topic_id, result.partition), error);
            }
        }
    }
    errors
}

/// What is to begin anew, and where.
#[derive(Debug, Default)]
struct Altered {
    topics: BTreeMap<Uuid, TopicPartitions>,
    offsets: BTreeMap<Uuid, BTreeMap<i32, i64>>,
}

impl Altered {
    fn put(&mut self, topic_id: Uuid, name: &ByteString, partition: i32, start_offset: i64) {
        let topic = self.topics.entry(topic_id).or_default();
        topic.name = name.clone();
        topic.partitions.insert(partition);
        self.offsets.entry(topic_id).or_default().insert(partition, start_offset);
    }
}

fn result(partition_index: i32, error: ErrorCode) -> AlterShareGroupOffsetsResponsePartition {
    AlterShareGroupOffsetsResponsePartition {
        partition_index,
        error_code: error.code(),
        error_message: (!error.is_none()).then(|| ByteString::from_static(error.name())),
        ..Default::default()
    }
}

#[cfg(test)]
#[path = "share_group_alter_offsets_test.rs"]
mod tests;

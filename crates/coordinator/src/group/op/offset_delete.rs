//! OffsetDelete, version 0.
//!
//! Errors: GROUP_ID_NOT_FOUND, NON_EMPTY_GROUP; a partition's own: GROUP_SUBSCRIBED_TO_TOPIC.

use bytestring::ByteString;
use ottla_common::{ErrorCode, Uuid};
use ottla_protocol::messages::offset_delete_request::OffsetDeleteRequestTopic;
use ottla_protocol::messages::offset_delete_response::{
    OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};
use ottla_protocol::messages::{OffsetDeleteRequest, OffsetDeleteResponse};

use crate::group::classic::ClassicGroupState as State;
use crate::group::{Group, GroupCoordinatorShard, GroupError, GroupRecord, GroupResult};

impl GroupCoordinatorShard {
    /// Forgets offsets of topics that the group does not read any more.
    pub fn delete_offsets(
        &self,
        request: &OffsetDeleteRequest,
    ) -> Result<GroupResult<OffsetDeleteResponse>, GroupError> {
        let group = self.groups.get(&request.group_id).ok_or(GroupError::GroupIdNotFound)?;
        validate(group)?;
        let mut records = Vec::new();
        let mut response = OffsetDeleteResponse::default();
        for topic in &request.topics {
            let subscribed = group.is_subscribed_to(&topic.name);
            let error = if subscribed { ErrorCode::GroupSubscribedToTopic } else { ErrorCode::None };
            if !subscribed {
                records.extend(self.offset_tombstones(&request.group_id, topic));
            }
            let partition =
                |index| OffsetDeleteResponsePartition { partition_index: index, error_code: error.code() };
            response.topics.push(OffsetDeleteResponseTopic {
                name: topic.name.clone(),
                partitions: topic.partitions.iter().map(|p| partition(p.partition_index)).collect(),
            });
        }
        Ok(GroupResult::with_records(records, response))
    }

    /// Forgets the offsets of a topic that is no more, in every group.
    pub fn on_topic_deleted(&self, topic: &ByteString, topic_id: Uuid) -> GroupResult<()> {
        let partitions = self.offsets.partitions_of_topic(topic, topic_id);
        let tombstone =
            |(group, partition): &(ByteString, i32)| GroupRecord::offset_tombstone(group, topic, *partition);
        let records = partitions.iter().map(tombstone).collect();
        GroupResult { atomic: false, ..GroupResult::with_records(records, ()) }
    }

    fn offset_tombstones(&self, group_id: &ByteString, topic: &OffsetDeleteRequestTopic) -> Vec<GroupRecord> {
        let exists = |partition: &i32| {
            self.offsets.committed.get(group_id, &topic.name, *partition).is_some()
                || self.offsets.has_pending(group_id, &topic.name, *partition)
        };
        let partitions = topic.partitions.iter().map(|p| p.partition_index).filter(exists);
        partitions.map(|partition| GroupRecord::offset_tombstone(group_id, &topic.name, partition)).collect()
    }
}

fn validate(group: &Group) -> Result<(), GroupError> {
    match group {
        Group::Classic(group) => match group.state() {
            State::Dead => Err(GroupError::GroupIdNotFound),
            State::Stable | State::PreparingRebalance | State::CompletingRebalance
                if !group.uses_consumer_protocol() =>
            {
                // Nobody knows which topics such members read.
                Err(GroupError::NonEmptyGroup)
            }
            State::Empty | State::Stable | State::PreparingRebalance | State::CompletingRebalance => Ok(()),
        },
        Group::Share(_) => Err(GroupError::GroupIdNotFound),
        Group::Consumer(_) | Group::Streams(_) => Ok(()),
    }
}

#[cfg(test)]
#[path = "offset_delete_test.rs"]
mod tests;

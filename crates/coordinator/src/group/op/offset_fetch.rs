//! OffsetFetch, versions 1 to 10: what a group has committed.
//!
//! Errors: UNKNOWN_MEMBER_ID, STALE_MEMBER_EPOCH, ILLEGAL_GENERATION (of groups of the newer protocols); a partition's own:
//! UNSTABLE_OFFSET_COMMIT (KIP-447).

use bytestring::ByteString;
use ottla_common::{ErrorCode, Uuid};
use ottla_protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use ottla_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartitions, OffsetFetchResponseTopics,
};

use super::consumer_group_offsets;
use crate::group::{Group, GroupCoordinatorShard, GroupError, OffsetAndMetadata};

const NOTHING_COMMITTED: i64 = -1;
const NO_LEADER_EPOCH: i32 = -1;

impl GroupCoordinatorShard {
    /// What the group has committed, for the topics asked for or for all of them.
    ///
    /// To be asked of the committed state, or, when `require_stable`, of the newest: then partitions
    /// with a transaction under way say so, and the answer must wait until the state is committed.
    pub fn fetch_offsets(
        &self,
        request: &OffsetFetchRequestGroup,
        require_stable: bool,
    ) -> Result<OffsetFetchResponseGroup, GroupError> {
        let known = self.validate_offset_fetch(request)?;
        let topics = match &request.topics {
            None if !known => Vec::new(),
            None => self.all_topics(&request.group_id, require_stable),
            Some(topics) => {
                topics.iter().map(|topic| self.topic(known, request, topic, require_stable)).collect()
            }
        };
        Ok(OffsetFetchResponseGroup { group_id: request.group_id.clone(), topics, ..Default::default() })
    }

    /// Whether there is a group whose offsets can be told. That there is none is no error: nothing
    /// was committed.
    fn validate_offset_fetch(&self, request: &OffsetFetchRequestGroup) -> Result<bool, GroupError> {
        match self.groups.get(&request.group_id) {
            None | Some(Group::Share(_)) => Ok(false),
            Some(Group::Classic(_)) => Ok(true),
            Some(Group::Consumer(group)) => {
                let member_id = request.member_id.as_ref();
                consumer_group_offsets::validate_offset_fetch(group, member_id, request.member_epoch)?;
                Ok(true)
            }
            Some(Group::Streams(group)) => {
                group.validate_offset_fetch(request.member_id.as_ref(), request.member_epoch)?;
                Ok(true)
            }
        }
    }

    fn topic(
        &self,
        known: bool,
        request: &OffsetFetchRequestGroup,
        topic: &OffsetFetchRequestTopics,
        require_stable: bool,
    ) -> OffsetFetchResponseTopics {
        let group_id = &request.group_id;
        let partition = |index: &i32| {
            if require_stable && self.offsets.has_pending(group_id, &topic.name, *index) {
                return unstable(*index);
            }
            let offset = self.offsets.committed.get(group_id, &topic.name, *index);
            // An offset of a topic that was deleted and made again means nothing to the new one.
            match offset.filter(|offset| known && is_of_topic(offset, topic.topic_id)) {
                Some(offset) => committed(*index, offset),
                None => nothing(*index),
            }
        };
        OffsetFetchResponseTopics {
            topic_id: topic.topic_id,
            name: topic.name.clone(),
            partitions: topic.partition_indexes.iter().map(partition).collect(),
            ..Default::default()
        }
    }

    fn all_topics(&self, group_id: &ByteString, require_stable: bool) -> Vec<OffsetFetchResponseTopics> {
        let Some(topics) = self.offsets.committed.group(group_id) else { return Vec::new() };
        let topic = |(name, partitions): (&ByteString, &crate::group::offsets::Partitions<_>)| {
            let partition = |(index, offset): (&i32, &OffsetAndMetadata)| match require_stable
                && self.offsets.has_pending(group_id, name, *index)
            {
                true => unstable(*index),
                false => committed(*index, offset),
            };
            OffsetFetchResponseTopics {
                topic_id: Uuid::ZERO,
                name: name.clone(),
                partitions: partitions.iter().map(partition).collect(),
                ..Default::default()
            }
        };
        topics.iter().map(topic).collect()
    }
}

fn is_of_topic(offset: &OffsetAndMetadata, topic_id: Uuid) -> bool {
    offset.topic_id.is_zero() || topic_id.is_zero() || offset.topic_id == topic_id
}

fn committed(partition_index: i32, offset: &OffsetAndMetadata) -> OffsetFetchResponsePartitions {
    OffsetFetchResponsePartitions {
        partition_index,
        committed_offset: offset.committed_offset,
        committed_leader_epoch: offset.leader_epoch,
        metadata: Some(offset.metadata.clone()),
        ..Default::default()
    }
}

fn nothing(partition_index: i32) -> OffsetFetchResponsePartitions {
    OffsetFetchResponsePartitions {
        partition_index,
        committed_offset: NOTHING_COMMITTED,
        committed_leader_epoch: NO_LEADER_EPOCH,
        metadata: Some(ByteString::new()),
        ..Default::default()
    }
}

fn unstable(partition_index: i32) -> OffsetFetchResponsePartitions {
    OffsetFetchResponsePartitions {
        error_code: ErrorCode::UnstableOffsetCommit.code(),
        ..nothing(partition_index)
    }
}

#[cfg(test)]
#[path = "offset_fetch_test.rs"]
mod tests;

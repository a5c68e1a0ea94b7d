//! DescribeShareGroupOffsets, versions 0 and 1 (KIP-932, KIP-1226): how far a group is in each partition,
//! and how much it has before it.
//!
//! The answer comes in three steps: ask the share coordinator for a summary, ask the leaders where the
//! partitions end, put both together. Errors, each partition its own: whatever the leaders say. What the
//! share coordinator does not know is no error; there is no offset then.

use std::collections::{BTreeMap, BTreeSet};

use bytestring::ByteString;
use ottla_common::{ErrorCode, Uuid};
use ottla_protocol::messages::describe_share_group_offsets_request::{
    DescribeShareGroupOffsetsRequestGroup, DescribeShareGroupOffsetsRequestTopic,
};
use ottla_protocol::messages::describe_share_group_offsets_response::{
    DescribeShareGroupOffsetsResponseGroup, DescribeShareGroupOffsetsResponsePartition,
    DescribeShareGroupOffsetsResponseTopic,
};
use ottla_protocol::messages::read_share_group_state_summary_response::PartitionResult;
use ottla_protocol::messages::{ReadShareGroupStateSummaryRequest, ReadShareGroupStateSummaryResponse};

use crate::group::modern::MemberAssignment;
use crate::group::share::{ShareGroupLookup, ShareGroupManager, read_summary_request};
use crate::share_state::{
    DEFAULT_LEADER_EPOCH, UNINITIALIZED_DELIVERY_COMPLETE_COUNT, UNINITIALIZED_START_OFFSET,
};

/// How much a group has before it is not known.
const UNINITIALIZED_LAG: i64 = -1;

/// A description of offsets under way.
#[derive(Debug, Clone, PartialEq)]
pub struct DescribedOffsets {
    group_id: ByteString,
    topic_names: BTreeMap<Uuid, ByteString>,
    /// Topics that the cluster does not have.
    unknown: Vec<DescribeShareGroupOffsetsResponseTopic>,
    /// To be sent to the share coordinator; nothing to ask leads straight to the end, with an empty
    /// summary.
    pub read: Option<ReadShareGroupStateSummaryRequest>,
}

impl ShareGroupManager<'_> {
    /// Begins to describe the offsets of the partitions that the request names, or of all that the group
    /// has begun with when it names none. To be asked of the committed state. Whether there is such a
    /// group does not matter: one that is not there has no offsets.
    pub fn describe_share_group_offsets(
        &self,
        group: ShareGroupLookup<'_>,
        request: &DescribeShareGroupOffsetsRequestGroup,
    ) -> DescribedOffsets {
        let mut described = DescribedOffsets {
            group_id: request.group_id.clone(),
            topic_names: BTreeMap::new(),
            unknown: Vec::new(),
            read: None,
        };
        let mut partitions = MemberAssignment::new();
        match &request.topics {
            Some(topics) => {
                for topic in topics {
                    let Some(known) = self.metadata.topic(&topic.topic_name) else {
                        described.unknown.push(unknown(topic));
                        continue;
                    };
                    partitions.entry(known.id).or_default().extend(&topic.partitions);
                    described.topic_names.insert(known.id, known.name);
                }
            }
            None => {
                let group = group.existing().ok();
                let initialized = group.and_then(|group| group.state_partitions());
                for (topic_id, topic) in initialized.into_iter().flat_map(|known| &known.initialized) {
                    let Some(known) = self.metadata.topic_by_id(*topic_id) else { continue };
                    partitions.insert(*topic_id, topic.partitions.clone());
                    described.topic_names.insert(*topic_id, known.name);
                }
            }
        }
        if !partitions.is_empty() {
            described.read = Some(read_summary_request(&request.group_id, &partitions));
        }
        described
    }
}

impl DescribedOffsets {
    /// The partitions whose ends must be known to tell how much the group has before it.
    pub fn partitions_to_list(
        &self,
        summary: &ReadShareGroupStateSummaryResponse,
    ) -> BTreeSet<(ByteString, i32)> {
        let mut partitions = BTreeSet::new();
        for topic in &summary.results {
            let Some(name) = self.topic_names.get(&topic.topic_id) else { continue };
            let with_lag = topic.partitions.iter().filter(|partition| has_lag(partition));
            partitions.extend(with_lag.map(|partition| (name.clone(), partition.partition)));
        }
        partitions
    }

    /// The answer, from the share coordinator's summary and the ends of the partitions.
    pub fn finish(
        self,
        summary: &ReadShareGroupStateSummaryResponse,
        ends: &BTreeMap<(ByteString, i32), Result<i64, ErrorCode>>,
    ) -> DescribeShareGroupOffsetsResponseGroup {
        let mut topics = Vec::with_capacity(summary.results.len() + self.unknown.len());
        for topic in &summary.results {
            let Some(name) = self.topic_names.get(&topic.topic_id) else { continue };
            let end = |partition: &PartitionResult| {
                ends.get(&(name.clone(), partition.partition)).copied().unwrap_or(Err(NO_END))
            };
            let partitions = topic.partitions.iter().map(|partition| described(partition, end(partition)));
            topics.push(DescribeShareGroupOffsetsResponseTopic {
                topic_name: name.clone(),
                topic_id: topic.topic_id,
                partitions: partitions.collect(),
                ..Default::default()
            });
        }
        topics.extend(self.unknown);
        DescribeShareGroupOffsetsResponseGroup { group_id: self.group_id, topics, ..Default::default() }
    }
}

/// What is told of a partition whose end nobody looked for.
const NO_END: ErrorCode = ErrorCode::UnknownServerError;

/// Whether it can be told how much is before the group.
fn has_lag(partition: &PartitionResult) -> bool {
    partition.error_code == ErrorCode::None.code()
        && partition.start_offset != UNINITIALIZED_START_OFFSET
        && partition.delivery_complete_count != UNINITIALIZED_DELIVERY_COMPLETE_COUNT
}

fn described(
    partition: &PartitionResult,
    end: Result<i64, ErrorCode>,
) -> DescribeShareGroupOffsetsResponsePartition {
    let known = DescribeShareGroupOffsetsResponsePartition {
        partition_index: partition.partition,
        start_offset: partition.start_offset,
        leader_epoch: partition.leader_epoch,
        lag: UNINITIALIZED_LAG,
        ..Default::default()
    };
    if partition.error_code != ErrorCode::None.code() {
        return DescribeShareGroupOffsetsResponsePartition {
            start_offset: UNINITIALIZED_START_OFFSET,
            leader_epoch: DEFAULT_LEADER_EPOCH,
            ..known
        };
    }
    if !has_lag(partition) {
        return known;
    }
    match end {
        Ok(end) => {
            let open = end.saturating_sub(partition.start_offset);
            let lag = open.saturating_sub(i64::from(partition.delivery_complete_count));
            DescribeShareGroupOffsetsResponsePartition { lag, ..known }
        }
        Err(error) => DescribeShareGroupOffsetsResponsePartition {
            partition_index: partition.partition,
            error_code: error.code(),
            error_message: Some(ByteString::from_static(error.name())),
            ..Default::default()
        },
    }
}

/// A topic that is not there has no offsets.
fn unknown(topic: &DescribeShareGroupOffsetsRequestTopic) -> DescribeShareGroupOffsetsResponseTopic {
    let partition = |partition: &i32| DescribeShareGroupOffsetsResponsePartition {
        partition_index: *partition,
        start_offset: UNINITIALIZED_START_OFFSET,
        ..Default::default()
    };
    DescribeShareGroupOffsetsResponseTopic {
        topic_name: topic.topic_name.clone(),
        topic_id: Uuid::ZERO,
        partitions: topic.partitions.iter().map(partition).collect(),
        ..Default::default()
    }
}

#[cfg(test)]
#[path = "share_group_describe_offsets_test.rs"]
mod tests;

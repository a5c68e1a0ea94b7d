//! Requests to the share coordinator, and what its answers mean.

use std::collections::BTreeMap;

use bytestring::ByteString;
use ottla_common::{ErrorCode, Uuid};
use ottla_protocol::messages::delete_share_group_state_request::{self as delete, DeleteStateData};
use ottla_protocol::messages::initialize_share_group_state_request::{
    self as initialize, InitializeStateData,
};
use ottla_protocol::messages::read_share_group_state_summary_request::{
    self as summary, ReadStateSummaryData,
};
use ottla_protocol::messages::{
    DeleteShareGroupStateRequest, DeleteShareGroupStateResponse, InitializeShareGroupStateRequest,
    InitializeShareGroupStateResponse, ReadShareGroupStateSummaryRequest,
};

use crate::group::modern::MemberAssignment;

/// A request to begin with these partitions at these offsets; -1 leaves the offset to the group's
/// `share.auto.offset.reset`.
pub(in crate::group) fn initialize_request(
    group_id: &ByteString,
    state_epoch: i32,
    topics: &BTreeMap<Uuid, BTreeMap<i32, i64>>,
) -> InitializeShareGroupStateRequest {
    let partition = |(partition, start_offset): (&i32, &i64)| initialize::PartitionData {
        partition: *partition,
        state_epoch,
        start_offset: *start_offset,
        ..Default::default()
    };
    let topic = |(topic_id, partitions): (&Uuid, &BTreeMap<i32, i64>)| InitializeStateData {
        topic_id: *topic_id,
        partitions: partitions.iter().map(partition).collect(),
        ..Default::default()
    };
    InitializeShareGroupStateRequest {
        group_id: group_id.clone(),
        topics: topics.iter().map(topic).collect(),
        ..Default::default()
    }
}

/// A request to forget these partitions.
pub(in crate::group) fn delete_request(
    group_id: &ByteString,
    topics: &MemberAssignment,
) -> DeleteShareGroupStateRequest {
    let partition = |partition: &i32| delete::PartitionData { partition: *partition, ..Default::default() };
    let topics = topics.iter().map(|(topic_id, partitions)| DeleteStateData {
        topic_id: *topic_id,
        partitions: partitions.iter().map(partition).collect(),
        ..Default::default()
    });
    DeleteShareGroupStateRequest {
        group_id: group_id.clone(),
        topics: topics.collect(),
        ..Default::default()
    }
}

/// A request to tell how far the group is.
pub(in crate::group) fn read_summary_request(
    group_id: &ByteString,
    topics: &MemberAssignment,
) -> ReadShareGroupStateSummaryRequest {
    let partition = |partition: &i32| summary::PartitionData { partition: *partition, ..Default::default() };
    let topics = topics.iter().map(|(topic_id, partitions)| ReadStateSummaryData {
        topic_id: *topic_id,
        partitions: partitions.iter().map(partition).collect(),
        ..Default::default()
    });
    ReadShareGroupStateSummaryRequest {
        group_id: group_id.clone(),
        topics: topics.collect(),
        ..Default::default()
    }
}

/// The partitions that an answer speaks of, and the first error in it.
pub(in crate::group) fn initialized_partitions(
    response: &InitializeShareGroupStateResponse,
) -> (MemberAssignment, ErrorCode) {
    let mut partitions = MemberAssignment::new();
    let mut first_error = ErrorCode::None;
    for topic in &response.results {
        let of_topic = partitions.entry(topic.topic_id).or_default();
        for result in &topic.partitions {
            of_topic.insert(result.partition);
            if first_error.is_none() {
                first_error = ErrorCode::from_code(result.error_code);
            }
        }
    }
    (partitions, first_error)
}

/// The first error of an answer to a request to forget partitions.
pub fn first_delete_error(response: &DeleteShareGroupStateResponse) -> ErrorCode {
    let results = response.results.iter().flat_map(|topic| &topic.partitions);
    let mut errors = results.map(|result| ErrorCode::from_code(result.error_code));
    errors.find(|error| !error.is_none()).unwrap_or(ErrorCode::None)
}

//! Requests that name many share-partitions, whose states live in different partitions of the topic.
//!
//! For each API: a function that takes a request apart, one that puts the answers together, and one
//! that words the answer for a share-partition whose coordinator could not be asked. A request that
//! lacks its group, its topics, or a topic's partitions is answered with an empty response, as by Kafka:
//! its parts are none.

use std::collections::BTreeMap;

use bytestring::ByteString;
use ottla_common::{ErrorCode, Uuid};
use ottla_protocol::messages::{
    DeleteShareGroupStateRequest, DeleteShareGroupStateResponse, InitializeShareGroupStateRequest,
    InitializeShareGroupStateResponse, ReadShareGroupStateRequest, ReadShareGroupStateResponse,
    ReadShareGroupStateSummaryRequest, ReadShareGroupStateSummaryResponse, WriteShareGroupStateRequest,
    WriteShareGroupStateResponse, delete_share_group_state_request, delete_share_group_state_response,
    initialize_share_group_state_request, initialize_share_group_state_response,
    read_share_group_state_request, read_share_group_state_response, read_share_group_state_summary_request,
    read_share_group_state_summary_response, write_share_group_state_request,
    write_share_group_state_response,
};

use super::SharePartitionKey;

macro_rules! share_state_api {
    (
        $name:literal,
        $parts:ident($request:ident::$Request:ident, $empty_topics:expr),
        $respond:ident($response:ident::$Response:ident, $Result:ident),
        $refuse:ident
    ) => {
        #[doc = concat!("The share-partitions of a ", $name, " request, each with what is asked of it.")]
        pub fn $parts(request: $Request) -> Vec<(SharePartitionKey, $request::PartitionData)> {
            let topics = request.topics.into_iter().map(|topic| (topic.topic_id, topic.partitions));
            split(&request.group_id, topics.collect(), $empty_topics, |data| data.partition)
        }

        #[doc = concat!("The response to a ", $name, " request from the results of its parts.")]
        pub fn $respond(results: Vec<(Uuid, $response::PartitionResult)>) -> $Response {
            let topic =
                |(topic_id, partitions)| $response::$Result { topic_id, partitions, ..Default::default() };
            $Response { results: by_topic(results).into_iter().map(topic).collect(), ..Default::default() }
        }

        #[doc = concat!("The result of a part of a ", $name, " request that could not be carried out.")]
        pub fn $refuse(partition: i32, error: ErrorCode, message: &str) -> $response::PartitionResult {
            $response::PartitionResult {
                partition,
                error_code: error.code(),
                error_message: Some(ByteString::from(message)),
                ..Default::default()
            }
        }
    };
}

share_state_api!(
    "InitializeShareGroupState",
    initialize_parts(
        initialize_share_group_state_request::InitializeShareGroupStateRequest,
        EmptyTopics::Skipped
    ),
    initialize_response(
        initialize_share_group_state_response::InitializeShareGroupStateResponse,
        InitializeStateResult
    ),
    initialize_refused
);
share_state_api!(
    "ReadShareGroupState",
    read_parts(read_share_group_state_request::ReadShareGroupStateRequest, EmptyTopics::Refused),
    read_response(read_share_group_state_response::ReadShareGroupStateResponse, ReadStateResult),
    read_refused
);
share_state_api!(
    "WriteShareGroupState",
    write_parts(write_share_group_state_request::WriteShareGroupStateRequest, EmptyTopics::Refused),
    write_response(write_share_group_state_response::WriteShareGroupStateResponse, WriteStateResult),
    write_refused
);
share_state_api!(
    "DeleteShareGroupState",
    delete_parts(delete_share_group_state_request::DeleteShareGroupStateRequest, EmptyTopics::Refused),
    delete_response(delete_share_group_state_response::DeleteShareGroupStateResponse, DeleteStateResult),
    delete_refused
);
share_state_api!(
    "ReadShareGroupStateSummary",
    read_summary_parts(
        read_share_group_state_summary_request::ReadShareGroupStateSummaryRequest,
        EmptyTopics::Refused
    ),
    read_summary_response(
        read_share_group_state_summary_response::ReadShareGroupStateSummaryResponse,
        ReadStateSummaryResult
    ),
    read_summary_refused
);

/// What a topic without partitions does to its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum EmptyTopics {
    Skipped,
    Refused,
}

fn split<P>(
    group_id: &ByteString,
    topics: Vec<(Uuid, Vec<P>)>,
    empty_topics: EmptyTopics,
    partition: impl Fn(&P) -> i32,
) -> Vec<(SharePartitionKey, P)> {
    let has_empty = topics.iter().any(|(_, partitions)| partitions.is_empty());
    if group_id.is_empty() || (has_empty && empty_topics == EmptyTopics::Refused) {
        return Vec::new();
    }
    let mut parts = Vec::new();
    for (topic_id, partitions) in topics {
        for data in partitions {
            parts.push((SharePartitionKey::new(group_id, topic_id, partition(&data)), data));
        }
    }
    parts
}

/// Groups results by topic, in the order in which the topics appear.
fn by_topic<R>(results: Vec<(Uuid, R)>) -> Vec<(Uuid, Vec<R>)> {
    let mut positions: BTreeMap<Uuid, usize> = BTreeMap::new();
    let mut topics: Vec<(Uuid, Vec<R>)> = Vec::new();
    for (topic_id, result) in results {
        let position = *positions.entry(topic_id).or_insert(topics.len());
        match topics.get_mut(position) {
            Some((_, partitions)) => partitions.push(result),
            None => topics.push((topic_id, vec![result])),
        }
    }
    topics
}

#[cfg(test)]
mod tests {
    use super::*;
    use write_share_group_state_request::{PartitionData, WriteStateData};

    fn topic(topic_id: u128, partitions: &[i32]) -> WriteStateData {
        let data = |partition: &i32| PartitionData { partition: *partition, ..Default::default() };
        WriteStateData {
            topic_id: Uuid::from_u128(topic_id),
            partitions: partitions.iter().map(data).collect(),
            ..Default::default()
        }
    }

    fn request(group_id: &str, topics: Vec<WriteStateData>) -> WriteShareGroupStateRequest {
        WriteShareGroupStateRequest { group_id: group_id.into(), topics, ..Default::default() }
    }

    #[test]
    fn parts_come_apart_and_together_again() {
        let parts = write_parts(request("g", vec![topic(7, &[1, 0]), topic(8, &[2])]));
        let keys: Vec<_> = parts.iter().map(|(key, data)| (key.topic_id.as_u128(), data.partition)).collect();
        assert_eq!(keys, vec![(7, 1), (7, 0), (8, 2)]);
        let refuse = |(key, _): &(SharePartitionKey, PartitionData)| {
            (key.topic_id, write_refused(key.partition, ErrorCode::NotCoordinator, "elsewhere"))
        };
        let response = write_response(parts.iter().map(refuse).collect());
        let partitions: Vec<_> = response.results.iter().map(|topic| topic.partitions.len()).collect();
        assert_eq!(partitions, vec![2, 1]);
        assert_eq!(response.results[0].partitions[0].error_code, ErrorCode::NotCoordinator.code());
    }

    #[test]
    fn requests_that_lack_something_have_no_parts() {
        assert!(write_parts(request("", vec![topic(7, &[1])])).is_empty());
        assert!(write_parts(request("g", vec![])).is_empty());
        assert!(write_parts(request("g", vec![topic(7, &[1]), topic(8, &[])])).is_empty());
        assert!(write_response(vec![]).results.is_empty());
    }
}

//! The five requests to share coordinators, as far as they are alike.

use std::collections::BTreeMap;
use std::fmt::Debug;

use bytestring::ByteString;
use ottla_common::{ErrorCode, Uuid};
use ottla_coordinator::share_state::requests;
use ottla_protocol::Request;
use ottla_protocol::messages::{
    delete_share_group_state_request, delete_share_group_state_response,
    initialize_share_group_state_request, initialize_share_group_state_response,
    read_share_group_state_request, read_share_group_state_response, read_share_group_state_summary_request,
    read_share_group_state_summary_response, write_share_group_state_request,
    write_share_group_state_response,
};

/// One of the requests: what is asked of each share-partition, and what is answered for it.
pub(super) trait StateApi: Debug + Send + Sync + 'static {
    /// The request.
    type Request: Request;
    /// What is asked of a share-partition.
    type Data: Clone + Debug + Send + Sync + 'static;
    /// What is answered for a share-partition.
    type Result: Clone + Debug + PartialEq + Send + Sync + 'static;

    /// A request for share-partitions of one group.
    fn request(group_id: ByteString, parts: Vec<(Uuid, Self::Data)>) -> Self::Request;

    /// The results of a response, with their topics.
    fn results(response: <Self::Request as Request>::Response) -> Vec<(Uuid, Self::Result)>;

    /// The partition that a result is about, and its error.
    fn outcome(result: &Self::Result) -> (i32, ErrorCode);

    /// What is answered for a share-partition whose coordinator could not be asked.
    fn refused(partition: i32, error: ErrorCode, message: &str) -> Self::Result;
}

macro_rules! state_api {
    (
        $(#[$doc:meta])* $name:ident,
        $request:ident::$Request:ident { $Topic:ident },
        $response:ident,
        $refuse:ident
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub(super) enum $name {}

        impl StateApi for $name {
            type Request = $request::$Request;
            type Data = $request::PartitionData;
            type Result = $response::PartitionResult;

            fn request(group_id: ByteString, parts: Vec<(Uuid, Self::Data)>) -> Self::Request {
                let topic = |(topic_id, partitions)| $request::$Topic {
                    topic_id,
                    partitions,
                    ..Default::default()
                };
                let topics = by_topic(parts).into_iter().map(topic).collect();
                $request::$Request { group_id, topics, ..Default::default() }
            }

            fn results(response: <Self::Request as Request>::Response) -> Vec<(Uuid, Self::Result)> {
                let mut results = Vec::new();
                for topic in response.results {
                    results.extend(topic.partitions.into_iter().map(|result| (topic.topic_id, result)));
                }
                results
            }

            fn outcome(result: &Self::Result) -> (i32, ErrorCode) {
                (result.partition, ErrorCode::from_code(result.error_code))
            }

            fn refused(partition: i32, error: ErrorCode, message: &str) -> Self::Result {
                requests::$refuse(partition, error, message)
            }
        }
    };
}

state_api!(
    /// InitializeShareGroupState
    InitializeState,
    initialize_share_group_state_request::InitializeShareGroupStateRequest { InitializeStateData },
    initialize_share_group_state_response,
    initialize_refused
);
state_api!(
    /// ReadShareGroupState
    ReadState,
    read_share_group_state_request::ReadShareGroupStateRequest { ReadStateData },
    read_share_group_state_response,
    read_refused
);
state_api!(
    /// WriteShareGroupState
    WriteState,
    write_share_group_state_request::WriteShareGroupStateRequest { WriteStateData },
    write_share_group_state_response,
    write_refused
);
state_api!(
    /// DeleteShareGroupState
    DeleteState,
    delete_share_group_state_request::DeleteShareGroupStateRequest { DeleteStateData },
    delete_share_group_state_response,
    delete_refused
);
state_api!(
    /// ReadShareGroupStateSummary
    ReadStateSummary,
    read_share_group_state_summary_request::ReadShareGroupStateSummaryRequest { ReadStateSummaryData },
    read_share_group_state_summary_response,
    read_summary_refused
);

fn by_topic<D>(parts: Vec<(Uuid, D)>) -> BTreeMap<Uuid, Vec<D>> {
    let mut topics: BTreeMap<Uuid, Vec<D>> = BTreeMap::new();
    for (topic_id, data) in parts {
        topics.entry(topic_id).or_default().push(data);
    }
    topics
}

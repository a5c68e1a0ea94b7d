//! What the active controller decides: CreateTopics (19), DeleteTopics (20), AlterConfigs (33),
//! CreatePartitions (37), IncrementalAlterConfigs (44), DescribeQuorum (55), UpdateFeatures (57).
//! The errors are the controller's.

use ottla_protocol::messages::*;

use crate::{BrokerContext, Call};

macro_rules! forward {
    ($($method:ident($request:ty) -> $response:ty;)*) => {
        $(
            /// Passes the request to the active controller.
            pub async fn $method(broker: &BrokerContext, call: &Call, request: $request) -> $response {
                broker.controller.$method(call, request).await
            }
        )*
    };
}

forward! {
    create_topics(CreateTopicsRequest) -> CreateTopicsResponse;
    delete_topics(DeleteTopicsRequest) -> DeleteTopicsResponse;
    create_partitions(CreatePartitionsRequest) -> CreatePartitionsResponse;
    incremental_alter_configs(IncrementalAlterConfigsRequest) -> IncrementalAlterConfigsResponse;
    alter_configs(AlterConfigsRequest) -> AlterConfigsResponse;
    describe_quorum(DescribeQuorumRequest) -> DescribeQuorumResponse;
    update_features(UpdateFeaturesRequest) -> UpdateFeaturesResponse;
}

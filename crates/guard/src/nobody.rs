//! Who stands where no kernel comes.

use ottla_apis::Call;
use ottla_apis::context::{
    BoxFuture, Controller, ProducerIdManager, ShareCoordinator, TransactionCoordinator,
};
use ottla_common::{ErrorCode, TopicPartition};
use ottla_protocol::messages::*;
use ottla_record::MemoryRecords;
use ottla_replica::share::{
    DeadLetterSink, DeadLetterTarget, Persister, PersisterError, ReadState, ShareGroupConfigs,
    ShareGroupSettings, SharePartitionKey, WriteState,
};

/// Answers with nothing.
#[derive(Debug)]
pub(crate) struct Nobody;

macro_rules! nobody {
    ($trait:ident: $($method:ident($request:ty) -> $response:ty;)*) => {
        impl $trait for Nobody {
            $(fn $method<'a>(&'a self, _: &'a Call, _: $request) -> BoxFuture<'a, $response> {
                Box::pin(async { <$response>::default() })
            })*
        }
    };
}

nobody! {
    Controller:
    create_topics(CreateTopicsRequest) -> CreateTopicsResponse;
    delete_topics(DeleteTopicsRequest) -> DeleteTopicsResponse;
    create_partitions(CreatePartitionsRequest) -> CreatePartitionsResponse;
    incremental_alter_configs(IncrementalAlterConfigsRequest) -> IncrementalAlterConfigsResponse;
    alter_configs(AlterConfigsRequest) -> AlterConfigsResponse;
    describe_quorum(DescribeQuorumRequest) -> DescribeQuorumResponse;
    update_features(UpdateFeaturesRequest) -> UpdateFeaturesResponse;
}

nobody! {
    TransactionCoordinator:
    init_producer_id(InitProducerIdRequest) -> InitProducerIdResponse;
    add_partitions_to_txn(AddPartitionsToTxnRequest) -> AddPartitionsToTxnResponse;
    add_offsets_to_txn(AddOffsetsToTxnRequest) -> AddOffsetsToTxnResponse;
    end_txn(EndTxnRequest) -> EndTxnResponse;
    list_transactions(ListTransactionsRequest) -> ListTransactionsResponse;
    describe_transactions(DescribeTransactionsRequest) -> DescribeTransactionsResponse;
}

nobody! {
    ShareCoordinator:
    initialize_state(InitializeShareGroupStateRequest) -> InitializeShareGroupStateResponse;
    read_state(ReadShareGroupStateRequest) -> ReadShareGroupStateResponse;
    write_state(WriteShareGroupStateRequest) -> WriteShareGroupStateResponse;
    delete_state(DeleteShareGroupStateRequest) -> DeleteShareGroupStateResponse;
    read_state_summary(ReadShareGroupStateSummaryRequest) -> ReadShareGroupStateSummaryResponse;
}

impl ProducerIdManager for Nobody {
    fn generate(&self) -> BoxFuture<'_, Result<i64, ErrorCode>> {
        Box::pin(async { Err(ErrorCode::CoordinatorNotAvailable) })
    }
}

impl Persister for Nobody {
    fn read_state<'a>(
        &'a self,
        _: &'a SharePartitionKey,
        _: i32,
    ) -> BoxFuture<'a, Result<ReadState, PersisterError>> {
        Box::pin(async { Err(PersisterError::Unknown) })
    }

    fn write_state<'a>(
        &'a self,
        _: &'a SharePartitionKey,
        _: WriteState,
    ) -> BoxFuture<'a, Result<(), PersisterError>> {
        Box::pin(async { Err(PersisterError::Unknown) })
    }
}

impl DeadLetterSink for Nobody {
    fn target(&self, _: &str) -> DeadLetterTarget {
        DeadLetterTarget {
            name: None,
            prefix: "dlq.".into(),
            num_partitions: None,
            enabled: false,
            auto_create: false,
            max_message_bytes: 0,
            copy_records: false,
        }
    }

    fn create_topic<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<(), ErrorCode>> {
        Box::pin(async { Err(ErrorCode::CoordinatorNotAvailable) })
    }

    fn produce<'a>(
        &'a self,
        _: &'a TopicPartition,
        _: MemoryRecords,
    ) -> BoxFuture<'a, Result<(), ErrorCode>> {
        Box::pin(async { Err(ErrorCode::CoordinatorNotAvailable) })
    }
}

impl ShareGroupConfigs for Nobody {
    fn settings(&self, _: &str) -> ShareGroupSettings {
        ShareGroupSettings::default()
    }
}

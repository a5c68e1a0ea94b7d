//! Transactions: the handlers' view of their coordinator, and the coordinator's view of the cluster.

use std::ops::Range;
use std::sync::Arc;

use ottla_apis::Call;
use ottla_apis::context::{BoxFuture, TransactionCoordinator};
use ottla_common::ErrorCode;
use ottla_coordinator::transaction::{MarkerLeader, add_offsets_error};
use ottla_protocol::messages::*;

use super::inter_broker::InterBrokerChannel;
use super::producer_ids::BlockProducerIds;
use crate::coordinator::GroupCoordinatorService;
use crate::coordinator::transaction::{MarkerTransport, ProducerIdBlocks, TransactionCoordinatorService};

/// Passes requests on to the coordinator's tasks.
#[derive(Debug)]
pub struct TransactionRequests {
    /// The coordinator of transactions.
    pub transactions: Arc<TransactionCoordinatorService>,
    /// The coordinator of groups, who knows where offsets go.
    pub groups: Arc<GroupCoordinatorService>,
}

impl TransactionCoordinator for TransactionRequests {
    fn init_producer_id<'a>(
        &'a self,
        call: &'a Call,
        request: InitProducerIdRequest,
    ) -> BoxFuture<'a, InitProducerIdResponse> {
        Box::pin(self.transactions.init_producer_id(call.version, request))
    }

    fn add_partitions_to_txn<'a>(
        &'a self,
        call: &'a Call,
        request: AddPartitionsToTxnRequest,
    ) -> BoxFuture<'a, AddPartitionsToTxnResponse> {
        Box::pin(self.transactions.add_partitions_to_txn(call.version, request))
    }

    fn add_offsets_to_txn<'a>(
        &'a self,
        call: &'a Call,
        request: AddOffsetsToTxnRequest,
    ) -> BoxFuture<'a, AddOffsetsToTxnResponse> {
        Box::pin(async move {
            match self.groups.runtime().partition_of(&request.group_id) {
                Ok(partition) => self.transactions.add_offsets_to_txn(call.version, request, partition).await,
                Err(error) => add_offsets_error(error),
            }
        })
    }

    fn end_txn<'a>(&'a self, call: &'a Call, request: EndTxnRequest) -> BoxFuture<'a, EndTxnResponse> {
        Box::pin(self.transactions.end_txn(call.version, request))
    }

    fn list_transactions<'a>(
        &'a self,
        _: &'a Call,
        request: ListTransactionsRequest,
    ) -> BoxFuture<'a, ListTransactionsResponse> {
        Box::pin(self.transactions.list_transactions(request))
    }

    fn describe_transactions<'a>(
        &'a self,
        _: &'a Call,
        request: DescribeTransactionsRequest,
    ) -> BoxFuture<'a, DescribeTransactionsResponse> {
        Box::pin(self.transactions.describe_transactions(request))
    }
}

/// Any version with markers will do.
const OLDEST_WRITE_TXN_MARKERS: i16 = 1;

impl MarkerTransport for InterBrokerChannel {
    fn leader(&self, topic: &str, partition: i32) -> MarkerLeader {
        match self.leader_of(topic, partition) {
            Some(id) => MarkerLeader::Broker(id),
            None if self.contains(topic, partition) => MarkerLeader::NotAvailable,
            // Before the first image nothing is known of any partition.
            None if self.metadata().image().offset() < 0 => MarkerLeader::NotAvailable,
            None => MarkerLeader::UnknownPartition,
        }
    }

    fn write_txn_markers(
        &self,
        broker_id: i32,
        request: WriteTxnMarkersRequest,
    ) -> BoxFuture<'_, Option<WriteTxnMarkersResponse>> {
        Box::pin(async move { self.send(broker_id, OLDEST_WRITE_TXN_MARKERS, &request).await.ok() })
    }
}

impl ProducerIdBlocks for BlockProducerIds {
    fn next_block(&self, length: i64) -> BoxFuture<'_, Result<Range<i64>, ErrorCode>> {
        Box::pin(self.generate_block(length))
    }
}

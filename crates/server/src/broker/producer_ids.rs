//! Producer ids from blocks that the controller hands out (KIP-730).

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use ottla_apis::context::{BoxFuture, ProducerIdManager};
use ottla_common::ErrorCode;
use ottla_protocol::messages::AllocateProducerIdsRequest;
use tokio::sync::Mutex;

use crate::controller::QuorumControllerHandle;

/// Gives ids out of one block and asks for the next when it is used up.
#[derive(Debug)]
pub struct BlockProducerIds {
    controller: QuorumControllerHandle,
    node_id: i32,
    broker_epoch: Arc<AtomicI64>,
    /// An async lock: whoever finds the block empty waits for the controller, and the others for him.
    block: Mutex<Range<i64>>,
}

impl BlockProducerIds {
    /// A manager without a block yet. `broker_epoch` is that of the registration.
    pub fn new(controller: QuorumControllerHandle, node_id: i32, broker_epoch: Arc<AtomicI64>) -> Self {
        Self { controller, node_id, broker_epoch, block: Mutex::new(0..0) }
    }

    /// Ids that follow each other, at most so many: for a coordinator that hands them out itself.
    pub async fn generate_block(&self, length: i64) -> Result<Range<i64>, ErrorCode> {
        let mut block = self.block.lock().await;
        if block.is_empty() {
            *block = self.next_block().await?;
        }
        let end = block.end.min(block.start.saturating_add(length));
        let taken = block.start..end;
        block.start = end;
        Ok(taken)
    }

    async fn next_block(&self) -> Result<Range<i64>, ErrorCode> {
        let request = AllocateProducerIdsRequest {
            broker_id: self.node_id,
            broker_epoch: self.broker_epoch.load(Ordering::Acquire),
            ..Default::default()
        };
        let response = self.controller.allocate_producer_ids(request).await;
        match response {
            Ok(r) if r.error_code == 0 => {
                Ok(r.producer_id_start..r.producer_id_start + i64::from(r.producer_id_len))
            }
            // The producer may try again; what went wrong inside the cluster is not its business.
            _ => Err(ErrorCode::CoordinatorLoadInProgress),
        }
    }
}

impl ProducerIdManager for BlockProducerIds {
    fn generate(&self) -> BoxFuture<'_, Result<i64, ErrorCode>> {
        Box::pin(async move {
            let mut block = self.block.lock().await;
            if block.is_empty() {
                *block = self.next_block().await?;
            }
            block.next().ok_or(ErrorCode::UnknownServerError)
        })
    }
}

//! Blocks of producer ids for the shards.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Weak};

use ottla_apis::context::BoxFuture;
use ottla_common::ErrorCode;
use ottla_coordinator::transaction::TransactionCoordinatorShard;
use tokio::sync::mpsc;
use tracing::warn;

use super::TransactionCoordinatorService;
use crate::coordinator::runtime::Source;

/// How many ids a shard gets at a time: those that it does not use are lost when it moves to another broker.
pub const BLOCK_LENGTH: i64 = 100;

/// Where producer ids come from that no other producer of the cluster has.
pub trait ProducerIdBlocks: fmt::Debug + Send + Sync {
    /// Ids that follow each other: at most so many, and at least one.
    fn next_block(&self, length: i64) -> BoxFuture<'_, Result<Range<i64>, ErrorCode>>;
}

/// Gets ids for the shards that want some, until there are no more shards.
pub(super) async fn serve_wishes(
    mut wishes: mpsc::UnboundedReceiver<Source>,
    blocks: Arc<dyn ProducerIdBlocks>,
    service: Weak<TransactionCoordinatorService>,
) {
    while let Some(source) = wishes.recv().await {
        // One that waits for the controller holds up nobody.
        tokio::spawn(grant(source, Arc::clone(&blocks), Weak::clone(&service)));
    }
}

/// Every wish is answered, also in vain: the shard would not ask again.
async fn grant(
    source: Source,
    blocks: Arc<dyn ProducerIdBlocks>,
    service: Weak<TransactionCoordinatorService>,
) {
    let block = blocks.next_block(BLOCK_LENGTH).await.unwrap_or_else(|error| {
        warn!(
            logger = "kafka.coordinator.transaction.TransactionCoordinator",
            "No producer ids for partition {} of the transactions' topic: {error}", source.partition
        );
        0..0
    });
    let Some(service) = service.upgrade() else { return };
    let supply = move |_, shard: &TransactionCoordinatorShard| shard.supply_producer_ids(block);
    // A shard that moved on, or is loaded again, wishes anew.
    let _ = service.runtime().tell(source.partition, supply).await;
}

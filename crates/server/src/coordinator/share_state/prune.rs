//! Keeping `__share_group_state` short: it is not compacted, so what nobody needs any more is deleted from its start.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::{Mutex, PoisonError};

use ottla_common::internal_topics::SHARE_GROUP_STATE_TOPIC;
use ottla_common::{ErrorCode, TopicPartition};
use ottla_replica::ReplicaManager;
use tracing::{debug, error};

use super::kind::ShareCoordinators;
use crate::coordinator::runtime::CoordinatorRuntime;

/// The logger's name, as Kafka's log lines have it.
const LOGGER: &str = "org.apache.kafka.coordinator.share.ShareCoordinatorService";

/// The logs of the topic's partitions, as far as records go from their start.
pub trait StateRecords: Debug + Send + Sync {
    /// Deletes what stands before an offset, if this broker leads the partition.
    fn delete_records(&self, partition: &TopicPartition, before: i64) -> Result<(), ErrorCode>;
}

impl StateRecords for ReplicaManager {
    fn delete_records(&self, partition: &TopicPartition, before: i64) -> Result<(), ErrorCode> {
        Self::delete_records(self, partition, before).map(|_log_start_offset| ())
    }
}

/// How far the partitions that are led here were cut.
#[derive(Debug, Default)]
pub(super) struct PrunedOffsets(Mutex<HashMap<i32, i64>>);

impl PrunedOffsets {
    fn keep_only(&self, led: &[i32]) {
        let mut offsets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        offsets.retain(|partition, _| led.contains(partition));
    }

    fn get(&self, partition: i32) -> Option<i64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&partition).copied()
    }

    fn set(&self, partition: i32, offset: i64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(partition, offset);
    }
}

/// Deletes what the committed state does not need, in every partition that is led here.
pub(super) async fn prune(
    runtime: &CoordinatorRuntime<ShareCoordinators>,
    records: &dyn StateRecords,
    pruned: &PrunedOffsets,
) {
    let led = runtime.led_partitions();
    // A partition that comes back has been in other hands.
    pruned.keep_only(&led);
    for partition in led {
        let redundant = runtime.read(partition, |committed, _| committed.last_redundant_offset()).await;
        match redundant {
            Ok(Some(offset)) if pruned.get(partition) != Some(offset) => {
                prune_partition(records, pruned, partition, offset);
            }
            Ok(_) => {}
            // It loads yet, or another broker leads it.
            Err(error) => debug!(target: LOGGER, "Not pruning partition {partition}: {error}"),
        }
    }
}

fn prune_partition(records: &dyn StateRecords, pruned: &PrunedOffsets, partition: i32, offset: i64) {
    let tp = TopicPartition::new(SHARE_GROUP_STATE_TOPIC, partition);
    match records.delete_records(&tp, offset) {
        Ok(()) => pruned.set(partition, offset),
        Err(error) => error!(target: LOGGER, "Cannot delete records of {tp} before offset {offset}: {error}"),
    }
}

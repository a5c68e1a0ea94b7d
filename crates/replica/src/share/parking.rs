use std::sync::Arc;

use tokio::time::Instant;

use super::fetch::Wanted;
use super::hosted::HostedSharePartition;
use crate::alarms::Alarms;
use crate::parked::Parked;
use crate::partition::Partition;
use crate::waiters::{Place, Wish};

/// A share fetch that waits: parked on its share-partitions from the begin, and on their logs from when it
/// knows where it would read. It leaves all of them when it is dropped.
///
/// A log counts for it what it brings; a share-partition that has news releases it at once.
#[derive(Debug)]
pub(super) struct Parking {
    parked: Arc<Parked>,
    shares: Vec<(Arc<HostedSharePartition>, u64)>,
    logs: Vec<(Arc<Partition>, Place)>,
}

impl Parking {
    /// Parks on all share-partitions. Only what is looked at afterwards is not missed.
    pub(super) fn new(min_bytes: i32, wanted: &[Wanted]) -> Self {
        let parked = Arc::new(Parked::new(i64::from(min_bytes.max(1))));
        let park = |wanted: &Wanted| {
            let place = wanted.hosted.lock().waiters.park(&parked);
            (Arc::clone(&wanted.hosted), place)
        };
        let shares = wanted.iter().map(park).collect();
        Self { parked, shares, logs: Vec::new() }
    }

    /// Its place on the share-partition of this index.
    pub(super) fn place(&self, index: usize) -> Option<u64> {
        self.shares.get(index).map(|(_, place)| *place)
    }

    /// Parks on a log too.
    pub(super) fn park_on_log(&mut self, partition: &Arc<Partition>, wish: Wish) {
        let place = partition.park(&self.parked, wish, None);
        self.logs.push((Arc::clone(partition), place));
    }

    /// Waits until there is something to look at, or the time is up.
    pub(super) async fn wait(self, alarms: &Alarms, deadline: Instant) {
        if !self.parked.has_enough() {
            let _alarm = alarms.set(deadline, &self.parked);
            self.parked.wait().await;
        }
    }
}

impl Drop for Parking {
    fn drop(&mut self) {
        self.logs.drain(..).for_each(|(partition, place)| partition.leave(&self.parked, place));
        self.shares.drain(..).for_each(|(hosted, place)| hosted.lock().waiters.leave(place));
    }
}

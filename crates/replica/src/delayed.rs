//! Requests that wait for what partitions will have: fetches for records, produces for other replicas.

use std::sync::Arc;
use std::time::Duration;

use ottla_common::{ErrorCode, TopicPartition};
use ottla_storage::LogOffsetMetadata;
use tokio::time::Instant;

use crate::ReplicaManager;
use crate::alarms::Alarms;
use crate::fetch::{FetchInfo, FetchParams, FetchPartitionData};
use crate::parked::Parked;
use crate::partition::Partition;
use crate::waiters::{Place, Wish};

type Found = Result<Arc<Partition>, ErrorCode>;

/// A parked request and its places on the lists of partitions, which it leaves when it is dropped: answered,
/// late, or because its client is gone.
struct Parking<'a> {
    parked: Arc<Parked>,
    places: Vec<(&'a Partition, Place)>,
}

impl<'a> Parking<'a> {
    fn new(needed: i64, partitions: usize) -> Self {
        Self { parked: Arc::new(Parked::new(needed)), places: Vec::with_capacity(partitions) }
    }

    fn park(&mut self, partition: &'a Partition, wish: Wish, current_leader_epoch: Option<i32>) {
        let place = partition.park(&self.parked, wish, current_leader_epoch);
        self.places.push((partition, place));
    }

    /// Waits until there is enough, or the time is up.
    async fn wait(self, alarms: &Alarms, deadline: Instant) {
        if !self.parked.has_enough() {
            let _alarm = alarms.set(deadline, &self.parked);
            self.parked.wait().await;
        }
    }
}

impl Drop for Parking<'_> {
    fn drop(&mut self) {
        self.places.drain(..).for_each(|(partition, place)| partition.leave(&self.parked, place));
    }
}

impl ReplicaManager {
    /// Reads from every partition, in order, waiting for `min_bytes` as long as the fetcher would.
    ///
    /// While it waits it is parked once on each partition, and looked at by nobody: appends count for it what
    /// they bring. It then reads once more, which for a partition without news is a glance at its offsets.
    pub async fn fetch_messages(&self, params: &FetchParams, infos: &[FetchInfo]) -> Vec<FetchPartitionData> {
        let partitions = self.partitions_of(infos.iter().map(|info| &info.tp));
        let may_wait = params.max_wait_ms > 0 && params.min_bytes > 0;
        let starts = match may_wait.then(|| ends_of_news(params, infos, &partitions)).flatten() {
            Some(starts) => starts,
            None => {
                let results = read_all(params, infos, &partitions);
                if !may_wait || is_enough(params, &results) {
                    return results;
                }
                results.iter().map(|result| result.start).collect()
            }
        };
        let deadline = after(params.max_wait_ms);
        let mut parking = Parking::new(i64::from(params.min_bytes), partitions.len());
        for ((info, partition), start) in infos.iter().zip(&partitions).zip(starts) {
            if let Ok(partition) = partition {
                let max_bytes = u32::try_from(info.max_bytes).unwrap_or(0);
                let wish = Wish::Bytes { start, isolation: params.isolation, max_bytes };
                parking.park(partition, wish, info.current_leader_epoch);
            }
        }
        parking.wait(&self.alarms, deadline).await;
        read_all(params, infos, &partitions)
    }

    /// Waits until each partition has committed up to its offset; answers a code for each.
    pub async fn wait_until_committed(
        &self,
        offsets: &[(TopicPartition, i64)],
        timeout_ms: i32,
    ) -> Vec<ErrorCode> {
        let partitions = self.partitions_of(offsets.iter().map(|(tp, _)| tp));
        let deadline = after(timeout_ms);
        let mut parking = Parking::new(offsets.len() as i64, offsets.len());
        for (partition, (_, last_offset)) in partitions.iter().zip(offsets) {
            match partition {
                Ok(partition) => {
                    parking.park(partition, Wish::Committed { last_offset: *last_offset }, None);
                }
                // There is nothing to wait for. Nobody waits yet who would have to be woken.
                Err(_) => _ = parking.parked.add(1),
            }
        }
        parking.wait(&self.alarms, deadline).await;
        let code = |(partition, (_, last_offset)): (&Found, &(TopicPartition, i64))| {
            let committed = partition.as_ref().map_err(|error| *error)?.is_committed(*last_offset)?;
            if committed { Ok(()) } else { Err(ErrorCode::RequestTimedOut) }
        };
        partitions.iter().zip(offsets).map(|pair| code(pair).err().unwrap_or(ErrorCode::None)).collect()
    }
}

fn after(ms: i32) -> Instant {
    Instant::now() + Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}

/// Where each partition would be read from on; `None` as soon as one may have an answer already.
fn ends_of_news(
    params: &FetchParams,
    infos: &[FetchInfo],
    partitions: &[Found],
) -> Option<Vec<LogOffsetMetadata>> {
    let end = |(info, partition): (&FetchInfo, &Found)| {
        partition.as_ref().ok()?.end_of_news(info, params.isolation)
    };
    infos.iter().zip(partitions).map(end).collect()
}

fn read_all(params: &FetchParams, infos: &[FetchInfo], partitions: &[Found]) -> Vec<FetchPartitionData> {
    let mut left = usize::try_from(params.max_bytes).unwrap_or(0);
    // The first partition that has anything delivers at least one batch, however large.
    let mut min_one_message = true;
    let read = |(info, partition): (&FetchInfo, &Found)| {
        let partition = match partition {
            Ok(partition) => partition,
            Err(error) => return FetchPartitionData::failed(*error),
        };
        let max_bytes = left.min(usize::try_from(info.max_bytes).unwrap_or(0));
        let data = partition.read(info, params.isolation, max_bytes, min_one_message);
        let size = data.records.size_in_bytes();
        min_one_message &= size == 0;
        left = left.saturating_sub(size);
        data
    };
    infos.iter().zip(partitions).map(read).collect()
}

fn is_enough(params: &FetchParams, results: &[FetchPartitionData]) -> bool {
    let bytes: usize = results.iter().map(|r| r.records.size_in_bytes()).sum();
    bytes >= usize::try_from(params.min_bytes).unwrap_or(0)
        || results.iter().any(FetchPartitionData::is_final)
}

#[cfg(test)]
#[path = "delayed_test.rs"]
mod tests;

//! One attempt of a share fetch to get records. Nothing in here waits.

use std::sync::Arc;

use ottla_common::{ErrorCode, Uuid};
use ottla_share::{AbortedTransaction, AcquireRequest, Fetched, acquired_slice, fetch_plan};
use ottla_storage::{FetchIsolation, ListOffsetsTimestamp};

use super::fetch::{Answer, ShareFetch, SharePartitionData, Wanted};
use super::hosted::FetchTurn;
use super::manager::{LOGGER, SharePartitionManager};
use super::parking::Parking;
use super::records::{fetched_batches, slice};
use crate::fetch::{FetchInfo, FetchPartitionData};
use crate::waiters::Wish;

/// The share-partitions whose fetch locks an attempt has, given back when this is dropped.
struct Turns<'a> {
    manager: &'a Arc<SharePartitionManager>,
    fetch_id: Uuid,
    taken: Vec<Turn<'a>>,
}

/// A share-partition whose fetch lock an attempt has.
#[derive(Clone, Copy)]
struct Turn<'a> {
    wanted: &'a Wanted,
    fetch_offset: i64,
}

/// What was read for a share-partition.
struct PartitionRead<'a> {
    turn: Turn<'a>,
    max_bytes: i32,
    data: FetchPartitionData,
}

impl Drop for Turns<'_> {
    fn drop(&mut self) {
        for turn in &self.taken {
            self.manager.with(&turn.wanted.hosted, |state| state.end_turn(self.fetch_id));
        }
    }
}

impl SharePartitionManager {
    /// Acquires what there is, if that is enough, or if the request has to be answered now in any case.
    /// Otherwise a request that is parked waits for more of what was read.
    pub(super) fn try_fetch(
        self: &Arc<Self>,
        fetch: &ShareFetch,
        wanted: &[Wanted],
        mut parking: Option<&mut Parking>,
        now_or_never: bool,
    ) -> Option<Vec<Answer>> {
        let turns = self.take_turns(wanted, parking.as_deref());
        if turns.taken.is_empty() {
            return None;
        }
        let read_committed = self.settings(&fetch.group_id).read_committed;
        let isolation = match read_committed {
            true => FetchIsolation::TxnCommitted,
            false => FetchIsolation::HighWatermark,
        };
        let reads = read_all(fetch, &turns, isolation);
        if now_or_never || is_enough(fetch.min_bytes, &reads, isolation) {
            return Some(self.acquire_all(fetch, read_committed, reads));
        }
        if let Some(parking) = parking.as_mut() {
            for read in &reads {
                parking.park_on_log(&read.turn.wanted.hosted.partition, read.wish(isolation));
            }
        }
        None
    }

    fn take_turns<'a>(self: &'a Arc<Self>, wanted: &'a [Wanted], parking: Option<&Parking>) -> Turns<'a> {
        let fetch_id = self.next_fetch_id();
        let mut turns = Turns { manager: self, fetch_id, taken: Vec::with_capacity(wanted.len()) };
        for (index, wanted) in wanted.iter().enumerate() {
            let place = parking.and_then(|parking| parking.place(index));
            let turn = self.with(&wanted.hosted, |state| state.take_turn(fetch_id, place));
            if let FetchTurn::From(fetch_offset) = turn {
                turns.taken.push(Turn { wanted, fetch_offset });
            }
        }
        turns
    }

    fn acquire_all(
        self: &Arc<Self>,
        fetch: &ShareFetch,
        read_committed: bool,
        reads: Vec<PartitionRead<'_>>,
    ) -> Vec<Answer> {
        let mut remaining = i64::from(fetch.max_records);
        let acquire = |read: PartitionRead<'_>| {
            let id = read.turn.wanted.id.clone();
            let data = match read.data.error {
                ErrorCode::None => self.acquire(fetch, read_committed, &mut remaining, read),
                ErrorCode::OffsetOutOfRange => self.catch_up_with_log_start(read.turn),
                error => self.read_failed(read.turn, error),
            };
            (id, data)
        };
        reads.into_iter().map(acquire).collect()
    }

    fn acquire(
        self: &Arc<Self>,
        fetch: &ShareFetch,
        read_committed: bool,
        remaining: &mut i64,
        read: PartitionRead<'_>,
    ) -> SharePartitionData {
        let PartitionRead { turn, data, .. } = read;
        let hosted = &turn.wanted.hosted;
        let batches = match fetched_batches(&data.records) {
            Ok(batches) => batches,
            Err(error) => {
                let tp = hosted.topic_partition();
                tracing::error!(
                    logger = LOGGER,
                    "The records of {tp} from offset {} on cannot be read: {error}",
                    turn.fetch_offset
                );
                return SharePartitionData::failed(error.code());
            }
        };
        let aborted: Vec<AbortedTransaction> = data
            .aborted_transactions
            .into_iter()
            .flatten()
            .map(|(producer_id, first_offset)| AbortedTransaction { producer_id, first_offset })
            .collect();
        let request = AcquireRequest {
            member_id: &fetch.member_id,
            mode: fetch.acquire_mode,
            batch_size: fetch.batch_size,
            max_fetch_records: i32::try_from(*remaining).unwrap_or(0),
            fetch_offset: turn.fetch_offset,
            read_committed,
        };
        let fetched = Fetched { batches: &batches, aborted_transactions: &aborted };
        let now_ms = self.now_ms();
        let acquired = self.with(hosted, |state| state.kernel.acquire(now_ms, &request, &fetched));
        *remaining -= acquired.count;
        if acquired.records.is_empty() {
            return SharePartitionData::empty();
        }
        let range = acquired_slice(&batches, &acquired.records);
        let records = Some(slice(data.records, range));
        SharePartitionData { records, acquired: acquired.records, ..SharePartitionData::empty() }
    }

    /// The log was cut above the offset to fetch from. The client learns nothing of it and fetches again.
    fn catch_up_with_log_start(self: &Arc<Self>, turn: Turn<'_>) -> SharePartitionData {
        let hosted = &turn.wanted.hosted;
        let (earliest, isolation) = (ListOffsetsTimestamp::EARLIEST, FetchIsolation::HighWatermark);
        let found = hosted.partition.fetch_offset(earliest, Some(hosted.leader_epoch), isolation);
        match found.and_then(|found| found.ok_or(ErrorCode::OffsetNotAvailable)) {
            Ok(found) => {
                self.with(hosted, |state| state.kernel.update_log_start_offset(found.offset));
                SharePartitionData::empty()
            }
            Err(error) => self.read_failed(turn, error),
        }
    }

    /// The partition is led otherwise, or its disk failed. In the first case the share-partition is of no use
    /// any more, even if this broker leads again: another leader may have handed out its records.
    fn read_failed(self: &Arc<Self>, turn: Turn<'_>, error: ErrorCode) -> SharePartitionData {
        let is_led_otherwise = matches!(
            error,
            ErrorCode::NotLeaderOrFollower
                | ErrorCode::FencedLeaderEpoch
                | ErrorCode::UnknownTopicOrPartition
        );
        if is_led_otherwise {
            self.fence(&turn.wanted.hosted);
        }
        SharePartitionData::failed(error)
    }
}

fn read_all<'a>(fetch: &ShareFetch, turns: &Turns<'a>, isolation: FetchIsolation) -> Vec<PartitionRead<'a>> {
    let count = turns.taken.len();
    let shares = fetch_plan::partition_max_bytes(fetch.max_bytes, count, count, scattered(turns.fetch_id));
    let mut left = usize::try_from(fetch.max_bytes).unwrap_or(0);
    // The first partition that has anything delivers at least one batch, however large.
    let mut min_one_message = true;
    let read = |(turn, max_bytes): (&Turn<'a>, i32)| {
        let hosted = &turn.wanted.hosted;
        let info = FetchInfo {
            tp: hosted.topic_partition().clone(),
            topic_id: hosted.topic_id(),
            fetch_offset: turn.fetch_offset,
            max_bytes,
            current_leader_epoch: None,
            last_fetched_epoch: None,
        };
        let limit = left.min(usize::try_from(max_bytes).unwrap_or(0));
        let data = hosted.partition.read(&info, isolation, limit, min_one_message);
        let size = data.records.size_in_bytes();
        min_one_message &= size == 0;
        left = left.saturating_sub(size);
        PartitionRead { turn: *turn, max_bytes, data }
    };
    turns.taken.iter().zip(shares).map(read).collect()
}

/// Whether there is enough to answer. An error is an answer too.
///
/// It counts as the waiters of a log do, or a fetch could be woken for what it then does not find enough.
fn is_enough(min_bytes: i32, reads: &[PartitionRead<'_>], isolation: FetchIsolation) -> bool {
    let mut bytes = 0;
    for read in reads {
        match read.available(isolation) {
            Some(available) => bytes += available,
            None => return true,
        }
    }
    bytes >= i64::from(min_bytes)
}

impl PartitionRead<'_> {
    /// Bytes to be had of this partition; `None` if the request must be answered, whatever others have: after
    /// an error, and if they are not to be counted because they begin in an older segment.
    fn available(&self, isolation: FetchIsolation) -> Option<i64> {
        if !self.data.error.is_none() {
            return None;
        }
        let bound = match isolation {
            FetchIsolation::TxnCommitted => self.data.last_stable_offset,
            FetchIsolation::HighWatermark | FetchIsolation::LogEnd => self.data.high_watermark,
        };
        if bound <= self.data.start.message_offset {
            return Some(0);
        }
        let at = self.turn.wanted.hosted.partition.log().known_offsets();
        let bytes = at.upper_bound(isolation).position_diff(&self.data.start)?;
        Some(bytes.clamp(0, i64::from(self.max_bytes.max(0))))
    }

    /// What a fetch that found too little waits for.
    fn wish(&self, isolation: FetchIsolation) -> Wish {
        let max_bytes = u32::try_from(self.max_bytes).unwrap_or(0);
        Wish::Bytes { start: self.data.start, isolation, max_bytes }
    }
}

/// A number that says little of the one it is made from: it only decides which partition gets the bytes that
/// are left over.
fn scattered(fetch_id: Uuid) -> u64 {
    let low = (fetch_id.as_u128() & u128::from(u64::MAX)) as u64;
    let mixed = low.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ (mixed >> 32)
}

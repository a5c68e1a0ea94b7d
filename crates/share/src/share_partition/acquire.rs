use super::{SharePartition, SharePartitionState};
use crate::MemberId;
use crate::fetched::{Fetched, FetchedBatch, aborted_ranges, end_of_batch_with};
use crate::in_flight::{AcquisitionLock, DeliveryLimits, InFlightBatch, InFlightState};
use crate::record_state::RecordState;

/// How many records a fetch may get (KIP-1206).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ShareAcquireMode {
    /// Whole batches of the log, as soon as they have a record within the limit.
    #[default]
    BatchOptimized,
    /// Not one record more than the limit.
    RecordLimit,
}

impl ShareAcquireMode {
    /// The mode of this number in ShareFetch.
    pub const fn from_id(id: i8) -> Option<Self> {
        match id {
            0 => Some(Self::BatchOptimized),
            1 => Some(Self::RecordLimit),
            _ => None,
        }
    }
}

/// What a fetch wants of one share-partition.
#[derive(Debug, Clone, Copy)]
pub struct AcquireRequest<'a> {
    /// Who fetches.
    pub member_id: &'a MemberId,
    /// How the limit is meant.
    pub mode: ShareAcquireMode,
    /// The most records in one range of [`ShareAcquiredRecords`], but for whole batches of the log.
    pub batch_size: i32,
    /// The most records, less what the same request got from other partitions.
    pub max_fetch_records: i32,
    /// The offset that was fetched from.
    pub fetch_offset: i64,
    /// Whether records of aborted transactions are left out (`share.isolation.level`).
    pub read_committed: bool,
}

/// A range of records that were handed to a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AcquiredRecords {
    /// The first.
    pub first_offset: i64,
    /// The last.
    pub last_offset: i64,
    /// How often they were handed out, this time included.
    pub delivery_count: i16,
}

impl AcquiredRecords {
    fn continues_with(&self, next: &Self) -> bool {
        self.last_offset + 1 == next.first_offset && self.delivery_count == next.delivery_count
    }
}

/// The records that a fetch got.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ShareAcquiredRecords {
    /// In order.
    pub records: Vec<AcquiredRecords>,
    /// How many offsets that are.
    pub count: i64,
}

impl ShareAcquiredRecords {
    fn push(&mut self, first_offset: i64, last_offset: i64, delivery_count: i16) {
        self.records.push(AcquiredRecords { first_offset, last_offset, delivery_count });
        self.count += last_offset - first_offset + 1;
    }

    /// The same without these ranges, which are in order.
    fn without(&self, ranges: &[(i64, i64)]) -> Self {
        let mut rest = Self::default();
        for acquired in &self.records {
            let mut from = acquired.first_offset;
            for (first, last) in ranges {
                if *last < from || *first > acquired.last_offset {
                    continue;
                }
                if *first > from {
                    rest.push(from, first - 1, acquired.delivery_count);
                }
                from = from.max(last.saturating_add(1));
            }
            if from <= acquired.last_offset {
                rest.push(from, acquired.last_offset, acquired.delivery_count);
            }
        }
        rest
    }
}

/// Offsets that may be acquired, and how many of them.
#[derive(Debug, Clone, Copy)]
struct Window {
    first: i64,
    last: i64,
    max_records: i64,
}

/// One call of [`SharePartition::acquire`].
struct Acquisition<'a> {
    request: &'a AcquireRequest<'a>,
    batches: &'a [FetchedBatch],
    lock: AcquisitionLock,
    acquired: ShareAcquiredRecords,
}

impl SharePartition {
    /// Hands fetched records to a member, for as long as its lock lasts. Calls for it are made by the holder
    /// of the fetch lock.
    ///
    /// New records come in whole batches of the log. Between batches that were fetched together there may
    /// be offsets without a record, because of compaction or of transaction markers; the member gets them
    /// too and acknowledges them as gaps.
    pub fn acquire(
        &mut self,
        now_ms: i64,
        request: &AcquireRequest<'_>,
        fetched: &Fetched<'_>,
    ) -> ShareAcquiredRecords {
        let nothing = ShareAcquiredRecords::default();
        let (Some(first), Some(last)) = (fetched.batches.first(), fetched.batches.last()) else {
            return nothing;
        };
        if self.state != SharePartitionState::Active || request.max_fetch_records <= 0 {
            return nothing;
        }
        self.archive_stale(request.fetch_offset, first.base_offset);
        let Some(window) = self.window(request, first.base_offset, last.last_offset) else { return nothing };
        let deadline_ms = self.lock_deadline(now_ms);
        let lock = AcquisitionLock { member_id: request.member_id.clone(), deadline_ms };
        let mut acquisition = Acquisition { request, batches: fetched.batches, lock, acquired: nothing };
        self.acquire_window(window, &mut acquisition);
        match request.read_committed {
            true => self.leave_out_aborted(fetched, acquisition.acquired),
            false => acquisition.acquired,
        }
    }

    /// What may be acquired of the fetched offsets, if anything.
    fn window(&self, request: &AcquireRequest<'_>, base_offset: i64, last_offset: i64) -> Option<Window> {
        let first = base_offset.max(self.start_offset);
        let wanted = i64::from(request.max_fetch_records);
        let room = i64::from(self.config.partition_max_record_locks) - self.num_in_flight_records();
        let window = if room > 0 {
            Window { first, last: last_offset, max_records: wanted.min(room) }
        } else {
            // There is no room for more in flight, but what is in flight already may be handed out again.
            let again = self.end_offset.saturating_sub(request.fetch_offset).saturating_add(1);
            Window { first, last: last_offset.min(self.end_offset), max_records: wanted.min(again) }
        };
        (window.first <= window.last && window.max_records > 0).then_some(window)
    }

    fn acquire_window(&mut self, window: Window, acquisition: &mut Acquisition<'_>) {
        let mut next_new = window.first;
        for key in self.overlapping(window.first, window.last) {
            let Some(batch) = self.cached.get(&key) else { continue };
            let remaining = window.max_records - acquisition.acquired.count;
            if remaining <= 0 {
                return;
            }
            next_new = batch.last_offset().saturating_add(1);
            let part = Window { max_records: remaining, ..window };
            if !batch.is_fetched() {
                self.acquire_unfetched(key, part, acquisition);
                continue;
            }
            let throttled = batch.is_throttled(window.first, window.last, self.throttle_from());
            if throttled && acquisition.acquired.count > 0 {
                // What may be harmful does not come with what came so far.
                return;
            }
            let before = acquisition.acquired.count;
            self.acquire_again(key, part, acquisition);
            if throttled && acquisition.acquired.count > before {
                return;
            }
        }
        let remaining = window.max_records - acquisition.acquired.count;
        if remaining > 0 && next_new <= window.last {
            let rest = Window { first: next_new, last: window.last, max_records: remaining };
            self.acquire_new(rest, acquisition);
        }
    }

    /// Hands out what was handed out before and is available again.
    fn acquire_again(&mut self, key: i64, window: Window, acquisition: &mut Acquisition<'_>) {
        let limits = DeliveryLimits {
            delivery_count_limit: i16::try_from(self.config.delivery_count_limit).unwrap_or(i16::MAX),
            throttle_from: self.throttle_from(),
            record_limit: match acquisition.request.mode {
                ShareAcquireMode::RecordLimit => Some(window.max_records),
                ShareAcquireMode::BatchOptimized => None,
            },
        };
        let Some(batch) = self.cached.get_mut(&key) else { return };
        let mut open: Option<AcquiredRecords> = None;
        for (first_offset, last_offset) in batch.choose(window.first, window.last, &limits) {
            for run in batch.isolate(first_offset, last_offset) {
                run.state.acquire(acquisition.lock.clone());
                let delivery_count = run.state.delivery_count;
                let next = AcquiredRecords { first_offset, last_offset, delivery_count };
                open = match open {
                    Some(open) if open.continues_with(&next) => Some(AcquiredRecords { last_offset, ..open }),
                    done => {
                        acquisition.close(done);
                        Some(next)
                    }
                };
            }
        }
        acquisition.close(open);
        batch.join_runs();
    }

    /// Hands out records that the last leader had read, in the measure of new ones. The rest waits.
    fn acquire_unfetched(&mut self, key: i64, window: Window, acquisition: &mut Acquisition<'_>) {
        let Some(mut batch) = self.cached.remove(&key) else { return };
        let available = batch
            .overlapping(window.first, window.last)
            .find(|run| run.state.is_available())
            .map(|run| (run.first_offset.max(window.first), run.last_offset.min(window.last)));
        let Some((first, last)) = available else {
            self.cached.insert(key, batch);
            return;
        };
        let rest = batch.split_off(first);
        if key < first {
            self.cached.insert(key, batch);
        }
        let acquired_last = self.acquire_new(Window { first, last, ..window }, acquisition);
        let behind = acquired_last.saturating_add(1);
        if let Some(rest) = rest.and_then(|mut rest| rest.split_off(behind)) {
            self.cached.insert(behind, rest);
            self.may_have_available = true;
        }
    }

    /// Hands out what was not in flight yet; gives the last offset that is now.
    fn acquire_new(&mut self, window: Window, acquisition: &mut Acquisition<'_>) -> i64 {
        let Window { first, last, max_records } = window;
        let limit = first.saturating_add(max_records - 1);
        let last = match limit < last {
            true => end_of_batch_with(acquisition.batches, limit).min(last),
            false => last,
        };
        match acquisition.request.mode {
            ShareAcquireMode::RecordLimit => self.insert_limited(first, last, limit, acquisition),
            ShareAcquireMode::BatchOptimized => {
                for (first, last) in acquisition.in_batch_size(first, last) {
                    let state = InFlightState::acquired(acquisition.lock.clone(), 1);
                    self.cached.insert(first, InFlightBatch::new(first, last, state));
                    acquisition.acquired.push(first, last, 1);
                }
            }
        }
        if self.cached.first_key_value().is_some_and(|(key, _)| *key == first) {
            self.move_start_offset(first);
        }
        self.end_offset = self.end_offset.max(last);
        last
    }

    /// Takes whole batches of the log into flight, but hands out records up to the limit only.
    fn insert_limited(&mut self, first: i64, last: i64, limit: i64, acquisition: &mut Acquisition<'_>) {
        let state = InFlightState::acquired(acquisition.lock.clone(), 1);
        let mut batch = InFlightBatch::new(first, last, state);
        if limit < last {
            for run in batch.isolate(limit.saturating_add(1), last) {
                run.state = InFlightState::settled(RecordState::Available, 0);
            }
            self.may_have_available = true;
        }
        self.cached.insert(first, batch);
        acquisition.acquired.push(first, last.min(limit), 1);
    }

    /// Archives what was just acquired of aborted transactions.
    fn leave_out_aborted(
        &mut self,
        fetched: &Fetched<'_>,
        acquired: ShareAcquiredRecords,
    ) -> ShareAcquiredRecords {
        let aborted = aborted_ranges(fetched);
        let mut archived = false;
        for (first, last) in &aborted {
            archived |= self.archive_acquired(*first, *last);
        }
        if archived {
            self.advance_start_offset();
        }
        acquired.without(&aborted)
    }

    /// From which delivery count on records come in portions: half of the allowed, and at least 2.
    fn throttle_from(&self) -> i16 {
        let half = (self.config.delivery_count_limit.saturating_add(1) / 2).max(2);
        i16::try_from(half).unwrap_or(i16::MAX)
    }
}

impl Acquisition<'_> {
    fn close(&mut self, open: Option<AcquiredRecords>) {
        if let Some(AcquiredRecords { first_offset, last_offset, delivery_count }) = open {
            self.acquired.push(first_offset, last_offset, delivery_count);
        }
    }

    /// Cuts a range where batches of the log begin, so that no piece is much larger than the batch size.
    fn in_batch_size(&self, first: i64, last: i64) -> Vec<(i64, i64)> {
        let batch_size = i64::from(self.request.batch_size.max(1));
        let mut pieces = Vec::new();
        let mut from = first;
        for base_offset in self.batches.iter().map(|batch| batch.base_offset) {
            if base_offset > last {
                break;
            }
            if base_offset.saturating_sub(from) >= batch_size {
                pieces.push((from, base_offset - 1));
                from = base_offset;
            }
        }
        pieces.push((from, last));
        pieces
    }
}

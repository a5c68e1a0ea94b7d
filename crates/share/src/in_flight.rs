use crate::MemberId;
use crate::effect::EffectToken;
use crate::record_state::RecordState;

/// How a record in flight stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct InFlightState {
    pub(crate) state: RecordState,
    /// How often it was handed out.
    pub(crate) delivery_count: i16,
    /// Who holds it, and until when.
    pub(crate) lock: Option<AcquisitionLock>,
    /// The write that this state waits for. Should it fail, the record is acquired as before.
    pub(crate) transition: Option<EffectToken>,
}

/// A member's hold on records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AcquisitionLock {
    pub(crate) member_id: MemberId,
    pub(crate) deadline_ms: i64,
}

impl InFlightState {
    /// A record that nobody holds.
    pub(crate) fn settled(state: RecordState, delivery_count: i16) -> Self {
        assert!(state != RecordState::Acquired, "SHARE-ACQUIRED-HAS-HOLDER");
        Self { state, delivery_count, lock: None, transition: None }
    }

    /// A record with a member.
    pub(crate) fn acquired(lock: AcquisitionLock, delivery_count: i16) -> Self {
        Self { state: RecordState::Acquired, delivery_count, lock: Some(lock), transition: None }
    }

    /// Whether it may be handed out.
    pub(crate) fn is_available(&self) -> bool {
        self.state == RecordState::Available && self.transition.is_none()
    }

    /// Whether it is done for good.
    pub(crate) fn is_settled(&self) -> bool {
        self.state.is_terminal() && self.transition.is_none()
    }

    /// Who holds it. While its acknowledgement is being written, nobody may touch it.
    pub(crate) fn holder(&self) -> Option<&AcquisitionLock> {
        self.lock.as_ref().filter(|_| self.state == RecordState::Acquired)
    }

    /// Hands it to a member.
    pub(crate) fn acquire(&mut self, lock: AcquisitionLock) {
        self.move_to(RecordState::Acquired);
        self.delivery_count = self.delivery_count.saturating_add(1);
        self.lock = Some(lock);
    }

    /// Puts it into a state that nobody holds it in, at once.
    pub(crate) fn settle(&mut self, next: RecordState) {
        self.move_to(next);
        self.lock = None;
        self.transition = None;
    }

    /// Puts it into a state that counts once a write succeeds. The lock stays: it may be needed again.
    pub(crate) fn begin_transition(&mut self, next: RecordState, token: EffectToken) {
        assert!(self.transition.is_none(), "SHARE-ONE-TRANSITION");
        self.move_to(next);
        self.transition = Some(token);
    }

    /// The write succeeded.
    pub(crate) fn commit(&mut self) {
        self.transition = None;
        self.lock = None;
    }

    /// The write failed.
    pub(crate) fn roll_back(&mut self) {
        assert!(self.lock.is_some(), "SHARE-ACQUIRED-HAS-HOLDER");
        self.transition = None;
        self.state = RecordState::Acquired;
    }

    fn move_to(&mut self, next: RecordState) {
        assert!(self.state.may_become(next), "SHARE-RECORD-MOVES: {:?} to {next:?}", self.state);
        self.state = next;
    }
}

/// Records in a row that stand alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) first_offset: i64,
    pub(crate) last_offset: i64,
    pub(crate) state: InFlightState,
}

impl Run {
    fn overlaps(&self, first: i64, last: i64) -> bool {
        self.first_offset <= last && self.last_offset >= first
    }

    /// How many records.
    pub(crate) fn len(&self) -> i64 {
        self.last_offset - self.first_offset + 1
    }
}

/// Records that were acquired together, usually whole batches of the log.
///
/// They stand alike at first. What happens to some of them splits the batch into runs, and runs that
/// stand alike again become one, so memory goes with the differences and not with the records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct InFlightBatch {
    /// In order, without a hole between them.
    runs: Vec<Run>,
    /// How many records it had when it came. Delivery in portions goes by that.
    original_len: i64,
    /// False for records that the last leader had read and never settled: what became of them nobody knows,
    /// nor which of them are still in the log.
    fetched: bool,
}

/// What bounds the delivery of a batch that was handed out before.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DeliveryLimits {
    /// `share.delivery.count.limit`.
    pub(crate) delivery_count_limit: i16,
    /// From this count on records come in ever smaller portions.
    pub(crate) throttle_from: i16,
    /// The most records, if a limit is to be kept to the letter.
    pub(crate) record_limit: Option<i64>,
}

impl InFlightBatch {
    /// Records that were read from the log.
    pub(crate) fn new(first_offset: i64, last_offset: i64, state: InFlightState) -> Self {
        assert!(first_offset <= last_offset, "SHARE-BATCH-NOT-EMPTY: {first_offset}..={last_offset}");
        let original_len = last_offset - first_offset + 1;
        Self { runs: vec![Run { first_offset, last_offset, state }], original_len, fetched: true }
    }

    /// Offsets of which is only known that nobody settled them.
    pub(crate) fn unfetched(first_offset: i64, last_offset: i64) -> Self {
        let state = InFlightState::settled(RecordState::Available, 0);
        Self { fetched: false, ..Self::new(first_offset, last_offset, state) }
    }

    pub(crate) fn is_fetched(&self) -> bool {
        self.fetched
    }

    #[cfg(test)]
    pub(crate) fn runs(&self) -> &[Run] {
        &self.runs
    }

    pub(crate) fn runs_mut(&mut self) -> &mut [Run] {
        &mut self.runs
    }

    #[cfg(test)]
    pub(crate) fn first_offset(&self) -> i64 {
        self.runs.first().map_or(0, |run| run.first_offset)
    }

    pub(crate) fn last_offset(&self) -> i64 {
        self.runs.last().map_or(-1, |run| run.last_offset)
    }

    /// The runs that have offsets of this range.
    pub(crate) fn overlapping(&self, first: i64, last: i64) -> impl Iterator<Item = &Run> {
        self.runs.iter().filter(move |run| run.overlaps(first, last))
    }

    /// Splits runs so that none reaches over an end of the range, and gives those within it.
    pub(crate) fn isolate(&mut self, first: i64, last: i64) -> &mut [Run] {
        self.split_before(first);
        self.split_before(last.saturating_add(1));
        let from = self.runs.partition_point(|run| run.last_offset < first);
        let to = self.runs.partition_point(|run| run.first_offset <= last);
        self.runs.get_mut(from..to.max(from)).unwrap_or_default()
    }

    fn split_before(&mut self, offset: i64) {
        let index = self.runs.partition_point(|run| run.last_offset < offset);
        let Some(run) = self.runs.get_mut(index) else { return };
        if run.first_offset < offset {
            let rest = Run { first_offset: offset, ..run.clone() };
            run.last_offset = offset - 1;
            self.runs.insert(index + 1, rest);
        }
    }

    /// Makes one run of those that stand alike.
    pub(crate) fn join_runs(&mut self) {
        self.runs.dedup_by(|next, run| {
            assert!(run.last_offset + 1 == next.first_offset, "SHARE-RUNS-CONTIGUOUS");
            let alike = run.state == next.state;
            if alike {
                run.last_offset = next.last_offset;
            }
            alike
        });
    }

    /// Splits off the records from an offset on, if there are any.
    pub(crate) fn split_off(&mut self, offset: i64) -> Option<Self> {
        self.split_before(offset);
        let from = self.runs.partition_point(|run| run.last_offset < offset);
        let runs = self.runs.split_off(from);
        (!runs.is_empty()).then_some(Self { runs, ..*self })
    }

    /// Drops all records below an offset. True if any are left.
    pub(crate) fn cut_below(&mut self, offset: i64) -> bool {
        self.split_before(offset);
        let gone = self.runs.partition_point(|run| run.last_offset < offset);
        self.runs.drain(..gone);
        !self.runs.is_empty()
    }

    /// The offset of the first record that is not done for good.
    pub(crate) fn first_unsettled(&self) -> Option<i64> {
        self.runs.iter().find(|run| !run.state.is_settled()).map(|run| run.first_offset)
    }

    /// The offset of the first record that may be handed out.
    pub(crate) fn first_available(&self) -> Option<i64> {
        self.runs.iter().find(|run| run.state.is_available()).map(|run| run.first_offset)
    }

    /// How many records are in a terminal state, the writing of which may be under way.
    pub(crate) fn terminal_count(&self) -> i64 {
        self.runs.iter().filter(|run| run.state.state.is_terminal()).map(Run::len).sum()
    }

    /// Whether records of the range would come in portions.
    pub(crate) fn is_throttled(&self, first: i64, last: i64, throttle_from: i16) -> bool {
        self.overlapping(first, last)
            .any(|run| run.state.is_available() && run.state.delivery_count >= throttle_from)
    }

    /// Chooses what to hand out of a range: ranges of available records, each within one run.
    ///
    /// Where a record makes its consumer fail, all records delivered with it suffer. So from half of the
    /// allowed deliveries on they come in portions of half, a quarter, an eighth of the batch, and for the
    /// last attempt each comes alone.
    pub(crate) fn choose(&self, first: i64, last: i64, limits: &DeliveryLimits) -> Vec<(i64, i64)> {
        let mut chosen = Vec::new();
        let mut taken = 0;
        let mut portion: Option<i64> = None;
        for run in self.overlapping(first, last).filter(|run| run.state.is_available()) {
            let count = run.state.delivery_count;
            let alone = limits.delivery_count_limit > 2 && count >= limits.delivery_count_limit - 1;
            if alone && taken > 0 {
                break;
            }
            if count >= limits.throttle_from && portion.is_none() {
                let halvings = u32::from((count - limits.throttle_from).unsigned_abs()) + 1;
                portion = Some(self.original_len.checked_shr(halvings).unwrap_or(0).max(1));
            }
            let (from, to) = (run.first_offset.max(first), run.last_offset.min(last));
            let wanted = to - from + 1;
            let mut allowed = if alone { 1 } else { wanted };
            for limit in [portion, limits.record_limit].into_iter().flatten() {
                allowed = allowed.min(limit - taken);
            }
            if allowed <= 0 {
                break;
            }
            chosen.push((from, from + allowed.min(wanted) - 1));
            taken += allowed.min(wanted);
            if alone || allowed < wanted {
                break;
            }
        }
        chosen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> DeliveryLimits {
        DeliveryLimits { delivery_count_limit: 5, throttle_from: 3, record_limit: None }
    }

    fn available(first: i64, last: i64, delivery_count: i16) -> InFlightBatch {
        InFlightBatch::new(first, last, InFlightState::settled(RecordState::Available, delivery_count))
    }

    fn ranges(batch: &InFlightBatch) -> Vec<(i64, i64)> {
        batch.runs().iter().map(|run| (run.first_offset, run.last_offset)).collect()
    }

    fn archive(batch: &mut InFlightBatch, first: i64, last: i64) {
        for run in batch.isolate(first, last) {
            run.state.settle(RecordState::Archived);
        }
        batch.join_runs();
    }

    #[test]
    fn runs_split_where_records_differ_and_join_where_they_do_not() {
        let mut batch = available(10, 19, 1);
        archive(&mut batch, 12, 13);
        assert_eq!(ranges(&batch), [(10, 11), (12, 13), (14, 19)]);
        archive(&mut batch, 10, 11);
        assert_eq!(ranges(&batch), [(10, 13), (14, 19)]);
        assert_eq!(batch.first_unsettled(), Some(14));
        assert_eq!(batch.terminal_count(), 4);
        archive(&mut batch, 14, 40);
        assert_eq!(ranges(&batch), [(10, 19)]);
        assert_eq!(batch.first_unsettled(), None);
    }

    #[test]
    fn isolating_a_range_outside_gives_nothing() {
        let mut batch = available(10, 19, 1);
        assert!(batch.isolate(20, 25).is_empty());
        assert!(batch.isolate(0, 9).is_empty());
        assert_eq!(ranges(&batch), [(10, 19)]);
    }

    #[test]
    fn a_cut_batch_keeps_the_rest() {
        let mut batch = available(10, 19, 1);
        assert!(batch.cut_below(15));
        assert_eq!((batch.first_offset(), batch.last_offset()), (15, 19));
        assert!(!batch.cut_below(20));
    }

    #[test]
    fn fresh_records_come_all_at_once() {
        assert_eq!(available(0, 99, 2).choose(0, 99, &limits()), [(0, 99)]);
        assert_eq!(available(0, 99, 2).choose(10, 19, &limits()), [(10, 19)]);
    }

    #[test]
    fn portions_halve_with_each_delivery_and_the_last_is_of_one() {
        assert!(available(0, 99, 3).is_throttled(0, 99, 3));
        assert_eq!(available(0, 99, 3).choose(0, 99, &limits()), [(0, 49)]);
        assert_eq!(available(0, 99, 4).choose(0, 99, &limits()), [(0, 0)]);
        let patient = DeliveryLimits { delivery_count_limit: 10, throttle_from: 5, record_limit: None };
        assert_eq!(available(0, 99, 6).choose(0, 99, &patient), [(0, 24)]);
        assert_eq!(available(0, 99, 8).choose(0, 99, &patient), [(0, 5)]);
    }

    #[test]
    fn a_record_on_its_last_attempt_does_not_come_with_others() {
        let mut batch = available(0, 9, 2);
        for run in batch.isolate(5, 5) {
            run.state.delivery_count = 4;
        }
        assert_eq!(batch.choose(0, 9, &limits()), [(0, 4)]);
        assert_eq!(batch.choose(5, 9, &limits()), [(5, 5)]);
    }

    #[test]
    fn with_two_attempts_allowed_none_comes_alone() {
        let few = DeliveryLimits { delivery_count_limit: 2, throttle_from: 2, record_limit: None };
        assert_eq!(available(0, 9, 1).choose(0, 9, &few), [(0, 9)]);
    }

    #[test]
    fn a_record_limit_is_kept_to_the_letter() {
        let limited = DeliveryLimits { record_limit: Some(3), ..limits() };
        assert_eq!(available(0, 9, 1).choose(0, 9, &limited), [(0, 2)]);
    }

    #[test]
    fn counts_beyond_every_limit_do_no_harm() {
        assert_eq!(available(0, 9, i16::MAX).choose(0, 9, &limits()), [(0, 0)]);
        let unlimited = DeliveryLimits { delivery_count_limit: 2, throttle_from: 2, record_limit: None };
        assert_eq!(available(0, 9, i16::MAX).choose(0, 9, &unlimited), [(0, 0)]);
    }
}

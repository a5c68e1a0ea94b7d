use super::SharePartition;
use crate::effect::SharePartitionEffect;
use crate::in_flight::InFlightState;
use crate::record_state::RecordState;

impl SharePartition {
    /// The log was cut: there are no records below this offset any more. A fetch that got
    /// OFFSET_OUT_OF_RANGE tells it here.
    ///
    /// What was in flight below is forgotten, whoever holds it; acknowledging it later does no harm. The
    /// share coordinator learns of it with the next write.
    pub fn update_log_start_offset(&mut self, log_start_offset: i64) {
        if log_start_offset <= self.start_offset {
            return;
        }
        self.cut_below(log_start_offset);
        self.move_start_offset(log_start_offset);
        self.advance_start_offset();
        self.effects.push_back(SharePartitionEffect::CheckDelayedFetches);
    }

    /// Moves the start offset over all records that are done. True if it moved.
    pub(super) fn advance_start_offset(&mut self) -> bool {
        let before = self.start_offset;
        while let Some((&first_offset, batch)) = self.cached.first_key_value() {
            match batch.first_unsettled() {
                None => {
                    let behind = batch.last_offset().saturating_add(1);
                    self.cached.remove(&first_offset);
                    self.move_start_offset(behind);
                }
                Some(unsettled) => {
                    if unsettled > first_offset {
                        self.cut_below(unsettled);
                    }
                    // Offsets in no batch hold no record.
                    self.move_start_offset(unsettled);
                    break;
                }
            }
        }
        let moved = self.start_offset > before;
        if moved {
            self.effects.push_back(SharePartitionEffect::CheckDelayedFetches);
        }
        moved
    }

    /// Moves the start offset forward, and with it the end if there is nothing in flight any more.
    pub(super) fn move_start_offset(&mut self, offset: i64) {
        assert!(offset >= self.start_offset, "SPSO-MONOTONIC: {offset} after {}", self.start_offset);
        self.start_offset = offset;
        match self.cached.first_key_value() {
            Some((first, _)) => assert!(*first >= offset, "SPSO-LE-IN-FLIGHT: {first} below {offset}"),
            None => self.end_offset = offset,
        }
    }

    /// Archives what is available and lies between the offset that was fetched from and the first that
    /// came: it is not in the log any more, for the topic is compacted.
    pub(super) fn archive_stale(&mut self, fetch_offset: i64, base_offset: i64) {
        if fetch_offset >= base_offset {
            return;
        }
        let available = |state: &InFlightState| state.state == RecordState::Available;
        if self.archive(fetch_offset, base_offset - 1, available) {
            self.advance_start_offset();
        }
    }

    /// Archives what somebody holds of a range. Nobody is told: it is as if it never was.
    pub(super) fn archive_acquired(&mut self, first: i64, last: i64) -> bool {
        self.archive(first, last, |state: &InFlightState| state.holder().is_some())
    }

    fn archive(&mut self, first: i64, last: i64, which: impl Fn(&InFlightState) -> bool) -> bool {
        let mut archived = false;
        for key in self.overlapping(first, last) {
            let Some(batch) = self.cached.get_mut(&key) else { continue };
            if !batch.overlapping(first, last).any(|run| which(&run.state)) {
                continue;
            }
            for run in batch.isolate(first, last).iter_mut().filter(|run| which(&run.state)) {
                run.state.settle(RecordState::Archived);
                archived = true;
            }
            batch.join_runs();
        }
        archived
    }

    /// Forgets all records below an offset.
    fn cut_below(&mut self, offset: i64) {
        let at_or_above = self.cached.split_off(&offset);
        let mut below = std::mem::replace(&mut self.cached, at_or_above);
        if let Some((_, mut batch)) = below.pop_last()
            && batch.cut_below(offset)
        {
            self.cached.insert(offset, batch);
        }
    }
}

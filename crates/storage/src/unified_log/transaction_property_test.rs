//! Producers whose transactions interleave, on a log of small segments: where `read_committed` consumers
//! must stop, and that they see just what was committed.

use std::collections::HashSet;

use ottla_record::{DecompressionLimits, EndTransactionMarker, MemoryRecords, RecordBatch};
use proptest::prelude::*;

use crate::log_offset::LogOffsetMetadata;
use crate::test_support::*;
use crate::{FetchIsolation, UnifiedLog};

const PRODUCERS: usize = 3;
const FIRST_ID: i64 = 10;

#[derive(Debug, Clone)]
enum Step {
    /// So many records without a transaction.
    Plain(usize),
    /// So many records in a producer's transaction.
    Write(usize, usize),
    /// The end of a producer's transaction, or a marker that ends none.
    End(usize, bool),
    /// So many more batches are replicated.
    Replicate(usize),
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (1_usize..4).prop_map(Step::Plain),
        6 => (0..PRODUCERS, 1_usize..4).prop_map(|(producer, count)| Step::Write(producer, count)),
        4 => (0..PRODUCERS, any::<bool>()).prop_map(|(producer, committed)| Step::End(producer, committed)),
        4 => (1_usize..6).prop_map(Step::Replicate),
        1 => Just(Step::Restart),
    ]
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Open(usize),
    Visible,
    Aborted,
}

#[derive(Debug, Default)]
struct Model {
    /// The offset behind each batch.
    ends: Vec<i64>,
    high_watermark: i64,
    sequences: [i32; PRODUCERS],
    /// First offsets of open transactions.
    open: [Option<i64>; PRODUCERS],
    /// First offset and marker of those that were ended since the log was opened.
    ended: Vec<(i64, i64)>,
    /// Offsets of records, and what becomes of them.
    records: Vec<(i64, Fate)>,
}

impl Model {
    fn log_end_offset(&self) -> i64 {
        self.ends.last().copied().unwrap_or(0)
    }

    fn add(&mut self, count: usize, fate: Fate) {
        let base = self.log_end_offset();
        let end = base + count as i64;
        self.records.extend((base..end).map(|offset| (offset, fate)));
        self.ends.push(end);
    }

    fn end(&mut self, producer: usize, committed: bool) {
        let marker = self.log_end_offset();
        self.ends.push(marker + 1);
        if let Some(first) = self.open[producer].take() {
            self.ended.push((first, marker));
        }
        let fate = if committed { Fate::Visible } else { Fate::Aborted };
        self.records.iter_mut().filter(|(_, f)| *f == Fate::Open(producer)).for_each(|(_, f)| *f = fate);
    }

    fn replicate(&mut self, batches: usize) {
        let next = self.ends.iter().copied().filter(|end| *end > self.high_watermark).take(batches).last();
        self.high_watermark = next.unwrap_or(self.high_watermark);
        self.ended.retain(|(_, marker)| *marker >= self.high_watermark);
    }

    fn last_stable_offset(&self) -> i64 {
        let open = self.open.iter().flatten().copied();
        let ended = self.ended.iter().map(|(first, _)| *first);
        open.chain(ended).fold(self.high_watermark, i64::min)
    }

    fn committed(&self) -> Vec<i64> {
        let end = self.last_stable_offset();
        let seen = self.records.iter().filter(|(offset, fate)| *offset < end && *fate == Fate::Visible);
        seen.map(|(offset, _)| *offset).collect()
    }
}

fn is_abort(batch: &RecordBatch) -> bool {
    let records = batch.records(&DecompressionLimits::default()).unwrap();
    let record = records.iter().next().unwrap().unwrap();
    !EndTransactionMarker::deserialize(record.key, record.value).unwrap().committed
}

/// What a consumer gets that reads only what is committed.
fn consume(log: &UnifiedLog, max_bytes: usize) -> Vec<i64> {
    let mut seen = Vec::new();
    let mut position = 0;
    while position < log.last_stable_offset() {
        let found = log.read(position, max_bytes, FetchIsolation::TxnCommitted, true).unwrap();
        let mut aborted = found.aborted_transactions.unwrap();
        aborted.sort_by_key(|txn| txn.first_offset);
        let mut aborted = aborted.into_iter().peekable();
        let mut aborting = HashSet::new();
        let before = position;
        for batch in MemoryRecords::new(found.records.read_all().unwrap()).batches() {
            let batch = batch.unwrap();
            while let Some(txn) = aborted.next_if(|txn| txn.first_offset <= batch.last_offset()) {
                aborting.insert(txn.producer_id);
            }
            if batch.is_control_batch() {
                if is_abort(&batch) {
                    aborting.remove(&batch.producer_id());
                }
            } else if !(batch.is_transactional() && aborting.contains(&batch.producer_id())) {
                seen.extend((batch.base_offset()..batch.next_offset()).filter(|offset| *offset >= position));
            }
            position = position.max(batch.next_offset());
        }
        assert!(position > before, "nothing was read from {before} on");
    }
    seen
}

fn check(log: &UnifiedLog, model: &Model, max_bytes: usize) -> Result<(), TestCaseError> {
    prop_assert_eq!(log.log_end_offset(), model.log_end_offset());
    prop_assert_eq!(log.high_watermark(), model.high_watermark);
    prop_assert_eq!(log.last_stable_offset(), model.last_stable_offset());
    prop_assert_eq!(consume(log, max_bytes), model.committed());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn consumers_see_what_is_committed_and_nothing_else(
        steps in prop::collection::vec(step(), 1..60),
        max_bytes in 1_usize..2000,
    ) {
        let mut bench = Bench::new();
        bench.config.segment_bytes = 700;
        bench.config.index_interval_bytes = 100;
        bench.clean = true;
        let mut log = bench.open();
        let mut model = Model::default();
        for step in &steps {
            match *step {
                Step::Plain(count) => {
                    append(&log, batch(count, NOW));
                    model.add(count, Fate::Visible);
                }
                Step::Write(producer, count) => {
                    let (id, sequence) = (FIRST_ID + producer as i64, model.sequences[producer]);
                    append(&log, transactional(id, 0, sequence, count));
                    let first = model.log_end_offset();
                    model.open[producer].get_or_insert(first);
                    model.sequences[producer] += count as i32;
                    model.add(count, Fate::Open(producer));
                }
                Step::End(producer, committed) => {
                    append_marker(&log, marker(FIRST_ID + producer as i64, 0, committed));
                    model.end(producer, committed);
                }
                Step::Replicate(batches) => {
                    model.replicate(batches);
                    log.maybe_increment_high_watermark(LogOffsetMetadata::offset_only(model.high_watermark));
                }
                Step::Restart => {
                    log.close().unwrap();
                    log = bench.open();
                    // The broker's checkpoint of it is not part of the log.
                    model.high_watermark = 0;
                    model.ended.clear();
                }
            }
            check(&log, &model, max_bytes)?;
        }
    }
}

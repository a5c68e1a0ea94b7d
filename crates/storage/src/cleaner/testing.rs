//! Batches with keys, and what readers make of a log.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use ottla_record::{
    CompressionType, ControlRecordType, DecompressionLimits, MemoryRecords, RecordBatch, RecordsBuilder,
    SimpleRecord,
};

use super::clean::Cleaner;
use super::manager::facts;
use super::plan::CleaningRange;
use super::{CleanError, CleanerStats};
use crate::test_support::{Bench, NOW, replicate_all};
use crate::{FetchIsolation, UnifiedLog};

/// A key and its value, or none for a tombstone.
pub(super) type KeyValue = (String, Option<String>);

pub(super) fn kv(key: &str, value: &str) -> KeyValue {
    (key.to_owned(), Some(value.to_owned()))
}

pub(super) fn tombstone(key: &str) -> KeyValue {
    (key.to_owned(), None)
}

pub(super) fn simple(records: &[KeyValue]) -> Vec<SimpleRecord> {
    records.iter().map(|(key, value)| SimpleRecord::new(NOW, Some(key.clone()), value.clone())).collect()
}

pub(super) fn keyed(codec: CompressionType, records: &[KeyValue]) -> Bytes {
    RecordsBuilder::new(codec).build_from(&simple(records)).unwrap().into_bytes()
}

pub(super) fn produced(
    producer_id: i64,
    sequence: i32,
    is_transactional: bool,
    records: &[KeyValue],
) -> Bytes {
    let builder = RecordsBuilder::new(CompressionType::None).producer(producer_id, 0, sequence);
    builder.transactional(is_transactional).build_from(&simple(records)).unwrap().into_bytes()
}

/// All batches, in order.
pub(super) fn batches(log: &UnifiedLog) -> Vec<RecordBatch> {
    let mut batches: Vec<RecordBatch> = Vec::new();
    let mut next = log.log_start_offset();
    while next < log.log_end_offset() {
        let found = log.read(next, 1 << 20, FetchIsolation::LogEnd, true).expect("the log is read");
        let before = next;
        for batch in MemoryRecords::new(found.records.read_all().unwrap()).batches_strict() {
            let batch = batch.expect("only whole batches are read");
            batch.ensure_valid().expect("only valid batches are read");
            assert!(
                batches.last().is_none_or(|last| last.last_offset() < batch.base_offset()),
                "offsets grow"
            );
            next = batch.next_offset();
            batches.push(batch);
        }
        if next == before {
            break;
        }
    }
    batches
}

pub(super) fn bytes(log: &UnifiedLog) -> Vec<u8> {
    batches(log).iter().flat_map(|batch| batch.bytes().to_vec()).collect()
}

/// All records but control records, by offset.
pub(super) fn contents(log: &UnifiedLog) -> BTreeMap<i64, KeyValue> {
    let data = batches(log).into_iter().filter(|batch| !batch.is_control_batch());
    data.flat_map(|batch| key_values(&batch)).collect()
}

fn key_values(batch: &RecordBatch) -> Vec<(i64, KeyValue)> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let records = batch.records(&DecompressionLimits::default()).unwrap();
    let key_value = |record: ottla_record::Record<'_>| {
        (record.offset, (record.key.map(text).unwrap_or_default(), record.value.map(text)))
    };
    records.iter().map(|record| key_value(record.unwrap())).collect()
}

/// What a `read_committed` consumer has of each key in the end. Tombstones mean nothing.
pub(super) fn committed_view(log: &UnifiedLog) -> BTreeMap<String, String> {
    let mut view = BTreeMap::new();
    let mut next = log.log_start_offset();
    loop {
        let found = log.read(next, 1 << 20, FetchIsolation::TxnCommitted, true).expect("the log is read");
        let mut aborted = found.aborted_transactions.unwrap_or_default();
        aborted.sort_by_key(|txn| txn.first_offset);
        let mut aborted = aborted.into_iter().peekable();
        let mut aborting: BTreeSet<i64> = BTreeSet::new();
        let before = next;
        for batch in MemoryRecords::new(found.records.read_all().unwrap()).batches_strict() {
            let batch = batch.expect("only whole batches are read");
            next = batch.next_offset();
            while let Some(txn) = aborted.next_if(|txn| txn.first_offset <= batch.last_offset()) {
                aborting.insert(txn.producer_id);
            }
            if batch.is_control_batch() {
                if is_abort(&batch) {
                    aborting.remove(&batch.producer_id());
                }
            } else if !(batch.is_transactional() && aborting.contains(&batch.producer_id())) {
                for (_, (key, value)) in key_values(&batch) {
                    match value {
                        Some(value) => view.insert(key, value),
                        None => view.remove(&key),
                    };
                }
            }
        }
        if next == before {
            return view;
        }
    }
}

fn is_abort(batch: &RecordBatch) -> bool {
    let records = batch.records(&DecompressionLimits::default()).unwrap();
    let first = records.iter().next().map(|record| ControlRecordType::parse(record.unwrap().key).unwrap());
    first == Some(ControlRecordType::Abort)
}

/// All that can be compacted now.
pub(super) fn range(bench: &Bench, log: &UnifiedLog, first_dirty_offset: i64) -> CleaningRange {
    use ottla_common::time::Time;
    facts(log, first_dirty_offset).unwrap().range(first_dirty_offset, bench.time.now_ms())
}

pub(super) fn try_clean(
    bench: &Bench,
    log: &UnifiedLog,
    first_dirty_offset: i64,
    map_slots: usize,
) -> Result<(i64, CleanerStats), CleanError> {
    try_clean_range(bench, log, &range(bench, log, first_dirty_offset), map_slots)
}

pub(super) fn try_clean_range(
    bench: &Bench,
    log: &UnifiedLog,
    range: &CleaningRange,
    map_slots: usize,
) -> Result<(i64, CleanerStats), CleanError> {
    let cleaner =
        Cleaner { map_slots, load_factor: 0.9, chunk_bytes: 300, time: &*bench.time, pace: &|_| Ok(()) };
    cleaner.clean(log, range)
}

/// Compacts all that can be.
pub(super) fn clean(bench: &Bench, log: &UnifiedLog) -> (i64, CleanerStats) {
    try_clean(bench, log, log.log_start_offset(), 10_000).expect("the log is compacted")
}

/// Compacts all that is there.
pub(super) fn roll_and_clean(bench: &Bench, log: &UnifiedLog) -> (i64, CleanerStats) {
    log.roll().unwrap();
    replicate_all(log);
    clean(bench, log)
}

pub(super) fn compacted_bench() -> Bench {
    let mut bench = Bench::new();
    (bench.config.compact, bench.config.delete) = (true, false);
    bench
}

use std::hash::RandomState;

use ottla_record::{CompressionType, EndTransactionMarker, MemoryRecords, SimpleRecord};

use super::*;
use crate::cleaner::testing::{KeyValue, kv, simple, tombstone};
use crate::test_support::NOW;

const RETENTION: i64 = 1000;

struct Fixture {
    map: OffsetMap,
    last_records: HashMap<i64, LastRecord>,
    high_watermark: i64,
    now_ms: i64,
    retain_legacy_deletes: bool,
}

/// All keys are known up to `latest`, these lie there.
fn knowing(keys: &[(&str, i64)], latest: i64) -> Fixture {
    let mut map = OffsetMap::new(RandomState::new(), 100, 0.9, u64::MAX);
    keys.iter().for_each(|(key, offset)| map.put(key.as_bytes(), *offset));
    map.update_latest_offset(latest);
    let last_records = HashMap::new();
    Fixture { map, last_records, high_watermark: 1 << 20, now_ms: NOW, retain_legacy_deletes: true }
}

impl Fixture {
    fn try_filter(&self, bytes: &[u8], txns: &mut CleanedTransactions) -> Result<Filtered, FilterError> {
        let filter = RecordFilter {
            map: &self.map,
            now_ms: self.now_ms,
            delete_retention_ms: RETENTION,
            retain_legacy_deletes: self.retain_legacy_deletes,
            last_records: &self.last_records,
            high_watermark: self.high_watermark,
            limits: DecompressionLimits::default(),
        };
        filter.filter(&LogEntry::new(bytes)?, txns)
    }

    fn filter(&self, bytes: &[u8]) -> Filtered {
        self.try_filter(bytes, &mut CleanedTransactions::default()).expect("the batch is fine")
    }
}

fn builder(codec: CompressionType) -> RecordsBuilder {
    RecordsBuilder::new(codec).base_offset(10).partition_leader_epoch(3)
}

fn batch(records: &[KeyValue]) -> Bytes {
    builder(CompressionType::None).build_from(&simple(records)).unwrap().into_bytes()
}

fn abc() -> Vec<KeyValue> {
    vec![kv("a", "1"), kv("b", "2"), kv("c", "3")]
}

fn rewritten(filtered: &Filtered) -> RecordBatch {
    let Kept::Rewritten(bytes) = &filtered.kept else { panic!("{filtered:?}") };
    let batch = RecordBatch::new(bytes.clone()).unwrap();
    batch.ensure_valid().unwrap();
    batch
}

fn offsets(batch: &RecordBatch) -> Vec<i64> {
    let records = batch.records(&DecompressionLimits::default()).unwrap();
    records.iter().map(|record| record.unwrap().offset).collect()
}

#[test]
fn a_batch_of_newest_records_stays_as_it_is() {
    let filtered = knowing(&[("a", 10), ("b", 11)], 20).filter(&batch(&abc()));
    assert_eq!(filtered.kept, Kept::Original);
    assert_eq!((filtered.records_read, filtered.records_kept), (3, 3));
}

#[test]
fn older_records_go_and_the_header_stays() {
    for codec in CompressionType::ALL {
        let before = builder(codec).producer(7, 1, 40).build_from(&simple(&abc())).unwrap();
        let filtered = knowing(&[("a", 15), ("c", 99)], 100).filter(before.bytes());
        let after = rewritten(&filtered);
        let before = RecordBatch::new(before.into_bytes()).unwrap();
        assert_eq!(offsets(&after), [11]);
        assert_eq!((after.base_offset(), after.last_offset(), after.count()), (10, 12, 1));
        assert_eq!((after.base_sequence(), after.last_sequence()), (40, 42));
        assert_eq!((after.producer_id(), after.producer_epoch(), after.partition_leader_epoch()), (7, 1, 3));
        assert_eq!((after.max_timestamp(), after.attributes()), (NOW, before.attributes()));
    }
}

#[test]
fn timestamps_are_those_of_what_stays() {
    let records = [10_i64, 30, 20].map(|ts| SimpleRecord::new(ts, Some(format!("key-{ts}")), Some("v")));
    let mixed = builder(CompressionType::None).build_from(&records).unwrap();
    let after = rewritten(&knowing(&[("key-30", 50)], 60).filter(mixed.bytes()));
    assert_eq!((after.base_timestamp(), after.max_timestamp()), (10, 20));
    let appended = builder(CompressionType::None).log_append_time(NOW).build_from(&records).unwrap();
    let after = rewritten(&knowing(&[("key-30", 50)], 60).filter(appended.bytes()));
    assert_eq!((after.timestamp_type(), after.max_timestamp()), (TimestampType::LogAppendTime, NOW));
}

#[test]
fn what_lies_behind_the_map_stays() {
    let filtered = knowing(&[("a", 50), ("b", 50), ("c", 50)], 11).filter(&batch(&abc()));
    assert_eq!(offsets(&rewritten(&filtered)), [12]);
}

#[test]
fn a_batch_without_newest_records_goes() {
    let all_newer = [("a", 50), ("b", 50), ("c", 50)];
    let filtered = knowing(&all_newer, 60).filter(&batch(&abc()));
    assert_eq!((filtered.kept, filtered.records_read), (Kept::Nothing, 3));
    // But the log must not seem to end before its high watermark.
    let at_high_watermark = Fixture { high_watermark: 13, ..knowing(&all_newer, 60) };
    let empty = rewritten(&at_high_watermark.filter(&batch(&abc())));
    assert_eq!((empty.base_offset(), empty.last_offset(), empty.count()), (10, 12, 0));
    assert_eq!((empty.size_in_bytes(), empty.partition_leader_epoch(), empty.max_timestamp()), (61, 3, NOW));
    assert_eq!(at_high_watermark.filter(empty.bytes()).records_read, 0, "an empty batch is no trouble");
    assert_eq!(rewritten(&at_high_watermark.filter(empty.bytes())), empty);
}

#[test]
fn the_last_batch_of_a_producer_stays() {
    let all_newer = [("a", 50), ("b", 50), ("c", 50)];
    let bytes = builder(CompressionType::Zstd).producer(7, 1, 40).build_from(&simple(&abc())).unwrap();
    let last = |offset, epoch| {
        let last = LastRecord { last_data_offset: Some(offset), producer_epoch: epoch };
        Fixture { last_records: [(7, last)].into(), ..knowing(&all_newer, 60) }
    };
    let empty = rewritten(&last(12, 1).filter(bytes.bytes()));
    assert_eq!((empty.count(), empty.last_sequence(), empty.producer_id()), (0, 42, 7));
    assert!(!empty.is_compressed());
    assert_eq!(last(13, 1).filter(bytes.bytes()).kept, Kept::Nothing, "there is a later one");
}

#[test]
fn a_tombstone_stays_for_a_while_after_it_was_seen_first() {
    let bytes = batch(&[kv("a", "1"), tombstone("b")]);
    let first_time = knowing(&[("a", 10), ("b", 11)], 60);
    let dated = rewritten(&first_time.filter(&bytes));
    assert_eq!((offsets(&dated), dated.delete_horizon_ms()), (vec![10, 11], Some(NOW + RETENTION)));
    let records = dated.records(&DecompressionLimits::default()).unwrap();
    assert!(records.iter().all(|record| record.unwrap().timestamp == NOW), "the base timestamp is another");
    assert_eq!(dated.max_timestamp(), NOW);
    let meanwhile = Fixture { now_ms: NOW + RETENTION - 1, ..knowing(&[("a", 10), ("b", 11)], 60) };
    assert_eq!(meanwhile.filter(dated.bytes()).kept, Kept::Original);
    let over = Fixture { now_ms: NOW + RETENTION, ..knowing(&[("a", 10), ("b", 11)], 60) };
    let without = rewritten(&over.filter(dated.bytes()));
    assert_eq!((offsets(&without), without.last_offset()), (vec![10], 11));
    assert_eq!(without.delete_horizon_ms(), Some(NOW + RETENTION), "a horizon stays");
}

#[test]
fn records_without_a_key_go() {
    let records = [SimpleRecord::of_value(NOW, "v"), SimpleRecord::new(NOW, Some("a"), Some("v"))];
    let bytes = builder(CompressionType::None).build_from(&records).unwrap();
    let filtered = knowing(&[], 60).filter(bytes.bytes());
    assert_eq!((filtered.invalid_records, offsets(&rewritten(&filtered))), (1, vec![11]));
}

fn data(producer_id: i64, base: i64) -> Bytes {
    let builder = RecordsBuilder::new(CompressionType::None).base_offset(base);
    let builder = builder.producer(producer_id, 0, 0).transactional(true);
    builder.build_from(&simple(&[kv("a", "1")])).unwrap().into_bytes()
}

fn marker(producer_id: i64, offset: i64, committed: bool) -> Bytes {
    let marker = EndTransactionMarker::new(committed, 0);
    let records = MemoryRecords::with_end_transaction_marker(offset, NOW, 0, producer_id, 0, marker);
    records.unwrap().into_bytes()
}

#[test]
fn aborted_records_go_and_their_marker_with_the_last_of_them() {
    let aborted = AbortedTxn { producer_id: 7, first_offset: 10, last_offset: 11, last_stable_offset: 12 };
    let told = || {
        let mut txns = CleanedTransactions::default();
        txns.add_aborted([aborted]);
        txns
    };
    let mut fixture = knowing(&[("a", 10)], 60);
    let mut txns = told();
    let gone = fixture.try_filter(&data(7, 10), &mut txns).unwrap();
    assert_eq!((gone.kept, gone.records_read), (Kept::Nothing, 0));
    let kept = fixture.try_filter(&marker(7, 11, false), &mut txns).unwrap();
    assert_eq!((kept.kept, kept.retained_abort), (Kept::Original, Some(aborted)), "a batch of it was seen");

    // The next time no batch is left.
    let dated = fixture.try_filter(&marker(7, 11, false), &mut told()).unwrap();
    assert_eq!(dated.retained_abort, None);
    let dated = rewritten(&dated);
    assert_eq!((dated.delete_horizon_ms(), offsets(&dated)), (Some(NOW + RETENTION), vec![11]));
    assert!(dated.is_control_batch() && dated.is_transactional());
    fixture.now_ms = NOW + RETENTION;
    assert_eq!(fixture.filter(dated.bytes()).kept, Kept::Nothing);
    // Unless it is the last that is known of its producer, for its epoch.
    let last = LastRecord { last_data_offset: None, producer_epoch: 0 };
    fixture.last_records.insert(7, last);
    let empty = rewritten(&fixture.filter(dated.bytes()));
    assert_eq!((empty.count(), empty.producer_epoch(), empty.is_control_batch()), (0, 0, true));
}

#[test]
fn a_commit_marker_stays_as_long_as_records() {
    let fixture = knowing(&[("a", 10)], 60);
    let mut txns = CleanedTransactions::default();
    assert_eq!(fixture.try_filter(&data(7, 10), &mut txns).unwrap().kept, Kept::Original);
    assert_eq!(fixture.try_filter(&marker(7, 11, true), &mut txns).unwrap().kept, Kept::Original);
    let alone = rewritten(&fixture.filter(&marker(7, 11, true)));
    assert_eq!(alone.delete_horizon_ms(), Some(NOW + RETENTION));
}

/// A message of an old format.
fn message(magic: u8, offset: i64, key: &[u8], value: Option<&[u8]>) -> Vec<u8> {
    let mut covered = vec![magic, 0];
    if magic == 1 {
        covered.extend_from_slice(&NOW.to_be_bytes());
    }
    for field in [Some(key), value] {
        covered.extend_from_slice(&field.map_or(-1, |bytes| bytes.len() as i32).to_be_bytes());
        covered.extend_from_slice(field.unwrap_or_default());
    }
    let mut message = offset.to_be_bytes().to_vec();
    message.extend_from_slice(&(covered.len() as i32 + 4).to_be_bytes());
    message.extend_from_slice(&crc32(&covered).to_be_bytes());
    message.extend_from_slice(&covered);
    message
}

/// The CRC of zip.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc)))
}

#[test]
fn messages_of_old_formats_become_batches() {
    for (magic, timestamp) in [(0, NO_TIMESTAMP), (1, NOW)] {
        let fixture = knowing(&[("a", 10)], 60);
        let after = rewritten(&fixture.filter(&message(magic, 10, b"a", Some(b"v"))));
        assert_eq!((offsets(&after), after.max_timestamp()), (vec![10], timestamp));
        assert_eq!(fixture.filter(&message(magic, 9, b"a", Some(b"v"))).kept, Kept::Nothing);
        let dated = rewritten(&fixture.filter(&message(magic, 10, b"a", None)));
        assert_eq!(dated.delete_horizon_ms(), Some(NOW + RETENTION));
        let over = Fixture { retain_legacy_deletes: false, ..knowing(&[("a", 10)], 60) };
        assert_eq!(over.filter(&message(magic, 10, b"a", None)).kept, Kept::Nothing);
        let at_high_watermark = Fixture { high_watermark: 10, ..knowing(&[("a", 10)], 60) };
        let empty = rewritten(&at_high_watermark.filter(&message(magic, 9, b"a", Some(b"v"))));
        assert_eq!((empty.base_offset(), empty.last_offset(), empty.count()), (9, 9, 0));
    }
}

#[test]
fn a_damaged_batch_does_not_become_a_right_one() {
    let mut damaged = batch(&abc()).to_vec();
    *damaged.last_mut().unwrap() ^= 1;
    let filtered = knowing(&[("a", 50)], 60).try_filter(&damaged, &mut CleanedTransactions::default());
    assert!(matches!(filtered, Err(FilterError::Record(RecordError::InvalidCrc { .. }))), "{filtered:?}");
}

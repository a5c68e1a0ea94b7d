//! Views and changes of batches where they lie, and what builders refuse.

use bytes::{Bytes, BytesMut};
use ottla_common::{TransferSource, TransferableRecords};
use ottla_record::*;

fn records(count: usize) -> Vec<SimpleRecord> {
    (0..count).map(|i| SimpleRecord::new(10 + i as i64, Some("k"), Some(format!("v{i}")))).collect()
}

fn batch(count: usize) -> Bytes {
    MemoryRecords::with_records(CompressionType::Lz4, &records(count)).expect("build").into_bytes()
}

#[test]
fn a_leader_gives_offsets_without_touching_records() {
    let mut bytes = BytesMut::from([batch(3), batch(2)].concat().as_slice());
    let mut next = 100;
    for batch in batches_mut(&mut bytes) {
        let mut batch = batch.expect("batch");
        batch.set_base_offset(next);
        batch.set_partition_leader_epoch(7);
        batch.ensure_valid().expect("not covered by the checksum");
        next = batch.next_offset();
    }
    let assigned = MemoryRecords::new(bytes.freeze());
    let read: Vec<_> =
        assigned.records(DecompressionLimits::default()).map(|r| r.expect("record").offset).collect();
    assert_eq!(read, [100, 101, 102, 103, 104]);
    let epochs = assigned.batches().map(|batch| batch.expect("batch").partition_leader_epoch());
    assert_eq!(epochs.collect::<Vec<_>>(), [7, 7]);
}

#[test]
fn last_offset_can_be_set_too() {
    let mut bytes = batch(3).to_vec();
    let mut batch = RecordBatch::new(bytes.as_mut_slice()).expect("batch");
    batch.set_last_offset(1000);
    assert_eq!((batch.base_offset(), batch.last_offset(), batch.next_offset()), (998, 1000, 1001));
}

#[test]
fn log_append_time_is_stamped_on_all_records() {
    let mut bytes = batch(3).to_vec();
    let mut batch = RecordBatch::new(bytes.as_mut_slice()).expect("batch");
    batch.set_max_timestamp(TimestampType::LogAppendTime, 99);
    batch.set_producer_state(5, 1, 0);
    batch.ensure_valid().expect("checksum is new");
    assert_eq!((batch.timestamp_type(), batch.max_timestamp()), (TimestampType::LogAppendTime, 99));
    assert_eq!(batch.compression_type(), Ok(CompressionType::Lz4));
    assert_eq!((batch.producer_id(), batch.producer_epoch(), batch.last_sequence()), (5, 1, 2));
    let records = batch.records(&DecompressionLimits::default()).expect("records");
    assert!(records.iter().all(|record| record.expect("record").timestamp == 99));
}

#[test]
fn a_header_is_enough_to_walk_a_file() {
    let bytes = batch(3);
    let header = RecordBatchHeader::new(&bytes[..RECORD_BATCH_OVERHEAD]).expect("header");
    assert_eq!((header.size_in_bytes(), header.count()), (bytes.len(), 3));
    assert_eq!(peek_batch_size(&bytes[..HEADER_SIZE_UP_TO_MAGIC]), Ok(Some(bytes.len())));
    assert_eq!(peek_batch_size(&bytes[..HEADER_SIZE_UP_TO_MAGIC - 1]), Ok(None));
    assert!(matches!(RecordBatchHeader::new(&bytes[..60]), Err(RecordError::TooSmall { size: 60, .. })));
}

#[test]
fn what_is_no_batch_is_refused() {
    let good = batch(1).to_vec();
    let broken = |position: usize, bytes: &[u8]| {
        let mut broken = good.clone();
        broken[position..position + bytes.len()].copy_from_slice(bytes);
        RecordBatch::new(broken).map(|_| ())
    };
    assert_eq!(broken(16, &[1]), Err(RecordError::UnsupportedMagic(1)));
    assert_eq!(broken(16, &[1]).map_err(|error| error.code().code()), Err(87));
    assert_eq!(broken(16, &[3]).map_err(|error| error.code().code()), Err(2));
    assert_eq!(broken(8, &(-1i32).to_be_bytes()), Err(RecordError::InvalidLength(-1)));
    assert_eq!(broken(8, &48i32.to_be_bytes()), Err(RecordError::InvalidLength(48)));
    let actual = good.len();
    assert_eq!(broken(8, &49i32.to_be_bytes()), Err(RecordError::SizeMismatch { declared: 61, actual }));
    assert_eq!(broken(8, &i32::MAX.to_be_bytes()).map_err(|error| error.code().code()), Err(2));
}

#[test]
fn false_counts_and_codecs_are_told() {
    let limits = DecompressionLimits::default();
    let told = |position: usize, bytes: &[u8]| {
        let mut broken = MemoryRecords::with_records(CompressionType::None, &records(2))
            .expect("build")
            .into_bytes()
            .to_vec();
        broken[position..position + bytes.len()].copy_from_slice(bytes);
        let batch = RecordBatch::new(broken).expect("batch");
        let records = batch.records(&limits)?;
        records.iter().map(|record| record.map(|record| record.offset)).collect::<Result<Vec<_>, _>>()
    };
    assert_eq!(told(57, &(-1i32).to_be_bytes()), Err(RecordError::InvalidCount(-1)));
    assert!(matches!(told(57, &1i32.to_be_bytes()), Err(RecordError::TrailingBytes(_))));
    assert!(matches!(told(57, &i32::MAX.to_be_bytes()), Err(RecordError::UnexpectedEnd { .. })));
    assert_eq!(told(21, &7i16.to_be_bytes()), Err(RecordError::UnknownCompression(7)));
}

#[test]
fn builders_refuse_what_no_batch_can_say() {
    let value = Some(&b"v"[..]);
    let mut builder = RecordsBuilder::new(CompressionType::None).base_offset(10);
    assert_eq!(
        builder.append_with_offset(9, 0, None, value, &[]),
        Err(BuildError::OffsetOutOfRange { offset: 9, base_offset: 10 })
    );
    assert_eq!(builder.append(1, None, value, &[]), Ok(10));
    assert_eq!(
        builder.append_with_offset(10, 0, None, value, &[]),
        Err(BuildError::OffsetNotIncreasing { offset: 10, last: 10 })
    );
    let far = 11 + i64::from(i32::MAX);
    assert_eq!(
        builder.append_with_offset(far, 0, None, value, &[]),
        Err(BuildError::OffsetOutOfRange { offset: far, base_offset: 10 })
    );
    assert_eq!(builder.append(-2, None, value, &[]), Err(BuildError::NegativeTimestamp(-2)));
    assert_eq!(
        builder.append_control_record(0, ControlRecordType::Commit, b""),
        Err(BuildError::ControlMismatch)
    );
    assert_eq!((builder.count(), builder.next_offset()), (1, 11));

    assert_eq!(builder.clone().transactional(true).build(), Err(BuildError::TransactionalWithoutProducer));
    assert_eq!(builder.clone().producer(1, -1, 0).build(), Err(BuildError::NegativeProducerEpoch));
    assert_eq!(builder.clone().producer(1, 0, -1).build(), Err(BuildError::NegativeSequence));
    assert!(RecordsBuilder::new(CompressionType::None).build().expect("build").is_empty());
}

#[test]
fn room_is_told_exactly_in_the_clear() {
    let value = vec![7; 100];
    let mut builder = RecordsBuilder::new(CompressionType::None).write_limit(500);
    while builder.has_room_for(0, None, Some(&value), &[]) {
        builder.append(0, None, Some(&value), &[]).expect("append");
    }
    let size = builder.estimated_size_in_bytes();
    assert_eq!(builder.clone().build().expect("build").size_in_bytes(), size);
    builder.append(0, None, Some(&value), &[]).expect("append");
    assert!(size <= 500 && builder.estimated_size_in_bytes() > 500 && builder.is_full());
}

#[test]
fn sequences_wrap() {
    assert_eq!(increment_sequence(i32::MAX, 1), 0);
    assert_eq!(increment_sequence(i32::MAX - 1, 3), 1);
    assert_eq!(decrement_sequence(0, 1), i32::MAX);
    assert_eq!(decrement_sequence(5, 5), 0);
}

#[test]
fn control_keys_are_kafkas() {
    assert_eq!(ControlRecordType::KraftVoters.record_key(), [0, 0, 0, 6]);
    assert_eq!(ControlRecordType::parse(Some(&[0, 1, 0, 2, 9])), Ok(ControlRecordType::LeaderChange));
    assert_eq!(ControlRecordType::parse(Some(&[0, 0, 0, 99])), Ok(ControlRecordType::Unknown));
    assert_eq!(ControlRecordType::parse(Some(&[0, 0, 0])), Err(RecordError::InvalidControlKey));
    assert_eq!(ControlRecordType::parse(Some(&[0xff, 0xff, 0, 1])), Err(RecordError::InvalidControlKey));
    assert_eq!(ControlRecordType::parse(None), Err(RecordError::InvalidControlKey));
    let key = ControlRecordType::LeaderChange.record_key();
    assert_eq!(
        EndTransactionMarker::deserialize(Some(&key), Some(&[0; 6])),
        Err(RecordError::InvalidControlKey)
    );
}

#[test]
fn codecs_have_kafkas_names_and_levels() {
    for codec in CompressionType::ALL {
        assert_eq!(codec.name().parse(), Ok(codec));
        assert_eq!(CompressionType::from_id(codec.id()), Some(codec));
    }
    assert!("producer".parse::<CompressionType>().is_err());
    assert!(Compression::with_level(CompressionType::Gzip, 0).is_none());
    assert!(Compression::with_level(CompressionType::Gzip, -1).is_some());
    assert!(Compression::with_level(CompressionType::Snappy, 1).is_none());
    assert_eq!(Compression::with_level(CompressionType::Zstd, 22).map(|zstd| zstd.level()), Some(22));
}

#[test]
fn memory_can_be_transferred() {
    let records = MemoryRecords::new(Bytes::from_static(b"0123456789"));
    let transferable: &dyn TransferableRecords = &records;
    let mut buffer = [0; 4];
    assert_eq!(transferable.read_at(8, &mut buffer).expect("memory"), 2);
    assert_eq!(&buffer[..2], b"89");
    assert_eq!(transferable.read_at(11, &mut buffer).expect("memory"), 0);
    assert!(matches!(transferable.source(), TransferSource::Memory(bytes) if bytes.len() == 10));
}

use ottla_record::SimpleRecord;

use super::*;
use crate::test_support::{NOW, batch, marker, packed};

fn validate(
    config: &LogConfig,
    origin: AppendOrigin,
    records: Bytes,
) -> Result<ValidationResult, AppendError> {
    LogValidator { config, now_ms: NOW, leader_epoch: 4, origin }.validate(records, 100)
}

fn stored(result: &ValidationResult) -> RecordBatch {
    let batch = RecordBatch::new(result.records.to_bytes()).unwrap();
    batch.ensure_valid().unwrap();
    batch
}

#[test]
fn offsets_and_epoch_are_written_into_the_header() {
    for codec in CompressionType::ALL {
        let result = validate(&LogConfig::default(), AppendOrigin::Client, packed(codec, 3, NOW)).unwrap();
        let stored = stored(&result);
        assert_eq!((stored.base_offset(), stored.last_offset()), (100, 102));
        assert_eq!((stored.partition_leader_epoch(), stored.compression_type()), (4, Ok(codec)));
        assert_eq!((result.max_timestamp, result.last_offset, result.size_changed), (NOW, 102, false));
    }
}

#[test]
fn another_codec_packs_anew() {
    for (from, to) in
        [(CompressionType::None, CompressionType::Zstd), (CompressionType::Gzip, CompressionType::None)]
    {
        let config = LogConfig { compression: Some(Compression::of(to)), ..LogConfig::default() };
        let result = validate(&config, AppendOrigin::Client, packed(from, 5, NOW)).unwrap();
        let stored = stored(&result);
        assert!(result.size_changed);
        assert_eq!((stored.compression_type(), stored.count()), (Ok(to), 5));
        let records = stored.records(&DecompressionLimits::default()).unwrap();
        let offsets: Vec<i64> = records.iter().map(|r| r.unwrap().offset).collect();
        assert_eq!(offsets, [100, 101, 102, 103, 104]);
    }
}

#[test]
fn markers_stay_in_the_clear() {
    let config =
        LogConfig { compression: Some(Compression::of(CompressionType::Zstd)), ..LogConfig::default() };
    let result = validate(&config, AppendOrigin::Coordinator, marker(1, 0, true)).unwrap();
    assert_eq!(stored(&result).compression_type(), Ok(CompressionType::None));
}

#[test]
fn the_brokers_clock_stamps_if_told_to() {
    let config = LogConfig { message_timestamp_type: TimestampType::LogAppendTime, ..LogConfig::default() };
    for codec in [CompressionType::None, CompressionType::Snappy] {
        let result = validate(&config, AppendOrigin::Client, packed(codec, 2, 5)).unwrap();
        let stored = stored(&result);
        assert_eq!((stored.max_timestamp(), stored.timestamp_type()), (NOW, TimestampType::LogAppendTime));
        assert_eq!(result.max_timestamp, NOW);
    }
}

#[test]
fn timestamps_out_of_range_are_refused_one_by_one() {
    let config = LogConfig { message_timestamp_before_max_ms: 10, ..LogConfig::default() };
    for codec in [CompressionType::None, CompressionType::Lz4] {
        for timestamp in [NOW - 11, NOW + 3_600_001] {
            let error = validate(&config, AppendOrigin::Client, packed(codec, 2, timestamp)).unwrap_err();
            let AppendError::InvalidRecords { code, record_errors, .. } = error else { panic!("{error}") };
            assert_eq!((code, record_errors.len()), (ErrorCode::InvalidTimestamp, 2));
        }
        assert!(validate(&config, AppendOrigin::Client, packed(codec, 2, NOW - 10)).is_ok());
        assert!(
            validate(&config, AppendOrigin::Client, packed(codec, 2, -1)).is_ok(),
            "no timestamp is none"
        );
    }
    let future =
        validate(&LogConfig::default(), AppendOrigin::Client, packed(CompressionType::Lz4, 1, NOW * 2));
    assert_eq!(future.unwrap_err().code(), ErrorCode::InvalidTimestamp, "the header tells");
}

#[test]
fn compacted_topics_need_keys() {
    let config = LogConfig { compact: true, ..LogConfig::default() };
    let keyless = |codec| {
        let record = SimpleRecord::of_value(NOW, "v");
        RecordsBuilder::new(codec).build_from(&[record]).unwrap().into_bytes()
    };
    for codec in [CompressionType::None, CompressionType::Zstd] {
        let error = validate(&config, AppendOrigin::Client, keyless(codec)).unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidRecord);
        assert!(validate(&config, AppendOrigin::Client, packed(codec, 1, NOW)).is_ok());
    }
}

#[test]
fn headers_that_contradict_themselves_are_refused() {
    let counted = |count: i32| {
        let mut bytes = BytesMut::from(&batch(2, NOW)[..]);
        bytes[57..61].copy_from_slice(&count.to_be_bytes());
        bytes.freeze()
    };
    for count in [-1, 0, 1, 3] {
        let error = validate(&LogConfig::default(), AppendOrigin::Client, counted(count)).unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidRecord, "{count}");
    }
    let garbage = {
        let mut bytes = BytesMut::from(&batch(2, NOW)[..]);
        bytes[61] = 0x7f;
        bytes.freeze()
    };
    assert!(validate(&LogConfig::default(), AppendOrigin::Client, garbage).is_err());
}

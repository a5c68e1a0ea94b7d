//! Any batch comes back as it was, and no damage goes unnoticed or panics.

use bytes::Bytes;
use ottla_record::*;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::{option, sample};

fn some_bytes(max: usize) -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..max).prop_map(Bytes::from)
}

fn record() -> impl Strategy<Value = SimpleRecord> {
    let header =
        (some_bytes(8), option::of(some_bytes(20))).prop_map(|(key, value)| RecordHeader { key, value });
    (-1i64..i64::MAX, option::of(some_bytes(40)), option::of(some_bytes(300)), vec(header, 0..4))
        .prop_map(|(timestamp, key, value, headers)| SimpleRecord { timestamp, key, value, headers })
}

fn codec() -> impl Strategy<Value = CompressionType> {
    sample::select(CompressionType::ALL.to_vec())
}

fn read_all(bytes: Bytes, limits: DecompressionLimits) -> Result<Vec<OwnedRecord>, RecordError> {
    MemoryRecords::new(bytes).records(limits).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_written_is_read(records in vec(record(), 1..40), codec in codec(), base in 0i64..1 << 60) {
        let written = MemoryRecords::with_records_at(base, 3, codec, &records).expect("build");
        let batch = written.first_batch().expect("batch").expect("one");
        prop_assert_eq!(batch.ensure_valid(), Ok(()));
        prop_assert_eq!(batch.next_offset(), base + records.len() as i64);
        let read = read_all(written.into_bytes(), DecompressionLimits::default()).expect("records");
        let offsets: Vec<_> = read.iter().map(|record| record.offset).collect();
        prop_assert_eq!(offsets, (base..base + records.len() as i64).collect::<Vec<_>>());
        let read: Vec<SimpleRecord> = read.into_iter().map(Into::into).collect();
        prop_assert_eq!(read, records);
    }

    #[test]
    fn flipped_bits_are_noticed(
        records in vec(record(), 1..10),
        codec in codec(),
        position in any::<sample::Index>(),
        bit in 0u8..8,
    ) {
        let written = MemoryRecords::with_records(codec, &records).expect("build");
        let mut bytes = written.into_bytes().to_vec();
        // Base offset and leader epoch are the broker's to change, so the checksum leaves them out.
        let covered: Vec<_> = (8..12).chain(16..bytes.len()).collect();
        bytes[*position.get(&covered)] ^= 1 << bit;
        let noticed = RecordBatch::new(&bytes).and_then(|batch| batch.ensure_valid());
        prop_assert!(noticed.is_err());
        let _ = read_all(bytes.into(), DecompressionLimits::bytes(1 << 20));
    }

    #[test]
    fn damaged_records_never_panic(
        records in vec(record(), 1..10),
        codec in codec(),
        damage in vec((any::<sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut bytes = MemoryRecords::with_records(codec, &records).expect("build").into_bytes().to_vec();
        for (position, byte) in damage {
            let position = position.index(bytes.len() - RECORD_BATCH_OVERHEAD);
            bytes[RECORD_BATCH_OVERHEAD + position] = byte;
        }
        for record in read_all(bytes.into(), DecompressionLimits::bytes(1 << 20)).unwrap_or_default() {
            prop_assert!(record.size_in_bytes > 0);
        }
    }

    #[test]
    fn nonsense_never_panics(bytes in vec(any::<u8>(), 0..300), codec in codec()) {
        let _ = codec.decompress(&bytes, &DecompressionLimits::bytes(1 << 20));
        let _ = read_all(bytes.into(), DecompressionLimits::bytes(1 << 20));
    }

    #[test]
    fn every_cut_is_tolerated_or_told(records in vec(record(), 1..5), at in any::<sample::Index>()) {
        let one = MemoryRecords::with_records(CompressionType::None, &records).expect("build").into_bytes();
        let two = Bytes::from([one.clone(), one.clone()].concat());
        let cut = MemoryRecords::new(two.slice(..at.index(two.len())));
        let whole = cut.size_in_bytes() / one.len();
        prop_assert_eq!(cut.batches().collect::<Result<Vec<_>, _>>().expect("batches").len(), whole);
        prop_assert_eq!(cut.valid_bytes(), Ok(whole * one.len()));
        let tail = cut.size_in_bytes() > whole * one.len();
        prop_assert_eq!(cut.batches_strict().any(|batch| batch.is_err()), tail);
    }
}

#[test]
fn bombs_do_not_go_off() {
    let bomb = vec![SimpleRecord::of_value(0, vec![0; 3 << 20])];
    for codec in CompressionType::ALL.into_iter().skip(1) {
        let bytes = MemoryRecords::with_records(codec, &bomb).expect("build").into_bytes();
        let told = read_all(bytes.clone(), DecompressionLimits::bytes(1 << 20));
        assert_eq!(told, Err(RecordError::DecompressedTooLarge { limit: 1 << 20 }), "{codec}");
        assert_eq!(read_all(bytes, DecompressionLimits::default()).expect("records").len(), 1);
    }
}

#[test]
fn growth_is_bounded_by_ratio_beyond_what_is_free() {
    let limits = DecompressionLimits { bytes_max: usize::MAX, ratio_max: 10 };
    let zeros = vec![0; DecompressionLimits::RATIO_FREE_BYTES + 1];
    let mut packed = Vec::new();
    Compression::of(CompressionType::Zstd).compress(&zeros, &mut packed).expect("compress");
    let told = CompressionType::Zstd.decompress(&packed, &limits);
    assert!(matches!(told, Err(RecordError::DecompressedTooLarge { .. })));
}

#[test]
fn raw_and_chained_snappy_is_read() {
    let limits = DecompressionLimits::default();
    let raw = snap::raw::Encoder::new().compress_vec(b"plain snappy, plain snappy").expect("compress");
    assert_eq!(
        CompressionType::Snappy.decompress(&raw, &limits).expect("raw"),
        b"plain snappy, plain snappy"
    );
    let mut twice = Vec::new();
    for part in [&b"one "[..], b"two"] {
        Compression::of(CompressionType::Snappy).compress(part, &mut twice).expect("compress");
    }
    assert_eq!(CompressionType::Snappy.decompress(&twice, &limits).expect("chained"), b"one two");
}

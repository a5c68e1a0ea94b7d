//! Batches the Java client wrote, read here and written again.
//!
//! The fixtures are `tests/java/codec/Batches.java`'s. With `OTTLA_KAFKA_CLASSPATH` naming Kafka's jars, that
//! program also reads what is written here.

use std::process::Command;

use bytes::Bytes;
use ottla_record::*;

#[allow(dead_code)]
#[path = "../examples/batches.rs"]
mod batches;

const BASE: i64 = 12_345;

fn fixture(name: &str) -> MemoryRecords {
    let path = format!("{}/tests/fixtures/{name}.bin", env!("CARGO_MANIFEST_DIR"));
    MemoryRecords::new(std::fs::read(path).expect("fixture").into())
}

fn only_batch(records: &MemoryRecords) -> RecordBatch {
    let batches: Vec<_> = records.batches_strict().collect::<Result<_, _>>().expect("batches");
    assert_eq!(batches.len(), 1);
    batches[0].ensure_valid().expect("checksum");
    batches[0].clone()
}

/// What the fixtures called simple hold, the last at a distance.
fn append_simple(builder: &mut RecordsBuilder, base: i64) -> Result<(), BuildError> {
    let headers = [("h", Some("a")), ("h", Some("b")), ("n", None), ("e", Some("")), ("", Some("x"))]
        .map(|(key, value)| RecordHeader::new(key, value));
    builder.append(1000, Some(b"key"), Some(b"value"), &[])?;
    builder.append(1005, None, Some(b"v2"), &[])?;
    builder.append(990, Some(b"k3"), None, &[])?;
    builder.append(1001, Some(b""), Some(b""), &headers)?;
    builder.append_with_offset(base + 104, 1002, Some(b"gap"), Some(b"offset"), &[])
}

fn simple(mut builder: RecordsBuilder, base: i64) -> MemoryRecords {
    append_simple(&mut builder, base).expect("append");
    builder.build().expect("build")
}

fn big(compression: Compression) -> MemoryRecords {
    let mut builder = RecordsBuilder::new(compression);
    let mut seed = 1u64;
    for i in 0..2_000 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let value = format!(
            "value number {i} of many, with some noise {:x} and a tail that repeats itself and repeats itself",
            seed >> 40
        );
        let key = format!("key-{}", i % 17);
        builder
            .append(1_700_000_000_000 + i, Some(key.as_bytes()), Some(value.as_bytes()), &[])
            .expect("append");
    }
    builder.build().expect("build")
}

fn unpacked(records: &MemoryRecords) -> Vec<u8> {
    let batch = only_batch(records);
    let codec = batch.compression_type().expect("codec");
    codec.decompress(batch.records_data(), &DecompressionLimits::default()).expect("decompress")
}

#[test]
fn batches_in_the_clear_are_equal_byte_for_byte() {
    let new = || RecordsBuilder::new(CompressionType::None);
    let at_base = || new().base_offset(BASE).partition_leader_epoch(42);
    let marker = |committed| {
        let marker = EndTransactionMarker::new(committed, 9);
        MemoryRecords::with_end_transaction_marker(BASE, 1234, 42, 4711, 7, marker).expect("build")
    };
    let empty = EmptyBatch {
        base_offset: BASE,
        last_offset: BASE + 10,
        partition_leader_epoch: 42,
        timestamp_type: TimestampType::LogAppendTime,
        max_timestamp: 5555,
        producer_id: 4711,
        producer_epoch: 7,
        base_sequence: 3,
        transactional: true,
        control: false,
    };
    let cases = [
        ("simple-none", simple(new(), 0)),
        ("transactional", simple(at_base().producer(4711, 7, i32::MAX - 1).transactional(true), BASE)),
        ("log-append-time", simple(at_base().producer(4711, 7, 3).log_append_time(5555), BASE)),
        ("delete-horizon", simple(at_base().delete_horizon_ms(777), BASE)),
        ("commit-marker", marker(true)),
        ("abort-marker", marker(false)),
        ("empty", empty.build().expect("build")),
    ];
    for (name, ours) in cases {
        assert_eq!(fixture(name), ours, "{name}");
    }
}

#[test]
fn packed_batches_differ_in_the_codecs_bytes_at_most() {
    for codec in CompressionType::ALL.into_iter().filter(|codec| *codec != CompressionType::None) {
        for (name, ours) in
            [("simple", simple(RecordsBuilder::new(codec), 0)), ("big", big(Compression::of(codec)))]
        {
            let theirs = fixture(&format!("{name}-{codec}"));
            assert_eq!(unpacked(&theirs), unpacked(&ours), "{name}-{codec}");
            let (theirs, ours) = (only_batch(&theirs), only_batch(&ours));
            let header =
                |batch: &RecordBatch| (batch.as_slice()[..8].to_vec(), batch.as_slice()[21..61].to_vec());
            assert_eq!(header(&theirs), header(&ours), "{name}-{codec}");
            let frame = |batch: &RecordBatch| batch.records_data()[..6].to_vec();
            assert_eq!(frame(&theirs), frame(&ours), "{name}-{codec}");
            if matches!(codec, CompressionType::Snappy | CompressionType::Zstd) {
                assert_eq!(theirs, ours, "{name}-{codec}");
            }
        }
    }
}

#[test]
fn every_field_is_read() {
    let limits = DecompressionLimits::default();
    for codec in CompressionType::ALL {
        let records = fixture(&format!("simple-{codec}"));
        let batch = only_batch(&records);
        assert_eq!((batch.base_offset(), batch.last_offset(), batch.count()), (0, 104, 5));
        assert_eq!((batch.base_timestamp(), batch.max_timestamp()), (1000, 1005));
        assert_eq!(batch.compression_type(), Ok(codec));
        assert_eq!((batch.has_producer_id(), batch.last_sequence()), (false, NO_SEQUENCE));
        let read: Vec<_> = records.records(limits).collect::<Result<_, _>>().expect("records");
        assert_eq!(read.iter().map(|record| record.offset).collect::<Vec<_>>(), [0, 1, 2, 3, 104]);
        assert_eq!(
            read.iter().map(|record| record.timestamp).collect::<Vec<_>>(),
            [1000, 1005, 990, 1001, 1002]
        );
        assert_eq!((read[1].key.clone(), read[2].value.clone()), (None, None));
        let headers: Vec<_> = read[3].headers.iter().map(|h| (h.key.clone(), h.value.clone())).collect();
        let bytes = Bytes::from_static;
        let expected = [
            (bytes(b"h"), Some(bytes(b"a"))),
            (bytes(b"h"), Some(bytes(b"b"))),
            (bytes(b"n"), None),
            (bytes(b"e"), Some(bytes(b""))),
            (bytes(b""), Some(bytes(b"x"))),
        ];
        assert_eq!(headers, expected);
    }
}

#[test]
fn producer_state_and_time_are_read() {
    let limits = DecompressionLimits::default();
    let batch = only_batch(&fixture("transactional"));
    assert_eq!((batch.producer_id(), batch.producer_epoch()), (4711, 7));
    assert_eq!((batch.base_sequence(), batch.last_sequence()), (i32::MAX - 1, 102));
    assert!(batch.is_transactional() && !batch.is_control_batch());
    let records = batch.records(&limits).expect("records");
    let sequences: Vec<_> = records.iter().map(|record| record.expect("record").sequence).collect();
    assert_eq!(sequences, [i32::MAX - 1, i32::MAX, 0, 1, 102]);

    let batch = only_batch(&fixture("log-append-time"));
    assert_eq!((batch.timestamp_type(), batch.max_timestamp()), (TimestampType::LogAppendTime, 5555));
    let records = batch.records(&limits).expect("records");
    assert!(records.iter().all(|record| record.expect("record").timestamp == 5555));

    let batch = only_batch(&fixture("delete-horizon"));
    assert_eq!(batch.delete_horizon_ms(), Some(777));
    let first =
        batch.records(&limits).expect("records").iter().next().expect("one").expect("record").timestamp;
    assert_eq!(first, 1000);

    let empty = only_batch(&fixture("empty"));
    assert_eq!((empty.count(), empty.last_offset(), empty.size_in_bytes()), (0, BASE + 10, 61));
    assert_eq!(empty.records(&limits).expect("records").iter().count(), 0);
}

#[test]
fn markers_are_read() {
    for (name, committed) in [("commit-marker", true), ("abort-marker", false)] {
        let batch = only_batch(&fixture(name));
        assert!(batch.is_control_batch() && batch.is_transactional());
        let records = batch.records(&DecompressionLimits::default()).expect("records");
        let record = records.iter().next().expect("one").expect("record");
        let marker = EndTransactionMarker::deserialize(record.key, record.value);
        assert_eq!(marker, Ok(EndTransactionMarker::new(committed, 9)));
    }
}

#[test]
fn kafka_reads_every_codec_and_shape() {
    let Ok(classpath) = std::env::var("OTTLA_KAFKA_CLASSPATH") else {
        eprintln!("skipped: OTTLA_KAFKA_CLASSPATH is not set");
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("batches");
    let written = batches::all_shapes().expect("batches");
    std::fs::write(&file, &written).expect("a file");
    let mut ours = Vec::new();
    batches::dump(&MemoryRecords::new(written.into()), &mut ours).expect("dump");
    let program = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/java/codec/Batches.java");
    let java =
        Command::new("java").args(["-Xmx256m", "-cp", &classpath, program, "dump"]).arg(&file).output();
    let java = java.expect("java runs");
    assert!(java.status.success(), "{}", String::from_utf8_lossy(&java.stderr));
    let (ours, theirs) = (String::from_utf8_lossy(&ours), String::from_utf8_lossy(&java.stdout));
    for (line, (ours, theirs)) in ours.lines().zip(theirs.lines()).enumerate() {
        assert_eq!(ours, theirs, "line {line}");
    }
    assert_eq!(ours.len(), theirs.len());
}

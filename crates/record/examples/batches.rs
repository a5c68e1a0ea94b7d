//! Exchanges batches with another implementation.
//!
//! `batches write FILE` writes batches of every codec and shape, `batches dump FILE` prints what a file of
//! batches (a log segment, too) says. A foreign reader must print the same of what is written here, and the
//! dump must print of foreign batches what their writer meant. A line per batch:
//!
//! `batch BASE LAST CODEC TIMESTAMP_TYPE MAX_TS PID EPOCH FIRST_SEQ LAST_SEQ TXN CONTROL LEADER_EPOCH HORIZON COUNT SIZE`
//!
//! and one per record, `OFFSET TIMESTAMP SEQUENCE KEY VALUE (HEADER=VALUE)*`, where bytes are shown as
//! `LENGTH:CRC32` (zlib's) or `null`.

use std::error::Error;
use std::io::{self, BufWriter, Write};

use bytes::Bytes;
use ottla_record::{
    Compression, CompressionType, DecompressionLimits, EndTransactionMarker, MemoryRecords, RecordBatch,
    RecordHeader, RecordsBuilder, SimpleRecord,
};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["write", file] => Ok(std::fs::write(file, all_shapes()?)?),
        ["dump", file] => {
            let mut out = BufWriter::new(io::stdout().lock());
            dump(&MemoryRecords::new(std::fs::read(file)?.into()), &mut out)?;
            Ok(out.flush()?)
        }
        _ => Err("usage: batches write FILE | batches dump FILE".into()),
    }
}

/// Batches of every codec, level and shape, one after the other.
pub(crate) fn all_shapes() -> Result<Vec<u8>, Box<dyn Error>> {
    let mut out = Vec::new();
    let mut offset = 0;
    let mut add = |records: MemoryRecords| {
        out.extend_from_slice(records.as_ref());
    };
    for codec in CompressionType::ALL {
        let levels = codec.levels().map_or(vec![], |levels| vec![levels.min.max(-5), levels.max]);
        let leveled = levels.into_iter().filter_map(|level| Compression::with_level(codec, level));
        for compression in leveled.chain([Compression::of(codec)]) {
            for records in [few(), many(), noise()] {
                let builder = RecordsBuilder::new(compression).base_offset(offset).partition_leader_epoch(3);
                add(builder.clone().build_from(&records)?);
                add(builder
                    .clone()
                    .producer(4711, 2, i32::MAX - 1)
                    .transactional(true)
                    .build_from(&records)?);
                add(builder.log_append_time(1_800_000_000_000).build_from(&records)?);
                offset += records.len() as i64;
            }
        }
    }
    for committed in [true, false] {
        let marker = EndTransactionMarker::new(committed, 5);
        add(MemoryRecords::with_end_transaction_marker(offset, 99, 3, 4711, 2, marker)?);
        offset += 1;
    }
    Ok(out)
}

fn few() -> Vec<SimpleRecord> {
    let value = Bytes::from_static;
    vec![
        SimpleRecord::new(1000, Some("key"), Some("value")),
        SimpleRecord::of_value(-1, "no key, no time"),
        SimpleRecord::new(990, Some("tombstone"), None::<Bytes>),
        SimpleRecord::new(1001, Some(""), Some("")).with_headers(vec![
            RecordHeader::new("twice", Some(value(b"a"))),
            RecordHeader::new("twice", Some(value(b"b"))),
            RecordHeader::new("null", None::<Bytes>),
            RecordHeader::new("", Some(value(b""))),
        ]),
    ]
}

/// Packs well, and is larger than every codec's block.
fn many() -> Vec<SimpleRecord> {
    let record = |i| SimpleRecord::new(i, Some(format!("key-{}", i % 17)), Some(format!("{i} ").repeat(60)));
    (0..1_000).map(record).collect()
}

/// Does not pack at all.
fn noise() -> Vec<SimpleRecord> {
    let mut state = 1u64;
    let mut byte = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..3).map(|i| SimpleRecord::of_value(i, (0..90_000).map(|_| byte()).collect::<Vec<_>>())).collect()
}

/// Prints batches and records.
pub(crate) fn dump(records: &MemoryRecords, out: &mut impl Write) -> Result<(), Box<dyn Error>> {
    for batch in records.batches_strict() {
        let batch = batch?;
        batch.ensure_valid()?;
        dump_batch(&batch, out)?;
    }
    Ok(())
}

fn dump_batch(batch: &RecordBatch, out: &mut impl Write) -> Result<(), Box<dyn Error>> {
    write!(out, "batch {} {} {}", batch.base_offset(), batch.last_offset(), batch.compression_type()?)?;
    write!(out, " {} {}", batch.timestamp_type(), batch.max_timestamp())?;
    write!(out, " {} {}", batch.producer_id(), batch.producer_epoch())?;
    write!(out, " {} {}", batch.base_sequence(), batch.last_sequence())?;
    write!(out, " {} {}", batch.is_transactional(), batch.is_control_batch())?;
    write!(out, " {} {}", batch.partition_leader_epoch(), batch.delete_horizon_ms().unwrap_or(-1))?;
    writeln!(out, " {} {}", batch.count(), batch.size_in_bytes())?;
    for record in &batch.records(&DecompressionLimits::default())? {
        let record = record?;
        write!(out, "{} {} {}", record.offset, record.timestamp, record.sequence)?;
        write!(out, " {} {}", digest(record.key), digest(record.value))?;
        for header in record.headers.iter() {
            write!(out, " {}={}", header.key_str(), digest(header.value))?;
        }
        writeln!(out)?;
    }
    Ok(())
}

fn digest(bytes: Option<&[u8]>) -> String {
    bytes.map_or("null".to_owned(), |bytes| {
        let mut crc = flate2::Crc::new();
        crc.update(bytes);
        format!("{}:{:x}", bytes.len(), crc.sum())
    })
}

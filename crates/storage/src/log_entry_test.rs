//! Logs from before Kafka 0.11, and what Ottla appends to them.

use std::path::{Path, PathBuf};

use ottla_record::{Compression, CompressionType};
use proptest::prelude::*;

use crate::fs::FileSystem;
use crate::test_support::*;
use crate::{AppendError, FetchIsolation, ReadError, UnifiedLog};

/// A message of an old format, or several of them, and what a reader must find.
#[derive(Debug, Clone)]
struct Entry {
    magic: u8,
    codec: CompressionType,
    timestamps: Vec<i64>,
    value_size: usize,
}

impl Entry {
    fn bytes(&self, base: i64) -> Vec<u8> {
        let inner = |(i, timestamp): (usize, &i64)| {
            let relative = self.magic == 1 && self.codec != CompressionType::None;
            let offset = if relative { i as i64 } else { base + i as i64 };
            message(self.magic, 0, offset, *timestamp, &vec![i as u8; self.value_size])
        };
        let messages: Vec<u8> = self.timestamps.iter().enumerate().flat_map(inner).collect();
        if self.codec == CompressionType::None {
            return messages;
        }
        let mut packed = Vec::new();
        Compression::of(self.codec).compress(&messages, &mut packed).unwrap();
        let last = base + self.timestamps.len() as i64 - 1;
        message(self.magic, self.codec.id() as u8, last, *self.timestamps.iter().max().unwrap(), &packed)
    }

    /// What a reader sees: format v0 had no timestamps.
    fn timestamp(&self, i: usize) -> i64 {
        if self.magic == 0 { -1 } else { self.timestamps[i] }
    }
}

fn message(magic: u8, attributes: u8, offset: i64, timestamp: i64, value: &[u8]) -> Vec<u8> {
    let mut covered = vec![magic, attributes];
    if magic == 1 {
        covered.extend_from_slice(&timestamp.to_be_bytes());
    }
    covered.extend_from_slice(&(-1_i32).to_be_bytes());
    covered.extend_from_slice(&(value.len() as i32).to_be_bytes());
    covered.extend_from_slice(value);
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

fn log_path() -> PathBuf {
    Path::new(DIR).join("00000000000000000000.log")
}

fn old_log(content: &[u8]) -> Bench {
    let mut bench = Bench::new();
    bench.config.index_interval_bytes = 200;
    bench.disk.create_dir_all(Path::new(DIR)).unwrap();
    bench.disk.put(&log_path(), content.to_vec());
    bench
}

fn read_bytes(log: &UnifiedLog, from: i64) -> Vec<u8> {
    let found = log.read(from, 1 << 20, FetchIsolation::LogEnd, true).unwrap();
    found.records.read_all().unwrap().to_vec()
}

#[test]
fn logs_that_java_wrote_are_served_and_grow() {
    for line in include_str!("../../record/tests/fixtures/legacy.txt").lines() {
        let hex = line.rsplit(' ').next().unwrap();
        let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        let old: Vec<u8> = (0..hex.len()).step_by(2).map(byte).collect();
        let mut bench = old_log(&old);
        let log = bench.open();
        assert_eq!(log.log_end_offset(), 103, "{line}");
        assert_eq!(read_bytes(&log, 0), old);
        assert_eq!(append(&log, batch(2, NOW)).first_offset, 103);
        let found = log.fetch_offset_by_timestamp(1_500_000_000_006).unwrap().unwrap();
        let expected = match line {
            line if line.starts_with('0') => 103,
            line if line.contains("append-time") => 100,
            _ => 101,
        };
        assert_eq!((found.offset, found.leader_epoch.is_some()), (expected, expected == 103), "{line}");
        log.close().unwrap();
        bench.clean = true;
        let log = bench.open();
        assert_eq!(log.log_end_offset(), 105);
        assert!(read_bytes(&log, 0).starts_with(&old) && !read_bytes(&log, 103).is_empty());
    }
}

#[test]
fn nobody_can_append_an_old_format() {
    let log = Bench::new().open();
    for magic in [0, 1] {
        let error = try_append(&log, message(magic, 0, 0, 5, b"v").into()).unwrap_err();
        assert!(matches!(error, AppendError::Record(_)), "{error:?}");
    }
    assert_eq!(log.log_end_offset(), 0);
}

#[test]
fn a_torn_or_damaged_old_message_is_cut_off() {
    let whole: Vec<u8> = (0..3).flat_map(|offset| message(1, 0, offset, offset, b"value")).collect();
    let size = whole.len() / 3;
    for len in 0..=whole.len() {
        let log = old_log(&whole[..len]).open();
        assert_eq!((log.size() as usize, log.log_end_offset()), (len / size * size, (len / size) as i64));
    }
    for at in size + 8..2 * size {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x10;
        assert_eq!(old_log(&damaged).open().log_end_offset(), 1, "{at}");
    }
}

#[test]
fn a_wrapper_that_cannot_be_unpacked_fails_the_search_only() {
    let bench = old_log(&message(1, 1, 7, 1000, b"no gzip"));
    let log = bench.open();
    assert_eq!(log.log_end_offset(), 8);
    assert!(matches!(log.fetch_offset_by_timestamp(10), Err(ReadError::Record(_))));
    assert_eq!(read_bytes(&log, 3), bench.disk.content(&log_path()).unwrap());
}

fn entries() -> impl Strategy<Value = Vec<Entry>> {
    let codec = prop::sample::select(vec![
        CompressionType::None,
        CompressionType::Gzip,
        CompressionType::Snappy,
        CompressionType::Lz4,
    ]);
    let timestamps = prop::collection::vec(0_i64..1000, 1..6);
    let entry = (0_u8..2, codec, timestamps, 0_usize..120);
    let entry = entry.prop_map(|(magic, codec, timestamps, value_size)| Entry {
        magic,
        codec,
        timestamps,
        value_size,
    });
    prop::collection::vec(entry, 1..30)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn old_logs_are_read_as_they_are(entries in entries(), from in any::<prop::sample::Index>(), time in 0_i64..1100) {
        let (mut content, mut offsets, mut starts) = (Vec::new(), Vec::new(), Vec::new());
        for entry in &entries {
            let base = offsets.len() as i64;
            let start = content.len();
            content.extend(entry.bytes(base));
            for i in 0..entry.timestamps.len() {
                offsets.push(entry.timestamp(i));
                let single = entry.codec == CompressionType::None;
                starts.push(start + if single { i * (content.len() - start) / entry.timestamps.len() } else { 0 });
            }
        }
        let mut bench = old_log(&content);
        let log = bench.open();
        let end = offsets.len() as i64;
        prop_assert_eq!(log.log_end_offset(), end);
        let from = from.index(offsets.len());
        prop_assert_eq!(&read_bytes(&log, from as i64)[..], &content[starts[from]..]);
        let expected = offsets.iter().position(|timestamp| *timestamp >= time).map(|at| at as i64);
        let found = log.fetch_offset_by_timestamp(time).unwrap().map(|found| found.offset);
        // A segment without timestamps is as old as its file, and then there is nothing to be found in it.
        prop_assert_eq!(found, expected);
        // The first start rebuilt the indexes, and the next one finds its way by them.
        log.close().unwrap();
        bench.clean = true;
        let log = bench.open();
        prop_assert_eq!(log.log_end_offset(), end);
        prop_assert_eq!(&read_bytes(&log, from as i64)[..], &content[starts[from]..]);
        let found = log.fetch_offset_by_timestamp(time).unwrap().map(|found| found.offset);
        prop_assert_eq!(found, expected);
    }
}

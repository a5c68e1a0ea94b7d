//! Indexes and snapshots of producers: small files of fixed entries.

use std::path::Path;

use super::batches::{BatchReader, optional_long};
use super::{Settings, absolute, base_offset};
use crate::error::{Result, failed};
use crate::output::{errln, outln};

const OFFSET_ENTRY_BYTES: usize = 8;
const TIME_ENTRY_BYTES: usize = 12;
const TXN_ENTRY_BYTES: usize = 34;

fn read(path: &Path) -> Result<Vec<u8>> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(bytes),
        Err(error) => failed(format!("{}: {error}", path.display())),
    }
}

fn number<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut number = [0; N];
    if let Some(part) = bytes.get(at..at + N) {
        number.copy_from_slice(part);
    }
    number
}

fn i32_at(bytes: &[u8], at: usize) -> i32 {
    i32::from_be_bytes(number(bytes, at))
}

fn i64_at(bytes: &[u8], at: usize) -> i64 {
    i64::from_be_bytes(number(bytes, at))
}

/// The entries of an offset index: offset and position.
fn offset_entries(bytes: &[u8], base: i64) -> impl Iterator<Item = (i64, u64)> {
    bytes
        .chunks_exact(OFFSET_ENTRY_BYTES)
        .map(move |e| (base + i64::from(i32_at(e, 0)), i32_at(e, 4).max(0) as u64))
}

/// Batches of the segment: last offset, position and the largest timestamp of a record.
struct Segment {
    batches: Vec<(i64, u64, i64)>,
}

impl Segment {
    fn read(index: &Path) -> Result<Self> {
        let mut reader = BatchReader::open(&index.with_extension("log"), u64::MAX)?;
        let mut batches = Vec::new();
        loop {
            let position = reader.position;
            let Some(batch) = reader.next()? else { return Ok(Self { batches }) };
            batches.push((batch.last_offset(), position, batch.max_timestamp()));
        }
    }

    fn last_offset_at(&self, position: u64) -> Option<i64> {
        let place = self.batches.binary_search_by_key(&position, |(_, at, _)| *at).ok()?;
        Some(self.batches[place].0)
    }

    fn containing(&self, offset: i64) -> Option<(i64, i64)> {
        let place = self.batches.partition_point(|(last, _, _)| *last < offset);
        self.batches.get(place).map(|(last, _, timestamp)| (*last, *timestamp))
    }
}

fn check_sanity(path: &Path, bytes: &[u8], entry_bytes: usize, last: Option<i64>) -> Result {
    let base = base_offset(path)?;
    if !bytes.len().is_multiple_of(entry_bytes) {
        return failed(format!(
            "Index file {} is corrupt, found {} bytes which is neither positive nor a multiple of {entry_bytes}.",
            absolute(path),
            bytes.len()
        ));
    }
    if last.is_some_and(|last| last < base) {
        return failed(format!(
            "Corrupt index found, index file ({}) has a last offset below the base offset {base}",
            absolute(path)
        ));
    }
    outln!("{} passed sanity check.", path.display());
    Ok(())
}

/// Shows an `.index` and compares it with its log.
pub(super) fn dump_offset_index(path: &Path, settings: &Settings, complaints: &mut Vec<String>) -> Result {
    let base = base_offset(path)?;
    let bytes = read(path)?;
    if bytes.len() < OFFSET_ENTRY_BYTES {
        outln!("{} is empty.", path.display());
        return Ok(());
    }
    if settings.sanity_only {
        return check_sanity(
            path,
            &bytes,
            OFFSET_ENTRY_BYTES,
            offset_entries(&bytes, base).last().map(|e| e.0),
        );
    }
    let segment = Segment::read(path)?;
    let mut mismatches = Vec::new();
    for (i, (offset, position)) in offset_entries(&bytes, base).enumerate() {
        // A crash leaves zeros behind the last entry.
        if offset == base && i > 0 {
            break;
        }
        match segment.last_offset_at(position) {
            Some(last) if last == offset => {}
            found => mismatches.push((offset, found.unwrap_or(-1))),
        }
        if !settings.verify_only {
            outln!("offset: {offset} position: {position}");
        }
    }
    if !mismatches.is_empty() {
        complaints.push(format!("Mismatches in :{}", absolute(path)));
        let line = |(index, log): &(i64, i64)| format!("  Index offset: {index}, log offset: {log}");
        complaints.extend(mismatches.iter().rev().map(line));
    }
    Ok(())
}

/// Shows a `.timeindex` and compares it with its log.
pub(super) fn dump_time_index(path: &Path, settings: &Settings, complaints: &mut Vec<String>) -> Result {
    let base = base_offset(path)?;
    let bytes = read(path)?;
    let entries =
        || bytes.chunks_exact(TIME_ENTRY_BYTES).map(|e| (i64_at(e, 0), base + i64::from(i32_at(e, 8))));
    if settings.sanity_only {
        return check_sanity(path, &bytes, TIME_ENTRY_BYTES, entries().next_back().map(|e| e.1));
    }
    let segment = Segment::read(path)?;
    let (mut wrong, mut disordered, mut missing) = (Vec::new(), Vec::new(), Vec::new());
    let mut before = -1;
    for (i, (timestamp, offset)) in entries().enumerate() {
        // A crash leaves zeros behind the last entry.
        if offset == base && i > 0 {
            break;
        }
        match segment.containing(offset) {
            Some((last, largest)) if last == offset => {
                if largest != timestamp {
                    wrong.push(format!("  Index timestamp: {timestamp}, log timestamp: {largest}"));
                }
                if before >= timestamp {
                    disordered.push(format!(
                        "  Index timestamp: {timestamp}, Previously indexed timestamp: {before}"
                    ));
                }
            }
            found => {
                let found = found.map_or(-1, |(last, _)| last);
                missing.push(format!("Indexed offset: {offset}, found log offset: {found}"));
            }
        }
        if !settings.verify_only {
            outln!("timestamp: {timestamp} offset: {offset}");
        }
        before = timestamp;
    }
    let groups = [
        ("Found timestamp mismatch in :", wrong),
        ("Found out of order timestamp in :", disordered),
        ("The following indexed offsets are not found in :", missing),
    ];
    for (head, lines) in groups.into_iter().filter(|(_, lines)| !lines.is_empty()) {
        complaints.push(format!("{head}{}", absolute(path)));
        complaints.extend(lines);
    }
    Ok(())
}

/// Shows a `.txnindex`.
pub(super) fn dump_txn_index(path: &Path) -> Result {
    for entry in read(path)?.chunks_exact(TXN_ENTRY_BYTES) {
        let version = i16::from_be_bytes(number(entry, 0));
        outln!(
            "version: {version} producerId: {} firstOffset: {} lastOffset: {} lastStableOffset: {}",
            i64_at(entry, 2),
            i64_at(entry, 10),
            i64_at(entry, 18),
            i64_at(entry, 26)
        );
    }
    Ok(())
}

/// Shows a producer `.snapshot`.
pub(super) fn dump_producer_snapshot(path: &Path) -> Result {
    const HEAD_BYTES: usize = 10;
    const CRC_OFFSET: usize = 6;
    const ENTRY_BYTES: usize = 46;
    let bytes = read(path)?;
    let count = usize::try_from(i32_at(&bytes, CRC_OFFSET)).unwrap_or(0);
    let crc = u32::from_be_bytes(number(&bytes, 2));
    let whole = count.checked_mul(ENTRY_BYTES).map(|size| size + HEAD_BYTES);
    let sound = whole == Some(bytes.len()) && bytes.get(CRC_OFFSET..).map(crc32c::crc32c) == Some(crc);
    if !sound {
        errln!("Snapshot is corrupt: size or checksum is wrong in {}", path.display());
        return Ok(());
    }
    for entry in bytes[HEAD_BYTES..].chunks_exact(ENTRY_BYTES) {
        let (last_sequence, last_offset, delta) = (i32_at(entry, 10), i64_at(entry, 14), i32_at(entry, 22));
        let (timestamp, transaction) = (i64_at(entry, 26), i64_at(entry, 38));
        let mut line = format!(
            "producerId: {} producerEpoch: {} coordinatorEpoch: {} currentTxnFirstOffset: {} lastTimestamp: {timestamp}",
            i64_at(entry, 0),
            i16::from_be_bytes(number(entry, 8)),
            i32_at(entry, 34),
            optional_long((transaction >= 0).then_some(transaction)),
        );
        if last_offset >= 0 {
            let first_sequence = ottla_record::decrement_sequence(last_sequence, delta);
            line.push_str(&format!(
                " firstSequence: {first_sequence} lastSequence: {last_sequence} lastOffset: {last_offset} \
                 offsetDelta: {delta} timestamp: {timestamp}"
            ));
        }
        outln!("{line}");
    }
    Ok(())
}

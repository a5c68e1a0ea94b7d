//! Segments and snapshots: batches and their records.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::Path;

use bytes::Bytes;
use ottla_record::{
    ControlRecordType, DecompressionLimits, EndTransactionMarker, LOG_OVERHEAD, Record, RecordBatch,
};

use super::decode::{self, Parsed};
use super::{Settings, absolute, base_offset};
use crate::error::{Result, failed};
use crate::output::end_on_broken_pipe;

const RECORD_INDENT: &str = "|";

/// Reads the batches of a file one after another.
pub(super) struct BatchReader {
    file: BufReader<File>,
    /// Bytes of the file that may be read.
    pub(super) size: u64,
    /// Where the next batch begins.
    pub(super) position: u64,
}

impl BatchReader {
    pub(super) fn open(path: &Path, max_bytes: u64) -> Result<Self> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) => return failed(format!("{}: {error}", path.display())),
        };
        let size = file.metadata()?.len().min(max_bytes);
        Ok(Self { file: BufReader::with_capacity(1 << 16, file), size, position: 0 })
    }

    /// The next whole batch; `None` where the rest is none.
    pub(super) fn next(&mut self) -> Result<Option<RecordBatch>> {
        let left = self.size - self.position;
        if left < LOG_OVERHEAD as u64 {
            return Ok(None);
        }
        let mut head = [0; LOG_OVERHEAD];
        self.file.read_exact(&mut head)?;
        let length = i32::from_be_bytes([head[8], head[9], head[10], head[11]]);
        // The length was checked against what the file holds before memory is taken.
        let size = u64::try_from(length).map_or(u64::MAX, |length| length + LOG_OVERHEAD as u64);
        if size > left {
            return Ok(None);
        }
        let mut bytes = vec![0; size as usize];
        bytes[..LOG_OVERHEAD].copy_from_slice(&head);
        self.file.read_exact(&mut bytes[LOG_OVERHEAD..])?;
        let Ok(batch) = RecordBatch::new(Bytes::from(bytes)) else { return Ok(None) };
        self.position += size;
        Ok(Some(batch))
    }
}

/// Shows a segment or snapshot.
pub(super) fn dump(path: &Path, settings: &Settings, complaints: &mut Vec<String>) -> Result {
    let mut out = BufWriter::new(std::io::stdout().lock());
    end_on_broken_pipe(writeln!(out, "{}", head_line(path)?));
    let mut reader = BatchReader::open(path, settings.max_bytes)?;
    let mut last_offset = -1;
    let mut gaps = Vec::new();
    let mut line = String::new();
    loop {
        let position = reader.position;
        let Some(batch) = reader.next()? else { break };
        line.clear();
        describe_batch(&batch, position, &mut line);
        if settings.deep {
            describe_records(&batch, settings, &mut last_offset, &mut gaps, &mut line)?;
        }
        end_on_broken_pipe(out.write_all(line.as_bytes()));
    }
    let trailing = reader.size - reader.position;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if trailing > 0 && settings.max_bytes == i32::MAX as u64 {
        end_on_broken_pipe(writeln!(out, "Found {trailing} invalid bytes at the end of {name}"));
    }
    end_on_broken_pipe(out.flush());
    if !gaps.is_empty() {
        complaints.push(format!("Non-consecutive offsets in {}", absolute(path)));
        complaints.extend(gaps.iter().map(|(before, after)| format!("  {before} is followed by {after}")));
    }
    Ok(())
}

fn head_line(path: &Path) -> Result<String> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if name == "bootstrap.checkpoint" {
        return Ok("KRaft bootstrap snapshot".to_owned());
    }
    if let Some(id) = name.strip_suffix(".checkpoint") {
        let Some((offset, epoch)) =
            id.split_once('-').and_then(|(o, e)| Some((o.parse::<i64>().ok()?, e.parse::<i32>().ok()?)))
        else {
            return failed(format!("{name}: a snapshot is named <offset>-<epoch>.checkpoint"));
        };
        return Ok(format!("Snapshot end offset: {offset}, epoch: {epoch}"));
    }
    Ok(format!("Log starting offset: {}", base_offset(path)?))
}

fn describe_batch(batch: &RecordBatch, position: u64, line: &mut String) {
    let horizon = batch.delete_horizon_ms();
    let codec = batch.compression_type().map_or_else(|e| e.to_string(), |codec| codec.name().to_owned());
    // Writing to a String cannot fail.
    let _ = writeln!(
        line,
        "baseOffset: {} lastOffset: {} count: {} baseSequence: {} lastSequence: {} producerId: {} \
         producerEpoch: {} partitionLeaderEpoch: {} isTransactional: {} isControl: {} deleteHorizonMs: {} \
         position: {position} {}: {} size: {} magic: {} compresscodec: {codec} crc: {} isvalid: {}",
        batch.base_offset(),
        batch.last_offset(),
        batch.count(),
        batch.base_sequence(),
        batch.last_sequence(),
        batch.producer_id(),
        batch.producer_epoch(),
        batch.partition_leader_epoch(),
        batch.is_transactional(),
        batch.is_control_batch(),
        optional_long(horizon),
        batch.timestamp_type().name(),
        batch.max_timestamp(),
        batch.size_in_bytes(),
        batch.magic(),
        batch.crc(),
        batch.is_valid(),
    );
}

/// A maybe missing number as Java prints it.
pub(super) fn optional_long(value: Option<i64>) -> String {
    value.map_or_else(|| "OptionalLong.empty".to_owned(), |value| format!("OptionalLong[{value}]"))
}

fn describe_records(
    batch: &RecordBatch,
    settings: &Settings,
    last_offset: &mut i64,
    gaps: &mut Vec<(i64, i64)>,
    line: &mut String,
) -> Result {
    let limits = DecompressionLimits::default();
    let records = match batch.records(&limits) {
        Ok(records) => records,
        Err(error) => return failed(format!("batch at offset {}: {error}", batch.base_offset())),
    };
    for record in &records {
        let record = match record {
            Ok(record) => record,
            Err(error) => return failed(format!("batch at offset {}: {error}", batch.base_offset())),
        };
        if record.offset != *last_offset + 1 {
            gaps.push((*last_offset, record.offset));
        }
        *last_offset = record.offset;
        if !settings.skip_metadata {
            describe_record(batch, &record, line);
        }
        if settings.print_data && !batch.is_control_batch() {
            let lead = if settings.skip_metadata { RECORD_INDENT } else { "" };
            describe_contents(settings.decoder.parse(&record), lead, line);
        }
        line.push('\n');
    }
    Ok(())
}

fn describe_contents(parsed: Parsed, lead: &str, line: &mut String) {
    let mut lead = lead;
    if let Some(key) = parsed.key {
        line.push_str(&format!("{lead} key: {key}"));
        lead = "";
    }
    if let Some(value) = parsed.value {
        line.push_str(&format!("{lead} payload: {value}"));
    }
}

fn describe_record(batch: &RecordBatch, record: &Record<'_>, line: &mut String) {
    let size = |bytes: Option<&[u8]>| bytes.map_or(-1, |bytes| bytes.len() as i64);
    let headers: Vec<_> = record.headers.iter().map(|header| header.key_str().into_owned()).collect();
    // Writing to a String cannot fail.
    let _ = write!(
        line,
        "{RECORD_INDENT} offset: {} {}: {} keySize: {} valueSize: {} sequence: {} headerKeys: [{}]",
        record.offset,
        batch.timestamp_type().name(),
        record.timestamp,
        size(record.key),
        size(record.value),
        record.sequence,
        headers.join(","),
    );
    if batch.is_control_batch() {
        describe_control(record, line);
    }
}

fn describe_control(record: &Record<'_>, line: &mut String) {
    let kind = ControlRecordType::parse(record.key).unwrap_or(ControlRecordType::Unknown);
    let value = record.value.unwrap_or_default();
    let text = match kind {
        ControlRecordType::Abort | ControlRecordType::Commit => {
            let name = if kind == ControlRecordType::Commit { "COMMIT" } else { "ABORT" };
            let epoch = EndTransactionMarker::deserialize(record.key, record.value)
                .map_or(-1, |m| m.coordinator_epoch);
            format!(" endTxnMarker: {name} coordinatorEpoch: {epoch}")
        }
        ControlRecordType::LeaderChange => {
            format!(" LeaderChange: {}", decode::control_json("LeaderChangeMessage", value))
        }
        ControlRecordType::SnapshotHeader => {
            format!(" SnapshotHeader {}", decode::control_json("SnapshotHeaderRecord", value))
        }
        ControlRecordType::SnapshotFooter => {
            format!(" SnapshotFooter {}", decode::control_json("SnapshotFooterRecord", value))
        }
        ControlRecordType::KraftVersion => {
            format!(" KRaftVersion {}", decode::control_json("KRaftVersionRecord", value))
        }
        ControlRecordType::KraftVoters => {
            format!(" KRaftVoters {}", decode::control_json("VotersRecord", value))
        }
        ControlRecordType::Unknown => {
            let id =
                record.key.and_then(|key| key.get(2..4)).map_or(-1, |id| i16::from_be_bytes([id[0], id[1]]));
            format!(" controlType: UNKNOWN({id})")
        }
    };
    line.push_str(&text);
}

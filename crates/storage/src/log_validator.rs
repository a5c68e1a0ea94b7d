//! Checks what a leader is about to append, and gives it offsets.

use bytes::{Bytes, BytesMut};
use ottla_common::ErrorCode;
use ottla_record::{
    Compression, CompressionType, DecompressionLimits, NO_TIMESTAMP, RecordBatch, RecordsBuilder,
    TimestampType,
};

use crate::error::{AppendError, BatchIndexAndMessage};
use crate::log_config::LogConfig;
use crate::producer_state::AppendOrigin;
use crate::stamped_records::StampedRecords;

/// What decides whether records are valid, and what they become.
#[derive(Debug)]
pub(crate) struct LogValidator<'a> {
    pub(crate) config: &'a LogConfig,
    pub(crate) now_ms: i64,
    pub(crate) leader_epoch: i32,
    pub(crate) origin: AppendOrigin,
}

/// Records ready to be written.
#[derive(Debug)]
pub(crate) struct ValidationResult {
    pub(crate) records: StampedRecords,
    pub(crate) max_timestamp: i64,
    pub(crate) last_offset: i64,
    /// The records were packed anew.
    pub(crate) size_changed: bool,
}

impl LogValidator<'_> {
    /// Validates the one batch of an append and gives its records offsets from `first_offset` on.
    ///
    /// Batches in the clear are walked: it costs next to nothing and keeps broken ones out. Packed ones
    /// are unpacked only if somebody needs their records: a compacted topic its keys, a lower bound its
    /// timestamps, another codec all of them.
    pub(crate) fn validate(
        &self,
        records: Bytes,
        first_offset: i64,
    ) -> Result<ValidationResult, AppendError> {
        let batch = single_batch(&records)?;
        self.validate_batch(&batch)?;
        let source = batch.compression_type()?;
        let target = self.config.compression.map_or(source, |c| c.compression_type());
        let control_in_clear = source == CompressionType::None && batch.is_control_batch();
        if source != target && !control_in_clear {
            let compression = self.config.compression.unwrap_or(Compression::of(target));
            return self.pack_anew(&batch, compression, first_offset);
        }
        let max_timestamp = if source == CompressionType::None || self.needs_records() {
            self.validate_records(&batch)?
        } else {
            self.validate_header_timestamps(&batch)?;
            batch.max_timestamp()
        };
        let create_time = self.config.message_timestamp_type == TimestampType::CreateTime;
        let keeps_timestamp = create_time && batch.max_timestamp() == max_timestamp;
        let comes_with_zero = batch.base_offset() == 0;
        if keeps_timestamp && comes_with_zero && !batch.is_control_batch() {
            let last_offset = first_offset + i64::from(batch.last_offset_delta());
            let records = StampedRecords::stamped(records, first_offset, self.leader_epoch);
            return Ok(ValidationResult { records, max_timestamp, last_offset, size_changed: false });
        }
        drop(batch);
        self.assign_in_place(records, first_offset, max_timestamp)
    }

    fn needs_records(&self) -> bool {
        let lower_bound = self.config.message_timestamp_before_max_ms != i64::MAX;
        let create_time = self.config.message_timestamp_type == TimestampType::CreateTime;
        self.config.compact || (create_time && lower_bound)
    }

    fn validate_batch(&self, batch: &RecordBatch) -> Result<(), AppendError> {
        if self.origin != AppendOrigin::Client {
            return Ok(());
        }
        let count = i64::from(batch.count());
        let by_offsets = batch.last_offset().wrapping_sub(batch.base_offset()).wrapping_add(1);
        let problem = if by_offsets <= 0 {
            format!(
                "the batch has the invalid offset range {}..={}",
                batch.base_offset(),
                batch.last_offset()
            )
        } else if count <= 0 {
            format!("the batch claims to have {count} records")
        } else if count != by_offsets {
            format!("the batch claims to have {count} records, its offsets say {by_offsets}")
        } else if batch.is_control_batch() {
            "clients may not write control records".to_owned()
        } else if batch.has_producer_id() && batch.base_sequence() < 0 {
            let (sequence, producer) = (batch.base_sequence(), batch.producer_id());
            format!("the batch of producer {producer} has the invalid sequence {sequence}")
        } else {
            return Ok(());
        };
        Err(AppendError::InvalidBatch(problem))
    }

    /// Checks all records. Returns their largest timestamp.
    fn validate_records(&self, batch: &RecordBatch) -> Result<i64, AppendError> {
        let records = batch.records(&self.limits())?;
        let mut errors = RecordErrors::default();
        let mut max_timestamp = NO_TIMESTAMP;
        for (index, record) in records.iter().enumerate() {
            let record = record?;
            errors.check(self, batch, index, record.key.is_some(), record.timestamp);
            max_timestamp = max_timestamp.max(record.timestamp);
        }
        errors.into_result()?;
        Ok(max_timestamp)
    }

    /// What the header tells of timestamps: the largest one, and whose clock it is.
    fn validate_header_timestamps(&self, batch: &RecordBatch) -> Result<(), AppendError> {
        let mut errors = RecordErrors::default();
        errors.check(self, batch, 0, true, batch.max_timestamp());
        errors.into_result()
    }

    /// For batches of which the checksum changes, or whose records are looked at again.
    fn assign_in_place(
        &self,
        records: Bytes,
        first_offset: i64,
        max_timestamp: i64,
    ) -> Result<ValidationResult, AppendError> {
        // Shared with the frame it came in, as a rule; the copy is what goes to disk.
        let buffer = records.try_into_mut().unwrap_or_else(|shared| BytesMut::from(shared.as_ref()));
        let mut batch = RecordBatch::new(buffer)?;
        let last_offset = first_offset + i64::from(batch.last_offset_delta());
        batch.set_last_offset(last_offset);
        batch.set_partition_leader_epoch(self.leader_epoch);
        let max_timestamp = match self.config.message_timestamp_type {
            TimestampType::LogAppendTime => self.now_ms,
            TimestampType::CreateTime => max_timestamp,
        };
        batch.set_max_timestamp(self.config.message_timestamp_type, max_timestamp);
        assert_eq!(batch.base_offset(), first_offset, "OFFSETS-CONTIGUOUS: a batch begins at the log's end");
        let records = StampedRecords::whole(batch.into_inner().freeze());
        Ok(ValidationResult { records, max_timestamp, last_offset, size_changed: false })
    }

    fn pack_anew(
        &self,
        batch: &RecordBatch,
        compression: Compression,
        first_offset: i64,
    ) -> Result<ValidationResult, AppendError> {
        let mut builder = RecordsBuilder::new(compression)
            .base_offset(first_offset)
            .partition_leader_epoch(self.leader_epoch)
            .producer(batch.producer_id(), batch.producer_epoch(), batch.base_sequence())
            .transactional(batch.is_transactional())
            .control(batch.is_control_batch());
        let append_time = self.config.message_timestamp_type == TimestampType::LogAppendTime;
        if append_time {
            builder = builder.log_append_time(self.now_ms);
        }
        let records = batch.records(&self.limits())?;
        let mut errors = RecordErrors::default();
        let mut next_offset = first_offset;
        for (index, record) in records.iter().enumerate() {
            let mut record = record?;
            errors.check(self, batch, index, record.key.is_some(), record.timestamp);
            record.offset = next_offset;
            next_offset += 1;
            if errors.is_empty() {
                builder.append_borrowed(&record)?;
            }
        }
        errors.into_result()?;
        let max_timestamp = if append_time { self.now_ms } else { builder.max_timestamp() };
        let records = builder.build()?.into_bytes();
        if records.is_empty() {
            return Err(AppendError::InvalidBatch("the batch has no records".to_owned()));
        }
        let records = StampedRecords::whole(records);
        Ok(ValidationResult { records, max_timestamp, last_offset: next_offset - 1, size_changed: true })
    }

    fn limits(&self) -> DecompressionLimits {
        decompression_limits(self.config)
    }
}

/// How much memory the records of a batch may take.
pub(crate) fn decompression_limits(config: &LogConfig) -> DecompressionLimits {
    let default = DecompressionLimits::default();
    DecompressionLimits { bytes_max: default.bytes_max.min(config.max_decompressed_message_bytes), ..default }
}

fn single_batch(records: &Bytes) -> Result<RecordBatch, AppendError> {
    let mut batches = ottla_record::MemoryRecords::new(records.clone()).batches();
    let Some(batch) = batches.next().transpose()? else {
        return Err(AppendError::InvalidBatch("there is no record batch".to_owned()));
    };
    match batches.next() {
        None => Ok(batch),
        Some(_) => Err(AppendError::InvalidBatch("only one record batch may be appended at once".to_owned())),
    }
}

/// Refused records. The first few are named, all are counted.
#[derive(Debug, Default)]
struct RecordErrors {
    errors: Vec<BatchIndexAndMessage>,
    invalid_timestamp: bool,
}

impl RecordErrors {
    /// Errors are answered one by one, so their number is bounded by what a batch can hold.
    const MAX: usize = 10_000;

    fn is_empty(&self) -> bool {
        self.errors.is_empty()
    }

    fn check(&mut self, validator: &LogValidator<'_>, batch: &RecordBatch, index: usize, key: bool, ts: i64) {
        let config = validator.config;
        if config.compact && !key {
            return self.add(index, "a compacted topic takes no record without a key".to_owned());
        }
        let create_time = config.message_timestamp_type == TimestampType::CreateTime;
        if create_time && ts != NO_TIMESTAMP {
            let age = validator.now_ms.saturating_sub(ts);
            let too_old = age > config.message_timestamp_before_max_ms;
            let too_new = age.saturating_neg() > config.message_timestamp_after_max_ms;
            if too_old || too_new {
                self.invalid_timestamp = true;
                let from = validator.now_ms.saturating_sub(config.message_timestamp_before_max_ms);
                let to = validator.now_ms.saturating_add(config.message_timestamp_after_max_ms);
                self.add(index, format!("timestamp {ts} is out of the range {from} to {to}"));
            }
        } else if batch.timestamp_type() == TimestampType::LogAppendTime {
            self.invalid_timestamp = true;
            self.add(index, "a producer may not set the timestamp type LogAppendTime".to_owned());
        }
    }

    fn add(&mut self, index: usize, message: String) {
        if self.errors.len() < Self::MAX {
            self.errors.push(BatchIndexAndMessage { batch_index: index as i32, message });
        }
    }

    fn into_result(self) -> Result<(), AppendError> {
        if self.errors.is_empty() {
            return Ok(());
        }
        let (code, message) = if self.invalid_timestamp {
            (ErrorCode::InvalidTimestamp, "some records have an invalid timestamp".to_owned())
        } else {
            let first = &self.errors[0].message;
            (
                ErrorCode::InvalidRecord,
                format!("{} records are invalid, the first: {first}", self.errors.len()),
            )
        };
        Err(AppendError::InvalidRecords { code, message, record_errors: self.errors })
    }
}

#[cfg(test)]
#[path = "log_validator_test.rs"]
mod tests;

mod header;

use bytes::Bytes;

pub use header::EmptyBatch;
use header::{HeaderFields, write_header};

use crate::record::{self, Header};
use crate::varint::size_of_varint;
use crate::{
    BuildError, Compression, CompressionType, ControlRecordType, EndTransactionMarker, LOG_OVERHEAD,
    MemoryRecords, NO_PARTITION_LEADER_EPOCH, NO_PRODUCER_EPOCH, NO_PRODUCER_ID, NO_SEQUENCE, NO_TIMESTAMP,
    RECORD_BATCH_OVERHEAD, RecordHeader, SimpleRecord,
};

/// What is said of a batch as a whole.
#[derive(Debug, Clone, Copy)]
struct BatchOptions {
    compression: Compression,
    base_offset: i64,
    partition_leader_epoch: i32,
    log_append_time: Option<i64>,
    producer_id: i64,
    producer_epoch: i16,
    base_sequence: i32,
    transactional: bool,
    control: bool,
    delete_horizon_ms: Option<i64>,
    write_limit: usize,
}

/// Writes one batch of message format v2, with the bytes the Java client would write.
///
/// Batches in the clear are equal to Java's byte for byte. Compressed ones have equal headers and frames, but with
/// gzip and lz4 the library inside is another and so are its bytes.
#[derive(Debug, Clone)]
pub struct RecordsBuilder {
    options: BatchOptions,
    /// Room for the header, then records in the clear.
    buffer: Vec<u8>,
    count: i32,
    base_timestamp: Option<i64>,
    max_timestamp: i64,
    last_offset: Option<i64>,
    /// Packed size by clear size, as guessed by the caller from earlier batches.
    estimated_ratio: f32,
}

/// Guesses of a packed size are raised by this, because a batch too large is worse than one too small.
const RATIO_SAFETY: f32 = 1.05;

impl RecordsBuilder {
    /// A batch with offsets from 0, without producer, and the records' own timestamps.
    pub fn new(compression: impl Into<Compression>) -> Self {
        let options = BatchOptions {
            compression: compression.into(),
            base_offset: 0,
            partition_leader_epoch: NO_PARTITION_LEADER_EPOCH,
            log_append_time: None,
            producer_id: NO_PRODUCER_ID,
            producer_epoch: NO_PRODUCER_EPOCH,
            base_sequence: NO_SEQUENCE,
            transactional: false,
            control: false,
            delete_horizon_ms: None,
            write_limit: usize::MAX,
        };
        Self {
            options,
            buffer: vec![0; RECORD_BATCH_OVERHEAD],
            count: 0,
            base_timestamp: None,
            max_timestamp: NO_TIMESTAMP,
            last_offset: None,
            estimated_ratio: 1.0,
        }
    }

    /// Offset of the first record.
    #[must_use]
    pub fn base_offset(mut self, offset: i64) -> Self {
        self.options.base_offset = offset;
        self
    }

    /// Epoch of the leader that appends the batch.
    #[must_use]
    pub fn partition_leader_epoch(mut self, epoch: i32) -> Self {
        self.options.partition_leader_epoch = epoch;
        self
    }

    /// Stamps the batch with the broker's time instead of the records' own.
    #[must_use]
    pub fn log_append_time(mut self, timestamp: i64) -> Self {
        self.options.log_append_time = Some(timestamp);
        self
    }

    /// Names an idempotent producer and its sequence for the first record.
    #[must_use]
    pub fn producer(mut self, producer_id: i64, producer_epoch: i16, base_sequence: i32) -> Self {
        self.set_producer_state(producer_id, producer_epoch, base_sequence);
        self
    }

    /// Puts the batch into a transaction.
    #[must_use]
    pub fn transactional(mut self, transactional: bool) -> Self {
        self.options.transactional = transactional;
        self
    }

    /// Makes it a batch of control records.
    #[must_use]
    pub fn control(mut self, control: bool) -> Self {
        self.options.control = control;
        self
    }

    /// Notes when tombstones in it may go (KIP-534). To be set before the first record.
    #[must_use]
    pub fn delete_horizon_ms(mut self, timestamp: i64) -> Self {
        self.options.delete_horizon_ms = (timestamp >= 0).then_some(timestamp);
        self.base_timestamp = self.options.delete_horizon_ms;
        self
    }

    /// How large the batch should get; see [`Self::has_room_for`].
    #[must_use]
    pub fn write_limit(mut self, bytes: usize) -> Self {
        self.options.write_limit = bytes;
        self
    }

    /// Names the producer late, when the batch is about to be sent.
    pub fn set_producer_state(&mut self, producer_id: i64, producer_epoch: i16, base_sequence: i32) {
        self.options.producer_id = producer_id;
        self.options.producer_epoch = producer_epoch;
        self.options.base_sequence = base_sequence;
    }

    /// What packing saved in earlier batches, for [`Self::has_room_for`].
    pub fn set_estimated_compression_ratio(&mut self, ratio: f32) {
        self.estimated_ratio = ratio;
    }

    /// Appends at the next offset, which is returned.
    pub fn append(
        &mut self,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[RecordHeader],
    ) -> Result<i64, BuildError> {
        let offset = self.next_offset();
        self.append_with_offset(offset, timestamp, key, value, headers)?;
        Ok(offset)
    }

    /// Appends a record at the next offset, which is returned.
    pub fn append_record(&mut self, record: &SimpleRecord) -> Result<i64, BuildError> {
        self.append(record.timestamp, record.key.as_deref(), record.value.as_deref(), &record.headers)
    }

    /// Appends at an offset after the last.
    pub fn append_with_offset(
        &mut self,
        offset: i64,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[RecordHeader],
    ) -> Result<(), BuildError> {
        if self.options.control {
            return Err(BuildError::ControlMismatch);
        }
        self.write(offset, timestamp, key, value, headers.iter().map(RecordHeader::borrow))
    }

    /// Appends a record as read from another batch, at its offset: compaction and conversion. It may be a
    /// control record if the batch is for such.
    pub fn append_borrowed(&mut self, record: &crate::Record<'_>) -> Result<(), BuildError> {
        let headers: Vec<_> = record.headers.iter().collect();
        self.write(record.offset, record.timestamp, record.key, record.value, headers.into_iter())
    }

    /// Appends a control record at the next offset.
    pub fn append_control_record(
        &mut self,
        timestamp: i64,
        control_type: ControlRecordType,
        value: &[u8],
    ) -> Result<i64, BuildError> {
        if !self.options.control || control_type == ControlRecordType::Unknown {
            return Err(BuildError::ControlMismatch);
        }
        let offset = self.next_offset();
        self.write(offset, timestamp, Some(&control_type.record_key()), Some(value), [].into_iter())?;
        Ok(offset)
    }

    /// Appends the end of a transaction.
    pub fn append_end_transaction_marker(
        &mut self,
        timestamp: i64,
        marker: EndTransactionMarker,
    ) -> Result<i64, BuildError> {
        if self.options.producer_id == NO_PRODUCER_ID || !self.options.transactional {
            return Err(BuildError::TransactionalWithoutProducer);
        }
        self.append_control_record(timestamp, marker.control_type(), &marker.serialize_value())
    }

    /// How many records there are.
    pub const fn count(&self) -> i32 {
        self.count
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The offset the next record gets.
    pub fn next_offset(&self) -> i64 {
        self.last_offset.map_or(self.options.base_offset, |last| last.saturating_add(1))
    }

    /// The largest timestamp so far, or -1.
    pub fn max_timestamp(&self) -> i64 {
        self.options.log_append_time.unwrap_or(self.max_timestamp)
    }

    /// Size of header and records in the clear.
    pub fn uncompressed_size(&self) -> usize {
        self.buffer.len()
    }

    /// Size the batch will have, guessed if it is to be packed.
    pub fn estimated_size_in_bytes(&self) -> usize {
        if self.options.compression.compression_type() == CompressionType::None {
            return self.buffer.len();
        }
        let records = (self.buffer.len() - RECORD_BATCH_OVERHEAD) as f32;
        RECORD_BATCH_OVERHEAD + (records * self.estimated_ratio * RATIO_SAFETY) as usize
    }

    /// Whether the limit is reached.
    pub fn is_full(&self) -> bool {
        self.count > 0 && self.options.write_limit <= self.estimated_size_in_bytes()
    }

    /// Whether this record can be added within the limit. The first always can.
    pub fn has_room_for(
        &self,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[RecordHeader],
    ) -> bool {
        if self.count == 0 {
            return true;
        }
        let offset_delta = self.next_offset().wrapping_sub(self.options.base_offset) as i32;
        let timestamp_delta = timestamp.wrapping_sub(self.base_timestamp.unwrap_or(timestamp));
        let headers = headers.iter().map(RecordHeader::borrow);
        let body = record::size_of_body(offset_delta, timestamp_delta, key, value, headers);
        let record = body + size_of_varint(i32::try_from(body).unwrap_or(i32::MAX));
        !self.is_full() && self.options.write_limit >= self.estimated_size_in_bytes() + record
    }

    /// Appends these and finishes.
    pub fn build_from(mut self, records: &[SimpleRecord]) -> Result<MemoryRecords, BuildError> {
        for record in records {
            self.append_record(record)?;
        }
        self.build()
    }

    /// Finishes the batch; without a record there is none.
    pub fn build(self) -> Result<MemoryRecords, BuildError> {
        self.check_producer()?;
        let Some(last_offset) = self.last_offset else { return Ok(MemoryRecords::EMPTY) };
        let options = self.options;
        let mut batch = match options.compression.compression_type() {
            CompressionType::None => self.buffer,
            _ => {
                let mut packed = vec![0; RECORD_BATCH_OVERHEAD];
                options.compression.compress(&self.buffer[RECORD_BATCH_OVERHEAD..], &mut packed)?;
                packed
            }
        };
        let header = HeaderFields {
            last_offset_delta: (last_offset - options.base_offset) as i32,
            base_timestamp: self.base_timestamp.unwrap_or(NO_TIMESTAMP),
            max_timestamp: options.log_append_time.unwrap_or(self.max_timestamp),
            count: self.count,
        };
        write_header(&mut batch, &options, &header)?;
        Ok(MemoryRecords::new(Bytes::from(batch)))
    }

    fn write<'h>(
        &mut self,
        offset: i64,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: impl ExactSizeIterator<Item = Header<'h>> + Clone,
    ) -> Result<(), BuildError> {
        let base_offset = self.options.base_offset;
        if let Some(last) = self.last_offset.filter(|last| offset <= *last) {
            return Err(BuildError::OffsetNotIncreasing { offset, last });
        }
        if timestamp < NO_TIMESTAMP {
            return Err(BuildError::NegativeTimestamp(timestamp));
        }
        let offset_delta = offset
            .checked_sub(base_offset)
            .and_then(|delta| i32::try_from(delta).ok())
            .filter(|delta| *delta >= 0)
            .ok_or(BuildError::OffsetOutOfRange { offset, base_offset })?;
        let base_timestamp = self.base_timestamp.unwrap_or(timestamp);
        let timestamp_delta = timestamp.wrapping_sub(base_timestamp);
        let size = record::size_of_body(offset_delta, timestamp_delta, key, value, headers.clone());
        let total = self.buffer.len().saturating_add(size);
        if total > i32::MAX as usize - LOG_OVERHEAD {
            return Err(BuildError::TooLarge(total));
        }
        record::write_record(&mut self.buffer, size, offset_delta, timestamp_delta, key, value, headers);
        self.base_timestamp = Some(base_timestamp);
        self.max_timestamp = self.max_timestamp.max(timestamp);
        self.last_offset = Some(offset);
        self.count += 1;
        Ok(())
    }

    fn check_producer(&self) -> Result<(), BuildError> {
        let BatchOptions { producer_id, producer_epoch, base_sequence, transactional, control, .. } =
            self.options;
        if producer_id == NO_PRODUCER_ID {
            return if transactional { Err(BuildError::TransactionalWithoutProducer) } else { Ok(()) };
        }
        if producer_epoch == NO_PRODUCER_EPOCH {
            return Err(BuildError::NegativeProducerEpoch);
        }
        if base_sequence < 0 && !control {
            return Err(BuildError::NegativeSequence);
        }
        Ok(())
    }
}

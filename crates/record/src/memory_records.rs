use bytes::Bytes;

use crate::header::peek_batch_size;
use crate::record::OwnedRecord;
use crate::{
    BuildError, Compression, DecompressionLimits, EndTransactionMarker, HEADER_SIZE_UP_TO_MAGIC, RecordBatch,
    RecordError, RecordsBuilder, SimpleRecord,
};

/// Batches one after the other in memory, as Produce and Fetch carry them. The last may be cut.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MemoryRecords {
    bytes: Bytes,
}

impl MemoryRecords {
    /// No batch.
    pub const EMPTY: Self = Self { bytes: Bytes::new() };

    /// Takes bytes as they came; nothing is checked before they are iterated.
    pub const fn new(bytes: Bytes) -> Self {
        Self { bytes }
    }

    /// One batch with offsets from 0, no producer, the records' own timestamps.
    pub fn with_records(
        compression: impl Into<Compression>,
        records: &[SimpleRecord],
    ) -> Result<Self, BuildError> {
        RecordsBuilder::new(compression).build_from(records)
    }

    /// One batch with offsets from here, appended by a leader of this epoch.
    pub fn with_records_at(
        base_offset: i64,
        partition_leader_epoch: i32,
        compression: impl Into<Compression>,
        records: &[SimpleRecord],
    ) -> Result<Self, BuildError> {
        RecordsBuilder::new(compression)
            .base_offset(base_offset)
            .partition_leader_epoch(partition_leader_epoch)
            .build_from(records)
    }

    /// One batch of an idempotent producer.
    pub fn with_idempotent_records(
        compression: impl Into<Compression>,
        producer_id: i64,
        producer_epoch: i16,
        base_sequence: i32,
        records: &[SimpleRecord],
    ) -> Result<Self, BuildError> {
        RecordsBuilder::new(compression)
            .producer(producer_id, producer_epoch, base_sequence)
            .build_from(records)
    }

    /// One batch within a transaction.
    pub fn with_transactional_records(
        compression: impl Into<Compression>,
        producer_id: i64,
        producer_epoch: i16,
        base_sequence: i32,
        records: &[SimpleRecord],
    ) -> Result<Self, BuildError> {
        RecordsBuilder::new(compression)
            .producer(producer_id, producer_epoch, base_sequence)
            .transactional(true)
            .build_from(records)
    }

    /// The control batch that ends a transaction on this partition.
    pub fn with_end_transaction_marker(
        base_offset: i64,
        timestamp: i64,
        partition_leader_epoch: i32,
        producer_id: i64,
        producer_epoch: i16,
        marker: EndTransactionMarker,
    ) -> Result<Self, BuildError> {
        let mut builder = RecordsBuilder::new(Compression::NONE)
            .base_offset(base_offset)
            .partition_leader_epoch(partition_leader_epoch)
            .producer(producer_id, producer_epoch, crate::NO_SEQUENCE)
            .transactional(true)
            .control(true);
        builder.append_end_transaction_marker(timestamp, marker)?;
        builder.build()
    }

    /// The bytes, shared.
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The bytes.
    pub fn into_bytes(self) -> Bytes {
        self.bytes
    }

    /// Size with the cut tail.
    pub const fn size_in_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there is not a byte.
    pub const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The batches, without the last when it is cut: a fetch may end anywhere. After an error comes
    /// nothing more. No checksum is looked at.
    pub fn batches(&self) -> Batches {
        Batches { rest: self.bytes.clone(), strict: false }
    }

    /// The batches; a cut tail is an error.
    pub fn batches_strict(&self) -> Batches {
        Batches { rest: self.bytes.clone(), strict: true }
    }

    /// The first batch, if it is there in full.
    pub fn first_batch(&self) -> Result<Option<RecordBatch>, RecordError> {
        self.batches().next().transpose()
    }

    /// Bytes of whole batches.
    pub fn valid_bytes(&self) -> Result<usize, RecordError> {
        self.batches().try_fold(0, |sum, batch| Ok(sum + batch?.size_in_bytes()))
    }

    /// The records of all whole batches, with memory of their own or shared with the batches.
    pub fn records(
        &self,
        limits: DecompressionLimits,
    ) -> impl Iterator<Item = Result<OwnedRecord, RecordError>> + use<> {
        let mut failed = false;
        self.batches()
            .flat_map(move |batch| {
                let records = batch.and_then(|batch| batch.owned_records(&limits));
                let (records, error) = match records {
                    Ok(records) => (Some(records), None),
                    Err(error) => (None, Some(Err(error))),
                };
                records.into_iter().flatten().chain(error)
            })
            .take_while(move |record| !std::mem::replace(&mut failed, record.is_err()))
    }
}

impl From<Bytes> for MemoryRecords {
    fn from(bytes: Bytes) -> Self {
        Self::new(bytes)
    }
}

impl From<MemoryRecords> for Bytes {
    fn from(records: MemoryRecords) -> Self {
        records.bytes
    }
}

impl AsRef<[u8]> for MemoryRecords {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Walks over batches.
#[derive(Debug, Clone)]
pub struct Batches {
    rest: Bytes,
    strict: bool,
}

impl Batches {
    fn split(&mut self) -> Result<Option<RecordBatch>, RecordError> {
        let available = self.rest.len();
        match peek_batch_size(&self.rest)? {
            Some(size) if size <= available => RecordBatch::new(self.rest.split_to(size)).map(Some),
            cut if self.strict && available > 0 => {
                let declared = cut.unwrap_or(HEADER_SIZE_UP_TO_MAGIC);
                Err(RecordError::Truncated { declared, available })
            }
            _ => Ok(None),
        }
    }
}

impl Iterator for Batches {
    type Item = Result<RecordBatch, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.split().transpose();
        if !matches!(batch, Some(Ok(_))) {
            self.rest = Bytes::new();
        }
        batch
    }
}

/// The batches of a buffer, to be changed where they are; stops before a cut tail.
#[derive(Debug)]
pub struct BatchesMut<'a> {
    rest: &'a mut [u8],
}

/// Walks over batches to change their headers, e.g. to give them offsets.
pub fn batches_mut(bytes: &mut [u8]) -> BatchesMut<'_> {
    BatchesMut { rest: bytes }
}

impl<'a> Iterator for BatchesMut<'a> {
    type Item = Result<RecordBatch<&'a mut [u8]>, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = std::mem::take(&mut self.rest);
        let size = match peek_batch_size(rest).transpose()? {
            Ok(size) if size <= rest.len() => size,
            Ok(_) => return None,
            Err(error) => return Some(Err(error)),
        };
        let (batch, rest) = rest.split_at_mut(size);
        self.rest = rest;
        Some(RecordBatch::new(batch))
    }
}

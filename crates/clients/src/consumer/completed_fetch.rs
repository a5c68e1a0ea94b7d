use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use ottla_common::TopicPartition;
use ottla_protocol::messages::fetch_response::{AbortedTransaction, PartitionData};
use ottla_record::{
    Batches, ControlRecordType, DecompressionLimits, MemoryRecords, OwnedRecords, RecordBatch, RecordError,
    RecordHeader, TimestampType,
};

use crate::ClientError;

/// A record as consumed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerRecord {
    /// Its topic.
    pub topic: Arc<str>,
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// Milliseconds since the epoch, or -1.
    pub timestamp: i64,
    /// Whose clock the timestamp is.
    pub timestamp_type: TimestampType,
    /// The epoch of the leader that wrote it.
    pub leader_epoch: Option<i32>,
    /// Key or null.
    pub key: Option<Bytes>,
    /// Value or null.
    pub value: Option<Bytes>,
    /// Headers in their order.
    pub headers: Vec<RecordHeader>,
    /// How often it was handed out, this time included; only share groups count (KIP-932).
    pub delivery_count: Option<i16>,
}

/// The answer for one partition, unpacked batch by batch as records are asked for.
#[derive(Debug)]
pub(crate) struct CompletedFetch {
    pub(crate) tp: TopicPartition,
    /// The next offset to hand out; where the consumer is once this is used up.
    pub(crate) position: i64,
    batches: Batches,
    current: Option<(OwnedRecords, TimestampType, Option<i32>, i64)>,
    /// Aborted transactions still ahead, by their first offset.
    aborted: VecDeque<AbortedTransaction>,
    /// Producers whose transaction here was aborted.
    aborted_producers: HashSet<i64>,
    read_committed: bool,
    check_crcs: bool,
}

impl CompletedFetch {
    pub(crate) fn new(
        tp: TopicPartition,
        position: i64,
        data: PartitionData,
        read_committed: bool,
        check_crcs: bool,
    ) -> Self {
        let mut aborted = data.aborted_transactions.unwrap_or_default();
        aborted.sort_by_key(|transaction| transaction.first_offset);
        let records = data.records.map(ottla_protocol::Records::into_bytes).unwrap_or_default();
        Self {
            tp,
            position,
            batches: MemoryRecords::from(records).batches(),
            current: None,
            aborted: aborted.into(),
            aborted_producers: HashSet::new(),
            read_committed,
            check_crcs,
        }
    }

    /// The next record the consumer may see.
    pub(crate) fn next_record(&mut self) -> Result<Option<ConsumerRecord>, ClientError> {
        self.advance().map_err(|source| ClientError::Records {
            partition: format!("{} at offset {}", self.tp, self.position),
            source,
        })
    }

    fn advance(&mut self) -> Result<Option<ConsumerRecord>, RecordError> {
        loop {
            let Some((records, timestamp_type, leader_epoch, end)) = &mut self.current else {
                if !self.open_next_batch()? {
                    return Ok(None);
                }
                continue;
            };
            for record in records {
                let record = record?;
                // A batch is fetched whole, even when the position is in its middle.
                if record.offset < self.position {
                    continue;
                }
                self.position = record.offset + 1;
                return Ok(Some(ConsumerRecord {
                    topic: Arc::clone(&self.tp.topic),
                    partition: self.tp.partition,
                    offset: record.offset,
                    timestamp: record.timestamp,
                    timestamp_type: *timestamp_type,
                    leader_epoch: *leader_epoch,
                    key: record.key,
                    value: record.value,
                    headers: record.headers,
                    delivery_count: None,
                }));
            }
            // Compaction may have taken the last records of the batch.
            self.position = self.position.max(*end);
            self.current = None;
        }
    }

    /// Opens the next batch that holds data; false at the end.
    fn open_next_batch(&mut self) -> Result<bool, RecordError> {
        while let Some(batch) = self.batches.next() {
            let batch = batch?;
            if batch.next_offset() <= self.position {
                continue;
            }
            if self.check_crcs {
                batch.ensure_valid()?;
            }
            if self.is_hidden(&batch)? {
                self.position = self.position.max(batch.next_offset());
                continue;
            }
            let records = batch.owned_records(&DecompressionLimits::default())?;
            let epoch = batch.partition_leader_epoch();
            let leader_epoch = (epoch >= 0).then_some(epoch);
            self.current = Some((records, batch.timestamp_type(), leader_epoch, batch.next_offset()));
            return Ok(true);
        }
        Ok(false)
    }

    /// Control batches are never seen; with `read_committed`, aborted data is not either.
    fn is_hidden(&mut self, batch: &RecordBatch) -> Result<bool, RecordError> {
        if self.read_committed && batch.has_producer_id() {
            while self.aborted.front().is_some_and(|next| next.first_offset <= batch.last_offset()) {
                if let Some(transaction) = self.aborted.pop_front() {
                    self.aborted_producers.insert(transaction.producer_id);
                }
            }
            if batch.is_control_batch() && ends_with_abort(batch)? {
                self.aborted_producers.remove(&batch.producer_id());
            } else if batch.is_transactional() && self.aborted_producers.contains(&batch.producer_id()) {
                return Ok(true);
            }
        }
        Ok(batch.is_control_batch())
    }
}

fn ends_with_abort(batch: &RecordBatch) -> Result<bool, RecordError> {
    let mut records = batch.owned_records(&DecompressionLimits::default())?;
    let Some(marker) = records.next() else { return Ok(false) };
    Ok(ControlRecordType::parse(marker?.key.as_deref())? == ControlRecordType::Abort)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_record::{Compression, CompressionType, EndTransactionMarker, SimpleRecord};

    fn fetch(
        batches: &[MemoryRecords],
        position: i64,
        aborted: &[(i64, i64)],
        read_committed: bool,
    ) -> Vec<i64> {
        let bytes: Vec<u8> = batches.iter().flat_map(|b| b.bytes().to_vec()).collect();
        let aborted = aborted.iter().map(|(producer_id, first_offset)| AbortedTransaction {
            producer_id: *producer_id,
            first_offset: *first_offset,
            ..Default::default()
        });
        let data = PartitionData {
            records: Some(Bytes::from(bytes).into()),
            aborted_transactions: Some(aborted.collect()),
            ..Default::default()
        };
        let tp = TopicPartition::new("t", 0);
        let mut fetch = CompletedFetch::new(tp, position, data, read_committed, true);
        let mut offsets = Vec::new();
        while let Some(record) = fetch.next_record().unwrap() {
            offsets.push(record.offset);
        }
        offsets.push(-fetch.position);
        offsets
    }

    fn data(base: i64, count: usize, producer: Option<i64>) -> MemoryRecords {
        let records: Vec<_> =
            (0..count).map(|_| SimpleRecord::of_value(1, Bytes::from_static(b"v"))).collect();
        let mut builder =
            ottla_record::RecordsBuilder::new(Compression::of(CompressionType::Lz4)).base_offset(base);
        if let Some(id) = producer {
            builder = builder.producer(id, 0, 0).transactional(true);
        }
        builder.build_from(&records).unwrap()
    }

    fn marker(offset: i64, producer: i64, control_type: ControlRecordType) -> MemoryRecords {
        let marker = EndTransactionMarker::new(control_type == ControlRecordType::Commit, 0);
        MemoryRecords::with_end_transaction_marker(offset, 1, -1, producer, 0, marker).unwrap()
    }

    #[test]
    fn starts_in_the_middle_of_a_batch() {
        assert_eq!(fetch(&[data(0, 3, None), data(3, 2, None)], 1, &[], false), [1, 2, 3, 4, -5]);
        assert_eq!(fetch(&[], 7, &[], false), [-7]);
    }

    #[test]
    fn aborted_data_is_hidden_from_the_committed_reader_only() {
        let log = [
            data(0, 2, Some(1)),
            data(2, 1, Some(2)),
            marker(3, 1, ControlRecordType::Abort),
            marker(4, 2, ControlRecordType::Commit),
            data(5, 1, Some(1)),
            marker(6, 1, ControlRecordType::Commit),
        ];
        assert_eq!(fetch(&log, 0, &[(1, 0)], true), [2, 5, -7]);
        assert_eq!(fetch(&log, 0, &[], false), [0, 1, 2, 5, -7]);
    }
}

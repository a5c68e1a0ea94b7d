//! What a broker acquired for this consumer: records, and the offsets among them that hold none.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use ottla_record::{
    Batches, DecompressionLimits, MemoryRecords, OwnedRecords, RecordBatch, RecordError, TimestampType,
};

use super::acknowledgements::{AcknowledgeType, Acknowledgements};
use super::session::TopicIdPartition;
use crate::ClientError;
use crate::consumer::ConsumerRecord;

/// The answer for one partition, unpacked batch by batch as records are asked for.
#[derive(Debug)]
pub(crate) struct ShareCompletedFetch {
    /// Who acquired it.
    pub(crate) node: i32,
    pub(crate) tip: TopicIdPartition,
    /// First and last offsets of what is ahead, with the delivery count.
    acquired: VecDeque<(i64, i64, i16)>,
    batches: Batches,
    current: Option<OpenBatch>,
    check_crcs: bool,
}

#[derive(Debug)]
struct OpenBatch {
    records: OwnedRecords,
    timestamp_type: TimestampType,
    leader_epoch: Option<i32>,
    last_offset: i64,
}

/// What was unpacked.
#[derive(Debug, Default)]
pub(crate) struct Unpacked {
    pub(crate) records: Vec<ConsumerRecord>,
    /// What this consumer says of offsets that the application will not see.
    pub(crate) acknowledgements: Acknowledgements,
    /// Why something will not be seen.
    pub(crate) error: Option<ClientError>,
    /// Whether nothing is left.
    pub(crate) is_exhausted: bool,
}

impl ShareCompletedFetch {
    /// Ranges that make no sense are dropped: nothing in them can be acknowledged.
    pub(crate) fn new(
        node: i32,
        tip: TopicIdPartition,
        records: Bytes,
        mut acquired: Vec<(i64, i64, i16)>,
        check_crcs: bool,
    ) -> Self {
        acquired.sort_unstable();
        let mut next = 0;
        let mut sound = VecDeque::new();
        for (first, last, count) in acquired {
            let first = first.max(next);
            if first <= last && last < i64::MAX {
                sound.push_back((first, last, count));
                next = last + 1;
            }
        }
        let batches = MemoryRecords::from(records).batches();
        Self { node, tip, acquired: sound, batches, current: None, check_crcs }
    }

    /// Unpacks up to `max` records, and a batch's rest beyond it: a batch is acquired and
    /// acknowledged as one where that can be.
    pub(crate) fn unpack(&mut self, max: usize) -> Unpacked {
        let mut unpacked = Unpacked::default();
        while unpacked.records.len() < max || self.current.is_some() {
            match self.step(&mut unpacked) {
                Ok(true) => {}
                Ok(false) => {
                    self.give_up_rest(&mut unpacked.acknowledgements, None);
                    unpacked.is_exhausted = true;
                    break;
                }
                Err(source) => {
                    let at = self.acquired.front().map_or(-1, |(first, ..)| *first);
                    let partition = format!("{} at offset {at}", self.tip.tp);
                    unpacked.error = Some(ClientError::Records { partition, source });
                    unpacked.is_exhausted = self.acquired.is_empty();
                    break;
                }
            }
        }
        unpacked
    }

    /// One batch or one record further; false at the end.
    fn step(&mut self, unpacked: &mut Unpacked) -> Result<bool, RecordError> {
        let Some(open) = &mut self.current else { return self.open_next_batch(unpacked) };
        let last_offset = open.last_offset;
        let record = match open.records.next() {
            Some(Ok(record)) => record,
            Some(Err(error)) => {
                self.current = None;
                self.reject_to(last_offset, &mut unpacked.acknowledgements);
                return Err(error);
            }
            None => {
                self.current = None;
                return Ok(true);
            }
        };
        let (timestamp_type, leader_epoch) = (open.timestamp_type, open.leader_epoch);
        if let Some(delivery_count) = self.take_acquired(record.offset, &mut unpacked.acknowledgements) {
            unpacked.records.push(ConsumerRecord {
                topic: Arc::clone(&self.tip.tp.topic),
                partition: self.tip.tp.partition,
                offset: record.offset,
                timestamp: record.timestamp,
                timestamp_type,
                leader_epoch,
                key: record.key,
                value: record.value,
                headers: record.headers,
                delivery_count: Some(delivery_count),
            });
        }
        Ok(true)
    }

    fn open_next_batch(&mut self, unpacked: &mut Unpacked) -> Result<bool, RecordError> {
        let batch = match self.batches.next() {
            None => return Ok(false),
            Some(Ok(batch)) => batch,
            Some(Err(error)) => {
                // Where the batch would end is not known. Perhaps the next answer is whole.
                let release = Some(AcknowledgeType::Release);
                self.give_up_rest(&mut unpacked.acknowledgements, release);
                return Err(error);
            }
        };
        // Markers hold no record, so their offsets are gaps to the next record.
        if batch.is_control_batch() {
            return Ok(true);
        }
        match self.open(&batch) {
            Ok(open) => {
                self.current = Some(open);
                Ok(true)
            }
            Err(error) => {
                self.reject_to(batch.last_offset(), &mut unpacked.acknowledgements);
                Err(error)
            }
        }
    }

    fn open(&self, batch: &RecordBatch) -> Result<OpenBatch, RecordError> {
        if self.check_crcs {
            batch.ensure_valid()?;
        }
        let epoch = batch.partition_leader_epoch();
        Ok(OpenBatch {
            records: batch.owned_records(&DecompressionLimits::default())?,
            timestamp_type: batch.timestamp_type(),
            leader_epoch: (epoch >= 0).then_some(epoch),
            last_offset: batch.last_offset(),
        })
    }

    /// The delivery count of a record, if it was acquired. Acquired offsets before it are gaps.
    fn take_acquired(&mut self, offset: i64, acks: &mut Acknowledgements) -> Option<i16> {
        while let Some((first, last, count)) = self.acquired.pop_front() {
            if last < offset {
                acks.add_gap(first, last);
                continue;
            }
            if first > offset {
                self.acquired.push_front((first, last, count));
                return None;
            }
            acks.add_gap(first, offset - 1);
            if offset < last {
                self.acquired.push_front((offset + 1, last, count));
            }
            return Some(count);
        }
        None
    }

    /// A batch that cannot be read will not be readable for anybody.
    fn reject_to(&mut self, end: i64, acks: &mut Acknowledgements) {
        while let Some((first, last, count)) = self.acquired.pop_front() {
            if first > end {
                self.acquired.push_front((first, last, count));
                return;
            }
            acks.add_range(first, last.min(end), AcknowledgeType::Reject);
            if last > end {
                self.acquired.push_front((end + 1, last, count));
                return;
            }
        }
    }

    /// Nothing more comes: the rest are gaps, or what is said.
    fn give_up_rest(&mut self, acks: &mut Acknowledgements, acknowledgement: Option<AcknowledgeType>) {
        for (first, last, _) in self.acquired.drain(..) {
            match acknowledgement {
                Some(acknowledgement) => acks.add_range(first, last, acknowledgement),
                None => acks.add_gap(first, last),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_common::{TopicPartition, Uuid};
    use ottla_record::{Compression, CompressionType, EndTransactionMarker, RecordsBuilder, SimpleRecord};

    fn batch(base: i64, count: usize) -> Vec<u8> {
        let records: Vec<_> =
            (0..count).map(|_| SimpleRecord::of_value(1, Bytes::from_static(b"v"))).collect();
        let builder = RecordsBuilder::new(Compression::of(CompressionType::Lz4)).base_offset(base);
        builder.build_from(&records).unwrap().bytes().to_vec()
    }

    fn marker(offset: i64) -> Vec<u8> {
        let marker = EndTransactionMarker::new(true, 0);
        let records = MemoryRecords::with_end_transaction_marker(offset, 1, -1, 7, 0, marker).unwrap();
        records.bytes().to_vec()
    }

    fn fetch(bytes: Vec<u8>, acquired: &[(i64, i64, i16)]) -> ShareCompletedFetch {
        let tip = TopicIdPartition { topic_id: Uuid::from_u128(9), tp: TopicPartition::new("t", 0) };
        ShareCompletedFetch::new(1, tip, bytes.into(), acquired.to_vec(), true)
    }

    fn offsets(unpacked: &Unpacked) -> Vec<(i64, i16)> {
        unpacked.records.iter().map(|r| (r.offset, r.delivery_count.unwrap())).collect()
    }

    #[test]
    fn only_acquired_records_are_seen_with_their_counts() {
        let mut fetch = fetch([batch(0, 5), batch(5, 3)].concat(), &[(1, 2, 1), (4, 5, 3)]);
        let unpacked = fetch.unpack(100);
        assert_eq!(offsets(&unpacked), [(1, 1), (2, 1), (4, 3), (5, 3)]);
        assert!(unpacked.is_exhausted && unpacked.error.is_none());
        assert!(unpacked.acknowledgements.is_empty());
    }

    #[test]
    fn markers_and_holes_are_gaps() {
        let bytes = [batch(0, 2), marker(2), batch(6, 1), marker(7)].concat();
        let unpacked = fetch(bytes, &[(0, 9, 1)]).unpack(100);
        assert_eq!(offsets(&unpacked), [(0, 1), (1, 1), (6, 1)]);
        assert_eq!(unpacked.acknowledgements.offsets(), [(2, 5), (7, 9)]);
        assert!(unpacked.acknowledgements.batches().iter().all(|b| b.types == [0]));
    }

    #[test]
    fn batches_are_not_torn_apart() {
        let mut fetch = fetch([batch(0, 3), batch(3, 3)].concat(), &[(0, 5, 1)]);
        let first = fetch.unpack(1);
        assert_eq!((first.records.len(), first.is_exhausted), (3, false));
        let second = fetch.unpack(1);
        assert_eq!(second.records.len(), 3);
        assert!(fetch.unpack(1).is_exhausted);
    }

    #[test]
    fn a_damaged_batch_is_rejected_and_the_next_one_read() {
        let mut damaged = batch(3, 3);
        let last = damaged.len() - 1;
        damaged[last] ^= 1;
        let mut fetch = fetch([batch(0, 3), damaged, batch(6, 1)].concat(), &[(0, 6, 1)]);
        let first = fetch.unpack(100);
        assert_eq!(first.records.len(), 3);
        assert!(matches!(first.error, Some(ClientError::Records { .. })));
        assert_eq!(first.acknowledgements.offsets(), [(3, 5)]);
        assert_eq!(first.acknowledgements.batches()[0].types, [3]);
        assert!(!first.is_exhausted);
        assert_eq!(offsets(&fetch.unpack(100)), [(6, 1)]);
    }

    #[test]
    fn senseless_ranges_are_dropped() {
        let acquired = [(3, 1, 1), (-5, 0, 1), (0, 1, 2), (2, i64::MAX, 1)];
        let unpacked = fetch(batch(0, 3), &acquired).unpack(100);
        assert_eq!(offsets(&unpacked), [(0, 1), (1, 2)]);
        assert!(unpacked.acknowledgements.is_empty());
    }
}

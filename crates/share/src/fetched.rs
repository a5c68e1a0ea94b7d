use std::collections::BTreeSet;
use std::ops::Range;

use ottla_record::{ControlRecordType, DecompressionLimits, MemoryRecords, RecordBatch, RecordError};

use crate::share_partition::AcquiredRecords;

/// What was read from the log for a share-partition.
#[derive(Debug, Clone, Copy, Default)]
pub struct Fetched<'a> {
    /// The batches, in the log's order.
    pub batches: &'a [FetchedBatch],
    /// Transactions with records among them that were aborted. Told to those that read committed only.
    pub aborted_transactions: &'a [AbortedTransaction],
}

/// What must be known of a batch of the log to hand it out: its header, whatever happens to its records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FetchedBatch {
    /// Offset of its first record, or of the first there was before compaction.
    pub base_offset: i64,
    /// Offset of its last record, or of the last there was.
    pub last_offset: i64,
    /// Bytes in the log.
    pub size_in_bytes: usize,
    /// Who wrote it, if that is known.
    pub producer_id: Option<i64>,
    /// Whether it belongs to a transaction.
    pub transactional: bool,
    /// Whether it says that the producer's transaction is aborted.
    pub abort_marker: bool,
}

/// A transaction that was aborted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AbortedTransaction {
    /// Whose.
    pub producer_id: i64,
    /// Offset of its first record on the partition.
    pub first_offset: i64,
}

impl FetchedBatch {
    /// Looks at a batch. Only of a control batch is a record read.
    pub fn of(batch: &RecordBatch) -> Result<Self, RecordError> {
        Ok(Self {
            base_offset: batch.base_offset(),
            last_offset: batch.last_offset(),
            size_in_bytes: batch.size_in_bytes(),
            producer_id: batch.has_producer_id().then(|| batch.producer_id()),
            transactional: batch.is_transactional(),
            abort_marker: batch.is_control_batch() && is_abort_marker(batch)?,
        })
    }

    /// Looks at all whole batches. The log was checked when it was written; a batch that ends before it
    /// begins ends the walk all the same.
    pub fn all_of(records: &MemoryRecords) -> Result<Vec<Self>, RecordError> {
        let mut batches = Vec::new();
        for batch in records.batches() {
            let batch = Self::of(&batch?)?;
            if batch.last_offset < batch.base_offset {
                break;
            }
            batches.push(batch);
        }
        Ok(batches)
    }
}

fn is_abort_marker(batch: &RecordBatch) -> Result<bool, RecordError> {
    let records = batch.records(&DecompressionLimits::default())?;
    let first = records.iter().next().transpose()?;
    let kind = first.and_then(|record| ControlRecordType::parse(record.key).ok());
    Ok(kind == Some(ControlRecordType::Abort))
}

/// Offset of the last record of the batch that holds this offset; between batches, the offset itself.
pub(crate) fn end_of_batch_with(batches: &[FetchedBatch], offset: i64) -> i64 {
    let before = batches.iter().rev().find(|batch| batch.base_offset <= offset);
    before.map_or(offset, |batch| batch.last_offset.max(offset))
}

/// The ranges of offsets among the batches that belong to aborted transactions, in order.
pub(crate) fn aborted_ranges(fetched: &Fetched<'_>) -> Vec<(i64, i64)> {
    let mut begun: Vec<AbortedTransaction> = fetched.aborted_transactions.to_vec();
    begun.sort_unstable_by_key(|transaction| std::cmp::Reverse(transaction.first_offset));
    let mut aborting = BTreeSet::new();
    let mut ranges = Vec::new();
    for batch in fetched.batches {
        let Some(producer_id) = batch.producer_id else { continue };
        while begun.last().is_some_and(|transaction| transaction.first_offset <= batch.last_offset) {
            aborting.extend(begun.pop().map(|transaction| transaction.producer_id));
        }
        if batch.abort_marker {
            aborting.remove(&producer_id);
        } else if batch.transactional && aborting.contains(&producer_id) {
            ranges.push((batch.base_offset, batch.last_offset));
        }
    }
    ranges
}

/// The bytes of the fetched batches that a response needs: from the batch with the first acquired record
/// to that with the last. Batches before and behind would be sent in vain.
pub fn acquired_slice(batches: &[FetchedBatch], acquired: &[AcquiredRecords]) -> Range<usize> {
    let (Some(first), Some(last)) = (acquired.first(), acquired.last()) else { return 0..0 };
    let mut start = 0;
    let mut end = 0;
    for (index, batch) in batches.iter().enumerate() {
        if index > 0 && batch.base_offset > last.last_offset {
            break;
        }
        if batch.base_offset <= first.first_offset {
            start = end;
        }
        end += batch.size_in_bytes;
    }
    start..end
}

#[cfg(test)]
mod tests {
    use ottla_record::{CompressionType, EndTransactionMarker, SimpleRecord};

    use super::*;

    fn batch(base_offset: i64, last_offset: i64) -> FetchedBatch {
        FetchedBatch {
            base_offset,
            last_offset,
            size_in_bytes: 100,
            producer_id: None,
            transactional: false,
            abort_marker: false,
        }
    }

    fn of_producer(base_offset: i64, last_offset: i64, producer_id: i64) -> FetchedBatch {
        let producer_id = Some(producer_id);
        FetchedBatch { producer_id, transactional: true, ..batch(base_offset, last_offset) }
    }

    fn marker(offset: i64, producer_id: i64) -> FetchedBatch {
        FetchedBatch { abort_marker: true, ..of_producer(offset, offset, producer_id) }
    }

    fn acquired(first_offset: i64, last_offset: i64) -> AcquiredRecords {
        AcquiredRecords { first_offset, last_offset, delivery_count: 1 }
    }

    #[test]
    fn batches_of_the_log_are_seen_as_they_are() {
        let record = SimpleRecord::of_value(7, "pedido");
        let plain = MemoryRecords::with_records_at(5, 0, CompressionType::None, &[record.clone(), record]);
        let plain = FetchedBatch::all_of(&plain.unwrap()).unwrap();
        assert_eq!((plain[0].base_offset, plain[0].last_offset, plain[0].producer_id), (5, 6, None));
        assert!(!plain[0].transactional && !plain[0].abort_marker);

        for committed in [true, false] {
            let marker = EndTransactionMarker { committed, coordinator_epoch: 3 };
            let records = MemoryRecords::with_end_transaction_marker(9, 7, 0, 42, 1, marker).unwrap();
            let batches = FetchedBatch::all_of(&records).unwrap();
            assert_eq!((batches[0].abort_marker, batches[0].producer_id), (!committed, Some(42)));
        }
    }

    #[test]
    fn records_of_aborted_transactions_are_found_up_to_their_marker() {
        let batches = [
            of_producer(0, 1, 7),
            of_producer(2, 3, 8),
            of_producer(4, 5, 7),
            marker(6, 7),
            of_producer(7, 8, 7),
            batch(9, 9),
        ];
        let aborted_transactions = [AbortedTransaction { producer_id: 7, first_offset: 0 }];
        let fetched = Fetched { batches: &batches, aborted_transactions: &aborted_transactions };
        assert_eq!(aborted_ranges(&fetched), [(0, 1), (4, 5)]);
    }

    #[test]
    fn only_batches_with_acquired_records_are_sent() {
        let batches = [batch(0, 9), batch(10, 19), batch(20, 29), batch(30, 39)];
        assert_eq!(acquired_slice(&batches, &[acquired(0, 39)]), 0..400);
        assert_eq!(acquired_slice(&batches, &[acquired(12, 15), acquired(20, 20)]), 100..300);
        assert_eq!(acquired_slice(&batches, &[acquired(35, 36)]), 300..400);
        assert_eq!(acquired_slice(&batches, &[]), 0..0);
        assert_eq!(acquired_slice(&batches[..1], &[acquired(3, 4)]), 0..100);
    }

    #[test]
    fn the_end_of_a_batch_is_found_by_any_of_its_offsets() {
        let batches = [batch(0, 9), batch(20, 29)];
        assert_eq!(end_of_batch_with(&batches, 3), 9);
        assert_eq!(end_of_batch_with(&batches, 12), 12);
        assert_eq!(end_of_batch_with(&batches, 20), 29);
    }
}

//! What a share fetch must know of the batches it read, without reading the records.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use ottla_common::{ErrorCode, TransferSource, TransferableRecords};
use ottla_record::{RECORD_BATCH_OVERHEAD, RecordBatch, RecordBatchHeader, RecordError};
use ottla_share::FetchedBatch;
use ottla_storage::FileRecords;

/// Small batches lie close together: several headers come with one read.
const WINDOW_BYTES: usize = 4 * 1024;

/// Why the batches of a read cannot be told apart.
#[derive(Debug, thiserror::Error)]
pub(super) enum ScanError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Record(#[from] RecordError),
}

impl ScanError {
    pub(super) fn code(&self) -> ErrorCode {
        match self {
            Self::Io(_) => ErrorCode::KafkaStorageError,
            Self::Record(error) => error.code(),
        }
    }
}

/// The whole batches of a read, in order. Of all but control batches only the header is read. Formats v0 and v1,
/// which have no such header, are not for share groups.
pub(super) fn fetched_batches(records: &FileRecords) -> Result<Vec<FetchedBatch>, ScanError> {
    let mut window = Window { records, position: 0, bytes: Vec::new() };
    let size = records.size_in_bytes();
    let mut batches = Vec::new();
    let mut position = 0;
    while let Some(fixed) = window.get(position, RECORD_BATCH_OVERHEAD)? {
        let header = RecordBatchHeader::new(fixed)?;
        let end = position.saturating_add(header.size_in_bytes());
        // The last may be cut. Nothing is known behind a batch that ends before it begins.
        if end > size || header.last_offset() < header.base_offset() {
            break;
        }
        let mut batch = FetchedBatch {
            base_offset: header.base_offset(),
            last_offset: header.last_offset(),
            size_in_bytes: header.size_in_bytes(),
            producer_id: header.has_producer_id().then(|| header.producer_id()),
            transactional: header.is_transactional(),
            abort_marker: false,
        };
        if header.is_control_batch() {
            let Some(whole) = window.get(position, end - position)? else { break };
            batch = FetchedBatch::of(&RecordBatch::new(Bytes::copy_from_slice(whole))?)?;
        }
        batches.push(batch);
        position = end;
    }
    Ok(batches)
}

/// A part of the records that is in memory.
struct Window<'a> {
    records: &'a FileRecords,
    position: usize,
    bytes: Vec<u8>,
}

impl Window<'_> {
    /// So many bytes from a position on; `None` if there are fewer.
    fn get(&mut self, position: usize, len: usize) -> io::Result<Option<&[u8]>> {
        let end = position.saturating_add(len);
        if end > self.records.size_in_bytes() {
            return Ok(None);
        }
        let is_inside = position >= self.position && end <= self.position + self.bytes.len();
        if !is_inside {
            let wanted = len.max(WINDOW_BYTES).min(self.records.size_in_bytes() - position);
            self.bytes.clear();
            self.bytes.resize(wanted, 0);
            let read = self.records.read_at(position, &mut self.bytes)?;
            self.bytes.truncate(read);
            self.position = position;
        }
        let start = position - self.position;
        // Fewer than there should be: the log was cut meanwhile.
        Ok(self.bytes.get(start..start + len))
    }
}

/// A part of what was read, sent from where it lies.
pub(super) fn slice(records: FileRecords, range: Range<usize>) -> Arc<dyn TransferableRecords> {
    if range.start == 0 && range.end >= records.size_in_bytes() {
        return Arc::new(records);
    }
    let end = range.end.min(records.size_in_bytes());
    let start = range.start.min(end);
    Arc::new(RecordsSlice { records, start, len: end - start })
}

#[derive(Debug)]
struct RecordsSlice {
    records: FileRecords,
    start: usize,
    len: usize,
}

impl TransferableRecords for RecordsSlice {
    fn size_in_bytes(&self) -> usize {
        self.len
    }

    fn source(&self) -> TransferSource<'_> {
        match self.records.source() {
            TransferSource::File { file, position } => {
                TransferSource::File { file, position: position + self.start as u64 }
            }
            // Which part of the memory it is, cannot be said here.
            TransferSource::Memory(_) | TransferSource::Hidden => TransferSource::Hidden,
        }
    }

    fn read_at(&self, position: usize, buffer: &mut [u8]) -> io::Result<usize> {
        let len = buffer.len().min(self.len.saturating_sub(position));
        self.records.read_at(self.start.saturating_add(position), &mut buffer[..len])
    }
}

#[cfg(test)]
mod tests {
    use ottla_record::{Compression, EndTransactionMarker, MemoryRecords, SimpleRecord};

    use super::*;

    fn batch(base_offset: i64, records: usize, value_bytes: usize) -> Bytes {
        let record = SimpleRecord::of_value(7, vec![b'x'; value_bytes]);
        let records = vec![record; records];
        MemoryRecords::with_records_at(base_offset, 0, Compression::NONE, &records).unwrap().into_bytes()
    }

    fn run(batches: &[Bytes]) -> FileRecords {
        FileRecords::from(Bytes::from(batches.concat()))
    }

    #[test]
    fn headers_tell_what_the_batches_would() {
        let marker = EndTransactionMarker::new(false, 3);
        let marker =
            MemoryRecords::with_end_transaction_marker(15, 7, 0, 44, 1, marker).unwrap().into_bytes();
        let batches = [batch(0, 10, 10), batch(10, 5, 9_000), marker, batch(16, 1, 0)];
        let records = run(&batches);
        let expected = FetchedBatch::all_of(&MemoryRecords::new(records.read_all().unwrap())).unwrap();
        assert_eq!(fetched_batches(&records).unwrap(), expected);
        assert_eq!(
            expected.iter().map(|batch| batch.abort_marker).collect::<Vec<_>>(),
            [false, false, true, false]
        );
    }

    #[test]
    fn a_cut_batch_is_none() {
        let whole = [batch(0, 1, 10), batch(1, 1, 10)].concat();
        for cut in 1..batch(1, 1, 10).len() {
            let records = FileRecords::from(Bytes::from(whole[..whole.len() - cut].to_vec()));
            assert_eq!(fetched_batches(&records).unwrap().len(), 1, "{cut}");
        }
        assert!(fetched_batches(&FileRecords::EMPTY).unwrap().is_empty());
    }

    #[test]
    fn an_old_format_is_an_error() {
        let mut bytes = batch(0, 1, 10).to_vec();
        bytes[16] = 1;
        let error = fetched_batches(&FileRecords::from(Bytes::from(bytes))).unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidRecord);
    }

    #[test]
    fn a_slice_is_a_part() {
        let batches = [batch(0, 1, 10), batch(1, 1, 20), batch(2, 1, 30)];
        let (first, second) = (batches[0].len(), batches[1].len());
        let part = slice(run(&batches), first..first + second);
        let mut bytes = vec![0; second + 9];
        assert_eq!((part.size_in_bytes(), part.read_at(0, &mut bytes).unwrap()), (second, second));
        assert_eq!(bytes[..second], batches[1][..]);
        assert_eq!(part.read_at(second - 2, &mut bytes).unwrap(), 2);
        assert_eq!(part.read_at(second + 2, &mut bytes).unwrap(), 0);
        let all = run(&batches);
        let size = all.size_in_bytes();
        assert!(matches!(slice(all, 0..size).source(), TransferSource::Memory(_)));
    }
}

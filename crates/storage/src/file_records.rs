use std::io;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use ottla_common::{TransferSource, TransferableRecords};
use ottla_record::{HEADER_SIZE_UP_TO_MAGIC, RECORD_BATCH_OVERHEAD, RecordError, peek_log_entry_size};

use crate::fs::{LogFile, read_exact_at, read_full_at};
use crate::log_entry::EntryHeader;

/// A slice of a `.log` file. It stays readable while the file is renamed or unlinked.
#[derive(Debug, Clone)]
pub struct FileRecords {
    source: Source,
}

#[derive(Debug, Clone)]
enum Source {
    File { file: Arc<dyn LogFile>, position: u64, len: usize },
    Memory(Bytes),
}

impl FileRecords {
    /// No records.
    pub const EMPTY: Self = Self { source: Source::Memory(Bytes::new()) };

    pub(crate) fn new(file: Arc<dyn LogFile>, position: u64, len: usize) -> Self {
        Self { source: Source::File { file, position, len } }
    }

    /// Bytes of the slice.
    pub fn size_in_bytes(&self) -> usize {
        match &self.source {
            Source::File { len, .. } => *len,
            Source::Memory(bytes) => bytes.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.size_in_bytes() == 0
    }

    /// Copies all bytes into memory. Fewer than [`Self::size_in_bytes`] mean the log was truncated.
    pub fn read_all(&self) -> io::Result<Bytes> {
        match &self.source {
            Source::File { file, position, len } => {
                let mut buf = BytesMut::zeroed(*len);
                let read = read_full_at(file.as_ref(), &mut buf, *position)?;
                buf.truncate(read);
                Ok(buf.freeze())
            }
            Source::Memory(bytes) => Ok(bytes.clone()),
        }
    }
}

impl From<Bytes> for FileRecords {
    fn from(bytes: Bytes) -> Self {
        Self { source: Source::Memory(bytes) }
    }
}

impl TransferableRecords for FileRecords {
    fn size_in_bytes(&self) -> usize {
        Self::size_in_bytes(self)
    }

    fn source(&self) -> TransferSource<'_> {
        match &self.source {
            Source::File { file, position, .. } => match file.descriptor() {
                Ok(Some(file)) => TransferSource::File { file, position: *position },
                // Why it cannot be opened is told to whoever reads.
                Ok(None) | Err(_) => TransferSource::Hidden,
            },
            Source::Memory(bytes) => TransferSource::Memory(bytes),
        }
    }

    fn read_at(&self, position: usize, buffer: &mut [u8]) -> io::Result<usize> {
        match &self.source {
            Source::File { file, position: start, len } => {
                let max = buffer.len().min(len.saturating_sub(position));
                read_full_at(file.as_ref(), &mut buffer[..max], start + position as u64)
            }
            Source::Memory(bytes) => {
                let rest = bytes.get(position..).unwrap_or_default();
                let len = rest.len().min(buffer.len());
                buffer[..len].copy_from_slice(&rest[..len]);
                Ok(len)
            }
        }
    }
}

/// Why a walk over a file's batches stopped.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ScanError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Corrupt(#[from] RecordError),
}

/// The header of a batch, or of a message of an old format, and where it begins.
#[derive(Debug, Clone)]
pub(crate) struct BatchAt {
    pub(crate) position: u64,
    pub(crate) header: EntryHeader,
}

impl BatchAt {
    pub(crate) fn end(&self) -> u64 {
        self.position + self.header.size_in_bytes() as u64
    }
}

/// Walks over the batches of a file, up to a bound, through a window of buffered bytes. A batch that does
/// not end before the bound is not seen.
#[derive(Debug)]
pub(crate) struct BatchScanner<'a> {
    file: &'a dyn LogFile,
    position: u64,
    end: u64,
    window: Vec<u8>,
    window_at: u64,
    window_size: usize,
}

/// Between two index entries lie some 4 KiB: one read finds the batch.
const LOOKUP_WINDOW: usize = 8 * 1024;
const RECOVERY_WINDOW: usize = 1 << 20;

impl<'a> BatchScanner<'a> {
    /// For finding a batch.
    pub(crate) fn new(file: &'a dyn LogFile, position: u64, end: u64) -> Self {
        Self { file, position, end, window: Vec::new(), window_at: 0, window_size: LOOKUP_WINDOW }
    }

    /// For reading all of a segment.
    pub(crate) fn for_recovery(file: &'a dyn LogFile, position: u64, end: u64) -> Self {
        Self { window_size: RECOVERY_WINDOW, ..Self::new(file, position, end) }
    }

    /// The same, reading so much at once; more only for a batch that is larger.
    pub(crate) fn with_window(self, bytes: usize) -> Self {
        Self { window_size: bytes.max(LOOKUP_WINDOW), ..self }
    }

    /// The next batch's header.
    pub(crate) fn next_header(&mut self) -> Result<Option<BatchAt>, ScanError> {
        let position = self.position;
        let left = self.end.saturating_sub(position);
        if left < HEADER_SIZE_UP_TO_MAGIC as u64 {
            return Ok(None);
        }
        let wanted = RECORD_BATCH_OVERHEAD.min(left as usize);
        let bytes = self.bytes(position, wanted)?;
        let Some(size) = peek_log_entry_size(bytes)? else { return Ok(None) };
        if size as u64 > left {
            return Ok(None);
        }
        let Some(header) = EntryHeader::parse(bytes)? else { return Ok(None) };
        self.position = position + size as u64;
        Ok(Some(BatchAt { position, header }))
    }

    /// All bytes of a batch whose header was just seen.
    pub(crate) fn whole_batch(&mut self, batch: &BatchAt) -> io::Result<&[u8]> {
        self.bytes(batch.position, batch.header.size_in_bytes())
    }

    /// Bytes of the file, fewer at its end. `len` was bounded by the file's length.
    fn bytes(&mut self, position: u64, len: usize) -> io::Result<&[u8]> {
        let window_end = self.window_at + self.window.len() as u64;
        if position < self.window_at || position + len as u64 > window_end {
            let left = usize::try_from(self.end.saturating_sub(position)).unwrap_or(usize::MAX);
            let size = self.window_size.max(len).min(left);
            self.window.resize(size, 0);
            let read = read_full_at(self.file, &mut self.window, position)?;
            self.window.truncate(read);
            self.window_at = position;
        }
        let from = (position - self.window_at) as usize;
        let to = (from + len).min(self.window.len());
        self.window.get(from..to).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}

/// The batch at a position, whole.
pub(crate) fn read_batch(file: &dyn LogFile, batch: &BatchAt) -> io::Result<Bytes> {
    read_exact_at(file, batch.position, batch.header.size_in_bytes())
}

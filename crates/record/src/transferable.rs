use std::fmt::Debug;
use std::io;
use std::os::fd::BorrowedFd;

use bytes::Bytes;

use crate::MemoryRecords;

/// Records a connection can send. Files hand out their slice, so that no byte of it enters user space.
///
/// Declared here, implemented where files are, used where sockets are: none of them knows another.
pub trait TransferableRecords: Debug + Send + Sync {
    /// How many bytes there are to send.
    fn size_in_bytes(&self) -> usize;

    /// Where the bytes are.
    fn source(&self) -> TransferSource<'_>;

    /// Copies bytes from a position within these records, for connections that must touch them, as TLS's.
    /// Returns how many; fewer than asked for only at the end.
    fn read_at(&self, position: usize, buffer: &mut [u8]) -> io::Result<usize>;
}

/// Where records are.
#[derive(Debug, Clone, Copy)]
pub enum TransferSource<'a> {
    /// In memory.
    Memory(&'a Bytes),
    /// In a file, from `position` on, as many bytes as [`TransferableRecords::size_in_bytes`].
    File {
        /// The file.
        file: BorrowedFd<'a>,
        /// First byte of the records in the file.
        position: u64,
    },
}

impl TransferableRecords for MemoryRecords {
    fn size_in_bytes(&self) -> usize {
        self.bytes().len()
    }

    fn source(&self) -> TransferSource<'_> {
        TransferSource::Memory(self.bytes())
    }

    fn read_at(&self, position: usize, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = self.bytes().get(position..).unwrap_or_default();
        let len = rest.len().min(buffer.len());
        buffer[..len].copy_from_slice(&rest[..len]);
        Ok(len)
    }
}

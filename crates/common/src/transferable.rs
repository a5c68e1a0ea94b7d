//! Records on their way out, wherever they lie.
//!
//! Declared on the ground floor, implemented where files are, carried by messages and used where
//! sockets are: none of them knows another.

use std::fmt::Debug;
use std::fs::File;
use std::io;
use std::sync::Arc;

use bytes::Bytes;

/// Records a connection can send. Files hand out their slice, so that no byte of it enters user space.
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
#[derive(Debug, Clone)]
pub enum TransferSource<'a> {
    /// In memory.
    Memory(&'a Bytes),
    /// In a file, from `position` on, as many bytes as [`TransferableRecords::size_in_bytes`].
    File {
        /// The file. It stays open as long as this is held, so hold it only while it is read: a broker has
        /// more files than descriptors.
        file: Arc<File>,
        /// First byte of the records in the file.
        position: u64,
    },
    /// Where no descriptor leads: [`TransferableRecords::read_at`] is the only way.
    Hidden,
}

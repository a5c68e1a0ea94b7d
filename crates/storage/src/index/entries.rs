use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::fs::{FileSystem, LogFile, OpenMode};
use crate::index::CorruptIndexError;

/// Fixed-size entries of an index file: in memory, and written some at a time.
///
/// A crash loses what was not written. It costs nothing: entries of what was not flushed are made anew
/// anyway.
#[derive(Debug)]
pub(super) struct Entries<const SIZE: usize> {
    fs: Arc<dyn FileSystem>,
    path: PathBuf,
    bytes: Vec<u8>,
    /// How many of the bytes are in the file.
    written: usize,
    /// Open while the index grows; a closed segment's index needs no descriptor.
    file: Option<Arc<dyn LogFile>>,
    max_index_size: usize,
    /// Changed since it was last forced to disk, perhaps through a descriptor that is closed since.
    dirty: bool,
    /// The file was found longer than its entries.
    overlong: bool,
}

/// Entries are written once there are so many bytes of them, or when the file must be whole.
const UNWRITTEN_BYTES_MAX: usize = 4096;
/// A file larger than this is no index: 4 bytes of relative offset cannot address more.
const MAX_FILE_BYTES: u64 = 1 << 31;

impl<const SIZE: usize> Entries<SIZE> {
    /// Reads the file, if there is one. What follows the last whole entry is ignored, as Kafka does, and so
    /// are the zeros Kafka preallocates and may leave: no entry but the first can be all zero, and what
    /// that one would say is known without it.
    pub(super) fn open(fs: Arc<dyn FileSystem>, path: PathBuf, max_index_size: usize) -> io::Result<Self> {
        let mut bytes = match fs.read_file(&path, MAX_FILE_BYTES)? {
            Some(bytes) => Vec::from(bytes),
            None => Vec::new(),
        };
        let used = bytes.chunks_exact(SIZE).rposition(|entry| entry.iter().any(|byte| *byte != 0));
        let found = bytes.len();
        bytes.truncate(used.map_or(0, |last| (last + 1) * SIZE));
        let overlong = bytes.len() < found;
        let written = bytes.len();
        Ok(Self { fs, path, bytes, written, file: None, max_index_size, dirty: false, overlong })
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len() / SIZE
    }

    pub(super) fn max_entries(&self) -> usize {
        self.max_index_size / SIZE
    }

    pub(super) fn get(&self, slot: usize) -> Option<&[u8; SIZE]> {
        self.bytes.get(slot * SIZE..)?.first_chunk()
    }

    pub(super) fn last(&self) -> Option<&[u8; SIZE]> {
        self.bytes.last_chunk()
    }

    /// Number of entries at the front for which `holds`; they must come before those for which not.
    pub(super) fn partition_point(&self, holds: impl Fn(&[u8; SIZE]) -> bool) -> usize {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            if self.get(middle).is_some_and(&holds) { low = middle + 1 } else { high = middle }
        }
        low
    }

    pub(super) fn push(&mut self, entry: [u8; SIZE]) -> io::Result<()> {
        self.dirty = true;
        self.bytes.extend_from_slice(&entry);
        if self.bytes.len() - self.written >= UNWRITTEN_BYTES_MAX { self.write() } else { Ok(()) }
    }

    pub(super) fn truncate(&mut self, entries: usize) -> io::Result<()> {
        let len = entries * SIZE;
        if len < self.bytes.len() {
            self.dirty = true;
            if len < self.written {
                self.writable()?.set_len(len as u64)?;
                self.written = len;
            }
            self.bytes.truncate(len);
        }
        Ok(())
    }

    fn write(&mut self) -> io::Result<()> {
        if self.written < self.bytes.len() {
            let file = Arc::clone(self.writable()?);
            file.write_all_at(&self.bytes[self.written..], self.written as u64)?;
            self.written = self.bytes.len();
        }
        Ok(())
    }

    /// Makes the file there and exactly as long as its entries. A file Kafka left while running is
    /// longer than that.
    pub(super) fn trim(&mut self) -> io::Result<()> {
        self.write()?;
        let len = self.bytes.len() as u64;
        let file = self.writable()?;
        if file.len()? != len {
            file.set_len(len)?;
            self.dirty = true;
        }
        self.overlong = false;
        Ok(())
    }

    /// Trims a file that was found too long: zeros before which a crash stops us would be taken for entries
    /// by Kafka's tools.
    pub(super) fn trim_overlong(&mut self) -> io::Result<()> {
        if self.overlong { self.trim() } else { Ok(()) }
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        if let Some(file) = self.begin_flush()? {
            file.sync().inspect_err(|_| self.dirty = true)?;
        }
        Ok(())
    }

    /// Hands all entries to the file, and returns it if it has to be synced. Whoever fails to do so calls
    /// [`Self::note_unsynced`].
    pub(super) fn begin_flush(&mut self) -> io::Result<Option<Arc<dyn LogFile>>> {
        if !self.dirty {
            return Ok(None);
        }
        self.write()?;
        let file = Arc::clone(self.writable()?);
        self.dirty = false;
        Ok(Some(file))
    }

    pub(super) fn note_unsynced(&mut self) {
        self.dirty = true;
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The file was renamed. It is opened again, by its new name, when it is written.
    pub(super) fn set_path(&mut self, path: PathBuf) {
        self.path = path;
        self.file = None;
    }

    pub(super) fn close(&mut self) {
        // Everybody trims before closing, so nothing is left unwritten.
        self.file = None;
    }

    pub(super) fn corrupt(&self, reason: String) -> CorruptIndexError {
        CorruptIndexError { path: self.path.display().to_string(), reason }
    }

    fn writable(&mut self) -> io::Result<&Arc<dyn LogFile>> {
        if self.file.is_none() {
            let file = self.fs.open(&self.path, OpenMode::ReadWrite)?;
            self.file = Some(file);
        }
        self.file.as_ref().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Whether memory and file agree; for tests.
    #[cfg(test)]
    pub(super) fn matches_file(&mut self) -> io::Result<bool> {
        self.write()?;
        let file = self.fs.open(&self.path, OpenMode::Read)?;
        Ok(file.len()? == self.bytes.len() as u64
            && crate::fs::read_exact_at(file.as_ref(), 0, self.bytes.len())? == self.bytes)
    }
}

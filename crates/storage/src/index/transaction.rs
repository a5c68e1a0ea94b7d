use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::CorruptIndexError;
use crate::fs::{FileSystem, LogFile, OpenMode};

/// Version (2 bytes), producer id, first offset, last offset, last stable offset (8 bytes each).
const ENTRY_SIZE: usize = 34;
const VERSION: i16 = 0;
/// One entry for every 34 bytes; more aborted transactions than fit here no segment can have.
const MAX_FILE_BYTES: u64 = 1 << 31;

/// A transaction that was aborted: its records must not reach `read_committed` consumers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AbortedTxn {
    /// The producer.
    pub producer_id: i64,
    /// First offset of the transaction.
    pub first_offset: i64,
    /// Offset of the abort marker.
    pub last_offset: i64,
    /// Last stable offset after the marker was written: no later entry begins before it.
    pub last_stable_offset: i64,
}

/// Aborted transactions in a range, and whether later segments can have more of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TxnIndexSearchResult {
    /// Those found.
    pub aborted: Vec<AbortedTxn>,
    /// Whether there can be no more.
    pub is_complete: bool,
}

/// `.txnindex`: aborted transactions whose markers lie in the segment. There is no file before the first.
#[derive(Debug)]
pub struct TransactionIndex {
    fs: Arc<dyn FileSystem>,
    path: PathBuf,
    start_offset: i64,
    entries: Vec<AbortedTxn>,
    corrupt: Option<String>,
    file: Option<Arc<dyn LogFile>>,
    dirty: bool,
}

impl TransactionIndex {
    /// Reads the index of a segment, if it has one. Damage is told by [`Self::sanity_check`].
    pub fn open(fs: Arc<dyn FileSystem>, path: PathBuf, start_offset: i64) -> io::Result<Self> {
        let bytes = fs.read_file(&path, MAX_FILE_BYTES)?.unwrap_or_default();
        let mut entries = Vec::with_capacity(bytes.len() / ENTRY_SIZE);
        let mut corrupt = None;
        for entry in bytes.as_chunks::<ENTRY_SIZE>().0 {
            match AbortedTxn::parse(entry) {
                Ok(txn) => entries.push(txn),
                Err(version) => {
                    corrupt = Some(format!("entry {} has the unknown version {version}", entries.len()));
                    break;
                }
            }
        }
        Ok(Self { fs, path, start_offset, entries, corrupt, file: None, dirty: false })
    }

    /// Adds a transaction whose marker was just written.
    pub fn append(&mut self, txn: AbortedTxn) -> io::Result<()> {
        let grows = self.entries.last().is_none_or(|last| last.last_offset < txn.last_offset);
        if !grows {
            let text =
                format!("TXN-INDEX-GROWS: {txn:?} is not after the last entry of {}", self.path.display());
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        let position = (self.entries.len() * ENTRY_SIZE) as u64;
        self.dirty = true;
        self.writable()?.write_all_at(&txn.encode(), position)?;
        self.entries.push(txn);
        Ok(())
    }

    /// Transactions with records in `[fetch_offset, upper_bound)`.
    pub fn collect_aborted(&self, fetch_offset: i64, upper_bound: i64) -> TxnIndexSearchResult {
        let mut aborted = Vec::new();
        for txn in &self.entries {
            if txn.last_offset >= fetch_offset && txn.first_offset < upper_bound {
                aborted.push(*txn);
            }
            if txn.last_stable_offset >= upper_bound {
                return TxnIndexSearchResult { aborted, is_complete: true };
            }
        }
        TxnIndexSearchResult { aborted, is_complete: false }
    }

    /// All of them.
    pub fn all(&self) -> &[AbortedTxn] {
        &self.entries
    }

    /// Forgets transactions whose markers lie at or above an offset.
    pub fn truncate_to(&mut self, offset: i64) -> io::Result<()> {
        let keep = self.entries.iter().position(|txn| txn.last_offset >= offset);
        keep.map_or(Ok(()), |keep| self.truncate(keep))
    }

    /// Forgets transactions whose markers lie at or above an offset, and what a crash left behind the last
    /// entry.
    pub(crate) fn restore_to(&mut self, offset: i64) -> io::Result<()> {
        let mut end = self.start_offset;
        let sound = self.entries.iter().take_while(|txn| {
            let from = std::mem::replace(&mut end, txn.last_offset.saturating_add(1));
            (from..offset).contains(&txn.last_offset)
        });
        let keep = sound.count();
        if self.fs.exists(&self.path)? { self.truncate(keep) } else { Ok(()) }
    }

    /// Forgets all.
    pub fn reset(&mut self) -> io::Result<()> {
        if self.fs.exists(&self.path)? {
            self.truncate(0)?;
        }
        self.corrupt = None;
        Ok(())
    }

    /// Fails when an entry is unknown or lies before the segment.
    pub fn sanity_check(&self) -> Result<(), CorruptIndexError> {
        let before = self.entries.iter().find(|txn| txn.last_offset < self.start_offset);
        let reason =
            self.corrupt.clone().or_else(|| before.map(|txn| format!("{txn:?} is before the segment")));
        let path = self.path.display().to_string();
        reason.map_or(Ok(()), |reason| Err(CorruptIndexError { path, reason }))
    }

    /// Makes entries survive a loss of power.
    pub fn flush(&mut self) -> io::Result<()> {
        if let Some(file) = self.begin_flush()? {
            file.sync().inspect_err(|_| self.dirty = true)?;
        }
        Ok(())
    }

    /// As [`Self::flush`], for a caller that syncs the file itself, if one is returned.
    pub(crate) fn begin_flush(&mut self) -> io::Result<Option<Arc<dyn LogFile>>> {
        if !self.dirty {
            return Ok(None);
        }
        let file = Arc::clone(self.writable()?);
        self.dirty = false;
        Ok(Some(file))
    }

    /// The caller of [`Self::begin_flush`] could not sync the file.
    pub(crate) fn note_unsynced(&mut self) {
        self.dirty = true;
    }

    /// Lets go of the file.
    pub fn close(&mut self) {
        self.file = None;
    }

    /// Where the file is, or would be.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file was renamed. It is opened again, by its new name, when it is written.
    pub fn set_path(&mut self, path: PathBuf) {
        self.path = path;
        self.file = None;
    }

    fn truncate(&mut self, entries: usize) -> io::Result<()> {
        self.dirty = true;
        self.writable()?.set_len((entries * ENTRY_SIZE) as u64)?;
        self.entries.truncate(entries);
        Ok(())
    }

    fn writable(&mut self) -> io::Result<&Arc<dyn LogFile>> {
        if self.file.is_none() {
            self.file = Some(self.fs.open(&self.path, OpenMode::ReadWrite)?);
        }
        self.file.as_ref().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl AbortedTxn {
    fn encode(&self) -> [u8; ENTRY_SIZE] {
        let mut entry = [0; ENTRY_SIZE];
        entry[..2].copy_from_slice(&VERSION.to_be_bytes());
        let fields = [self.producer_id, self.first_offset, self.last_offset, self.last_stable_offset];
        for (to, field) in entry[2..].chunks_exact_mut(8).zip(fields) {
            to.copy_from_slice(&field.to_be_bytes());
        }
        entry
    }

    fn parse(entry: &[u8; ENTRY_SIZE]) -> Result<Self, i16> {
        let version = i16::from_be_bytes([entry[0], entry[1]]);
        if version != VERSION {
            return Err(version);
        }
        let field = |index: usize| {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(&entry[2 + 8 * index..][..8]);
            i64::from_be_bytes(bytes)
        };
        Ok(Self {
            producer_id: field(0),
            first_offset: field(1),
            last_offset: field(2),
            last_stable_offset: field(3),
        })
    }
}

#[cfg(test)]
#[path = "transaction_test.rs"]
mod tests;

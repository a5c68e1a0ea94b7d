//! Snapshots as files.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use ottla_common::time::Time;
use ottla_metadata::{ApiMessageAndVersion, MetadataParseError};
use ottla_raft::control::{BatchBuildError, BatchError, ControlRecord, control_records};
use ottla_raft::snapshot::{PARTIAL_SUFFIX, RecordsSnapshotWriter, SUFFIX, filename_from_snapshot_id};
use ottla_raft::{OffsetAndEpoch, VoterSet};
use ottla_record::{DecompressionLimits, HEADER_SIZE_UP_TO_MAGIC, RecordBatch, RecordError, peek_batch_size};
use ottla_storage::fs::{FileSystem, LogFile, OpenMode, read_exact_at};

use super::metadata_log::SnapshotSet;

/// No batch of a snapshot is larger; a length beyond is nonsense.
const MAX_BATCH_BYTES: usize = ottla_raft::MAX_BATCH_SIZE_BYTES + 1024;

/// Why a snapshot could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The disk failed.
    #[error("cannot access {path}: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The cause.
        error: io::Error,
    },
    /// A batch is wrong.
    #[error("{path} is corrupt at byte {position}: {problem}")]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Where.
        position: u64,
        /// What is wrong.
        problem: String,
    },
    /// A record cannot be written.
    #[error(transparent)]
    Build(#[from] BatchBuildError),
    /// A record cannot be encoded.
    #[error(transparent)]
    Encode(#[from] ottla_protocol::EncodeError),
}

/// Reads a snapshot from its header to its footer.
#[derive(Debug)]
pub struct SnapshotReader {
    id: OffsetAndEpoch,
    path: PathBuf,
    file: Arc<dyn LogFile>,
    len: u64,
    position: u64,
    last_contained_log_timestamp: i64,
    control_records: Vec<ControlRecord>,
    complete: bool,
}

impl SnapshotReader {
    /// Opens a snapshot of this id in a folder and reads its header.
    pub fn open(fs: &dyn FileSystem, dir: &Path, id: OffsetAndEpoch) -> Result<Self, SnapshotError> {
        Self::open_file(fs, &dir.join(format!("{}{SUFFIX}", filename_from_snapshot_id(id))), id)
    }

    /// Opens a file with the form of a snapshot, such as the `bootstrap.checkpoint` that Kafka wrote before
    /// 4.4 (KIP-1170).
    pub fn open_file(fs: &dyn FileSystem, path: &Path, id: OffsetAndEpoch) -> Result<Self, SnapshotError> {
        let io = |error| SnapshotError::Io { path: path.to_owned(), error };
        let file = fs.open(path, OpenMode::Read).map_err(io)?;
        let len = file.len().map_err(io)?;
        let mut this = Self {
            id,
            path: path.to_owned(),
            file,
            len,
            position: 0,
            last_contained_log_timestamp: -1,
            control_records: Vec::new(),
            complete: false,
        };
        match this.read_batch()? {
            Some(batch) if batch.is_control_batch() => this.take_control(&batch)?,
            _ => return Err(this.corrupt("the header is missing")),
        }
        Ok(this)
    }

    /// Which snapshot it is.
    pub fn snapshot_id(&self) -> OffsetAndEpoch {
        self.id
    }

    /// The last offset whose effect the snapshot has.
    pub fn last_contained_log_offset(&self) -> i64 {
        self.id.offset - 1
    }

    /// When the last record it stands for was appended.
    pub fn last_contained_log_timestamp(&self) -> i64 {
        self.last_contained_log_timestamp
    }

    /// Bytes of the file.
    pub fn size_in_bytes(&self) -> u64 {
        self.len
    }

    /// Control records read so far; those about the quorum are in the header's batch.
    pub fn control_records(&self) -> &[ControlRecord] {
        &self.control_records
    }

    /// The next records. After the last come none, and a snapshot without a footer is an error.
    pub fn next_batch(&mut self) -> Result<Option<Vec<ApiMessageAndVersion>>, SnapshotError> {
        while let Some(batch) = self.read_batch()? {
            if batch.is_control_batch() {
                self.take_control(&batch)?;
                continue;
            }
            return decode_batch(&batch).map(Some).map_err(|error| self.corrupt(&error.to_string()));
        }
        if self.complete { Ok(None) } else { Err(self.corrupt("the footer is missing")) }
    }

    /// All records that are left.
    pub fn read_all(&mut self) -> Result<Vec<ApiMessageAndVersion>, SnapshotError> {
        let mut all = Vec::new();
        while let Some(batch) = self.next_batch()? {
            all.extend(batch);
        }
        Ok(all)
    }

    /// Bytes as they are in the file, for another replica.
    pub(super) fn read_slice(&self, position: u64, max_bytes: usize) -> Result<Bytes, SnapshotError> {
        let len = self.len.saturating_sub(position).min(max_bytes as u64) as usize;
        read_exact_at(self.file.as_ref(), position, len).map_err(|error| self.io(error))
    }

    fn take_control(&mut self, batch: &RecordBatch) -> Result<(), SnapshotError> {
        let records = control_records(batch).map_err(|error| self.corrupt(&error.to_string()))?;
        for (_, record) in records {
            match &record {
                ControlRecord::SnapshotHeader(header) => {
                    self.last_contained_log_timestamp = header.last_contained_log_timestamp;
                }
                ControlRecord::SnapshotFooter(_) => self.complete = true,
                _ => {}
            }
            self.control_records.push(record);
        }
        Ok(())
    }

    fn read_batch(&mut self) -> Result<Option<RecordBatch>, SnapshotError> {
        if self.position >= self.len {
            return Ok(None);
        }
        let left = self.len - self.position;
        let head = left.min(HEADER_SIZE_UP_TO_MAGIC as u64) as usize;
        let head = read_exact_at(self.file.as_ref(), self.position, head).map_err(|error| self.io(error))?;
        let size = peek_batch_size(&head).map_err(|error| self.corrupt(&error.to_string()))?;
        let size = size.filter(|size| *size as u64 <= left && *size <= MAX_BATCH_BYTES);
        let size = size.ok_or_else(|| self.corrupt("a batch is cut"))?;
        let bytes = read_exact_at(self.file.as_ref(), self.position, size).map_err(|error| self.io(error))?;
        let batch = RecordBatch::new(bytes).map_err(|error| self.corrupt(&error.to_string()))?;
        batch.ensure_valid().map_err(|error| self.corrupt(&error.to_string()))?;
        self.position += size as u64;
        Ok(Some(batch))
    }

    fn io(&self, error: io::Error) -> SnapshotError {
        SnapshotError::Io { path: self.path.clone(), error }
    }

    fn corrupt(&self, problem: &str) -> SnapshotError {
        let (path, position) = (self.path.clone(), self.position);
        SnapshotError::Corrupt { path, position, problem: problem.to_owned() }
    }
}

/// Why a batch of metadata cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum DecodeBatchError {
    #[error(transparent)]
    Batch(#[from] BatchError),
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error("record {offset}: {error}")]
    Metadata { offset: i64, error: MetadataParseError },
}

/// The metadata records of a batch; none if it is one of control records.
pub(super) fn decode_batch(batch: &RecordBatch) -> Result<Vec<ApiMessageAndVersion>, DecodeBatchError> {
    if batch.is_control_batch() {
        return Ok(Vec::new());
    }
    let limits = DecompressionLimits::default();
    let records = batch.records(&limits)?;
    records
        .iter()
        .map(|record| {
            let record = record?;
            let value = record.value.ok_or(BatchError::NoValue(record.offset))?;
            ApiMessageAndVersion::from_bytes(Bytes::copy_from_slice(value))
                .map_err(|error| DecodeBatchError::Metadata { offset: record.offset, error })
        })
        .collect()
}

/// Called when a snapshot became visible.
pub(super) type OnFrozen = Box<dyn FnOnce(OffsetAndEpoch) + Send>;

/// Writes a snapshot. It becomes visible by [`Self::freeze`]; dropped before, it leaves nothing.
pub struct SnapshotWriter {
    file: PartialFile,
    writer: RecordsSnapshotWriter,
    time: Arc<dyn Time>,
    snapshots: SnapshotSet,
    on_frozen: OnFrozen,
}

impl std::fmt::Debug for SnapshotWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SnapshotWriter").field("id", &self.writer.id()).finish_non_exhaustive()
    }
}

/// What a snapshot's header says.
pub(super) struct SnapshotHeader {
    pub(super) id: OffsetAndEpoch,
    pub(super) last_contained_log_timestamp: i64,
    pub(super) kraft_version: i16,
    pub(super) voters: Option<VoterSet>,
}

impl SnapshotWriter {
    pub(super) fn create(
        fs: Arc<dyn FileSystem>,
        time: Arc<dyn Time>,
        dir: &Path,
        header: &SnapshotHeader,
        snapshots: SnapshotSet,
        on_frozen: OnFrozen,
    ) -> Result<Self, SnapshotError> {
        let now = time.now_ms();
        let timestamp = header.last_contained_log_timestamp;
        let (writer, first) = RecordsSnapshotWriter::new(
            header.id,
            now,
            timestamp,
            header.kraft_version,
            header.voters.as_ref(),
        )?;
        let mut file = PartialFile::create(fs, dir, header.id, time.monotonic_ns())?;
        file.append(&first)?;
        Ok(Self { file, writer, time, snapshots, on_frozen })
    }

    /// Which snapshot it will be.
    pub fn snapshot_id(&self) -> OffsetAndEpoch {
        self.writer.id()
    }

    /// Adds records.
    pub fn append(&mut self, records: &[ApiMessageAndVersion]) -> Result<(), SnapshotError> {
        for record in records {
            let value = record.to_bytes()?;
            if let Some(batch) = self.writer.append(self.time.now_ms(), value)? {
                self.file.append(&batch)?;
            }
        }
        Ok(())
    }

    /// Ends the snapshot, forces it to disk and makes it visible. Returns its size in bytes.
    pub fn freeze(self) -> Result<u64, SnapshotError> {
        let Self { mut file, writer, time, snapshots, on_frozen } = self;
        let id = writer.id();
        for batch in writer.finish(time.now_ms())? {
            file.append(&batch)?;
        }
        let size = file.freeze()?;
        snapshots.insert(id);
        on_frozen(id);
        Ok(size)
    }
}

/// A snapshot's file while it has another name.
#[derive(Debug)]
pub(super) struct PartialFile {
    fs: Arc<dyn FileSystem>,
    dir: PathBuf,
    id: OffsetAndEpoch,
    path: PathBuf,
    file: Arc<dyn LogFile>,
    len: u64,
    frozen: bool,
}

impl PartialFile {
    pub(super) fn create(
        fs: Arc<dyn FileSystem>,
        dir: &Path,
        id: OffsetAndEpoch,
        unique: i64,
    ) -> Result<Self, SnapshotError> {
        let path = dir.join(format!("{}-{unique}{PARTIAL_SUFFIX}", filename_from_snapshot_id(id)));
        let opened = fs.create_dir_all(dir).and_then(|()| fs.open(&path, OpenMode::Truncate));
        let file = opened.map_err(|error| SnapshotError::Io { path: path.clone(), error })?;
        Ok(Self { fs, dir: dir.to_owned(), id, path, file, len: 0, frozen: false })
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    pub(super) fn id(&self) -> OffsetAndEpoch {
        self.id
    }

    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<(), SnapshotError> {
        self.file.write_all_at(bytes, self.len).map_err(|error| self.io(error))?;
        self.len += bytes.len() as u64;
        Ok(())
    }

    pub(super) fn freeze(mut self) -> Result<u64, SnapshotError> {
        let target = self.dir.join(format!("{}{SUFFIX}", filename_from_snapshot_id(self.id)));
        let done = self
            .file
            .sync()
            .and_then(|()| self.fs.rename(&self.path, &target))
            .and_then(|()| self.fs.sync_dir(&self.dir));
        done.map_err(|error| self.io(error))?;
        self.frozen = true;
        Ok(self.len)
    }

    fn io(&self, error: io::Error) -> SnapshotError {
        SnapshotError::Io { path: self.path.clone(), error }
    }
}

impl Drop for PartialFile {
    fn drop(&mut self) {
        if !self.frozen {
            // Whatever stays is removed at the next start.
            let _ = self.fs.remove_file_if_exists(&self.path);
        }
    }
}

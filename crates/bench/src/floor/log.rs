//! A partition: one file, and where each of its batches starts.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};

use crate::batch::{Header, checksum_holds};

/// A file that only grows.
#[derive(Debug)]
pub(super) struct Log {
    file: Arc<File>,
    end_offset: i64,
    end_position: u64,
    /// Base offset and position of each batch.
    batches: Vec<(i64, u64)>,
    /// Connections whose parked fetch waits for this partition, with the fetch's serial number.
    pub(super) waiters: Vec<(usize, u64)>,
}

/// A part of a log's file.
#[derive(Debug)]
pub(super) struct Slice {
    pub(super) file: Arc<File>,
    pub(super) position: u64,
    pub(super) length: usize,
}

impl Log {
    pub(super) fn create(path: &Path) -> Result<Self> {
        let file = File::options().create(true).truncate(true).read(true).write(true).open(path);
        let file = Arc::new(file.with_context(|| format!("{}", path.display()))?);
        Ok(Self { file, end_offset: 0, end_position: 0, batches: Vec::new(), waiters: Vec::new() })
    }

    pub(super) fn end_offset(&self) -> i64 {
        self.end_offset
    }

    /// Checks one batch, gives it its offset in place and writes it; returns its base offset.
    pub(super) fn append(&mut self, batch: &mut [u8]) -> Result<i64> {
        let header = Header::read(batch)?.context("no whole header")?;
        ensure!(header.size == batch.len(), "a batch of {} in {} bytes", header.size, batch.len());
        ensure!(checksum_holds(batch), "wrong checksum");
        let base = self.end_offset;
        batch[..8].copy_from_slice(&base.to_be_bytes());
        batch[12..16].copy_from_slice(&0_i32.to_be_bytes());
        self.file.write_all_at(batch, self.end_position)?;
        self.batches.push((base, self.end_position));
        self.end_offset += header.next_offset - header.base_offset;
        self.end_position += batch.len() as u64;
        Ok(base)
    }

    /// At most `limit` bytes from the batch with this offset on; the first batch is always whole when
    /// `whole` says so. None when there is no such offset.
    pub(super) fn read(&self, offset: i64, limit: usize, whole: bool) -> Option<Slice> {
        if !(0..=self.end_offset).contains(&offset) {
            return None;
        }
        let file = self.file.clone();
        if offset == self.end_offset {
            return Some(Slice { file, position: self.end_position, length: 0 });
        }
        let after = self.batches.partition_point(|(base, _)| *base <= offset);
        let position = self.batches[after - 1].1;
        let first_end = self.batches.get(after).map_or(self.end_position, |(_, position)| *position);
        let least = if whole { first_end - position } else { 0 };
        let length = (self.end_position - position).min((limit as u64).max(least)) as usize;
        Some(Slice { file, position, length })
    }
}

//! Records that are copied on their way out, and those for which the disk would have to be asked.
//!
//! A thread that serves connections must not wait for a disk: what is not in the page cache is read
//! on a thread that may wait.

use std::io::{self, IoSliceMut};
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use ottla_common::TransferableRecords;
use rustix::io::{Errno, ReadWriteFlags, preadv2};

/// How far apart the pages are that are looked at. The system reads ahead in larger steps.
const PROBE_STRIDE: usize = 128 * 1024;

/// Whether the bytes are in the page cache, as far as a few looks can tell.
pub(crate) fn is_cached(file: BorrowedFd<'_>, position: u64, len: usize) -> bool {
    let last = len.saturating_sub(1);
    (0..last).step_by(PROBE_STRIDE).chain([last]).all(|offset| {
        let mut byte = [0];
        !matches!(read_now(file, &mut byte, position + offset as u64), Err(Errno::AGAIN))
    })
}

/// The bytes, if all of them are in the page cache.
pub(crate) fn copy_if_cached(file: BorrowedFd<'_>, position: u64, len: usize) -> Option<Bytes> {
    let mut buffer = BytesMut::zeroed(len);
    let read = read_now(file, &mut buffer, position).ok()?;
    (read == len).then(|| buffer.freeze())
}

fn read_now(file: BorrowedFd<'_>, buffer: &mut [u8], position: u64) -> rustix::io::Result<usize> {
    preadv2(file, &mut [IoSliceMut::new(buffer)], position, ReadWriteFlags::NOWAIT)
}

/// Copies records on a thread that may wait for the disk.
pub(crate) async fn copy_apart(
    records: &Arc<dyn TransferableRecords>,
    position: usize,
    len: usize,
) -> io::Result<Bytes> {
    let records = Arc::clone(records);
    let copying = tokio::task::spawn_blocking(move || copy(&*records, position, len));
    copying.await.map_err(io::Error::other)?
}

/// Copies records. They were promised in a frame, which cannot be finished without all of them.
pub(crate) fn copy(records: &dyn TransferableRecords, position: usize, len: usize) -> io::Result<Bytes> {
    let mut buffer = BytesMut::zeroed(len);
    let mut filled = 0;
    while filled < len {
        match records.read_at(position + filled, &mut buffer[filled..])? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            n => filled += n,
        }
    }
    Ok(buffer.freeze())
}

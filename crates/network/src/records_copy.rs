//! Records that are copied on their way out, and those for which the disk would have to be asked.
//!
//! A thread that serves connections must not wait for a disk: what is not in the page cache is read
//! on a thread that may wait.

use std::io::{self, IoSliceMut};
use std::num::NonZeroU64;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use ottla_common::{TransferSource, TransferableRecords};
use rustix::fs::{Advice, fadvise};
use rustix::io::{Errno, ReadWriteFlags, preadv2};

/// How far apart the pages are that are looked at. The system reads ahead in larger steps.
const PROBE_STRIDE: usize = 128 * 1024;
/// A piece in the page cache is read in less than this.
const CACHED_TIME_MAX: Duration = Duration::from_micros(200);
/// What is read only to have it read, at once.
const SCRATCH_BYTES: usize = 64 * 1024;
/// How far ahead of a reader of old records the disk is asked.
const READ_AHEAD_BYTES: usize = 1024 * 1024;

/// Whether the bytes are in the page cache, as far as a few looks can tell.
pub(crate) fn is_cached(records: &dyn TransferableRecords, position: usize, len: usize) -> bool {
    let TransferSource::File { file, position: start } = records.source() else { return true };
    let position = start + position as u64;
    let last = len.saturating_sub(1);
    (0..last).step_by(PROBE_STRIDE).chain([last]).all(|offset| {
        let mut byte = [0];
        !matches!(read_now(file.as_fd(), &mut byte, position + offset as u64), Err(Errno::AGAIN))
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

/// Brings records into the page cache on a thread that may wait for the disk, so that they can then be sent
/// from there: what they are read into stays in a processor's cache and is forgotten, which costs less than
/// memory of their own and a second copy. Tells whether the disk had to be asked.
pub(crate) async fn read_apart(
    records: &Arc<dyn TransferableRecords>,
    position: usize,
    len: usize,
) -> io::Result<bool> {
    let records = Arc::clone(records);
    let reading = tokio::task::spawn_blocking(move || {
        ask_ahead(&*records, position, len);
        let mut scratch = vec![0; SCRATCH_BYTES.min(len)];
        let begin = Instant::now();
        let mut done = 0;
        while done < len {
            let step = scratch.len().min(len - done);
            match records.read_at(position + done, &mut scratch[..step])? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                n => done += n,
            }
        }
        Ok(begin.elapsed() > CACHED_TIME_MAX)
    });
    reading.await.map_err(io::Error::other)?
}

/// Has the disk read these bytes and some more, and lets the system read nothing ahead by itself. It would do so
/// whenever somebody comes by one of its marks, also on a thread with connections that only looks whether a page is
/// there; and it must find memory first, which took up to 100 ms where memory is limited (a cgroup that is full, and
/// pages under write-back in it).
fn ask_ahead(records: &dyn TransferableRecords, position: usize, len: usize) {
    let TransferSource::File { file, position: start } = records.source() else { return };
    // Advice that is not taken costs speed, nothing else.
    let _ = fadvise(&file, 0, None, Advice::Random);
    let bytes = NonZeroU64::new((len + READ_AHEAD_BYTES) as u64);
    let _ = fadvise(&file, start + position as u64, bytes, Advice::WillNeed);
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

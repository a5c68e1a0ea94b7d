use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::os::fd::AsFd;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use ottla_common::{TransferSource, TransferableRecords};
use ottla_protocol::Payload;

use crate::Response;
use crate::idle::IdleTimer;
use crate::records_copy::{copy, copy_if_cached, is_cached, read_apart};
use crate::transport::Transport;

/// Slices in one write; more are written by the next one.
const SLICES_MAX: usize = 64;
/// Records of a file up to this size are copied behind their header: one send of both costs less than
/// a send and a `sendfile`.
const COPY_BYTES_MAX: usize = 32 * 1024;
/// Records that cannot be sent from their file are copied in pieces of this size.
const CHUNK_BYTES: usize = 256 * 1024;
/// One `sendfile`; other connections of the thread get their turn after it.
const SEND_FILE_BYTES: usize = 1024 * 1024;

/// Answers that wait to be written, in the order of their requests.
#[derive(Debug, Default)]
pub(crate) struct Outbound {
    queue: VecDeque<Piece>,
    bytes: usize,
    /// The disk had to be asked for the last records, so it will have to be for the next.
    cold: bool,
}

#[derive(Debug)]
enum Piece {
    Bytes(Bytes),
    /// `fetched` is up to where they were read from the disk not long ago.
    Records {
        records: Arc<dyn TransferableRecords>,
        position: usize,
        fetched: usize,
    },
}

impl Outbound {
    /// How many bytes wait.
    pub(crate) fn len(&self) -> usize {
        self.bytes
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Adds an answer behind the others. Fails for one that no frame can carry.
    pub(crate) fn push(&mut self, response: Response) -> io::Result<()> {
        let len = response.len();
        let prefix = i32::try_from(len).map_err(|_| io::Error::other("response larger than 2 GiB"))?;
        self.queue.push_back(Piece::Bytes(Bytes::copy_from_slice(&prefix.to_be_bytes())));
        for part in response.parts {
            if !part.is_empty() {
                self.queue.push_back(Piece::from(part));
            }
        }
        self.bytes += prefix.to_be_bytes().len() + len;
        Ok(())
    }

    /// Writes everything. A peer that takes nothing for the whole idle period is given up. Can be
    /// dropped between writes without losing its place.
    pub(crate) async fn flush(&mut self, transport: &mut Transport, idle: &mut IdleTimer) -> io::Result<()> {
        while !self.queue.is_empty() {
            let written = tokio::select! {
                biased;
                written = self.write(transport) => written?,
                () = idle.expired() => return Err(io::ErrorKind::TimedOut.into()),
            };
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            idle.touch();
            self.advance(written);
        }
        // An idle connection keeps no memory.
        self.queue = VecDeque::new();
        Ok(())
    }

    async fn write(&mut self, transport: &mut Transport) -> io::Result<usize> {
        if let Some(Piece::Records { records, position, fetched }) = self.queue.front() {
            let (records, position, fetched) = (Arc::clone(records), *position, *fetched);
            if matches!(records.source(), TransferSource::File { .. }) {
                return self.send_from_file(transport, &records, position, fetched).await;
            }
            self.load(&*records, position)?;
        }
        let slices = self.slices();
        transport.write_vectored(&slices, slices.len() < self.queue.len()).await
    }

    /// Sends records of the front from where they lie in a file, once they are in the page cache.
    async fn send_from_file(
        &mut self,
        transport: &mut Transport,
        records: &Arc<dyn TransferableRecords>,
        position: usize,
        fetched: usize,
    ) -> io::Result<usize> {
        let left = records.size_in_bytes() - position;
        let len = if fetched > position {
            fetched - position
        } else if !self.cold && is_cached(&**records, position, left.min(SEND_FILE_BYTES)) {
            left.min(SEND_FILE_BYTES)
        } else {
            self.fetch(records, position, left.min(CHUNK_BYTES)).await?
        };
        let TransferSource::File { file, position: start } = records.source() else {
            return Err(io::Error::other("the records left their file"));
        };
        match transport.send_file(file.as_fd(), start + position as u64, len).await? {
            // The frame promised these bytes; the log was cut, and the frame cannot be finished.
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            sent => Ok(sent),
        }
    }

    /// Brings the next piece of the records at the front into the page cache.
    async fn fetch(
        &mut self,
        records: &Arc<dyn TransferableRecords>,
        from: usize,
        len: usize,
    ) -> io::Result<usize> {
        self.cold = read_apart(records, from, len).await?;
        if let Some(Piece::Records { fetched, .. }) = self.queue.front_mut() {
            *fetched = from + len;
        }
        Ok(len)
    }

    /// Brings the next piece of the records at the front into memory.
    fn load(&mut self, records: &dyn TransferableRecords, position: usize) -> io::Result<()> {
        let len = (records.size_in_bytes() - position).min(CHUNK_BYTES);
        let chunk = copy(records, position, len)?;
        let end = position + len;
        let rest = self.queue.pop_front().filter(|_| end < records.size_in_bytes());
        if let Some(Piece::Records { records, .. }) = rest {
            self.queue.push_front(Piece::Records { records, position: end, fetched: 0 });
        }
        self.queue.push_front(Piece::Bytes(chunk));
        Ok(())
    }

    fn slices(&self) -> Vec<IoSlice<'_>> {
        self.queue
            .iter()
            .map_while(|piece| match piece {
                Piece::Bytes(bytes) => Some(IoSlice::new(bytes)),
                Piece::Records { .. } => None,
            })
            .take(SLICES_MAX)
            .collect()
    }

    fn advance(&mut self, mut written: usize) {
        assert!(written <= self.bytes, "more written than there was");
        self.bytes -= written;
        while written > 0 {
            let Some(front) = self.queue.front_mut() else { return };
            let left = match front {
                Piece::Bytes(bytes) => {
                    let step = written.min(bytes.len());
                    bytes.advance(step);
                    written -= step;
                    bytes.len()
                }
                Piece::Records { records, position, .. } => {
                    let step = written.min(records.size_in_bytes() - *position);
                    *position += step;
                    written -= step;
                    records.size_in_bytes() - *position
                }
            };
            if left == 0 {
                self.queue.pop_front();
            }
        }
    }
}

impl From<Payload> for Piece {
    fn from(part: Payload) -> Self {
        let records = match part {
            Payload::Bytes(bytes) => return Self::Bytes(bytes),
            Payload::Records(records) => records,
        };
        let small = records.size_in_bytes() <= COPY_BYTES_MAX;
        match records.source() {
            TransferSource::Memory(bytes) => Self::Bytes(bytes.clone()),
            TransferSource::File { file, position } if small => {
                match copy_if_cached(file.as_fd(), position, records.size_in_bytes()) {
                    Some(bytes) => Self::Bytes(bytes),
                    None => Self::Records { records, position: 0, fetched: 0 },
                }
            }
            TransferSource::File { .. } | TransferSource::Hidden => {
                Self::Records { records, position: 0, fetched: 0 }
            }
        }
    }
}

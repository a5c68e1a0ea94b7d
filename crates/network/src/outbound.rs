use std::collections::VecDeque;
use std::io::{self, IoSlice};

use bytes::{Buf, Bytes};
use ottla_record::{TransferSource, TransferableRecords};

use crate::idle::IdleTimer;
use crate::transport::Transport;
use crate::{Payload, Response};

/// Slices in one write; more are written by the next one.
const SLICES_MAX: usize = 64;
/// Records that are in a file are copied in pieces of this size.
const FILE_CHUNK_BYTES: usize = 256 * 1024;

/// Answers that wait to be written, in the order of their requests.
#[derive(Debug, Default)]
pub(crate) struct Outbound {
    queue: VecDeque<Piece>,
    bytes: usize,
}

#[derive(Debug)]
enum Piece {
    Bytes(Bytes),
    Records { records: Box<dyn TransferableRecords>, position: usize },
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
            if part.is_empty() {
                continue;
            }
            self.queue.push_back(match part {
                Payload::Bytes(bytes) => Piece::Bytes(bytes),
                Payload::Records(records) => match records.source() {
                    TransferSource::Memory(bytes) => Piece::Bytes(bytes.clone()),
                    TransferSource::File { .. } => Piece::Records { records, position: 0 },
                },
            });
        }
        self.bytes += prefix.to_be_bytes().len() + len;
        Ok(())
    }

    /// Writes everything. A peer that takes nothing for the whole idle period is given up. Can be
    /// dropped between writes without losing its place.
    pub(crate) async fn flush(&mut self, transport: &mut Transport, idle: &mut IdleTimer) -> io::Result<()> {
        while !self.queue.is_empty() {
            self.load_records()?;
            let written = {
                let slices = self.slices();
                tokio::select! {
                    biased;
                    written = transport.write_vectored(&slices) => written?,
                    () = idle.expired() => return Err(io::ErrorKind::TimedOut.into()),
                }
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

    /// Copies the next piece of a file into memory when it is its turn.
    fn load_records(&mut self) -> io::Result<()> {
        let Some(Piece::Records { records, position }) = self.queue.front_mut() else { return Ok(()) };
        let rest = records.size_in_bytes() - *position;
        let mut chunk = vec![0; rest.min(FILE_CHUNK_BYTES)];
        let mut filled = 0;
        while filled < chunk.len() {
            match records.read_at(*position + filled, &mut chunk[filled..])? {
                // The frame promised these bytes; without them it cannot be finished.
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                n => filled += n,
            }
        }
        *position += filled;
        if filled == rest {
            self.queue.pop_front();
        }
        self.queue.push_front(Piece::Bytes(chunk.into()));
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
            let Some(Piece::Bytes(bytes)) = self.queue.front_mut() else { return };
            let step = written.min(bytes.len());
            bytes.advance(step);
            written -= step;
            if bytes.is_empty() {
                self.queue.pop_front();
            }
        }
    }
}

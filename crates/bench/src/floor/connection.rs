//! A socket with what was received and what could not be sent yet.

use std::collections::VecDeque;
use std::net::TcpStream;

use anyhow::{Result, ensure};
use rustix::buffer::spare_capacity;
use rustix::fs::sendfile;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};

use super::fetch::Fetch;
use super::log::Slice;
use crate::wire::i32_at;

const INBOX: usize = 128 << 10;
const FRAME_MAX: usize = 104_857_600;

/// One client.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) stream: TcpStream,
    pub(super) inbox: Vec<u8>,
    outbox: VecDeque<Piece>,
    /// A fetch that waits for data; what follows on this connection waits with it.
    pub(super) parked: Option<Fetch>,
    /// Whether epoll was asked to tell when there is room again.
    pub(super) awaits_room: bool,
}

/// A part of an answer.
#[derive(Debug)]
pub(super) enum Piece {
    Bytes(Vec<u8>),
    File(Slice),
}

impl Connection {
    pub(super) fn new(stream: TcpStream) -> Self {
        let outbox = VecDeque::new();
        Self { stream, inbox: Vec::new(), outbox, parked: None, awaits_room: false }
    }

    /// One recv; false at the end of the stream.
    pub(super) fn receive(&mut self) -> Result<bool> {
        let frame = if self.inbox.len() >= 4 { 4 + usize::try_from(i32_at(&self.inbox, 0))? } else { 0 };
        ensure!(frame <= FRAME_MAX, "a frame of {frame} bytes");
        if self.inbox.capacity() < frame.max(INBOX) {
            self.inbox.reserve(frame.max(INBOX) - self.inbox.len());
        } else if self.inbox.len() == self.inbox.capacity() {
            self.inbox.reserve(INBOX);
        }
        match recv(&self.stream, spare_capacity(&mut self.inbox), RecvFlags::DONTWAIT) {
            Ok((_, 0)) => Ok(false),
            Ok(_) | Err(Errno::AGAIN | Errno::INTR) => Ok(true),
            Err(Errno::CONNRESET) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// The length of the whole frame at a place of the inbox, without its length field.
    pub(super) fn frame_at(&self, at: usize) -> Option<usize> {
        let rest = self.inbox.get(at..)?;
        if rest.len() < 4 {
            return None;
        }
        let length = usize::try_from(i32_at(rest, 0)).ok()?;
        (rest.len() >= 4 + length).then_some(length)
    }

    /// Sends an answer now, or as much of it as there is room for.
    pub(super) fn answer(&mut self, pieces: impl IntoIterator<Item = Piece>) -> Result<()> {
        self.outbox.extend(pieces);
        self.flush()
    }

    /// Whether something could not be sent.
    pub(super) fn is_full(&self) -> bool {
        !self.outbox.is_empty()
    }

    pub(super) fn flush(&mut self) -> Result<()> {
        while let Some(mut piece) = self.outbox.pop_front() {
            let more = !self.outbox.is_empty();
            if !piece.send(&self.stream, more)? {
                self.outbox.push_front(piece);
                return Ok(());
            }
        }
        Ok(())
    }
}

impl Piece {
    /// Whether all of it was sent; what was sent is taken off.
    fn send(&mut self, stream: &TcpStream, more: bool) -> Result<bool> {
        match self {
            Self::Bytes(bytes) => {
                let mut flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
                flags.set(SendFlags::MORE, more);
                while !bytes.is_empty() {
                    match send(stream, bytes, flags) {
                        Ok(sent) if sent == bytes.len() => return Ok(true),
                        Ok(sent) => drop(bytes.drain(..sent)),
                        Err(Errno::AGAIN) => return Ok(false),
                        Err(Errno::INTR) => {}
                        Err(error) => return Err(error.into()),
                    }
                }
            }
            Self::File(slice) => {
                while slice.length > 0 {
                    match sendfile(stream, &slice.file, Some(&mut slice.position), slice.length) {
                        Ok(0) => anyhow::bail!("the file is shorter than it was"),
                        Ok(sent) => slice.length -= sent,
                        Err(Errno::AGAIN) => return Ok(false),
                        Err(Errno::INTR) => {}
                        Err(error) => return Err(error.into()),
                    }
                }
            }
        }
        Ok(true)
    }
}

//! What a connection has received and not served yet.
//!
//! The memory to read into is lent by the thread: a connection that waits holds none, or just the
//! few bytes of a frame that has begun, and one that reads does so into memory that the thread
//! used a moment ago and that is still in its cache.

use std::cell::Cell;

use bytes::{Buf, Bytes, BytesMut};
use ottla_protocol::ApiKey;

use crate::frame::{FrameError, LENGTH_BYTES, frame_length, read_size};

/// Size of a lent buffer: several requests fit, and so does a core's second-level cache.
const LENT_BYTES: usize = 256 * 1024;
/// Size of the buffer for frames that do not fit into one: a batch of `max.message.bytes` does.
const LARGE_BYTES: usize = 1280 * 1024;
/// While it waits, a connection holds at most this many times what it has received.
const HELD_PER_RECEIVED_MAX: usize = 8;

thread_local! {
    static SPARE: Cell<Option<BytesMut>> = const { Cell::new(None) };
}

/// The bytes between the socket and the requests.
#[derive(Debug, Default)]
pub(crate) struct Inbound {
    bytes: BytesMut,
    /// Whether `bytes` lies in a buffer of the thread, whatever its own capacity says.
    lent: bool,
}

impl Inbound {
    /// How many bytes wait.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The bytes that wait.
    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.bytes
    }

    /// The length of the frame at the front; `None` until it is known.
    pub(crate) fn frame_length(&self, max: usize) -> Result<Option<usize>, FrameError> {
        frame_length(&self.bytes, max)
    }

    /// Cuts off the frame of `len` bytes at the front, which must be there, without its length.
    ///
    /// A frame of records shares the buffer, since it is served and gone before the next read.
    /// Every other one is small and may be parked for long, so it becomes its own.
    pub(crate) fn take_frame(&mut self, len: usize) -> Bytes {
        assert!(self.bytes.len() >= LENGTH_BYTES + len, "the frame is not whole yet");
        self.bytes.advance(LENGTH_BYTES);
        if carries_records(&self.bytes[..len]) {
            return self.bytes.split_to(len).freeze();
        }
        let frame = Bytes::copy_from_slice(&self.bytes[..len]);
        self.bytes.advance(len);
        frame
    }

    /// Room for the next read, `frame` being the length of the frame at the front if known.
    pub(crate) fn room(&mut self, frame: Option<usize>) -> &mut BytesMut {
        if self.bytes.is_empty() {
            self.lend();
        } else {
            let (received, rest) = (self.bytes.len(), read_size(self.bytes.len(), frame));
            let earned = HELD_PER_RECEIVED_MAX * received >= LARGE_BYTES && received + rest <= LARGE_BYTES;
            let fits = self.bytes.capacity() - received >= rest;
            // One size for all that are large, so that one spare serves the next of them.
            self.bytes.reserve(if earned && !fits { LARGE_BYTES - received } else { rest });
            // What grew beyond that is this connection's own and is not kept.
            self.lent &= received + rest <= LARGE_BYTES;
        }
        &mut self.bytes
    }

    /// Gives back what the connection does not need while it waits.
    pub(crate) fn settle(&mut self) {
        let held = if self.lent { LENT_BYTES } else { self.bytes.capacity() };
        if !self.bytes.is_empty() && held <= HELD_PER_RECEIVED_MAX * self.bytes.len().max(64) {
            return;
        }
        let own = if self.bytes.is_empty() { BytesMut::new() } else { BytesMut::from(&self.bytes[..]) };
        let buffer = std::mem::replace(&mut self.bytes, own);
        if std::mem::take(&mut self.lent) {
            give_back(buffer);
        }
    }

    /// Forgets everything received.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
    }

    fn lend(&mut self) {
        if self.lent && self.bytes.try_reclaim(LENT_BYTES) {
            return;
        }
        let mut spare = SPARE.take().unwrap_or_default();
        if !spare.try_reclaim(LARGE_BYTES) && !spare.try_reclaim(LENT_BYTES) {
            // A request still uses a part of it and keeps it; this thread gets another one.
            spare = BytesMut::with_capacity(LENT_BYTES);
        }
        self.bytes = spare;
        self.lent = true;
    }
}

fn give_back(mut buffer: BytesMut) {
    buffer.clear();
    if buffer.try_reclaim(LARGE_BYTES) || buffer.try_reclaim(LENT_BYTES) {
        SPARE.set(Some(buffer));
    }
}

fn carries_records(frame: &[u8]) -> bool {
    frame.first_chunk().is_some_and(|key| i16::from_be_bytes(*key) == ApiKey::Produce as i16)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receive(inbound: &mut Inbound, bytes: &[u8], frame: Option<usize>) {
        inbound.room(frame).extend_from_slice(bytes);
    }

    fn frame_of(api: ApiKey, len: usize) -> Vec<u8> {
        let mut frame = (len as i32).to_be_bytes().to_vec();
        frame.extend((api as i16).to_be_bytes());
        frame.resize(LENGTH_BYTES + len, 7);
        frame
    }

    #[test]
    fn waiting_costs_what_was_received() {
        let mut inbound = Inbound::default();
        receive(&mut inbound, &[0], None);
        inbound.settle();
        assert!(inbound.bytes.capacity() <= 64 && inbound.len() == 1);
        receive(&mut inbound, &[0, 0, 2, 0], None);
        receive(&mut inbound, &[3; 4], Some(2));
        inbound.settle();
        assert!(inbound.bytes.capacity() < 1024, "{}", inbound.bytes.capacity());
        assert_eq!(inbound.as_slice(), [0, 0, 0, 2, 0, 3, 3, 3, 3]);
    }

    #[test]
    fn an_empty_connection_holds_nothing_and_the_buffer_goes_round() {
        let mut inbound = Inbound::default();
        for _ in 0..100 {
            receive(&mut inbound, &frame_of(ApiKey::Produce, 1000), None);
            let frame = inbound.take_frame(1000);
            assert_eq!(frame.len(), 1000);
            drop(frame);
            inbound.settle();
            assert_eq!(inbound.bytes.capacity(), 0);
            let spare = SPARE.take().expect("given back");
            assert!(spare.capacity() >= LENT_BYTES);
            SPARE.set(Some(spare));
        }
    }

    #[test]
    fn records_share_the_buffer_and_the_rest_is_copied() {
        let mut inbound = Inbound::default();
        receive(&mut inbound, &frame_of(ApiKey::Produce, 100), None);
        let buffer = inbound.as_slice().as_ptr() as usize;
        receive(&mut inbound, &frame_of(ApiKey::Fetch, 50), None);
        assert_eq!(inbound.take_frame(100).as_ptr() as usize, buffer + LENGTH_BYTES);
        let fetch = inbound.take_frame(50).as_ptr() as usize;
        assert!(!(buffer..buffer + LENT_BYTES).contains(&fetch));
    }

    #[test]
    fn a_huge_buffer_is_not_kept() {
        let mut inbound = Inbound::default();
        let len = 4 << 20;
        for piece in frame_of(ApiKey::Produce, len).chunks(300_000) {
            receive(&mut inbound, piece, Some(len));
        }
        drop(inbound.take_frame(len));
        inbound.settle();
        assert!(SPARE.take().is_none_or(|spare| spare.capacity() <= LARGE_BYTES));
    }

    #[test]
    fn a_request_that_keeps_its_records_keeps_them() {
        let mut inbound = Inbound::default();
        receive(&mut inbound, &frame_of(ApiKey::Produce, 100), None);
        let kept = inbound.take_frame(100);
        inbound.settle();
        receive(&mut inbound, &[9; 200], None);
        assert_eq!(kept[2..], [7; 98]);
    }

    #[test]
    fn a_large_frame_grows_with_its_bytes_and_its_buffer_is_kept() {
        let mut inbound = Inbound::default();
        let whole = frame_of(ApiKey::Produce, 1_000_000);
        for piece in whole.chunks(100_000) {
            let frame = inbound.frame_length(usize::MAX).expect("a good length");
            receive(&mut inbound, piece, frame);
            inbound.settle();
            assert!(inbound.bytes.capacity() <= LENT_BYTES.max(HELD_PER_RECEIVED_MAX * inbound.len()));
        }
        assert_eq!(inbound.take_frame(1_000_000).len(), 1_000_000);
        inbound.settle();
        let spare = SPARE.take().expect("given back");
        assert!(spare.capacity() >= 1_000_000);
    }
}

use std::io::{self, IoSlice};

use bytes::Bytes;

use crate::fs::LogFile;

/// Offset, length and epoch: what lies in front of the part a checksum covers.
const HEAD_BYTES: usize = 16;
const BASE_OFFSET: std::ops::Range<usize> = 0..8;
const LEADER_EPOCH: std::ops::Range<usize> = 12..16;

/// Batches on their way into the log.
///
/// What a leader changes of a producer's batch are the offset and the epoch at its very front. They are
/// kept beside the bytes, which are shared with the frame they came in and go to the file from there:
/// no record is copied on its way.
#[derive(Debug, Clone)]
pub(crate) struct StampedRecords {
    bytes: Bytes,
    stamp: Option<Stamp>,
}

/// What the one batch gets.
#[derive(Debug, Clone, Copy)]
struct Stamp {
    base_offset: i64,
    leader_epoch: i32,
}

impl StampedRecords {
    /// Batches that say themselves where they belong.
    pub(crate) fn whole(bytes: Bytes) -> Self {
        Self { bytes, stamp: None }
    }

    /// One batch as a producer made it, with offset 0, and what the leader says.
    pub(crate) fn stamped(bytes: Bytes, base_offset: i64, leader_epoch: i32) -> Self {
        assert!(bytes.len() >= HEAD_BYTES, "a stamp is for a whole batch");
        Self { bytes, stamp: Some(Stamp { base_offset, leader_epoch }) }
    }

    /// The batches without what the leader says.
    pub(crate) fn unstamped(&self) -> &Bytes {
        &self.bytes
    }

    /// What is to be added to the offsets of [`Self::unstamped`].
    pub(crate) fn offset_shift(&self) -> i64 {
        self.stamp.map_or(0, |stamp| stamp.base_offset)
    }

    /// The epoch of all batches, unless each says its own.
    pub(crate) fn leader_epoch(&self) -> Option<i32> {
        self.stamp.map(|stamp| stamp.leader_epoch)
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Writes the batches as they are to lie in the log.
    pub(crate) fn write_to(&self, file: &dyn LogFile, position: u64) -> io::Result<()> {
        match self.head() {
            None => file.write_all_at(&self.bytes, position),
            Some(head) => {
                let mut slices = [IoSlice::new(&head), IoSlice::new(&self.bytes[HEAD_BYTES..])];
                file.write_all_vectored_at(&mut slices, position)
            }
        }
    }

    /// The bytes as they are to lie in the log.
    #[cfg(test)]
    pub(crate) fn to_bytes(&self) -> Bytes {
        let Some(head) = self.head() else { return self.bytes.clone() };
        let mut bytes = bytes::BytesMut::from(&self.bytes[..]);
        bytes[..HEAD_BYTES].copy_from_slice(&head);
        bytes.freeze()
    }

    fn head(&self) -> Option<[u8; HEAD_BYTES]> {
        let stamp = self.stamp?;
        let mut head = *self.bytes.first_chunk::<HEAD_BYTES>()?;
        head[BASE_OFFSET].copy_from_slice(&stamp.base_offset.to_be_bytes());
        head[LEADER_EPOCH].copy_from_slice(&stamp.leader_epoch.to_be_bytes());
        Some(head)
    }
}

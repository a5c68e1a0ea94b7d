//! Where one frame ends: four bytes of length, then that many bytes.

/// `socket.request.max.bytes` when nobody says otherwise.
pub const MAX_FRAME_BYTES_DEFAULT: usize = 100 * 1024 * 1024;
/// Size of the length in front of each frame.
pub(crate) const LENGTH_BYTES: usize = 4;
/// Room for the first bytes of a frame.
const READ_BYTES_MIN: usize = 16 * 1024;
/// However fast bytes come, a read takes no more memory than this at once.
const READ_BYTES_MAX: usize = 1024 * 1024;

/// Why a stream of frames cannot go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Kafka never sends this; whoever does speaks something else.
    #[error("invalid frame of {0} bytes")]
    Negative(i32),
    /// More than the receiver takes.
    #[error("frame of {size} bytes is larger than the {max} allowed")]
    TooLarge {
        /// What the frame claims.
        size: usize,
        /// What is allowed.
        max: usize,
    },
}

/// The length of the frame at the start of `buffer`, without the length itself; `None` until four
/// bytes are there.
pub fn frame_length(buffer: &[u8], max: usize) -> Result<Option<usize>, FrameError> {
    let Some(prefix) = buffer.first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
    let claimed = i32::from_be_bytes(*prefix);
    let size = usize::try_from(claimed).map_err(|_| FrameError::Negative(claimed))?;
    if size > max {
        return Err(FrameError::TooLarge { size, max });
    }
    Ok(Some(size))
}

/// How much room the next read gets: at most the rest of the frame, and never more than a small
/// multiple of what has really arrived, so that a claimed length costs its sender as many bytes.
pub(crate) fn read_size(buffered: usize, frame: Option<usize>) -> usize {
    let earned = (7 * buffered).clamp(READ_BYTES_MIN, READ_BYTES_MAX);
    match frame {
        Some(len) => (LENGTH_BYTES + len).saturating_sub(buffered).clamp(1, earned),
        None => READ_BYTES_MIN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_waits_for_four_bytes() {
        assert_eq!(frame_length(&[0, 0, 1], 1024), Ok(None));
        assert_eq!(frame_length(&[0, 0, 1, 0], 1024), Ok(Some(256)));
    }

    #[test]
    fn impossible_lengths_are_errors() {
        assert_eq!(frame_length(&[0xff; 4], 1024), Err(FrameError::Negative(-1)));
        assert_eq!(frame_length(&i32::MIN.to_be_bytes(), 1024), Err(FrameError::Negative(i32::MIN)));
        assert_eq!(
            frame_length(&1025i32.to_be_bytes(), 1024),
            Err(FrameError::TooLarge { size: 1025, max: 1024 })
        );
    }

    #[test]
    fn memory_follows_the_bytes_not_the_claim() {
        let claimed = MAX_FRAME_BYTES_DEFAULT;
        assert_eq!(read_size(4, Some(claimed)), READ_BYTES_MIN);
        let mut buffered = 4;
        while buffered < claimed {
            let room = read_size(buffered, Some(claimed));
            assert!(room <= READ_BYTES_MAX && room <= (7 * buffered).max(READ_BYTES_MIN));
            buffered += room;
        }
        assert_eq!(buffered, LENGTH_BYTES + claimed);
    }
}

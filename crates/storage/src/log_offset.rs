/// An offset and, if known, where its batch begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogOffsetMetadata {
    /// The offset.
    pub message_offset: i64,
    /// Where it lies on disk.
    pub location: Option<SegmentPosition>,
}

/// A place in a log's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentPosition {
    /// Base offset of the segment.
    pub segment_base_offset: i64,
    /// Bytes before it in the segment.
    pub relative_position: u64,
}

impl LogOffsetMetadata {
    /// An offset that lies who knows where.
    pub const fn offset_only(message_offset: i64) -> Self {
        Self { message_offset, location: None }
    }

    /// An offset and its place.
    pub const fn at(message_offset: i64, segment_base_offset: i64, relative_position: u64) -> Self {
        Self { message_offset, location: Some(SegmentPosition { segment_base_offset, relative_position }) }
    }

    /// Whether it lies in an earlier segment than `that`; false if either place is not known.
    pub fn on_older_segment(&self, that: &Self) -> bool {
        let pair = self.location.zip(that.location);
        pair.is_some_and(|(a, b)| a.segment_base_offset < b.segment_base_offset)
    }

    /// Whether both lie in the same segment; false if either place is not known.
    pub fn on_same_segment(&self, that: &Self) -> bool {
        let pair = self.location.zip(that.location);
        pair.is_some_and(|(a, b)| a.segment_base_offset == b.segment_base_offset)
    }

    /// Bytes from `that` to here; `None` unless both lie in the same segment.
    pub fn position_diff(&self, that: &Self) -> Option<i64> {
        let (a, b) = self.location.zip(that.location)?;
        let same = a.segment_base_offset == b.segment_base_offset;
        same.then(|| a.relative_position as i64 - b.relative_position as i64)
    }
}

use std::sync::Arc;

use crate::log_segment::LogSegment;

/// The segments of a log, in the order of their base offsets. Most logs have one for good, and a broker has
/// logs by the thousand, so one takes no more room than it needs.
#[derive(Debug, Clone, Default)]
pub(crate) struct LogSegments(Vec<Arc<LogSegment>>);

impl LogSegments {
    pub(crate) fn one(segment: LogSegment) -> Self {
        Self(vec![Arc::new(segment)])
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them.
    pub(crate) fn as_slice(&self) -> &[Arc<LogSegment>] {
        &self.0
    }

    pub(crate) fn first(&self) -> Option<&Arc<LogSegment>> {
        self.0.first()
    }

    pub(crate) fn last(&self) -> Option<&Arc<LogSegment>> {
        self.0.last()
    }

    /// The only segment that may have an offset.
    pub(crate) fn floor(&self, offset: i64) -> Option<&Arc<LogSegment>> {
        self.below(offset.saturating_add(1)).last()
    }

    /// The segment after those that begin at `base_offset` or before.
    pub(crate) fn higher(&self, base_offset: i64) -> Option<&Arc<LogSegment>> {
        self.0.get(self.below(base_offset.checked_add(1)?).len())
    }

    /// Those that begin below an offset.
    pub(crate) fn below(&self, offset: i64) -> &[Arc<LogSegment>] {
        let (below, _) = self.0.split_at(self.0.partition_point(|segment| segment.base_offset() < offset));
        below
    }

    /// The segment that may have `from`, and those after it that begin below `to`.
    pub(crate) fn between(&self, from: i64, to: i64) -> Vec<Arc<LogSegment>> {
        let before = self.below(from.saturating_add(1)).len().saturating_sub(1);
        self.below(to).get(before..).unwrap_or_default().to_vec()
    }

    /// Whether a segment begins at an offset.
    pub(crate) fn contains_key(&self, base_offset: &i64) -> bool {
        self.place_of(*base_offset).is_ok()
    }

    /// Adds a segment, in the place of one with the same base offset.
    pub(crate) fn insert(&mut self, segment: Arc<LogSegment>) {
        match self.place_of(segment.base_offset()) {
            Ok(place) => self.0[place] = segment,
            Err(place) => self.0.insert(place, segment),
        }
    }

    pub(crate) fn remove(&mut self, base_offset: i64) {
        if let Ok(place) = self.place_of(base_offset) {
            self.0.remove(place);
        }
    }

    /// Where the segment is, or where it would go.
    fn place_of(&self, base_offset: i64) -> Result<usize, usize> {
        self.0.binary_search_by_key(&base_offset, |segment| segment.base_offset())
    }
}

impl From<Vec<Arc<LogSegment>>> for LogSegments {
    /// They must be in order.
    fn from(segments: Vec<Arc<LogSegment>>) -> Self {
        let in_order = segments.is_sorted_by(|a, b| a.base_offset() < b.base_offset());
        assert!(in_order, "SEGMENTS-SORTED: each segment begins behind the one before it");
        Self(segments)
    }
}

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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::fs::FileSystem;
    use crate::fs::sim::SimFileSystem;
    use crate::log_config::LogConfig;
    use crate::unified_log::UnifiedLog;

    fn segments(bases: &[i64]) -> LogSegments {
        let fs: Arc<dyn FileSystem> = Arc::new(SimFileSystem::new(1));
        let dir: Arc<Path> = Path::new("/t-0").into();
        let mut segments = LogSegments::default();
        for base in bases {
            segments.insert(Arc::new(LogSegment::plan(&fs, &dir, *base, &LogConfig::default(), 0)));
        }
        segments
    }

    fn bases(segments: &[Arc<LogSegment>]) -> Vec<i64> {
        segments.iter().map(|segment| segment.base_offset()).collect()
    }

    #[test]
    fn segments_are_found_by_offset() {
        let mut segments = segments(&[20, 0, 10, 10]);
        assert_eq!(bases(segments.as_slice()), [0, 10, 20]);
        let floor = |offset| segments.floor(offset).map(|segment| segment.base_offset());
        assert_eq!(
            [-1, 0, 9, 10, 25, i64::MAX].map(floor),
            [None, Some(0), Some(0), Some(10), Some(20), Some(20)]
        );
        let higher = |base| segments.higher(base).map(|segment| segment.base_offset());
        assert_eq!([-1, 0, 10, 20, i64::MAX].map(higher), [Some(0), Some(10), Some(20), None, None]);
        assert_eq!(bases(&segments.between(15, 20)), [10]);
        assert_eq!(bases(&segments.between(0, i64::MAX)), [0, 10, 20]);
        assert_eq!(bases(&segments.between(-5, 10)), [0]);
        assert_eq!(bases(&segments.between(20, 20)), [0; 0]);
        segments.remove(10);
        assert_eq!(bases(segments.below(21)), [0, 20]);
        assert!(segments.contains_key(&20) && !segments.contains_key(&10));
    }

    /// A broker has them by the hundred thousand.
    #[test]
    fn what_each_idle_partition_has_stays_small() {
        // With the counts of references that come before it; the allocator rounds up to such sizes.
        assert!(size_of::<LogSegment>() + 16 <= 192);
        assert!(size_of::<UnifiedLog>() + 16 <= 768);
    }
}

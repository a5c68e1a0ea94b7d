use std::collections::VecDeque;

/// How many batches are remembered: a reader at the end of the log is rarely further behind.
const BATCHES_MAX: usize = 16;

/// Where the newest batches of a segment lie. Who reads at the end of the log finds them here, and
/// neither index nor file is asked.
#[derive(Debug, Default)]
pub(crate) struct RecentBatches {
    /// In order, without gaps in positions.
    places: VecDeque<BatchPlace>,
}

/// Where one batch lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BatchPlace {
    pub(crate) base_offset: i64,
    pub(crate) last_offset: i64,
    pub(crate) position: u64,
    pub(crate) size: usize,
}

impl RecentBatches {
    /// Notes a batch behind all others.
    pub(crate) fn push(&mut self, place: BatchPlace) {
        if self.places.len() >= BATCHES_MAX {
            self.places.pop_front();
        }
        self.places.push_back(place);
    }

    /// The batch with an offset, if it is remembered.
    pub(crate) fn find(&self, offset: i64) -> Option<BatchPlace> {
        let first = self.places.front()?;
        if offset < first.base_offset {
            return None;
        }
        self.places.iter().rev().take_while(|place| place.last_offset >= offset).last().copied()
    }

    /// Forgets everything: the segment was cut, or is no longer the newest.
    pub(crate) fn clear(&mut self) {
        self.places = VecDeque::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(base_offset: i64, last_offset: i64) -> BatchPlace {
        BatchPlace { base_offset, last_offset, position: base_offset as u64 * 10, size: 10 }
    }

    #[test]
    fn the_batch_with_an_offset_is_found() {
        let mut recent = RecentBatches::default();
        assert_eq!(recent.find(0), None);
        for base in (0..100).step_by(2) {
            recent.push(place(base, base + 1));
        }
        assert_eq!(recent.find(67), None, "forgotten by now");
        for offset in 68..100 {
            let base = offset / 2 * 2;
            assert_eq!(recent.find(offset), Some(place(base, base + 1)));
        }
        assert_eq!(recent.find(100), None);
    }

    #[test]
    fn an_offset_between_batches_belongs_to_the_next() {
        let mut recent = RecentBatches::default();
        recent.push(place(0, 1));
        recent.push(place(5, 6));
        assert_eq!(recent.find(3), Some(place(5, 6)));
        recent.clear();
        assert_eq!(recent.find(5), None);
    }
}

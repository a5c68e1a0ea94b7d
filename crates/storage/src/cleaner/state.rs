use std::collections::BTreeMap;

use ottla_common::TopicPartition;

/// What is done to a partition that keeps others from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CleaningState {
    /// A cleaner works on it.
    InProgress,
    /// So many wait for the cleaner to let go.
    Aborted(u32),
    /// So many keep cleaners away.
    Paused(u32),
}

/// Who works on which partition: nobody but cleaners and those who pause them. A partition that is not in
/// here is free.
#[derive(Debug, Default)]
pub(crate) struct CleaningStates(BTreeMap<TopicPartition, CleaningState>);

impl CleaningStates {
    /// Takes a partition for a cleaner, if it is free. It must give it back by [`Self::done`].
    pub(crate) fn begin(&mut self, partition: &TopicPartition) -> bool {
        let free = self.is_free(partition);
        if free {
            self.0.insert(partition.clone(), CleaningState::InProgress);
        }
        free
    }

    /// Keeps cleaners away if the partition is free; tells whether it was.
    pub(crate) fn pause_if_free(&mut self, partition: &TopicPartition) -> bool {
        let free = self.is_free(partition);
        if free {
            self.0.insert(partition.clone(), CleaningState::Paused(1));
        }
        free
    }

    pub(crate) fn is_free(&self, partition: &TopicPartition) -> bool {
        !self.0.contains_key(partition)
    }

    /// Keeps cleaners away from now on. One that is at work must be awaited, until [`Self::is_paused`].
    pub(crate) fn abort_and_pause(&mut self, partition: &TopicPartition) {
        let next = match self.0.get(partition) {
            None => CleaningState::Paused(1),
            Some(CleaningState::InProgress) => CleaningState::Aborted(1),
            Some(CleaningState::Aborted(count)) => CleaningState::Aborted(count + 1),
            Some(CleaningState::Paused(count)) => CleaningState::Paused(count + 1),
        };
        self.0.insert(partition.clone(), next);
    }

    /// Takes back one [`Self::abort_and_pause`] or [`Self::pause_if_free`].
    pub(crate) fn resume(&mut self, partition: &TopicPartition) {
        match self.0.get(partition).copied() {
            Some(CleaningState::Paused(1)) => {
                self.0.remove(partition);
            }
            Some(CleaningState::Paused(count)) => {
                self.0.insert(partition.clone(), CleaningState::Paused(count - 1));
            }
            other => panic!("CLEANING-PAUSES-PAIRED: {partition} is resumed in the state {other:?}"),
        }
    }

    /// Whether cleaners are kept away and none is at work any more.
    pub(crate) fn is_paused(&self, partition: &TopicPartition) -> bool {
        matches!(self.0.get(partition), Some(CleaningState::Paused(_)))
    }

    /// Whether the cleaner at work is to stop.
    pub(crate) fn is_aborted(&self, partition: &TopicPartition) -> bool {
        matches!(self.0.get(partition), Some(CleaningState::Aborted(_)))
    }

    /// The cleaner lets go. Tells whether nobody had asked it to: only then does what it did count.
    pub(crate) fn done(&mut self, partition: &TopicPartition) -> bool {
        match self.0.get(partition).copied() {
            Some(CleaningState::InProgress) => {
                self.0.remove(partition);
                true
            }
            Some(CleaningState::Aborted(count)) => {
                self.0.insert(partition.clone(), CleaningState::Paused(count));
                false
            }
            other => panic!("ONE-CLEANER-PER-LOG: {partition} is done with in the state {other:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition() -> TopicPartition {
        TopicPartition::new("topic", 0)
    }

    #[test]
    fn one_cleaner_works_on_a_log() {
        let (mut states, p) = (CleaningStates::default(), partition());
        assert!(states.begin(&p) && !states.begin(&p) && !states.pause_if_free(&p));
        assert!(!states.is_aborted(&p) && states.done(&p));
        assert!(states.is_free(&p));
    }

    #[test]
    fn a_cleaner_at_work_is_awaited() {
        let (mut states, p) = (CleaningStates::default(), partition());
        assert!(states.begin(&p));
        states.abort_and_pause(&p);
        states.abort_and_pause(&p);
        assert!(states.is_aborted(&p) && !states.is_paused(&p));
        assert!(!states.done(&p), "what it did does not count");
        assert!(states.is_paused(&p) && !states.begin(&p));
        states.resume(&p);
        assert!(states.is_paused(&p), "somebody else still waits");
        states.resume(&p);
        assert!(states.begin(&p));
    }

    #[test]
    fn pauses_are_counted() {
        let (mut states, p) = (CleaningStates::default(), partition());
        assert!(states.pause_if_free(&p));
        states.abort_and_pause(&p);
        states.resume(&p);
        assert!(!states.begin(&p));
        states.resume(&p);
        assert!(states.begin(&p));
    }

    #[test]
    #[should_panic(expected = "CLEANING-PAUSES-PAIRED")]
    fn nobody_resumes_what_is_not_paused() {
        CleaningStates::default().resume(&partition());
    }
}

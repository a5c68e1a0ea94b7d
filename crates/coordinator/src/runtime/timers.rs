use std::collections::{BTreeMap, BTreeSet};

/// A timer to start or to stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TimerChange<K, E> {
    /// Start the timer, in place of a running one of the same name.
    Schedule {
        /// Its name.
        key: K,
        /// When it fires.
        deadline_ms: i64,
        /// What it says then.
        event: E,
    },
    /// Stop the timer, if it runs.
    Cancel {
        /// Its name.
        key: K,
    },
}

/// The running timers of one shard. Knows no clock: somebody asks what is due.
#[derive(Debug)]
pub struct CoordinatorTimers<K, E> {
    by_key: BTreeMap<K, (i64, u64, E)>,
    by_deadline: BTreeSet<(i64, u64, K)>,
    next_sequence: u64,
}

impl<K, E> Default for CoordinatorTimers<K, E> {
    fn default() -> Self {
        Self { by_key: BTreeMap::new(), by_deadline: BTreeSet::new(), next_sequence: 0 }
    }
}

impl<K: Ord + Clone, E> CoordinatorTimers<K, E> {
    /// Starts or stops a timer.
    pub fn change(&mut self, change: TimerChange<K, E>) {
        match change {
            TimerChange::Cancel { key } => {
                self.remove(&key);
            }
            TimerChange::Schedule { key, deadline_ms, event } => {
                self.remove(&key);
                let sequence = self.next_sequence;
                self.next_sequence += 1;
                self.by_deadline.insert((deadline_ms, sequence, key.clone()));
                self.by_key.insert(key, (deadline_ms, sequence, event));
            }
        }
        assert_eq!(self.by_key.len(), self.by_deadline.len(), "TIMERS-PAIRED");
    }

    /// Takes one timer that is due, earliest first; timers of one deadline leave as they came.
    pub fn pop_due(&mut self, now_ms: i64) -> Option<E> {
        if self.next_deadline()? > now_ms {
            return None;
        }
        let (_, _, key) = self.by_deadline.pop_first()?;
        self.by_key.remove(&key).map(|(_, _, event)| event)
    }

    /// When the next timer fires.
    pub fn next_deadline(&self) -> Option<i64> {
        self.by_deadline.first().map(|(deadline, _, _)| *deadline)
    }

    /// When the timer of this name fires.
    pub fn deadline(&self, key: &K) -> Option<i64> {
        self.by_key.get(key).map(|(deadline, _, _)| *deadline)
    }

    /// Moves every deadline: the clock was set, and what is left of each timer is to stay the same.
    pub fn shift(&mut self, by_ms: i64) {
        self.by_deadline.clear();
        for (key, (deadline, sequence, _)) in &mut self.by_key {
            *deadline = deadline.saturating_add(by_ms);
            self.by_deadline.insert((*deadline, *sequence, key.clone()));
        }
    }

    fn remove(&mut self, key: &K) {
        if let Some((deadline, sequence, _)) = self.by_key.remove(key) {
            let removed = self.by_deadline.remove(&(deadline, sequence, key.clone()));
            debug_assert!(removed, "TIMERS-PAIRED");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(key: &'static str, deadline_ms: i64) -> TimerChange<&'static str, &'static str> {
        TimerChange::Schedule { key, deadline_ms, event: key }
    }

    #[test]
    fn timers_fire_in_order_and_only_when_due() {
        let mut timers = CoordinatorTimers::default();
        timers.change(schedule("b", 20));
        timers.change(schedule("a", 10));
        timers.change(schedule("c", 10));
        assert_eq!(timers.pop_due(9), None);
        assert_eq!(timers.pop_due(10), Some("a"));
        assert_eq!(timers.pop_due(10), Some("c"));
        assert_eq!(timers.pop_due(10), None);
        assert_eq!(timers.next_deadline(), Some(20));
    }

    #[test]
    fn a_clock_that_is_set_changes_no_timer() {
        let mut timers = CoordinatorTimers::default();
        timers.change(schedule("a", 10));
        timers.change(schedule("b", 20));
        timers.shift(-1_000);
        assert_eq!(timers.pop_due(-991), None);
        assert_eq!(timers.pop_due(-990), Some("a"));
        assert_eq!(timers.deadline(&"b"), Some(-980));
    }

    #[test]
    fn scheduling_again_replaces_and_cancelling_stops() {
        let mut timers = CoordinatorTimers::default();
        timers.change(schedule("a", 10));
        timers.change(schedule("a", 30));
        assert_eq!(timers.pop_due(10), None);
        assert_eq!(timers.deadline(&"a"), Some(30));
        timers.change(TimerChange::Cancel { key: "a" });
        assert_eq!(timers.pop_due(100), None);
        timers.change(TimerChange::Cancel { key: "a" });
    }
}

use std::collections::BTreeMap;

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

/// A running timer.
#[derive(Debug)]
struct Timer<E> {
    deadline_ms: i64,
    /// Timers of one deadline leave as they came.
    sequence: u64,
    event: E,
    /// Under which it stands in the order of deadlines: its own, or an earlier one that it had before.
    listed: (i64, u64),
}

/// The running timers of one shard. Knows no clock: somebody asks what is due.
///
/// A timer that is put off, as every heartbeat puts off the end of its session, keeps its place in the order of
/// deadlines, and moves only once that place comes up. So somebody may be woken for nothing, which is rare, and what
/// happens all the time is cheap.
#[derive(Debug)]
pub struct CoordinatorTimers<K, E> {
    by_key: BTreeMap<K, Timer<E>>,
    by_deadline: BTreeMap<(i64, u64), K>,
    next_sequence: u64,
}

impl<K, E> Default for CoordinatorTimers<K, E> {
    fn default() -> Self {
        Self { by_key: BTreeMap::new(), by_deadline: BTreeMap::new(), next_sequence: 0 }
    }
}

impl<K: Ord + Clone, E> CoordinatorTimers<K, E> {
    /// Starts or stops a timer.
    pub fn change(&mut self, change: TimerChange<K, E>) {
        match change {
            TimerChange::Cancel { key } => {
                if let Some(timer) = self.by_key.remove(&key) {
                    self.by_deadline.remove(&timer.listed);
                }
            }
            TimerChange::Schedule { key, deadline_ms, event } => self.schedule(key, deadline_ms, event),
        }
        assert_eq!(self.by_key.len(), self.by_deadline.len(), "TIMERS-PAIRED");
    }

    fn schedule(&mut self, key: K, deadline_ms: i64, event: E) {
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        let listed = (deadline_ms, sequence);
        match self.by_key.get_mut(&key) {
            Some(timer) if timer.listed.0 <= deadline_ms => {
                *timer = Timer { deadline_ms, sequence, event, listed: timer.listed };
            }
            Some(timer) => {
                self.by_deadline.remove(&timer.listed);
                self.by_deadline.insert(listed, key);
                *timer = Timer { deadline_ms, sequence, event, listed };
            }
            None => {
                self.by_deadline.insert(listed, key.clone());
                self.by_key.insert(key, Timer { deadline_ms, sequence, event, listed });
            }
        }
    }

    /// Takes one timer that is due, earliest first; timers of one deadline leave as they came.
    pub fn pop_due(&mut self, now_ms: i64) -> Option<E> {
        while self.next_deadline()? <= now_ms {
            let (listed, key) = self.by_deadline.pop_first()?;
            match self.by_key.get_mut(&key) {
                Some(timer) if timer.listed != (timer.deadline_ms, timer.sequence) => {
                    // It was put off meanwhile, and takes its place now.
                    timer.listed = (timer.deadline_ms, timer.sequence);
                    self.by_deadline.insert(timer.listed, key);
                }
                Some(_) => return self.by_key.remove(&key).map(|timer| timer.event),
                None => debug_assert!(false, "TIMERS-PAIRED: {listed:?}"),
            }
        }
        None
    }

    /// When to look for timers that are due: when the next one fires, or earlier.
    pub fn next_deadline(&self) -> Option<i64> {
        self.by_deadline.first_key_value().map(|((deadline, _), _)| *deadline)
    }

    /// When the timer of this name fires.
    pub fn deadline(&self, key: &K) -> Option<i64> {
        self.by_key.get(key).map(|timer| timer.deadline_ms)
    }

    /// Moves every deadline: the clock was set, and what is left of each timer is to stay the same.
    pub fn shift(&mut self, by_ms: i64) {
        self.by_deadline.clear();
        for (key, timer) in &mut self.by_key {
            timer.deadline_ms = timer.deadline_ms.saturating_add(by_ms);
            timer.listed = (timer.deadline_ms, timer.sequence);
            self.by_deadline.insert(timer.listed, key.clone());
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
    fn a_timer_that_is_put_off_fires_at_its_new_time_and_in_its_new_place() {
        let mut timers = CoordinatorTimers::default();
        timers.change(schedule("a", 10));
        timers.change(schedule("b", 20));
        timers.change(schedule("a", 20));
        timers.change(schedule("c", 30));
        timers.change(schedule("c", 15));
        assert_eq!(timers.deadline(&"a"), Some(20));
        assert_eq!(timers.pop_due(14), None);
        assert_eq!(timers.next_deadline(), Some(15));
        assert_eq!(timers.pop_due(20), Some("c"));
        assert_eq!(timers.pop_due(20), Some("b"));
        timers.change(schedule("a", 40));
        assert_eq!(timers.pop_due(39), None);
        assert_eq!(timers.pop_due(40), Some("a"));
        assert_eq!(timers.next_deadline(), None);
    }

    #[test]
    fn a_timer_that_was_put_off_can_be_stopped() {
        let mut timers = CoordinatorTimers::default();
        timers.change(schedule("a", 10));
        timers.change(schedule("a", 20));
        timers.change(TimerChange::Cancel { key: "a" });
        assert_eq!(timers.next_deadline(), None);
        assert_eq!(timers.pop_due(100), None);
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

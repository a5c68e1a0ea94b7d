use crate::runtime::TimerChange;

/// What a group of a newer protocol decided: nothing in here has happened yet.
///
/// `R` is the record of the group's type. `K` names a timer, `E` is what it says when it fires; most
/// groups need one type for both.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision<T, R, K, E = K> {
    /// To be appended as one batch, in this order, and replayed.
    pub records: Vec<R>,
    /// The answer, to be held back until the records are committed.
    pub response: T,
    /// Timers to start and to stop, in this order.
    pub timers: Vec<TimerChange<K, E>>,
}

impl<T, R, K, E> Decision<T, R, K, E> {
    /// An answer that changes nothing.
    pub fn of(response: T) -> Self {
        Self { records: Vec::new(), response, timers: Vec::new() }
    }

    /// An answer behind records.
    pub fn with_records(records: Vec<R>, response: T) -> Self {
        Self { records, response, timers: Vec::new() }
    }

    /// Starts a timer that goes off after `timeout_ms`, in place of a running one of the same name.
    pub fn schedule(&mut self, now_ms: i64, timeout_ms: i32, key: K, event: E) {
        let deadline_ms = now_ms.saturating_add(i64::from(timeout_ms));
        self.timers.push(TimerChange::Schedule { key, deadline_ms, event });
    }

    /// Stops a timer, if it runs.
    pub fn cancel(&mut self, key: K) {
        self.timers.push(TimerChange::Cancel { key });
    }

    /// The same decision with another answer.
    pub fn map<U>(self, response: impl FnOnce(T) -> U) -> Decision<U, R, K, E> {
        Decision { records: self.records, response: response(self.response), timers: self.timers }
    }
}

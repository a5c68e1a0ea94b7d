//! One timer for all requests that wait, most of which are answered before their time is up.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::{Instant, sleep_until};

use crate::parked::Parked;

/// Wakes parked requests when their time is up.
///
/// A timer of the runtime for each request costs a system call or two: one that fires sooner than the others
/// has to wake whoever waits for the next one, and nearly every fetch would. So there is one, which is set for
/// the earliest deadline, stays set when that request is answered, and then looks for the next.
#[derive(Debug, Default)]
pub(crate) struct Alarms {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    next_id: u64,
    parked: BTreeMap<(Instant, u64), Arc<Parked>>,
    /// When the timer fires that looks for the next deadline.
    set_for: Option<Instant>,
}

/// A request that is woken at its deadline, unless this is dropped before.
#[derive(Debug)]
pub(crate) struct Alarm<'a> {
    alarms: &'a Alarms,
    key: (Instant, u64),
}

impl Alarms {
    /// Wakes the request at the deadline. Must be called within a tokio runtime.
    pub(crate) fn set(&self, deadline: Instant, parked: &Arc<Parked>) -> Alarm<'_> {
        let mut state = lock(&self.state);
        let key = (deadline, state.next_id);
        state.next_id += 1;
        state.parked.insert(key, parked.clone());
        if state.set_for.is_none_or(|set_for| deadline < set_for) {
            state.set_for = Some(deadline);
            tokio::spawn(ring(self.state.clone(), deadline));
        }
        Alarm { alarms: self, key }
    }
}

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        lock(&self.alarms.state).parked.remove(&self.key);
    }
}

impl State {
    /// Takes out those whose time is up. Says when the timer that was set for `fired` has to fire next: not at
    /// all if another was set for an earlier time.
    fn take_due(&mut self, fired: Instant, now: Instant) -> (Vec<Arc<Parked>>, Option<Instant>) {
        let later = self.parked.split_off(&(now, u64::MAX));
        let due = std::mem::replace(&mut self.parked, later).into_values().collect();
        if self.set_for != Some(fired) {
            return (due, None);
        }
        self.set_for = self.parked.keys().next().map(|(deadline, _)| *deadline);
        (due, self.set_for)
    }
}

async fn ring(state: Arc<Mutex<State>>, deadline: Instant) {
    let mut next = Some(deadline);
    while let Some(deadline) = next {
        sleep_until(deadline).await;
        let (due, after) = lock(&state).take_due(deadline, Instant::now());
        due.iter().for_each(|parked| parked.wake());
        next = after;
    }
}

/// A poisoned lock means a request panicked; entries are put and taken whole.
fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn parked() -> Arc<Parked> {
        Arc::new(Parked::new(1))
    }

    #[tokio::test(start_paused = true)]
    async fn each_is_woken_at_its_own_time() {
        let (alarms, start) = (Alarms::default(), Instant::now());
        let after = |ms| start + Duration::from_millis(ms);
        let (late, soon, answered) = (parked(), parked(), parked());
        let _late = alarms.set(after(500), &late);
        let _soon = alarms.set(after(20), &soon);
        drop(alarms.set(after(10), &answered));
        soon.wait().await;
        assert_eq!(start.elapsed().as_millis(), 20);
        late.wait().await;
        assert_eq!(start.elapsed().as_millis(), 500);
        let state = lock(&alarms.state);
        assert!(state.parked.is_empty() && state.set_for.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_timer_left_from_an_answered_request_serves_the_next() {
        let (alarms, start) = (Alarms::default(), Instant::now());
        let (answered, waiting) = (parked(), parked());
        drop(alarms.set(start + Duration::from_millis(100), &answered));
        let _waiting = alarms.set(start + Duration::from_millis(300), &waiting);
        assert_eq!(lock(&alarms.state).set_for, Some(start + Duration::from_millis(100)));
        waiting.wait().await;
        assert_eq!(start.elapsed().as_millis(), 300);
    }
}

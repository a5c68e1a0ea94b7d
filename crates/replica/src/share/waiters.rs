use std::collections::BTreeMap;
use std::sync::Arc;

use crate::parked::Parked;

/// The share fetches that wait for a share-partition, from when they park until they leave.
///
/// They are kept under the share-partition's mutex, so a fetch that parks and then looks misses nothing: a
/// change comes before the look and is seen by it, or it finds the fetch here.
#[derive(Debug, Default)]
pub(super) struct ShareWaiters {
    parked: BTreeMap<u64, Waiter>,
    next_place: u64,
}

#[derive(Debug)]
struct Waiter {
    parked: Arc<Parked>,
    /// It found the share-partition in the hands of another fetch.
    wants_fetch_lock: bool,
}

impl ShareWaiters {
    /// Parks a fetch; gives its place.
    pub(super) fn park(&mut self, parked: &Arc<Parked>) -> u64 {
        let place = self.next_place;
        self.next_place += 1;
        self.parked.insert(place, Waiter { parked: Arc::clone(parked), wants_fetch_lock: false });
        place
    }

    /// Lets a fetch go.
    pub(super) fn leave(&mut self, place: u64) {
        let waiter = self.parked.remove(&place);
        assert!(waiter.is_some(), "SHARE-PARKED-LEAVES-ONCE: a place belongs to one fetch until it leaves");
    }

    /// The fetch in this place has to be told when the fetch lock is free.
    pub(super) fn want_fetch_lock(&mut self, place: u64) {
        if let Some(waiter) = self.parked.get_mut(&place) {
            waiter.wants_fetch_lock = true;
        }
    }

    /// Releases all: something is to be had. Answers whom to wake.
    pub(super) fn release_all(&mut self) -> Vec<Arc<Parked>> {
        self.release(|_| true)
    }

    /// Releases those that found the fetch lock taken. They say so anew if they find it taken again; those
    /// that had it and found too little are not concerned, or two of them would wake each other for ever.
    pub(super) fn release_wanting_fetch_lock(&mut self) -> Vec<Arc<Parked>> {
        self.release(|waiter| std::mem::take(&mut waiter.wants_fetch_lock))
    }

    fn release(&mut self, mut which: impl FnMut(&mut Waiter) -> bool) -> Vec<Arc<Parked>> {
        let mut ready = Vec::new();
        for waiter in self.parked.values_mut() {
            if which(waiter) && waiter.parked.release() {
                ready.push(Arc::clone(&waiter.parked));
            }
        }
        ready
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.parked.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parked(waiters: &mut ShareWaiters) -> (Arc<Parked>, u64) {
        let parked = Arc::new(Parked::new(1));
        let place = waiters.park(&parked);
        (parked, place)
    }

    #[test]
    fn each_is_woken_once() {
        let mut waiters = ShareWaiters::default();
        let (first, _) = parked(&mut waiters);
        let (second, place) = parked(&mut waiters);
        waiters.leave(place);
        let ready = waiters.release_all();
        assert!(ready.len() == 1 && Arc::ptr_eq(&ready[0], &first));
        assert!(waiters.release_all().is_empty() && !second.has_enough());
    }

    #[test]
    fn a_free_fetch_lock_is_news_to_those_that_missed_it() {
        let mut waiters = ShareWaiters::default();
        let (_content, _) = parked(&mut waiters);
        let (missed, place) = parked(&mut waiters);
        assert!(waiters.release_wanting_fetch_lock().is_empty());
        waiters.want_fetch_lock(place);
        let ready = waiters.release_wanting_fetch_lock();
        assert!(ready.len() == 1 && Arc::ptr_eq(&ready[0], &missed));
    }
}

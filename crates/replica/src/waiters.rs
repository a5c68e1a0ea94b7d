use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ottla_storage::{FetchIsolation, LogOffsetMetadata, LogOffsetSnapshot};

use crate::parked::Parked;

/// What a parked request wants of one partition.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Wish {
    /// Bytes behind the place that a fetch has read up to.
    Bytes {
        /// The offset it will read from, and where that lies.
        start: LogOffsetMetadata,
        /// Up to where it may see.
        isolation: FetchIsolation,
        /// More of this partition would not be sent to it.
        max_bytes: u32,
    },
    /// Everything up to and including an offset is committed.
    Committed {
        /// The offset.
        last_offset: i64,
    },
}

impl Wish {
    /// How much of it a partition has; `None` if the request must be answered, whatever others have.
    fn granted(&self, at: &LogOffsetSnapshot) -> Option<u32> {
        let (start, isolation, max_bytes) = match self {
            Self::Committed { last_offset } => {
                return Some(u32::from(at.high_watermark.message_offset > *last_offset));
            }
            Self::Bytes { start, isolation, max_bytes } => (start, *isolation, *max_bytes),
        };
        let outside = start.message_offset < at.log_start_offset
            || start.message_offset > at.log_end_offset.message_offset;
        if outside {
            return None;
        }
        let bound = at.upper_bound(isolation);
        if bound.message_offset <= start.message_offset {
            return Some(0);
        }
        // A reader that is a segment behind has a segment's rest to read, however small.
        let bytes = bound.position_diff(start)?;
        Some(u32::try_from(bytes.max(0)).unwrap_or(u32::MAX).min(max_bytes))
    }
}

/// The requests parked on one partition, from when they park until they leave.
///
/// PARK-THEN-LOOK: whoever changes a partition first makes the change visible and then takes the list's
/// lock to tell of it; whoever parks takes the lock, gets on the list and looks at the partition under it.
/// So a change either finds the request on the list or is seen by it, and under the lock the count of what
/// a request was granted only follows newer and newer looks.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    list: Mutex<List>,
}

#[derive(Debug, Default)]
struct List {
    slots: Vec<Slot>,
    /// The first of the free slots, each of which names the next.
    free: Option<u32>,
    taken: u32,
}

#[derive(Debug)]
enum Slot {
    Free { next: Option<u32> },
    Taken(Entry),
}

#[derive(Debug)]
struct Entry {
    parked: Arc<Parked>,
    wish: Wish,
    granted: u32,
}

impl Entry {
    /// Looks at the wish anew. Answers whether that was what the request waited for.
    fn look(&mut self, at: &LogOffsetSnapshot) -> bool {
        let Some(granted) = self.wish.granted(at) else { return self.parked.release() };
        let more = i64::from(granted) - i64::from(self.granted);
        self.granted = granted;
        more != 0 && self.parked.add(more)
    }

    /// The partition cannot grant the wish any more, which is an answer too.
    fn give_up(&mut self) -> bool {
        match self.wish {
            Wish::Bytes { .. } => self.parked.release(),
            // The others of the same request are still worth waiting for.
            Wish::Committed { .. } => {
                let missing = 1 - std::mem::replace(&mut self.granted, 1);
                self.parked.add(i64::from(missing))
            }
        }
    }
}

/// A request's place on a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place(u32);

impl Waiters {
    /// Parks a request. `look` says how the partition stands now; `None` if it grants nothing any more.
    pub(crate) fn park(
        &self,
        parked: &Arc<Parked>,
        wish: Wish,
        look: impl FnOnce() -> Option<LogOffsetSnapshot>,
    ) -> Place {
        let mut entry = Entry { parked: Arc::clone(parked), wish, granted: 0 };
        let mut list = self.lock();
        let has_enough = match look() {
            Some(at) => entry.look(&at),
            None => entry.give_up(),
        };
        let place = list.take(entry);
        drop(list);
        if has_enough {
            parked.wake();
        }
        place
    }

    /// Takes a request off the list.
    pub(crate) fn leave(&self, parked: &Arc<Parked>, place: Place) {
        let entry = self.lock().release(place);
        assert!(
            entry.is_some_and(|entry| Arc::ptr_eq(&entry.parked, parked)),
            "PARKED-LEAVES-ONCE: a place on the list belongs to one request until it leaves"
        );
    }

    /// Tells of a change of the log that is visible already.
    pub(crate) fn moved(&self, look: impl FnOnce() -> LogOffsetSnapshot) {
        let mut list = self.lock();
        if list.taken == 0 {
            return;
        }
        let at = look();
        let ready = list.ready(|entry| entry.look(&at));
        drop(list);
        ready.iter().for_each(|parked| parked.wake());
    }

    /// Tells that the partition is led otherwise, or not at all any more.
    pub(crate) fn give_up(&self) {
        let ready = self.lock().ready(Entry::give_up);
        ready.iter().for_each(|parked| parked.wake());
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.lock().taken as usize
    }

    /// A poisoned lock means a request panicked; the list is whole at every step.
    fn lock(&self) -> MutexGuard<'_, List> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl List {
    fn take(&mut self, entry: Entry) -> Place {
        self.taken += 1;
        if let Some(index) = self.free
            && let Some(slot @ Slot::Free { .. }) = self.slots.get_mut(index as usize)
        {
            if let Slot::Free { next } = std::mem::replace(slot, Slot::Taken(entry)) {
                self.free = next;
            }
            return Place(index);
        }
        if self.slots.is_empty() {
            // Most partitions have one who waits, and there may be very many of them.
            self.slots.reserve_exact(1);
        }
        self.slots.push(Slot::Taken(entry));
        Place(self.slots.len() as u32 - 1)
    }

    fn release(&mut self, place: Place) -> Option<Entry> {
        let slot = self.slots.get_mut(place.0 as usize).filter(|slot| matches!(slot, Slot::Taken(_)))?;
        let Slot::Taken(entry) = std::mem::replace(slot, Slot::Free { next: self.free }) else { return None };
        self.free = Some(place.0);
        self.taken -= 1;
        if self.taken == 0 {
            self.free = None;
            if self.slots.capacity() > 1 { self.slots = Vec::new() } else { self.slots.clear() }
        }
        Some(entry)
    }

    fn ready(&mut self, mut look: impl FnMut(&mut Entry) -> bool) -> Vec<Arc<Parked>> {
        let mut ready = Vec::new();
        for slot in &mut self.slots {
            if let Slot::Taken(entry) = slot
                && look(entry)
            {
                ready.push(Arc::clone(&entry.parked));
            }
        }
        ready
    }
}

#[cfg(test)]
#[path = "waiters_test.rs"]
mod tests;

//! Operations that wait for something to happen to one of their keys, or for their deadline.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;

/// Names one waiting operation of a purgatory. Never given twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OperationId(u64);

#[derive(Debug)]
struct Waiting<K, O> {
    operation: O,
    keys: Vec<K>,
    deadline_ms: i64,
}

/// The wait set behind delayed produces, fetches and joins. It is plain data: its owner brings the
/// clock, asks for what is due, and completes what it is handed.
///
/// Each operation leaves exactly once, through whichever of the `take` and `complete` methods
/// reaches it first, so "completed or expired, never both" needs no flag.
#[derive(Debug)]
pub struct DelayedOperationPurgatory<K, O> {
    next_id: u64,
    operations: HashMap<OperationId, Waiting<K, O>>,
    watchers: HashMap<K, BTreeSet<OperationId>>,
    deadlines: BTreeSet<(i64, OperationId)>,
}

impl<K, O> Default for DelayedOperationPurgatory<K, O> {
    fn default() -> Self {
        Self { next_id: 0, operations: HashMap::new(), watchers: HashMap::new(), deadlines: BTreeSet::new() }
    }
}

impl<K: Eq + Hash + Clone, O> DelayedOperationPurgatory<K, O> {
    /// Lets an operation wait under its keys until `deadline_ms`.
    ///
    /// To lose no wake-up, try the operation once more after this: something may have happened to a
    /// key between the first try and the watch.
    pub fn watch(
        &mut self,
        operation: O,
        keys: impl IntoIterator<Item = K>,
        deadline_ms: i64,
    ) -> OperationId {
        let id = OperationId(self.next_id);
        self.next_id += 1;
        let keys: Vec<K> = keys.into_iter().collect();
        for key in &keys {
            self.watchers.entry(key.clone()).or_default().insert(id);
        }
        self.deadlines.insert((deadline_ms, id));
        self.operations.insert(id, Waiting { operation, keys, deadline_ms });
        id
    }

    /// Tries every operation under the key, oldest first, and hands back those that `try_complete` says
    /// are done.
    pub fn check_and_complete(&mut self, key: &K, mut try_complete: impl FnMut(&mut O) -> bool) -> Vec<O> {
        let Some(ids) = self.watchers.get(key) else {
            return Vec::new();
        };
        let ids: Vec<OperationId> = ids.iter().copied().collect();
        let mut completed = Vec::new();
        for id in ids {
            let done =
                self.operations.get_mut(&id).is_some_and(|waiting| try_complete(&mut waiting.operation));
            if done {
                completed.extend(self.take(id));
            }
        }
        completed
    }

    /// Takes one operation out, wherever it waits.
    pub fn take(&mut self, id: OperationId) -> Option<O> {
        let waiting = self.operations.remove(&id)?;
        self.deadlines.remove(&(waiting.deadline_ms, id));
        for key in &waiting.keys {
            if let Some(ids) = self.watchers.get_mut(key) {
                ids.remove(&id);
                if ids.is_empty() {
                    self.watchers.remove(key);
                }
            }
        }
        Some(waiting.operation)
    }

    /// Takes every operation under the key, as when its partition is lost or deleted.
    pub fn take_for_key(&mut self, key: &K) -> Vec<O> {
        let ids: Vec<OperationId> = self.watchers.get(key).into_iter().flatten().copied().collect();
        ids.into_iter().filter_map(|id| self.take(id)).collect()
    }

    /// Takes every operation whose deadline is reached, earliest first.
    pub fn take_expired(&mut self, now_ms: i64) -> Vec<O> {
        let mut expired = Vec::new();
        while let Some(&(deadline_ms, id)) = self.deadlines.first() {
            if deadline_ms > now_ms {
                break;
            }
            expired.extend(self.take(id));
        }
        expired
    }

    /// Takes everything, as at shutdown.
    pub fn take_all(&mut self) -> Vec<O> {
        let ids: Vec<OperationId> = self.deadlines.iter().map(|(_, id)| *id).collect();
        ids.into_iter().filter_map(|id| self.take(id)).collect()
    }

    /// When [`Self::take_expired`] is next worth calling.
    pub fn next_deadline_ms(&self) -> Option<i64> {
        self.deadlines.first().map(|(deadline_ms, _)| *deadline_ms)
    }

    /// How many operations wait.
    pub fn len(&self) -> usize {
        self.operations.len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// How many keys are watched.
    pub fn watched_keys(&self) -> usize {
        self.watchers.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn completes_once_under_any_of_its_keys() {
        let mut purgatory = DelayedOperationPurgatory::default();
        purgatory.watch("fetch", ["a", "b"], 100);
        purgatory.watch("produce", ["b"], 50);
        assert_eq!(purgatory.next_deadline_ms(), Some(50));
        assert!(purgatory.check_and_complete(&"a", |_| false).is_empty());
        assert_eq!(purgatory.check_and_complete(&"b", |op| *op == "fetch"), vec!["fetch"]);
        assert!(purgatory.check_and_complete(&"a", |_| true).is_empty());
        assert_eq!((purgatory.len(), purgatory.watched_keys()), (1, 1));
    }

    #[test]
    fn expires_in_deadline_order() {
        let mut purgatory = DelayedOperationPurgatory::default();
        purgatory.watch(1, ["k"], 30);
        purgatory.watch(2, ["k"], 10);
        purgatory.watch(3, ["k"], 20);
        assert_eq!(purgatory.take_expired(20), vec![2, 3]);
        assert_eq!(purgatory.take_expired(29), Vec::<i32>::new());
        assert_eq!(purgatory.take_for_key(&"k"), vec![1]);
        assert!(purgatory.is_empty());
        assert_eq!((purgatory.watched_keys(), purgatory.next_deadline_ms()), (0, None));
    }

    #[test]
    fn a_taken_operation_leaves_no_trace() {
        let mut purgatory = DelayedOperationPurgatory::default();
        let id = purgatory.watch((), [1, 2, 1], 5);
        assert_eq!(purgatory.take(id), Some(()));
        assert_eq!(purgatory.take(id), None);
        assert_eq!(purgatory.watched_keys(), 0);
        purgatory.watch((), [1], 5);
        assert_eq!(purgatory.take_all().len(), 1);
    }
}

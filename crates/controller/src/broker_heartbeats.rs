//! What the active controller remembers of heartbeats. Not replicated: a new leader starts afresh.

use std::collections::{BTreeMap, BTreeSet};

/// State a broker can be in, as the controller sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BrokerControlState {
    /// Leads nothing, is in no ISR.
    Fenced,
    /// Serves.
    Unfenced,
    /// Its leaderships are being moved away, because it wants to stop.
    ControlledShutdown,
    /// May stop now.
    ShutdownNow,
}

/// A life of a broker: id and epoch.
pub type BrokerIdAndEpoch = (i32, i64);

#[derive(Debug, Clone, Copy)]
struct Broker {
    metadata_offset: i64,
    /// Offset that all active brokers must have read before the broker may stop; -1 while it does not want to.
    controlled_shutdown_offset: i64,
}

/// Contact times and progress of brokers, with session deadlines as data.
#[derive(Debug)]
pub struct BrokerHeartbeatManager {
    session_timeout_ms: i64,
    contacts: BTreeMap<BrokerIdAndEpoch, i64>,
    by_time: BTreeSet<(i64, BrokerIdAndEpoch)>,
    brokers: BTreeMap<i32, Broker>,
}

impl BrokerHeartbeatManager {
    /// Nobody was heard of yet.
    pub fn new(session_timeout_ms: i64) -> Self {
        Self {
            session_timeout_ms,
            contacts: BTreeMap::new(),
            by_time: BTreeSet::new(),
            brokers: BTreeMap::new(),
        }
    }

    /// The broker gave a sign of life.
    pub fn update_contact_time(&mut self, broker: BrokerIdAndEpoch, now_ms: i64) {
        if let Some(before) = self.contacts.insert(broker, now_ms) {
            self.by_time.remove(&(before, broker));
        }
        self.by_time.insert((now_ms, broker));
    }

    /// Whether this life of the broker was heard of within the session timeout.
    pub fn has_valid_session(&self, broker: BrokerIdAndEpoch, now_ms: i64) -> bool {
        self.contacts.get(&broker).is_some_and(|at| now_ms < at.saturating_add(self.session_timeout_ms))
    }

    /// Some life of a broker whose session is over.
    pub fn expired(&self, now_ms: i64) -> Option<BrokerIdAndEpoch> {
        let (at, broker) = self.by_time.first()?;
        (now_ms >= at.saturating_add(self.session_timeout_ms)).then_some(*broker)
    }

    /// When the next session is over, unless that broker is heard of before.
    pub fn next_expiration_ms(&self) -> Option<i64> {
        self.by_time.first().map(|(at, _)| at.saturating_add(self.session_timeout_ms))
    }

    /// Forgets a life of a broker.
    pub fn end_session(&mut self, broker: BrokerIdAndEpoch) {
        if let Some(at) = self.contacts.remove(&broker) {
            self.by_time.remove(&(at, broker));
        }
    }

    /// Forgets everything about a broker.
    pub fn remove(&mut self, broker_id: i32) {
        self.brokers.remove(&broker_id);
        let lives: Vec<BrokerIdAndEpoch> =
            self.contacts.range((broker_id, i64::MIN)..=(broker_id, i64::MAX)).map(|(b, _)| *b).collect();
        for life in lives {
            self.end_session(life);
        }
    }

    /// How far a broker has read the metadata, and whether it is fenced now.
    pub fn touch(&mut self, broker_id: i32, fenced: bool, metadata_offset: i64) {
        let new = Broker { metadata_offset: -1, controlled_shutdown_offset: -1 };
        let broker = self.brokers.entry(broker_id).or_insert(new);
        broker.metadata_offset = metadata_offset;
        if fenced {
            broker.controlled_shutdown_offset = -1;
        }
    }

    /// The broker is shutting down: once all others have read up to `offset`, it may stop. The first call
    /// counts.
    pub fn maybe_update_controlled_shutdown_offset(&mut self, broker_id: i32, offset: i64) {
        if let Some(broker) = self.brokers.get_mut(&broker_id)
            && broker.controlled_shutdown_offset < 0
        {
            broker.controlled_shutdown_offset = offset;
        }
    }

    /// The offset that others must have read before the broker may stop, if it is shutting down.
    pub fn controlled_shutdown_offset(&self, broker_id: i32) -> Option<i64> {
        self.brokers.get(&broker_id).map(|b| b.controlled_shutdown_offset).filter(|offset| *offset >= 0)
    }

    /// The lowest offset that the brokers for which `is_active` holds, shutting down ones aside, have read.
    pub fn lowest_active_offset(&self, is_active: impl Fn(i32) -> bool) -> i64 {
        let serving =
            self.brokers.iter().filter(|(id, b)| b.controlled_shutdown_offset < 0 && is_active(**id));
        serving.map(|(_, broker)| broker.metadata_offset).min().unwrap_or(i64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_end_when_nobody_calls() {
        let mut heartbeats = BrokerHeartbeatManager::new(10);
        heartbeats.update_contact_time((1, 5), 100);
        heartbeats.update_contact_time((2, 6), 104);
        heartbeats.update_contact_time((1, 5), 108);
        assert_eq!(heartbeats.next_expiration_ms(), Some(114));
        assert_eq!(heartbeats.expired(113), None);
        assert_eq!(heartbeats.expired(114), Some((2, 6)));
        assert!(heartbeats.has_valid_session((1, 5), 117));
        assert!(!heartbeats.has_valid_session((1, 4), 117));
        heartbeats.remove(1);
        heartbeats.end_session((2, 6));
        assert_eq!(heartbeats.next_expiration_ms(), None);
    }

    #[test]
    fn the_slowest_serving_broker_counts() {
        let mut heartbeats = BrokerHeartbeatManager::new(10);
        heartbeats.touch(1, false, 50);
        heartbeats.touch(2, false, 40);
        heartbeats.touch(3, true, 1);
        assert_eq!(heartbeats.lowest_active_offset(|id| id != 3), 40);
        heartbeats.maybe_update_controlled_shutdown_offset(2, 45);
        heartbeats.maybe_update_controlled_shutdown_offset(2, 99);
        assert_eq!(heartbeats.controlled_shutdown_offset(2), Some(45));
        assert_eq!(heartbeats.lowest_active_offset(|id| id != 3), 50);
        assert_eq!(heartbeats.lowest_active_offset(|_| false), i64::MAX);
    }
}

//! One request at a time to each node, and a pause after each failure.

use std::collections::BTreeMap;

use super::KernelConfig;

/// A node that can be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its id; negative for a bootstrap server, whose id nobody knows.
    pub id: i32,
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
}

#[derive(Debug, Clone, Copy)]
enum Connection {
    Awaiting { correlation_id: u64, deadline_ms: i64 },
    BackingOff { until_ms: i64 },
}

#[derive(Debug, Clone)]
pub(super) struct RequestManager {
    bootstrap: Vec<Node>,
    next_bootstrap: usize,
    request_timeout_ms: i64,
    retry_backoff_ms: i64,
    next_correlation_id: u64,
    connections: BTreeMap<i32, Connection>,
}

impl RequestManager {
    pub(super) fn new(config: &KernelConfig) -> Self {
        let bootstrap = (2..)
            .zip(&config.bootstrap_servers)
            .map(|(n, (host, port))| Node { id: -n, host: host.clone(), port: *port })
            .collect();
        Self {
            bootstrap,
            next_bootstrap: 0,
            request_timeout_ms: i64::from(config.request_timeout_ms),
            retry_backoff_ms: i64::from(config.retry_backoff_ms),
            next_correlation_id: 1,
            connections: BTreeMap::new(),
        }
    }

    /// A request may go to the node now: its correlation id.
    pub(super) fn try_send(&mut self, now_ms: i64, node_id: i32) -> Option<u64> {
        match self.connections.get(&node_id) {
            Some(Connection::Awaiting { deadline_ms, .. }) if now_ms < *deadline_ms => return None,
            Some(Connection::BackingOff { until_ms }) if now_ms < *until_ms => return None,
            _ => {}
        }
        let correlation_id = self.next_correlation_id;
        self.next_correlation_id += 1;
        let deadline_ms = now_ms + self.request_timeout_ms;
        self.connections.insert(node_id, Connection::Awaiting { correlation_id, deadline_ms });
        Some(correlation_id)
    }

    /// Which node answered; `None` if nobody waits for it any more.
    pub(super) fn complete(&mut self, now_ms: i64, correlation_id: u64, success: bool) -> Option<i32> {
        let node_id = self.connections.iter().find_map(|(node_id, connection)| match connection {
            Connection::Awaiting { correlation_id: id, .. } if *id == correlation_id => Some(*node_id),
            _ => None,
        })?;
        self.connections.remove(&node_id);
        if !success {
            self.back_off(now_ms, node_id);
        }
        Some(node_id)
    }

    pub(super) fn back_off(&mut self, now_ms: i64, node_id: i32) {
        let until_ms = now_ms + self.retry_backoff_ms;
        self.connections.insert(node_id, Connection::BackingOff { until_ms });
    }

    /// The next bootstrap server that can be asked, if none is being asked.
    pub(super) fn next_bootstrap(&mut self, now_ms: i64) -> Option<Node> {
        let busy = self.bootstrap.iter().any(|node| match self.connections.get(&node.id) {
            Some(Connection::Awaiting { deadline_ms, .. }) => now_ms < *deadline_ms,
            Some(Connection::BackingOff { until_ms }) => now_ms < *until_ms,
            None => false,
        });
        if busy || self.bootstrap.is_empty() {
            return None;
        }
        self.next_bootstrap = (self.next_bootstrap + 1) % self.bootstrap.len();
        self.bootstrap.get(self.next_bootstrap).cloned()
    }

    /// The role changed: nobody waits for old answers.
    pub(super) fn reset(&mut self) {
        self.connections.clear();
    }

    pub(super) fn next_deadline_ms(&self, now_ms: i64) -> i64 {
        let deadline = |connection: &Connection| match connection {
            Connection::Awaiting { deadline_ms, .. } => *deadline_ms,
            Connection::BackingOff { until_ms } => *until_ms,
        };
        self.connections.values().map(deadline).filter(|at| *at > now_ms).min().unwrap_or(i64::MAX)
    }
}

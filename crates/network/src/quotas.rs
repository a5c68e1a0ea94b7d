use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::ConnectionLimits;

/// Counts connections, in all, by listener and by address, and says who may come in.
#[derive(Debug)]
pub struct ConnectionQuotas {
    counts: Mutex<Counts>,
    freed: Notify,
}

#[derive(Debug)]
struct Counts {
    limits: ConnectionLimits,
    total: usize,
    by_listener: HashMap<Arc<str>, usize>,
    by_ip: HashMap<IpAddr, usize>,
}

/// An address has as many connections as it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many connections from {ip} (maximum = {max}, see max.connections.per.ip)")]
pub struct TooManyConnections {
    /// Whose.
    pub ip: IpAddr,
    /// How many are allowed.
    pub max: usize,
}

/// The place of one connection; given back when dropped.
#[derive(Debug)]
pub struct ConnectionSlot {
    quotas: Arc<ConnectionQuotas>,
    listener: Arc<str>,
    ip: IpAddr,
}

impl ConnectionQuotas {
    /// Starts with nobody connected.
    pub fn new(limits: ConnectionLimits) -> Self {
        let counts = Counts { limits, total: 0, by_listener: HashMap::new(), by_ip: HashMap::new() };
        Self { counts: Mutex::new(counts), freed: Notify::new() }
    }

    /// Takes a place. Waits while the server or the listener is full, as Kafka's acceptor does;
    /// fails at once when the address has too many already.
    pub async fn acquire(
        self: &Arc<Self>,
        listener: &Arc<str>,
        ip: IpAddr,
    ) -> Result<ConnectionSlot, TooManyConnections> {
        let ip = ip.to_canonical();
        loop {
            let freed = self.freed.notified();
            tokio::pin!(freed);
            // Listening before looking: a place freed in between must not be missed.
            freed.as_mut().enable();
            if self.try_take(listener, ip)? {
                return Ok(ConnectionSlot { quotas: Arc::clone(self), listener: Arc::clone(listener), ip });
            }
            freed.await;
        }
    }

    /// Changes the limits. Connections that exist stay.
    pub fn set_limits(&self, limits: ConnectionLimits) {
        self.lock().limits = limits;
        self.freed.notify_waiters();
    }

    /// How many connections there are.
    pub fn total(&self) -> usize {
        self.lock().total
    }

    /// How many connections a listener has.
    pub fn of_listener(&self, listener: &str) -> usize {
        self.lock().by_listener.get(listener).copied().unwrap_or(0)
    }

    /// Waits until nobody is connected.
    pub(crate) async fn drained(&self) {
        loop {
            let freed = self.freed.notified();
            tokio::pin!(freed);
            freed.as_mut().enable();
            if self.total() == 0 {
                return;
            }
            freed.await;
        }
    }

    fn try_take(&self, listener: &Arc<str>, ip: IpAddr) -> Result<bool, TooManyConnections> {
        let mut counts = self.lock();
        let max = counts.max_of_ip(ip);
        if counts.by_ip.get(&ip).copied().unwrap_or(0) >= max {
            return Err(TooManyConnections { ip, max });
        }
        if !counts.has_room(listener) {
            return Ok(false);
        }
        counts.total += 1;
        *counts.by_ip.entry(ip).or_default() += 1;
        *counts.by_listener.entry(Arc::clone(listener)).or_default() += 1;
        Ok(true)
    }

    fn release(&self, listener: &Arc<str>, ip: IpAddr) {
        let mut counts = self.lock();
        assert!(counts.total > 0, "a connection left that never came");
        counts.total -= 1;
        take_one(&mut counts.by_ip, &ip);
        take_one(&mut counts.by_listener, listener);
        drop(counts);
        self.freed.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    fn max_of_ip(&self, ip: IpAddr) -> usize {
        self.limits.per_ip_overrides.get(&ip).copied().unwrap_or(self.limits.max_connections_per_ip)
    }

    fn has_room(&self, listener: &Arc<str>) -> bool {
        let privileged = self.limits.inter_broker_listener.as_deref() == Some(&**listener);
        let here = self.by_listener.get(listener).copied().unwrap_or(0);
        let listener_max = self.limits.per_listener.get(&**listener).copied().unwrap_or(usize::MAX);
        (privileged || self.total < self.limits.max_connections) && here < listener_max
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        self.quotas.release(&self.listener, self.ip);
    }
}

fn take_one<K: std::hash::Hash + Eq>(counts: &mut HashMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;
    use std::time::Duration;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
    const THERE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));

    fn quotas(edit: impl FnOnce(&mut ConnectionLimits)) -> Arc<ConnectionQuotas> {
        let mut limits = ConnectionLimits::default();
        edit(&mut limits);
        Arc::new(ConnectionQuotas::new(limits))
    }

    async fn blocked(quotas: &Arc<ConnectionQuotas>, listener: &Arc<str>) -> bool {
        tokio::time::timeout(Duration::from_millis(1), quotas.acquire(listener, HERE)).await.is_err()
    }

    #[tokio::test]
    async fn an_address_is_refused_and_overrides_win() {
        let quotas = quotas(|l| {
            l.max_connections_per_ip = 1;
            l.per_ip_overrides.insert(THERE, 2);
        });
        let listener: Arc<str> = "A".into();
        let first = quotas.acquire(&listener, HERE).await.unwrap();
        let error = quotas.acquire(&listener, HERE).await.unwrap_err();
        assert_eq!(error, TooManyConnections { ip: HERE, max: 1 });
        let _far = (quotas.acquire(&listener, THERE).await, quotas.acquire(&listener, THERE).await);
        assert!(quotas.acquire(&listener, THERE).await.is_err());
        drop(first);
        quotas.acquire(&listener, HERE).await.unwrap();
        let mapped = Ipv4Addr::LOCALHOST.to_ipv6_mapped();
        let _again = quotas.acquire(&listener, IpAddr::V6(mapped)).await.unwrap();
        assert!(quotas.acquire(&listener, HERE).await.is_err(), "a mapped address is the same address");
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_server_waits_but_lets_brokers_in() {
        let quotas = quotas(|l| {
            l.max_connections = 1;
            l.inter_broker_listener = Some("B".into());
        });
        let (clients, brokers): (Arc<str>, Arc<str>) = ("A".into(), "B".into());
        let first = quotas.acquire(&clients, HERE).await.unwrap();
        assert!(blocked(&quotas, &clients).await);
        let broker = quotas.acquire(&brokers, HERE).await.unwrap();
        drop(broker);
        let waiting = tokio::spawn({
            let (quotas, clients) = (Arc::clone(&quotas), Arc::clone(&clients));
            async move { quotas.acquire(&clients, HERE).await.is_ok() }
        });
        tokio::task::yield_now().await;
        drop(first);
        assert!(waiting.await.unwrap());
        quotas.drained().await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_listener_leaves_others_alone() {
        let quotas = quotas(|l| {
            l.per_listener.insert("A".into(), 1);
        });
        let (a, b): (Arc<str>, Arc<str>) = ("A".into(), "B".into());
        let _first = quotas.acquire(&a, HERE).await.unwrap();
        assert!(blocked(&quotas, &a).await);
        let _other = quotas.acquire(&b, HERE).await.unwrap();
        quotas.set_limits(ConnectionLimits::default());
        let _second = quotas.acquire(&a, HERE).await.unwrap();
        assert_eq!((quotas.total(), quotas.of_listener("A")), (3, 2));
    }
}

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// How many connections may be open.
#[derive(Debug, Clone)]
pub struct ConnectionLimits {
    /// `max.connections`.
    pub max: usize,
    /// `max.connections.per.ip`.
    pub max_per_ip: usize,
    /// `max.connections.per.ip.overrides`, with host names already resolved.
    pub per_ip_overrides: HashMap<IpAddr, usize>,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self { max: i32::MAX as usize, max_per_ip: i32::MAX as usize, per_ip_overrides: HashMap::new() }
    }
}

/// Counts the open connections of all listeners.
#[derive(Debug)]
pub struct ConnectionQuotas {
    limits: ConnectionLimits,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    total: usize,
    per_ip: HashMap<IpAddr, usize>,
}

/// One counted connection; dropping it gives the place back.
#[derive(Debug)]
pub struct ConnectionPermit {
    quotas: Arc<ConnectionQuotas>,
    ip: IpAddr,
}

impl ConnectionQuotas {
    /// Nothing is open yet.
    pub fn new(limits: ConnectionLimits) -> Arc<Self> {
        Arc::new(Self { limits, open: Mutex::default() })
    }

    /// A place for a connection from this address, if there is one left.
    pub fn acquire(self: &Arc<Self>, ip: IpAddr) -> Option<ConnectionPermit> {
        let max_of_ip = self.limits.per_ip_overrides.get(&ip).copied().unwrap_or(self.limits.max_per_ip);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let of_ip = open.per_ip.get(&ip).copied().unwrap_or(0);
        if open.total >= self.limits.max || of_ip >= max_of_ip {
            return None;
        }
        open.total += 1;
        open.per_ip.insert(ip, of_ip + 1);
        Some(ConnectionPermit { quotas: self.clone(), ip })
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let mut open = self.quotas.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.total -= 1;
        if let Some(count) = open.per_ip.get_mut(&self.ip) {
            *count -= 1;
            if *count == 0 {
                open.per_ip.remove(&self.ip);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_and_given_back() {
        let quotas =
            ConnectionQuotas::new(ConnectionLimits { max: 3, max_per_ip: 2, per_ip_overrides: HashMap::new() });
        let (a, b) = (IpAddr::from([127, 0, 0, 1]), IpAddr::from([127, 0, 0, 2]));
        let first = quotas.acquire(a).unwrap();
        let _second = quotas.acquire(a).unwrap();
        assert!(quotas.acquire(a).is_none(), "two per address");
        let _third = quotas.acquire(b).unwrap();
        assert!(quotas.acquire(b).is_none(), "three in all");
        drop(first);
        assert!(quotas.acquire(a).is_some());
    }
}

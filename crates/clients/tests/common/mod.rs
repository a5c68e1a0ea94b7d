#![allow(dead_code, reason = "each test binary uses its part")]

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime};

use ottla_clients::ClientConfig;
use ottla_clients::admin::Admin;

/// The broker under test.
pub(crate) fn config() -> ClientConfig {
    let broker = std::env::var("OTTLA_TEST_BROKER");
    ClientConfig::new(broker.expect("OTTLA_TEST_BROKER=host:port names the broker to test against"))
}

pub(crate) fn admin() -> Admin {
    Admin::new(&config()).expect("valid properties")
}

/// A name nobody used before.
pub(crate) fn unique(prefix: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let nanos = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |d| d.as_nanos());
    format!("{prefix}-{}-{}", nanos % 1_000_000_000_000, NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Waits for a condition, not for ever.
pub(crate) async fn until(condition: impl AsyncFn() -> bool) {
    let start = Instant::now();
    while !condition().await {
        assert!(start.elapsed() < Duration::from_secs(30), "condition not met in time");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

//! Quotas: how rates are measured.

use ottla_common::config::rows::*;

/// The rows of this subject.
#[rustfmt::skip]
pub(crate) static ROWS: &[ConfigKey] = &[
    key("quota.window.num", Int, Some("11"), AtLeast(1.0), Low, ReadOnly, "Samples kept to measure a client's rate."),
    key("replication.quota.window.num", Int, Some("11"), AtLeast(1.0), Low, ReadOnly, "Samples kept to measure throttled replication."),
    key("alter.log.dirs.replication.quota.window.num", Int, Some("11"), AtLeast(1.0), Low, ReadOnly, "Samples kept to measure moves between directories."),
    key("controller.quota.window.num", Int, Some("11"), AtLeast(1.0), Low, ReadOnly, "Samples kept to measure changes to the cluster."),
    key("quota.window.size.seconds", Int, Some("1"), AtLeast(1.0), Low, ReadOnly, "Length of a sample of a client's rate."),
    key("replication.quota.window.size.seconds", Int, Some("1"), AtLeast(1.0), Low, ReadOnly, "Length of a sample of throttled replication."),
    key("alter.log.dirs.replication.quota.window.size.seconds", Int, Some("1"), AtLeast(1.0), Low, ReadOnly, "Length of a sample of moves between directories."),
    key("controller.quota.window.size.seconds", Int, Some("1"), AtLeast(1.0), Low, ReadOnly, "Length of a sample of changes to the cluster."),
    key("client.quota.callback.class", Class, None, Any, Low, ReadOnly, "Class that computes quotas of clients."),
];

/// Limits that exist only as dynamic configuration.
#[rustfmt::skip]
pub(crate) static DYNAMIC_ROWS: &[ConfigKey] = &[
    key("leader.replication.throttled.rate", Long, Some("9223372036854775807"), AtLeast(0.0), Medium, ClusterWide, "Bytes per second that leaders send to throttled replicas."),
    key("follower.replication.throttled.rate", Long, Some("9223372036854775807"), AtLeast(0.0), Medium, ClusterWide, "Bytes per second that throttled followers receive."),
    key("replica.alter.log.dirs.io.max.bytes.per.second", Long, Some("9223372036854775807"), AtLeast(0.0), Medium, ClusterWide, "Bytes per second for moves between directories of a broker."),
];

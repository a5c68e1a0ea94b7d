//! Every key of a broker or controller, one row each, grouped by subject.

mod client_metrics;
mod group;
mod group_coordinator;
mod kraft;
mod log;
mod log_cleaner;
mod metadata_log;
mod metrics;
mod oauthbearer;
mod quorum;
mod quota;
mod remote_log;
mod replication;
mod sasl;
mod server;
mod share_coordinator;
mod share_group;
mod socket_server;
mod ssl;
mod transaction;

use ottla_common::config::ConfigKey;

/// Keys of `server.properties`.
pub(crate) static SERVER: &[&[ConfigKey]] = &[
    remote_log::ROWS,
    server::ROWS,
    kraft::ROWS,
    metadata_log::ROWS,
    socket_server::ROWS,
    replication::ROWS,
    group_coordinator::ROWS,
    log_cleaner::ROWS,
    log::ROWS,
    share_group::ROWS,
    share_coordinator::ROWS,
    transaction::ROWS,
    quorum::ROWS,
    metrics::ROWS,
    quota::ROWS,
    ssl::ROWS,
    sasl::ROWS,
    oauthbearer::ROWS,
];

pub(crate) use client_metrics::ROWS as CLIENT_METRICS;
pub(crate) use group::ROWS as GROUP;
pub(crate) use quota::DYNAMIC_ROWS as DYNAMIC_QUOTAS;

//! Listeners, connections and request queues.

use ottla_common::config::rows::*;

/// The rows of this subject.
#[rustfmt::skip]
pub(crate) static ROWS: &[ConfigKey] = &[
    key("listeners", List, Some("PLAINTEXT://:9092"), FILLED_LIST, High, PerBroker, "Addresses on which this node listens, as `NAME://host:port`; an empty host means every interface."),
    key("advertised.listeners", List, None, MAYBE_FILLED_LIST, High, ReadOnly, "Addresses that clients are told to use; by default those of `listeners`."),
    key("listener.security.protocol.map", Text, Some("SASL_SSL:SASL_SSL,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT"), Any, Low, PerBroker, "Which security protocol each listener name speaks."),
    key("socket.send.buffer.bytes", Int, Some("102400"), Any, High, ReadOnly, "Send buffer of a socket; -1 leaves it to the system."),
    key("socket.receive.buffer.bytes", Int, Some("102400"), Any, High, ReadOnly, "Receive buffer of a socket; -1 leaves it to the system."),
    key("socket.request.max.bytes", Int, Some("104857600"), AtLeast(1.0), High, ReadOnly, "Largest request that is read at all."),
    key("socket.listen.backlog.size", Int, Some("4096"), AtLeast(1.0), Medium, ReadOnly, "How many connections may wait to be accepted."),
    key("max.connections.per.ip", Int, Some("2147483647"), AtLeast(0.0), Medium, ClusterWide, "Most connections from one address."),
    key("max.connections.per.ip.overrides", Text, Some(""), Any, Medium, ClusterWide, "Other limits for some addresses, as `host:count` pairs."),
    key("max.connections", Int, Some("2147483647"), AtLeast(0.0), Medium, ClusterWide, "Most connections of the broker, or of one listener with its prefix."),
    key("max.connection.creation.rate", Int, Some("2147483647"), AtLeast(0.0), Medium, ClusterWide, "Most new connections per second."),
    key("connections.max.idle.ms", Long, Some("600000"), Any, Medium, ReadOnly, "A connection without traffic is closed after this time."),
    key("connection.failed.authentication.delay.ms", Int, Some("100"), AtLeast(0.0), Low, ReadOnly, "Pause before a connection that failed to authenticate is closed."),
    key("queued.max.requests", Int, Some("500"), AtLeast(1.0), High, ReadOnly, "How many requests may wait for a thread before reading stops."),
    key("queued.max.request.bytes", Long, Some("-1"), Any, Medium, ReadOnly, "How many bytes of requests may wait before reading stops; -1 means no limit."),
    key("num.network.threads", Int, Some("3"), AtLeast(1.0), High, ClusterWide, "Threads that read requests from and write answers to the network."),
];

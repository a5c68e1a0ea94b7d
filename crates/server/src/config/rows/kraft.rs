//! KRaft: the roles of a node, registration and heartbeats.

use ottla_common::config::rows::*;

/// The rows of this subject.
#[rustfmt::skip]
pub(crate) static ROWS: &[ConfigKey] = &[
    required("process.roles", List, list_of(&["broker", "controller"], false), High, "What this node is: `broker`, `controller`, or both."),
    required("node.id", Int, AtLeast(0.0), High, "Number of this node, unique in the cluster."),
    key("initial.broker.registration.timeout.ms", Int, Some("60000"), Any, Medium, ReadOnly, "How long the first registration with the controllers may take before the broker gives up."),
    key("broker.heartbeat.interval.ms", Int, Some("2000"), Any, Medium, ReadOnly, "How often the broker tells the controller that it lives."),
    key("broker.session.timeout.ms", Int, Some("9000"), Any, Medium, ReadOnly, "Silence after which the controller takes a broker for dead."),
    required("controller.listener.names", List, FILLED_LIST, High, "Names of the listeners on which controllers talk; brokers use the first one."),
    key("sasl.mechanism.controller.protocol", Text, Some("GSSAPI"), Any, High, ReadOnly, "SASL mechanism towards the controllers."),
    key("controller.performance.sample.period.ms", Long, Some("60000"), AtLeast(100.0), Medium, ReadOnly, "Length of the window in which the controller measures its own speed.").internal(),
    key("controller.performance.always.log.threshold.ms", Long, Some("2000"), AtLeast(0.0), Medium, ReadOnly, "Controller events slower than this are always logged.").internal(),
    key("server.max.startup.time.ms", Long, Some("9223372036854775807"), AtLeast(0.0), Medium, ReadOnly, "Longest time a start may take before the process gives up.").internal(),
];

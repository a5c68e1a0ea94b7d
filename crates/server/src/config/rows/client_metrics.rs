//! Keys of a client metrics subscription (KIP-714).

use ottla_common::config::rows::*;

/// The rows of this subject.
#[rustfmt::skip]
pub(crate) static ROWS: &[ConfigKey] = &[
    key("metrics", List, Some(""), LIST, Medium, ClusterWide, "Prefixes of the metrics a matching client should push; empty turns it off, `*` means all."),
    key("interval.ms", Int, Some("300000"), Any, Medium, ClusterWide, "How often a matching client pushes."),
    key("match", List, Some(""), LIST, Medium, ClusterWide, "Patterns a client must match, such as `client_id=app-.*`."),
];

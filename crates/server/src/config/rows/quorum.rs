//! The KRaft quorum.

use ottla_common::config::rows::*;

/// The rows of this subject.
#[rustfmt::skip]
pub(crate) static ROWS: &[ConfigKey] = &[
    key("controller.quorum.voters", List, Some(""), QuorumVoters, High, ReadOnly, "The voters of a static quorum, as `id@host:port`; leave it out for a dynamic one."),
    key("controller.quorum.bootstrap.servers", List, Some(""), HostPorts, High, ReadOnly, "Addresses where the quorum can be found, as `host:port`."),
    key("controller.quorum.election.timeout.ms", Int, Some("1000"), AtLeast(0.0), High, ReadOnly, "How long a voter waits for votes before it starts a new election."),
    key("controller.quorum.fetch.timeout.ms", Int, Some("2000"), AtLeast(0.0), High, ReadOnly, "How long a voter goes without the leader before it calls an election."),
    key("controller.quorum.election.backoff.max.ms", Int, Some("1000"), AtLeast(0.0), High, ReadOnly, "Longest pause before a new election after a tie."),
    key("controller.quorum.append.linger.ms", Int, Some("25"), AtLeast(0.0), Medium, ReadOnly, "How long the leader gathers writes before they go to disk."),
    key("controller.quorum.request.timeout.ms", Int, Some("2000"), AtLeast(0.0), Medium, ReadOnly, "How long a request between voters may take."),
    key("controller.quorum.retry.backoff.ms", Int, Some("20"), AtLeast(0.0), Low, ReadOnly, "Pause before a failed request between voters is sent again."),
    key("controller.quorum.auto.join.enable", Boolean, Some("false"), Any, Low, ReadOnly, "Whether a new controller asks to become a voter by itself (KIP-853)."),
    key("controller.quorum.fetch.snapshot.max.bytes", Int, Some("1048576"), AtLeast(1.0), Low, ReadOnly, "Bytes of a snapshot that are fetched at once."),
    key("controller.quorum.fetch.max.bytes", Int, Some("1048576"), AtLeast(1.0), Low, ReadOnly, "Bytes of the metadata log that are fetched at once."),
];

//! Replicas, leaders and the talk between brokers.

use ottla_common::config::rows::*;

/// The rows of this subject.
#[rustfmt::skip]
pub(crate) static ROWS: &[ConfigKey] = &[
    key("controller.socket.timeout.ms", Int, Some("30000"), Any, Medium, ReadOnly, "Socket timeout between controller and brokers."),
    key("default.replication.factor", Int, Some("1"), Any, Medium, ReadOnly, "Replicas of a topic created without saying how many."),
    key("replica.lag.time.max.ms", Long, Some("30000"), Any, High, ReadOnly, "A follower that has not caught up for this long leaves the in-sync replicas."),
    key("replica.socket.timeout.ms", Int, Some("30000"), Any, High, ReadOnly, "Socket timeout of a follower's fetches."),
    key("replica.socket.receive.buffer.bytes", Int, Some("65536"), Any, High, ReadOnly, "Receive buffer of a follower's socket."),
    key("replica.fetch.max.bytes", Int, Some("1048576"), AtLeast(0.0), Medium, ReadOnly, "Bytes a follower asks for per partition."),
    key("replica.fetch.wait.max.ms", Int, Some("500"), Any, High, ReadOnly, "How long a follower's fetch may wait at the leader."),
    key("replica.fetch.backoff.ms", Int, Some("1000"), AtLeast(0.0), Medium, ReadOnly, "Pause of a follower after a failed fetch."),
    key("replica.fetch.min.bytes", Int, Some("1"), Any, High, ReadOnly, "Bytes a follower wants before the leader answers."),
    key("replica.fetch.response.max.bytes", Int, Some("10485760"), AtLeast(0.0), Medium, ReadOnly, "Bytes a follower asks for in one response."),
    key("num.replica.fetchers", Int, Some("1"), AtLeast(1.0), High, ClusterWide, "Fetching threads per leader broker."),
    key("replica.high.watermark.checkpoint.interval.ms", Long, Some("5000"), Any, High, ReadOnly, "How often high watermarks are saved to disk."),
    key("fetch.purgatory.purge.interval.requests", Int, Some("1000"), Any, Medium, ReadOnly, "Finished fetches that may linger in the waiting room."),
    key("producer.purgatory.purge.interval.requests", Int, Some("1000"), Any, Medium, ReadOnly, "Finished produce requests that may linger in the waiting room."),
    key("delete.records.purgatory.purge.interval.requests", Int, Some("1"), Any, Medium, ReadOnly, "Finished record deletions that may linger in the waiting room."),
    key("auto.leader.rebalance.enable", Boolean, Some("true"), Any, High, ReadOnly, "Whether leadership goes back to preferred replicas by itself."),
    key("leader.imbalance.check.interval.seconds", Long, Some("300"), AtLeast(1.0), High, ReadOnly, "How often the controller looks for leaders that are not the preferred ones."),
    key("unclean.leader.election.interval.ms", Long, Some("300000"), AtLeast(1.0), Medium, ReadOnly, "How often the controller looks for partitions that need an unclean election.").internal(),
    key("unclean.leader.election.enable", Boolean, Some("false"), Any, High, ClusterWide, "Whether a replica that is not in sync may become leader, at the price of lost records."),
    key("security.inter.broker.protocol", Text, Some("PLAINTEXT"), OneOf(&["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]), Medium, ReadOnly, "Security protocol between brokers when no listener is named for it."),
    key("inter.broker.listener.name", Text, None, Any, Medium, ReadOnly, "Listener through which brokers talk to each other."),
    key("replica.selector.class", Text, None, Any, Medium, ReadOnly, "Class that chooses the replica a consumer should read from."),
    key("follower.fetch.last.tiered.offset.enable", Boolean, Some("false"), Any, Medium, ClusterWide, "Whether a new follower starts at the last offset of the remote tier."),
];

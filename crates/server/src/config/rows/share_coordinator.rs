//! The share coordinator and `__share_group_state`.

use ottla_common::config::rows::*;

/// The rows of this subject.
#[rustfmt::skip]
pub(crate) static ROWS: &[ConfigKey] = &[
    key("share.coordinator.state.topic.num.partitions", Int, Some("50"), AtLeast(1.0), High, ReadOnly, "Partitions of `__share_group_state`; never change it later."),
    key("share.coordinator.state.topic.replication.factor", Short, Some("3"), AtLeast(1.0), High, ReadOnly, "Replicas of `__share_group_state`."),
    key("share.coordinator.state.topic.min.isr", Short, Some("2"), AtLeast(1.0), High, ReadOnly, "In-sync replicas that a write to `__share_group_state` needs."),
    key("share.coordinator.state.topic.segment.bytes", Int, Some("104857600"), AtLeast(1.0), High, ReadOnly, "Segment size of `__share_group_state`."),
    key("share.coordinator.threads", Int, Some("1"), AtLeast(1.0), Medium, ReadOnly, "Threads of the share coordinator."),
    key("share.coordinator.snapshot.update.records.per.snapshot", Int, Some("500"), Between(0.0, 500.0), Medium, ReadOnly, "Updates written between two snapshots of a share partition."),
    key("share.coordinator.load.buffer.size", Int, Some("5242880"), AtLeast(1.0), High, ReadOnly, "Bytes read at once when share state is loaded."),
    key("share.coordinator.state.topic.compression.codec", Int, Some("0"), Any, High, ReadOnly, "Number of the codec for `__share_group_state`."),
    key("share.coordinator.append.linger.ms", Int, Some("-1"), AtLeast(-1.0), Medium, ReadOnly, "How long the share coordinator gathers writes; -1 adapts to the load."),
    key("share.coordinator.write.timeout.ms", Int, Some("5000"), AtLeast(1.0), High, ReadOnly, "How long a write of the share coordinator may wait for its replicas."),
    key("share.coordinator.state.topic.prune.interval.ms", Int, Some("300000"), AtLeast(1.0), Low, ReadOnly, "How often records nobody needs are deleted from `__share_group_state`.").internal(),
    key("share.coordinator.cold.partition.snapshot.interval.ms", Int, Some("300000"), AtLeast(1.0), Low, ReadOnly, "How often quiet share partitions get a fresh snapshot.").internal(),
    key("share.coordinator.cached.buffer.max.bytes", Int, Some("1048588"), AtLeast(524288.0), Medium, ClusterWide, "Largest write buffer the share coordinator keeps for reuse."),
];

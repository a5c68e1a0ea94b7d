//! Keys of a group (resource type 32).

use ottla_common::config::rows::*;

/// The rows of this subject.
#[rustfmt::skip]
pub(crate) static ROWS: &[ConfigKey] = &[
    key("consumer.session.timeout.ms", Int, Some("45000"), AtLeast(1.0), Medium, ClusterWide, "Silence after which a member of this consumer group is removed."),
    key("consumer.heartbeat.interval.ms", Int, Some("5000"), AtLeast(1.0), Medium, ClusterWide, "How often members of this consumer group send heartbeats."),
    key("consumer.assignment.interval.ms", Int, Some("1000"), AtLeast(0.0), Medium, ClusterWide, "Shortest time between two assignments of this consumer group."),
    key("consumer.assignor.offload.enable", Boolean, Some("true"), Any, Medium, ClusterWide, "Whether assignments are computed on a background thread.").internal(),
    key("share.session.timeout.ms", Int, Some("45000"), AtLeast(1.0), Medium, ClusterWide, "Silence after which a member of this share group is removed."),
    key("share.heartbeat.interval.ms", Int, Some("5000"), AtLeast(1.0), Medium, ClusterWide, "How often members of this share group send heartbeats."),
    key("share.record.lock.duration.ms", Int, Some("30000"), AtLeast(1000.0), Medium, ClusterWide, "How long a member may hold a record before another gets it."),
    key("share.delivery.count.limit", Int, Some("5"), AtLeast(2.0), Medium, ClusterWide, "How often a record is handed out before it is given up."),
    key("share.partition.max.record.locks", Int, Some("2000"), AtLeast(100.0), Medium, ClusterWide, "Records of a partition that may be handed out at once."),
    key("share.auto.offset.reset", Text, Some("latest"), OffsetReset, Medium, ClusterWide, "Where the group starts on a partition it has no state for."),
    key("share.isolation.level", Text, Some("read_uncommitted"), OneOf(&["read_committed", "read_uncommitted"]), Medium, ClusterWide, "Whether records of open transactions are handed out."),
    key("share.renew.acknowledge.enable", Boolean, Some("true"), Any, Medium, ClusterWide, "Whether members may prolong their hold on a record."),
    key("share.assignment.interval.ms", Int, Some("1000"), AtLeast(0.0), Medium, ClusterWide, "Shortest time between two assignments of this share group."),
    key("share.assignor.offload.enable", Boolean, Some("true"), Any, Medium, ClusterWide, "Whether assignments are computed on a background thread.").internal(),
    key("streams.session.timeout.ms", Int, Some("45000"), AtLeast(1.0), Medium, ClusterWide, "Silence after which a member of this streams group is removed."),
    key("streams.heartbeat.interval.ms", Int, Some("5000"), AtLeast(1.0), Medium, ClusterWide, "How often members of this streams group send heartbeats."),
    key("streams.num.standby.replicas", Int, Some("0"), AtLeast(0.0), Medium, ClusterWide, "Standby copies of each stateful task."),
    key("streams.initial.rebalance.delay.ms", Int, Some("3000"), AtLeast(0.0), Medium, ClusterWide, "How long the group waits for more members when it is new."),
    key("streams.assignment.interval.ms", Int, Some("1000"), AtLeast(0.0), Medium, ClusterWide, "Shortest time between two assignments of this streams group."),
    key("streams.assignor.offload.enable", Boolean, Some("true"), Any, Medium, ClusterWide, "Whether assignments are computed on a background thread.").internal(),
    key("streams.task.offset.interval.ms", Int, Some("60000"), AtLeast(1.0), Medium, ClusterWide, "How often members report how far their tasks have come.").internal(),
    key("streams.num.warmup.replicas", Int, Some("2"), AtLeast(0.0), Medium, ClusterWide, "Copies that may warm up at once before a task moves.").internal(),
    key("streams.rack.aware.assignment.tags", List, Some(""), LIST, Low, ClusterWide, "Client tags over which standby copies are spread."),
    key("streams.acceptable.recovery.lag", Long, Some("10000"), AtLeast(0.0), Medium, ClusterWide, "Records a copy may lag behind and still count as caught up.").internal(),
    key("streams.assignor.name", Text, None, Any, Medium, ClusterWide, "Task assignor of this group."),
    key("errors.deadletterqueue.topic.name", Text, Some(""), Any, Medium, ClusterWide, "Topic for records this group gives up on."),
    key("errors.deadletterqueue.copy.record.enable", Boolean, Some("false"), Any, Medium, ClusterWide, "Whether such a record is copied whole, not only pointed at."),
];

//! Share groups: deliveries and record locks.

use ottla_common::config::rows::*;

/// The rows of this subject.
#[rustfmt::skip]
pub(crate) static ROWS: &[ConfigKey] = &[
    key("group.share.delivery.count.limit", Int, Some("5"), Between(2.0, 10.0), Medium, ReadOnly, "How often a record is handed out before it is given up."),
    key("group.share.max.delivery.count.limit", Int, Some("10"), Between(5.0, 25.0), Medium, ReadOnly, "Largest delivery limit a share group may be given."),
    key("group.share.min.delivery.count.limit", Int, Some("2"), Between(2.0, 5.0), Medium, ReadOnly, "Smallest delivery limit a share group may be given."),
    key("group.share.record.lock.duration.ms", Int, Some("30000"), Between(1000.0, 3600000.0), Medium, ReadOnly, "How long a member may hold a record before another gets it."),
    key("group.share.min.record.lock.duration.ms", Int, Some("15000"), Between(1000.0, 30000.0), Medium, ReadOnly, "Shortest record lock a share group may be given."),
    key("group.share.max.record.lock.duration.ms", Int, Some("60000"), Between(30000.0, 3600000.0), Medium, ReadOnly, "Longest record lock a share group may be given."),
    key("group.share.partition.max.record.locks", Int, Some("2000"), Between(100.0, 10000.0), Medium, ReadOnly, "Records of a partition that may be handed out at once."),
    key("group.share.max.partition.max.record.locks", Int, Some("4000"), Between(2000.0, 10000.0), Medium, ReadOnly, "Largest such number a share group may be given."),
    key("group.share.min.partition.max.record.locks", Int, Some("100"), Between(100.0, 2000.0), Medium, ReadOnly, "Smallest such number a share group may be given."),
    key("share.fetch.purgatory.purge.interval.requests", Int, Some("1000"), Any, Medium, ReadOnly, "Finished share fetches that may linger in the waiting room."),
    key("group.share.max.share.sessions", Int, Some("2000"), AtLeast(1.0), Medium, ReadOnly, "How many share sessions are remembered."),
    key("group.share.persister.class.name", Text, Some("org.apache.kafka.server.share.persister.DefaultStatePersister"), Any, Medium, ReadOnly, "Class that saves the state of share partitions.").internal(),
    key("group.share.dlq.manager.class.name", Text, Some("org.apache.kafka.server.share.dlq.DefaultShareGroupDLQManager"), Any, Medium, ReadOnly, "Class that writes given-up records to their topic.").internal(),
];

//! Logs on disk: directories, segments, retention, flushing.

use ottla_common::config::rows::*;

/// The rows of this subject.
#[rustfmt::skip]
pub(crate) static ROWS: &[ConfigKey] = &[
    key("num.partitions", Int, Some("1"), AtLeast(1.0), Medium, ReadOnly, "Partitions of a topic created without saying how many."),
    key("log.dir", List, Some("/tmp/kafka-logs"), FILLED_LIST, High, ReadOnly, "Directory for logs, used when `log.dirs` is not set."),
    key("log.dirs", List, None, MAYBE_FILLED_LIST, High, ReadOnly, "Directories for logs, between commas."),
    key("cordoned.log.dirs", List, Some(""), MAYBE_LIST, Medium, PerBroker, "Log directories that take no new partitions; `*` means all."),
    key("log.segment.bytes", Int, Some("1073741824"), AtLeast(1048576.0), High, ClusterWide, "Largest segment file."),
    key("log.roll.ms", Long, None, Any, High, ClusterWide, "Age at which a segment is closed; stronger than `log.roll.hours`."),
    key("log.roll.hours", Int, Some("168"), AtLeast(1.0), High, ReadOnly, "Age in hours at which a segment is closed."),
    key("log.roll.jitter.ms", Long, None, Any, High, ClusterWide, "Random time taken off that age, so that segments do not all close together."),
    key("log.roll.jitter.hours", Int, Some("0"), AtLeast(0.0), High, ReadOnly, "The same in hours."),
    key("log.retention.ms", Long, None, Any, High, ClusterWide, "How long records are kept; -1 means for ever. Stronger than minutes and hours."),
    key("log.retention.minutes", Int, None, Any, High, ReadOnly, "How long records are kept, in minutes. Stronger than hours."),
    key("log.retention.hours", Int, Some("168"), Any, High, ReadOnly, "How long records are kept, in hours."),
    key("log.retention.bytes", Long, Some("-1"), Any, High, ClusterWide, "How many bytes of a partition are kept; -1 means all."),
    key("log.retention.check.interval.ms", Long, Some("300000"), AtLeast(1.0), Medium, ReadOnly, "How often logs are looked at for old segments."),
    key("log.cleanup.policy", List, Some("delete"), list_of(&["compact", "delete"], true), Medium, ClusterWide, "What happens to old segments: `delete`, `compact`, both, or nothing."),
    key("log.index.size.max.bytes", Int, Some("10485760"), AtLeast(4.0), Medium, ClusterWide, "Largest index file of a segment."),
    key("log.index.interval.bytes", Int, Some("4096"), AtLeast(0.0), Medium, ClusterWide, "Bytes of log between two index entries."),
    key("log.flush.interval.messages", Long, Some("9223372036854775807"), AtLeast(1.0), High, ClusterWide, "Records after which a log is forced to disk."),
    key("log.segment.delete.delay.ms", Long, Some("60000"), AtLeast(0.0), High, ClusterWide, "How long a deleted file stays on disk."),
    key("log.flush.scheduler.interval.ms", Long, Some("9223372036854775807"), Any, High, ReadOnly, "How often logs are looked at for a flush that is due."),
    key("log.flush.interval.ms", Long, None, Any, High, ClusterWide, "Longest time a record stays unflushed; by default that of the scheduler."),
    key("log.flush.offset.checkpoint.interval.ms", Int, Some("60000"), AtLeast(0.0), High, ReadOnly, "How often recovery points are saved."),
    key("log.flush.start.offset.checkpoint.interval.ms", Int, Some("60000"), AtLeast(0.0), High, ReadOnly, "How often log start offsets are saved."),
    key("log.preallocate", Boolean, Some("false"), Any, Medium, ClusterWide, "Whether a new segment reserves its full size."),
    key("num.recovery.threads.per.data.dir", Int, Some("2"), AtLeast(1.0), High, ClusterWide, "Threads per directory that recover logs at start and flush them at stop."),
    key("auto.create.topics.enable", Boolean, Some("true"), Any, High, ReadOnly, "Whether asking for an unknown topic creates it."),
    key("min.insync.replicas", Int, Some("1"), AtLeast(1.0), High, ClusterWide, "Replicas that must hold a record before `acks=all` is answered."),
    key("log.message.timestamp.type", Text, Some("CreateTime"), OneOf(&["CreateTime", "LogAppendTime"]), Medium, ClusterWide, "Whose clock stamps records: `CreateTime` or `LogAppendTime`."),
    key("log.message.timestamp.before.max.ms", Long, Some("9223372036854775807"), AtLeast(0.0), Medium, ClusterWide, "How far in the past a producer's timestamp may lie."),
    key("log.message.timestamp.after.max.ms", Long, Some("3600000"), AtLeast(0.0), Medium, ClusterWide, "How far in the future a producer's timestamp may lie."),
    key("create.topic.policy.class.name", Class, None, Any, Low, ReadOnly, "Class that may veto new topics."),
    key("alter.config.policy.class.name", Class, None, Any, Low, ReadOnly, "Class that may veto changed configuration."),
    key("log.dir.failure.timeout.ms", Long, Some("30000"), AtLeast(1.0), Low, ReadOnly, "How long the broker may fail to report a broken directory before it stops."),
    key("log.initial.task.delay.ms", Long, Some("30000"), AtLeast(0.0), Low, ReadOnly, "Pause after start before retention and flushing begin.").internal(),
];

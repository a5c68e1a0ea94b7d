//! Compaction: the log cleaner.

use ottla_common::config::rows::*;

/// The rows of this subject.
#[rustfmt::skip]
pub(crate) static ROWS: &[ConfigKey] = &[
    key("log.cleaner.threads", Int, Some("1"), AtLeast(0.0), Medium, ClusterWide, "Threads that compact logs."),
    key("log.cleaner.io.max.bytes.per.second", Double, Some("1.7976931348623157E308"), Any, Medium, ClusterWide, "Speed limit for the cleaner's reads and writes together."),
    key("log.cleaner.dedupe.buffer.size", Long, Some("134217728"), Any, Medium, ClusterWide, "Memory for the cleaner's maps of keys, over all its threads."),
    key("log.cleaner.io.buffer.size", Int, Some("524288"), AtLeast(0.0), Medium, ClusterWide, "Memory for the cleaner's copying, over all its threads."),
    key("log.cleaner.io.buffer.load.factor", Double, Some("0.9"), Any, Medium, ClusterWide, "How full a map of keys may get."),
    key("log.cleaner.backoff.ms", Long, Some("15000"), AtLeast(0.0), Medium, ClusterWide, "Pause of the cleaner when nothing is dirty."),
    key("log.cleaner.min.cleanable.ratio", Double, Some("0.5"), Between(0.0, 1.0), Medium, ClusterWide, "Share of a log that must be dirty before it is compacted."),
    key("log.cleaner.enable", Boolean, Some("true"), Any, Medium, ReadOnly, "Whether logs are compacted at all."),
    key("log.cleaner.delete.retention.ms", Long, Some("86400000"), AtLeast(0.0), Medium, ClusterWide, "How long tombstones and transaction markers outlive compaction."),
    key("log.cleaner.min.compaction.lag.ms", Long, Some("0"), AtLeast(0.0), Medium, ClusterWide, "Age before which a record is never compacted."),
    key("log.cleaner.max.compaction.lag.ms", Long, Some("9223372036854775807"), AtLeast(1.0), Medium, ClusterWide, "Age at which a record must be up for compaction."),
];

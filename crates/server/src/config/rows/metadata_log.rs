//! The log of the cluster's metadata and its snapshots.

use ottla_common::config::rows::*;

/// The rows of this subject.
#[rustfmt::skip]
pub(crate) static ROWS: &[ConfigKey] = &[
    key("metadata.log.max.record.bytes.between.snapshots", Long, Some("20971520"), AtLeast(1.0), High, ReadOnly, "A new snapshot is written after this many bytes of new metadata."),
    key("metadata.log.max.snapshot.interval.ms", Long, Some("3600000"), AtLeast(0.0), High, ReadOnly, "A new snapshot is written after this time when anything changed; 0 turns this off."),
    key("metadata.log.dir", Text, None, Any, High, ReadOnly, "Directory of the metadata log; by default the first of `log.dirs`."),
    key("metadata.log.segment.bytes", Int, Some("1073741824"), AtLeast(8388608.0), High, ReadOnly, "Largest segment of the metadata log."),
    key("metadata.log.segment.ms", Long, Some("604800000"), Any, High, ReadOnly, "Age at which a segment of the metadata log is closed."),
    key("metadata.max.retention.bytes", Long, Some("104857600"), Any, High, ReadOnly, "How many bytes of metadata log and snapshots are kept."),
    key("metadata.max.retention.ms", Long, Some("604800000"), Any, High, ReadOnly, "How long metadata log and snapshots are kept."),
    key("metadata.max.idle.interval.ms", Int, Some("500"), AtLeast(0.0), Low, ReadOnly, "The active controller writes a no-op record after this much idle time; 0 turns this off."),
    key("internal.metadata.log.segment.bytes", Int, None, Any, Low, ReadOnly, "Segment size of the metadata log without the usual lower bound, for tests.").internal(),
    key("internal.metadata.max.batch.size.in.bytes", Int, Some("8388608"), Any, Low, ReadOnly, "Largest batch in the metadata log, for tests.").internal(),
    key("internal.metadata.delete.delay.millis", Long, Some("60000"), Any, Low, ReadOnly, "How long deleted metadata files stay on disk, for tests.").internal(),
];

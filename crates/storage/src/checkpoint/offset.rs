use std::collections::BTreeMap;
use std::fmt::Write;
use std::io;
use std::path::Path;
use std::sync::Arc;

use ottla_common::TopicPartition;

use super::{CheckpointEntry, CheckpointFile};
use crate::fs::FileSystem;

/// Up to where logs are on the disk for certain.
pub const RECOVERY_POINT_CHECKPOINT_FILE: &str = "recovery-point-offset-checkpoint";
/// High watermarks.
pub const REPLICATION_OFFSET_CHECKPOINT_FILE: &str = "replication-offset-checkpoint";
/// Log start offsets that lie above the first segment's base offset.
pub const LOG_START_OFFSET_CHECKPOINT_FILE: &str = "log-start-offset-checkpoint";
/// Up to where the cleaner has compacted.
pub const CLEANER_OFFSET_CHECKPOINT_FILE: &str = "cleaner-offset-checkpoint";

/// One offset for each partition of a log directory.
#[derive(Debug)]
pub struct OffsetCheckpointFile {
    file: CheckpointFile,
}

struct Line {
    partition: TopicPartition,
    offset: i64,
}

impl CheckpointEntry for Line {
    fn write_line(&self, out: &mut String) {
        let TopicPartition { topic, partition } = &self.partition;
        // Writing to a string cannot fail.
        let _ = write!(out, "{topic} {partition} {}", self.offset);
    }

    fn parse_line(line: &str) -> Option<Self> {
        let mut parts = line.split_ascii_whitespace();
        let topic = parts.next()?;
        let partition = parts.next()?.parse().ok()?;
        let offset = parts.next()?.parse().ok()?;
        let partition = TopicPartition::new(topic, partition);
        parts.next().is_none().then_some(Self { partition, offset })
    }
}

impl OffsetCheckpointFile {
    /// The checkpoint of this name in a log directory.
    pub fn new(fs: Arc<dyn FileSystem>, log_dir: &Path, name: &str) -> Self {
        Self { file: CheckpointFile::new(fs, log_dir.join(name)) }
    }

    /// Replaces all offsets.
    pub fn write(&self, offsets: &BTreeMap<TopicPartition, i64>) -> io::Result<()> {
        let lines: Vec<Line> = offsets
            .iter()
            .map(|(partition, offset)| Line { partition: partition.clone(), offset: *offset })
            .collect();
        self.file.write(&lines)
    }

    /// All offsets; none if the file is missing.
    pub fn read(&self) -> io::Result<BTreeMap<TopicPartition, i64>> {
        let lines = self.file.read::<Line>()?;
        Ok(lines.into_iter().map(|line| (line.partition, line.offset)).collect())
    }
}

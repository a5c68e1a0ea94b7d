/// What the share coordinator takes from the broker's configuration; the defaults are Kafka's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShareCoordinatorConfig {
    /// `share.coordinator.snapshot.update.records.per.snapshot`: updates between two snapshots.
    pub snapshot_update_records_per_snapshot: i32,
    /// `share.coordinator.cold.partition.snapshot.interval.ms`: how old a snapshot may become.
    pub cold_partition_snapshot_interval_ms: i32,
    /// `share.coordinator.state.topic.prune.interval.ms`: how often redundant records are deleted.
    pub state_topic_prune_interval_ms: i32,
    /// `share.coordinator.write.timeout.ms`: patience with the commit of an append.
    pub write_timeout_ms: i32,
}

impl Default for ShareCoordinatorConfig {
    fn default() -> Self {
        Self {
            snapshot_update_records_per_snapshot: 500,
            cold_partition_snapshot_interval_ms: 5 * 60 * 1000,
            state_topic_prune_interval_ms: 5 * 60 * 1000,
            write_timeout_ms: 5_000,
        }
    }
}

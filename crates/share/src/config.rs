/// Default of `group.share.partition.max.record.locks`.
pub const DEFAULT_PARTITION_MAX_RECORD_LOCKS: i32 = 2_000;
/// Default of `group.share.delivery.count.limit`.
pub const DEFAULT_DELIVERY_COUNT_LIMIT: i32 = 5;
/// Default of `group.share.record.lock.duration.ms`.
pub const DEFAULT_RECORD_LOCK_DURATION_MS: i32 = 30_000;

/// Where a share group begins with a partition it never read (`share.auto.offset.reset`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ShareAutoOffsetReset {
    /// With what comes.
    #[default]
    Latest,
    /// With what there is.
    Earliest,
    /// With what is at most so old.
    ByDuration {
        /// The age.
        duration_ms: i64,
    },
}

/// What a share-partition needs of the configurations of its group and of the broker: the group's value,
/// or the broker's where the group has none. The defaults are Kafka's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SharePartitionConfig {
    /// `share.partition.max.record.locks`: the most records in flight.
    pub partition_max_record_locks: i32,
    /// `share.delivery.count.limit`: how often a record is handed out before it is given up on.
    pub delivery_count_limit: i32,
    /// `share.record.lock.duration.ms`: how long a member may keep a record.
    pub record_lock_duration_ms: i32,
    /// `share.renew.acknowledge.enable`: whether a member may ask for more time (KIP-1222).
    pub renew_acknowledge_enable: bool,
    /// `share.auto.offset.reset`.
    pub auto_offset_reset: ShareAutoOffsetReset,
    /// Whether records that are given up on go to a dead-letter queue: `share.version` is at least 2 and
    /// the group has an `errors.deadletterqueue.topic.name` (KIP-1191).
    pub dead_letter_queue: bool,
}

impl Default for SharePartitionConfig {
    fn default() -> Self {
        Self {
            partition_max_record_locks: DEFAULT_PARTITION_MAX_RECORD_LOCKS,
            delivery_count_limit: DEFAULT_DELIVERY_COUNT_LIMIT,
            record_lock_duration_ms: DEFAULT_RECORD_LOCK_DURATION_MS,
            renew_acknowledge_enable: true,
            auto_offset_reset: ShareAutoOffsetReset::Latest,
            dead_letter_queue: false,
        }
    }
}

//! Settings of the coordinators of share groups' state and of transactions.

use ottla_coordinator::runtime::AppendLinger;
use ottla_coordinator::share_state::ShareCoordinatorConfig;
use ottla_coordinator::transaction::TransactionConfig;
use ottla_record::{Compression, CompressionType};
use ottla_replica::transaction_verification::AddPartitionsToTxnConfig;

use crate::config::KafkaConfig;

/// Settings of the share coordinator.
pub(crate) fn share_coordinator(config: &KafkaConfig) -> ShareCoordinatorConfig {
    let number = |key: &str| config.values().typed::<i32>(key);
    ShareCoordinatorConfig {
        snapshot_update_records_per_snapshot: number(
            "share.coordinator.snapshot.update.records.per.snapshot",
        ),
        cold_partition_snapshot_interval_ms: number("share.coordinator.cold.partition.snapshot.interval.ms"),
        state_topic_prune_interval_ms: number("share.coordinator.state.topic.prune.interval.ms"),
        write_timeout_ms: number("share.coordinator.write.timeout.ms"),
    }
}

/// `share.coordinator.append.linger.ms`.
pub(crate) fn share_append_linger(config: &KafkaConfig) -> AppendLinger {
    let linger_ms = config.values().typed::<i32>("share.coordinator.append.linger.ms");
    AppendLinger::from_config(linger_ms)
}

/// `share.coordinator.state.topic.compression.codec`, by Kafka's number of the codec.
pub(crate) fn share_state_compression(config: &KafkaConfig) -> Compression {
    let number = config.values().typed::<i32>("share.coordinator.state.topic.compression.codec");
    let codec = i16::try_from(number).ok().and_then(CompressionType::from_id);
    Compression::from(codec.unwrap_or(CompressionType::None))
}

/// Settings of the transaction coordinator.
pub(crate) fn transactions(config: &KafkaConfig) -> TransactionConfig {
    let millis = |key: &str| i64::from(config.values().typed::<i32>(key));
    TransactionConfig {
        transactional_id_expiration_ms: millis("transactional.id.expiration.ms"),
        transaction_max_timeout_ms: config.settings.producer_state.transaction_max_timeout_ms,
        abort_timed_out_transactions_interval_ms: millis(
            "transaction.abort.timed.out.transaction.cleanup.interval.ms",
        ),
        remove_expired_transactional_ids_interval_ms: millis(
            "transaction.remove.expired.transaction.cleanup.interval.ms",
        ),
        two_phase_commit_enable: config.values().typed("transaction.two.phase.commit.enable"),
        request_timeout_ms: config.settings.server.request_timeout_ms,
    }
}

/// When the leader of a partition asks a transaction's coordinator again.
pub(crate) fn transaction_verification(config: &KafkaConfig) -> AddPartitionsToTxnConfig {
    let millis = |key: &str| i64::from(config.values().typed::<i32>(key));
    AddPartitionsToTxnConfig {
        retry_backoff_ms: millis("add.partitions.to.txn.retry.backoff.ms"),
        retry_backoff_max_ms: millis("add.partitions.to.txn.retry.backoff.max.ms"),
        request_timeout_ms: i64::from(config.settings.server.request_timeout_ms),
    }
}

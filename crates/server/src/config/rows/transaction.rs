//! Transactions, producer ids and `__transaction_state`.

use ottla_common::config::rows::*;

/// The rows of this subject.
#[rustfmt::skip]
pub(crate) static ROWS: &[ConfigKey] = &[
    key("transaction.state.log.min.isr", Int, Some("2"), AtLeast(1.0), High, ReadOnly, "In-sync replicas that a write to `__transaction_state` needs."),
    key("transaction.state.log.load.buffer.size", Int, Some("5242880"), AtLeast(1.0), High, ReadOnly, "Bytes read at once when transaction state is loaded."),
    key("transaction.state.log.replication.factor", Short, Some("3"), AtLeast(1.0), High, ReadOnly, "Replicas of `__transaction_state`."),
    key("transaction.state.log.num.partitions", Int, Some("50"), AtLeast(1.0), High, ReadOnly, "Partitions of `__transaction_state`; never change it later."),
    key("transaction.state.log.segment.bytes", Int, Some("104857600"), AtLeast(1.0), High, ReadOnly, "Segment size of `__transaction_state`."),
    key("transaction.partition.verification.enable", Boolean, Some("true"), Any, Low, ClusterWide, "Whether a partition checks with the coordinator that it belongs to a transaction."),
    key("producer.id.expiration.ms", Int, Some("86400000"), AtLeast(1.0), Low, ClusterWide, "How long a partition remembers a producer that writes no more."),
    key("producer.id.expiration.check.interval.ms", Int, Some("600000"), AtLeast(1.0), Low, ReadOnly, "How often such producers are looked for.").internal(),
    key("transactional.id.expiration.ms", Int, Some("604800000"), AtLeast(1.0), High, ReadOnly, "How long an unused transactional id is remembered."),
    key("transaction.max.timeout.ms", Int, Some("900000"), AtLeast(1.0), High, ReadOnly, "Longest timeout a transaction may ask for."),
    key("transaction.abort.timed.out.transaction.cleanup.interval.ms", Int, Some("10000"), AtLeast(1.0), Low, ReadOnly, "How often overdue transactions are looked for."),
    key("transaction.remove.expired.transaction.cleanup.interval.ms", Int, Some("3600000"), AtLeast(1.0), Low, ReadOnly, "How often expired transactional ids are looked for."),
    key("transaction.two.phase.commit.enable", Boolean, Some("false"), Any, Low, ReadOnly, "Whether transactions may be prepared and finished later (KIP-939)."),
    key("add.partitions.to.txn.retry.backoff.max.ms", Int, Some("100"), AtLeast(0.0), High, ReadOnly, "Longest pause before a partition is again added to a transaction."),
    key("add.partitions.to.txn.retry.backoff.ms", Int, Some("20"), AtLeast(1.0), High, ReadOnly, "Pause before a partition is again added to a transaction."),
];

/// What the transaction coordinator takes from the broker's configuration; the defaults are Kafka's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransactionConfig {
    /// `transactional.id.expiration.ms`
    pub transactional_id_expiration_ms: i64,
    /// `transaction.max.timeout.ms`
    pub transaction_max_timeout_ms: i32,
    /// `transaction.abort.timed.out.transaction.cleanup.interval.ms`
    pub abort_timed_out_transactions_interval_ms: i64,
    /// `transaction.remove.expired.transaction.cleanup.interval.ms`
    pub remove_expired_transactional_ids_interval_ms: i64,
    /// `transaction.two.phase.commit.enable` (KIP-939)
    pub two_phase_commit_enable: bool,
    /// `request.timeout.ms`: patience with the commit of an append.
    pub request_timeout_ms: i32,
}

impl Default for TransactionConfig {
    fn default() -> Self {
        Self {
            transactional_id_expiration_ms: 7 * 24 * 60 * 60 * 1000,
            transaction_max_timeout_ms: 15 * 60 * 1000,
            abort_timed_out_transactions_interval_ms: 10_000,
            remove_expired_transactional_ids_interval_ms: 60 * 60 * 1000,
            two_phase_commit_enable: false,
            request_timeout_ms: 30_000,
        }
    }
}

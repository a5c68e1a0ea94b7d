//! Before the first records of a transaction are appended, its coordinator is asked about their partitions
//! (KIP-890): who asks, and what comes of it. What is asked, and how answers are read, says
//! [`transaction_verification`](crate::transaction_verification).

use std::collections::BTreeMap;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use ottla_common::{ErrorCode, TopicPartition};
use ottla_storage::VerificationGuard;
use tokio::time::{Instant, sleep};

use crate::ReplicaManager;
use crate::transaction_verification::{
    AddPartitionsToTxnConfig, TransactionSupportedOperation, TransactionToVerify,
};

/// A future that a trait object can answer.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Asks transactions' coordinators, wherever they are.
pub trait TransactionVerifier: fmt::Debug + Send + Sync {
    /// Whether the partitions belong to the transaction; for clients that leave it to the leader, makes them
    /// belong to it. Answers those that nothing may be appended to, and why: all others do belong to it.
    ///
    /// Whoever asks may go away before there is an answer.
    fn add_or_verify_transaction(
        &self,
        transaction: TransactionToVerify,
    ) -> BoxFuture<'_, BTreeMap<TopicPartition, ErrorCode>>;
}

/// Records of a transaction that are about to be appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransactionalWrite {
    /// The transactional id.
    pub transactional_id: String,
    /// The producer of the records.
    pub producer_id: i64,
    /// Its epoch.
    pub producer_epoch: i16,
    /// What the client can do.
    pub operation: TransactionSupportedOperation,
    /// Where the records go, and the sequence of the first one there.
    pub partitions: Vec<(TopicPartition, i32)>,
}

/// What is known of the partitions of a write after its verification. By default that nobody was asked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VerifiedPartitions {
    guards: BTreeMap<TopicPartition, VerificationGuard>,
    errors: BTreeMap<TopicPartition, ErrorCode>,
}

impl VerifiedPartitions {
    /// The proof to append with, or why nothing may be appended.
    pub fn guard(&self, partition: &TopicPartition) -> Result<VerificationGuard, ErrorCode> {
        match self.errors.get(partition) {
            Some(error) => Err(*error),
            None => Ok(self.guards.get(partition).copied().unwrap_or(VerificationGuard::SENTINEL)),
        }
    }
}

/// Who asks, and how patiently.
#[derive(Debug)]
pub(crate) struct Verification {
    verifier: Arc<dyn TransactionVerifier>,
    config: AddPartitionsToTxnConfig,
}

impl ReplicaManager {
    /// From now on coordinators are asked. Once, when the broker starts; until then records of transactions
    /// are not verified, and so refused where proof is needed.
    pub fn set_transaction_verifier(
        &self,
        verifier: Arc<dyn TransactionVerifier>,
        config: AddPartitionsToTxnConfig,
    ) {
        let first = self.verification.set(Verification { verifier, config }).is_ok();
        assert!(first, "TXN-ONE-VERIFIER: a broker has one way to ask coordinators");
    }

    /// Asks about each partition where the transaction is not open yet. With a client that leaves it to the
    /// leader to add partitions, asks again while the transaction before is being completed.
    pub async fn verify_transactional_produce(&self, write: &TransactionalWrite) -> VerifiedPartitions {
        let Some(verification) = self.verification.get() else { return VerifiedPartitions::default() };
        let begin = Instant::now();
        loop {
            let verified = self.verify(verification.verifier.as_ref(), write).await;
            let elapsed_ms = i64::try_from(begin.elapsed().as_millis()).unwrap_or(i64::MAX);
            let again = verification.config.retry_after_ms(write.operation, elapsed_ms, &verified.errors);
            let Some(backoff_ms) = again else { return verified };
            sleep(Duration::from_millis(u64::try_from(backoff_ms).unwrap_or(0))).await;
        }
    }

    /// As [`Self::verify_transactional_produce`], but asks once: for a coordinator's own partition, whose
    /// client asks again.
    pub async fn verify_transaction(&self, write: &TransactionalWrite) -> VerifiedPartitions {
        match self.verification.get() {
            Some(verification) => self.verify(verification.verifier.as_ref(), write).await,
            None => VerifiedPartitions::default(),
        }
    }

    async fn verify(
        &self,
        verifier: &dyn TransactionVerifier,
        write: &TransactionalWrite,
    ) -> VerifiedPartitions {
        let mut verified = self.start_verification(write);
        if verified.guards.is_empty() {
            return verified;
        }
        let question = TransactionToVerify {
            transactional_id: write.transactional_id.clone(),
            producer_id: write.producer_id,
            producer_epoch: write.producer_epoch,
            partitions: verified.guards.keys().cloned().collect(),
            operation: write.operation,
        };
        let refused = verifier.add_or_verify_transaction(question).await;
        verified.errors.extend(refused);
        verified
    }

    /// The partitions that must be asked about have a guard afterwards. It is theirs before the question goes
    /// out: a marker that comes while it is under way takes the guard back, and the answer is worth nothing.
    fn start_verification(&self, write: &TransactionalWrite) -> VerifiedPartitions {
        let bumps_epoch = write.operation.supports_epoch_bump();
        let mut verified = VerifiedPartitions::default();
        for (tp, sequence) in &write.partitions {
            let started = self.partition(tp).and_then(|partition| {
                let (id, epoch) = (write.producer_id, write.producer_epoch);
                partition.maybe_start_transaction_verification(id, *sequence, epoch, bumps_epoch)
            });
            match started {
                Ok(VerificationGuard::SENTINEL) => {}
                Ok(guard) => _ = verified.guards.insert(tp.clone(), guard),
                Err(error) => _ = verified.errors.insert(tp.clone(), error),
            }
        }
        verified
    }
}

#[cfg(test)]
#[path = "transaction_verifier_test.rs"]
mod tests;

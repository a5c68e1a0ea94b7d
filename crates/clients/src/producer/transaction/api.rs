//! Transactions as applications see them.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use ottla_common::TopicPartition;
use tokio::time::timeout;

use super::Transactions;
use super::step::Operation;
use crate::ClientError;
use crate::admin::OffsetAndMetadata;
use crate::consumer::ConsumerGroupMetadata;
use crate::producer::{Flushing, KafkaProducer};

/// A call that outlives `max.block.ms` fails with [`ClientError::Timeout`] and goes on behind the
/// scenes; the same call, repeated, waits for it again. When an error
/// [is abortable](ClientError::is_abortable), `abort_transaction` lets the producer go on; after
/// any other [`ClientError::Transaction`] it is of no use any more.
impl KafkaProducer {
    /// Takes the place of every earlier producer of this `transactional.id`: what they left open is
    /// completed, what they try from now on is refused. To be called once, before anything else.
    pub async fn init_transactions(&self) -> Result<(), ClientError> {
        let transactions = self.transactions()?;
        transactions.lock().begin_init()?;
        self.finish_operation(transactions, Operation::Init).await
    }

    /// Begins a transaction. What is sent until it ends is part of it.
    pub fn begin_transaction(&self) -> Result<(), ClientError> {
        self.transactions()?.lock().begin_transaction()
    }

    /// Commits offsets of a consumer with the transaction: together with its records, or not at
    /// all. `group` is what the consumer's `group_metadata` says.
    pub async fn send_offsets_to_transaction(
        &self,
        offsets: &BTreeMap<TopicPartition, OffsetAndMetadata>,
        group: &ConsumerGroupMetadata,
    ) -> Result<(), ClientError> {
        let transactions = self.transactions()?;
        if group.generation_id > 0 && group.member_id.is_empty() {
            let message = "group metadata with a generation needs the member it belongs to";
            return Err(ClientError::IllegalState(message.into()));
        }
        if offsets.is_empty() {
            return Ok(());
        }
        let ticket = transactions.lock().send_offsets(offsets.clone(), group.clone())?;
        transactions.wakeup.notify_one();
        let outcome = settled(transactions, |t| t.lock().offsets_outcome(ticket));
        self.within_max_block("send_offsets_to_transaction", outcome).await
    }

    /// Ends the transaction for good, once all its records are delivered.
    pub async fn commit_transaction(&self) -> Result<(), ClientError> {
        let transactions = self.transactions()?;
        transactions.lock().begin_commit()?;
        self.finish_operation(transactions, Operation::Commit).await
    }

    /// Takes the transaction back: no reader of committed records will see any of it.
    pub async fn abort_transaction(&self) -> Result<(), ClientError> {
        let transactions = self.transactions()?;
        transactions.lock().begin_abort()?;
        self.finish_operation(transactions, Operation::Abort).await
    }

    /// Aborts what is open, as a producer does that is closed.
    pub(in crate::producer) async fn abort_open_transaction(&self, patience: Duration) {
        let open = self.sender.transactions.as_ref().is_some_and(|t| t.lock().is_in_transaction());
        if !open {
            return;
        }
        match timeout(patience, self.abort_transaction()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!("Closing the producer without having aborted: {error}"),
            Err(_) => tracing::warn!("Closing the producer without having aborted within {patience:?}"),
        }
    }

    async fn finish_operation(
        &self,
        transactions: &Arc<Transactions>,
        operation: Operation,
    ) -> Result<(), ClientError> {
        // The end of a transaction waits for its records, so they wait for nothing.
        let _flushing = Flushing::begin(&self.sender);
        transactions.wakeup.notify_one();
        self.sender.wakeup.notify_one();
        let outcome = settled(transactions, move |t| t.lock().outcome(operation));
        self.within_max_block(operation.name(), outcome).await
    }

    async fn within_max_block(
        &self,
        what: &str,
        outcome: impl Future<Output = Result<(), ClientError>>,
    ) -> Result<(), ClientError> {
        let patience = self.sender.settings.max_block;
        timeout(patience, outcome).await.unwrap_or_else(|_| {
            let cause = "see max.block.ms; call it again to go on waiting".to_owned();
            Err(ClientError::Timeout { what: what.to_owned(), waited: patience, cause })
        })
    }

    fn transactions(&self) -> Result<&Arc<Transactions>, ClientError> {
        self.sender.transactions.as_ref().ok_or_else(|| {
            let message = "the producer is not transactional; set transactional.id";
            ClientError::IllegalState(message.into())
        })
    }
}

/// Waits for an outcome.
async fn settled(
    transactions: &Transactions,
    outcome: impl Fn(&Transactions) -> Option<Result<(), ClientError>>,
) -> Result<(), ClientError> {
    loop {
        let progress = transactions.progress.notified();
        tokio::pin!(progress);
        progress.as_mut().enable();
        if let Some(outcome) = outcome(transactions) {
            return outcome;
        }
        progress.await;
    }
}

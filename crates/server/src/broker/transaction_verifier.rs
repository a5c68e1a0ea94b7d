//! Asks the coordinators of transactions about partitions, on behalf of this broker's partitions (KIP-890).
//!
//! [`AddPartitionsToTxnManager`] knows who asks what, and what may be asked now. Here are its hands: the channel to
//! the coordinators, and the ways back to those who asked.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ottla_common::internal_topics::TRANSACTION_STATE_TOPIC;
use ottla_common::{ErrorCode, TopicPartition};
use ottla_protocol::messages::{AddPartitionsToTxnRequest, AddPartitionsToTxnResponse};
use ottla_replica::transaction_verification::{
    AddPartitionsToTxnManager, TransactionToVerify, VerificationResponse, Verified,
};
use ottla_replica::{BoxFuture, TransactionVerifier};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::inter_broker::{ChannelError, InterBrokerChannel};

/// The first version by which brokers ask.
const OLDEST_ADD_PARTITIONS_TO_TXN: i16 = 4;

/// How transactions' coordinators are found and asked.
pub trait CoordinatorChannel: fmt::Debug + Send + Sync {
    /// The node that coordinates a transactional id, if it is known and alive.
    fn coordinator(&self, transactional_id: &str) -> Option<i32>;

    /// Asks a node.
    fn add_partitions_to_txn(
        &self,
        node_id: i32,
        request: AddPartitionsToTxnRequest,
    ) -> BoxFuture<'_, Result<AddPartitionsToTxnResponse, ChannelError>>;
}

impl CoordinatorChannel for InterBrokerChannel {
    fn coordinator(&self, transactional_id: &str) -> Option<i32> {
        self.coordinator_of(TRANSACTION_STATE_TOPIC, transactional_id)
    }

    fn add_partitions_to_txn(
        &self,
        node_id: i32,
        request: AddPartitionsToTxnRequest,
    ) -> BoxFuture<'_, Result<AddPartitionsToTxnResponse, ChannelError>> {
        Box::pin(async move { self.send(node_id, OLDEST_ADD_PARTITIONS_TO_TXN, &request).await })
    }
}

/// What is not to be appended to, and why.
type Errors = BTreeMap<TopicPartition, ErrorCode>;
type Manager = AddPartitionsToTxnManager<oneshot::Sender<Errors>>;

/// The questions of this broker.
#[derive(Debug)]
pub struct CoordinatorVerifier {
    questions: Arc<Questions>,
    runtime: Handle,
}

#[derive(Debug)]
struct Questions {
    channel: Arc<dyn CoordinatorChannel>,
    manager: Mutex<Manager>,
}

impl CoordinatorVerifier {
    /// Asks through this channel, by tasks on `runtime`.
    pub fn new(channel: Arc<dyn CoordinatorChannel>, runtime: Handle) -> Self {
        Self { questions: Arc::new(Questions { channel, manager: Mutex::default() }), runtime }
    }
}

impl TransactionVerifier for CoordinatorVerifier {
    fn add_or_verify_transaction(&self, transaction: TransactionToVerify) -> BoxFuture<'_, Errors> {
        Box::pin(async move {
            let partitions = transaction.partitions.clone();
            let (asker, answer) = oneshot::channel();
            self.questions.ask(transaction, asker);
            self.questions.send(&self.runtime);
            // Only a task that was torn down leaves a question open: nothing is confirmed then.
            answer.await.unwrap_or_else(|_| {
                partitions.into_iter().map(|partition| (partition, ErrorCode::NetworkException)).collect()
            })
        })
    }
}

impl Questions {
    fn ask(&self, transaction: TransactionToVerify, asker: oneshot::Sender<Errors>) {
        let coordinator = self.channel.coordinator(&transaction.transactional_id);
        let told = self.manager().add_or_verify_transaction(coordinator, transaction, asker);
        tell(told);
    }

    /// Sends what may be sent. An answer lets the next questions to that node go out.
    ///
    /// Each request is a task of its own: whoever asked may go away, and the answer is for others, too.
    fn send(self: &Arc<Self>, runtime: &Handle) {
        let requests = self.manager().next_requests();
        for (node_id, request) in requests {
            let (this, handle) = (Arc::clone(self), runtime.clone());
            runtime.spawn(async move {
                let answer = this.channel.add_partitions_to_txn(node_id, request).await;
                this.on_answer(node_id, &answer);
                this.send(&handle);
            });
        }
    }

    fn on_answer(&self, node_id: i32, answer: &Result<AddPartitionsToTxnResponse, ChannelError>) {
        let response = match answer {
            Ok(response) => VerificationResponse::Answered(response),
            Err(ChannelError::UnsupportedVersion) => VerificationResponse::UnsupportedVersion,
            Err(ChannelError::AuthenticationFailed(error)) => {
                VerificationResponse::AuthenticationFailed(*error)
            }
            Err(ChannelError::Disconnected) => VerificationResponse::Disconnected,
        };
        let told = self.manager().on_response(node_id, &response);
        tell(told);
    }

    fn manager(&self) -> MutexGuard<'_, Manager> {
        self.manager.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whoever asked may have gone away meanwhile.
fn tell(verified: impl IntoIterator<Item = Verified<oneshot::Sender<Errors>>>) {
    for Verified { asker, errors } in verified {
        let _ = asker.send(errors);
    }
}

#[cfg(test)]
#[path = "transaction_verifier_test.rs"]
mod tests;

//! Asks the coordinators what the transaction manager wants to know, one request at a time.

use std::sync::Arc;

use bytestring::ByteString;
use ottla_common::ErrorCode;

use super::Transactions;
use super::answers::{Answer, Reaction};
use super::requests::{exchange, features};
use super::step::Step;
use crate::producer::sender::Sender;
use crate::{BrokerConnection, ClientError, CoordinatorType};

/// Who coordinates, as far as it is known.
#[derive(Debug, Default)]
struct Coordinators {
    transaction: Option<i32>,
    group: Option<(ByteString, i32)>,
}

impl Coordinators {
    /// The coordinator of a step is asked for again.
    fn forget(&mut self, step: &Step) {
        match step {
            Step::CommitOffsets { .. } => self.group = None,
            _ => self.transaction = None,
        }
    }
}

impl Sender {
    /// Drives transactions until it is aborted.
    pub(crate) async fn drive_transactions(self: Arc<Self>, transactions: Arc<Transactions>) {
        let mut coordinators = Coordinators::default();
        let mut setbacks = 0;
        loop {
            let Some(step) = self.next_transactional_step(&transactions) else {
                setbacks = 0;
                transactions.wakeup.notified().await;
                continue;
            };
            let reaction = match self.ask(&transactions, &mut coordinators, &step).await {
                Ok(answer) => self.take_in_answer(&transactions, &step, answer),
                Err(error) => self.take_in_failure(&transactions, &step, error),
            };
            transactions.progress.notify_waiters();
            self.wakeup.notify_one();
            let pause = match reaction {
                Reaction::GoOn => {
                    setbacks = 0;
                    continue;
                }
                Reaction::RetryAfter(pause) => pause.min(self.client.settings().backoff(setbacks)),
                Reaction::Retry => self.client.settings().backoff(setbacks),
                Reaction::FindCoordinator => {
                    coordinators.forget(&step);
                    self.client.settings().backoff(setbacks)
                }
            };
            setbacks += 1;
            tokio::time::sleep(pause).await;
        }
    }

    /// What is due. Records are counted and the state is read in one go: none can come between.
    fn next_transactional_step(&self, transactions: &Transactions) -> Option<Step> {
        let accumulator = self.lock();
        let step = transactions.lock().next_step(accumulator.incomplete == 0);
        if step.is_none() {
            // A transaction nobody knew of ends without a request.
            transactions.progress.notify_waiters();
        }
        step
    }

    async fn ask(
        &self,
        transactions: &Transactions,
        coordinators: &mut Coordinators,
        step: &Step,
    ) -> Result<Answer, ClientError> {
        let connection = self.coordinator(transactions, coordinators, step).await?;
        transactions.lock().observe(features(&connection));
        tracing::debug!("Transaction {}: {step:?}", transactions.id);
        exchange(&connection, transactions, step).await
    }

    async fn coordinator(
        &self,
        transactions: &Transactions,
        coordinators: &mut Coordinators,
        step: &Step,
    ) -> Result<Arc<BrokerConnection>, ClientError> {
        let node = match step {
            Step::CommitOffsets { group, .. } => {
                let known = coordinators.group.as_ref().filter(|(id, _)| *id == group.group_id);
                match known.map(|(_, node)| *node) {
                    Some(node) => node,
                    None => {
                        let kind = CoordinatorType::Group;
                        let node = self.client.find_coordinator(kind, &group.group_id).await?;
                        coordinators.group = Some((group.group_id.clone(), node));
                        node
                    }
                }
            }
            _ => match coordinators.transaction {
                Some(node) => node,
                None => {
                    let kind = CoordinatorType::Transaction;
                    let node = self.client.find_coordinator(kind, &transactions.id).await?;
                    coordinators.transaction = Some(node);
                    node
                }
            },
        };
        self.client.node(node).await
    }

    fn take_in_answer(&self, transactions: &Transactions, step: &Step, answer: Answer) -> Reaction {
        let mut accumulator = self.lock();
        let mut manager = transactions.lock();
        let reaction = manager.on_answer(step, answer);
        // A new identity begins new sequences. It is given only while no record is under way.
        if let Some(producer) = manager.producer()
            && accumulator.producer != Some(producer)
        {
            accumulator.reset(producer);
        }
        reaction
    }

    fn take_in_failure(&self, transactions: &Transactions, step: &Step, error: ClientError) -> Reaction {
        tracing::debug!("Transaction {}: {:?} failed: {error}", transactions.id, step.kind());
        if error.is_retriable() || error.code() == Some(ErrorCode::BrokerNotAvailable) {
            return Reaction::FindCoordinator;
        }
        transactions.lock().on_failure(step, error);
        Reaction::GoOn
    }
}

//! The state of a transactional producer: what it may do, and what its coordinator is asked next.
//!
//! No IO and no clock. Calls and answers change the state; the [`Step`] that is due follows from the
//! state alone, so that a request that has to be repeated is simply still due.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use ottla_common::TopicPartition;

use super::severity::is_fatal_for_producer;
use super::step::{Features, Operation, State, Step, Verdict};
use crate::ClientError;
use crate::admin::OffsetAndMetadata;
use crate::consumer::ConsumerGroupMetadata;
use crate::producer::accumulator::Producer;

#[derive(Debug)]
struct Pending {
    operation: Operation,
    /// `None` while it goes on. Kept until its caller, or the caller's repetition, has seen it.
    outcome: Option<Result<(), ClientError>>,
}

/// Offsets on their way into the transaction.
#[derive(Debug)]
pub(super) struct OffsetCommit {
    pub(super) ticket: u64,
    pub(super) group: ConsumerGroupMetadata,
    /// Those the group's coordinator has not taken yet.
    pub(super) remaining: BTreeMap<TopicPartition, OffsetAndMetadata>,
    /// Whether the transaction knows of the group.
    pub(super) added: bool,
}

/// The state machine of a transactional producer (KIP-98, KIP-360, KIP-890).
#[derive(Debug)]
pub(crate) struct TransactionManager {
    pub(super) state: State,
    /// Why the state is one of the errors.
    error: Option<ClientError>,
    pub(super) producer: Option<Producer>,
    /// What this transaction goes by, and what the next one will.
    features: Features,
    offered: Features,
    /// Whether a coordinator may know of this transaction.
    pub(super) started: bool,
    /// Whether a higher epoch is needed before the next transaction.
    pub(super) bump_required: bool,
    /// Partitions nobody has asked to add yet.
    new_partitions: BTreeSet<TopicPartition>,
    /// Partitions being added.
    pub(super) adding: BTreeSet<TopicPartition>,
    /// Partitions of the transaction.
    pub(super) partitions: BTreeSet<TopicPartition>,
    pub(super) offsets: VecDeque<OffsetCommit>,
    pub(super) offset_outcomes: BTreeMap<u64, Result<(), ClientError>>,
    next_ticket: u64,
    pending: Option<Pending>,
}

impl TransactionManager {
    pub(crate) fn new() -> Self {
        Self {
            state: State::Uninitialized,
            error: None,
            producer: None,
            features: Features::UNKNOWN,
            offered: Features::UNKNOWN,
            started: false,
            bump_required: false,
            new_partitions: BTreeSet::new(),
            adding: BTreeSet::new(),
            partitions: BTreeSet::new(),
            offsets: VecDeque::new(),
            offset_outcomes: BTreeMap::new(),
            next_ticket: 0,
            pending: None,
        }
    }

    /// What is to be asked next, if anything. A transaction ends only when its records are
    /// `flushed`: all of them answered.
    pub(crate) fn next_step(&mut self, flushed: bool) -> Option<Step> {
        let producer = match (self.state, self.producer) {
            (State::Initializing, bump) => return Some(Step::InitProducerId { bump }),
            (State::InTransaction | State::Committing | State::Aborting, Some(producer)) => producer,
            _ => return None,
        };
        self.adding.append(&mut self.new_partitions);
        if !self.adding.is_empty() {
            let partitions = self.adding.iter().cloned().collect();
            return Some(Step::AddPartitions { producer, partitions });
        }
        if let Some(commit) = self.offsets.front() {
            return Some(commit.step(producer, self.is_v2()));
        }
        if self.state == State::InTransaction || !flushed {
            return None;
        }
        if !self.started {
            // The coordinator knows of no transaction, so there is none to end.
            self.finish_transaction();
            return self.next_step(flushed);
        }
        let committed = self.state == State::Committing;
        Some(Step::End { producer, committed, v2: self.is_v2() })
    }

    /// The application wants an id.
    pub(crate) fn begin_init(&mut self) -> Result<(), ClientError> {
        if self.joins(Operation::Init)? {
            return Ok(());
        }
        self.check_error()?;
        self.require(State::Uninitialized, Operation::Init.name())?;
        self.begin(Operation::Init, State::Initializing);
        Ok(())
    }

    /// The application begins a transaction.
    pub(crate) fn begin_transaction(&mut self) -> Result<(), ClientError> {
        self.check_pending("begin_transaction")?;
        self.check_error()?;
        self.require(State::Ready, "begin_transaction")?;
        self.state = State::InTransaction;
        Ok(())
    }

    /// The application wants to send something.
    pub(crate) fn check_send(&mut self) -> Result<(), ClientError> {
        self.check_error()?;
        self.check_pending("send")?;
        self.require(State::InTransaction, "send")
    }

    /// A record is going to this partition.
    pub(crate) fn add_partition(&mut self, tp: &TopicPartition) -> Result<(), ClientError> {
        self.check_send()?;
        if self.partitions.contains(tp) || self.adding.contains(tp) {
            return Ok(());
        }
        if self.is_v2() {
            // The partition's leader tells the coordinator (KIP-890).
            self.partitions.insert(tp.clone());
            self.started = true;
        } else {
            self.new_partitions.insert(tp.clone());
        }
        Ok(())
    }

    /// The application commits offsets within the transaction; the ticket leads to the outcome.
    pub(crate) fn send_offsets(
        &mut self,
        offsets: BTreeMap<TopicPartition, OffsetAndMetadata>,
        group: ConsumerGroupMetadata,
    ) -> Result<u64, ClientError> {
        self.check_pending("send_offsets_to_transaction")?;
        self.check_error()?;
        self.require(State::InTransaction, "send_offsets_to_transaction")?;
        let v2 = self.is_v2();
        self.started |= v2;
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.offsets.push_back(OffsetCommit { ticket, group, remaining: offsets, added: v2 });
        Ok(ticket)
    }

    /// The application ends the transaction for good.
    pub(crate) fn begin_commit(&mut self) -> Result<(), ClientError> {
        if self.joins(Operation::Commit)? {
            return Ok(());
        }
        self.check_error()?;
        self.require(State::InTransaction, Operation::Commit.name())?;
        self.begin(Operation::Commit, State::Committing);
        Ok(())
    }

    /// The application takes the transaction back.
    pub(crate) fn begin_abort(&mut self) -> Result<(), ClientError> {
        if self.joins(Operation::Abort)? {
            return Ok(());
        }
        if self.state != State::AbortableError {
            self.check_error()?;
            self.require(State::InTransaction, Operation::Abort.name())?;
        }
        self.error = None;
        self.new_partitions.clear();
        self.begin(Operation::Abort, State::Aborting);
        Ok(())
    }

    /// What became of a call, once it is over. It is told once.
    pub(crate) fn outcome(&mut self, operation: Operation) -> Option<Result<(), ClientError>> {
        let over = self.pending.take_if(|p| p.operation == operation && p.outcome.is_some());
        over.and_then(|pending| pending.outcome)
    }

    /// What became of offsets. It is told once.
    pub(crate) fn offsets_outcome(&mut self, ticket: u64) -> Option<Result<(), ClientError>> {
        if self.offsets.iter().any(|commit| commit.ticket == ticket) {
            return None;
        }
        Some(self.offset_outcomes.remove(&ticket).unwrap_or(Err(ClientError::TransactionAborted)))
    }

    /// Whether batches of a partition may be sent.
    pub(crate) fn may_send(&self, tp: &TopicPartition) -> bool {
        self.state != State::FatalError && self.partitions.contains(tp)
    }

    /// What is to become of batches that are not sent yet.
    pub(crate) fn verdict(&self) -> Verdict {
        match self.state {
            State::FatalError => Verdict::DropAll(self.current_error()),
            State::AbortableError => Verdict::DropUnsent(self.current_error()),
            State::Aborting => Verdict::DropUnsent(ClientError::TransactionAborted),
            _ => Verdict::Send,
        }
    }

    /// Who the brokers know us as.
    pub(crate) fn producer(&self) -> Option<Producer> {
        self.producer
    }

    /// Whether there is something to abort.
    pub(crate) fn is_in_transaction(&self) -> bool {
        matches!(self.state, State::InTransaction | State::AbortableError)
    }

    /// Whether partitions and groups add themselves to the transaction (KIP-890).
    pub(crate) fn is_v2(&self) -> bool {
        self.features.transaction_version >= 2
    }

    /// A broker said what the cluster finalized. It counts from the next transaction on.
    pub(crate) fn observe(&mut self, features: Features) {
        if features.epoch >= self.offered.epoch {
            self.offered = features;
        }
    }

    /// A record could not be delivered: what is committed now would not be all of it.
    pub(crate) fn on_batch_failed(&mut self, error: &ClientError) {
        if is_fatal_for_producer(error) || !self.can_bump() {
            return self.fail_fatally(error.clone());
        }
        // The sequence numbers have a gap. Since KIP-890, ending the transaction heals it.
        self.bump_required |= !self.is_v2();
        self.fail_abortably(error.clone());
    }

    /// Nothing but an abort helps.
    pub(super) fn fail_abortably(&mut self, cause: ClientError) {
        match self.state {
            State::InTransaction | State::Committing => {}
            // The first failure is the one to tell of, and an abort is on its way already.
            State::AbortableError | State::Aborting | State::FatalError => return,
            State::Uninitialized | State::Initializing | State::Ready => {
                return self.fail_fatally(cause);
            }
        }
        tracing::info!("The transaction has to be aborted: {cause}");
        self.fail(State::AbortableError, ClientError::Transaction { abortable: true, cause: cause.into() });
    }

    /// Nothing helps.
    pub(crate) fn fail_fatally(&mut self, cause: ClientError) {
        if self.state == State::FatalError {
            return;
        }
        tracing::info!("The transactional producer cannot go on: {cause}");
        self.fail(State::FatalError, ClientError::Transaction { abortable: false, cause: cause.into() });
    }

    /// Nothing has happened: the application may call `init_transactions` again.
    pub(super) fn refuse_init(&mut self, error: ClientError) {
        if self.producer.is_some() {
            return self.fail_fatally(error);
        }
        self.state = State::Uninitialized;
        self.settle(Err(error));
    }

    /// Whether an abortable error leaves a way on: a higher epoch fences what is still under way.
    pub(super) fn can_bump(&self) -> bool {
        self.features.bumps_epoch || self.is_v2()
    }

    /// The id was given: the next transaction goes by what the cluster finalized by now.
    pub(super) fn initialized(&mut self, producer: Producer) {
        self.producer = Some(producer);
        self.features = self.offered;
        self.state = State::Ready;
        self.settle(Ok(()));
    }

    /// The transaction is over; perhaps the epoch has to be raised before the call is.
    pub(super) fn finish_transaction(&mut self) {
        self.started = false;
        self.new_partitions.clear();
        self.adding.clear();
        self.partitions.clear();
        self.offset_outcomes.clear();
        let upgraded = !self.is_v2() && self.offered.transaction_version >= 2;
        if upgraded || self.bump_required {
            // A first transaction of the new kind must not be taken for a part of the old one.
            self.bump_required = false;
            self.state = State::Initializing;
        } else {
            self.features = self.offered;
            self.state = State::Ready;
            self.settle(Ok(()));
        }
    }

    fn fail(&mut self, state: State, error: ClientError) {
        self.state = state;
        self.new_partitions.clear();
        self.adding.clear();
        while let Some(commit) = self.offsets.pop_front() {
            self.offset_outcomes.insert(commit.ticket, Err(error.clone()));
        }
        self.settle(Err(error.clone()));
        self.error = Some(error);
    }

    fn begin(&mut self, operation: Operation, state: State) {
        self.state = state;
        self.pending = Some(Pending { operation, outcome: None });
    }

    fn settle(&mut self, outcome: Result<(), ClientError>) {
        if let Some(pending) = &mut self.pending {
            pending.outcome.get_or_insert(outcome);
        }
    }

    /// Whether a call repeats one that was left before it was over.
    fn joins(&mut self, operation: Operation) -> Result<bool, ClientError> {
        if self.pending.as_ref().is_some_and(|pending| pending.operation == operation) {
            return Ok(true);
        }
        self.check_pending(operation.name())?;
        Ok(false)
    }

    /// Fails while a call that was left has to be repeated.
    fn check_pending(&mut self, call: &str) -> Result<(), ClientError> {
        // What failed is told by the state.
        let _told = self.pending.take_if(|pending| matches!(pending.outcome, Some(Err(_))));
        match &self.pending {
            None => Ok(()),
            Some(pending) => {
                let earlier = pending.operation.name();
                let message =
                    format!("{call} cannot be called: {earlier} timed out and has to be called again");
                Err(ClientError::IllegalState(message))
            }
        }
    }

    fn check_error(&self) -> Result<(), ClientError> {
        match self.state {
            State::AbortableError | State::FatalError => Err(self.current_error()),
            _ => Ok(()),
        }
    }

    fn current_error(&self) -> ClientError {
        self.error.clone().unwrap_or(ClientError::TransactionAborted)
    }

    fn require(&self, wanted: State, call: &str) -> Result<(), ClientError> {
        if self.state == wanted {
            return Ok(());
        }
        let remedy = match self.state {
            State::Uninitialized => "call init_transactions first",
            State::Ready if wanted == State::InTransaction => "call begin_transaction first",
            State::InTransaction => "the transaction that is open has to be ended first",
            _ => "it does not fit what the producer is doing",
        };
        Err(ClientError::IllegalState(format!("{call} cannot be called: {remedy} ({:?})", self.state)))
    }
}

impl OffsetCommit {
    fn step(&self, producer: Producer, v2: bool) -> Step {
        let ticket = self.ticket;
        if !self.added {
            return Step::AddOffsets { producer, ticket, group_id: self.group.group_id.clone() };
        }
        let (group, offsets) = (self.group.clone(), self.remaining.clone());
        Step::CommitOffsets { producer, ticket, group, offsets, v2 }
    }
}

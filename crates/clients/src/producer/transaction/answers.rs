//! What coordinators answer, and what follows from it.

use std::time::Duration;

use ottla_common::{ErrorCode, TopicPartition};

use super::manager::{OffsetCommit, TransactionManager};
use super::severity::{Severity, StepKind, severity};
use super::step::{State, Step};
use crate::ClientError;
use crate::producer::accumulator::Producer;

/// The previous transaction is about to be completed; waiting longer would cost more than asking.
const FIRST_PARTITION_BACKOFF: Duration = Duration::from_millis(20);

/// What a coordinator said to a [`Step`].
#[derive(Debug)]
pub(crate) enum Answer {
    /// An id, where there is no error.
    Initialized(ErrorCode, Producer),
    /// Each partition's error.
    Partitions(Vec<(TopicPartition, ErrorCode)>),
    /// Whether the transaction knows the group.
    OffsetsAdded(ErrorCode),
    /// Each partition's error.
    OffsetsCommitted(Vec<(TopicPartition, ErrorCode)>),
    /// Whether the transaction is over; since KIP-890 with the identity for the next one.
    Ended(ErrorCode, Option<Producer>),
}

/// When to go on, and with whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reaction {
    /// With whatever is due now.
    GoOn,
    /// The step stays due, after the usual pause.
    Retry,
    /// The step stays due, after this pause.
    RetryAfter(Duration),
    /// The step stays due; its coordinator is somebody else now.
    FindCoordinator,
}

impl TransactionManager {
    /// Takes in what a coordinator said to a step.
    pub(crate) fn on_answer(&mut self, step: &Step, answer: Answer) -> Reaction {
        let kind = step.kind();
        match answer {
            Answer::Initialized(code, producer) => self.react(kind, code, |this| this.initialized(producer)),
            Answer::Partitions(results) => self.on_partitions_added(results),
            Answer::OffsetsAdded(code) => self.react(kind, code, |this| this.offsets_added(step)),
            Answer::OffsetsCommitted(results) => self.on_offsets_committed(step, results),
            Answer::Ended(code, next) => self.react(kind, code, |this| this.ended(next)),
        }
    }

    /// A step failed before it was answered, and not in a way that another try could mend.
    pub(crate) fn on_failure(&mut self, step: &Step, error: ClientError) {
        match error.code() {
            Some(ErrorCode::GroupAuthorizationFailed | ErrorCode::TransactionAbortable) => {
                self.fail_abortably(error);
            }
            Some(ErrorCode::TransactionalIdAuthorizationFailed)
                if step.kind() == StepKind::InitProducerId =>
            {
                self.refuse_init(error);
            }
            _ => self.fail_fatally(error),
        }
    }

    fn react(&mut self, kind: StepKind, code: ErrorCode, succeed: impl FnOnce(&mut Self)) -> Reaction {
        match severity(kind, code) {
            Severity::Fine => {
                succeed(self);
                Reaction::GoOn
            }
            severity => self.suffer(kind, severity, failure(kind, code)),
        }
    }

    fn suffer(&mut self, kind: StepKind, severity: Severity, error: ClientError) -> Reaction {
        match severity {
            Severity::Fine => {}
            Severity::Retry => return Reaction::Retry,
            Severity::FindCoordinator => return Reaction::FindCoordinator,
            Severity::Refused => self.refuse_init(error),
            Severity::AbortableWithBump if !self.can_bump() => self.fail_fatally(error),
            Severity::AbortableWithBump => {
                self.bump_required |= !self.is_v2();
                self.lose_transaction(kind, error);
            }
            Severity::Abortable => self.lose_transaction(kind, error),
            Severity::Fatal => self.fail_fatally(error),
        }
        Reaction::GoOn
    }

    /// An abort that fails has nothing to fall back on; what failed beside it does not matter.
    fn lose_transaction(&mut self, kind: StepKind, error: ClientError) {
        match (self.state, kind) {
            (State::Aborting, StepKind::Abort) => self.fail_fatally(error),
            (State::Aborting, _) => self.forget_requests(&error),
            _ => self.fail_abortably(error),
        }
    }

    /// While aborting, partitions and offsets that are refused are as good as taken back.
    fn forget_requests(&mut self, error: &ClientError) {
        self.adding.clear();
        while let Some(commit) = self.offsets.pop_front() {
            self.offset_outcomes.insert(commit.ticket, Err(error.clone()));
        }
    }

    fn on_partitions_added(&mut self, results: Vec<(TopicPartition, ErrorCode)>) -> Reaction {
        const KIND: StepKind = StepKind::AddPartitions;
        let mut lost = None;
        for (tp, code) in &results {
            match severity(KIND, *code) {
                Severity::Fine => {}
                Severity::Retry
                    if *code == ErrorCode::ConcurrentTransactions && self.partitions.is_empty() =>
                {
                    return Reaction::RetryAfter(FIRST_PARTITION_BACKOFF);
                }
                Severity::Abortable => lost = Some(lost_partition(lost, tp, *code)),
                severity => return self.suffer(KIND, severity, failure(KIND, *code)),
            }
        }
        if let Some((tp, code)) = lost {
            let error = ClientError::api(format!("adding {tp} to the transaction"), code, None);
            self.lose_transaction(KIND, error);
            return Reaction::GoOn;
        }
        // A partition the answer leaves out stays due.
        for (tp, _) in results {
            if self.adding.remove(&tp) {
                self.started = true;
                self.partitions.insert(tp);
            }
        }
        if self.adding.is_empty() { Reaction::GoOn } else { Reaction::Retry }
    }

    fn offsets_added(&mut self, step: &Step) {
        let Step::AddOffsets { ticket, .. } = step else { return };
        self.started = true;
        if let Some(commit) = self.offsets.front_mut().filter(|commit| commit.ticket == *ticket) {
            commit.added = true;
        }
    }

    fn on_offsets_committed(&mut self, step: &Step, results: Vec<(TopicPartition, ErrorCode)>) -> Reaction {
        const KIND: StepKind = StepKind::CommitOffsets;
        let Step::CommitOffsets { ticket, .. } = step else { return Reaction::GoOn };
        let mut reaction = Reaction::Retry;
        for (tp, code) in results {
            match severity(KIND, code) {
                Severity::Fine => {
                    if let Some(commit) = self.offset_commit(*ticket) {
                        commit.remaining.remove(&tp);
                    }
                }
                Severity::Retry => {}
                Severity::FindCoordinator => reaction = Reaction::FindCoordinator,
                severity => return self.suffer(KIND, severity, failure(KIND, code)),
            }
        }
        let done = self.offset_commit(*ticket).is_none_or(|commit| commit.remaining.is_empty());
        if !done {
            return reaction;
        }
        if self.offset_commit(*ticket).is_some() {
            self.offsets.pop_front();
            self.offset_outcomes.insert(*ticket, Ok(()));
        }
        Reaction::GoOn
    }

    /// The commit that is under way, unless it was given up meanwhile.
    fn offset_commit(&mut self, ticket: u64) -> Option<&mut OffsetCommit> {
        self.offsets.front_mut().filter(|commit| commit.ticket == ticket)
    }

    fn ended(&mut self, next: Option<Producer>) {
        if let Some(next) = next {
            // The coordinator raised the epoch itself; gaps are healed by that (KIP-890).
            self.producer = Some(next);
            self.bump_required = false;
        }
        self.finish_transaction();
    }
}

/// The telling error is the one that is not merely the echo of another.
fn lost_partition<'a>(
    lost: Option<(&'a TopicPartition, ErrorCode)>,
    tp: &'a TopicPartition,
    code: ErrorCode,
) -> (&'a TopicPartition, ErrorCode) {
    match lost {
        Some((earlier, reason)) if reason != ErrorCode::OperationNotAttempted => (earlier, reason),
        _ => (tp, code),
    }
}

/// Coordinators before KIP-588 say of a producer that was replaced that its epoch is invalid.
fn failure(kind: StepKind, code: ErrorCode) -> ClientError {
    let code = if code == ErrorCode::InvalidProducerEpoch { ErrorCode::ProducerFenced } else { code };
    let what = match kind {
        StepKind::InitProducerId => "getting a producer id",
        StepKind::AddPartitions => "adding partitions to the transaction",
        StepKind::AddOffsets => "adding offsets to the transaction",
        StepKind::CommitOffsets => "committing offsets within the transaction",
        StepKind::Commit => "committing the transaction",
        StepKind::Abort => "aborting the transaction",
    };
    ClientError::api(what, code, None)
}

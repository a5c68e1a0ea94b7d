//! What error codes mean for a transaction: each request has its own view of them.

use ottla_common::ErrorCode;

use crate::ClientError;

/// What a coordinator is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StepKind {
    InitProducerId,
    AddPartitions,
    AddOffsets,
    CommitOffsets,
    Commit,
    Abort,
}

/// What follows from an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Severity {
    /// Nothing: it is no error.
    Fine,
    /// The same request again, a little later.
    Retry,
    /// The same request again, to whoever is the coordinator now.
    FindCoordinator,
    /// Nothing has happened; the application may repeat its call.
    Refused,
    /// The transaction is lost, the producer is not.
    Abortable,
    /// The same, if the epoch can be raised afterwards; else it is fatal.
    AbortableWithBump,
    /// The producer is lost.
    Fatal,
}

/// What an error of a coordinator means for what it was asked.
pub(crate) fn severity(kind: StepKind, code: ErrorCode) -> Severity {
    use ErrorCode as E;
    use StepKind as K;
    match (kind, code) {
        (_, E::None) => Severity::Fine,
        (_, E::NotCoordinator | E::CoordinatorNotAvailable) => Severity::FindCoordinator,
        (K::CommitOffsets, E::RequestTimedOut) => Severity::FindCoordinator,
        (_, code) if code.is_retriable() => Severity::Retry,
        // An abort that has to be aborted would never end.
        (K::Abort, E::TransactionAbortable) => Severity::Fatal,
        (K::InitProducerId, E::TransactionAbortable) => Severity::Refused,
        (_, E::TransactionAbortable) => Severity::Abortable,
        (K::InitProducerId, E::TransactionalIdAuthorizationFailed | E::ClusterAuthorizationFailed) => {
            Severity::Refused
        }
        (K::AddPartitions | K::AddOffsets | K::Commit | K::Abort, E::UnknownProducerId) => {
            Severity::AbortableWithBump
        }
        (K::AddPartitions, code) => of_added_partition(code),
        (K::AddOffsets | K::CommitOffsets, E::GroupAuthorizationFailed) => Severity::Abortable,
        (K::CommitOffsets, code) if is_lost_membership(code) => Severity::Abortable,
        _ => Severity::Fatal,
    }
}

/// A partition that cannot be added says nothing about the producer, unless the producer itself is
/// what the coordinator minds.
fn of_added_partition(code: ErrorCode) -> Severity {
    use ErrorCode as E;
    match code {
        E::InvalidProducerEpoch
        | E::ProducerFenced
        | E::TransactionalIdAuthorizationFailed
        | E::InvalidTxnState
        | E::InvalidProducerIdMapping => Severity::Fatal,
        _ => Severity::Abortable,
    }
}

/// The consumer whose offsets were to be committed is no member any more.
fn is_lost_membership(code: ErrorCode) -> bool {
    use ErrorCode as E;
    matches!(
        code,
        E::FencedInstanceId
            | E::UnknownMemberId
            | E::IllegalGeneration
            | E::GroupIdNotFound
            | E::StaleMemberEpoch
    )
}

/// Whether a record that could not be delivered costs the producer, not only its transaction.
pub(crate) fn is_fatal_for_producer(error: &ClientError) -> bool {
    use ErrorCode as E;
    match error {
        ClientError::UnsupportedVersion { .. } => true,
        error => matches!(
            error.code(),
            Some(
                E::ClusterAuthorizationFailed
                    | E::TransactionalIdAuthorizationFailed
                    | E::ProducerFenced
                    | E::UnsupportedVersion
                    | E::InvalidProducerIdMapping
            )
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ErrorCode as E;
    use StepKind as K;

    const ALL: [K; 6] =
        [K::InitProducerId, K::AddPartitions, K::AddOffsets, K::CommitOffsets, K::Commit, K::Abort];

    #[test]
    fn a_coordinator_that_is_busy_or_gone_is_asked_again() {
        for kind in ALL {
            assert_eq!(severity(kind, E::None), Severity::Fine);
            for code in [E::ConcurrentTransactions, E::CoordinatorLoadInProgress, E::NetworkException] {
                assert_eq!(severity(kind, code), Severity::Retry, "{kind:?} {code}");
            }
            for code in [E::NotCoordinator, E::CoordinatorNotAvailable] {
                assert_eq!(severity(kind, code), Severity::FindCoordinator, "{kind:?} {code}");
            }
        }
        assert_eq!(severity(K::CommitOffsets, E::RequestTimedOut), Severity::FindCoordinator);
        assert_eq!(severity(K::Commit, E::RequestTimedOut), Severity::Retry);
    }

    #[test]
    fn a_newer_producer_is_the_end_everywhere() {
        for kind in ALL {
            for code in [E::ProducerFenced, E::InvalidProducerEpoch] {
                assert_eq!(severity(kind, code), Severity::Fatal, "{kind:?} {code}");
            }
        }
    }

    #[test]
    fn abortable_errors_are_abortable_but_for_the_abort_itself() {
        for kind in [K::AddPartitions, K::AddOffsets, K::CommitOffsets, K::Commit] {
            assert_eq!(severity(kind, E::TransactionAbortable), Severity::Abortable, "{kind:?}");
        }
        assert_eq!(severity(K::Abort, E::TransactionAbortable), Severity::Fatal);
        assert_eq!(severity(K::InitProducerId, E::TransactionAbortable), Severity::Refused);
    }

    #[test]
    fn states_and_ids_the_coordinator_does_not_know_are_fatal() {
        for kind in [K::AddPartitions, K::AddOffsets, K::Commit, K::Abort] {
            for code in
                [E::InvalidTxnState, E::InvalidProducerIdMapping, E::TransactionalIdAuthorizationFailed]
            {
                assert_eq!(severity(kind, code), Severity::Fatal, "{kind:?} {code}");
            }
            assert_eq!(severity(kind, E::UnknownProducerId), Severity::AbortableWithBump, "{kind:?}");
        }
        assert_eq!(severity(K::InitProducerId, E::InvalidTransactionTimeout), Severity::Fatal);
        assert_eq!(severity(K::CommitOffsets, E::UnsupportedForMessageFormat), Severity::Fatal);
    }

    #[test]
    fn what_concerns_only_topics_or_the_group_is_abortable() {
        for code in [E::TopicAuthorizationFailed, E::OperationNotAttempted, E::UnknownServerError] {
            assert_eq!(severity(K::AddPartitions, code), Severity::Abortable, "{code}");
        }
        for kind in [K::AddOffsets, K::CommitOffsets] {
            assert_eq!(severity(kind, E::GroupAuthorizationFailed), Severity::Abortable);
        }
        let membership = [
            E::FencedInstanceId,
            E::UnknownMemberId,
            E::IllegalGeneration,
            E::GroupIdNotFound,
            E::StaleMemberEpoch,
        ];
        for code in membership {
            assert_eq!(severity(K::CommitOffsets, code), Severity::Abortable, "{code}");
        }
    }

    #[test]
    fn not_being_allowed_to_begin_can_be_healed() {
        for code in [E::TransactionalIdAuthorizationFailed, E::ClusterAuthorizationFailed] {
            assert_eq!(severity(K::InitProducerId, code), Severity::Refused);
        }
    }

    #[test]
    fn a_lost_record_costs_its_transaction_only() {
        let error = |code| ClientError::api("t-0", code, None);
        assert!(is_fatal_for_producer(&error(E::ProducerFenced)));
        assert!(is_fatal_for_producer(&error(E::InvalidProducerIdMapping)));
        let abortable =
            [E::InvalidProducerEpoch, E::TransactionAbortable, E::MessageTooLarge, E::InvalidTxnState];
        for code in abortable {
            assert!(!is_fatal_for_producer(&error(code)), "{code}");
        }
    }
}

use proptest::prelude::*;

use super::*;
use crate::transaction::testing::{FIRST_ID, NEW_END, OLD_END, TestContext};
use crate::transaction::{MarkerOutcome, TransactionState};

fn opened(version: TransactionVersion) -> TestContext {
    let mut t = TestContext::new(version);
    t.initialized();
    t.open(if version.supports_epoch_bump() { 4 } else { 3 }, &[0, 1]);
    t
}

#[test]
fn an_end_is_answered_before_the_markers_are_written() {
    for (committed, prepared, complete) in [
        (true, State::PrepareCommit, State::CompleteCommit),
        (false, State::PrepareAbort, State::CompleteAbort),
    ] {
        let mut t = opened(TransactionVersion::V1);
        let response = t.end_now(OLD_END, committed);
        assert_eq!((response.producer_id, response.producer_epoch), (-1, -1));
        assert_eq!((t.state(), t.producer()), (prepared, (FIRST_ID, 0)));
        assert_eq!((t.markers.len(), t.markers[0].partitions.len()), (1, 2));
        t.answer_markers(MarkerOutcome::Written);
        assert_eq!((t.state(), t.producer()), (complete, (FIRST_ID, 0)));
        assert_eq!(t.written(), [State::Empty, State::Ongoing, prepared, complete]);
    }
}

#[test]
fn an_end_of_level_2_gives_the_next_epoch() {
    let mut t = opened(TransactionVersion::V2);
    let response = t.end_now(NEW_END, true);
    assert_eq!((response.producer_id, response.producer_epoch), (FIRST_ID, 1));
    assert_eq!(t.markers[0].producer_epoch, 1, "markers carry the bumped epoch");
    assert_eq!(t.markers[0].transaction_version, TransactionVersion::V2);
    t.answer_markers(MarkerOutcome::Written);
    assert_eq!(t.producer(), (FIRST_ID, 1));
}

#[test]
fn used_up_epochs_give_the_next_id() {
    let mut t = TestContext::new(TransactionVersion::V2);
    t.initialized();
    t.tamper(|metadata| metadata.producer_epoch = i16::MAX - 1);
    t.open(4, &[0]);
    let request = t.end_request(true);
    let (response, _) = t.end(NEW_END, &request);
    assert_eq!((response.producer_id, response.producer_epoch), (FIRST_ID + 1, 0));
    assert_eq!((t.markers[0].producer_id, t.markers[0].producer_epoch), (FIRST_ID, i16::MAX));
    let t = t.restarted();
    assert_eq!(t.producer(), (FIRST_ID, i16::MAX));
    let mut t = t;
    t.answer_markers(MarkerOutcome::Written);
    assert_eq!(t.producer(), (FIRST_ID + 1, 0));
    let (again, code) = t.end(NEW_END, &request);
    assert_eq!((code, again.producer_id, again.producer_epoch), (ErrorCode::None, FIRST_ID + 1, 0));
}

#[test]
fn who_may_not_end() {
    let mut t = opened(TransactionVersion::V2);
    for version in [OLD_END, NEW_END] {
        let request = t.end_request(true);
        let of = |change: &dyn Fn(&mut EndTxnRequest)| {
            let mut request = request.clone();
            change(&mut request);
            request
        };
        let nobody = of(&|r| r.transactional_id = "".into());
        assert_eq!(t.end(version, &nobody).1, ErrorCode::InvalidRequest);
        let unknown = of(&|r| r.transactional_id = "otra".into());
        assert_eq!(t.end(version, &unknown).1, ErrorCode::InvalidProducerIdMapping);
        let foreign = of(&|r| r.producer_id = 5);
        assert_eq!(t.end(version, &foreign).1, ErrorCode::InvalidProducerIdMapping);
        let newer = of(&|r| r.producer_epoch = 7);
        assert_eq!(t.end(version, &newer).1, ErrorCode::ProducerFenced);
    }
    let stale = EndTxnRequest { producer_epoch: 7, ..t.end_request(true) };
    assert_eq!(t.end(1, &stale).1, ErrorCode::InvalidProducerEpoch);
    assert_eq!(t.end(2, &stale).1, ErrorCode::ProducerFenced);
    assert_eq!(t.state(), State::Ongoing);
}

#[test]
fn a_retry_without_a_bump_is_told_by_the_state() {
    for committed in [true, false] {
        let mut t = opened(TransactionVersion::V0);
        t.end_now(OLD_END, committed);
        let (same, other) = (t.end_request(committed), t.end_request(!committed));
        assert_eq!(t.end(OLD_END, &same).1, ErrorCode::ConcurrentTransactions);
        assert_eq!(t.end(OLD_END, &other).1, ErrorCode::ConcurrentTransactions);
        t.answer_markers(MarkerOutcome::Written);
        assert_eq!(t.end(OLD_END, &same).1, ErrorCode::None);
        assert_eq!(t.end(OLD_END, &other).1, ErrorCode::InvalidTxnState);
    }
    let mut empty = TestContext::new(TransactionVersion::V0);
    empty.initialized();
    for committed in [true, false] {
        let request = empty.end_request(committed);
        assert_eq!(empty.end(OLD_END, &request).1, ErrorCode::InvalidTxnState);
    }
}

#[test]
fn a_retry_with_a_bump_is_told_by_the_epoch() {
    for committed in [true, false] {
        let mut t = opened(TransactionVersion::V2);
        let (same, other) = (t.end_request(committed), t.end_request(!committed));
        t.end_now(NEW_END, committed);
        let next = t.end_request(committed);
        for request in [&same, &other, &next] {
            assert_eq!(t.end(NEW_END, request).1, ErrorCode::ConcurrentTransactions);
        }
        t.answer_markers(MarkerOutcome::Written);
        let (response, code) = t.end(NEW_END, &same);
        assert_eq!((code, response.producer_id, response.producer_epoch), (ErrorCode::None, FIRST_ID, 1));
        assert_eq!(t.end(NEW_END, &other).1, ErrorCode::InvalidTxnState);
        let commit_nothing = t.end_request(true);
        assert_eq!(t.end(NEW_END, &commit_nothing).1, ErrorCode::InvalidTxnState);
    }
}

#[test]
fn with_a_bump_nothing_can_be_aborted() {
    let mut t = TestContext::new(TransactionVersion::V2);
    t.initialized();
    let commit = t.end_request(true);
    assert_eq!(t.end(NEW_END, &commit).1, ErrorCode::InvalidTxnState);
    for epoch in 1..4 {
        t.now_ms += 10;
        let response = t.end_now(NEW_END, false);
        assert_eq!((response.producer_id, response.producer_epoch), (FIRST_ID, epoch));
        t.run();
        assert_eq!((t.state(), t.metadata().start_timestamp_ms), (State::CompleteAbort, t.now_ms));
        assert!(t.markers.is_empty(), "there is no partition to tell");
    }
    let retry_of_nothing = EndTxnRequest { producer_epoch: 0, ..t.end_request(false) };
    assert_eq!(t.end(NEW_END, &retry_of_nothing).1, ErrorCode::ProducerFenced);
}

#[test]
fn a_retry_before_there_was_a_transaction_is_fenced() {
    let mut t = TestContext::new(TransactionVersion::V2);
    t.initialized();
    t.initialized();
    let before = EndTxnRequest { producer_epoch: 0, ..t.end_request(false) };
    assert_eq!(t.end(NEW_END, &before).1, ErrorCode::ProducerFenced);
}

#[test]
fn an_old_cluster_cannot_keep_new_ends() {
    let mut t = opened(TransactionVersion::V0);
    let request = t.end_request(true);
    assert_eq!(t.end(NEW_END, &request).1, ErrorCode::UnsupportedVersion);
    assert_eq!((t.state(), t.metadata().pending_state), (State::Ongoing, None));
}

#[test]
fn without_a_producer_id_for_afterwards_the_end_must_wait() {
    let mut t = TestContext::new(TransactionVersion::V2);
    t.initialized();
    t.tamper(|metadata| metadata.producer_epoch = i16::MAX - 1);
    t.open(4, &[0]);
    t.producer_ids = None;
    while t.shard().producer_ids.first().is_some() {
        t.execute(crate::transaction::shard::changed(TransactionChange::TakeProducerId));
    }
    let request = t.end_request(true);
    assert_eq!(t.end(NEW_END, &request).1, ErrorCode::CoordinatorLoadInProgress);
    assert_eq!((t.state(), t.metadata().pending_state), (State::Ongoing, None));
}

#[test]
fn a_refused_end_never_was() {
    let mut t = opened(TransactionVersion::V2);
    t.log.refuse = Some(ErrorCode::NotEnoughReplicasAfterAppend);
    let request = t.end_request(true);
    assert_eq!(t.end(NEW_END, &request).1, ErrorCode::CoordinatorNotAvailable);
    assert_eq!((t.state(), t.metadata().pending_state), (State::Ongoing, None));
    assert!(t.markers.is_empty());
    t.log.refuse = None;
    assert_eq!(t.end_now(NEW_END, true).producer_epoch, 1);
}

#[test]
fn no_marker_goes_out_before_the_end_is_committed() {
    let mut t = opened(TransactionVersion::V2);
    t.log.hold = true;
    let request = t.end_request(true);
    t.end(NEW_END, &request);
    assert_eq!((t.state(), t.markers.len()), (State::Ongoing, 0));
    assert_eq!(t.end(NEW_END, &request).1, ErrorCode::ConcurrentTransactions);
    t.commit_all();
    assert_eq!((t.state(), t.markers.len()), (State::PrepareCommit, 1));
}

proptest! {
    /// Kafka's table of what an end with a bump comes to, for whatever state and epoch.
    #[test]
    fn ends_with_a_bump_follow_the_table(
        state in 0i8..6, epoch in 1i16..5, retry in -1i16..3, committed in any::<bool>(),
    ) {
        let mut metadata = TransactionMetadata::new("tx".into(), 7, 1, 0);
        metadata.state = TransactionState::from_id(state).unwrap();
        metadata.producer_epoch = epoch;
        metadata.previous_producer_id = 7;
        let producer_epoch = epoch - retry;
        let request = EndTxnRequest {
            transactional_id: "tx".into(), producer_id: 7, producer_epoch, committed, ..Default::default()
        };
        let verdict = validate_end_with_bump(&metadata, &request);
        let expected = match (metadata.state, retry, committed) {
            (State::Ongoing, 0, _) => Ok(Verdict::End),
            (State::Empty | State::CompleteCommit | State::CompleteAbort, 0, false) => Ok(Verdict::EndNothing),
            (State::CompleteCommit, 1, true) | (State::CompleteAbort, 1, false) => Ok(Verdict::Ended),
            (State::PrepareCommit, 1, true) | (State::PrepareAbort, 1, false) => {
                Err(TransactionError::ConcurrentTransactions)
            }
            (State::PrepareCommit | State::PrepareAbort, 1, _)
            | (State::CompleteCommit | State::CompleteAbort, 0 | 1, _)
            | (State::Empty, 0, true) => Err(TransactionError::InvalidTxnState),
            _ => Err(TransactionError::ProducerFenced),
        };
        prop_assert_eq!(verdict, expected);
    }
}

type Validate = fn(&TransactionMetadata, &EndTxnRequest) -> Result<Verdict, TransactionError>;

#[test]
fn an_end_without_markers_under_way_waits_for_the_same_and_refuses_the_other() {
    let mut metadata = TransactionMetadata::new("tx".into(), 7, 1, 0);
    for (state, committed) in [(State::PrepareCommit, true), (State::PrepareAbort, false)] {
        metadata.state = state;
        let validations: [(i16, Validate); 2] = [(4, validate_end), (5, validate_end_with_bump)];
        for (epoch, validate) in validations {
            metadata.producer_epoch = epoch;
            let request = |committed| EndTxnRequest {
                producer_id: 7,
                producer_epoch: 4,
                committed,
                ..Default::default()
            };
            let same = validate(&metadata, &request(committed));
            assert_eq!(same, Err(TransactionError::ConcurrentTransactions));
            let other = validate(&metadata, &request(!committed));
            assert_eq!(other, Err(TransactionError::InvalidTxnState));
        }
    }
}

use super::*;

const NOW: i64 = 5_000;

fn metadata(state: TransactionState, epoch: i16) -> TransactionMetadata {
    let mut metadata = TransactionMetadata::new("tx".into(), 7, 60_000, 1_000);
    metadata.state = state;
    metadata.producer_epoch = epoch;
    if state != TransactionState::Empty {
        metadata.partitions = [("pagos".into(), 0)].into_iter().collect();
        metadata.start_timestamp_ms = 1_500;
    }
    metadata
}

#[test]
fn a_new_producer_begins_with_epoch_0() {
    let new = TransactionMetadata::new("tx".into(), 7, 60_000, 1_000);
    let next = new.transition_to_empty_with_next_epoch(NOW, 30_000, None).unwrap();
    assert_eq!((next.producer_id, next.producer_epoch, next.last_producer_epoch), (7, 0, -1));
    assert_eq!((next.previous_producer_id, next.timeout_ms), (7, 30_000));
    assert_eq!((next.start_timestamp_ms, next.last_update_timestamp_ms), (-1, NOW));
    let expected = new.transition_to_empty_with_next_epoch(NOW, 30_000, Some(12)).unwrap();
    assert_eq!((expected.producer_epoch, expected.last_producer_epoch), (0, -1));
}

#[test]
fn who_knows_its_epoch_gets_the_next_and_may_ask_again() {
    let current = metadata(TransactionState::CompleteCommit, 4);
    let bumped = current.transition_to_empty_with_next_epoch(NOW, 1, Some(4)).unwrap();
    assert_eq!((bumped.producer_epoch, bumped.last_producer_epoch), (5, 4));
    let again = bumped.transition_to_empty_with_next_epoch(NOW, 1, Some(4)).unwrap();
    assert_eq!((again.producer_epoch, again.last_producer_epoch), (5, 4));
    let taken_over = bumped.transition_to_empty_with_next_epoch(NOW, 1, None).unwrap();
    assert_eq!((taken_over.producer_epoch, taken_over.last_producer_epoch), (6, -1));
    let fenced = taken_over.transition_to_empty_with_next_epoch(NOW, 1, Some(4));
    assert_eq!(fenced, Err(TransactionError::ProducerFenced));
}

#[test]
fn a_rotation_keeps_the_way_back_for_who_asked_itself() {
    let current = metadata(TransactionState::CompleteAbort, i16::MAX - 1);
    assert!(current.is_producer_epoch_exhausted());
    let own = current.transition_to_empty_with_new_id(NOW, 1, 99, true).unwrap();
    assert_eq!((own.producer_id, own.producer_epoch), (99, 0));
    assert_eq!((own.previous_producer_id, own.last_producer_epoch), (7, i16::MAX - 1));
    let other = current.transition_to_empty_with_new_id(NOW, 1, 99, false).unwrap();
    assert_eq!(other.last_producer_epoch, -1);
}

#[test]
fn the_first_partition_begins_the_transaction() {
    let added = [("pagos".into(), 1)].into_iter().collect();
    let empty = metadata(TransactionState::Empty, 0);
    let begun = empty.transition_to_ongoing(NOW, &added, TransactionVersion::V2).unwrap();
    assert_eq!((begun.start_timestamp_ms, begun.partitions.len()), (NOW, 1));
    assert_eq!(begun.client_transaction_version, TransactionVersion::V2);
    assert_eq!(begun.deadline_ms(), Some(NOW + 60_000));
    let more = [("pagos".into(), 2)].into_iter().collect();
    let grown = begun.transition_to_ongoing(NOW + 1, &more, TransactionVersion::V2).unwrap();
    assert_eq!((grown.start_timestamp_ms, grown.partitions.len()), (NOW, 2));
}

#[test]
fn an_end_bumps_the_epoch_from_level_2_on() {
    let open = metadata(TransactionState::Ongoing, 3);
    let (commit, abort) = (TransactionResult::Commit, TransactionResult::Abort);
    let old = open.transition_to_prepare(NOW, commit, TransactionVersion::V0, -1, false).unwrap();
    assert_eq!((old.state, old.producer_epoch), (TransactionState::PrepareCommit, 3));
    let new = open.transition_to_prepare(NOW, abort, TransactionVersion::V2, -1, false).unwrap();
    assert_eq!((new.state, new.producer_epoch), (TransactionState::PrepareAbort, 4));
    assert_eq!((new.last_producer_epoch, new.start_timestamp_ms), (3, 1_500));
    let done = new.transition_to_complete(NOW + 1).unwrap();
    assert_eq!((done.state, done.producer_epoch), (TransactionState::CompleteAbort, 4));
    assert!(done.partitions.is_empty());
    assert_eq!((done.start_timestamp_ms, done.last_update_timestamp_ms), (1_500, NOW + 1));
}

#[test]
fn used_up_epochs_bring_the_next_id_when_all_is_over() {
    let open = metadata(TransactionState::Ongoing, i16::MAX - 1);
    let commit = TransactionResult::Commit;
    let ending = open.transition_to_prepare(NOW, commit, TransactionVersion::V2, 99, false).unwrap();
    assert_eq!((ending.producer_id, ending.producer_epoch, ending.next_producer_id), (7, i16::MAX, 99));
    let done = ending.transition_to_complete(NOW).unwrap();
    assert_eq!((done.producer_id, done.producer_epoch, done.next_producer_id), (99, 0, -1));
    assert_eq!((done.previous_producer_id, done.last_producer_epoch), (7, i16::MAX - 1));
}

#[test]
fn the_largest_epoch_can_be_aborted_only() {
    let open = metadata(TransactionState::Ongoing, i16::MAX);
    let version = TransactionVersion::V2;
    let aborted = open.transition_to_prepare(NOW, TransactionResult::Abort, version, 99, false).unwrap();
    assert_eq!(aborted.producer_epoch, i16::MAX);
    let committed = open.transition_to_prepare(NOW, TransactionResult::Commit, version, 99, false);
    assert_eq!(committed, Err(TransactionError::IllegalState));
}

#[test]
fn a_fence_that_was_not_written_is_not_bumped_again() {
    let mut open = metadata(TransactionState::Ongoing, 3);
    assert_eq!(open.transition_to_prepare_epoch_fence().unwrap().producer_epoch, 4);
    open.has_failed_epoch_fence = true;
    assert_eq!(open.transition_to_prepare_epoch_fence().unwrap().producer_epoch, 3);
    open.has_failed_epoch_fence = false;
    open.producer_epoch = i16::MAX;
    assert_eq!(open.transition_to_prepare_epoch_fence().unwrap().producer_epoch, i16::MAX);
}

#[test]
fn moves_that_kafka_does_not_know_are_refused() {
    let impossible = Err(TransactionError::IllegalState);
    let open = metadata(TransactionState::Ongoing, 3);
    assert_eq!(open.transition_to_empty_with_next_epoch(NOW, 1, None), impossible);
    assert_eq!(open.transition_to_complete(NOW), impossible);
    assert_eq!(open.transition_to_dead(), impossible);
    let ending = metadata(TransactionState::PrepareCommit, 3);
    let none = TransactionPartitions::default();
    assert_eq!(ending.transition_to_ongoing(NOW, &none, TransactionVersion::V0), impossible);
    let mut without_id = metadata(TransactionState::Empty, 3);
    without_id.producer_id = -1;
    assert_eq!(without_id.transition_to_ongoing(NOW, &none, TransactionVersion::V0), impossible);
    let without_epoch = metadata(TransactionState::Empty, -1);
    assert_eq!(without_epoch.transition_to_ongoing(NOW, &none, TransactionVersion::V0), impossible);
    assert!(without_epoch.transition_to_dead().is_ok());
}

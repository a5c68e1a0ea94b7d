use std::time::Duration;

use ottla_common::ErrorCode;
use ottla_share::{PersisterError, ReadState, ShareAutoOffsetReset};
use tokio::time::Instant;

use super::config::ShareLimits;
use super::fetch::ShareFetch;
use super::persister::SharePartitionKey;
use super::testing::*;

const ACCEPT: i8 = 1;
const RELEASE: i8 = 2;

async fn fetched(records: usize) -> Bench {
    let bench = Bench::new();
    bench.append(0, records);
    assert_eq!(acquired(&bench.fetch(&bench.request("a")).await).len(), 1);
    bench
}

#[tokio::test(start_paused = true)]
async fn a_group_begins_where_the_share_coordinator_says() {
    let bench = Bench::new();
    bench.append(0, 5);
    bench.append(0, 5);
    let key = SharePartitionKey { group_id: GROUP.into(), topic_id: bench.topic_id(), partition: 0 };
    let state = ReadState { state_epoch: 4, start_offset: 5, batches: Vec::new() };
    bench.persister.states.lock().unwrap().insert(key, state);
    assert_eq!(acquired(&bench.fetch(&bench.request("a")).await), [(0, 5, 9, 1)]);
    assert_eq!(bench.acknowledge("a", 5, 9, ACCEPT).await, Ok(()));
    let writes = bench.persister.writes.lock().unwrap();
    assert_eq!((writes[0].state_epoch, writes[0].leader_epoch), (4, 0));
}

#[tokio::test(start_paused = true)]
async fn a_group_begins_where_its_configuration_says() {
    let resets = [
        (ShareAutoOffsetReset::Earliest, 0),
        (ShareAutoOffsetReset::Latest, 5),
        (ShareAutoOffsetReset::ByDuration { duration_ms: 60_000 }, 0),
        (ShareAutoOffsetReset::ByDuration { duration_ms: i64::MAX }, 0),
    ];
    for (reset, expected) in resets {
        let bench = Bench::new();
        bench.configure(|settings| settings.partition.auto_offset_reset = reset);
        bench.append(0, 5);
        let waiting = bench.begin(bench.request("a")).await;
        bench.append(0, 1);
        let first = acquired(&answer(waiting).await)[0].1;
        assert_eq!(first, expected, "{reset:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_record_young_enough_there_is_no_begin() {
    let bench = Bench::new();
    bench.configure(|settings| {
        settings.partition.auto_offset_reset = ShareAutoOffsetReset::ByDuration { duration_ms: 0 };
    });
    let fetch = ShareFetch { max_wait_ms: 50, ..bench.request("a") };
    assert_eq!(errors(&bench.fetch(&fetch).await), [(0, ErrorCode::OffsetNotAvailable)]);
    assert_eq!(bench.manager.num_share_partitions(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_state_that_cannot_be_read_is_told_when_the_time_is_up() {
    let bench = Bench::new();
    bench.append(0, 1);
    bench.persister.read_errors.lock().unwrap().push_back(PersisterError::CoordinatorNotAvailable);
    let begin = Instant::now();
    let answers = bench.fetch(&bench.request("a")).await;
    assert_eq!(errors(&answers), [(0, ErrorCode::CoordinatorNotAvailable)]);
    assert!(answers[0].1.message.is_some());
    assert!(begin.elapsed() >= Duration::from_millis(LONG_MS as u64));
    assert_eq!(bench.manager.num_share_partitions(), 0);
    assert_eq!(
        acquired(&bench.fetch(&bench.request("a")).await),
        [(0, 0, 0, 1)],
        "the next try is a new one"
    );
}

#[tokio::test(start_paused = true)]
async fn each_error_of_an_acknowledgement() {
    let bench = fetched(10).await;
    assert_eq!(bench.acknowledge("b", 0, 4, ACCEPT).await, Err(ErrorCode::InvalidRecordState));
    assert_eq!(bench.acknowledge("a", 0, 99, ACCEPT).await, Err(ErrorCode::InvalidRequest));
    assert_eq!(bench.acknowledge("a", 0, 4, 9).await, Err(ErrorCode::InvalidRequest));
    assert_eq!(bench.acknowledge("a", 0, 4, ACCEPT).await, Ok(()));
    assert_eq!(bench.acknowledge("a", 0, 4, ACCEPT).await, Ok(()), "all that is below the start is done");
    let unknown = bench.manager.acknowledge(GROUP, "a", &bench.id(1), &[]).result().await;
    assert_eq!(unknown.map_err(|error| error.code()), Err(ErrorCode::UnknownTopicOrPartition));
}

#[tokio::test(start_paused = true)]
async fn errors_of_the_share_coordinator_are_told() {
    let told = [
        (PersisterError::CoordinatorNotAvailable, ErrorCode::CoordinatorNotAvailable, 1),
        (PersisterError::Unknown, ErrorCode::UnknownServerError, 1),
        (PersisterError::GroupIdNotFound, ErrorCode::GroupIdNotFound, 0),
        (PersisterError::UnknownTopicOrPartition, ErrorCode::UnknownTopicOrPartition, 0),
        // FENCED_STATE_EPOCH and FENCED_LEADER_EPOCH, in the words for clients.
        (PersisterError::NotLeaderOrFollower, ErrorCode::NotLeaderOrFollower, 0),
    ];
    for (error, code, left) in told {
        let bench = fetched(5).await;
        bench.persister.write_errors.lock().unwrap().push_back(error);
        assert_eq!(bench.acknowledge("a", 0, 4, ACCEPT).await, Err(code));
        assert_eq!(bench.manager.num_share_partitions(), left, "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn acknowledgements_that_gather_are_written_together() {
    let bench = fetched(10).await;
    bench.persister.gate.acquire_many(10_000).await.unwrap().forget();
    let mut pending = Vec::new();
    for (first_offset, last_offset) in [(0, 1), (2, 3), (4, 5), (6, 9)] {
        let batch =
            super::AcknowledgementBatch { first_offset, last_offset, acknowledge_types: vec![ACCEPT] };
        pending.push(bench.manager.acknowledge(GROUP, "a", &bench.id(0), &[batch]));
        settle().await;
    }
    bench.persister.gate.add_permits(100);
    for pending in pending {
        assert_eq!(pending.result().await, Ok(()));
    }
    let writes = bench.persister.writes.lock().unwrap();
    let ranges: Vec<Vec<_>> = writes
        .iter()
        .map(|write| write.batches.iter().map(|batch| (batch.first_offset, batch.last_offset)).collect())
        .collect();
    assert_eq!(ranges, [vec![(0, 1)], vec![(2, 9)]]);
}

#[tokio::test(start_paused = true)]
async fn an_acknowledgement_counts_though_nobody_waits_for_it() {
    let bench = fetched(5).await;
    let batch =
        super::AcknowledgementBatch { first_offset: 0, last_offset: 4, acknowledge_types: vec![RELEASE] };
    drop(bench.manager.acknowledge(GROUP, "a", &bench.id(0), &[batch]));
    assert_eq!(acquired(&bench.fetch(&bench.request("b")).await), [(0, 0, 4, 2)]);
}

#[tokio::test(start_paused = true)]
async fn a_share_partition_goes_with_its_partition_topic_group_or_feature() {
    let gone: [fn(&Bench); 4] = [
        |bench| bench.manager.on_partitions_lost(&[(bench.topic_id(), 1), (bench.topic_id(), 0)]),
        |bench| bench.manager.on_topic_deleted(bench.topic_id()),
        |bench| bench.manager.remove_group(GROUP),
        |bench| bench.manager.remove_all(),
    ];
    for gone in gone {
        let bench = fetched(5).await;
        let waiting = bench.begin(ShareFetch { max_wait_ms: 100, ..bench.request("b") }).await;
        assert_eq!(bench.manager.num_share_partitions(), 1);
        gone(&bench);
        assert_eq!(bench.manager.num_share_partitions(), 0);
        assert!(answer(waiting).await.is_empty());
        let error = bench.acknowledge("a", 0, 4, ACCEPT).await;
        assert_eq!(error, Err(ErrorCode::UnknownTopicOrPartition));
        assert_eq!(acquired(&bench.fetch(&bench.request("b")).await), [(0, 0, 4, 1)], "as if it was new");
    }
}

#[tokio::test(start_paused = true)]
async fn others_stay() {
    let bench = fetched(5).await;
    let other = ShareFetch { group_id: "otro".into(), ..bench.request("z") };
    assert_eq!(acquired(&bench.fetch(&other).await), [(0, 0, 4, 1)], "each group has all records");
    bench.manager.remove_group("otro");
    bench.manager.on_partitions_lost(&[(bench.topic_id(), 1)]);
    bench.manager.on_topic_deleted(ottla_common::Uuid::ONE);
    assert_eq!(bench.manager.num_share_partitions(), 1);
    assert_eq!(bench.acknowledge("a", 0, 4, ACCEPT).await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn there_are_no_more_share_partitions_than_may_be() {
    let bench = Bench::with_limits(ShareLimits { max_share_partitions: 1, ..ShareLimits::default() });
    bench.append(0, 5);
    assert_eq!(acquired(&bench.fetch(&bench.request("a")).await), [(0, 0, 4, 1)]);
    let other = ShareFetch { group_id: "otro".into(), ..bench.request("z") };
    assert_eq!(errors(&bench.fetch(&other).await), [(0, ErrorCode::UnknownServerError)]);
    bench.manager.remove_group(GROUP);
    assert_eq!(acquired(&bench.fetch(&other).await), [(0, 0, 4, 1)]);
}

#[tokio::test(start_paused = true)]
async fn a_changed_configuration_holds_from_then_on() {
    let bench = fetched(5).await;
    bench.configure(|settings| settings.partition.delivery_count_limit = 1);
    assert_eq!(bench.acknowledge("a", 0, 4, RELEASE).await, Ok(()));
    let fetch = ShareFetch { max_wait_ms: 50, ..bench.request("b") };
    assert!(acquired(&bench.fetch(&fetch).await).is_empty(), "once was enough");
}

use std::time::Duration;

use ottla_common::ErrorCode;
use ottla_share::ShareAcquireMode;
use ottla_storage::{LogConfig, TransactionVersion};
use tokio::time::{Instant, advance};

use super::config::ShareLimits;
use super::fetch::ShareFetch;
use super::testing::*;
use crate::EndTransaction;
use crate::test_support::{self, NOW, tp};

const ACCEPT: i8 = 1;
const RELEASE: i8 = 2;

fn bytes(records: &super::SharePartitionData) -> Vec<u8> {
    let records = records.records.as_ref().unwrap();
    let mut bytes = vec![0; records.size_in_bytes()];
    assert_eq!(records.read_at(0, &mut bytes).unwrap(), bytes.len());
    bytes
}

#[tokio::test(start_paused = true)]
async fn the_first_fetch_loads_the_share_partition_and_gets_what_there_is() {
    let bench = Bench::new();
    bench.append(0, 10);
    let begin = Instant::now();
    let answers = bench.fetch(&bench.request("a")).await;
    assert_eq!(acquired(&answers), [(0, 0, 9, 1)]);
    let log = bench.disk.partition(0).log().read(0, 1 << 20, ottla_storage::FetchIsolation::LogEnd, true);
    assert_eq!(bytes(&answers[0].1), log.unwrap().records.read_all().unwrap());
    assert!(begin.elapsed() < Duration::from_millis(100), "it did not wait for its time");
    assert_eq!(bench.parked(), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_fetch_waits_for_records_and_leaves_nothing_behind() {
    let bench = Bench::new();
    let waiting = bench.begin(bench.request("a")).await;
    assert_eq!(bench.parked(), (1, 1));
    bench.append(0, 3);
    assert_eq!(acquired(&answer(waiting).await), [(0, 0, 2, 1)]);
    assert_eq!(bench.parked(), (0, 0));
    let aborted = bench.begin(bench.request("a")).await;
    assert_eq!(bench.parked(), (1, 1));
    aborted.abort();
    assert!(aborted.await.unwrap_err().is_cancelled());
    assert_eq!(bench.parked(), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_fetch_waits_for_enough_bytes_until_its_time_is_up() {
    let bench = Bench::new();
    bench.append(0, 1);
    let size = bench.disk.partition(0).log().size() as i32;
    let enough = ShareFetch { min_bytes: 2 * size, ..bench.request("a") };
    let waiting = bench.begin(enough.clone()).await;
    assert!(!waiting.is_finished());
    bench.append(0, 1);
    assert_eq!(acquired(&answer(waiting).await), [(0, 0, 1, 1)]);

    bench.append(0, 1);
    let begin = Instant::now();
    let late = bench.fetch(&enough).await;
    assert_eq!(acquired(&late), [(0, 2, 2, 1)]);
    assert!(begin.elapsed() >= Duration::from_millis(LONG_MS as u64));
}

#[tokio::test(start_paused = true)]
async fn a_member_that_waits_for_nothing_gets_nothing() {
    let bench = Bench::new();
    let fetch = ShareFetch { max_wait_ms: 0, ..bench.request("a") };
    assert!(acquired(&bench.fetch(&fetch).await).is_empty());
    for nothing in [
        ShareFetch { max_bytes: 0, ..bench.request("a") },
        ShareFetch { max_records: 0, ..bench.request("a") },
        ShareFetch { partitions: Vec::new(), ..bench.request("a") },
    ] {
        assert!(bench.fetch(&nothing).await.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn what_one_member_releases_wakes_another() {
    let bench = Bench::new();
    bench.append(0, 10);
    assert_eq!(acquired(&bench.fetch(&bench.request("a")).await), [(0, 0, 9, 1)]);
    let waiting = bench.begin(bench.request("b")).await;
    assert!(!waiting.is_finished());
    assert_eq!(bench.acknowledge("a", 0, 4, ACCEPT).await, Ok(()));
    settle().await;
    assert!(!waiting.is_finished());
    assert_eq!(bench.acknowledge("a", 5, 9, RELEASE).await, Ok(()));
    assert_eq!(acquired(&answer(waiting).await), [(0, 5, 9, 2)]);
}

#[tokio::test(start_paused = true)]
async fn locks_that_end_wake_a_member() {
    let bench = Bench::new();
    bench.append(0, 10);
    assert_eq!(acquired(&bench.fetch(&bench.request("a")).await), [(0, 0, 9, 1)]);
    advance(Duration::from_millis(LOCK_MS - 1_000)).await;
    let waiting = bench.begin(bench.request("b")).await;
    assert!(!waiting.is_finished());
    assert_eq!(acquired(&waiting.await.unwrap()), [(0, 0, 9, 2)]);
    assert_eq!(bench.manager.locks_timed_out(), 10);
    settle().await;
    assert_eq!(bench.persister.writes.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_share_partition_that_is_full_waits_for_room() {
    let bench = Bench::new();
    bench.configure(|settings| settings.partition.partition_max_record_locks = 5);
    bench.append(0, 5);
    bench.append(0, 5);
    let five = ShareFetch { max_records: 5, ..bench.request("a") };
    assert_eq!(acquired(&bench.fetch(&five).await), [(0, 0, 4, 1)]);
    let waiting = bench.begin(five).await;
    assert_eq!(bench.parked(), (1, 0), "what comes to the log is no news");
    assert_eq!(bench.acknowledge("a", 0, 4, ACCEPT).await, Ok(()));
    assert_eq!(acquired(&answer(waiting).await), [(0, 5, 9, 1)]);
}

#[tokio::test(start_paused = true)]
async fn a_limit_of_records_is_kept_over_partitions() {
    let bench = Bench::new();
    let partitions = vec![bench.id(0), bench.id(1)];
    let acquire_mode = ShareAcquireMode::RecordLimit;
    let fetch =
        ShareFetch { partitions, acquire_mode, max_records: 12, max_wait_ms: 10, ..bench.request("a") };
    assert!(acquired(&bench.fetch(&fetch).await).is_empty(), "both are loaded now");
    (0..2).for_each(|index| bench.append(index, 10));
    assert_eq!(acquired(&bench.fetch(&fetch).await), [(0, 0, 9, 1), (1, 0, 1, 1)]);
    let turned = ShareFetch { session_epoch: 1, ..fetch };
    assert_eq!(acquired(&bench.fetch(&turned).await), [(1, 2, 9, 1)]);
}

#[tokio::test(start_paused = true)]
async fn only_the_batches_with_acquired_records_are_sent() {
    let bench = Bench::new();
    (0..3).for_each(|_| bench.append(0, 5));
    let size = bench.disk.partition(0).log().size() as usize / 3;
    let fetch = ShareFetch { max_records: 5, ..bench.request("a") };
    let first = bench.fetch(&fetch).await;
    assert_eq!((acquired(&first), bytes(&first[0].1).len()), (vec![(0, 0, 4, 1)], size));
    let limited = ShareFetch { max_records: 7, acquire_mode: ShareAcquireMode::RecordLimit, ..fetch };
    let second = bench.fetch(&limited).await;
    assert_eq!((acquired(&second), bytes(&second[0].1).len()), (vec![(0, 5, 11, 1)], 2 * size));
}

#[tokio::test(start_paused = true)]
async fn aborted_records_are_left_out_if_the_group_says_so() {
    let bench = Bench::on(test_support::Bench::trusting(LogConfig::default()), ShareLimits::default());
    bench.configure(|settings| settings.read_committed = true);
    let partition = bench.disk.partition(0);
    partition.append(test_support::transactional(7, 0, 0), 1).unwrap();
    let waiting = bench.begin(bench.request("a")).await;
    bench.append(0, 1);
    settle().await;
    assert!(!waiting.is_finished(), "the transaction is not decided");
    let end = EndTransaction {
        producer_id: 7,
        producer_epoch: 0,
        coordinator_epoch: 0,
        committed: false,
        transaction_version: TransactionVersion::UNKNOWN,
    };
    partition.append_end_transaction_marker(&end, NOW).unwrap();
    // The marker goes along, for the member to acknowledge as a gap.
    assert_eq!(acquired(&answer(waiting).await), [(0, 1, 2, 1)]);
}

#[tokio::test(start_paused = true)]
async fn a_log_that_was_cut_is_followed() {
    let bench = Bench::new();
    bench.append(0, 5);
    assert_eq!(acquired(&bench.fetch(&bench.request("a")).await), [(0, 0, 4, 1)]);
    bench.append(0, 5);
    bench.append(0, 5);
    assert_eq!(bench.disk.replicas.delete_records(&tp(0), 10), Ok(10));
    let cut = bench.fetch(&bench.request("b")).await;
    assert_eq!((errors(&cut), acquired(&cut)), (vec![(0, ErrorCode::None)], Vec::new()));
    assert_eq!(acquired(&bench.fetch(&bench.request("b")).await), [(0, 10, 14, 1)]);
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_does_not_lead_says_so() {
    let bench = Bench::new();
    bench.disk.lead(1, 2, 1, &[2]);
    let both = ShareFetch { partitions: vec![bench.id(0), bench.id(1)], ..bench.request("a") };
    bench.append(0, 1);
    let answers = bench.fetch(&both).await;
    assert_eq!(acquired(&answers), [(0, 0, 0, 1)]);
    assert_eq!(errors(&answers), [(0, ErrorCode::None), (1, ErrorCode::NotLeaderOrFollower)]);
    let elsewhere = ShareFetch { partitions: vec![bench.id(1)], ..bench.request("a") };
    assert_eq!(errors(&bench.fetch(&elsewhere).await), [(1, ErrorCode::NotLeaderOrFollower)]);
    let nameless = super::SharePartitionId { topic: None, ..bench.id(0) };
    let unknown = ShareFetch { group_id: "otro".into(), partitions: vec![nameless], ..bench.request("a") };
    assert_eq!(errors(&bench.fetch(&unknown).await), [(0, ErrorCode::UnknownTopicId)]);
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_is_one_no_more_answers_at_once() {
    let bench = Bench::new();
    let waiting = bench.begin(bench.request("a")).await;
    bench.disk.lead(0, 2, 1, &[2]);
    let answers = answer(waiting).await;
    assert_eq!(errors(&answers), [(0, ErrorCode::NotLeaderOrFollower)]);
    assert_eq!(bench.manager.num_share_partitions(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_partition_that_is_named_twice_is_fetched_once() {
    let bench = Bench::new();
    let twice = ShareFetch { partitions: vec![bench.id(0), bench.id(0)], ..bench.request("a") };
    let waiting = bench.begin(twice).await;
    assert_eq!(bench.parked(), (1, 1));
    bench.append(0, 1);
    assert_eq!(acquired(&answer(waiting).await), [(0, 0, 0, 1)]);
}

/// Were one wake lost, somebody would wait for ten seconds.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn members_work_a_partition_off_together() {
    const RECORDS: i64 = 1_000;
    let bench = std::sync::Arc::new(Bench::new());
    let done = std::sync::Arc::new(std::sync::atomic::AtomicI64::new(0));
    let members: Vec<_> = (0..4)
        .map(|member| {
            let (bench, done) = (bench.clone(), done.clone());
            tokio::spawn(async move {
                let member = format!("member-{member}");
                let fetch = ShareFetch { max_records: 7, max_wait_ms: 200, ..bench.request(&member) };
                while done.load(std::sync::atomic::Ordering::SeqCst) < RECORDS {
                    for (_, first, last, count) in acquired(&bench.fetch(&fetch).await) {
                        assert_eq!(count, 1, "nobody got {first} to {last} before");
                        assert_eq!(bench.acknowledge(&member, first, last, ACCEPT).await, Ok(()));
                        done.fetch_add(last - first + 1, std::sync::atomic::Ordering::SeqCst);
                    }
                }
            })
        })
        .collect();
    for _ in 0..RECORDS / 5 {
        bench.append(0, 5);
        tokio::task::yield_now().await;
    }
    for member in members {
        tokio::time::timeout(Duration::from_secs(20), member).await.unwrap().unwrap();
    }
    assert_eq!(done.load(std::sync::atomic::Ordering::SeqCst), RECORDS);
    assert_eq!(bench.parked(), (0, 0));
}

use std::time::Duration;

use ottla_common::Uuid;
use ottla_storage::{FetchIsolation, LogConfig, TransactionVersion};
use tokio::task::{JoinHandle, yield_now};

use super::*;
use crate::EndTransaction;
use crate::test_support::{Bench, NODE, NOW, batch, tp, transactional};

const LONG_MS: i32 = 60_000;

impl Bench {
    fn lead_both(&self, isr: &[i32]) {
        (0..2).for_each(|index| self.lead(index, NODE, 0, isr));
    }

    /// A fetch of the first two partitions from offsets on, after it had its first look.
    async fn fetch(&self, params: FetchParams, offsets: [i64; 2]) -> JoinHandle<Vec<FetchPartitionData>> {
        let replicas = Arc::clone(&self.replicas);
        let infos = [0, 1].map(|index| info(index, offsets[index as usize]));
        let fetch = tokio::spawn(async move { replicas.fetch_messages(&params, &infos).await });
        settle().await;
        fetch
    }

    fn parked(&self) -> usize {
        self.replicas.partitions().iter().map(|partition| partition.parked()).sum()
    }
}

fn info(index: i32, fetch_offset: i64) -> FetchInfo {
    FetchInfo {
        tp: tp(index),
        topic_id: Uuid::ZERO,
        fetch_offset,
        max_bytes: 1 << 20,
        current_leader_epoch: None,
        last_fetched_epoch: None,
    }
}

fn params(isolation: FetchIsolation, min_bytes: usize) -> FetchParams {
    let min_bytes = min_bytes as i32;
    FetchParams { isolation, max_wait_ms: LONG_MS, min_bytes, max_bytes: 1 << 20 }
}

const CONSUMER: FetchIsolation = FetchIsolation::HighWatermark;

/// Everybody else goes as far as they can: there is one thread.
async fn settle() {
    for _ in 0..8 {
        yield_now().await;
    }
}

async fn answer<T>(task: JoinHandle<T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), task).await.expect("a wake was lost").unwrap()
}

fn sizes(answers: &[FetchPartitionData]) -> Vec<usize> {
    answers.iter().map(|a| a.records.size_in_bytes()).collect()
}

#[tokio::test]
async fn a_fetch_waits_for_enough_of_all_its_partitions() {
    let bench = Bench::new();
    bench.lead_both(&[NODE]);
    let size = batch().len();
    let fetch = bench.fetch(params(CONSUMER, 2 * size), [0, 0]).await;
    assert_eq!(bench.parked(), 2);
    bench.append(1);
    settle().await;
    assert!(!fetch.is_finished() && bench.parked() == 2, "half of it is not enough, and it stays parked");
    bench.append(0);
    let answers = answer(fetch).await;
    assert_eq!(sizes(&answers), [size, size]);
    assert_eq!(answers.iter().map(|a| a.high_watermark).collect::<Vec<_>>(), [1, 1]);
    assert_eq!(bench.parked(), 0);
}

#[tokio::test]
async fn partitions_without_news_answer_how_they_stand_at_the_end() {
    let bench = Bench::new();
    bench.lead_both(&[NODE]);
    bench.append(0);
    let fetch = bench.fetch(params(CONSUMER, 1), [1, 0]).await;
    assert_eq!(bench.replicas.delete_records(&tp(0), -1), Ok(1));
    bench.append(1);
    let answers = answer(fetch).await;
    assert_eq!(sizes(&answers), [0, batch().len()]);
    assert_eq!((answers[0].high_watermark, answers[0].log_start_offset), (1, 1));
    assert_eq!(answers[0].last_stable_offset, 1);
}

#[tokio::test]
async fn what_is_there_already_counts_with_what_comes() {
    let bench = Bench::new();
    bench.lead_both(&[NODE]);
    bench.append(0);
    let fetch = bench.fetch(params(CONSUMER, batch().len() + 1), [0, 0]).await;
    bench.append(1);
    assert_eq!(sizes(&answer(fetch).await), [batch().len(); 2]);
}

#[tokio::test]
async fn consumers_wait_for_what_is_replicated_and_followers_do_not() {
    let bench = Bench::new();
    bench.lead_both(&[NODE, 2]);
    let consumer = bench.fetch(params(CONSUMER, 1), [0, 0]).await;
    let committed = bench.fetch(params(FetchIsolation::TxnCommitted, 1), [0, 0]).await;
    let follower = bench.fetch(params(FetchIsolation::LogEnd, 1), [0, 0]).await;
    bench.append(0);
    assert_eq!(sizes(&answer(follower).await), [batch().len(), 0]);
    settle().await;
    assert!(!consumer.is_finished() && !committed.is_finished());
    bench.lead(0, NODE, 0, &[NODE]);
    assert_eq!(sizes(&answer(consumer).await), [batch().len(), 0]);
    let answers = answer(committed).await;
    assert_eq!(sizes(&answers), [batch().len(), 0]);
    assert!(answers.iter().all(|a| a.aborted_transactions.as_ref().is_some_and(Vec::is_empty)));
}

#[tokio::test]
async fn a_leader_that_is_one_no_more_answers_at_once() {
    let bench = Bench::new();
    bench.lead_both(&[NODE]);
    let fetch = bench.fetch(params(CONSUMER, 1), [0, 0]).await;
    bench.lead(1, 2, 1, &[NODE, 2]);
    let answers = answer(fetch).await;
    assert_eq!((answers[0].error, answers[1].error), (ErrorCode::None, ErrorCode::NotLeaderOrFollower));
    bench.lead(1, NODE, 2, &[NODE]);
    let fetch = bench.fetch(params(CONSUMER, 1), [0, 0]).await;
    bench.lead(1, NODE, 2, &[NODE, 2]);
    settle().await;
    assert!(!fetch.is_finished(), "another set of replicas in sync is no news to a consumer");
    bench.replicas.delete_all(&[tp(1)]);
    assert_eq!(answer(fetch).await[1].error, ErrorCode::NotLeaderOrFollower);
}

#[tokio::test]
async fn a_follower_that_parted_from_its_leader_learns_it() {
    let bench = Bench::new();
    bench.lead_both(&[NODE, 2]);
    bench.append(0);
    let mut parted = info(0, 1);
    (parted.current_leader_epoch, parted.last_fetched_epoch) = (Some(0), Some(0));
    let replicas = Arc::clone(&bench.replicas);
    let follower = params(FetchIsolation::LogEnd, 1);
    let fetch = tokio::spawn(async move { replicas.fetch_messages(&follower, &[parted]).await });
    settle().await;
    bench.lead(0, NODE, 3, &[NODE, 2]);
    assert_eq!(answer(fetch).await[0].error, ErrorCode::FencedLeaderEpoch);
    let mut parted = info(0, 2);
    (parted.current_leader_epoch, parted.last_fetched_epoch) = (Some(3), Some(2));
    bench.append(0);
    let answers = bench.replicas.fetch_messages(&params(FetchIsolation::LogEnd, 1), &[parted]).await;
    assert_eq!(answers[0].diverging_epoch, Some((0, 1)));
}

#[tokio::test]
async fn a_reader_whose_records_are_deleted_learns_it() {
    let bench = Bench::new();
    bench.lead_both(&[NODE]);
    bench.append(0);
    bench.append(0);
    let fetch = bench.fetch(params(CONSUMER, 1_000_000), [1, 0]).await;
    assert_eq!(bench.replicas.delete_records(&tp(0), -1), Ok(2));
    assert_eq!(answer(fetch).await[0].error, ErrorCode::OffsetOutOfRange);
}

#[tokio::test]
async fn who_hangs_up_leaves_nothing_behind() {
    let bench = Bench::new();
    bench.lead_both(&[NODE]);
    let fetch = bench.fetch(params(CONSUMER, 1), [0, 0]).await;
    assert_eq!(bench.parked(), 2);
    fetch.abort();
    assert!(fetch.await.unwrap_err().is_cancelled());
    assert_eq!(bench.parked(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_fetch_is_answered_when_its_time_is_up() {
    let bench = Bench::new();
    bench.lead_both(&[NODE]);
    bench.append(1);
    let fetch = bench.fetch(params(CONSUMER, 1_000_000), [0, 0]).await;
    let begin = Instant::now();
    let answers = fetch.await.unwrap();
    assert_eq!(sizes(&answers), [0, batch().len()]);
    assert!(begin.elapsed() >= Duration::from_millis(LONG_MS as u64 - 1));
    assert_eq!(bench.parked(), 0);
}

#[tokio::test]
async fn a_produce_waits_for_the_replicas_in_sync() {
    let bench = Bench::with_config(LogConfig { min_insync_replicas: 2, ..Default::default() });
    bench.lead_both(&[NODE, 2]);
    let offsets = [(tp(0), bench.append(0)), (tp(1), bench.append(1))];
    let replicas = Arc::clone(&bench.replicas);
    let produce = tokio::spawn(async move { replicas.wait_until_committed(&offsets, LONG_MS).await });
    settle().await;
    bench.lead(0, NODE, 0, &[NODE]);
    settle().await;
    assert!(!produce.is_finished(), "the other partition is waited for");
    bench.lead(1, 2, 1, &[2]);
    let codes = answer(produce).await;
    assert_eq!(codes, [ErrorCode::NotEnoughReplicasAfterAppend, ErrorCode::NotLeaderOrFollower]);
    assert_eq!(bench.parked(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_produce_that_waits_in_vain_is_late() {
    let bench = Bench::new();
    bench.lead(0, NODE, 0, &[NODE, 2]);
    let offsets = [(tp(0), bench.append(0)), (tp(7), 3)];
    let codes = bench.replicas.wait_until_committed(&offsets, 100).await;
    assert_eq!(codes, [ErrorCode::RequestTimedOut, ErrorCode::NotLeaderOrFollower]);
}

/// A reader at the end of two partitions, and writers that never wait for it: were one wake lost, the
/// reader would wait for a minute.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_wake_is_lost_among_threads() {
    const APPENDS: i64 = 3_000;
    let bench = Arc::new(Bench::new());
    bench.lead_both(&[NODE]);
    let reader = {
        let replicas = Arc::clone(&bench.replicas);
        tokio::spawn(async move {
            let mut offsets = [0, 0];
            while offsets != [APPENDS; 2] {
                let infos = [0, 1].map(|index| info(index, offsets[index as usize]));
                let answers = replicas.fetch_messages(&params(CONSUMER, 1), &infos).await;
                for (offset, answer) in offsets.iter_mut().zip(&answers) {
                    *offset += (answer.records.size_in_bytes() / batch().len()) as i64;
                }
            }
        })
    };
    let writers: Vec<_> = [0, 1]
        .map(|index| {
            let bench = Arc::clone(&bench);
            tokio::spawn(async move {
                for _ in 0..APPENDS {
                    bench.append(index);
                    yield_now().await;
                }
            })
        })
        .into();
    for writer in writers {
        answer(writer).await;
    }
    answer(reader).await;
    assert_eq!(bench.parked(), 0);
}

fn end(committed: bool) -> EndTransaction {
    EndTransaction {
        producer_id: 5,
        producer_epoch: 0,
        coordinator_epoch: 0,
        committed,
        transaction_version: TransactionVersion::TV_0,
    }
}

#[tokio::test]
async fn who_reads_what_is_committed_waits_for_transactions_to_end() {
    let bench = Bench::trusting(LogConfig::default());
    bench.lead_both(&[NODE]);
    let partition = bench.partition(0);
    partition.append(transactional(5, 0, 0), 1).unwrap();
    let committed = bench.fetch(params(FetchIsolation::TxnCommitted, 1), [0, 0]).await;
    bench.append(0);
    settle().await;
    assert!(!committed.is_finished(), "nothing behind an open transaction is to be seen");
    partition.append_end_transaction_marker(&end(false), NOW).unwrap();
    let answers = answer(committed).await;
    assert_eq!((answers[0].last_stable_offset, answers[0].high_watermark), (3, 3));
    assert!(answers[0].records.size_in_bytes() > 2 * batch().len());
    assert_eq!(answers[0].aborted_transactions, Some(vec![(5, 0)]));
    assert_eq!(answers[1].aborted_transactions, Some(Vec::new()));
    let all = bench.replicas.fetch_messages(&params(CONSUMER, 1), &[info(0, 0)]).await;
    assert_eq!(all[0].aborted_transactions, None, "only those are told who asked for what is committed");
}

#[tokio::test]
async fn a_transaction_ends_when_its_marker_is_replicated() {
    let bench = Bench::trusting(LogConfig::default());
    bench.lead_both(&[NODE]);
    let partition = bench.partition(0);
    partition.append(transactional(5, 0, 0), 1).unwrap();
    bench.lead(0, NODE, 0, &[NODE, 2]);
    let committed = bench.fetch(params(FetchIsolation::TxnCommitted, 1), [0, 0]).await;
    let marker = partition.append_end_transaction_marker(&end(true), NOW).unwrap();
    settle().await;
    assert!(!marker.is_committed && !committed.is_finished());
    bench.lead(0, NODE, 0, &[NODE]);
    let answers = answer(committed).await;
    assert_eq!((answers[0].last_stable_offset, answers[0].high_watermark), (2, 2));
    assert_eq!(answers[0].aborted_transactions, Some(Vec::new()));
}

#[tokio::test]
async fn an_abort_is_told_with_records_in_segments_before_its_marker() {
    let size = transactional(5, 0, 0).len();
    let bench = Bench::trusting(LogConfig { segment_bytes: 2 * size, ..Default::default() });
    bench.lead_both(&[NODE]);
    let partition = bench.partition(0);
    for sequence in 0..5 {
        partition.append(transactional(5, 0, sequence), 1).unwrap();
    }
    partition.append_end_transaction_marker(&end(false), NOW).unwrap();
    assert_eq!(partition.log().number_of_segments(), 3);
    for offset in [0, 2, 3, 5] {
        let committed = params(FetchIsolation::TxnCommitted, 1);
        let answers = bench.replicas.fetch_messages(&committed, &[info(0, offset)]).await;
        assert!(!answers[0].records.is_empty());
        assert_eq!(answers[0].aborted_transactions, Some(vec![(5, 0)]), "from {offset}");
    }
}

use std::sync::{Arc, Weak};

use ottla_common::time::SystemTime;
use ottla_coordinator::runtime::TransactionResult;
use ottla_coordinator::transaction::{TransactionMarkers, TransactionPartitions, TransactionVersion};
use tokio::sync::mpsc;

use super::markers::{MarkerNews, MarkerTask};
use super::testing::FakeLeaders;
use crate::coordinator::runtime::Source;
use crate::coordinator::runtime::testing::until;

fn source(partition: i32, leader_epoch: i32) -> Source {
    Source { partition, leader_epoch }
}

fn send(partition: i32, epoch: i32, producer_id: i64) -> MarkerNews {
    let markers = TransactionMarkers {
        transactional_id: "tx".into(),
        producer_id,
        producer_epoch: 0,
        coordinator_epoch: epoch,
        result: TransactionResult::Commit,
        transaction_version: TransactionVersion::V2,
        partitions: [("pagos".into(), 0)].into_iter().collect::<TransactionPartitions>(),
    };
    MarkerNews::Send(source(partition, epoch), markers)
}

/// Which producers' markers go out after this news.
async fn sent(news: Vec<MarkerNews>) -> Vec<i64> {
    let leaders = Arc::new(FakeLeaders::default());
    let task = MarkerTask::new(leaders.clone(), Weak::new(), Arc::new(SystemTime::default()));
    let (sender, receiver) = mpsc::unbounded_channel();
    for news in news {
        sender.send(news).unwrap();
    }
    // The last one, which is always sent, tells that all the others were heard.
    sender.send(send(9, 1, -9)).unwrap();
    let running = tokio::spawn(task.run(receiver));
    until("all heard", async || leaders.markers().iter().any(|marker| marker.producer_id == -9)).await;
    drop(sender);
    running.await.unwrap();
    let ids = leaders.markers().into_iter().map(|marker| marker.producer_id);
    ids.filter(|id| *id != -9).collect()
}

#[tokio::test]
async fn markers_of_a_shard_that_is_gone_do_not_go_out() {
    assert_eq!(sent(vec![send(0, 1, 7), send(1, 1, 8)]).await, [7, 8]);
    let gone = vec![send(0, 1, 7), send(1, 1, 8), MarkerNews::Unloaded(source(0, 1))];
    assert_eq!(sent(gone).await, [8]);
}

#[tokio::test]
async fn the_end_of_an_older_shard_takes_nothing_from_the_newer() {
    let late = vec![send(0, 1, 7), send(0, 2, 8), MarkerNews::Unloaded(source(0, 1))];
    assert_eq!(sent(late).await, [8], "the newer one took over what the older had begun");
    let older = vec![send(0, 2, 8), send(0, 1, 7)];
    assert_eq!(sent(older).await, [8]);
    let both = vec![send(0, 1, 7), MarkerNews::Unloaded(source(0, 2)), send(0, 1, 7)];
    assert_eq!(sent(both).await, Vec::<i64>::new());
}

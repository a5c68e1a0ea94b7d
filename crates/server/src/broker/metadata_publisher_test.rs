use ottla_protocol::records::metadata::{MetadataRecord, NoOpRecord, RemoveTopicRecord};

use super::*;

fn batch(base_offset: i64, record: MetadataRecord) -> Arc<CommittedBatch> {
    Arc::new(CommittedBatch {
        base_offset,
        last_offset: base_offset,
        epoch: 1,
        append_timestamp: 0,
        size_in_bytes: 70,
        records: vec![ApiMessageAndVersion { message: record, version: 0 }],
    })
}

fn no_op(offset: i64) -> Arc<CommittedBatch> {
    batch(offset, MetadataRecord::NoOpRecord(NoOpRecord::default()))
}

#[test]
fn what_says_nothing_wakes_nobody_who_is_up_to_date() {
    let (sender, mut news) = mpsc::unbounded_channel();
    let (applied, offset) = watch::channel(4);
    let mut listener = PublisherListener { news: sender, applied, withheld: Vec::new() };
    listener.handle_commit(&[no_op(5)]);
    listener.handle_commit(&[no_op(6)]);
    assert!(news.try_recv().is_err());
    assert_eq!(*offset.borrow(), 6);
    listener.handle_commit(&[batch(7, MetadataRecord::RemoveTopicRecord(RemoveTopicRecord::default()))]);
    let Ok(News::Commit(batches)) = news.try_recv() else { panic!("there is news") };
    assert_eq!(batches.iter().map(|b| b.base_offset).collect::<Vec<_>>(), [5, 6, 7]);
    assert_eq!(*offset.borrow(), 6, "the publisher has not applied it yet");
    listener.handle_commit(&[no_op(8)]);
    assert!(news.try_recv().is_ok(), "it comes behind what is not applied yet");
}

#[test]
fn an_image_does_not_fall_behind_for_ever() {
    let (sender, mut news) = mpsc::unbounded_channel();
    let (applied, _offset) = watch::channel(0);
    let mut listener = PublisherListener { news: sender, applied, withheld: Vec::new() };
    for offset in 1..=WITHHELD_MAX as i64 {
        listener.handle_commit(&[no_op(offset)]);
    }
    assert!(news.try_recv().is_err());
    listener.handle_commit(&[no_op(WITHHELD_MAX as i64 + 1)]);
    assert!(matches!(news.try_recv(), Ok(News::Commit(batches)) if batches.len() == WITHHELD_MAX + 1));
}

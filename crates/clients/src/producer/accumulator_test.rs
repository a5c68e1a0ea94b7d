//! What the accumulator lets go to the brokers while a transaction is open.

use ottla_common::TopicPartition;
use ottla_record::RecordBatch;
use tokio::time::Instant;

use super::ProducerRecord;
use super::accumulator::{Batch, Drained, Producer, RecordAccumulator};
use super::settings::ProducerSettings;

const NODE: i32 = 1;

fn accumulator(settings: &[(&str, &str)]) -> RecordAccumulator {
    let config = settings.iter().copied().chain([("linger.ms", "0")]).collect();
    RecordAccumulator::new(ProducerSettings::new(&config).unwrap())
}

fn tp(partition: i32) -> TopicPartition {
    TopicPartition::new("t", partition)
}

fn append(accumulator: &mut RecordAccumulator, partition: i32, now: Instant) {
    let record = ProducerRecord::new("t", None, Some("v".into()));
    let appended = accumulator.append(now, tp(partition), &record, (1, 10), Box::new(|_| {}));
    assert!(appended.is_ok());
}

fn drain(accumulator: &mut RecordAccumulator, now: Instant, allowed: &[i32]) -> Drained {
    accumulator.drain(now, |_| Some(NODE), |tp| allowed.contains(&tp.partition))
}

fn only(mut drained: Drained) -> (TopicPartition, Batch) {
    let mut batches = drained.requests.remove(&NODE).unwrap();
    assert_eq!(batches.len(), 1);
    batches.remove(0)
}

fn identity(batch: &Batch) -> (i64, i16, i32, bool) {
    let batch = RecordBatch::new(batch.bytes()).unwrap();
    (batch.producer_id(), batch.producer_epoch(), batch.base_sequence(), batch.is_transactional())
}

#[test]
fn a_partition_waits_until_the_transaction_knows_it() {
    let now = Instant::now();
    let mut accumulator = accumulator(&[("transactional.id", "x")]);
    accumulator.reset(Producer { id: 7, epoch: 2 });
    append(&mut accumulator, 0, now);
    append(&mut accumulator, 1, now);
    assert!(drain(&mut accumulator, now, &[]).requests.is_empty());
    let (of, batch) = only(drain(&mut accumulator, now, &[1]));
    assert_eq!((of, identity(&batch)), (tp(1), (7, 2, 0, true)));
}

#[test]
fn sequences_go_on_in_the_next_transaction_and_begin_anew_with_a_new_epoch() {
    let now = Instant::now();
    let mut accumulator = accumulator(&[("transactional.id", "x")]);
    accumulator.reset(Producer { id: 7, epoch: 0 });
    for (sequence, epoch) in [(0, 0), (1, 0), (0, 1)] {
        if epoch == 1 {
            accumulator.reset(Producer { id: 7, epoch: 1 });
        }
        append(&mut accumulator, 0, now);
        let (of, batch) = only(drain(&mut accumulator, now, &[0]));
        assert_eq!(identity(&batch), (7, epoch, sequence, true));
        accumulator.succeeded(&of, &batch);
        accumulator.request_done(NODE);
    }
}

#[test]
fn an_abort_takes_only_what_was_never_sent() {
    let now = Instant::now();
    let mut accumulator = accumulator(&[("transactional.id", "x")]);
    accumulator.reset(Producer { id: 7, epoch: 0 });
    append(&mut accumulator, 0, now);
    let (of, batch) = only(drain(&mut accumulator, now, &[0]));
    append(&mut accumulator, 0, now);
    append(&mut accumulator, 1, now);
    accumulator.request_done(NODE);
    accumulator.retry(&of, batch, now);
    assert_eq!(accumulator.incomplete, 3);
    assert_eq!(accumulator.abort_unsent().len(), 2);
    assert_eq!(accumulator.incomplete, 1);
    let (of, batch) = only(drain(&mut accumulator, now, &[0]));
    assert_eq!(identity(&batch), (7, 0, 0, true));
    accumulator.failed(&of, &batch);
    assert!(accumulator.needs_reset && accumulator.is_quiet() && accumulator.incomplete == 0);
}

#[test]
fn a_gap_stops_an_idempotent_producer_but_not_a_transactional_one() {
    let now = Instant::now();
    for (settings, stops) in [(&[][..], true), (&[("transactional.id", "x")][..], false)] {
        let mut accumulator = accumulator(settings);
        accumulator.reset(Producer { id: 7, epoch: 0 });
        accumulator.needs_reset = true;
        append(&mut accumulator, 0, now);
        assert_eq!(drain(&mut accumulator, now, &[0]).requests.is_empty(), stops);
    }
}

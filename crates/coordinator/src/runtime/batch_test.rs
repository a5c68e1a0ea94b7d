//! What sharing a batch means, with a state machine that only collects what it hears.

use super::*;

#[derive(Debug, Clone, Default)]
struct Collector {
    replayed: Vec<(i64, i64, u8)>,
    applied: Vec<u8>,
}

type Decision = CoordinatorResult<(), Collector>;

impl CoordinatorShard for Collector {
    type Record = u8;
    type Change = u8;
    type Reply = ();
    type Effect = ();
    type Continuation = ();
    type TimerKey = u8;
    type TimerEvent = u8;

    fn encode(record: &u8) -> Result<LogEntry, ErrorCode> {
        Ok(LogEntry { key: vec![*record].into(), value: None })
    }

    fn replay(&mut self, offset: i64, producer_id: i64, record: &u8) {
        self.replayed.push((offset, producer_id, *record));
    }

    fn replay_end_transaction_marker(&mut self, _: i64, _: TransactionResult) {}

    fn apply(&mut self, change: u8) {
        self.applied.push(change);
    }

    fn on_timer(&self, _: i64, event: &u8) -> Decision {
        Decision::with_records(vec![*event], ())
    }

    fn on_append(&self, _: i64, (): (), _: Result<(), ErrorCode>) -> Decision {
        Decision::of(())
    }

    fn on_loaded(&self, _: i64) -> Decision {
        Decision::of(())
    }

    fn on_unloaded(&self) -> Vec<(Token, ())> {
        Vec::new()
    }
}

#[derive(Debug, Default)]
struct Log {
    batches: Vec<(Option<i64>, Vec<u8>)>,
    /// Records of somebody else.
    foreign: i64,
    refuse: Option<ErrorCode>,
    hold: bool,
    max_batch_bytes: Option<usize>,
}

impl CoordinatorLog for Log {
    fn append(
        &mut self,
        _: i64,
        entries: &[LogEntry],
        producer: Option<TransactionalProducer>,
    ) -> Result<i64, ErrorCode> {
        if let Some(error) = self.refuse {
            return Err(error);
        }
        let base_offset = self.end_offset();
        let records = entries.iter().map(|entry| entry.key[0]).collect();
        self.batches.push((producer.map(|producer| producer.producer_id), records));
        Ok(base_offset)
    }

    fn append_end_transaction(&mut self, _: i64, _: &EndTransaction) -> Result<i64, ErrorCode> {
        let offset = self.end_offset();
        self.batches.push((None, vec![u8::MAX]));
        Ok(offset)
    }

    fn end_offset(&self) -> i64 {
        self.foreign + self.batches.iter().map(|(_, records)| records.len() as i64).sum::<i64>()
    }

    fn high_watermark(&self) -> i64 {
        if self.hold { 0 } else { self.end_offset() }
    }

    fn max_batch_bytes(&self) -> usize {
        self.max_batch_bytes.unwrap_or(usize::MAX)
    }
}

struct Fixture {
    context: CoordinatorContext<Collector, &'static str>,
    log: Log,
}

impl Fixture {
    fn new(linger: AppendLinger) -> Self {
        let mut log = Log::default();
        let mut context = CoordinatorLoad::new(Collector::default()).finish(0, 1_000, &mut log);
        context.set_linger(linger);
        Self { context, log }
    }

    fn write(&mut self, now_ms: i64, records: &[u8], event: &'static str) {
        self.execute(now_ms, Decision::with_records(records.to_vec(), ()), event);
    }

    fn execute(&mut self, now_ms: i64, decision: Decision, event: &'static str) {
        self.context.execute(now_ms, decision, Some(event), &mut self.log);
    }

    fn idle(&mut self) {
        self.context.on_idle(0, &mut self.log);
    }

    fn completed(&mut self) -> Vec<(&'static str, Result<(), ErrorCode>)> {
        let outputs = self.context.take_outputs().into_iter();
        let completed = outputs.filter_map(|output| match output {
            Output::Complete(event, outcome) => Some((event, outcome)),
            Output::Reply(..) | Output::Effect(()) => None,
        });
        completed.collect()
    }

    fn batches(&self) -> Vec<&[u8]> {
        self.log.batches.iter().map(|(_, records)| &records[..]).collect()
    }
}

const PRODUCER: TransactionalProducer = TransactionalProducer { producer_id: 9, producer_epoch: 0 };

#[test]
fn without_linger_each_decision_is_a_batch() {
    let mut t = Fixture::new(AppendLinger::Off);
    t.write(0, &[1, 2], "a");
    t.write(0, &[3], "b");
    assert_eq!(t.batches(), [&[1, 2][..], &[3]]);
    assert_eq!(t.completed(), [("a", Ok(())), ("b", Ok(()))]);
    assert_eq!(t.context.committed().replayed, [(0, -1, 1), (1, -1, 2), (2, -1, 3)]);
}

#[test]
fn decisions_share_a_batch_until_there_is_nothing_more_to_decide() {
    let mut t = Fixture::new(AppendLinger::Adaptive);
    t.write(0, &[1, 2], "a");
    t.write(0, &[3], "b");
    t.execute(0, Decision::of(()), "reads what is not written yet");
    assert_eq!(t.context.shard().replayed.len(), 3, "each decision sees the ones before it");
    assert!(t.batches().is_empty() && t.completed().is_empty());
    t.idle();
    assert_eq!(t.batches(), [&[1, 2, 3][..]]);
    let expected = [("a", Ok(())), ("b", Ok(())), ("reads what is not written yet", Ok(()))];
    assert_eq!(t.completed(), expected);
    t.idle();
    assert_eq!(t.batches().len(), 1);
}

#[test]
fn a_batch_waits_no_longer_than_told() {
    let mut t = Fixture::new(AppendLinger::Millis(5));
    t.write(100, &[1], "a");
    t.write(103, &[2], "b");
    t.idle();
    assert_eq!(t.context.next_deadline(), Some(105));
    t.context.on_time(104, &mut t.log);
    assert!(t.batches().is_empty());
    t.context.on_time(105, &mut t.log);
    assert_eq!(t.batches(), [&[1, 2][..]]);
    assert_eq!(t.context.next_deadline(), None);
}

#[test]
fn a_clock_that_is_set_changes_no_linger() {
    let mut t = Fixture::new(AppendLinger::Millis(5));
    t.write(100, &[1], "a");
    t.context.on_clock_set(-1_000);
    assert_eq!(t.context.next_deadline(), Some(-895));
}

#[test]
fn what_is_refused_never_was_and_what_is_in_no_log_stays() {
    let mut t = Fixture::new(AppendLinger::Adaptive);
    t.write(0, &[1], "committed");
    t.idle();
    t.execute(0, Decision { changes: vec![7], ..Decision::with_records(vec![2], ()) }, "a");
    t.execute(0, Decision { changes: vec![8], ..Decision::with_records(vec![3], ()) }, "b");
    t.log.refuse = Some(ErrorCode::KafkaStorageError);
    t.idle();
    let refused = Err(ErrorCode::KafkaStorageError);
    assert_eq!(t.completed(), [("committed", Ok(())), ("a", refused), ("b", refused)]);
    assert_eq!(t.context.shard().replayed, [(0, -1, 1)]);
    assert_eq!(t.context.shard().applied, [7, 8]);
    t.log.refuse = None;
    t.write(0, &[4], "c");
    t.idle();
    assert_eq!(t.context.shard().replayed, [(0, -1, 1), (1, -1, 4)]);
}

#[test]
fn records_of_a_transaction_share_a_batch_with_no_others() {
    let mut t = Fixture::new(AppendLinger::Adaptive);
    t.write(0, &[1], "a");
    t.execute(0, Decision { producer: Some(PRODUCER), ..Decision::with_records(vec![2, 3], ()) }, "b");
    t.write(0, &[4], "c");
    t.idle();
    let expected = [(None, vec![1]), (Some(9), vec![2, 3]), (None, vec![4])];
    assert_eq!(t.log.batches, expected);
    assert_eq!(t.context.shard().replayed[1], (1, 9, 2));
}

#[test]
fn a_decision_upon_records_that_are_refused_is_refused_as_well() {
    let mut t = Fixture::new(AppendLinger::Adaptive);
    t.write(0, &[1], "a");
    t.log.refuse = Some(ErrorCode::NotLeaderOrFollower);
    t.execute(0, Decision { producer: Some(PRODUCER), ..Decision::with_records(vec![2], ()) }, "b");
    let refused = Err(ErrorCode::NotLeaderOrFollower);
    assert_eq!(t.completed(), [("a", refused), ("b", refused)]);
    assert!(t.context.shard().replayed.is_empty());
}

#[test]
fn a_marker_comes_behind_what_was_decided_before_it() {
    let mut t = Fixture::new(AppendLinger::Adaptive);
    t.write(0, &[1], "a");
    let end = EndTransaction {
        producer: PRODUCER,
        coordinator_epoch: 0,
        result: TransactionResult::Commit,
        transaction_version: 2,
    };
    t.context.complete_transaction(0, &end, "marker", &mut t.log);
    assert_eq!(t.batches(), [&[1][..], &[u8::MAX]]);
    assert_eq!(t.completed(), [("a", Ok(())), ("marker", Ok(()))]);
}

#[test]
fn a_full_batch_is_appended() {
    let mut t = Fixture::new(AppendLinger::Adaptive);
    // Two records fit: each is a byte and what it costs to be a record.
    t.log.max_batch_bytes = Some(61 + 2 * 41);
    t.write(0, &[1], "a");
    t.write(0, &[2, 3], "b");
    assert_eq!(t.batches(), [&[1][..]], "the second decision's records stay together");
    let many = Decision { atomic: false, ..Decision::with_records(vec![4, 5, 6], ()) };
    t.execute(0, many, "c");
    t.idle();
    assert_eq!(t.batches(), [&[1][..], &[2, 3], &[4, 5], &[6]]);
}

#[test]
fn a_log_that_somebody_else_appended_to_must_be_loaded_again() {
    let mut t = Fixture::new(AppendLinger::Adaptive);
    t.write(0, &[1], "a");
    t.log.foreign = 1;
    t.idle();
    assert!(t.context.is_out_of_sync());
    assert_eq!(t.completed(), [("a", Err(ErrorCode::NotCoordinator))]);
    assert!(t.context.shard().replayed.is_empty());
}

#[test]
fn who_waits_for_an_open_batch_is_told_when_the_coordinator_goes() {
    let mut t = Fixture::new(AppendLinger::Adaptive);
    t.write(0, &[1], "a");
    let outputs = t.context.unload();
    assert!(matches!(outputs[..], [Output::Complete("a", Err(ErrorCode::NotCoordinator))]));
}

#[test]
fn the_configuration_names_three_ways() {
    assert_eq!(AppendLinger::from_config(-1), AppendLinger::Adaptive);
    assert_eq!(AppendLinger::from_config(0), AppendLinger::Off);
    assert_eq!(AppendLinger::from_config(5), AppendLinger::Millis(5));
}

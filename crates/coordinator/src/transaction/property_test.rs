//! Transactional ids under whatever producers, time, markers and the log may do to them.

use std::collections::{BTreeMap, BTreeSet};

use ottla_common::ErrorCode;
use proptest::prelude::*;

use super::testing::{MemoryLog, NEW_END, TestContext};
use super::{MarkerOutcome, TransactionConfig, TransactionState, TransactionVersion};
use crate::runtime::TransactionResult;

#[derive(Debug, Clone)]
enum Op {
    Init { forget: bool },
    Add { partition: i32 },
    End { committed: bool },
    AnswerMarkers { keep: usize },
    Advance { ms: i64 },
    Hold(bool),
    Refuse(bool),
    CommitAll,
    Restart,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        3 => any::<bool>().prop_map(|forget| Op::Init { forget }),
        8 => (0i32..4).prop_map(|partition| Op::Add { partition }),
        8 => any::<bool>().prop_map(|committed| Op::End { committed }),
        6 => (0usize..3).prop_map(|keep| Op::AnswerMarkers { keep }),
        4 => (0i64..40_000).prop_map(|ms| Op::Advance { ms }),
        1 => any::<bool>().prop_map(Op::Hold),
        1 => any::<bool>().prop_map(Op::Refuse),
        2 => Just(Op::CommitAll),
        1 => Just(Op::Restart),
    ]
}

/// A coordinator, a producer, and what partitions were told.
struct World {
    t: TestContext,
    producer: (i64, i16),
    /// By the producer id and epoch of the markers: with the epoch bumped at every end there is one
    /// transaction to each.
    ends: BTreeMap<(i64, i16), TransactionResult>,
    /// Every id and epoch that a producer was given by its initialization.
    given: BTreeSet<(i64, i16)>,
}

impl World {
    fn new() -> Self {
        let mut t = TestContext::new(TransactionVersion::V2);
        let producer = t.initialized();
        Self { t, producer, ends: BTreeMap::new(), given: BTreeSet::from([producer]) }
    }

    fn step(&mut self, op: &Op) {
        match op {
            Op::Init { forget } => self.init(*forget),
            Op::Add { partition } => {
                let mut transaction = self.t.transaction_of(&[*partition]);
                (transaction.producer_id, transaction.producer_epoch) = self.producer;
                self.t.add(4, &transaction);
            }
            Op::End { committed } => self.end(*committed),
            Op::AnswerMarkers { keep } => self.answer_markers(*keep),
            Op::Advance { ms } => self.t.advance(*ms),
            Op::Hold(hold) => self.t.log.hold = *hold,
            Op::Refuse(refuse) => self.t.log.refuse = refuse.then_some(ErrorCode::NotEnoughReplicas),
            Op::CommitAll => self.t.commit_all(),
            Op::Restart => self.restart(),
        }
        self.note_markers();
    }

    fn init(&mut self, forget: bool) {
        let mut request = self.t.init_request();
        if !forget {
            (request.producer_id, request.producer_epoch) = self.producer;
        }
        let decision = self.t.shard().init_producer_id(self.t.now_ms, 5, &request);
        let (response, event) = self.t.execute(decision);
        if response.error_code == 0 && self.t.outcome(event) == Some(Ok(())) {
            let producer = (response.producer_id, response.producer_epoch);
            let is_new = self.given.insert(producer);
            // Only who tells what it has may be told the same again.
            assert!(is_new || !forget, "PRODUCER-EPOCH-GIVEN-ONCE: {producer:?}");
            self.producer = producer;
        }
    }

    fn end(&mut self, committed: bool) {
        let mut request = self.t.end_request(committed);
        (request.producer_id, request.producer_epoch) = self.producer;
        let decision = self.t.shard().end_transaction(self.t.now_ms, NEW_END, &request);
        let (response, event) = self.t.execute(decision);
        if response.error_code == 0 && self.t.outcome(event) == Some(Ok(())) {
            self.producer = (response.producer_id, response.producer_epoch);
            self.given.insert(self.producer);
        }
    }

    /// All markers but so many are written.
    fn answer_markers(&mut self, keep: usize) {
        let count = self.t.markers.len().saturating_sub(keep);
        for markers in self.t.markers.drain(..count).collect::<Vec<_>>() {
            self.t.answer(&markers, MarkerOutcome::Written);
        }
    }

    /// Another coordinator finds what is in the log; markers under way are lost, and sent again.
    fn restart(&mut self) {
        let log = std::mem::take(&mut self.t.log);
        let records = log.records;
        let high_watermark = records.len() as i64;
        let log = MemoryLog { records, high_watermark, ..Default::default() };
        let config = TransactionConfig::default();
        self.t = TestContext::on(config, TransactionVersion::V2, log, self.t.now_ms);
    }

    fn note_markers(&mut self) {
        for markers in &self.t.markers {
            let key = (markers.producer_id, markers.producer_epoch);
            let result = *self.ends.entry(key).or_insert(markers.result);
            assert_eq!(result, markers.result, "TXN-ONE-END: {markers:?}");
        }
    }

    fn settle(&mut self) {
        (self.t.log.hold, self.t.log.refuse) = (false, None);
        for _ in 0..4 {
            self.t.commit_all();
            self.note_markers();
            self.answer_markers(0);
            self.t.advance(100_000);
        }
        self.note_markers();
        let metadata = self.t.metadata();
        assert_eq!(metadata.pending_state, None, "{metadata:?}");
        assert!(metadata.state.is_expiration_allowed(), "TXN-ENDS: {metadata:?}");
        assert!(metadata.partitions.is_empty() || metadata.state == TransactionState::Empty);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_transaction_ends_once_and_every_epoch_is_given_once(ops in prop::collection::vec(op(), 1..60)) {
        let mut world = World::new();
        for op in &ops {
            world.step(op);
        }
        world.settle();
    }
}

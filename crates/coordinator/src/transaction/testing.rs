//! A transaction coordinator on a log in memory, whose time goes only when told to, and whose markers
//! are written when the test says so.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytestring::ByteString;
use ottla_common::ErrorCode;
use ottla_protocol::messages::add_partitions_to_txn_request::{
    AddPartitionsToTxnTopic, AddPartitionsToTxnTransaction,
};
use ottla_protocol::messages::add_partitions_to_txn_response::AddPartitionsToTxnResult;
use ottla_protocol::messages::{
    EndTxnRequest, EndTxnResponse, InitProducerIdRequest, InitProducerIdResponse,
};

use super::{
    MarkerOutcome, MarkersWritten, TransactionConfig, TransactionCoordinatorShard, TransactionDecision,
    TransactionEffect, TransactionMarkers, TransactionMetadata, TransactionRecord, TransactionState,
    TransactionVersion, append_error,
};
use crate::runtime::{
    CoordinatorContext, CoordinatorLoad, CoordinatorLog, EndTransaction, LogEntry, Output,
    TransactionalProducer,
};

pub(super) const TX: &str = "pagos-tx";
pub(super) const COORDINATOR_EPOCH: i32 = 9;
/// The first of the producer ids that the coordinator gets.
pub(super) const FIRST_ID: i64 = 1_000;
pub(super) const TIMEOUT_MS: i32 = 60_000;
/// The newest version of EndTxn that bumps no epoch.
pub(super) const OLD_END: i16 = 4;
/// The first version of EndTxn that bumps the epoch.
pub(super) const NEW_END: i16 = 5;

#[derive(Debug, Default)]
pub(super) struct MemoryLog {
    pub(super) records: Vec<TransactionRecord>,
    /// What the next appends are answered with.
    pub(super) refuse: Option<ErrorCode>,
    /// Whether commits come by [`TestContext::commit_all`] only.
    pub(super) hold: bool,
    pub(super) high_watermark: i64,
}

impl CoordinatorLog for MemoryLog {
    fn append(
        &mut self,
        _now_ms: i64,
        entries: &[LogEntry],
        _producer: Option<TransactionalProducer>,
    ) -> Result<i64, ErrorCode> {
        if let Some(error) = self.refuse {
            return Err(error);
        }
        let base = self.records.len() as i64;
        for LogEntry { key, value } in entries {
            // What cannot be read and written again is no record.
            let read = TransactionRecord::decode(key.clone(), value.clone()).unwrap();
            assert_eq!(read.encode().unwrap(), (key.clone(), value.clone()));
            self.records.push(read);
        }
        if !self.hold {
            self.high_watermark = self.records.len() as i64;
        }
        Ok(base)
    }

    fn append_end_transaction(&mut self, _now_ms: i64, _end: &EndTransaction) -> Result<i64, ErrorCode> {
        Err(ErrorCode::UnknownServerError)
    }

    fn end_offset(&self) -> i64 {
        self.records.len() as i64
    }

    fn high_watermark(&self) -> i64 {
        self.high_watermark
    }

    fn max_batch_bytes(&self) -> usize {
        usize::MAX
    }
}

pub(super) struct TestContext {
    pub(super) context: CoordinatorContext<TransactionCoordinatorShard, u64>,
    pub(super) log: MemoryLog,
    pub(super) now_ms: i64,
    /// Markers that were sent and not answered.
    pub(super) markers: Vec<TransactionMarkers>,
    /// Whether a wish for producer ids is granted, and where the next block begins.
    pub(super) producer_ids: Option<i64>,
    config: Arc<TransactionConfig>,
    version: TransactionVersion,
    completed: BTreeMap<u64, Result<(), ErrorCode>>,
    next: u64,
}

impl TestContext {
    /// A coordinator of a cluster of this level.
    pub(super) fn new(version: TransactionVersion) -> Self {
        Self::on(TransactionConfig::default(), version, MemoryLog::default(), 1_000_000)
    }

    /// A coordinator that finds this log.
    pub(super) fn on(
        config: TransactionConfig,
        version: TransactionVersion,
        mut log: MemoryLog,
        now_ms: i64,
    ) -> Self {
        let config = Arc::new(config);
        let shard = TransactionCoordinatorShard::new(Arc::clone(&config), COORDINATOR_EPOCH, version);
        let mut load = CoordinatorLoad::new(shard);
        for (offset, record) in (0..).zip(&log.records) {
            load.replay(offset, -1, record);
            load.batch_done(offset, log.high_watermark);
        }
        let context = load.finish(now_ms, 30_000, &mut log);
        let mut this = Self {
            context,
            log,
            now_ms,
            markers: Vec::new(),
            producer_ids: Some(FIRST_ID),
            config,
            version,
            completed: BTreeMap::new(),
            next: 0,
        };
        this.collect();
        this
    }

    /// Another coordinator takes over, from the log alone.
    pub(super) fn restarted(mut self) -> Self {
        self.log.high_watermark = self.log.records.len() as i64;
        Self::on(TransactionConfig::clone(&self.config), self.version, self.log, self.now_ms)
    }

    pub(super) fn shard(&self) -> &TransactionCoordinatorShard {
        self.context.shard()
    }

    pub(super) fn metadata(&self) -> &TransactionMetadata {
        self.shard().transaction(&TX.into()).expect("the transactional id is known")
    }

    pub(super) fn state(&self) -> TransactionState {
        self.metadata().state
    }

    /// The producer id and epoch of the transactional id.
    pub(super) fn producer(&self) -> (i64, i16) {
        (self.metadata().producer_id, self.metadata().producer_epoch)
    }

    /// Brings the transactional id into a state that takes long to get to.
    pub(super) fn tamper(&mut self, change: impl FnOnce(&mut TransactionMetadata)) {
        let mut metadata = self.metadata().clone();
        change(&mut metadata);
        let change = super::TransactionChange::Put(Arc::new(metadata));
        self.execute(super::shard::changed(change));
    }

    /// The states in the log, tombstones as `Dead`.
    pub(super) fn written(&self) -> Vec<TransactionState> {
        let state = |record: &TransactionRecord| match &record.value {
            Some((_, value)) => TransactionState::from_id(value.transaction_status).unwrap(),
            None => TransactionState::Dead,
        };
        self.log.records.iter().map(state).collect()
    }

    /// Carries out a decision; gives what to ask [`Self::outcome`] for.
    pub(super) fn execute<T>(&mut self, decision: TransactionDecision<T>) -> (T, u64) {
        let (decision, response) = decision.split_response();
        self.next += 1;
        let event = self.next;
        self.context.execute(self.now_ms, decision, Some(event), &mut self.log);
        self.collect();
        (response, event)
    }

    pub(super) fn outcome(&self, event: u64) -> Option<Result<(), ErrorCode>> {
        self.completed.get(&event).copied()
    }

    /// What a client is told in the end: the code of the answer, or of the append.
    fn code(&self, event: u64, error_code: i16) -> ErrorCode {
        match self.outcome(event) {
            Some(Ok(())) | None => ErrorCode::from_code(error_code),
            Some(Err(error)) => append_error(error),
        }
    }

    pub(super) fn commit_all(&mut self) {
        self.log.high_watermark = self.log.records.len() as i64;
        self.context.commit(self.now_ms, &mut self.log);
        self.run();
    }

    /// Lets time pass, stopping at every timer.
    pub(super) fn advance(&mut self, by_ms: i64) {
        let until = self.now_ms + by_ms;
        while let Some(deadline) = self.context.next_deadline().filter(|deadline| *deadline <= until) {
            self.now_ms = self.now_ms.max(deadline);
            self.context.on_time(self.now_ms, &mut self.log);
            self.collect();
        }
        self.now_ms = until;
    }

    pub(super) fn init_request(&self) -> InitProducerIdRequest {
        InitProducerIdRequest {
            transactional_id: Some(TX.into()),
            transaction_timeout_ms: TIMEOUT_MS,
            producer_id: -1,
            producer_epoch: -1,
            ..Default::default()
        }
    }

    pub(super) fn init(&mut self, version: i16, request: &InitProducerIdRequest) -> InitProducerIdResponse {
        let decision = self.shard().init_producer_id(self.now_ms, version, request);
        let (mut response, event) = self.execute(decision);
        response.error_code = self.code(event, response.error_code).code();
        response
    }

    /// A producer that begins.
    pub(super) fn initialized(&mut self) -> (i64, i16) {
        let response = self.init(5, &self.init_request());
        assert_eq!(ErrorCode::from_code(response.error_code), ErrorCode::None);
        (response.producer_id, response.producer_epoch)
    }

    pub(super) fn transaction_of(&self, partitions: &[i32]) -> AddPartitionsToTxnTransaction {
        let (producer_id, producer_epoch) = self.producer();
        AddPartitionsToTxnTransaction {
            transactional_id: TX.into(),
            producer_id,
            producer_epoch,
            verify_only: false,
            topics: vec![AddPartitionsToTxnTopic {
                name: "pagos".into(),
                partitions: partitions.to_vec(),
                ..Default::default()
            }],
            ..Default::default()
        }
    }

    pub(super) fn add(
        &mut self,
        version: i16,
        transaction: &AddPartitionsToTxnTransaction,
    ) -> (AddPartitionsToTxnResult, ErrorCode) {
        let decision = self.shard().add_partitions_to_transaction(self.now_ms, version, transaction);
        let (result, event) = self.execute(decision);
        let first = result.topic_results[0].results_by_partition[0].partition_error_code;
        let code = self.code(event, first);
        (result, code)
    }

    /// An open transaction of these partitions.
    pub(super) fn open(&mut self, version: i16, partitions: &[i32]) {
        let transaction = self.transaction_of(partitions);
        assert_eq!(self.add(version, &transaction).1, ErrorCode::None);
        assert_eq!(self.state(), TransactionState::Ongoing);
    }

    pub(super) fn end_request(&self, committed: bool) -> EndTxnRequest {
        let (producer_id, producer_epoch) = self.producer();
        EndTxnRequest {
            transactional_id: TX.into(),
            producer_id,
            producer_epoch,
            committed,
            ..Default::default()
        }
    }

    pub(super) fn end(&mut self, version: i16, request: &EndTxnRequest) -> (EndTxnResponse, ErrorCode) {
        let decision = self.shard().end_transaction(self.now_ms, version, request);
        let (response, event) = self.execute(decision);
        let code = self.code(event, response.error_code);
        (response, code)
    }

    /// Ends the open transaction; the markers are left to be written.
    pub(super) fn end_now(&mut self, version: i16, committed: bool) -> EndTxnResponse {
        let request = self.end_request(committed);
        let (response, code) = self.end(version, &request);
        assert_eq!(code, ErrorCode::None);
        response
    }

    /// Every marker that was sent meets this outcome.
    pub(super) fn answer_markers(&mut self, outcome: MarkerOutcome) {
        for markers in std::mem::take(&mut self.markers) {
            self.answer(&markers, outcome);
        }
    }

    pub(super) fn answer(&mut self, markers: &TransactionMarkers, outcome: MarkerOutcome) {
        let mut written = MarkersWritten::of(markers);
        let of_partition = |(topic, partition): (&ByteString, i32)| (topic.clone(), partition, outcome);
        written.partitions = markers.partitions.iter().map(of_partition).collect();
        let decision = self.shard().write_txn_markers_completed(&written);
        self.execute(decision);
        self.run();
    }

    /// Does what is due.
    pub(super) fn run(&mut self) {
        self.collect();
        self.advance(0);
    }

    fn collect(&mut self) {
        for output in self.context.take_outputs() {
            match output {
                Output::Complete(event, outcome) => {
                    self.completed.insert(event, outcome);
                }
                Output::Effect(TransactionEffect::SendMarkers(markers)) => self.markers.push(markers),
                Output::Effect(TransactionEffect::RequestProducerIds) => {
                    let block = self.producer_ids.map_or(0..0, |first| first..first + 100);
                    self.producer_ids = self.producer_ids.map(|first| first + 100);
                    let decision = self.context.shard().supply_producer_ids(block);
                    self.context.execute(self.now_ms, decision, None, &mut self.log);
                }
            }
        }
    }
}

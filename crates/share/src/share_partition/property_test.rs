//! Share-partitions under whatever members, time, the share coordinator and the log may do to them, beside
//! a model that knows of each offset by itself.

mod ops;

use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;

use self::ops::{KINDS, MEMBERS, Op, log, op};

use super::testing::{ACCEPT, LOCK_MS, RELEASE, RENEW, TestContext};
use super::*;
use crate::acknowledgement::AcknowledgementBatch;
use crate::fetched::{Fetched, FetchedBatch};
use crate::persister::{PersisterError, PersisterStateBatch, WriteState, append_merged};
use crate::record_state::RecordState;

const DELIVERY_LIMIT: i32 = 4;
const RECORD_LOCKS: i32 = 60;

/// A request that waits for its write, and what it says of which offset.
type Request = Vec<(i64, i8)>;

struct World {
    config: SharePartitionConfig,
    t: TestContext,
    log: Vec<FetchedBatch>,
    log_start_offset: i64,
    writes: Vec<(EffectToken, WriteState)>,
    dead_letters: Vec<EffectToken>,
    requests: BTreeMap<EffectToken, Request>,
    /// Who holds an offset, and until when.
    held: BTreeMap<i64, (usize, i64)>,
    /// Offsets of which an acknowledgement is being written.
    pending: BTreeSet<i64>,
    /// Offsets that were answered to be done: accepted, rejected or not there.
    done: BTreeSet<i64>,
    deliveries: BTreeMap<i64, i16>,
    start_offset: i64,
    /// Delivery count and state of each offset, as the share coordinator has them.
    persisted: BTreeMap<i64, (i16, i8)>,
    persisted_start_offset: i64,
}

impl World {
    fn new(dead_letter_queue: bool) -> Self {
        let config = SharePartitionConfig {
            partition_max_record_locks: RECORD_LOCKS,
            delivery_count_limit: DELIVERY_LIMIT,
            dead_letter_queue,
            ..Default::default()
        };
        Self {
            config,
            t: TestContext::with(config),
            log: log(),
            log_start_offset: 0,
            writes: Vec::new(),
            dead_letters: Vec::new(),
            requests: BTreeMap::new(),
            held: BTreeMap::new(),
            pending: BTreeSet::new(),
            done: BTreeSet::new(),
            deliveries: BTreeMap::new(),
            start_offset: 0,
            persisted: BTreeMap::new(),
            persisted_start_offset: 0,
        }
    }

    fn run(&mut self, op: Op) {
        match op {
            Op::Fetch { member, record_limit, max_records, batches } => {
                self.fetch(member, record_limit, max_records, batches)
            }
            Op::Acknowledge { member, nth, len, kinds } => self.acknowledge_some(member, nth, len, &kinds),
            Op::Steal { member, nth } => self.steal(member, nth),
            Op::Release { member } => self.release(member),
            Op::Advance { ms } => self.advance(ms),
            Op::Write { nth, ok } => self.write(nth, ok),
            Op::DeadLetter { nth } => self.dead_letter(nth),
            Op::CutLog { to, told } => self.cut_log(to, told),
            Op::Compact { nth } => {
                // The last batch stays: what comes after a gap tells that there is one.
                if self.log.len() > 1 {
                    self.log.remove(nth % (self.log.len() - 1));
                }
            }
            Op::Restart => self.restart(),
        }
        self.collect();
        self.check();
    }

    fn fetch(&mut self, member: usize, record_limit: bool, max_records: i32, batches: usize) {
        let fetch_offset = self.t.next_fetch_offset();
        if fetch_offset < self.log_start_offset {
            self.tell_log_start();
            return;
        }
        let first = self.log.partition_point(|batch| batch.last_offset < fetch_offset);
        let read: Vec<_> = self.log[first..].iter().take(batches).copied().collect();
        let request = AcquireRequest {
            member_id: &Arc::from(MEMBERS[member]),
            mode: match record_limit {
                true => ShareAcquireMode::RecordLimit,
                false => ShareAcquireMode::BatchOptimized,
            },
            batch_size: 8,
            max_fetch_records: max_records,
            fetch_offset,
            read_committed: false,
        };
        let fetched = Fetched { batches: &read, aborted_transactions: &[] };
        let acquired = self.t.acquire_as(&request, &fetched);
        let count: i64 = acquired.iter().map(|(first, last, _)| last - first + 1).sum();
        assert!(!record_limit || count <= i64::from(max_records));
        for (first, last, delivery_count) in acquired {
            for offset in first..=last {
                self.deliver(offset, member, delivery_count);
            }
        }
    }

    fn deliver(&mut self, offset: i64, member: usize, delivery_count: i16) {
        let now_ms = self.t.now_ms;
        assert!(!self.done.contains(&offset), "{offset} was done");
        assert!(!self.pending.contains(&offset), "{offset} is being acknowledged");
        let free = self.held.get(&offset).is_none_or(|(_, deadline_ms)| *deadline_ms <= now_ms);
        assert!(free, "{offset} is held by somebody");
        let deliveries = self.deliveries.entry(offset).or_insert(0);
        *deliveries += 1;
        assert_eq!(delivery_count, *deliveries, "deliveries of {offset}");
        assert!(i32::from(delivery_count) <= DELIVERY_LIMIT, "{offset} was delivered too often");
        self.held.insert(offset, (member, now_ms + LOCK_MS));
    }

    fn free_held(&self, member: usize) -> Vec<i64> {
        let mine = self
            .held
            .iter()
            .filter(|(offset, (holder, _))| *holder == member && !self.pending.contains(*offset));
        mine.map(|(offset, _)| *offset).collect()
    }

    fn acknowledge_some(&mut self, member: usize, nth: usize, len: i64, kinds: &[usize]) {
        let mine = self.free_held(member);
        if mine.is_empty() {
            return;
        }
        let from = nth % mine.len();
        let first = mine[from];
        let count = mine[from..]
            .iter()
            .zip(first..first + len)
            .take_while(|(offset, expected)| **offset == *expected)
            .count();
        let types: Vec<i8> = (0..count).map(|index| KINDS[kinds[index % kinds.len()]]).collect();
        let types = if kinds.len() == 1 { vec![types[0]] } else { types };
        self.acknowledge(member, first, count, types);
    }

    fn acknowledge(&mut self, member: usize, first: i64, count: usize, types: Vec<i8>) {
        let last_offset = first + count as i64 - 1;
        let kind = |offset: i64| if types.len() == 1 { types[0] } else { types[(offset - first) as usize] };
        let said: Vec<(i64, i8)> = (first..=last_offset).map(|offset| (offset, kind(offset))).collect();
        let batch = AcknowledgementBatch { first_offset: first, last_offset, acknowledge_types: types };
        let token = self.t.partition.acknowledge(self.t.now_ms, MEMBERS[member], &[batch]).unwrap();
        let (renewed, written): (Vec<_>, Vec<_>) = said.into_iter().partition(|(_, kind)| *kind == RENEW);
        for (offset, _) in renewed {
            self.held.insert(offset, (member, self.t.now_ms + LOCK_MS));
        }
        assert_eq!(token.is_some(), !written.is_empty());
        self.wait_for(token, written);
    }

    fn steal(&mut self, member: usize, nth: usize) {
        let others: Vec<i64> = (0..MEMBERS.len())
            .filter(|other| *other != member)
            .flat_map(|other| self.free_held(other))
            .collect();
        if let Some(offset) = others.get(nth % others.len().max(1)) {
            assert!(self.t.acknowledge(MEMBERS[member], *offset, *offset, &[ACCEPT]).is_err());
        }
    }

    fn release(&mut self, member: usize) {
        let mine: Request = self.free_held(member).into_iter().map(|offset| (offset, RELEASE)).collect();
        let token = self.t.partition.release_acquired(MEMBERS[member]);
        assert_eq!(token.is_some(), !mine.is_empty());
        self.wait_for(token, mine);
    }

    fn wait_for(&mut self, token: Option<EffectToken>, request: Request) {
        let Some(token) = token else { return };
        self.pending.extend(request.iter().map(|(offset, _)| *offset));
        self.requests.insert(token, request);
    }

    fn advance(&mut self, ms: i64) {
        self.t.advance(ms);
        self.forget_ended_locks();
        assert!(self.t.partition.poll_timeout().is_none_or(|next_ms| next_ms > self.t.now_ms));
    }

    fn forget_ended_locks(&mut self) {
        let (now_ms, pending) = (self.t.now_ms, &self.pending);
        self.held.retain(|offset, (_, deadline_ms)| *deadline_ms > now_ms || pending.contains(offset));
    }

    fn write(&mut self, nth: usize, ok: bool) {
        if self.writes.is_empty() {
            return;
        }
        let (token, write) = self.writes.remove(nth % self.writes.len());
        if ok {
            self.persist(&write);
        }
        let result = if ok { Ok(()) } else { Err(PersisterError::CoordinatorNotAvailable) };
        self.t.partition.complete_write(self.t.now_ms, token, result);
    }

    /// As the share coordinator does it: the claim of more deliveries wins, then that of the higher state.
    fn persist(&mut self, write: &WriteState) {
        assert_eq!(write.state_epoch, 7);
        for batch in &write.batches {
            assert!(batch.delivery_state != RecordState::Acquired);
            for offset in batch.first_offset..=batch.last_offset {
                let claim = (batch.delivery_count, batch.delivery_state.id());
                let kept = self.persisted.entry(offset).or_insert(claim);
                *kept = claim.max(*kept);
            }
        }
        self.persisted_start_offset = self.persisted_start_offset.max(write.start_offset);
        self.persisted = self.persisted.split_off(&self.persisted_start_offset);
    }

    fn dead_letter(&mut self, nth: usize) {
        if !self.dead_letters.is_empty() {
            let token = self.dead_letters.remove(nth % self.dead_letters.len());
            self.t.partition.complete_dead_letter(token);
        }
    }

    fn cut_log(&mut self, to: usize, told: bool) {
        let Some(batch) = self.log.get(to.min(self.log.len() - 1)) else { return };
        self.log_start_offset = self.log_start_offset.max(batch.base_offset);
        let start = self.log_start_offset;
        self.log.retain(|batch| batch.last_offset >= start);
        if told {
            self.tell_log_start();
        }
    }

    fn tell_log_start(&mut self) {
        self.t.partition.update_log_start_offset(self.log_start_offset);
        self.held = self.held.split_off(&self.log_start_offset);
    }

    fn restart(&mut self) {
        let mut batches = Vec::new();
        for (offset, (delivery_count, state)) in &self.persisted {
            let batch = PersisterStateBatch {
                first_offset: *offset,
                last_offset: *offset,
                delivery_state: RecordState::from_id(*state).unwrap(),
                delivery_count: *delivery_count,
            };
            append_merged(&mut batches, batch);
        }
        let now_ms = self.t.now_ms;
        self.t = TestContext::restored(self.config, self.persisted_start_offset, &batches);
        self.t.now_ms = now_ms;
        self.writes.clear();
        self.dead_letters.clear();
        self.requests.clear();
        self.held.clear();
        self.pending.clear();
        self.deliveries = self.persisted.iter().map(|(offset, (count, _))| (*offset, *count)).collect();
        self.start_offset = self.persisted_start_offset;
    }

    fn collect(&mut self) {
        for effect in self.t.effects() {
            match effect {
                SharePartitionEffect::WriteState { token, write } => self.writes.push((token, write)),
                SharePartitionEffect::DeadLetter { token, .. } => self.dead_letters.push(token),
                SharePartitionEffect::Reply { token, result } => {
                    let request = self.requests.remove(&token).expect("one answer for each request");
                    for (offset, kind) in request {
                        self.pending.remove(&offset);
                        if result.is_ok() {
                            self.done.extend((kind != RELEASE).then_some(offset));
                        }
                        if result.is_ok() || !self.is_held(offset) {
                            self.held.remove(&offset);
                        }
                    }
                    self.forget_ended_locks();
                }
                _ => {}
            }
        }
    }

    /// A record whose release did not succeed may be gone from the log meanwhile.
    fn is_held(&self, offset: i64) -> bool {
        let batch = self.t.partition.cached.range(..=offset).next_back();
        let mut runs = batch.into_iter().flat_map(|(_, batch)| batch.overlapping(offset, offset));
        runs.any(|run| run.state.holder().is_some())
    }

    fn check(&mut self) {
        let start_offset = self.t.partition.start_offset();
        assert!(start_offset >= self.start_offset, "the start offset moves forward only");
        self.start_offset = start_offset;
        let below = self.held.range(..start_offset).find(|(offset, _)| !self.pending.contains(*offset));
        assert_eq!(below, None, "somebody holds what is below the start offset");
        assert!(self.t.next_fetch_offset() >= start_offset);
        let in_flight = self.t.partition.num_in_flight_records();
        assert!(i64::from(self.t.partition.delivery_complete_count()) <= in_flight);
    }

    /// Everything that is under way comes to its end, and one member accepts all there is.
    fn finish(&mut self) {
        let last_offset = self.log.last().map_or(0, |batch| batch.last_offset);
        for _ in 0..1_000 {
            while !self.writes.is_empty() || !self.dead_letters.is_empty() {
                self.run(Op::Write { nth: 0, ok: true });
                self.run(Op::DeadLetter { nth: 0 });
            }
            if self.t.next_fetch_offset() > last_offset && self.held.is_empty() {
                break;
            }
            self.run(Op::Fetch { member: 0, record_limit: false, max_records: 1_000, batches: 100 });
            while let Some(first) = self.free_held(0).first().copied() {
                self.acknowledge(0, first, 1, vec![ACCEPT]);
                self.collect();
            }
            self.run(Op::Advance { ms: LOCK_MS });
        }
        assert!(self.t.next_fetch_offset() > last_offset, "all records are delivered in the end");
        assert_eq!(self.t.partition.num_in_flight_records(), 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn each_record_is_with_one_member_and_done_once(
        ops in prop::collection::vec(op(), 1..150), dead_letter_queue: bool,
    ) {
        let mut world = World::new(dead_letter_queue);
        for op in ops {
            world.run(op);
        }
        world.finish();
    }
}

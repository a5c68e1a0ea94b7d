//! What is asked of share coordinators: to whom it goes, with what it shares a request, and when it is asked again.
//!
//! One request per group is under way to a node at a time. What comes meanwhile waits and goes together in the
//! next, so the busier a coordinator is, the fewer requests it gets.
//!
//! Nothing is done in here: calls go out of [`StateSender::poll`], their responses come back into
//! [`StateSender::on_response`], and answers are taken out.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytestring::ByteString;
use ottla_common::{ErrorCode, Uuid};
use ottla_coordinator::share_state::SharePartitionKey;
use ottla_protocol::Request;

use super::api::StateApi;

/// How often a coordinator is looked for in vain, and how often it is asked in vain. With the pauses between them
/// that is half a minute, Kafka's patience; Kafka tries five times with longer pauses from the beginning.
pub(super) const MAX_ATTEMPTS: u32 = 8;
/// The pause after the first attempt; it doubles each time.
const BACKOFF_MS: i64 = 250;
/// The longest pause.
const BACKOFF_MAX_MS: i64 = 30_000;
/// By how many thousandths a pause is longer or shorter, so that not all brokers come back at the same moment.
const JITTER_PER_MILLE: u64 = 200;

/// Names something asked, until it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct OperationId(u64);

/// Where requests go one after the other.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Route {
    /// The coordinator's broker.
    pub(super) node_id: i32,
    /// The group.
    pub(super) group_id: ByteString,
}

/// A request to be sent now.
#[derive(Debug)]
pub(super) struct Call<A: StateApi> {
    /// Its way. No other goes there before its response is in.
    pub(super) route: Route,
    /// The request.
    pub(super) request: A::Request,
}

#[derive(Debug)]
struct Operation<A: StateApi> {
    key: SharePartitionKey,
    data: A::Data,
    /// How often in a row its coordinator was not found.
    lookups: u32,
    /// How often its coordinator was asked in vain.
    attempts: u32,
}

/// What is asked of share coordinators by one kind of request, and not answered yet.
#[derive(Debug)]
pub(super) struct StateSender<A: StateApi> {
    operations: BTreeMap<OperationId, Operation<A>>,
    next_id: u64,
    /// Their coordinators are to be looked up.
    ready: VecDeque<OperationId>,
    /// They are to be looked up again at these times.
    delayed: BTreeSet<(i64, OperationId)>,
    /// They go with the next request on their way.
    waiting: BTreeMap<Route, Vec<OperationId>>,
    /// They went with the request that is under way.
    in_flight: BTreeMap<Route, Vec<OperationId>>,
    answers: Vec<(OperationId, A::Result)>,
    jitter: u64,
}

impl<A: StateApi> StateSender<A> {
    /// Nothing is asked yet. `seed` is for the jitter of pauses.
    pub(super) fn new(seed: u64) -> Self {
        Self {
            operations: BTreeMap::new(),
            next_id: 0,
            ready: VecDeque::new(),
            delayed: BTreeSet::new(),
            waiting: BTreeMap::new(),
            in_flight: BTreeMap::new(),
            answers: Vec::new(),
            jitter: seed,
        }
    }

    /// Asks something.
    pub(super) fn add(&mut self, key: SharePartitionKey, data: A::Data) -> OperationId {
        let id = OperationId(self.next_id);
        self.next_id += 1;
        self.operations.insert(id, Operation { key, data, lookups: 0, attempts: 0 });
        self.ready.push_back(id);
        id
    }

    /// The calls that can be made now. `coordinator_of` finds the broker that coordinates a share-partition.
    pub(super) fn poll(
        &mut self,
        now_ms: i64,
        coordinator_of: impl Fn(&SharePartitionKey) -> Option<i32>,
    ) -> Vec<Call<A>> {
        while let Some((deadline_ms, id)) = self.delayed.first().copied()
            && deadline_ms <= now_ms
        {
            self.delayed.pop_first();
            self.ready.push_back(id);
        }
        for id in std::mem::take(&mut self.ready) {
            self.look_up(now_ms, id, &coordinator_of);
        }
        let free: Vec<Route> =
            self.waiting.keys().filter(|route| !self.in_flight.contains_key(*route)).cloned().collect();
        free.into_iter().filter_map(|route| self.call(route)).collect()
    }

    /// When to poll again, if nothing happens before.
    pub(super) fn next_deadline(&self) -> Option<i64> {
        self.delayed.first().map(|(deadline_ms, _)| *deadline_ms)
    }

    /// What became of a call: its response, or why there is none.
    pub(super) fn on_response(
        &mut self,
        now_ms: i64,
        route: &Route,
        response: Result<<A::Request as Request>::Response, ErrorCode>,
    ) {
        let Some(ids) = self.in_flight.remove(route) else {
            debug_assert!(false, "SHARE-PERSISTER-ONE-CALL-PER-ROUTE: a response without a call");
            return;
        };
        let mut moved = false;
        match response {
            Ok(response) => {
                let mut results = by_partition::<A>(response);
                for id in ids {
                    let Some(operation) = self.operations.get(&id) else { continue };
                    let result = results.remove(&(operation.key.topic_id, operation.key.partition));
                    moved |= self.on_result(now_ms, id, result);
                }
            }
            Err(error) => {
                moved = is_retriable(error);
                ids.into_iter().for_each(|id| self.on_failure(now_ms, id, error));
            }
        }
        if moved {
            // Whoever waits for this way is better off looking for another.
            self.ready.extend(self.waiting.remove(route).unwrap_or_default());
        }
    }

    /// The answers since the last time somebody asked.
    pub(super) fn take_answers(&mut self) -> Vec<(OperationId, A::Result)> {
        std::mem::take(&mut self.answers)
    }

    fn look_up(
        &mut self,
        now_ms: i64,
        id: OperationId,
        coordinator_of: &impl Fn(&SharePartitionKey) -> Option<i32>,
    ) {
        let Some(operation) = self.operations.get_mut(&id) else { return };
        if let Some(node_id) = coordinator_of(&operation.key) {
            operation.lookups = 0;
            let route = Route { node_id, group_id: operation.key.group_id.clone() };
            self.waiting.entry(route).or_default().push(id);
            return;
        }
        operation.lookups += 1;
        let lookups = operation.lookups;
        if lookups >= MAX_ATTEMPTS {
            self.refuse(id, ErrorCode::CoordinatorNotAvailable, "The share coordinator could not be found.");
        } else {
            self.delay(now_ms, id, lookups);
        }
    }

    /// One request for all that waits for this way. A share-partition goes into it once: of two answers for the
    /// same one nobody could tell which is whose.
    fn call(&mut self, route: Route) -> Option<Call<A>> {
        let mut named = BTreeSet::new();
        let (mut sent, mut left, mut parts) = (Vec::new(), Vec::new(), Vec::new());
        for id in self.waiting.remove(&route)? {
            let Some(operation) = self.operations.get(&id) else { continue };
            let topic_id = operation.key.topic_id;
            if named.insert((topic_id, operation.key.partition)) {
                parts.push((topic_id, operation.data.clone()));
                sent.push(id);
            } else {
                left.push(id);
            }
        }
        if !left.is_empty() {
            self.waiting.insert(route.clone(), left);
        }
        if parts.is_empty() {
            return None;
        }
        let before = self.in_flight.insert(route.clone(), sent);
        assert!(before.is_none(), "SHARE-PERSISTER-ONE-CALL-PER-ROUTE: {route:?}");
        let request = A::request(route.group_id.clone(), parts);
        Some(Call { route, request })
    }

    /// Says whether the coordinator seems to be elsewhere.
    fn on_result(&mut self, now_ms: i64, id: OperationId, result: Option<A::Result>) -> bool {
        let Some(result) = result else {
            self.refuse(id, ErrorCode::UnknownServerError, "The share coordinator said nothing about it.");
            return false;
        };
        match A::outcome(&result).1 {
            error if is_retriable(error) => {
                self.on_failure(now_ms, id, error);
                matches!(error, ErrorCode::NotCoordinator | ErrorCode::CoordinatorNotAvailable)
            }
            _ => {
                self.operations.remove(&id);
                self.answers.push((id, result));
                false
            }
        }
    }

    fn on_failure(&mut self, now_ms: i64, id: OperationId, error: ErrorCode) {
        let Some(operation) = self.operations.get_mut(&id) else { return };
        operation.attempts += 1;
        let attempts = operation.attempts;
        if is_retriable(error) && attempts < MAX_ATTEMPTS {
            self.delay(now_ms, id, attempts);
        } else {
            self.refuse(id, error, "The share coordinator could not be asked.");
        }
    }

    fn delay(&mut self, now_ms: i64, id: OperationId, failures: u32) {
        let pause_ms = self.pause_ms(failures);
        self.delayed.insert((now_ms.saturating_add(pause_ms), id));
    }

    fn refuse(&mut self, id: OperationId, error: ErrorCode, message: &str) {
        if let Some(operation) = self.operations.remove(&id) {
            self.answers.push((id, A::refused(operation.key.partition, error, message)));
        }
    }

    fn pause_ms(&mut self, failures: u32) -> i64 {
        let doubled = BACKOFF_MS << failures.saturating_sub(1).min(16);
        // A step of a linear congruential generator is chance enough here.
        self.jitter =
            self.jitter.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let chance = (self.jitter >> 33) % (2 * JITTER_PER_MILLE + 1);
        let per_mille = i64::try_from(1_000 - JITTER_PER_MILLE + chance).unwrap_or(1_000);
        doubled.min(BACKOFF_MAX_MS) * per_mille / 1_000
    }
}

fn by_partition<A: StateApi>(
    response: <A::Request as Request>::Response,
) -> BTreeMap<(Uuid, i32), A::Result> {
    let keyed = |(topic_id, result)| {
        let (partition, _) = A::outcome(&result);
        ((topic_id, partition), result)
    };
    A::results(response).into_iter().map(keyed).collect()
}

/// Whether to look for the coordinator anew and ask again. A topic that it does not know it may not know yet.
fn is_retriable(error: ErrorCode) -> bool {
    matches!(
        error,
        ErrorCode::CoordinatorNotAvailable
            | ErrorCode::CoordinatorLoadInProgress
            | ErrorCode::NotCoordinator
            | ErrorCode::UnknownTopicOrPartition
            | ErrorCode::NetworkException
            | ErrorCode::RequestTimedOut
    )
}

#[cfg(test)]
#[path = "sender_test.rs"]
mod tests;

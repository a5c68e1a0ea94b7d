//! What may happen to a share-partition, and the log it is fetched from.

use proptest::prelude::*;

use super::super::testing::{ACCEPT, REJECT, RELEASE, RENEW, batch};
use crate::fetched::FetchedBatch;

pub(super) const MEMBERS: [&str; 3] = ["a", "b", "c"];
const GAP: i8 = 0;
pub(super) const KINDS: [i8; 5] = [GAP, ACCEPT, RELEASE, REJECT, RENEW];

#[derive(Debug, Clone)]
pub(super) enum Op {
    Fetch { member: usize, record_limit: bool, max_records: i32, batches: usize },
    Acknowledge { member: usize, nth: usize, len: i64, kinds: Vec<usize> },
    Steal { member: usize, nth: usize },
    Release { member: usize },
    Advance { ms: i64 },
    Write { nth: usize, ok: bool },
    DeadLetter { nth: usize },
    CutLog { to: usize, told: bool },
    Compact { nth: usize },
    Restart,
}

/// Anything that may happen, the usual more often.
pub(super) fn op() -> impl Strategy<Value = Op> {
    let member = 0..MEMBERS.len();
    let nth = 0usize..100;
    let kinds = prop::collection::vec(0..KINDS.len(), 1..6);
    prop_oneof![
        12 => (member.clone(), any::<bool>(), 1i32..30, 1usize..6).prop_map(
            |(member, record_limit, max_records, batches)| {
                Op::Fetch { member, record_limit, max_records, batches }
            }
        ),
        12 => (member.clone(), nth.clone(), 1i64..12, kinds)
            .prop_map(|(member, nth, len, kinds)| Op::Acknowledge { member, nth, len, kinds }),
        1 => (member.clone(), nth.clone()).prop_map(|(member, nth)| Op::Steal { member, nth }),
        1 => member.prop_map(|member| Op::Release { member }),
        4 => (0i64..25_000).prop_map(|ms| Op::Advance { ms }),
        12 => (nth.clone(), prop::bool::weighted(0.8)).prop_map(|(nth, ok)| Op::Write { nth, ok }),
        4 => nth.clone().prop_map(|nth| Op::DeadLetter { nth }),
        1 => (0usize..20, any::<bool>()).prop_map(|(to, told)| Op::CutLog { to, told }),
        1 => nth.prop_map(|nth| Op::Compact { nth }),
        1 => Just(Op::Restart),
    ]
}

/// Batches of different sizes, here and there with offsets between them that hold nothing.
pub(super) fn log() -> Vec<FetchedBatch> {
    let mut next = 0;
    let mut batches = Vec::new();
    for (index, len) in [1, 5, 3, 10, 2, 7].into_iter().cycle().take(30).enumerate() {
        next += if index % 7 == 6 { 4 } else { 0 };
        batches.push(batch(next, next + len - 1));
        next += len;
    }
    batches
}

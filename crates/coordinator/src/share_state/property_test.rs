//! Share-partitions under whatever leaders, operators, time and pruning may do to them.

use std::collections::BTreeMap;

use ottla_protocol::messages::write_share_group_state_request::PartitionData;
use proptest::prelude::*;

use super::testing::{TestContext, write_batch, write_data};
use super::{ShareCoordinatorConfig, StateBatch, combine};

#[derive(Debug, Clone)]
enum Op {
    Initialize {
        partition: i32,
        state_epoch: i32,
        start_offset: i64,
    },
    Write {
        partition: i32,
        leader_epoch: i32,
        start_offset: i64,
        first: i64,
        len: i64,
        state: i8,
        count: i16,
    },
    Read {
        partition: i32,
        leader_epoch: i32,
    },
    Delete {
        partition: i32,
    },
    Advance {
        ms: i64,
    },
    Prune,
    Restart,
}

fn op() -> impl Strategy<Value = Op> {
    let partition = -1i32..4;
    prop_oneof![
        2 => (partition.clone(), -1i32..4, -1i64..30)
            .prop_map(|(partition, state_epoch, start_offset)| Op::Initialize {
                partition,
                state_epoch,
                start_offset
            }),
        10 => (partition.clone(), -1i32..4, 0i64..40, 0i64..60, -1i64..12, 0i8..5, 0i16..4).prop_map(
            |(partition, leader_epoch, start_offset, first, len, state, count)| Op::Write {
                partition,
                leader_epoch,
                start_offset,
                first,
                len,
                state,
                count
            }
        ),
        2 => (partition.clone(), -1i32..4)
            .prop_map(|(partition, leader_epoch)| Op::Read { partition, leader_epoch }),
        1 => partition.prop_map(|partition| Op::Delete { partition }),
        3 => (0i64..40_000).prop_map(|ms| Op::Advance { ms }),
        2 => Just(Op::Prune),
        1 => Just(Op::Restart),
    ]
}

fn batch() -> impl Strategy<Value = StateBatch> {
    (0i64..60, -1i64..12, 0i8..5, 0i16..4).prop_map(|(first_offset, len, delivery_state, delivery_count)| {
        StateBatch { first_offset, last_offset: first_offset + len, delivery_state, delivery_count }
    })
}

/// What is said of each record, one by one.
fn claims(batches: &[StateBatch], start_offset: i64) -> BTreeMap<i64, (i16, i8)> {
    let mut claims = BTreeMap::new();
    for batch in batches {
        for offset in batch.first_offset..=batch.last_offset {
            if start_offset == -1 || offset >= start_offset {
                let claim = (batch.delivery_count, batch.delivery_state);
                let strongest = claims.entry(offset).or_insert(claim);
                *strongest = claim.max(*strongest);
            }
        }
    }
    claims
}

proptest! {
    #[test]
    fn batches_combine_as_record_by_record(
        so_far in prop::collection::vec(batch(), 0..8),
        newer in prop::collection::vec(batch(), 0..8),
        start_offset in -1i64..70,
    ) {
        let combined = combine(&so_far, &newer, start_offset);
        let mut all = so_far;
        all.extend(&newer);
        prop_assert_eq!(claims(&combined, -1), claims(&all, start_offset));
        for pair in combined.windows(2) {
            let claim = |batch: &StateBatch| (batch.delivery_count, batch.delivery_state);
            prop_assert!(pair[0].last_offset < pair[1].first_offset);
            let joined = pair[0].last_offset + 1 == pair[1].first_offset;
            prop_assert!(!joined || claim(&pair[0]) != claim(&pair[1]), "as few as can be");
        }
        prop_assert_eq!(combine(&combined, &[], start_offset), combined);
    }

    #[test]
    fn nothing_is_lost_by_restarts_and_pruning(ops in prop::collection::vec(op(), 1..60)) {
        let config = ShareCoordinatorConfig {
            snapshot_update_records_per_snapshot: 3,
            cold_partition_snapshot_interval_ms: 60_000,
            ..Default::default()
        };
        let mut t = TestContext::with(config);
        for op in ops {
            let before = t.states();
            let epochs = |t: &TestContext| -> BTreeMap<_, _> {
                let states = t.states().into_iter();
                states.map(|(key, state)| (key, (state.state_epoch, state.start_offset))).collect()
            };
            let epochs_before = epochs(&t);
            match op {
                Op::Initialize { partition, state_epoch, start_offset } => {
                    t.initialize(partition, state_epoch, start_offset);
                }
                Op::Write { partition, leader_epoch, start_offset, first, len, state, count } => {
                    let batches = vec![write_batch(first, first + len, state, count)];
                    let data = PartitionData {
                        leader_epoch,
                        state_epoch: 3,
                        ..write_data(start_offset, batches)
                    };
                    t.write(partition, &data);
                }
                Op::Read { partition, leader_epoch } => {
                    t.read(partition, leader_epoch);
                }
                Op::Delete { partition } => {
                    t.delete(partition);
                }
                Op::Advance { ms } => t.advance(ms),
                Op::Prune => {
                    t.prune();
                    t = t.restarted();
                    prop_assert_eq!(t.states(), before);
                }
                Op::Restart => {
                    t = t.restarted();
                    prop_assert_eq!(t.states(), before);
                }
            }
            for (key, (state_epoch, start_offset)) in epochs(&t) {
                let Some((epoch_before, start_before)) = epochs_before.get(&key) else { continue };
                prop_assert!(state_epoch >= *epoch_before);
                // Within an epoch only an initialization may set the offset back.
                if state_epoch == *epoch_before && matches!(op, Op::Write { .. } | Op::Read { .. }) {
                    prop_assert!(start_offset >= *start_before);
                }
            }
        }
    }
}

use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::fs::FileSystem;
use crate::fs::sim::SimFileSystem;

fn entry() -> impl Strategy<Value = ProducerStateEntry> {
    let fields = (0_i64..1000, 0_i16..100, -1_i32..50, 0_i64..1_000_000, prop::option::of(0_i64..1000));
    (fields, prop::option::of((0_i32..i32::MAX, 0_i64..1_000_000, 0_i32..100))).prop_map(|(fields, batch)| {
        let (producer_id, producer_epoch, coordinator_epoch, last_timestamp, current_txn_first_offset) =
            fields;
        let batches = batch.map(|(last_seq, last_offset, offset_delta)| BatchMetadata {
            last_seq,
            last_offset,
            offset_delta,
            timestamp: last_timestamp,
        });
        ProducerStateEntry {
            producer_id,
            producer_epoch,
            coordinator_epoch,
            last_timestamp,
            current_txn_first_offset,
            batches: batches.into_iter().collect(),
        }
    })
}

proptest! {
    #[test]
    fn snapshots_are_read_back(entries in prop::collection::vec(entry(), 0..20)) {
        let bytes = encode_snapshot(entries.iter());
        prop_assert_eq!(decode_snapshot(&bytes), Ok(entries));
    }

    #[test]
    fn damaged_snapshots_are_refused(
        entries in prop::collection::vec(entry(), 1..5), at in 0_usize..10_000, bit in 0..8,
    ) {
        let mut bytes = encode_snapshot(entries.iter());
        let at = at % bytes.len();
        bytes[at] ^= 1_u8 << bit;
        prop_assert!(decode_snapshot(&bytes).is_err());
        prop_assert!(decode_snapshot(&bytes[..at]).is_err());
    }
}

#[test]
fn an_empty_snapshot_has_kafkas_bytes() {
    let bytes = encode_snapshot([].iter());
    let crc = crc32c::crc32c(&[0; 4]).to_be_bytes();
    assert_eq!(bytes, [&[0, 1][..], &crc, &[0; 4]].concat());
}

#[test]
fn sequences_wrap() {
    let batch = BatchMetadata { last_seq: 1, last_offset: 9, offset_delta: 3, timestamp: 0 };
    assert_eq!((batch.first_seq(), batch.first_offset()), (i32::MAX - 1, 6));
}

#[test]
fn the_last_stray_snapshot_behind_all_segments_stays() {
    let fs = SimFileSystem::new(1);
    let dir = Path::new("/t-0");
    fs.create_dir_all(dir).unwrap();
    for offset in [0, 5, 10, 12, 20] {
        fs.put(&dir.join(format!("{offset:020}.snapshot")), encode_snapshot([].iter()));
    }
    let shared: Arc<dyn FileSystem> = Arc::new(fs.clone());
    let mut producers =
        ProducerStateManager::new(shared, dir, ProducerStateManagerConfig::default()).unwrap();
    producers.remove_stray_snapshots(&[0, 10]).unwrap();
    let mut left: Vec<String> = fs.list_dir(dir).unwrap().into_iter().map(|e| e.name).collect();
    left.sort();
    assert_eq!(left, [0, 10, 20].map(|offset| format!("{offset:020}.snapshot")));
}

#[test]
fn producers_expire_unless_their_transaction_is_open() {
    let fs: Arc<dyn FileSystem> = Arc::new(SimFileSystem::new(1));
    let dir = Path::new("/t-0");
    fs.create_dir_all(dir).unwrap();
    let config = ProducerStateManagerConfig { producer_id_expiration_ms: 100, ..Default::default() };
    let mut producers = ProducerStateManager::new(fs, dir, config).unwrap();
    let batch = |producer_id, base_offset, is_transactional| ProducerBatch {
        producer_id,
        epoch: 0,
        first_seq: 0,
        last_seq: 0,
        base_offset,
        last_offset: base_offset,
        max_timestamp: 1000,
        is_transactional,
        is_control: false,
        marker: None,
    };
    producers.replay(&batch(1, 0, false));
    producers.replay(&batch(2, 1, true));
    producers.remove_expired_producers(1099);
    assert_eq!(producers.active_producers().len(), 2);
    producers.remove_expired_producers(1100);
    assert!(producers.last_entry(1).is_none() && producers.last_entry(2).is_some());
    assert!(!producers.has_late_transaction(1000 + 900_000 + 300_000));
    assert!(producers.has_late_transaction(1000 + 900_000 + 300_001));
}

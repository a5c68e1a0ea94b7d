use std::path::Path;

use super::*;
use crate::fs::sim::SimFileSystem;

fn disk() -> Arc<dyn FileSystem> {
    let fs = SimFileSystem::new(1);
    fs.create_dir_all(Path::new("/t-0")).unwrap();
    Arc::new(fs)
}

fn open(fs: &Arc<dyn FileSystem>) -> LeaderEpochFileCache {
    LeaderEpochFileCache::open(Arc::clone(fs), Path::new("/t-0")).unwrap()
}

fn with(fs: &Arc<dyn FileSystem>, entries: &[(i32, i64)]) -> LeaderEpochFileCache {
    let cache = open(fs);
    for (epoch, start) in entries {
        cache.assign(*epoch, *start).unwrap();
    }
    cache
}

fn pairs(cache: &LeaderEpochFileCache) -> Vec<(i32, i64)> {
    cache.entries().iter().map(|e| (e.epoch, e.start_offset)).collect()
}

#[test]
fn epochs_reach_the_disk_as_kafka_writes_them() {
    let fs = disk();
    with(&fs, &[(0, 0), (2, 17)]);
    let bytes = fs.read_file(Path::new("/t-0/leader-epoch-checkpoint"), 100).unwrap().unwrap();
    assert_eq!(&bytes[..], b"0\n2\n0 0\n2 17\n");
    assert_eq!(pairs(&open(&fs)), [(0, 0), (2, 17)]);
}

#[test]
fn end_offsets_are_those_of_the_next_epoch() {
    let cache = with(&disk(), &[(2, 10), (4, 20), (6, 30)]);
    let end = |epoch| cache.end_offset_for(epoch, 40).map(|e| (e.epoch, e.offset));
    assert_eq!(end(6), Some((6, 40)));
    assert_eq!(end(5), Some((4, 30)));
    assert_eq!(end(4), Some((4, 30)));
    assert_eq!(end(1), Some((1, 10)));
    assert_eq!(end(7), None);
    assert_eq!(end(-1), None);
    assert_eq!(cache.epoch_for_offset(9), None);
    assert_eq!(cache.epoch_for_offset(29), Some(4));
    assert_eq!(cache.previous_entry(4).map(|e| e.epoch), Some(2));
}

#[test]
fn conflicting_epochs_go() {
    let cache = with(&disk(), &[(1, 0), (2, 10), (3, 20)]);
    assert!(!cache.assign(3, 25).unwrap());
    assert!(cache.assign(4, 10).unwrap());
    assert_eq!(pairs(&cache), [(1, 0), (4, 10)]);
}

#[test]
fn truncation_keeps_the_epoch_in_force() {
    let fs = disk();
    let cache = with(&fs, &[(1, 0), (2, 10), (3, 20)]);
    cache.truncate_from_start(15);
    assert_eq!(pairs(&cache), [(2, 15), (3, 20)]);
    cache.truncate_from_end(20);
    assert_eq!(pairs(&cache), [(2, 15)]);
    cache.flush().unwrap();
    assert_eq!(pairs(&open(&fs)), [(2, 15)]);
}

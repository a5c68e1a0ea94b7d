use std::path::Path;
use std::sync::Arc;

use super::*;
use crate::fs::sim::SimFileSystem;

const PATH: &str = "/d/00000000000000000010.timeindex";

fn open(fs: &Arc<dyn FileSystem>, max: usize) -> TimeIndex {
    TimeIndex::open(Arc::clone(fs), PathBuf::from(PATH), 10, max).unwrap()
}

fn disk() -> Arc<dyn FileSystem> {
    let fs = SimFileSystem::new(1);
    fs.create_dir_all(Path::new("/d")).unwrap();
    Arc::new(fs)
}

fn entry(timestamp: i64, offset: i64) -> TimestampOffset {
    TimestampOffset { timestamp, offset }
}

#[test]
fn only_later_timestamps_enter() {
    let fs = disk();
    let mut index = open(&fs, 120);
    assert_eq!(index.last_entry(), entry(-1, 10));
    for (timestamp, offset) in [(5, 11), (5, 12), (4, 13), (9, 14)] {
        index.maybe_append(entry(timestamp, offset)).unwrap();
    }
    assert_eq!(index.len(), 2);
    assert_eq!(index.lookup(4), entry(-1, 10));
    assert_eq!(index.lookup(8), entry(5, 11));
    assert_eq!(index.lookup(9), entry(9, 14));
    index.close().unwrap();
    let bytes = fs.read_file(Path::new(PATH), 100).unwrap().unwrap();
    assert_eq!(&bytes[..12], [0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 1]);
    let mut index = open(&fs, 120);
    index.truncate_to(14).unwrap();
    assert_eq!(index.last_entry(), entry(5, 11));
}

#[test]
fn the_last_slot_is_kept_for_the_closing_entry() {
    let mut index = open(&disk(), 36);
    index.maybe_append(entry(1, 11)).unwrap();
    assert!(!index.is_full());
    index.maybe_append(entry(2, 12)).unwrap();
    assert!(index.is_full());
    index.maybe_append(entry(3, 13)).unwrap();
    assert_eq!(index.len(), 3);
}

use std::path::Path;
use std::sync::Arc;

use super::*;
use crate::fs::sim::SimFileSystem;

const PATH: &str = "/d/00000000000000000000.txnindex";

fn open(fs: &Arc<dyn FileSystem>) -> TransactionIndex {
    TransactionIndex::open(Arc::clone(fs), PathBuf::from(PATH), 0).unwrap()
}

fn disk() -> Arc<dyn FileSystem> {
    let fs = SimFileSystem::new(1);
    fs.create_dir_all(Path::new("/d")).unwrap();
    Arc::new(fs)
}

fn txn(producer_id: i64, first_offset: i64, last_offset: i64, last_stable_offset: i64) -> AbortedTxn {
    AbortedTxn { producer_id, first_offset, last_offset, last_stable_offset }
}

#[test]
fn there_is_no_file_before_the_first_entry() {
    let fs = disk();
    let mut index = open(&fs);
    index.reset().unwrap();
    index.flush().unwrap();
    index.close();
    assert!(!fs.exists(Path::new(PATH)).unwrap());
}

#[test]
fn aborted_transactions_are_found_by_range() {
    let fs = disk();
    let mut index = open(&fs);
    let all = [txn(0, 0, 10, 2), txn(1, 5, 15, 11), txn(2, 18, 35, 25), txn(3, 32, 50, 40)];
    for txn in all {
        index.append(txn).unwrap();
    }
    let bytes = fs.read_file(Path::new(PATH), 1000).unwrap().unwrap();
    assert_eq!(bytes.len(), 4 * 34);
    assert_eq!(&bytes[34..36], [0, 0], "each entry begins with its version");
    let mut index = open(&fs);
    assert!(index.sanity_check().is_ok());
    let found = index.collect_aborted(9, 30);
    assert_eq!(found.aborted, all[..3]);
    assert!(found.is_complete, "the last stable offset of the fourth is behind the range");
    assert_eq!(index.collect_aborted(0, 10).aborted, all[..2]);
    assert!(!index.collect_aborted(0, 100).is_complete);
    index.truncate_to(35).unwrap();
    assert_eq!(index.all(), &all[..2]);
    assert_eq!(open(&fs).all(), &all[..2]);
}

#[test]
fn unknown_versions_are_corrupt() {
    let fs = disk();
    let file = fs.open(Path::new(PATH), OpenMode::ReadWrite).unwrap();
    file.write_all_at(&[9; 34], 0).unwrap();
    assert!(open(&fs).sanity_check().is_err());
}

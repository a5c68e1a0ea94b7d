use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::fs::sim::SimFileSystem;

const PATH: &str = "/d/00000000000000000100.index";

fn disk() -> Arc<dyn FileSystem> {
    let fs = SimFileSystem::new(1);
    fs.create_dir_all(Path::new("/d")).unwrap();
    Arc::new(fs)
}

fn open(fs: &Arc<dyn FileSystem>) -> OffsetIndex {
    OffsetIndex::open(Arc::clone(fs), PathBuf::from(PATH), 100, 8 * 1000).unwrap()
}

#[test]
fn an_empty_index_points_to_the_begin() {
    let index = open(&disk());
    assert_eq!(index.lookup(5000), OffsetPosition { offset: 100, position: 0 });
    assert_eq!(index.last_offset(), 100);
    assert!(index.fetch_upper_bound_offset(OffsetPosition { offset: 100, position: 0 }, 10).is_none());
}

#[test]
fn the_file_has_kafkas_bytes() {
    let fs = disk();
    let mut index = open(&fs);
    index.append(101, 0x0203).unwrap();
    index.close().unwrap();
    let bytes = fs.read_file(Path::new(PATH), 100).unwrap().unwrap();
    assert_eq!(&bytes[..], [0, 0, 0, 1, 0, 0, 2, 3]);
}

#[test]
fn what_kafka_preallocated_is_trimmed_on_close() {
    let fs = disk();
    let file = fs.open(Path::new(PATH), crate::fs::OpenMode::ReadWrite).unwrap();
    file.write_all_at(&[0, 0, 0, 9, 0, 0, 0, 9, 1, 2, 3], 0).unwrap();
    let mut index = open(&fs);
    assert_eq!(index.len(), 1, "the torn entry does not count");
    file.write_all_at(&[0; 800], 8).unwrap();
    assert_eq!(open(&fs).len(), 1, "neither do zeros");
    index.close().unwrap();
    assert_eq!(file.len().unwrap(), 8);
}

#[test]
fn disorder_is_found() {
    let fs = disk();
    let file = fs.open(Path::new(PATH), crate::fs::OpenMode::ReadWrite).unwrap();
    file.write_all_at(&[0, 0, 0, 9, 0, 0, 0, 9, 0, 0, 0, 8, 0, 0, 0, 10], 0).unwrap();
    assert!(open(&fs).sanity_check().is_err());
}

#[test]
fn only_offsets_that_fit_are_taken() {
    let index = open(&disk());
    assert!(index.can_append_offset(100 + i64::from(i32::MAX)));
    assert!(!index.can_append_offset(101 + i64::from(i32::MAX)));
    assert!(!index.can_append_offset(99));
    assert!(!index.can_append_offset(i64::MIN));
}

proptest! {
    #[test]
    fn entries_survive_and_are_found(
        steps in prop::collection::vec((1_i64..50, 1_u32..5000), 1..200),
        probe in 0_i64..12_000,
        cut in 0_i64..12_000,
    ) {
        let fs = disk();
        let mut index = open(&fs);
        let (mut offset, mut position, mut all) = (100, 0, Vec::new());
        for (o, p) in steps {
            (offset, position) = (offset + o, position + p);
            index.append(offset, position).unwrap();
            all.push(OffsetPosition { offset, position });
        }
        index.close().unwrap();
        let mut index = open(&fs);
        prop_assert!(index.entries.matches_file().unwrap());
        prop_assert!(index.sanity_check().is_ok());
        let expected = all.iter().rev().find(|e| e.offset <= probe);
        let start = OffsetPosition { offset: 100, position: 0 };
        prop_assert_eq!(index.lookup(probe), expected.copied().unwrap_or(start));
        index.truncate_to(cut).unwrap();
        all.retain(|e| e.offset < cut);
        prop_assert_eq!(index.len(), all.len());
        prop_assert_eq!(index.last_offset(), all.last().map_or(100, |e| e.offset));
        if !all.is_empty() {
            prop_assert!(index.entries.matches_file().unwrap());
        }
    }
}

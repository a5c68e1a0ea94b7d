use std::fs;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use super::*;

fn cache(capacity: usize) -> &'static Descriptors {
    Box::leak(Box::new(Descriptors::with_capacity(capacity)))
}

fn files(dir: &Path, count: usize) -> Vec<PathBuf> {
    let paths: Vec<PathBuf> = (0..count).map(|i| dir.join(format!("file-{i}"))).collect();
    for (i, path) in paths.iter().enumerate() {
        fs::write(path, [i as u8]).unwrap();
    }
    paths
}

fn first_byte(file: &CachedFile) -> io::Result<u8> {
    let mut byte = [0];
    file.with(|file| file.read_at(&mut byte, 0))?;
    Ok(byte[0])
}

fn open_files(cache: &Descriptors) -> usize {
    cache.open.load(Ordering::Relaxed)
}

#[test]
fn more_files_than_descriptors_are_used() {
    let dir = tempfile::tempdir().unwrap();
    let cache = cache(4);
    let files: Vec<_> = files(dir.path(), 50).iter().map(|path| CachedFile::closed(cache, path)).collect();
    assert_eq!(open_files(cache), 0, "nothing is opened before it is used");
    for _ in 0..3 {
        for (i, file) in files.iter().enumerate() {
            assert_eq!(first_byte(file).unwrap(), i as u8);
            assert!(open_files(cache) <= 4);
        }
    }
    drop(files);
    assert_eq!(open_files(cache), 0);
}

#[test]
fn what_is_used_all_the_time_stays_open() {
    let dir = tempfile::tempdir().unwrap();
    let cache = cache(4);
    let files: Vec<_> = files(dir.path(), 20).iter().map(|path| CachedFile::closed(cache, path)).collect();
    let busy = files[0].file().unwrap();
    for file in &files[1..] {
        first_byte(file).unwrap();
        assert!(Arc::ptr_eq(&busy, &files[0].file().unwrap()));
    }
}

#[test]
fn a_file_that_is_held_stays_open() {
    let dir = tempfile::tempdir().unwrap();
    let cache = cache(1);
    let paths = files(dir.path(), 2);
    let [first, second] = [0, 1].map(|i| CachedFile::closed(cache, &paths[i]));
    let held = first.file().unwrap();
    first_byte(&second).unwrap();
    first_byte(&second).unwrap();
    assert_eq!(open_files(cache), 1);
    fs::remove_file(&paths[0]).unwrap();
    let mut byte = [9];
    assert_eq!(held.read_at(&mut byte, 0).unwrap(), 1);
    assert_eq!(byte, [0]);
}

#[test]
fn a_closed_file_is_found_under_its_new_name() {
    let dir = tempfile::tempdir().unwrap();
    let cache = cache(1);
    let path = &files(dir.path(), 1)[0];
    let file = CachedFile::closed(cache, path);
    let name = file.hold_name();
    let reader = std::thread::scope(|scope| {
        let reader = scope.spawn(|| first_byte(&file));
        let new = dir.path().join("renamed");
        fs::rename(path, &new).unwrap();
        name.change(&new);
        reader.join().unwrap()
    });
    assert_eq!(reader.unwrap(), 0);
}

#[test]
fn files_that_are_gone_leave_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let cache = cache(4);
    let path = &files(dir.path(), 1)[0];
    for _ in 0..100 {
        first_byte(&CachedFile::closed(cache, path)).unwrap();
    }
    assert!(cache.queue.lock().len() <= 8);
    assert_eq!(open_files(cache), 0);
}

#[test]
fn threads_that_use_more_files_than_fit_read_the_right_ones() {
    let dir = tempfile::tempdir().unwrap();
    let cache = cache(3);
    let files: Vec<_> = files(dir.path(), 16).iter().map(|path| CachedFile::closed(cache, path)).collect();
    std::thread::scope(|scope| {
        for thread in 0..4_usize {
            let files = &files;
            scope.spawn(move || {
                for step in 0..2_000 {
                    let i = (step * (thread + 3)) % files.len();
                    assert_eq!(first_byte(&files[i]).unwrap(), i as u8);
                }
            });
        }
    });
    // One that is used by others all the time may have been spared for each thread.
    assert!(open_files(cache) <= 3 + 4, "{}", open_files(cache));
}

//! Fewer descriptors than files: a broker has more segments than a process may have files open.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Weak};

use arc_swap::{ArcSwapOption, Guard};

use super::HeldName;
use crate::sync::Mutex;

/// Of the descriptors a process may have, log files get this part; connections are to have the others.
const PART_FOR_FILES: usize = 4;
const MIN_CAPACITY: usize = 64;
const MAX_CAPACITY: usize = 16 * 1024;

/// Those of this process: what limits them is the process's, too.
pub(super) static DESCRIPTORS: LazyLock<Descriptors> = LazyLock::new(|| {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let limit = limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    Descriptors::with_capacity((limit / PART_FOR_FILES).clamp(MIN_CAPACITY, MAX_CAPACITY))
});

/// The files that are open. When there are more than fit, one that was not used since the last look at it
/// is closed; whoever needs it opens it again.
#[derive(Debug)]
pub(super) struct Descriptors {
    capacity: usize,
    open: AtomicUsize,
    /// In the order they are looked at. Of a file that is gone an empty entry may be left.
    queue: Mutex<VecDeque<Weak<CachedFile>>>,
}

/// A file that is opened when it is used, and may be closed when it is not.
#[derive(Debug)]
pub(super) struct CachedFile {
    descriptors: &'static Descriptors,
    me: Weak<Self>,
    file: ArcSwapOption<File>,
    used: AtomicBool,
    /// Locked while the file is opened and while it is renamed, so that no name is used that is over.
    path: Mutex<Box<Path>>,
}

impl CachedFile {
    /// A file that is there, not opened yet.
    pub(super) fn closed(descriptors: &'static Descriptors, path: &Path) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            descriptors,
            me: Weak::clone(me),
            file: ArcSwapOption::empty(),
            used: AtomicBool::new(false),
            path: Mutex::new(path.into()),
        })
    }

    /// A file that was just opened.
    pub(super) fn opened(descriptors: &'static Descriptors, path: &Path, file: File) -> Arc<Self> {
        let cached = Self::closed(descriptors, path);
        cached.file.store(Some(Arc::new(file)));
        descriptors.add(&cached.me);
        cached
    }

    /// Does something with the open file. It stays open meanwhile, whoever closes it.
    pub(super) fn with<T>(&self, action: impl FnOnce(&File) -> io::Result<T>) -> io::Result<T> {
        let open = self.load();
        match &*open {
            Some(file) => action(file),
            None => action(&*self.open()?),
        }
    }

    /// The open file, which stays open as long as somebody has this.
    pub(super) fn file(&self) -> io::Result<Arc<File>> {
        match &*self.load() {
            Some(file) => Ok(Arc::clone(file)),
            None => self.open(),
        }
    }

    pub(super) fn hold_name(&self) -> HeldName<'_> {
        HeldName::new(self.path.lock())
    }

    fn load(&self) -> Guard<Option<Arc<File>>> {
        // Nearly always set already, and then the cache line stays shared.
        if !self.used.load(Ordering::Relaxed) {
            self.used.store(true, Ordering::Relaxed);
        }
        self.file.load()
    }

    #[cold]
    fn open(&self) -> io::Result<Arc<File>> {
        let path = self.path.lock();
        if let Some(file) = self.file.load_full() {
            return Ok(file);
        }
        let open = || OpenOptions::new().read(true).write(true).open(&*path);
        let file = Arc::new(self.descriptors.with_room(open)?);
        self.file.store(Some(Arc::clone(&file)));
        // One that is used only once goes before those that are used again.
        self.used.store(false, Ordering::Relaxed);
        // Before the lock is let go: a file is in the queue once for each time it is opened.
        self.descriptors.add(&self.me);
        Ok(file)
    }
}

impl Drop for CachedFile {
    fn drop(&mut self) {
        if self.file.swap(None).is_some() {
            self.descriptors.open.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Descriptors {
    pub(super) fn with_capacity(capacity: usize) -> Self {
        Self { capacity, open: AtomicUsize::new(0), queue: Mutex::default() }
    }

    /// Opens something. When the process has no descriptor left, cached ones make room for it.
    pub(super) fn with_room<T>(&self, open: impl Fn() -> io::Result<T>) -> io::Result<T> {
        loop {
            match open() {
                Err(error) if is_exhausted(&error) => {
                    let fewer = self.open.load(Ordering::Relaxed) / 2;
                    if self.shrink_to(fewer) == 0 {
                        return Err(error);
                    }
                }
                result => return result,
            }
        }
    }

    fn add(&self, file: &Weak<CachedFile>) {
        let open = self.open.fetch_add(1, Ordering::Relaxed) + 1;
        {
            let mut queue = self.queue.lock();
            queue.push_back(Weak::clone(file));
            if queue.len() > 2 * self.capacity {
                // Many were opened and dropped again.
                queue.retain(|file| file.strong_count() > 0);
            }
        }
        if open > self.capacity {
            self.shrink_to(self.capacity);
        }
    }

    /// Closes files that were not used lately until no more than `wanted` are open. Returns how many.
    fn shrink_to(&self, wanted: usize) -> usize {
        let mut closed = 0;
        // A file that is always used is met once as used and once as not.
        let mut looks = 2 * self.queue.lock().len();
        while looks > 0 && self.open.load(Ordering::Relaxed) > wanted {
            looks -= 1;
            let Some(next) = self.queue.lock().pop_front() else { break };
            // Dropping the last reference closes it, too.
            let Some(file) = next.upgrade() else { continue };
            if file.used.swap(false, Ordering::Relaxed) {
                self.queue.lock().push_back(next);
            } else if file.file.swap(None).is_some() {
                self.open.fetch_sub(1, Ordering::Relaxed);
                closed += 1;
            }
        }
        closed
    }
}

fn is_exhausted(error: &io::Error) -> bool {
    let code = error.raw_os_error().map(rustix::io::Errno::from_raw_os_error);
    matches!(code, Some(rustix::io::Errno::MFILE | rustix::io::Errno::NFILE))
}

#[cfg(test)]
#[path = "descriptors_test.rs"]
mod tests;

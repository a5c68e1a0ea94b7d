//! Paced write-back: what was appended is forced to disk some MiB at a time, by a thread of its own.
//!
//! Left alone, the system collects dirty pages until it has so many that it stops whoever writes, and after
//! a kill -9 all of them would have to be looked at again.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, PoisonError, Weak};
use std::time::{Duration, Instant};

use crate::error::StorageError;
use crate::log_manager::LogManager;
use crate::sync::Mutex;
use crate::unified_log::UnifiedLog;

/// A log tells of what was appended to it in steps of this.
pub(crate) const NOTED_BYTES: usize = 4 << 20;
/// So much in one log is forced to disk. With more at once, whoever appends meanwhile was seen to wait.
const LOG_BYTES: u64 = if cfg!(test) { 8 << 20 } else { 32 << 20 };
/// But no earlier than this after the first of it: a burst is over by then, and its pages are full.
const LINGER: Duration = if cfg!(test) { Duration::ZERO } else { Duration::from_secs(5) };
/// With so much in all of them, the log that has the most of it is, at once.
const DIRECTORY_BYTES: u64 = if cfg!(test) { 4 * LOG_BYTES } else { 2 << 30 };
/// Longest rest between two pieces.
const REST_MAX: Duration = Duration::from_millis(50);
/// Recovery points are written no more often than this, and no more than a part of the time is spent on it.
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(1);
const CHECKPOINT_PART: u32 = 20;

/// Logs of a directory and what is to be forced to disk of them.
#[derive(Debug)]
pub(crate) struct WriteBack {
    dir: PathBuf,
    manager: Weak<LogManager>,
    queue: Mutex<Queue>,
    wake: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    /// By address.
    logs: HashMap<usize, Dirty>,
    bytes: u64,
    has_thread: bool,
    stopped: bool,
}

#[derive(Debug)]
struct Dirty {
    log: Weak<UnifiedLog>,
    bytes: u64,
    /// When the first of them was appended.
    since: Instant,
}

enum Work {
    Log(Weak<UnifiedLog>),
    Checkpoint,
    Stop,
}

impl Queue {
    /// Tells whether the thread has to look again.
    fn note(&mut self, log: &Weak<UnifiedLog>, bytes: u64, since: Instant) -> bool {
        let dirty = self.logs.entry(log.as_ptr() as usize);
        let fresh = || Dirty { log: Weak::clone(log), bytes: 0, since };
        let dirty = dirty.or_insert_with(fresh);
        let little = dirty.bytes < LOG_BYTES;
        dirty.bytes += bytes;
        self.bytes += bytes;
        (little && dirty.bytes >= LOG_BYTES) || self.bytes >= DIRECTORY_BYTES
    }

    /// The log that is forced to disk next, and when.
    fn due(&self) -> Option<(usize, Instant)> {
        if self.bytes >= DIRECTORY_BYTES {
            let (key, most) = self.logs.iter().max_by_key(|(_, dirty)| dirty.bytes)?;
            return Some((*key, most.since));
        }
        let enough = self.logs.iter().filter(|(_, dirty)| dirty.bytes >= LOG_BYTES);
        let (key, first) = enough.min_by_key(|(_, dirty)| dirty.since)?;
        Some((*key, first.since + LINGER))
    }

    fn take(&mut self, key: usize) -> Option<Weak<UnifiedLog>> {
        let dirty = self.logs.remove(&key)?;
        self.bytes -= dirty.bytes;
        Some(dirty.log)
    }
}

impl WriteBack {
    pub(crate) fn new(manager: &Weak<LogManager>, dir: &Path) -> Arc<Self> {
        let (manager, dir) = (Weak::clone(manager), dir.to_path_buf());
        Arc::new(Self { dir, manager, queue: Mutex::default(), wake: Condvar::new() })
    }

    /// Takes note of bytes that were appended to a log. The first time so much comes together that something
    /// is to be done, the thread is started.
    pub(crate) fn note_appended(self: &Arc<Self>, log: &Weak<UnifiedLog>, bytes: usize) {
        self.note(log, bytes as u64, Instant::now());
    }

    /// Takes note of bytes that a process before this one has left above the recovery point. Nothing more is to
    /// be expected of that burst, so that they do not linger: the next recovery and the next stop find less to do.
    pub(crate) fn note_found(self: &Arc<Self>, log: &Weak<UnifiedLog>, bytes: u64) {
        let now = Instant::now();
        self.note(log, bytes, now.checked_sub(LINGER).unwrap_or(now));
    }

    fn note(self: &Arc<Self>, log: &Weak<UnifiedLog>, bytes: u64, since: Instant) {
        let mut queue = self.queue.lock();
        if !queue.note(log, bytes, since) || queue.stopped {
            return;
        }
        if queue.has_thread {
            return self.wake.notify_one();
        }
        let this = Arc::clone(self);
        let thread = std::thread::Builder::new().name("write-back".to_owned()).spawn(move || this.run());
        match thread {
            Ok(_) => queue.has_thread = true,
            // The system writes by itself, only later.
            Err(error) => tracing::warn!(dir = %self.dir.display(), %error, "no thread for write-back"),
        }
    }

    /// Writes the recovery points of the directory now: those on disk promise more than is true.
    pub(crate) fn checkpoint(&self) -> Result<(), StorageError> {
        self.manager.upgrade().map_or(Ok(()), |manager| manager.checkpoint_recovery_points_in(&self.dir))
    }

    /// Has the thread end.
    pub(crate) fn stop(&self) {
        self.queue.lock().stopped = true;
        self.wake.notify_all();
    }

    fn run(&self) {
        let mut earliest = Instant::now();
        let mut moved = false;
        loop {
            match self.next(moved.then_some(earliest)) {
                Work::Log(log) => {
                    let Some(log) = log.upgrade() else { continue };
                    log.write_out(&mut |took| self.rest(took));
                    // An error takes the directory offline, which is told elsewhere.
                    moved |= log.write_back().unwrap_or(false);
                }
                Work::Checkpoint => {
                    let begin = Instant::now();
                    let _ = self.checkpoint();
                    earliest = Instant::now() + CHECKPOINT_INTERVAL.max(begin.elapsed() * CHECKPOINT_PART);
                    moved = false;
                }
                Work::Stop => return,
            }
        }
    }

    /// Leaves the disk to others for as long as it was taken, unless there is too much to do. Tells whether
    /// to go on.
    fn rest(&self, took: Duration) -> bool {
        let queue = self.queue.lock();
        if queue.stopped || queue.bytes >= DIRECTORY_BYTES / 2 {
            return !queue.stopped;
        }
        let rested =
            self.wake.wait_timeout(queue, took.min(REST_MAX)).unwrap_or_else(PoisonError::into_inner);
        !rested.0.stopped
    }

    /// Awaits the next piece of work.
    fn next(&self, checkpoint_at: Option<Instant>) -> Work {
        let mut queue = self.queue.lock();
        loop {
            let now = Instant::now();
            if queue.stopped {
                return Work::Stop;
            }
            if checkpoint_at.is_some_and(|at| at <= now) {
                return Work::Checkpoint;
            }
            let due = queue.due();
            if let Some((key, at)) = due
                && at <= now
                && let Some(log) = queue.take(key)
            {
                return Work::Log(log);
            }
            let until = [checkpoint_at, due.map(|(_, at)| at)].into_iter().flatten().min();
            queue = match until.map(|at| at.saturating_duration_since(now)) {
                Some(left) => self.wake.wait_timeout(queue, left).unwrap_or_else(PoisonError::into_inner).0,
                None => self.wake.wait(queue).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }
}

#[cfg(test)]
#[path = "write_back_test.rs"]
mod tests;

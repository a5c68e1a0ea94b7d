//! Fetch: file slices behind small headers.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::connection::Piece;
use super::log::{Log, Slice};
use super::topics::Topics;
use crate::wire::{Reader, Writer};

/// A decoded request.
#[derive(Debug)]
pub(super) struct Fetch {
    pub(super) correlation: i32,
    pub(super) serial: u64,
    pub(super) deadline: Instant,
    min_bytes: usize,
    max_bytes: usize,
    /// Topic's number and name, and its wanted partitions.
    topics: Vec<(Option<usize>, String, Vec<Wanted>)>,
}

#[derive(Debug)]
struct Wanted {
    partition: usize,
    offset: i64,
    max_bytes: usize,
}

/// Kafka's OFFSET_OUT_OF_RANGE and UNKNOWN_TOPIC_OR_PARTITION.
const OUT_OF_RANGE: i16 = 1;
const UNKNOWN: i16 = 3;

impl Fetch {
    pub(super) fn decode(correlation: i32, serial: u64, r: &mut Reader<'_>, all: &Topics) -> Result<Self> {
        r.i32()?;
        let wait = Duration::from_millis(u64::try_from(r.i32()?).unwrap_or(0));
        let (min_bytes, max_bytes) = (r.count()?, r.count()?);
        r.i8()?;
        let topics = r.list(|r| {
            let name = r.string()?;
            let wanted = r.list(|r| {
                Ok(Wanted { partition: usize::try_from(r.i32()?)?, offset: r.i64()?, max_bytes: r.count()? })
            })?;
            Ok((all.find(name), name.to_owned(), wanted))
        })?;
        let deadline = Instant::now() + wait;
        Ok(Self { correlation, serial, deadline, min_bytes, max_bytes, topics })
    }

    /// The answer, or None when there is too little data yet.
    pub(super) fn answer(&self, all: &Topics, now: Instant) -> Result<Option<Vec<Piece>>> {
        let mut left = self.max_bytes;
        let mut found = Vec::new();
        let (mut bytes, mut failed) = (0, false);
        for (topic, _, wanted) in &self.topics {
            for wanted in wanted {
                let log = topic.and_then(|topic| all.log(topic, wanted.partition));
                let limit = wanted.max_bytes.min(left);
                let slice = log.map(|log| log.read(wanted.offset, limit, bytes == 0));
                if let Some(Some(slice)) = &slice {
                    bytes += slice.length;
                    left = left.saturating_sub(slice.length);
                } else {
                    failed = true;
                }
                found.push((log.map_or(-1, Log::end_offset), slice));
            }
        }
        if bytes < self.min_bytes && !failed && now < self.deadline {
            return Ok(None);
        }
        self.encode(found).map(Some)
    }

    fn encode(&self, found: Vec<(i64, Option<Option<Slice>>)>) -> Result<Vec<Piece>> {
        let mut pieces = Vec::with_capacity(2 * found.len());
        let mut found = found.into_iter();
        let mut size = 0;
        let mut w = Writer::default();
        w.i32(0).i32(self.correlation).i32(0).count(self.topics.len());
        for (_, name, wanted) in &self.topics {
            w.string(name).count(wanted.len());
            for wanted in wanted {
                let (end, slice) = found.next().context("one for each partition")?;
                let error = match &slice {
                    None => UNKNOWN,
                    Some(None) => OUT_OF_RANGE,
                    Some(Some(_)) => 0,
                };
                let slice = slice.flatten();
                let length = slice.as_ref().map_or(0, |slice| slice.length);
                w.i32(wanted.partition as i32).i16(error).i64(end).i64(end).i32(-1).count(length);
                if let Some(slice) = slice.filter(|slice| slice.length > 0) {
                    size += w.0.len() + length;
                    pieces.push(Piece::Bytes(std::mem::take(&mut w.0)));
                    pieces.push(Piece::File(slice));
                }
            }
        }
        if !w.0.is_empty() {
            size += w.0.len();
            pieces.push(Piece::Bytes(w.0));
        }
        if let Some(Piece::Bytes(first)) = pieces.first_mut() {
            first[..4].copy_from_slice(&i32::try_from(size - 4)?.to_be_bytes());
        }
        Ok(pieces)
    }

    /// Lets the wanted partitions know who waits for them.
    pub(super) fn park(&self, connection: usize, all: &mut Topics) {
        for (topic, _, wanted) in &self.topics {
            for wanted in wanted {
                let Some(log) = topic.and_then(|topic| all.log_mut(topic, wanted.partition)) else {
                    continue;
                };
                match log.waiters.iter_mut().find(|(waiter, _)| *waiter == connection) {
                    Some(known) => known.1 = self.serial,
                    None => log.waiters.push((connection, self.serial)),
                }
            }
        }
    }
}

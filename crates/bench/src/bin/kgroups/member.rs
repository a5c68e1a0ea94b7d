//! A member of a group of the consumer protocol: its requests, and what it reads from the answers.

use anyhow::{Result, bail, ensure};
use ottla_bench::wire::{Reader, Writer};

use crate::TOPIC;

/// How long the group may wait for the member to give partitions up.
const REBALANCE_MS: i32 = 60_000;

/// A member of a group and what the server told it last.
#[derive(Debug)]
pub(crate) struct Member {
    group: String,
    pub(crate) id: String,
    pub(crate) epoch: i32,
    /// What the server asks for.
    pub(crate) interval_ms: i32,
    pub(crate) owned: Vec<([u8; 16], Vec<i32>)>,
    offset: i64,
    /// Whether any heartbeat since the last look changed anything.
    pub(crate) changed: bool,
    /// Whether its last heartbeat changed anything.
    pub(crate) moved: bool,
    /// Whether the server has yet to hear what the member owns.
    untold: bool,
}

impl Member {
    /// One that has not joined yet.
    pub(crate) fn new(group: String, id: String) -> Self {
        Self {
            group,
            id,
            epoch: 0,
            interval_ms: 5000,
            owned: Vec::new(),
            offset: 0,
            changed: true,
            moved: true,
            untold: true,
        }
    }

    /// A ConsumerGroupHeartbeat. Like Kafka's client it tells what the member owns when that is news.
    pub(crate) fn heartbeat(&mut self, w: &mut Writer) {
        compact(w, &self.group);
        compact(w, &self.id);
        w.i32(self.epoch);
        uvarint(w, 0);
        uvarint(w, 0);
        if self.epoch == 0 {
            w.i32(REBALANCE_MS);
            uvarint(w, 2);
            compact(w, TOPIC);
        } else {
            w.i32(-1);
            uvarint(w, 0);
        }
        // No pattern, no assignor.
        uvarint(w, 0);
        uvarint(w, 0);
        if std::mem::take(&mut self.untold) {
            self.tell_owned(w);
        } else {
            uvarint(w, 0);
        }
        uvarint(w, 0);
    }

    fn tell_owned(&self, w: &mut Writer) {
        uvarint(w, self.owned.len() as u32 + 1);
        for (topic, partitions) in &self.owned {
            w.0.extend(topic);
            uvarint(w, partitions.len() as u32 + 1);
            for partition in partitions {
                w.i32(*partition);
            }
            uvarint(w, 0);
        }
    }

    /// An OffsetCommit for its first partition, each time one further.
    pub(crate) fn commit(&mut self, w: &mut Writer) {
        self.offset += 1;
        compact(w, &self.group);
        w.i32(self.epoch);
        compact(w, &self.id);
        uvarint(w, 0);
        uvarint(w, 2);
        compact(w, TOPIC);
        uvarint(w, 2);
        w.i32(self.owned.first().and_then(|(_, partitions)| partitions.first()).copied().unwrap_or(0));
        w.i64(self.offset).i32(-1);
        compact(w, "");
        uvarint(w, 0);
        uvarint(w, 0);
        uvarint(w, 0);
    }

    /// The error of a heartbeat.
    pub(crate) fn beaten(&mut self, answer: &[u8]) -> Result<i16> {
        let mut r = Reader::new(answer);
        skip_tags(&mut r)?;
        r.i32()?;
        let error = r.i16()?;
        skip_compact(&mut r)?;
        skip_compact(&mut r)?;
        if error != 0 {
            self.untold = true;
            return Ok(error);
        }
        let epoch = r.i32()?;
        self.interval_ms = r.i32()?;
        self.moved = epoch != self.epoch;
        self.epoch = epoch;
        // A struct that may be missing begins with 1 or -1.
        if r.i8()? == 1 {
            let mut owned = Vec::new();
            for _ in 1..read_uvarint(&mut r)?.max(1) {
                let topic: [u8; 16] = r.take(16)?.try_into()?;
                let mut partitions = Vec::new();
                for _ in 1..read_uvarint(&mut r)?.max(1) {
                    partitions.push(r.i32()?);
                }
                skip_tags(&mut r)?;
                owned.push((topic, partitions));
            }
            self.moved |= owned != self.owned;
            // What was assigned is taken at once, and acknowledged with the next heartbeat.
            self.untold = true;
            self.owned = owned;
        }
        self.changed |= self.moved;
        Ok(0)
    }
}

/// The error of the one partition of a commit.
pub(crate) fn committed(answer: &[u8]) -> Result<i16> {
    let mut r = Reader::new(answer);
    skip_tags(&mut r)?;
    r.i32()?;
    ensure!(read_uvarint(&mut r)? == 2, "OffsetCommit answered other than one topic");
    skip_compact(&mut r)?;
    ensure!(read_uvarint(&mut r)? == 2, "OffsetCommit answered other than one partition");
    r.i32()?;
    r.i16()
}

fn uvarint(w: &mut Writer, value: u32) {
    let mut left = value;
    while left >= 0x80 {
        w.0.push(left as u8 | 0x80);
        left >>= 7;
    }
    w.0.push(left as u8);
}

fn compact(w: &mut Writer, value: &str) {
    uvarint(w, value.len() as u32 + 1);
    w.0.extend(value.as_bytes());
}

fn read_uvarint(r: &mut Reader<'_>) -> Result<u32> {
    let mut value = 0;
    for step in 0..5 {
        let byte = u32::from(r.i8()? as u8);
        value |= (byte & 0x7f) << (7 * step);
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    bail!("a number of more than five bytes")
}

fn skip_compact(r: &mut Reader<'_>) -> Result<()> {
    let length = read_uvarint(r)?.saturating_sub(1);
    r.take(length as usize).map(drop)
}

fn skip_tags(r: &mut Reader<'_>) -> Result<()> {
    for _ in 0..read_uvarint(r)? {
        read_uvarint(r)?;
        let length = read_uvarint(r)?;
        r.take(length as usize)?;
    }
    Ok(())
}

/// A frame with a version 2 header.
pub(crate) fn frame(api: (i16, i16), body: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut frame = Writer::default();
    frame.i32(0).i16(api.0).i16(api.1).i32(1).string("kgroups");
    uvarint(&mut frame, 0);
    body(&mut frame);
    let length = i32::try_from(frame.0.len() - 4).unwrap_or(i32::MAX);
    frame.0[..4].copy_from_slice(&length.to_be_bytes());
    frame.0
}

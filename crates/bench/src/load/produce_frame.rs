//! A Produce request encoded once, whose topic and partitions are patched for each use.

use anyhow::{Context, Result, ensure};

use crate::wire::{Reader, api, request};

/// The frame and the places that change.
#[derive(Debug, Clone)]
pub struct ProduceFrame {
    bytes: Vec<u8>,
    topic: std::ops::Range<usize>,
    partitions: Vec<usize>,
}

impl ProduceFrame {
    /// A request with the same batch for each of `slots` partitions of one topic.
    pub fn new(topic: &str, acks: i16, slots: usize, batch: &[u8]) -> Self {
        let mut topic_at = 0;
        let mut partitions = Vec::new();
        let bytes = request(api::PRODUCE, 1, |w| {
            w.null().i16(acks).i32(30_000).i32(1);
            topic_at = w.0.len() + 2;
            w.string(topic).count(slots);
            for slot in 0..slots {
                partitions.push(w.0.len());
                w.i32(slot as i32).bytes(batch);
            }
        });
        Self { bytes, topic: topic_at..topic_at + topic.len(), partitions }
    }

    /// Puts in another topic whose name has the same length.
    pub fn set_topic(&mut self, topic: &str) {
        self.bytes[self.topic.clone()].copy_from_slice(topic.as_bytes());
    }

    /// Puts in the partition of one slot.
    pub fn set_partition(&mut self, slot: usize, partition: usize) {
        let at = self.partitions[slot];
        self.bytes[at..at + 4].copy_from_slice(&(partition as i32).to_be_bytes());
    }

    /// The frame as it is now.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Reads the answer (after its correlation id) and hands on (partition, base offset).
pub fn read_answer(answer: &[u8], mut each: impl FnMut(usize, i64) -> Result<()>) -> Result<()> {
    let mut answer = Reader::new(answer);
    answer.list(|a| {
        let topic = a.string()?;
        a.list(|a| {
            let (partition, error, base) = (a.i32()?, a.i16()?, a.i64()?);
            a.take(16)?;
            ensure!(error == 0, "Produce to {topic}-{partition} answered {error}");
            each(usize::try_from(partition)?, base)
        })?;
        Ok(())
    })?;
    answer.i32().context("no throttle time")?;
    Ok(())
}

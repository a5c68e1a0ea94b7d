//! The requests of [`Client`] that the tests need, one old version of each.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::process::{await_some, await_true};
use crate::wire::{Answer, Body, Client};

/// Errors after which the same request is worth another try while a server settles.
const RETRIABLE: &[i16] = &[3, 5, 6, 14, 15, 16];
const SETTLE: Duration = Duration::from_secs(30);

/// An answer of Produce for one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Produced {
    /// Kafka's error code.
    pub error: i16,
    /// Offset of the first record.
    pub base_offset: i64,
}

/// An answer of Fetch for one partition.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// Kafka's error code.
    pub error: i16,
    /// End of what may be read.
    pub high_watermark: i64,
    /// Batches as they are on disk.
    pub records: Vec<u8>,
}

impl Client {
    /// Creates a topic and waits until its partitions have leaders.
    pub fn create_topic(&mut self, name: &str, partitions: i32, configs: &[(&str, &str)]) -> Result<()> {
        // A server answers a moment before its broker may lead anything.
        await_true("a broker that is not fenced", SETTLE, || Ok(self.live_brokers()? > 0))?;
        let mut body =
            Body::default().i32(1).string(name).i32(partitions).i16(1).i32(0).i32(configs.len() as i32);
        for (key, value) in configs {
            body = body.string(key).string(value);
        }
        let mut answer = self.call(19, 2, body.i32(20_000).i8(0))?;
        answer.i32()?;
        for (error, message) in answer.list(|a| {
            a.string()?;
            Ok((a.i16()?, a.string()?))
        })? {
            ensure!(error == 0, "CreateTopics {name} answered {error}: {message}");
        }
        await_some(&format!("leaders of {name}"), SETTLE, || {
            Ok(self.leaders(name)?.filter(|leaders| leaders.len() as i32 == partitions).map(|_| ()))
        })
    }

    /// How many brokers Metadata names.
    fn live_brokers(&mut self) -> Result<i32> {
        let mut answer = self.call(3, 4, Body::default().i32(0).i8(0))?;
        answer.i32()?;
        answer.i32()
    }

    /// The leaders of a topic's partitions, when all are known.
    fn leaders(&mut self, name: &str) -> Result<Option<Vec<i32>>> {
        let mut answer = self.call(3, 4, Body::default().i32(1).string(name).i8(0))?;
        answer.i32()?;
        answer.list(|a| {
            a.i32()?;
            a.string()?;
            a.i32()?;
            a.string()
        })?;
        answer.string()?;
        answer.i32()?;
        let mut topics = answer.list(|a| {
            let error = a.i16()?;
            a.string()?;
            a.i8()?;
            let partitions = a.list(|a| {
                let error = a.i16()?;
                a.i32()?;
                let leader = a.i32()?;
                a.list(Answer::i32)?;
                a.list(Answer::i32)?;
                Ok((error, leader))
            })?;
            Ok((error, partitions))
        })?;
        let (error, partitions) = topics.pop().context("Metadata names no topic")?;
        let all = error == 0 && partitions.iter().all(|(error, leader)| *error == 0 && *leader >= 0);
        Ok(all.then(|| partitions.into_iter().map(|(_, leader)| leader).collect()))
    }

    /// Sends a Produce request (acks=all) for one partition.
    pub fn send_produce(&mut self, topic: &str, partition: i32, batch: &[u8]) -> Result<i32> {
        let body = Body::default().null_string().i16(-1).i32(20_000).i32(1).string(topic);
        self.send(0, 7, body.i32(1).i32(partition).bytes(batch))
    }

    /// Receives the answer of [`Self::send_produce`].
    pub fn receive_produce(&mut self, correlation: i32) -> Result<Produced> {
        let mut answer = self.receive(correlation)?;
        let topics = answer.list(|a| {
            a.string()?;
            a.list(|a| {
                a.i32()?;
                let produced = Produced { error: a.i16()?, base_offset: a.i64()? };
                a.i64()?;
                a.i64()?;
                Ok(produced)
            })
        })?;
        answer.i32()?;
        answer.end()?;
        topics.into_iter().flatten().next().context("Produce answered nothing")
    }

    /// Produces one batch, again while the server settles.
    pub fn produce(&mut self, topic: &str, partition: i32, batch: &[u8]) -> Result<Produced> {
        await_some(&format!("an answer of Produce for {topic}-{partition}"), SETTLE, || {
            let correlation = self.send_produce(topic, partition, batch)?;
            let produced = self.receive_produce(correlation)?;
            Ok((!RETRIABLE.contains(&produced.error)).then_some(produced))
        })
    }

    /// Fetches from one offset.
    pub fn fetch(&mut self, topic: &str, partition: i32, offset: i64) -> Result<Fetched> {
        let body = Body::default().i32(-1).i32(100).i32(1).i32(32 << 20).i8(0).i32(0).i32(-1);
        let body = body.i32(1).string(topic).i32(1).i32(partition).i32(-1).i64(offset).i64(-1).i32(16 << 20);
        let mut answer = self.call(1, 11, body.i32(0).string(""))?;
        answer.i32()?;
        let error = answer.i16()?;
        ensure!(error == 0, "Fetch answered {error}");
        answer.i32()?;
        let topics = answer.list(|a| {
            a.string()?;
            a.list(|a| {
                a.i32()?;
                let (error, high_watermark) = (a.i16()?, a.i64()?);
                a.i64()?;
                a.i64()?;
                a.list(|a| Ok((a.i64()?, a.i64()?)))?;
                a.i32()?;
                Ok(Fetched { error, high_watermark, records: a.bytes()? })
            })
        })?;
        answer.end()?;
        topics.into_iter().flatten().next().context("Fetch answered nothing")
    }

    /// The offset for a time stamp (-1 latest, -2 earliest).
    pub fn list_offset(&mut self, topic: &str, partition: i32, timestamp: i64) -> Result<i64> {
        await_some(&format!("the offsets of {topic}-{partition}"), SETTLE, || {
            let body = Body::default()
                .i32(-1)
                .i8(0)
                .i32(1)
                .string(topic)
                .i32(1)
                .i32(partition)
                .i32(-1)
                .i64(timestamp);
            let mut answer = self.call(2, 4, body)?;
            answer.i32()?;
            let topics = answer.list(|a| {
                a.string()?;
                a.list(|a| {
                    a.i32()?;
                    let error = a.i16()?;
                    a.i64()?;
                    let offset = a.i64()?;
                    a.i32()?;
                    Ok((error, offset))
                })
            })?;
            match topics.into_iter().flatten().next() {
                Some((0, offset)) => Ok(Some(offset)),
                Some((error, _)) if RETRIABLE.contains(&error) => Ok(None),
                other => bail!("ListOffsets for {topic}-{partition} answered {other:?}"),
            }
        })
    }

    /// A producer id and epoch for an idempotent producer.
    pub fn init_producer_id(&mut self) -> Result<(i64, i16)> {
        await_some("a producer id", SETTLE, || {
            let mut answer = self.call(22, 1, Body::default().null_string().i32(60_000))?;
            answer.i32()?;
            match answer.i16()? {
                0 => Ok(Some((answer.i64()?, answer.i16()?))),
                error if RETRIABLE.contains(&error) => Ok(None),
                error => bail!("InitProducerId answered {error}"),
            }
        })
    }

    /// Waits until the group has a coordinator (which creates the topic of the offsets).
    pub fn find_coordinator(&mut self, group: &str) -> Result<()> {
        await_some(&format!("a coordinator for {group}"), SETTLE, || {
            let mut answer = self.call(10, 1, Body::default().string(group).i8(0))?;
            answer.i32()?;
            Ok((answer.i16()? == 0).then_some(()))
        })
    }

    /// Commits an offset as a consumer without a group generation does.
    pub fn commit_offset(
        &mut self,
        group: &str,
        topic: &str,
        partition: i32,
        offset: i64,
        metadata: &str,
    ) -> Result<()> {
        await_some(&format!("a commit of {group}"), SETTLE, || {
            let body = Body::default().string(group).i32(-1).string("").i32(1).string(topic);
            let mut answer = self.call(8, 5, body.i32(1).i32(partition).i64(offset).string(metadata))?;
            answer.i32()?;
            let topics = answer.list(|a| {
                a.string()?;
                a.list(|a| {
                    a.i32()?;
                    a.i16()
                })
            })?;
            match topics.into_iter().flatten().next() {
                Some(0) => Ok(Some(())),
                Some(error) if RETRIABLE.contains(&error) => Ok(None),
                other => bail!("OffsetCommit answered {other:?}"),
            }
        })
    }

    /// The committed offset and its metadata.
    pub fn committed_offset(&mut self, group: &str, topic: &str, partition: i32) -> Result<(i64, String)> {
        await_some(&format!("the offsets of {group}"), SETTLE, || {
            let body = Body::default().string(group).i32(1).string(topic).i32(1).i32(partition);
            let mut answer = self.call(9, 3, body)?;
            answer.i32()?;
            let topics = answer.list(|a| {
                a.string()?;
                a.list(|a| {
                    a.i32()?;
                    Ok((a.i64()?, a.string()?, a.i16()?))
                })
            })?;
            let error = answer.i16()?;
            match topics.into_iter().flatten().next() {
                Some((offset, metadata, 0)) if error == 0 => Ok(Some((offset, metadata))),
                _ if RETRIABLE.contains(&error) => Ok(None),
                other => bail!("OffsetFetch answered {error}, {other:?}"),
            }
        })
    }

    /// Every byte of a partition, from its first offset to its end, and that end.
    pub fn read_partition(&mut self, topic: &str, partition: i32) -> Result<(Vec<u8>, i64)> {
        let mut next = self.list_offset(topic, partition, -2)?;
        let end = self.list_offset(topic, partition, -1)?;
        let mut all = Vec::new();
        while next < end {
            let fetched = await_some(&format!("records of {topic}-{partition} at {next}"), SETTLE, || {
                let fetched = self.fetch(topic, partition, next)?;
                Ok((fetched.error == 0 && !fetched.records.is_empty()).then_some(fetched))
            })?;
            let whole = crate::batch::whole_batches(&fetched.records)?;
            let last = whole.last().with_context(|| format!("no whole batch at {next}"))?;
            ensure!(last.next_offset > next, "the batches at {next} do not reach past it");
            all.extend(&fetched.records[..last.end]);
            next = last.next_offset;
        }
        Ok((all, end))
    }
}

//! Bad input to the transaction coordinator, and markers that no coordinator wrote.

use anyhow::{Context, Result, ensure};

use super::bad_input::{Case, code, judge, settled};
use super::flexible::{Flexible, FlexibleAnswer, call};
use crate::wire::{Answer, Body, Client};

const TIMEOUT_MS: i32 = 30_000;

/// A transactional id with its producer.
#[derive(Clone, Copy)]
struct Producer<'a> {
    id: &'a str,
    producer: i64,
    epoch: i16,
}

/// InitProducerId, version 1: the error, the producer id and its epoch.
fn init(client: &mut Client, id: &str, timeout_ms: i32) -> Result<(i16, i64, i16)> {
    let mut answer = client.call(22, 1, Body::default().string(id).i32(timeout_ms))?;
    answer.i32()?;
    Ok((answer.i16()?, answer.i64()?, answer.i16()?))
}

impl<'a> Producer<'a> {
    /// With a coordinator and a producer id.
    fn begin(client: &mut Client, id: &'a str) -> Result<Self> {
        settled("a coordinator", || {
            let mut answer = client.call(10, 1, Body::default().string(id).i8(1))?;
            answer.i32()?;
            answer.i16()
        })?;
        let mut found = Self { id, producer: -1, epoch: -1 };
        let error = settled("a producer id", || {
            let (error, producer, epoch) = init(client, id, TIMEOUT_MS)?;
            found = Self { id, producer, epoch };
            Ok(error)
        })?;
        ensure!(error == code::NONE, "InitProducerId is answered with {error}");
        Ok(found)
    }

    fn body(&self) -> Body {
        Body::default().string(self.id).i64(self.producer).i16(self.epoch)
    }

    /// AddPartitionsToTxn, version 1.
    fn add(&self, client: &mut Client, topic: &str) -> Result<i16> {
        let mut answer = client.call(24, 1, self.body().i32(1).string(topic).i32(1).i32(0))?;
        answer.i32()?;
        let topics = answer.list(|a: &mut Answer| {
            a.string()?;
            a.list(|a| {
                a.i32()?;
                a.i16()
            })
        })?;
        topics.into_iter().flatten().next().context("AddPartitionsToTxn answered nothing")
    }

    /// AddOffsetsToTxn, version 1.
    fn add_offsets(&self, client: &mut Client, group: &str) -> Result<i16> {
        let mut answer = client.call(25, 1, self.body().string(group))?;
        answer.i32()?;
        answer.i16()
    }

    /// EndTxn, version 1.
    fn end(&self, client: &mut Client, commit: bool) -> Result<i16> {
        let mut answer = client.call(26, 1, self.body().i8(i8::from(commit)))?;
        answer.i32()?;
        answer.i16()
    }
}

/// Producers that are unknown, of another id, or of another time.
pub fn producers(client: &mut Client) -> Result<()> {
    let topic = "bad-transactions";
    client.create_topic(topic, 1, &[])?;
    let good = Producer::begin(client, "bad-transactions")?;
    let unknown = Producer { id: "nobodys-transactions", ..good };
    let foreign = Producer { producer: good.producer + 1_000, ..good };
    let newer = Producer { epoch: good.epoch + 1, ..good };
    let fresh = Producer::begin(client, "bad-transactions-empty")?;
    let cases = [
        Case { what: "an empty id", seen: init(client, "", TIMEOUT_MS)?.0, expected: code::INVALID_REQUEST },
        Case {
            what: "no time at all",
            seen: init(client, "bad-timeout", 0)?.0,
            expected: code::INVALID_TRANSACTION_TIMEOUT,
        },
        Case {
            what: "too much time",
            seen: init(client, "bad-timeout", i32::MAX)?.0,
            expected: code::INVALID_TRANSACTION_TIMEOUT,
        },
        Case {
            what: "a partition of an unknown id",
            seen: settled("an unknown id", || unknown.add(client, topic))?,
            expected: code::INVALID_PRODUCER_ID_MAPPING,
        },
        Case {
            what: "a partition of a foreign producer",
            seen: foreign.add(client, topic)?,
            expected: code::INVALID_PRODUCER_ID_MAPPING,
        },
        Case {
            what: "a partition in another epoch",
            seen: newer.add(client, topic)?,
            expected: code::INVALID_PRODUCER_EPOCH,
        },
        Case {
            what: "a topic that never was",
            seen: good.add(client, "never")?,
            expected: code::UNKNOWN_TOPIC_OR_PARTITION,
        },
        Case {
            what: "offsets of an unknown id",
            seen: settled("an unknown id", || unknown.add_offsets(client, "any"))?,
            expected: code::INVALID_PRODUCER_ID_MAPPING,
        },
        Case {
            what: "offsets in another epoch",
            seen: newer.add_offsets(client, "any")?,
            expected: code::INVALID_PRODUCER_EPOCH,
        },
        Case {
            what: "the end of an unknown id's",
            seen: settled("an unknown id", || unknown.end(client, true))?,
            expected: code::INVALID_PRODUCER_ID_MAPPING,
        },
        Case {
            what: "the end in another epoch",
            seen: newer.end(client, true)?,
            expected: code::INVALID_PRODUCER_EPOCH,
        },
        Case {
            what: "the end of what never began",
            seen: fresh.end(client, true)?,
            expected: code::INVALID_TXN_STATE,
        },
    ];
    judge(&cases)?;
    let added = settled("the good producer's partition", || good.add(client, topic))?;
    ensure!(added == code::NONE, "the good producer's partition is answered with {added}");
    ensure!(good.end(client, true)? == code::NONE, "the good producer cannot commit");
    Ok(())
}

/// One marker for one partition: WriteTxnMarkers, version 1.
fn mark(client: &mut Client, producer: i64, epoch: i16, topic: &str, coordinator_epoch: i32) -> Result<i16> {
    let body =
        Body::default().count(1).i64(producer).i16(epoch).i8(0).count(1).compact(topic).numbers(&[0]).tags();
    let mut answer = call(client, 27, 1, body.i32(coordinator_epoch).tags().tags())?;
    let markers = answer.compact_list(|a| {
        a.i64()?;
        let topics = a.compact_list(|a| {
            a.compact()?;
            let partitions = a.compact_list(|a| {
                a.i32()?;
                let error = a.i16()?;
                a.tags()?;
                Ok(error)
            })?;
            a.tags()?;
            Ok(partitions)
        })?;
        a.tags()?;
        Ok(topics)
    })?;
    markers.into_iter().flatten().flatten().next().context("WriteTxnMarkers answered nothing")
}

/// Without an authorizer anybody may write markers, as `kafka-transactions abort` does; partitions still
/// know which ones are of an older coordinator or an older producer.
pub fn markers(client: &mut Client) -> Result<()> {
    let topic = "bad-markers";
    client.create_topic(topic, 1, &[])?;
    let (producer, _) = client.init_producer_id()?;
    let cases = [
        Case {
            what: "a topic that never was",
            seen: mark(client, producer, 0, "never", 1)?,
            expected: code::UNKNOWN_TOPIC_OR_PARTITION,
        },
        Case {
            what: "an abort of nothing",
            seen: mark(client, producer, 5, topic, 7)?,
            expected: code::NONE,
        },
        Case {
            what: "a marker of an older coordinator",
            seen: mark(client, producer, 5, topic, 3)?,
            expected: code::TRANSACTION_COORDINATOR_FENCED,
        },
        Case {
            what: "a marker of an older producer",
            seen: mark(client, producer, 4, topic, 7)?,
            expected: code::INVALID_PRODUCER_EPOCH,
        },
    ];
    judge(&cases)?;
    let end = client.list_offset(topic, 0, -1)?;
    ensure!(end == 1, "the partition has {end} records instead of the one marker");
    Ok(())
}

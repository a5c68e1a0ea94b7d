//! A blocking connection, and the requests that are not measured.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::wire::{Reader, Writer, api, request};

/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(120);
/// Errors that pass while a server settles.
const PASSING: &[i16] = &[3, 5, 6, 14, 15, 16];

/// One connection with one request at a time.
#[derive(Debug)]
pub struct Client {
    stream: TcpStream,
}

/// A topic to create.
#[derive(Debug, Clone)]
pub struct NewTopic<'a> {
    /// Its name.
    pub name: &'a str,
    /// How many partitions.
    pub partitions: usize,
    /// Configurations beside the defaults.
    pub configs: &'a [(String, String)],
    /// Replicas of each partition.
    pub replicas: i16,
}

impl Client {
    /// Connects to `host:port`.
    pub fn connect(address: &str) -> Result<Self> {
        Ok(Self { stream: connect(address)? })
    }

    /// The connection, for somebody who goes on otherwise.
    pub fn into_stream(self) -> TcpStream {
        self.stream
    }

    /// Sends a frame and reads the answer without its length and correlation id.
    pub fn call(&mut self, api: (i16, i16), body: impl FnOnce(&mut Writer)) -> Result<Vec<u8>> {
        self.stream.write_all(&request(api, 1, body))?;
        let mut length = [0; 4];
        self.stream.read_exact(&mut length)?;
        let length = usize::try_from(i32::from_be_bytes(length))?;
        ensure!((4..1 << 28).contains(&length), "an answer of {length} bytes");
        let mut answer = vec![0; length];
        self.stream.read_exact(&mut answer)?;
        answer.drain(..4);
        Ok(answer)
    }

    /// Asks what the server speaks.
    pub fn api_versions(&mut self) -> Result<()> {
        let answer = self.call(api::API_VERSIONS, |_| {})?;
        let mut answer = Reader::new(&answer);
        let error = answer.i16()?;
        ensure!(error == 0, "ApiVersions answered {error}");
        let offered = answer.list(|a| Ok((a.i16()?, a.i16()?, a.i16()?)))?;
        for (key, version) in api::ALL {
            let spoken = offered.iter().any(|(k, min, max)| *k == key && (*min..=*max).contains(&version));
            ensure!(spoken, "the server does not speak version {version} of API {key}");
        }
        Ok(())
    }

    /// Creates a topic.
    pub fn create_topic(&mut self, topic: &NewTopic<'_>) -> Result<()> {
        let answer = self.call(api::CREATE_TOPICS, |w| {
            w.i32(1).string(topic.name).count(topic.partitions).i16(topic.replicas).i32(0);
            w.count(topic.configs.len());
            for (key, value) in topic.configs {
                w.string(key).string(value);
            }
            w.i32(60_000).i8(0);
        })?;
        let mut answer = Reader::new(&answer);
        answer.i32()?;
        answer.list(|a| {
            let (name, error, message) = (a.string()?, a.i16()?, a.string()?);
            ensure!(error == 0, "CreateTopics {name} answered {error}: {message}");
            Ok(())
        })?;
        Ok(())
    }

    /// Waits until every partition of a topic has a leader.
    pub fn await_leaders(&mut self, topic: &str, partitions: usize) -> Result<()> {
        settled(&format!("leaders of {topic}"), || {
            Ok((self.led_partitions(topic)? == partitions).then_some(()))
        })
    }

    fn led_partitions(&mut self, topic: &str) -> Result<usize> {
        let answer = self.call(api::METADATA, |w| {
            w.i32(1).string(topic).i8(0);
        })?;
        let mut answer = Reader::new(&answer);
        answer.i32()?;
        answer.list(|a| Ok((a.i32()?, a.string()?, a.i32()?, a.string()?)))?;
        answer.string()?;
        answer.i32()?;
        let topics = answer.list(|a| {
            let error = a.i16()?;
            a.string()?;
            a.i8()?;
            let partitions = a.list(|a| {
                let error = a.i16()?;
                a.i32()?;
                let leader = a.i32()?;
                a.list(Reader::i32)?;
                a.list(Reader::i32)?;
                Ok((error, leader))
            })?;
            Ok((error, partitions))
        })?;
        let (error, partitions) = topics.first().context("Metadata names no topic")?;
        ensure!(*error == 0 || PASSING.contains(error), "Metadata answered {error}");
        Ok(partitions.iter().filter(|(error, leader)| *error == 0 && *leader >= 0).count())
    }

    /// Offsets of partitions 0 to N for a time stamp (-1 latest, -2 earliest).
    pub fn offsets(&mut self, topic: &str, partitions: usize, timestamp: i64) -> Result<Vec<i64>> {
        settled(&format!("offsets of {topic}"), || {
            let answer = self.call(api::LIST_OFFSETS, |w| {
                w.i32(-1).i32(1).string(topic).count(partitions);
                for partition in 0..partitions {
                    w.i32(partition as i32).i64(timestamp);
                }
            })?;
            let topics = Reader::new(&answer).list(|a| {
                a.string()?;
                a.list(|a| Ok((a.i32()?, a.i16()?, (a.i64()?, a.i64()?).1)))
            })?;
            let mut found = topics.into_iter().next().context("ListOffsets names no topic")?;
            if found.iter().any(|(_, error, _)| PASSING.contains(error)) {
                return Ok(None);
            }
            found.sort_unstable_by_key(|(index, ..)| *index);
            let offsets: Result<Vec<i64>> = found
                .into_iter()
                .map(|(index, error, offset)| match error {
                    0 => Ok(offset),
                    _ => bail!("ListOffsets of {topic}-{index} answered {error}"),
                })
                .collect();
            offsets.map(Some)
        })
    }
}

/// Connects without delayed small segments, and bounds each read and write.
pub fn connect(address: &str) -> Result<TcpStream> {
    let stream = TcpStream::connect(address).with_context(|| format!("connect to {address}"))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(ANSWER))?;
    stream.set_write_timeout(Some(ANSWER))?;
    Ok(stream)
}

fn settled<T>(what: &str, mut value: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let end = Instant::now() + ANSWER;
    loop {
        if let Some(found) = value()? {
            return Ok(found);
        }
        ensure!(Instant::now() < end, "waited {ANSWER:?} in vain for {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

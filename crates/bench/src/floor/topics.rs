//! All topics, and the requests about them.

use std::collections::HashMap;
use std::path::PathBuf;

use anyhow::Result;

use super::log::Log;
use crate::wire::{Reader, Writer};

/// Kafka's UNKNOWN_TOPIC_OR_PARTITION and TOPIC_ALREADY_EXISTS.
const UNKNOWN: i16 = 3;
const EXISTS: i16 = 36;

/// Topics by name and by number.
#[derive(Debug)]
pub(super) struct Topics {
    folder: PathBuf,
    numbers: HashMap<String, usize>,
    logs: Vec<Vec<Log>>,
}

impl Topics {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder, numbers: HashMap::new(), logs: Vec::new() }
    }

    pub(super) fn find(&self, name: &str) -> Option<usize> {
        self.numbers.get(name).copied()
    }

    pub(super) fn log(&self, topic: usize, partition: usize) -> Option<&Log> {
        self.logs.get(topic)?.get(partition)
    }

    pub(super) fn log_mut(&mut self, topic: usize, partition: usize) -> Option<&mut Log> {
        self.logs.get_mut(topic)?.get_mut(partition)
    }

    fn add(&mut self, name: &str, partitions: usize) -> Result<i16> {
        if self.find(name).is_some() {
            return Ok(EXISTS);
        }
        let log = |partition| Log::create(&self.folder.join(format!("{name}-{partition}.log")));
        let logs = (0..partitions).map(log).collect::<Result<_>>()?;
        self.numbers.insert(name.to_owned(), self.logs.len());
        self.logs.push(logs);
        Ok(0)
    }

    pub(super) fn create(&mut self, r: &mut Reader<'_>, w: &mut Writer) -> Result<()> {
        let wanted = r.list(|r| {
            let (name, partitions) = (r.string()?, r.count()?);
            r.i16()?;
            r.list(|r| Ok((r.i32()?, r.list(Reader::i32)?)))?;
            r.list(|r| Ok((r.string()?, r.string()?)))?;
            Ok((name, partitions))
        })?;
        w.i32(0).count(wanted.len());
        for (name, partitions) in wanted {
            let error = self.add(name, partitions)?;
            w.string(name).i16(error).null();
        }
        Ok(())
    }

    pub(super) fn metadata(&self, port: u16, r: &mut Reader<'_>, w: &mut Writer) -> Result<()> {
        let names = r.list(Reader::string)?;
        w.i32(0).i32(1).i32(1).string("127.0.0.1").i32(i32::from(port)).null();
        w.string("floor").i32(1).count(names.len());
        for name in names {
            let topic = self.find(name);
            w.i16(if topic.is_some() { 0 } else { UNKNOWN }).string(name).i8(0);
            let partitions = topic.map_or(0, |topic| self.logs[topic].len());
            w.count(partitions);
            for partition in 0..partitions {
                w.i16(0).i32(partition as i32).i32(1).i32(1).i32(1).i32(1).i32(1);
            }
        }
        Ok(())
    }

    pub(super) fn offsets(&self, r: &mut Reader<'_>, w: &mut Writer) -> Result<()> {
        r.i32()?;
        let topics = r.list(|r| Ok((r.string()?, r.list(|r| Ok((r.i32()?, r.i64()?)))?)))?;
        w.count(topics.len());
        for (name, wanted) in topics {
            w.string(name).count(wanted.len());
            for (partition, timestamp) in wanted {
                let topic = self.find(name);
                let log = topic.and_then(|topic| self.log(topic, usize::try_from(partition).ok()?));
                let error = if log.is_some() { 0 } else { UNKNOWN };
                let offset = if timestamp == -1 { log.map_or(-1, Log::end_offset) } else { 0 };
                w.i32(partition).i16(error).i64(-1).i64(offset);
            }
        }
        Ok(())
    }
}

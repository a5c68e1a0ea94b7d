//! Creates topics and waits until they can be used.

use std::time::Instant;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::arguments::Arguments;
use crate::client::{Client, NewTopic};

/// The name of one of several topics: all names have one length, so that a frame can be patched.
pub fn name(prefix: &str, topics: usize, index: usize) -> String {
    if topics == 1 { prefix.to_owned() } else { format!("{prefix}-{index:06}") }
}

/// `kbench create`.
pub fn create(mut arguments: Arguments) -> Result<Value> {
    let address = arguments.require("bootstrap")?;
    let prefix = arguments.require("topic")?;
    let topics: usize = arguments.get("topics", 1)?;
    let partitions: usize = arguments.get("partitions", 1)?;
    let replicas: i16 = arguments.get("replicas", 1)?;
    let configs = configurations(&arguments.get("configs", String::new())?)?;
    arguments.finish()?;
    let mut client = Client::connect(&address)?;
    client.api_versions()?;
    let begin = Instant::now();
    for index in 0..topics {
        let name = name(&prefix, topics, index);
        client.create_topic(&NewTopic { name: &name, partitions, configs: &configs, replicas })?;
    }
    let answered = begin.elapsed();
    for index in 0..topics {
        client.await_leaders(&name(&prefix, topics, index), partitions)?;
    }
    let all = (topics * partitions) as f64;
    let usable = begin.elapsed();
    Ok(json!({
        "partitions": topics * partitions,
        "answered_ms": answered.as_secs_f64() * 1e3,
        "usable_ms": usable.as_secs_f64() * 1e3,
        "us_per_partition": usable.as_secs_f64() * 1e6 / all,
    }))
}

fn configurations(text: &str) -> Result<Vec<(String, String)>> {
    let pair = |pair: &str| -> Result<(String, String)> {
        let (key, value) = pair.split_once('=').with_context(|| format!("{pair} is no key=value"))?;
        Ok((key.to_owned(), value.to_owned()))
    };
    text.split(',').filter(|part| !part.is_empty()).map(pair).collect()
}

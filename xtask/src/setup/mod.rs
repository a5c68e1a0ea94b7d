//! Fetches and compiles the real clients once; what is there already is left alone.

mod java;
mod node;
mod python;

use std::process::Command;
use std::time::Duration;
use std::{fs, thread};

use anyhow::{Context, Result, anyhow};

use crate::{paths, process};

/// One step may need a slow registry.
const STEP: Duration = Duration::from_secs(600);

/// The foreign parts and whether each can be used here.
#[derive(Debug)]
pub struct Parts {
    /// Kafka's jars and the tests' classes.
    pub java: Result<()>,
    /// kafkajs.
    pub kafkajs: Result<()>,
    /// librdkafka's binding for Node.
    pub confluent_javascript: Result<()>,
    /// The Python clients.
    pub python: Result<()>,
    /// kcat.
    pub kcat: Result<()>,
}

/// A set-up that goes on while cargo builds.
#[derive(Debug)]
pub struct Pending(thread::JoinHandle<Parts>);

/// Starts the set-up in the background, if anything that was asked for needs it.
pub fn begin(needed: bool) -> Pending {
    Pending(thread::spawn(if needed { all } else { nothing }))
}

fn nothing() -> Parts {
    let none = || Err(anyhow!("nothing that was asked for needs it"));
    Parts { java: none(), kafkajs: none(), confluent_javascript: none(), kcat: none(), python: none() }
}

/// Only Kafka's jars and the tests' classes.
pub fn kafka() -> Result<()> {
    java::prepare()
}

impl Pending {
    /// Waits for the set-up.
    pub fn finish(self) -> Result<Parts> {
        self.0.join().ok().context("the set-up ended early")
    }
}

fn all() -> Parts {
    let python = python::prepare();
    Parts {
        java: java::prepare(),
        kafkajs: node::kafkajs(),
        confluent_javascript: node::confluent_javascript(&python),
        kcat: kcat(),
        python,
    }
}

/// Runs one step of the set-up, told on the terminal.
fn step(name: &str, command: &mut Command) -> Result<()> {
    println!("set-up: {name}");
    fs::create_dir_all(paths::logs())?;
    let log = paths::logs().join(format!("setup-{}.log", name.replace([' ', '/', '@'], "-")));
    process::succeed(name, command, &log, STEP)?;
    Ok(())
}

fn kcat() -> Result<()> {
    if process::available("apt-get") && !has_kcat() && rustix::process::geteuid().is_root() {
        step("apt-get update", Command::new("apt-get").arg("update"))?;
        step("apt-get install kcat", Command::new("apt-get").args(["install", "-y", "kcat"]))?;
    }
    has_kcat().then_some(()).context("kcat is not installed, and only root on Debian can be helped")
}

fn has_kcat() -> bool {
    Command::new("kcat").arg("-V").output().is_ok_and(|output| output.status.success())
}

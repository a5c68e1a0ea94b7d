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
    debian("kcat")
}

/// What counts instructions and system calls.
pub fn counters() -> Result<()> {
    debian("valgrind")?;
    debian("strace")
}

/// Installs a program of the same name as its package, unless it is there.
fn debian(program: &str) -> Result<()> {
    if process::available("apt-get") && !answers(program) && rustix::process::geteuid().is_root() {
        step("apt-get update", Command::new("apt-get").arg("update"))?;
        step(
            &format!("apt-get install {program}"),
            Command::new("apt-get").args(["install", "-y", program]),
        )?;
    }
    let why = || format!("{program} is not installed, and only root on Debian can be helped");
    answers(program).then_some(()).with_context(why)
}

fn answers(program: &str) -> bool {
    let version = if program == "kcat" || program == "strace" { "-V" } else { "--version" };
    Command::new(program).arg(version).output().is_ok_and(|output| output.status.success())
}

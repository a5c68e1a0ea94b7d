//! The foreign clients: how to run the suite and a group member of each.

use std::process::Command;

use anyhow::{Error, Result, anyhow};

use crate::paths;
use crate::server::java;
use crate::setup::Parts;

/// A client library under test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Foreign {
    /// kafka-clients.
    Java,
    /// kafkajs.
    Kafkajs,
    /// @confluentinc/kafka-javascript (librdkafka).
    ConfluentJavascript,
    /// confluent-kafka for Python (librdkafka).
    ConfluentKafka,
    /// kafka-python.
    KafkaPython,
    /// aiokafka.
    Aiokafka,
    /// kcat (librdkafka).
    Kcat,
}

/// All of them; Java first, the others read what it wrote.
pub const ALL: &[Foreign] = &[
    Foreign::Java,
    Foreign::Kafkajs,
    Foreign::ConfluentJavascript,
    Foreign::ConfluentKafka,
    Foreign::KafkaPython,
    Foreign::Aiokafka,
    Foreign::Kcat,
];

impl Foreign {
    /// The name of the part on the command line.
    pub fn part(self) -> &'static str {
        match self {
            Self::Java => "java",
            Self::Kafkajs => "kafkajs",
            Self::ConfluentJavascript => "confluent-javascript",
            Self::ConfluentKafka => "confluent-kafka",
            Self::KafkaPython => "kafka-python",
            Self::Aiokafka => "aiokafka",
            Self::Kcat => "kcat",
        }
    }

    /// Why it cannot be run here, if so.
    pub fn obstacle(self, parts: &Parts) -> Option<&Error> {
        match self {
            Self::Java => parts.java.as_ref().err(),
            Self::Kafkajs => parts.kafkajs.as_ref().err(),
            Self::ConfluentJavascript => parts.confluent_javascript.as_ref().err(),
            Self::ConfluentKafka | Self::KafkaPython | Self::Aiokafka => parts.python.as_ref().err(),
            Self::Kcat => parts.kcat.as_ref().err(),
        }
    }

    /// `suite BOOTSTRAP`: prints a line for each check.
    pub fn suite(self, bootstrap: &str) -> Result<Command> {
        self.program(&["suite", bootstrap])
    }

    /// `member BOOTSTRAP GROUP TOPIC`: one consumer of a group, until it is killed.
    pub fn member(self, bootstrap: &str, group: &str, topic: &str) -> Result<Command> {
        if self != Self::Kcat {
            return self.program(&["member", bootstrap, group, topic]);
        }
        let mut command = Command::new("kcat");
        command.args([
            "-b",
            bootstrap,
            "-u",
            "-X",
            "session.timeout.ms=6000",
            "-X",
            "heartbeat.interval.ms=500",
        ]);
        command.args(["-X", "auto.offset.reset=earliest", "-X", "auto.commit.interval.ms=200"]);
        command.args(["-f", "got %p %o %s\n", "-G", group, topic]);
        Ok(command)
    }

    fn program(self, args: &[&str]) -> Result<Command> {
        let mut command = match self {
            Self::Java => java("Interop", "256m")?,
            Self::Kafkajs => node("kafkajs.js"),
            Self::ConfluentJavascript => node("confluent.js"),
            Self::ConfluentKafka => python("confluent_suite.py"),
            Self::KafkaPython => python("kafka_python_suite.py"),
            Self::Aiokafka => python("aiokafka_suite.py"),
            Self::Kcat => return Err(anyhow!("kcat has no program of its own")),
        };
        command.args(args);
        Ok(command)
    }

    /// Topics of the corpus that the suite of this client writes, one for each codec it has.
    pub fn corpus(self) -> Vec<String> {
        let codecs: &[&str] = match self {
            Self::Kafkajs => &["none", "gzip"],
            Self::Kcat => &[],
            _ => &["none", "gzip", "snappy", "lz4", "zstd"],
        };
        codecs.iter().map(|codec| format!("corpus-{}-{codec}", self.part())).collect()
    }
}

fn node(script: &str) -> Command {
    let mut command = Command::new("node");
    command.arg(script).current_dir(paths::node()).env("KAFKAJS_NO_PARTITIONER_WARNING", "1");
    command
}

fn python(script: &str) -> Command {
    let mut command = Command::new(paths::python().join("bin/python"));
    command.arg("-u").arg(paths::root().join("tests/python").join(script));
    command
}

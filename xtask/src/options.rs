//! What the command line asks of `test` and `soak`.

use std::time::Duration;

use anyhow::{Result, bail};

use crate::server::Side;

/// Every part that `--only` can name, in the order in which they run.
pub const PARTS: &[&str] = &[
    "house",
    "unit",
    "simulation",
    "fuzz",
    "figures",
    "guard",
    "clients",
    "java",
    "tools",
    "kafkajs",
    "confluent-javascript",
    "confluent-kafka",
    "kafka-python",
    "aiokafka",
    "kcat",
    "rebalance",
    "same-disk",
    "crash",
    "hostile",
    "pagos",
    "groups",
    "exactly-once",
    "take-over",
    "group-load",
];

/// Sections of a part that `--only PART/SECTION` can name, for a quick turn.
const SECTIONS: &[&str] = &[
    "groups/codes",
    "groups/bad-input",
    "groups/clients",
    "groups/transactions",
    "groups/foreign",
    "groups/upgrade",
    "exactly-once/streams",
    "exactly-once/chain",
];

/// How often the costly tests run.
#[derive(Debug, Clone, Copy)]
pub struct Counts {
    /// kill -9 under load.
    pub crashes: u32,
    /// Half-open connections.
    pub half_open: usize,
    /// Hostile frames for each version of each API.
    pub frames_per_version: u32,
    /// Simulated quorums, all seeds together.
    pub simulation: Duration,
    /// Fuzzing, each target.
    pub fuzz: Duration,
}

impl Counts {
    /// Small enough for every commit.
    pub const TEST: Self = Self {
        crashes: 4,
        half_open: 10_000,
        frames_per_version: 12,
        simulation: Duration::from_secs(10),
        fuzz: Duration::from_secs(10),
    };
    /// The full counts.
    pub const SOAK: Self = Self {
        crashes: 50,
        half_open: 10_000,
        frames_per_version: 200,
        simulation: Duration::from_secs(600),
        fuzz: Duration::from_secs(3_600),
    };
}

/// The wishes.
#[derive(Debug, Clone)]
pub struct Options {
    /// The server under test.
    pub against: Side,
    only: Vec<String>,
    /// Counts of the costly tests.
    pub counts: Counts,
}

impl Options {
    /// Reads `[--against kafka|ottla] [--only PART[/SECTION],...]`.
    pub fn parse(args: &[String], counts: Counts) -> Result<Self> {
        let mut options = Self { against: Side::Ottla, only: Vec::new(), counts };
        let mut args = args.iter();
        while let Some(flag) = args.next() {
            let value = args.next().map(String::as_str).unwrap_or_default();
            match (flag.as_str(), value) {
                ("--against", "kafka") => options.against = Side::Kafka,
                ("--against", "ottla") => options.against = Side::Ottla,
                ("--only", list) => options.only = list.split(',').map(str::to_owned).collect(),
                _ => bail!("unknown option {flag} {value}; known: --against kafka|ottla, --only PART,..."),
            }
        }
        let known = [PARTS, SECTIONS].concat();
        if let Some(unknown) = options.only.iter().find(|part| !known.contains(&part.as_str())) {
            bail!("unknown part {unknown}; known: {}", known.join(", "));
        }
        Ok(options)
    }

    /// Whether a part, or a section of it, was asked for.
    pub fn wants(&self, part: &str) -> bool {
        debug_assert!(PARTS.contains(&part), "{part}");
        self.only.is_empty() || self.only.iter().any(|wanted| part_of(wanted) == part)
    }

    /// Whether a section was asked for, by its own name or by that of its part.
    pub fn wants_section(&self, section: &str) -> bool {
        debug_assert!(SECTIONS.contains(&section), "{section}");
        let part = part_of(section);
        self.only.is_empty() || self.only.iter().any(|wanted| wanted == part || wanted == section)
    }

    /// Whether any of these parts was asked for.
    pub fn wants_any(&self, parts: &[&str]) -> bool {
        parts.iter().any(|part| self.wants(part))
    }
}

fn part_of(section: &str) -> &str {
    section.split_once('/').map_or(section, |(part, _)| part)
}

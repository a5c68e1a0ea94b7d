//! Kafka's own command line tools, unmodified, as a script would call them.

use std::fs::File;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::process::await_true;
use crate::report::Report;
use crate::server::java;
use crate::{paths, process};

const TOOL: Duration = Duration::from_secs(90);
const TOPICS: &str = "org.apache.kafka.tools.TopicCommand";
const GROUPS: &str = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand";
const CONFIGS: &str = "kafka.admin.ConfigCommand";
const OFFSETS: &str = "org.apache.kafka.tools.GetOffsetShell";
const CONSUMER: &str = "org.apache.kafka.tools.consumer.ConsoleConsumer";
const PRODUCER: &str = "org.apache.kafka.tools.ConsoleProducer";
const PERFORMANCE: &str = "org.apache.kafka.tools.ProducerPerformance";

/// All tools on one server.
pub fn run(report: &mut Report, bootstrap: &str) {
    let tools = Tools { bootstrap };
    report.check("kafka-topics", || tools.topics());
    report.check("kafka-console-producer and kafka-console-consumer", || tools.console());
    report.check("kafka-get-offsets", || tools.get_offsets());
    report.check("kafka-consumer-groups", || tools.consumer_groups());
    report.check("kafka-configs", || tools.configs());
    report.check("kafka-producer-perf-test", || tools.performance());
}

struct Tools<'a> {
    bootstrap: &'a str,
}

impl Tools<'_> {
    fn command(&self, main: &str) -> Result<Command> {
        let mut command = java(main, "256m")?;
        command.args(["--bootstrap-server", self.bootstrap]);
        Ok(command)
    }

    fn run(&self, main: &str, args: &[&str]) -> Result<String> {
        let mut command = self.command(main)?;
        command.args(args);
        process::succeed(main, &mut command, &paths::logs().join("tool.log"), TOOL)
    }

    fn topics(&self) -> Result<()> {
        let created = self.run(
            TOPICS,
            &[
                "--create",
                "--topic",
                "tools",
                "--partitions",
                "2",
                "--replication-factor",
                "1",
                "--config",
                "retention.ms=1000000",
            ],
        )?;
        contains(&created, "Created topic tools.")?;
        let described = self.run(TOPICS, &["--describe", "--topic", "tools"])?;
        contains(&described, "PartitionCount: 2")?;
        contains(&described, "retention.ms=1000000")?;
        contains(&described, "Partition: 1\tLeader: 1\tReplicas: 1\tIsr: 1")?;
        self.run(TOPICS, &["--alter", "--topic", "tools", "--partitions", "3"])?;
        await_true("three partitions", TOOL, || {
            Ok(self.run(TOPICS, &["--describe", "--topic", "tools"])?.contains("PartitionCount: 3"))
        })?;
        self.run(TOPICS, &["--create", "--topic", "tools-doomed", "--if-not-exists"])?;
        self.run(TOPICS, &["--delete", "--topic", "tools-doomed"])?;
        let listed = self.run(TOPICS, &["--list"])?;
        ensure!(listed.lines().any(|line| line == "tools"), "not listed: {listed}");
        ensure!(!listed.lines().any(|line| line == "tools-doomed"), "still listed: {listed}");
        Ok(())
    }

    fn console(&self) -> Result<()> {
        let input = paths::logs().join("console-input.txt");
        let lines: String = (0..50).map(|i| format!("k{i}:value {i}\n")).collect();
        std::fs::write(&input, lines)?;
        let mut producer = self.command(PRODUCER)?;
        producer.args(["--topic", "tools", "--compression-codec", "zstd"]);
        producer.args(["--reader-property", "parse.key=true", "--reader-property", "key.separator=:"]);
        let mut child = producer
            .stdin(Stdio::from(File::open(&input)?))
            .stdout(File::create(paths::logs().join("console-producer.log"))?)
            .stderr(Stdio::inherit())
            .spawn()?;
        let status = process::await_some("the console producer", TOOL, || Ok(child.try_wait()?))?;
        ensure!(status.success(), "the console producer: {status}");
        let read = self.run(
            CONSUMER,
            &[
                "--topic",
                "tools",
                "--from-beginning",
                "--max-messages",
                "50",
                "--timeout-ms",
                "30000",
                "--group",
                "tools-group",
                "--formatter-property",
                "print.key=true",
                "--formatter-property",
                "key.separator=:",
            ],
        )?;
        for i in 0..50 {
            ensure!(
                read.lines().any(|line| line == format!("k{i}:value {i}")),
                "record {i} is missing in {read}"
            );
        }
        contains(&read, "Processed a total of 50 messages")
    }

    fn get_offsets(&self) -> Result<()> {
        let text = self.run(OFFSETS, &["--topic", "tools"])?;
        let mut total = 0;
        for line in text.lines().filter(|line| line.starts_with("tools:")) {
            total += line.rsplit(':').next().unwrap_or_default().parse::<i64>()?;
        }
        ensure!(total == 50, "offsets add up to {total}: {text}");
        let earliest = self.run(OFFSETS, &["--topic-partitions", "tools:1", "--time", "-2"])?;
        contains(&earliest, "tools:1:0")
    }

    fn consumer_groups(&self) -> Result<()> {
        let listed = self.run(GROUPS, &["--list"])?;
        ensure!(listed.lines().any(|line| line.trim() == "tools-group"), "not listed: {listed}");
        let described = self.run(GROUPS, &["--describe", "--group", "tools-group"])?;
        let rows: Vec<Vec<&str>> = described
            .lines()
            .map(|line| line.split_whitespace().collect())
            .filter(|row: &Vec<&str>| row.first() == Some(&"tools-group"))
            .collect();
        ensure!(!rows.is_empty(), "no rows: {described}");
        let lag: i64 =
            rows.iter().filter_map(|row| row.get(5)).filter_map(|lag| lag.parse::<i64>().ok()).sum();
        ensure!(lag == 0, "lag {lag}: {described}");
        let reset =
            ["--reset-offsets", "--group", "tools-group", "--topic", "tools", "--to-earliest", "--execute"];
        self.run(GROUPS, &reset)?;
        let described = self.run(GROUPS, &["--describe", "--group", "tools-group"])?;
        let lag: i64 = described
            .lines()
            .filter(|line| line.starts_with("tools-group"))
            .filter_map(|line| line.split_whitespace().nth(5)?.parse::<i64>().ok())
            .sum();
        ensure!(lag == 50, "lag {lag} after the reset: {described}");
        let state = self.run(GROUPS, &["--describe", "--group", "tools-group", "--state"])?;
        contains(&state, "Empty")?;
        let deleted = self.run(GROUPS, &["--delete", "--group", "tools-group"])?;
        contains(&deleted, "was successful")?;
        let listed = self.run(GROUPS, &["--list"])?;
        ensure!(!listed.lines().any(|line| line.trim() == "tools-group"), "still listed: {listed}");
        Ok(())
    }

    fn configs(&self) -> Result<()> {
        let topic = ["--entity-type", "topics", "--entity-name", "tools"];
        let alter = |change: [&str; 2]| self.run(CONFIGS, &[&topic[..], &["--alter"], &change].concat());
        contains(
            &alter(["--add-config", "max.message.bytes=4242,cleanup.policy=[compact,delete]"])?,
            "Completed updating config for topic tools.",
        )?;
        let described = self.run(CONFIGS, &[&topic[..], &["--describe"]].concat())?;
        contains(&described, "max.message.bytes=4242")?;
        contains(&described, "cleanup.policy=compact,delete")?;
        alter(["--delete-config", "max.message.bytes"])?;
        let described = self.run(CONFIGS, &[&topic[..], &["--describe"]].concat())?;
        ensure!(!described.contains("max.message.bytes=4242"), "not deleted: {described}");
        let all =
            self.run(CONFIGS, &["--entity-type", "brokers", "--entity-name", "1", "--describe", "--all"])?;
        contains(&all, "log.segment.bytes=")
    }

    fn performance(&self) -> Result<()> {
        let text = self.run(
            PERFORMANCE,
            &["--topic", "perf", "--num-records", "20000", "--record-size", "200", "--throughput", "-1"],
        )?;
        contains(&text, "20000 records sent")?;
        let offsets = self.run(OFFSETS, &["--topic", "perf"])?;
        contains(&offsets, "perf:0:20000")
    }
}

fn contains(text: &str, part: &str) -> Result<()> {
    ensure!(text.contains(part), "\"{part}\" is missing in:\n{text}");
    Ok(())
}

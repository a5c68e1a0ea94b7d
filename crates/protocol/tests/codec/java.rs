//! Kafka's own codec as oracle: the bytes of every message in every version, records of the metadata log and
//! of the coordinators included, go through the classes Kafka generated for itself and come back the same.
//!
//! Runs when `OTTLA_KAFKA_CLASSPATH` names the jars of Kafka 4.4 and `java` is there.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::thread;

use ottla_protocol::registry::MESSAGES;

use crate::round_trip::every_message_and_version;

const SEEDS: u64 = 25;
const CODEC: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/java/codec/Codec.java");

/// Puts the questions to Kafka; one line each, as many answers.
fn ask_kafka(classpath: &str, questions: String) -> Vec<String> {
    let mut java = Command::new("java")
        .args(["-Xmx256m", "-cp", classpath, CODEC])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("java runs");
    let mut stdin = java.stdin.take().expect("a pipe");
    let asking = thread::spawn(move || stdin.write_all(questions.as_bytes()));
    let mut answers = String::new();
    java.stdout.take().expect("a pipe").read_to_string(&mut answers).expect("answers");
    asking.join().expect("no panic").expect("questions are read");
    assert!(java.wait().expect("java ends").success());
    answers.lines().map(str::to_owned).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

fn compare(expected: &[String], answers: &[String]) {
    assert_eq!(expected.len(), answers.len());
    let different = |(ours, theirs): &(&String, &String)| ours.trim_end() != theirs.trim_end();
    let differences: Vec<_> = expected.iter().zip(answers).filter(different).collect();
    let shown: String = differences
        .iter()
        .take(20)
        .map(|(ours, theirs)| format!("\n ours   {ours}\n theirs {theirs}"))
        .collect();
    assert!(differences.is_empty(), "{} of {} differ:{shown}", differences.len(), expected.len());
}

#[test]
fn kafkas_own_codec_agrees() {
    let Ok(classpath) = std::env::var("OTTLA_KAFKA_CLASSPATH") else {
        eprintln!("skipped: OTTLA_KAFKA_CLASSPATH is not set");
        return;
    };
    let mut lines = Vec::new();
    for (message, version) in every_message_and_version() {
        for seed in 0..SEEDS {
            let bytes = (message.sample)(seed, version).expect("samples can be encoded");
            lines.push(format!("{} {version} {}", message.name, hex(&bytes)));
        }
    }
    compare(&lines, &ask_kafka(&classpath, lines.join("\n") + "\n"));
}

#[test]
fn kafka_has_the_same_versions() {
    let Ok(classpath) = std::env::var("OTTLA_KAFKA_CLASSPATH") else {
        eprintln!("skipped: OTTLA_KAFKA_CLASSPATH is not set");
        return;
    };
    // Kafka keeps no class for messages without versions.
    let messages = || MESSAGES.iter().filter(|message| message.min_version <= message.max_version);
    let questions: String = messages().map(|message| format!("{} versions\n", message.name)).collect();
    let ours = messages().map(|m| format!("{} {} {}", m.name, m.min_version, m.max_version));
    compare(&ours.collect::<Vec<_>>(), &ask_kafka(&classpath, questions));
}

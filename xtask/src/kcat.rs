//! kcat as it is used from a shell.

use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::process::await_some;
use crate::report::Report;
use crate::{paths, process};

const KCAT: Duration = Duration::from_secs(60);
const CODECS: &[&str] = &["none", "gzip", "snappy", "lz4", "zstd"];

/// Every check of kcat.
pub fn run(report: &mut Report, bootstrap: &str) {
    report.check("kcat: metadata", || {
        let text = kcat(bootstrap, &["-L", "-J"])?;
        let value: serde_json::Value = serde_json::from_str(&text)?;
        ensure!(value["brokers"][0]["name"] == bootstrap, "brokers: {}", value["brokers"]);
        Ok(())
    });
    for codec in CODECS {
        report.check(&format!("kcat: codec {codec}"), || codec_round(bootstrap, codec));
    }
    report.check("kcat: headers, null keys and values", || headers(bootstrap));
    report.check("kcat: 1 MB record", || megabyte(bootstrap));
    report.check("kcat: idempotent producer", || {
        let lines: String = (0..500).map(|i| format!("i{i}\n")).collect();
        produce(bootstrap, lines.as_bytes(), &["-t", "kcat-idempotent", "-X", "enable.idempotence=true"])?;
        ensure!(
            kcat(bootstrap, &["-C", "-t", "kcat-idempotent", "-e", "-q"])? == lines,
            "other lines came back"
        );
        Ok(())
    });
    report.check("kcat: offsets by time", || {
        let text = kcat(bootstrap, &["-Q", "-t", "kcat-none:0:0"])?;
        ensure!(text.trim() == "kcat-none [0] offset 0", "{text}");
        Ok(())
    });
}

fn kcat(bootstrap: &str, args: &[&str]) -> Result<String> {
    let mut command = Command::new("kcat");
    command.args(["-b", bootstrap]).args(args);
    process::succeed("kcat", &mut command, &paths::logs().join("kcat.log"), KCAT)
}

fn produce(bootstrap: &str, input: &[u8], args: &[&str]) -> Result<()> {
    let file = paths::logs().join("kcat-input.txt");
    std::fs::write(&file, input)?;
    let mut child = Command::new("kcat")
        .args(["-b", bootstrap, "-P"])
        .args(args)
        .stdin(Stdio::from(std::fs::File::open(&file)?))
        .spawn()?;
    let status = await_some("kcat -P", KCAT, || Ok(child.try_wait()?))?;
    ensure!(status.success(), "kcat -P: {status}");
    Ok(())
}

fn codec_round(bootstrap: &str, codec: &str) -> Result<()> {
    let topic = format!("kcat-{codec}");
    let lines: String = (0..200).map(|i| format!("key{i}:value {i} {}\n", "abc".repeat(i % 20))).collect();
    produce(bootstrap, lines.as_bytes(), &["-t", &topic, "-p", "0", "-K:", "-z", codec])?;
    let read = kcat(bootstrap, &["-C", "-t", &topic, "-e", "-q", "-f", "%k:%s\n"])?;
    ensure!(read == lines, "other lines came back: {}", process::tail(&read, 3));
    // Java wrote it if its part runs, too; asking must not bring it into being.
    let corpus = format!("corpus-java-{codec}");
    let no_creation = "allow.auto.create.topics=false";
    if kcat(bootstrap, &["-L", "-t", &corpus, "-X", no_creation])?.contains("with 1 partitions") {
        let read = kcat(bootstrap, &["-C", "-t", &corpus, "-e", "-q", "-f", "%o %S %k\n"])?;
        ensure!(read.lines().count() == 60, "{} records of {corpus}", read.lines().count());
        ensure!(read.lines().nth(7) == Some("7 -1 k-7"), "null value of {corpus}: {:?}", read.lines().nth(7));
    }
    Ok(())
}

fn headers(bootstrap: &str) -> Result<()> {
    let args = ["-t", "kcat-headers", "-p", "0", "-Z", "-K:", "-H", "a=1", "-H", "b=two"];
    produce(bootstrap, b"k:\n:v\n", &args)?;
    let read = kcat(bootstrap, &["-C", "-t", "kcat-headers", "-e", "-q", "-f", "%K %S %h\n"])?;
    ensure!(read == "1 -1 a=1,b=two\n-1 1 a=1,b=two\n", "{read}");
    Ok(())
}

fn megabyte(bootstrap: &str) -> Result<()> {
    let line: String = (0..1_000_000_u32).map(|i| char::from(b'a' + (i * 7 % 26) as u8)).collect();
    produce(bootstrap, line.as_bytes(), &["-t", "kcat-big", "-X", "message.max.bytes=1048588"])?;
    let read = kcat(bootstrap, &["-C", "-t", "kcat-big", "-e", "-q"])?;
    ensure!(read.trim_end() == line, "{} bytes came back", read.len());
    Ok(())
}

//! `kafka-dump-log` over every file of a folder: it must read all of them without a complaint.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, bail, ensure};

use crate::server::{Node, java};
use crate::{paths, process};

const DUMP: Duration = Duration::from_secs(240);
/// What the tool prints when something is wrong.
const COMPLAINTS: &[&str] = &[
    "Mismatches in",
    "Found timestamp mismatch",
    "Index timestamp",
    "Found out of order timestamp",
    "Non-consecutive offsets",
    "mismatch",
    "Exception",
    "WARN",
    "ERROR",
    "invalid",
    "corrupt",
    "isvalid: false",
    "Found illegal",
    "out of range",
];

/// Dumps data, indexes, transaction indexes and producer snapshots of every partition.
pub fn run(node: &Node) -> Result<()> {
    let mut data = Vec::new();
    let mut metadata = Vec::new();
    for entry in fs::read_dir(node.logs())? {
        let folder = entry?.path();
        if !folder.is_dir() {
            continue;
        }
        let cluster = folder.file_name().is_some_and(|name| name == "__cluster_metadata-0");
        for file in fs::read_dir(&folder)? {
            let file = file?.path();
            if unreadable_index(&file)? {
                continue;
            }
            let known = file.extension().and_then(|extension| extension.to_str()).is_some_and(|extension| {
                matches!(extension, "log" | "index" | "timeindex" | "txnindex" | "snapshot" | "checkpoint")
            });
            let empty = fs::metadata(&file)?.len() == 0;
            if known && !(empty && file.extension().is_some_and(|x| x == "txnindex")) {
                if cluster && file.extension().is_some_and(|x| x == "log" || x == "checkpoint") {
                    metadata.push(file);
                } else if file.extension().is_none_or(|x| x != "checkpoint") {
                    data.push(file);
                }
            }
        }
    }
    ensure!(!data.is_empty() && !metadata.is_empty(), "no files under {}", node.logs().display());
    dump(&data, &["--deep-iteration"])?;
    dump(&metadata, &["--cluster-metadata-decoder", "--skip-record-metadata"])
}

fn dump(files: &[PathBuf], more: &[&str]) -> Result<()> {
    let list: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
    let mut command = java("org.apache.kafka.tools.DumpLogSegments", "512m")?;
    command.args(["--files", &list.join(",")]).args(more);
    let log = paths::logs().join("dump-log.log");
    let text = process::succeed("kafka-dump-log", &mut command, &log, DUMP)?;
    let dumped = text.lines().filter(|line| line.starts_with("Dumping ")).count();
    ensure!(dumped == files.len(), "{dumped} of {} files were dumped", files.len());
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(file) = line.strip_prefix("Non-consecutive offsets in ") {
            first_offset_only(file, &mut lines)?;
            continue;
        }
        // Payloads are data, not the tool's words.
        let words = line.split(" payload: ").next().unwrap_or_default();
        if let Some(complaint) = COMPLAINTS.iter().find(|complaint| words.contains(**complaint)) {
            let shown: String = line.chars().take(400).collect();
            bail!("\"{complaint}\" in: {shown}");
        }
    }
    Ok(())
}

/// The tool counts every file from offset 0, so a later segment's first record always offends it;
/// any other gap is a real one.
fn first_offset_only<'a>(file: &str, lines: &mut impl Iterator<Item = &'a str>) -> Result<()> {
    let name = file.rsplit('/').next().unwrap_or_default();
    let base: i64 = name.split('.').next().unwrap_or_default().parse()?;
    let pair = lines.next().unwrap_or_default().trim();
    ensure!(pair == format!("-1 is followed by {base}"), "offsets with a gap in {file}: {pair}");
    Ok(())
}

/// The tool cannot open the indexes of a segment without a record, and takes the zeros of an index
/// that a killed server had only reserved for an entry.
fn unreadable_index(file: &Path) -> Result<bool> {
    let index = file.extension().is_some_and(|extension| extension == "index" || extension == "timeindex");
    if !index {
        return Ok(false);
    }
    let mut first = [0; 8];
    let reserved = fs::File::open(file)?.read_exact(&mut first).is_ok() && first == [0; 8];
    Ok(reserved || fs::metadata(file.with_extension("log")).is_ok_and(|log| log.len() == 0))
}

//! `kafka-dump-log` over every file of a folder: it must read all of them without a complaint.
//!
//! Nothing that the tool prints is taken for harmless unless it has a form known here.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, bail, ensure};

use crate::server::{Node, java};
use crate::{paths, process};

const DUMP: Duration = Duration::from_secs(240);

/// Beginnings of the lines that tell what is in a file. Lines of the Java virtual machine itself, which
/// warns of what libraries do, begin with the last.
const CONTENT: &[&str] = &[
    "Dumping ",
    "Log starting offset: ",
    "KRaft bootstrap snapshot",
    "Snapshot end offset: ",
    "| ",
    "offset: ",
    "timestamp: ",
    "producerId: ",
    "version: ",
    "WARNING: ",
];

/// Said when a record's content makes no sense to the tool.
const UNREADABLE: &str = ", skipping.";

/// What the tool has to say against files, which are named relative to the folder.
pub type Complaints = BTreeMap<String, Vec<String>>;

/// Dumps the folder. The tool counts the offsets of every file from 0, so it takes offence at the first
/// record of each later segment, whoever wrote it. That is excused for a file about which it says exactly
/// the same when Kafka has written it; all else is an error.
pub fn run(node: &Node, of_kafkas_own: &Complaints) -> Result<()> {
    for (file, lines) in complaints(node)? {
        let excused = is_first_offset(&file, &lines) && of_kafkas_own.get(&file) == Some(&lines);
        ensure!(excused, "about {file} the tool says: {}", lines.join(" / "));
    }
    Ok(())
}

/// All complaints about data, indexes, transaction indexes, producer snapshots and metadata snapshots.
pub fn complaints(node: &Node) -> Result<Complaints> {
    let (mut data, mut metadata, mut groups) = (Vec::new(), Vec::new(), Vec::new());
    for folder in fs::read_dir(node.logs())? {
        let folder = folder?.path();
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !folder.is_dir() {
            continue;
        }
        for file in fs::read_dir(&folder)? {
            let file = file?.path();
            match file.extension().and_then(|extension| extension.to_str()) {
                Some("log" | "checkpoint") if name == "__cluster_metadata-0" => metadata.push(file),
                Some("log") if name.starts_with("__consumer_offsets-") => groups.push(file),
                Some("log" | "index" | "timeindex" | "txnindex" | "snapshot") => data.push(file),
                _ => {}
            }
        }
    }
    let all = [
        (data, &["--deep-iteration"][..]),
        (metadata, &["--cluster-metadata-decoder", "--skip-record-metadata"][..]),
        (groups, &["--offsets-decoder"][..]),
    ];
    let mut found = Complaints::new();
    for (files, more) in all {
        ensure!(!files.is_empty(), "no files for {more:?} under {}", node.logs().display());
        found.append(&mut listen(&dump(&files, more)?, &node.logs()));
    }
    Ok(found)
}

/// Everything that the tool prints. It gives up at a file that it cannot read at all.
fn dump(files: &[PathBuf], more: &[&str]) -> Result<String> {
    let list: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
    let mut command = java("org.apache.kafka.tools.DumpLogSegments", "512m")?;
    command.args(["--files", &list.join(",")]).args(more);
    let log = paths::logs().join("dump-log.log");
    let (success, text) = process::output("kafka-dump-log", &mut command, &log, DUMP)?;
    if !success {
        bail!("the tool gave up:\n{}", process::tail(&text, 12));
    }
    let dumped = text.lines().filter(|line| line.starts_with("Dumping ")).count();
    ensure!(dumped == files.len(), "{dumped} of {} files were dumped", files.len());
    Ok(text)
}

/// Sorts what is no content by file.
fn listen(text: &str, folder: &Path) -> Complaints {
    let folder = format!("{}/", folder.display());
    let mut found = Complaints::new();
    let mut file = String::new();
    for line in text.lines() {
        // Complaints come last, each under a heading that names its file.
        if let Some((_, name)) = line.split_once(&folder)
            && !name.ends_with(" is empty.")
        {
            file = name.trim().to_owned();
        }
        if !is_content(line) {
            let line = line.replace(&folder, "").chars().take(400).collect();
            found.entry(file.clone()).or_default().push(line);
        }
    }
    found
}

fn is_content(line: &str) -> bool {
    let batch = line.starts_with("baseOffset: ") && line.ends_with(" isvalid: true");
    let known = CONTENT.iter().any(|begin| line.starts_with(begin)) && !line.contains(UNREADABLE);
    batch || known || line.is_empty() || line.ends_with(".index is empty.")
}

/// Whether the one complaint is that the file's first offset, which is in its name, is not 0.
fn is_first_offset(file: &str, lines: &[String]) -> bool {
    let name = file.rsplit('/').next().unwrap_or_default();
    let base: Option<i64> = name.strip_suffix(".log").and_then(|base| base.parse().ok());
    let Some(base) = base.filter(|base| *base > 0) else { return false };
    lines == [format!("Non-consecutive offsets in {file}"), format!("  -1 is followed by {base}")]
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "Dumping /d/t-0/00000000000000000007.log\n\
        Log starting offset: 7\n\
        baseOffset: 7 lastOffset: 7 crc: 1 isvalid: true\n\
        | offset: 7 CreateTime: 1 keySize: -1 valueSize: 1 sequence: -1 headerKeys: []\n\
        Dumping /d/t-0/00000000000000000007.index\n\
        /d/t-0/00000000000000000007.index is empty.\n\
        Non-consecutive offsets in /d/t-0/00000000000000000007.log\n  -1 is followed by 7\n";
    const FILE: &str = "t-0/00000000000000000007.log";

    #[test]
    fn only_the_first_offset_is_excused() {
        let found = listen(TEXT, Path::new("/d"));
        assert_eq!(found.keys().collect::<Vec<_>>(), [FILE]);
        assert!(is_first_offset(FILE, &found[FILE]));
        let found = listen(&format!("{TEXT}  8 is followed by 10\n"), Path::new("/d"));
        assert!(!is_first_offset(FILE, &found[FILE]), "a gap further on");
    }

    #[test]
    fn what_is_not_known_is_a_complaint() {
        let gap = "Found 5 invalid bytes at the end of 00000000000000000007.log";
        let torn = TEXT.replace("isvalid: true", "isvalid: false");
        let payload = "| payload: Error at 7, skipping. no such record\n";
        for text in [&format!("Dumping /d/t-0/1.log\n{gap}\n"), &torn, payload] {
            let found = listen(text, Path::new("/d"));
            assert!(found.iter().any(|(file, lines)| !is_first_offset(file, lines)), "{text}");
        }
        let index = "Dumping /d/a\nMismatches in :/d/t-0/1.index\n  Index offset: 1, log offset: 2\n";
        assert_eq!(listen(index, Path::new("/d"))["t-0/1.index"].len(), 2);
    }
}

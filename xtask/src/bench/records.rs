//! Raw figures: one line of JSON for each run, never rewritten. Those that the page was made of are kept
//! beside it, so that it can be made again and a campaign continued elsewhere.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::paths;

/// Where a campaign writes.
#[derive(Debug)]
pub struct Records {
    file: PathBuf,
    copy: Option<PathBuf>,
}

impl Records {
    /// The file of a campaign that begins or goes on.
    pub fn open(campaign: u64, copy: Option<PathBuf>) -> Result<Self> {
        let folder = folder();
        fs::create_dir_all(&folder)?;
        Ok(Self { file: folder.join(format!("{campaign}.jsonl")), copy })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.file
    }

    /// Adds a line.
    pub fn add(&self, line: &Value) -> Result<()> {
        for path in [Some(&self.file), self.copy.as_ref()].into_iter().flatten() {
            let mut file = File::options().create(true).append(true).open(path)?;
            writeln!(file, "{line}").with_context(|| format!("{}", path.display()))?;
        }
        Ok(())
    }

    /// What all campaigns have written, the oldest first, each run once.
    pub fn read_all() -> Result<Vec<Value>> {
        let folder = folder();
        let entries = fs::read_dir(&folder).into_iter().flatten();
        let mut files: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
        files.push(published());
        let mut lines = Vec::new();
        for file in files {
            lines.extend(read(&file)?);
        }
        lines.sort_by_key(|line| line["campaign"].as_u64());
        let mut seen = BTreeSet::new();
        lines.retain(|line| seen.insert(line.to_string()));
        Ok(lines)
    }

    /// Keeps lines beside the page.
    pub fn publish(lines: &[&Value]) -> Result<()> {
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        fs::write(published(), text)?;
        Ok(())
    }
}

/// Of the runs that the page tells of.
fn published() -> PathBuf {
    paths::root().join("docs/benchmarks.jsonl")
}

fn folder() -> PathBuf {
    super::folder().join("raw")
}

fn read(file: &Path) -> Result<Vec<Value>> {
    if !file.exists() {
        return Ok(Vec::new());
    }
    fs::read_to_string(file)?.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}

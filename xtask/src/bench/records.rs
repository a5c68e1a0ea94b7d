//! Raw figures: one line of JSON for each run, never rewritten.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

/// Where a campaign writes.
#[derive(Debug)]
pub struct Records {
    file: PathBuf,
    copy: Option<PathBuf>,
}

impl Records {
    /// A file for a campaign that has just begun.
    pub fn create(campaign: u64, copy: Option<PathBuf>) -> Result<Self> {
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

    /// What this campaign has written.
    pub fn read_own(&self) -> Result<Vec<Value>> {
        read(&self.file)
    }

    /// What all campaigns have written, the oldest first.
    pub fn read_all() -> Result<Vec<Value>> {
        let folder = folder();
        let entries = fs::read_dir(&folder).with_context(|| format!("{}", folder.display()))?;
        let mut files: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
        files.sort();
        let mut lines = Vec::new();
        for file in files {
            lines.extend(read(&file)?);
        }
        Ok(lines)
    }
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

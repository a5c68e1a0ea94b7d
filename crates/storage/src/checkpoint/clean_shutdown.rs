use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::fs::FileSystem;

/// Name of the marker in a log directory.
pub const CLEAN_SHUTDOWN_FILE_NAME: &str = ".kafka_cleanshutdown";

const MAX_BYTES: u64 = 4096;

/// Says that all logs of a directory were closed in order, and by which incarnation of the broker
/// (KIP-966).
#[derive(Debug)]
pub struct CleanShutdownFile {
    fs: Arc<dyn FileSystem>,
    path: PathBuf,
}

impl CleanShutdownFile {
    /// The marker of a log directory.
    pub fn new(fs: Arc<dyn FileSystem>, log_dir: &Path) -> Self {
        Self { fs, path: log_dir.join(CLEAN_SHUTDOWN_FILE_NAME) }
    }

    /// Writes the marker durably.
    pub fn write(&self, broker_epoch: i64) -> io::Result<()> {
        let text = format!("{{\"version\":0,\"brokerEpoch\":{broker_epoch}}}");
        self.fs.replace_file(&self.path, text.as_bytes())
    }

    /// Whether the marker is there, whatever it says.
    pub fn exists(&self) -> io::Result<bool> {
        self.fs.exists(&self.path)
    }

    /// Epoch of the broker that wrote the marker. Markers from before KIP-966 are empty.
    pub fn read(&self) -> Option<i64> {
        let bytes = self.fs.read_file(&self.path, MAX_BYTES).ok()??;
        parse_broker_epoch(std::str::from_utf8(&bytes).ok()?)
    }

    /// Removes the marker, if it is there.
    pub fn delete(&self) -> io::Result<()> {
        if self.fs.remove_file_if_exists(&self.path)? {
            self.path.parent().map_or(Ok(()), |dir| self.fs.sync_dir(dir))?;
        }
        Ok(())
    }
}

/// The one number looked for in a flat JSON object.
fn parse_broker_epoch(json: &str) -> Option<i64> {
    let (_, rest) = json.split_once("\"brokerEpoch\"")?;
    let rest = rest.trim_start().strip_prefix(':')?.trim_start();
    let end = rest.find(|c: char| c != '-' && !c.is_ascii_digit()).unwrap_or(rest.len());
    rest[..end].parse().ok()
}

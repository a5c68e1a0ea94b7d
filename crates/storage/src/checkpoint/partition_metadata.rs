use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ottla_common::Uuid;

use crate::fs::{FileSystem, OpenMode};

/// Name of the file in a partition's folder.
pub const PARTITION_METADATA_FILE_NAME: &str = "partition.metadata";

const MAX_BYTES: u64 = 4096;

/// The topic id of a partition's folder (KIP-516), so that a topic deleted and made anew under the same
/// name is not taken for the old one.
#[derive(Debug)]
pub struct PartitionMetadataFile {
    fs: Arc<dyn FileSystem>,
    path: PathBuf,
}

impl PartitionMetadataFile {
    /// The file of a partition's folder.
    pub fn new(fs: Arc<dyn FileSystem>, partition_dir: &Path) -> Self {
        Self { fs, path: partition_dir.join(PARTITION_METADATA_FILE_NAME) }
    }

    /// Writes the id durably.
    pub fn write(&self, topic_id: Uuid) -> io::Result<()> {
        self.fs.replace_file(&self.path, content(topic_id).as_bytes())
    }

    /// Writes the id into a new folder; the caller syncs both.
    pub(crate) fn write_first(&self, topic_id: Uuid) -> io::Result<()> {
        self.fs.open(&self.path, OpenMode::Truncate)?.write_all_at(content(topic_id).as_bytes(), 0)
    }

    /// The id; `None` if the file is missing.
    pub fn read(&self) -> io::Result<Option<Uuid>> {
        let Some(bytes) = self.fs.read_file(&self.path, MAX_BYTES)? else { return Ok(None) };
        parse(&bytes).map(Some).ok_or_else(|| {
            let text = format!("{} does not hold a version and a topic id", self.path.display());
            io::Error::new(io::ErrorKind::InvalidData, text)
        })
    }
}

fn content(topic_id: Uuid) -> String {
    format!("version: 0\ntopic_id: {topic_id}")
}

fn parse(bytes: &[u8]) -> Option<Uuid> {
    let mut lines = std::str::from_utf8(bytes).ok()?.lines();
    let value = |line: &str, name: &str| -> Option<String> {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim().to_owned())
    };
    let version = value(lines.next()?, "version")?;
    let topic_id: Uuid = value(lines.next()?, "topic_id")?.parse().ok()?;
    (version == "0" && !topic_id.is_zero()).then_some(topic_id)
}

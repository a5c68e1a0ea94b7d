use std::fmt::Write;
use std::io;
use std::path::Path;

use ottla_common::Uuid;

use crate::fs::FileSystem;

/// Name of the file in each log directory.
pub const META_PROPERTIES_FILE_NAME: &str = "meta.properties";

const MAX_BYTES: u64 = 64 * 1024;

/// Whose a log directory is: written by `kafka-storage format`, read at every start.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MetaProperties {
    /// The cluster.
    pub cluster_id: Option<String>,
    /// The node.
    pub node_id: Option<i32>,
    /// The directory's own id (KIP-858).
    pub directory_id: Option<Uuid>,
}

impl MetaProperties {
    /// Reads the file of a directory; `None` if it was never formatted.
    pub fn read(fs: &dyn FileSystem, log_dir: &Path) -> io::Result<Option<Self>> {
        let path = log_dir.join(META_PROPERTIES_FILE_NAME);
        let Some(bytes) = fs.read_file(&path, MAX_BYTES)? else { return Ok(None) };
        let text = String::from_utf8_lossy(&bytes);
        parse(&text).map(Some).map_err(|problem| {
            let text = format!("{} {problem}", path.display());
            io::Error::new(io::ErrorKind::InvalidData, text)
        })
    }

    /// Writes the file, version 1.
    pub fn write(&self, fs: &dyn FileSystem, log_dir: &Path) -> io::Result<()> {
        let mut text = String::from("#\n");
        // Writing to a string cannot fail.
        if let Some(id) = &self.cluster_id {
            let _ = writeln!(text, "cluster.id={id}");
        }
        if let Some(id) = self.directory_id {
            let _ = writeln!(text, "directory.id={id}");
        }
        if let Some(id) = self.node_id {
            let _ = writeln!(text, "node.id={id}");
        }
        text.push_str("version=1\n");
        fs.replace_file(&log_dir.join(META_PROPERTIES_FILE_NAME), text.as_bytes())
    }
}

fn parse(text: &str) -> Result<MetaProperties, String> {
    let mut meta = MetaProperties::default();
    let mut version = 0;
    let number =
        |key: &str, value: &str| value.parse::<i32>().map_err(|_| format!("has the {key} `{value}`"));
    for line in text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with(['#', '!'])) {
        let (key, value) = line.split_once(['=', ':']).unwrap_or((line, ""));
        // None of the values has a character that Java would escape, but for the colon and equals sign.
        let value = value.trim().replace("\\:", ":").replace("\\=", "=");
        match key.trim() {
            "version" => version = number("version", &value)?,
            "cluster.id" => meta.cluster_id = Some(value),
            "node.id" => meta.node_id = Some(number("node id", &value)?),
            // Version 0, from before KRaft.
            "broker.id" if meta.node_id.is_none() => meta.node_id = Some(number("broker id", &value)?),
            "directory.id" => {
                let id = value.parse::<Uuid>().map_err(|e| format!("has a wrong directory id: {e}"))?;
                meta.directory_id = Some(id);
            }
            _ => {}
        }
    }
    if (0..=1).contains(&version) { Ok(meta) } else { Err(format!("has the unknown version {version}")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::sim::SimFileSystem;

    #[test]
    fn what_kafka_wrote_is_read() {
        let text = "#\n#Sat Nov 21 04:31:14 UTC 2026\ncluster.id=4L6g3nShT-eMCtK--X86sw\n\
                    directory.id=4L6g3nShT-eMCtK--X86sw\nnode.id=1\nversion=1\n";
        let meta = parse(text).expect("it is Kafka's");
        assert_eq!(meta.node_id, Some(1));
        assert_eq!(meta.cluster_id.as_deref(), Some("4L6g3nShT-eMCtK--X86sw"));
        assert!(meta.directory_id.is_some());
        assert!(parse("version=9").is_err());
        assert!(parse("node.id=x").is_err());
    }

    #[test]
    fn what_is_written_is_read_back() {
        let fs = SimFileSystem::new(1);
        let fs: &dyn FileSystem = &fs;
        fs.create_dir_all(Path::new("/d")).unwrap();
        assert_eq!(MetaProperties::read(fs, Path::new("/d")).unwrap(), None);
        let meta = MetaProperties {
            cluster_id: Some("c".into()),
            node_id: Some(7),
            directory_id: Some(Uuid::from_u128(1234)),
        };
        meta.write(fs, Path::new("/d")).unwrap();
        assert_eq!(MetaProperties::read(fs, Path::new("/d")).unwrap(), Some(meta));
    }
}

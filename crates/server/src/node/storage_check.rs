//! Whose directories these are: `meta.properties` in each of them.

use std::path::{Path, PathBuf};

use ottla_common::Uuid;
use ottla_storage::fs::FileSystem;
use ottla_storage::{META_PROPERTIES_FILE_NAME, MetaProperties};

use crate::config::KafkaConfig;

/// Why the directories are not this node's.
#[derive(Debug, thiserror::Error)]
pub enum StorageCheckError {
    /// Nobody formatted a directory.
    #[error(
        "No `{META_PROPERTIES_FILE_NAME}` found in {dir}: the storage is not formatted. \
         Run `ottla storage random-uuid` for a cluster id and then \
         `ottla storage format --standalone -t <cluster id> -c <this configuration file>`."
    )]
    NotFormatted {
        /// The directory.
        dir: PathBuf,
    },
    /// A directory cannot be read.
    #[error("{dir}/{META_PROPERTIES_FILE_NAME} cannot be read: {source}")]
    Unreadable {
        /// The directory.
        dir: PathBuf,
        /// What went wrong.
        source: std::io::Error,
    },
    /// A directory belongs to another node.
    #[error(
        "{dir} was formatted for node {found}, and this is node {configured}: correct node.id or log.dirs."
    )]
    WrongNode {
        /// The directory.
        dir: PathBuf,
        /// The node it was formatted for.
        found: i32,
        /// `node.id`.
        configured: i32,
    },
    /// Directories of two clusters.
    #[error("{dir} belongs to cluster {found}, and the other directories to {expected}: correct log.dirs.")]
    WrongCluster {
        /// The directory.
        dir: PathBuf,
        /// Its cluster.
        found: String,
        /// That of the others.
        expected: String,
    },
    /// A file without the one thing it is for.
    #[error(
        "{dir}/{META_PROPERTIES_FILE_NAME} names no {key}: format the storage anew, or restore the file."
    )]
    Incomplete {
        /// The directory.
        dir: PathBuf,
        /// What is missing.
        key: &'static str,
    },
}

/// Directories that are this node's.
#[derive(Debug, Clone)]
pub struct FormattedStorage {
    /// The cluster's id.
    pub cluster_id: String,
    /// Id of the directory that holds the metadata log.
    pub metadata_directory_id: Uuid,
    /// Ids of all log directories.
    pub directory_ids: Vec<Uuid>,
}

impl FormattedStorage {
    /// Reads and compares every directory's properties.
    pub fn check(fs: &dyn FileSystem, config: &KafkaConfig) -> Result<Self, StorageCheckError> {
        let metadata = read(fs, Path::new(&config.metadata_log_dir))?;
        let dir = PathBuf::from(&config.metadata_log_dir);
        let cluster_id =
            metadata.cluster_id.clone().ok_or(StorageCheckError::Incomplete { dir, key: "cluster.id" })?;
        let mut directory_ids = Vec::new();
        for dir in config.log_dirs.iter().map(PathBuf::from) {
            let properties = read(fs, &dir)?;
            check_owner(&dir, &properties, config.node_id, &cluster_id)?;
            directory_ids.push(directory_id(&dir, &properties)?);
        }
        let dir = Path::new(&config.metadata_log_dir);
        check_owner(dir, &metadata, config.node_id, &cluster_id)?;
        Ok(Self { metadata_directory_id: directory_id(dir, &metadata)?, cluster_id, directory_ids })
    }
}

fn read(fs: &dyn FileSystem, dir: &Path) -> Result<MetaProperties, StorageCheckError> {
    match MetaProperties::read(fs, dir) {
        Ok(Some(properties)) => Ok(properties),
        Ok(None) => Err(StorageCheckError::NotFormatted { dir: dir.to_path_buf() }),
        Err(source) => Err(StorageCheckError::Unreadable { dir: dir.to_path_buf(), source }),
    }
}

fn check_owner(
    dir: &Path,
    properties: &MetaProperties,
    node_id: i32,
    cluster_id: &str,
) -> Result<(), StorageCheckError> {
    let dir = dir.to_path_buf();
    match properties.node_id {
        Some(found) if found != node_id => {
            Err(StorageCheckError::WrongNode { dir, found, configured: node_id })
        }
        None => Err(StorageCheckError::Incomplete { dir, key: "node.id" }),
        Some(_) => match properties.cluster_id.as_deref() {
            Some(found) if found != cluster_id => Err(StorageCheckError::WrongCluster {
                dir,
                found: found.to_owned(),
                expected: cluster_id.to_owned(),
            }),
            _ => Ok(()),
        },
    }
}

fn directory_id(dir: &Path, properties: &MetaProperties) -> Result<Uuid, StorageCheckError> {
    properties
        .directory_id
        .ok_or(StorageCheckError::Incomplete { dir: dir.to_path_buf(), key: "directory.id" })
}

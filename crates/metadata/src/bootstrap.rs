//! The first records of a new cluster, written when its storage is formatted.

use std::collections::BTreeMap;

use ottla_protocol::records::metadata::{FeatureLevelRecord, MetadataRecord};

use crate::feature::{Feature, MetadataVersion, default_levels};
use crate::record::ApiMessageAndVersion;

/// Name of the file in the metadata directory that holds the records.
pub const BINARY_BOOTSTRAP_FILENAME: &str = "bootstrap.checkpoint";

/// What the first active controller of a cluster writes into the empty log.
#[derive(Debug, Clone, PartialEq)]
pub struct BootstrapMetadata {
    records: Vec<ApiMessageAndVersion>,
    metadata_version: MetadataVersion,
    source: String,
}

/// Records that no cluster can begin with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BootstrapError {
    /// Without a level nobody could read the log.
    #[error("no FeatureLevelRecord for metadata.version was found in the bootstrap metadata from {0}")]
    NoMetadataVersion(String),
    /// The level is not known here.
    #[error("bootstrap metadata from {0} has metadata.version level {1}, which is not supported")]
    UnsupportedMetadataVersion(String, i16),
}

fn feature_level(name: &str, feature_level: i16) -> ApiMessageAndVersion {
    let record = FeatureLevelRecord { name: name.into(), feature_level, ..Default::default() };
    ApiMessageAndVersion::new(record, 0)
}

impl BootstrapMetadata {
    /// A new cluster at this level, with the other features at the level's defaults.
    pub fn with_defaults(metadata_version: MetadataVersion, source: &str) -> Self {
        Self::from_versions(metadata_version, &default_levels(metadata_version), source)
    }

    /// A new cluster at this level and with these features, by name.
    pub fn from_versions(
        metadata_version: MetadataVersion,
        features: &BTreeMap<String, i16>,
        source: &str,
    ) -> Self {
        let mut records =
            vec![feature_level(MetadataVersion::FEATURE_NAME, metadata_version.feature_level())];
        // kraft.version lives in the raft log's control records.
        let written = features.iter().filter(|(name, level)| {
            **level > 0
                && *name != MetadataVersion::FEATURE_NAME
                && *name != Feature::KRaftVersion.feature_name()
        });
        records.extend(written.map(|(name, level)| feature_level(name, *level)));
        Self { records, metadata_version, source: source.to_owned() }
    }

    /// Records read from a bootstrap file.
    pub fn from_records(records: Vec<ApiMessageAndVersion>, source: &str) -> Result<Self, BootstrapError> {
        let level = records.iter().rev().find_map(|record| match &record.message {
            MetadataRecord::FeatureLevelRecord(r) if &*r.name == MetadataVersion::FEATURE_NAME => {
                Some(r.feature_level)
            }
            _ => None,
        });
        let level = level.ok_or_else(|| BootstrapError::NoMetadataVersion(source.to_owned()))?;
        let metadata_version = MetadataVersion::from_feature_level(level)
            .ok_or_else(|| BootstrapError::UnsupportedMetadataVersion(source.to_owned(), level))?;
        Ok(Self { records, metadata_version, source: source.to_owned() })
    }

    /// The records, `metadata.version` first.
    pub fn records(&self) -> &[ApiMessageAndVersion] {
        &self.records
    }

    /// The level the cluster begins with.
    pub fn metadata_version(&self) -> MetadataVersion {
        self.metadata_version
    }

    /// Where the records came from, for log lines.
    pub fn source(&self) -> &str {
        &self.source
    }
}

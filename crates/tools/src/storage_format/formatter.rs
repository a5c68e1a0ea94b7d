//! Makes log directories ready: `meta.properties` in each, and in the metadata directory the snapshot from
//! which the first leader starts. Since Kafka 4.4 that snapshot also holds the first metadata (KIP-1170).

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::path::Path;

use ottla_common::Uuid;
use ottla_common::time::Time;
use ottla_metadata::bootstrap::{BootstrapError, BootstrapMetadata};
use ottla_metadata::{ApiMessageAndVersion, Feature, MetadataVersion};
use ottla_protocol::records::metadata::MetadataRecord;
use ottla_raft::snapshot::{RecordsSnapshotWriter, SUFFIX, filename_from_snapshot_id};
use ottla_raft::{CLUSTER_METADATA_TOPIC, OffsetAndEpoch};
use ottla_storage::MetaProperties;
use ottla_storage::fs::FileSystem;

use super::dynamic_voters::{DynamicVoters, ParseVoterError};

/// Where the records of the snapshot come from, for log lines.
const SOURCE: &str = "format command";

/// Why the directories could not be formatted.
#[derive(Debug, thiserror::Error)]
pub enum FormatterError {
    /// What was asked for makes no sense, or contradicts what is there.
    #[error("{0}")]
    Refused(String),
    /// The disk failed.
    #[error("Error while writing {path}: {error}")]
    Io {
        /// The file or folder.
        path: String,
        /// The cause.
        error: io::Error,
    },
    /// The first metadata is unusable.
    #[error(transparent)]
    Bootstrap(#[from] BootstrapError),
    /// The voters are malformed.
    #[error(transparent)]
    Voters(#[from] ParseVoterError),
    /// A record cannot be encoded.
    #[error(transparent)]
    Encode(#[from] ottla_protocol::EncodeError),
    /// The snapshot cannot be made.
    #[error(transparent)]
    Build(#[from] ottla_raft::control::BatchBuildError),
    /// Standard output is gone.
    #[error(transparent)]
    Output(#[from] io::Error),
}

fn refused<T>(message: impl Into<String>) -> Result<T, FormatterError> {
    Err(FormatterError::Refused(message.into()))
}

/// A random id that is not reserved and that no command line takes for an option.
pub fn random_uuid() -> Uuid {
    loop {
        if let Some(id) = Uuid::from_random_bytes(rand::random()) {
            return id;
        }
    }
}

/// What is to be formatted, and how.
#[derive(Debug, Clone, Default)]
pub struct Formatter {
    /// The node.
    pub node_id: i32,
    /// The cluster.
    pub cluster_id: String,
    /// All log directories, the metadata directory among them.
    pub directories: BTreeSet<String>,
    /// `metadata.log.dir`.
    pub metadata_log_directory: Option<String>,
    /// `--release-version`; the newest if none.
    pub release_version: Option<MetadataVersion>,
    /// `--feature`.
    pub feature_levels: BTreeMap<String, i16>,
    /// Whether directories that are formatted already are left alone instead of refused.
    pub ignore_formatted: bool,
    /// Name of the controllers' listener.
    pub controller_listener_name: String,
    /// The first voters of a dynamic quorum.
    pub initial_controllers: Option<DynamicVoters>,
    /// Whether `controller.quorum.voters` is empty, so that voters are in the log.
    pub has_dynamic_quorum: bool,
    /// Whether the node is a controller: only those get the snapshot.
    pub write_bootstrap_snapshot: bool,
    /// Further records for the snapshot, such as SCRAM credentials.
    pub additional_records: Vec<ApiMessageAndVersion>,
}

/// What a directory is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DirectoryType {
    Log,
    StaticMetadata,
    DynamicMetadataNonVoter,
    DynamicMetadataVoter,
}

impl DirectoryType {
    fn description(self) -> &'static str {
        match self {
            Self::Log => "data directory",
            Self::StaticMetadata => "metadata directory",
            Self::DynamicMetadataNonVoter => "dynamic metadata directory",
            Self::DynamicMetadataVoter => "dynamic metadata voter directory",
        }
    }
}

/// The directories as found.
#[derive(Debug, Default)]
struct Ensemble {
    formatted: BTreeMap<String, MetaProperties>,
    empty: Vec<String>,
    failed: Vec<String>,
}

impl Formatter {
    /// Formats, and tells on `out` what it did.
    pub fn run(
        &self,
        fs: &dyn FileSystem,
        time: &dyn Time,
        out: &mut dyn Write,
    ) -> Result<(), FormatterError> {
        self.check()?;
        let release_version = self.effective_release_version()?;
        let levels = self.effective_feature_levels(release_version)?;
        let bootstrap = self.bootstrap_metadata(release_version, &levels)?;
        let ensemble = self.load(fs);
        self.verify(&ensemble)?;
        if let Some(first) = ensemble.formatted.keys().next().filter(|_| !self.ignore_formatted) {
            return refused(format!(
                "Log directory {first} is already formatted. Use --ignore-formatted to ignore this directory \
                 and format the others."
            ));
        }
        for directory in &ensemble.failed {
            writeln!(out, "I/O error trying to read log directory {directory}. Ignoring...")?;
        }
        if ensemble.empty.is_empty() {
            if !ensemble.failed.is_empty() && ensemble.formatted.is_empty() {
                return refused("No available log directories to format.");
            }
            writeln!(out, "All of the log directories are already formatted.")?;
            return Ok(());
        }
        writeln!(out, "Bootstrap metadata: {}", describe(&bootstrap))?;
        let kraft_version = levels.get(Feature::KRaftVersion.feature_name()).copied().unwrap_or(0);
        let mut used: BTreeSet<Uuid> =
            ensemble.formatted.values().filter_map(|meta| meta.directory_id).collect();
        for directory in &ensemble.empty {
            let kind = self.directory_type(directory);
            writeln!(
                out,
                "Formatting {} {directory} with {} {release_version}.",
                kind.description(),
                MetadataVersion::FEATURE_NAME
            )?;
            let directory_id = self.directory_id(kind, &used);
            used.insert(directory_id);
            self.format_directory(fs, time, directory, directory_id, kind, &bootstrap, kraft_version)?;
        }
        Ok(())
    }

    fn check(&self) -> Result<(), FormatterError> {
        if self.node_id < 0 {
            return refused("You must specify a valid non-negative node ID.");
        }
        if self.cluster_id.is_empty() {
            return refused("You must specify the cluster id.");
        }
        if self.directories.is_empty() {
            return refused("You must specify at least one directory to format");
        }
        if self.controller_listener_name.is_empty() {
            return refused("You must specify the name of the initial controller listener.");
        }
        match &self.metadata_log_directory {
            Some(directory) if !self.directories.contains(directory) => {
                let all: Vec<_> = self.directories.iter().map(String::as_str).collect();
                refused(format!(
                    "The specified metadata log directory, {directory} was not one of the given directories: \
                     [{}]",
                    all.join(", ")
                ))
            }
            _ => Ok(()),
        }
    }

    fn effective_release_version(&self) -> Result<MetadataVersion, FormatterError> {
        let name = MetadataVersion::FEATURE_NAME;
        match (self.feature_levels.get(name), self.release_version) {
            (Some(_), Some(_)) => {
                refused(format!("Use --release-version instead of --feature {name}=X to avoid ambiguity."))
            }
            (Some(level), None) => MetadataVersion::from_feature_level(*level)
                .map_or_else(|| refused(format!("No MetadataVersion with feature level {level}")), Ok),
            (None, release) => Ok(release.unwrap_or(MetadataVersion::LATEST_PRODUCTION)),
        }
    }

    fn effective_feature_levels(
        &self,
        release_version: MetadataVersion,
    ) -> Result<BTreeMap<String, i16>, FormatterError> {
        let mut levels = self.feature_levels.clone();
        let known = |name: &str| name == MetadataVersion::FEATURE_NAME || Feature::from_name(name).is_some();
        if let Some(name) = levels.keys().find(|name| !known(name)) {
            let mut names: Vec<_> = Feature::ALL.iter().map(|feature| feature.feature_name()).collect();
            names.sort_unstable();
            return refused(format!(
                "Unsupported feature: {name}. Supported features are: {}",
                names.join(", ")
            ));
        }
        levels.insert(MetadataVersion::FEATURE_NAME.to_owned(), release_version.feature_level());
        for feature in Feature::ALL {
            let name = feature.feature_name();
            if *feature == Feature::KRaftVersion {
                let level = self.effective_kraft_version(levels.get(name).copied())?;
                levels.insert(name.to_owned(), level);
            } else if !levels.contains_key(name) {
                levels.insert(name.to_owned(), feature.default_level(release_version));
            }
        }
        for feature in Feature::ALL {
            let name = feature.feature_name();
            let level = levels.get(name).copied().unwrap_or(0);
            if !feature.supported_range().contains(level) {
                return refused(format!("No feature:{name} with feature level {level}"));
            }
            feature.validate_level(level, &levels).map_err(FormatterError::Refused)?;
        }
        Ok(levels)
    }

    /// `kraft.version` follows from where the voters are named, so that old command lines mean what they did.
    fn effective_kraft_version(&self, configured: Option<i16>) -> Result<i16, FormatterError> {
        match (configured, self.has_dynamic_quorum) {
            (Some(0), true) => refused(
                "Cannot set kraft.version to 0 if controller.quorum.voters is empty and one of the flags \
                 --standalone, --initial-controllers, or --no-initial-controllers is used. For dynamic \
                 controllers support, try removing the --feature flag for kraft.version.",
            ),
            (Some(level), false) if level != 0 => refused(format!(
                "Cannot set kraft.version to {level} unless controller.quorum.voters is empty and one of the \
                 flags --standalone, --initial-controllers, or --no-initial-controllers is used. For dynamic \
                 controllers support, try using one of --standalone, --initial-controllers, or \
                 --no-initial-controllers and removing controller.quorum.voters."
            )),
            (Some(level), _) => Ok(level),
            (None, dynamic) => Ok(i16::from(dynamic)),
        }
    }

    fn bootstrap_metadata(
        &self,
        release_version: MetadataVersion,
        levels: &BTreeMap<String, i16>,
    ) -> Result<BootstrapMetadata, FormatterError> {
        let mut records =
            BootstrapMetadata::from_versions(release_version, levels, SOURCE).records().to_vec();
        if !self.additional_records.is_empty() && !release_version.is_scram_supported() {
            return refused(format!(
                "SCRAM is only supported in {} {} or later.",
                MetadataVersion::FEATURE_NAME,
                MetadataVersion::IBP_3_5_IV2
            ));
        }
        records.extend(self.additional_records.iter().cloned());
        Ok(BootstrapMetadata::from_records(records, SOURCE)?)
    }

    fn load(&self, fs: &dyn FileSystem) -> Ensemble {
        let mut ensemble = Ensemble::default();
        for directory in &self.directories {
            match MetaProperties::read(fs, Path::new(directory)) {
                Ok(Some(meta)) => {
                    ensemble.formatted.insert(directory.clone(), meta);
                }
                Ok(None) => ensemble.empty.push(directory.clone()),
                Err(_) => ensemble.failed.push(directory.clone()),
            }
        }
        ensemble
    }

    /// Directories of another cluster or node must not be mixed with new ones.
    fn verify(&self, ensemble: &Ensemble) -> Result<(), FormatterError> {
        for (directory, meta) in &ensemble.formatted {
            let path = Path::new(directory).join(ottla_storage::META_PROPERTIES_FILE_NAME);
            let path = path.display();
            if let Some(found) = meta.cluster_id.as_ref().filter(|id| **id != self.cluster_id) {
                let expected = &self.cluster_id;
                return refused(format!(
                    "Invalid cluster.id in: {path}. Expected {expected}, but read {found}"
                ));
            }
            if let Some(found) = meta.node_id.filter(|id| *id != self.node_id) {
                return refused(format!(
                    "Stored node id {found} doesn't match previous node id {} in {path}. If you moved your \
                     data, make sure your configured node id matches. If you intend to create a new node, you \
                     should remove all data in your data directories.",
                    self.node_id
                ));
            }
        }
        Ok(())
    }

    fn directory_type(&self, directory: &str) -> DirectoryType {
        if self.metadata_log_directory.as_deref() != Some(directory) {
            return DirectoryType::Log;
        }
        match &self.initial_controllers {
            None => DirectoryType::StaticMetadata,
            Some(voters) if voters.get(self.node_id).is_some() => DirectoryType::DynamicMetadataVoter,
            Some(_) => DirectoryType::DynamicMetadataNonVoter,
        }
    }

    fn directory_id(&self, kind: DirectoryType, used: &BTreeSet<Uuid>) -> Uuid {
        let voter = self.initial_controllers.as_ref().and_then(|voters| voters.get(self.node_id));
        if let Some(voter) = voter.filter(|_| kind == DirectoryType::DynamicMetadataVoter) {
            return voter.directory_id;
        }
        loop {
            let id = random_uuid();
            if !used.contains(&id) {
                return id;
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "one directory's worth of decisions, used once")]
    fn format_directory(
        &self,
        fs: &dyn FileSystem,
        time: &dyn Time,
        directory: &str,
        directory_id: Uuid,
        kind: DirectoryType,
        bootstrap: &BootstrapMetadata,
        kraft_version: i16,
    ) -> Result<(), FormatterError> {
        let dir = Path::new(directory);
        let io = |error| FormatterError::Io { path: directory.to_owned(), error };
        fs.create_dir_all(dir).map_err(io)?;
        if self.write_bootstrap_snapshot && kind != DirectoryType::Log {
            let bytes = self.bootstrap_snapshot(time.now_ms(), bootstrap, kraft_version)?;
            let log_dir = dir.join(format!("{CLUSTER_METADATA_TOPIC}-0"));
            let name = filename_from_snapshot_id(OffsetAndEpoch::BOOTSTRAP_SNAPSHOT_ID);
            let path = log_dir.join(format!("{name}{SUFFIX}"));
            fs.create_dir_all(&log_dir)
                .and_then(|()| fs.replace_file(&path, &bytes))
                .and_then(|()| fs.sync_dir(dir))
                .map_err(io)?;
        }
        // Last, because it is what makes the directory count as formatted.
        let meta = MetaProperties {
            cluster_id: Some(self.cluster_id.clone()),
            node_id: Some(self.node_id),
            directory_id: Some(directory_id),
        };
        meta.write(fs, dir).map_err(io)
    }

    fn bootstrap_snapshot(
        &self,
        now_ms: i64,
        bootstrap: &BootstrapMetadata,
        kraft_version: i16,
    ) -> Result<Vec<u8>, FormatterError> {
        let voters = self.initial_controllers.as_ref();
        let voters = voters.map(|voters| voters.to_voter_set(&self.controller_listener_name));
        let id = OffsetAndEpoch::BOOTSTRAP_SNAPSHOT_ID;
        let (mut writer, header) =
            RecordsSnapshotWriter::new(id, now_ms, now_ms, kraft_version, voters.as_ref())?;
        let mut bytes = header.to_vec();
        for record in bootstrap.records() {
            if let Some(batch) = writer.append(now_ms, record.to_bytes()?)? {
                bytes.extend_from_slice(&batch);
            }
        }
        for batch in writer.finish(now_ms)? {
            bytes.extend_from_slice(&batch);
        }
        Ok(bytes)
    }
}

/// The line that scripts see from `kafka-storage.sh`.
fn describe(bootstrap: &BootstrapMetadata) -> String {
    let record = |record: &ApiMessageAndVersion| {
        let text = match &record.message {
            MetadataRecord::FeatureLevelRecord(feature) => {
                format!("FeatureLevelRecord(name='{}', featureLevel={})", feature.name, feature.feature_level)
            }
            MetadataRecord::UserScramCredentialRecord(credential) => format!(
                "UserScramCredentialRecord(name='{}', mechanism={}, iterations={})",
                credential.name, credential.mechanism, credential.iterations
            ),
            other => other.name().to_owned(),
        };
        format!("ApiMessageAndVersion({text} at version {})", record.version)
    };
    let records: Vec<_> = bootstrap.records().iter().map(record).collect();
    format!(
        "BootstrapMetadata(records=[{}], metadataVersionLevel={}, source={})",
        records.join(", "),
        bootstrap.metadata_version().feature_level(),
        bootstrap.source()
    )
}

use std::path::Path;

use ottla_common::Uuid;
use ottla_common::time::MockTime;
use ottla_metadata::MetadataVersion;
use ottla_record::MemoryRecords;
use ottla_storage::MetaProperties;
use ottla_storage::fs::OsFileSystem;

use super::{DynamicVoters, Formatter};

fn formatter(dir: &Path) -> Formatter {
    let directory = |name: &str| dir.join(name).display().to_string();
    Formatter {
        node_id: 1,
        cluster_id: "c".to_owned(),
        directories: [directory("a"), directory("b")].into(),
        metadata_log_directory: Some(directory("a")),
        controller_listener_name: "CONTROLLER".to_owned(),
        write_bootstrap_snapshot: true,
        ..Formatter::default()
    }
}

fn run(formatter: &Formatter) -> Result<String, String> {
    let mut out = Vec::new();
    let result = formatter.run(&OsFileSystem, &MockTime::new(1_000), &mut out);
    result.map(|()| String::from_utf8(out).unwrap()).map_err(|error| error.to_string())
}

fn checkpoint(dir: &Path) -> MemoryRecords {
    let path = dir.join("a/__cluster_metadata-0/00000000000000000000-0000000000.checkpoint");
    MemoryRecords::new(std::fs::read(path).unwrap().into())
}

#[test]
fn a_static_quorum() {
    let dir = tempfile::tempdir().unwrap();
    let out = run(&formatter(dir.path())).unwrap();
    let lines: Vec<_> = out.lines().collect();
    assert!(lines[0].starts_with(
        "Bootstrap metadata: BootstrapMetadata(records=[ApiMessageAndVersion(FeatureLevelRecord(\
         name='metadata.version', featureLevel=33) at version 0), "
    ));
    assert!(lines[0].ends_with("metadataVersionLevel=33, source=format command)"));
    let (a, b) = (dir.path().join("a"), dir.path().join("b"));
    assert_eq!(
        lines[1],
        format!("Formatting metadata directory {} with metadata.version 4.4-IV2.", a.display())
    );
    assert_eq!(lines[2], format!("Formatting data directory {} with metadata.version 4.4-IV2.", b.display()));
    let metas: Vec<_> =
        [&a, &b].map(|dir| MetaProperties::read(&OsFileSystem, dir).unwrap().unwrap()).into_iter().collect();
    assert_eq!((metas[0].node_id, metas[0].cluster_id.as_deref()), (Some(1), Some("c")));
    assert_ne!(metas[0].directory_id, metas[1].directory_id);
    let batches: Vec<_> = checkpoint(dir.path()).batches().map(Result::unwrap).collect();
    assert_eq!(batches.iter().map(|batch| batch.count()).collect::<Vec<_>>(), [1, 6, 1]);
    assert!(!b.join("__cluster_metadata-0").exists());
}

#[test]
fn formatted_directories_are_refused_or_ignored() {
    let dir = tempfile::tempdir().unwrap();
    let mut again = formatter(dir.path());
    run(&again).unwrap();
    assert!(run(&again).unwrap_err().ends_with(
        "is already formatted. Use --ignore-formatted to ignore this directory and format the others."
    ));
    again.ignore_formatted = true;
    assert_eq!(run(&again).unwrap(), "All of the log directories are already formatted.\n");
    again.cluster_id = "d".to_owned();
    assert!(run(&again).unwrap_err().ends_with("Expected d, but read c"));
}

#[test]
fn a_dynamic_quorum() {
    let dir = tempfile::tempdir().unwrap();
    let mut formatter = formatter(dir.path());
    formatter.has_dynamic_quorum = true;
    let voters: DynamicVoters = "1@h:9093:JEXY6aqzQY-32P5TStzaFg".parse().unwrap();
    formatter.initial_controllers = Some(voters);
    let out = run(&formatter).unwrap();
    assert!(out.contains("Formatting dynamic metadata voter directory "), "{out}");
    let meta = MetaProperties::read(&OsFileSystem, &dir.path().join("a")).unwrap().unwrap();
    assert_eq!(meta.directory_id, "JEXY6aqzQY-32P5TStzaFg".parse::<Uuid>().ok());
    let header = checkpoint(dir.path()).batches().next().unwrap().unwrap();
    assert_eq!(header.count(), 3, "header, kraft.version, voters");
}

#[test]
fn features_must_fit() {
    let dir = tempfile::tempdir().unwrap();
    let with = |name: &str, level: i16| {
        let mut formatter = formatter(dir.path());
        formatter.feature_levels.insert(name.to_owned(), level);
        run(&formatter).unwrap_err()
    };
    assert!(with("kraft.version", 1).starts_with("Cannot set kraft.version to 1 unless"));
    assert!(with("x", 1).starts_with("Unsupported feature: x. Supported features are: "));
    assert_eq!(with("group.version", 9), "No feature:group.version with feature level 9");
    let mut formatter = formatter(dir.path());
    formatter.release_version = MetadataVersion::from_version_string("3.9");
    formatter.feature_levels.insert("metadata.version".to_owned(), 21);
    assert!(run(&formatter).unwrap_err().starts_with("Use --release-version instead of"));
}

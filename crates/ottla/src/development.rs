//! Development mode: `ottla server` without a file formats its folder by itself.

use std::collections::BTreeSet;
use std::path::Path;

use ottla_common::time::SystemTime;
use ottla_server::command::{ServerOptions, load_config};
use ottla_storage::META_PROPERTIES_FILE_NAME;
use ottla_storage::fs::OsFileSystem;
use ottla_tools::storage_format::{Formatter, random_uuid};

/// Formats the folder of development mode, unless somebody did.
pub(crate) fn prepare(options: &ServerOptions) -> Result<(), String> {
    let (config, _) = load_config(options)?;
    let directories: BTreeSet<String> =
        config.log_dirs.iter().chain([&config.metadata_log_dir]).cloned().collect();
    if directories.iter().any(|dir| Path::new(dir).join(META_PROPERTIES_FILE_NAME).exists()) {
        return Ok(());
    }
    let formatter = Formatter {
        node_id: config.node_id,
        cluster_id: random_uuid().to_string(),
        directories,
        metadata_log_directory: Some(config.metadata_log_dir.clone()),
        controller_listener_name: config.controller_listener_names.first().cloned().unwrap_or_default(),
        has_dynamic_quorum: config.quorum_voters.is_empty(),
        write_bootstrap_snapshot: true,
        ..Formatter::default()
    };
    // What formatting has to tell is for those who asked for it.
    formatter
        .run(&OsFileSystem, &SystemTime::default(), &mut std::io::sink())
        .map_err(|e| format!("Cannot format {}: {e}", config.metadata_log_dir))
}

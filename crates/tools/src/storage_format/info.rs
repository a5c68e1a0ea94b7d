//! `info`: what the log directories are.

use std::collections::BTreeSet;
use std::path::Path;

use ottla_storage::fs::OsFileSystem;
use ottla_storage::{META_PROPERTIES_FILE_NAME, MetaProperties};

use crate::error::{Result, ToolError};
use crate::output::outln;

pub(super) fn info(directories: &BTreeSet<String>) -> Result {
    let mut found = Vec::new();
    let mut problems = Vec::new();
    let mut first: Option<MetaProperties> = None;
    for directory in directories {
        let path = Path::new(directory);
        if !path.is_dir() {
            let what = if path.exists() { "is not a directory" } else { "does not exist" };
            problems.push(format!("{directory} {what}"));
            continue;
        }
        found.push(directory);
        match MetaProperties::read(&OsFileSystem, path) {
            Ok(None) => problems.push(format!("{directory} is not formatted.")),
            Err(error) => {
                let path = path.join(META_PROPERTIES_FILE_NAME);
                problems.push(format!("Error loading {}: {error}", path.display()));
            }
            Ok(Some(meta)) => match &first {
                None => first = Some(meta),
                Some(known) if known.cluster_id != meta.cluster_id => {
                    problems.push("Mismatched cluster IDs between storage directories.".to_owned());
                }
                Some(known) if known.node_id != meta.node_id => {
                    problems.push("Mismatched node IDs between storage directories.".to_owned());
                }
                Some(_) => {}
            },
        }
    }
    print_list("Found log director", ["y", "ies"], &found);
    if let Some(meta) = first {
        outln!("Found metadata: {}", describe(&meta));
        outln!("");
    }
    print_list("Found problem", ["", "s"], &problems);
    if problems.is_empty() { Ok(()) } else { Err(ToolError::Exit(1)) }
}

fn print_list(title: &str, [one, many]: [&str; 2], lines: &[impl AsRef<str>]) {
    if lines.is_empty() {
        return;
    }
    outln!("{title}{}:", if lines.len() == 1 { one } else { many });
    for line in lines {
        outln!("  {}", line.as_ref());
    }
    outln!("");
}

fn describe(meta: &MetaProperties) -> String {
    let mut fields = Vec::new();
    fields.extend(meta.cluster_id.as_ref().map(|id| format!("cluster.id={id}")));
    fields.extend(meta.directory_id.map(|id| format!("directory.id={id}")));
    fields.extend(meta.node_id.map(|id| format!("node.id={id}")));
    fields.push("version=1".to_owned());
    format!("{{{}}}", fields.join(", "))
}

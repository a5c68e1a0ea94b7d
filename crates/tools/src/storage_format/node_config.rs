//! What formatting needs of a `server.properties`.

use std::collections::{BTreeMap, BTreeSet};

use ottla_common::config::parse_properties;

use crate::error::{Result, failed};

/// The part of a node's configuration that decides how its directories are formatted.
#[derive(Debug, Clone, Default)]
pub(super) struct NodeConfig {
    pub(super) node_id: i32,
    pub(super) is_kraft: bool,
    pub(super) is_controller: bool,
    pub(super) directories: BTreeSet<String>,
    pub(super) metadata_log_dir: String,
    pub(super) controller_listener_names: Vec<String>,
    pub(super) has_static_voters: bool,
    /// Host and port of the first controller listener, as others reach it.
    pub(super) controller_listener: Option<(String, u16)>,
}

impl NodeConfig {
    pub(super) fn read(path: &str) -> Result<Self> {
        let bytes = std::fs::read(path)
            .map_err(|error| crate::error::ToolError::Failed(format!("Cannot read {path}: {error}")))?;
        let properties = parse_properties(&bytes)
            .map_err(|error| crate::error::ToolError::Failed(format!("{path}: {error}")))?;
        Self::from_properties(&properties)
    }

    fn from_properties(properties: &BTreeMap<String, String>) -> Result<Self> {
        let list = |key: &str| -> Vec<String> {
            let text = properties.get(key).map(String::as_str).unwrap_or_default();
            text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
        };
        let roles = list("process.roles");
        let id = properties.get("node.id").or_else(|| properties.get("broker.id"));
        let node_id = match id.map(|id| id.trim().parse::<i32>()) {
            Some(Ok(id)) if id >= 0 => id,
            Some(_) => {
                let id = id.map(String::as_str).unwrap_or_default();
                return failed(format!(
                    "Invalid value {id} for configuration node.id: it must be a number from 0"
                ));
            }
            None => return failed("Missing required configuration \"node.id\" which has no default value."),
        };
        let mut log_dirs = list("log.dirs");
        if log_dirs.is_empty() {
            log_dirs = list("log.dir");
        }
        if log_dirs.is_empty() {
            log_dirs.push("/tmp/kafka-logs".to_owned());
        }
        let metadata_log_dir = properties
            .get("metadata.log.dir")
            .map_or_else(|| log_dirs[0].clone(), |dir| dir.trim().to_owned());
        let mut directories: BTreeSet<String> = log_dirs.into_iter().collect();
        directories.insert(metadata_log_dir.clone());
        let controller_listener_names = list("controller.listener.names");
        let listeners: Vec<_> = [list("advertised.listeners"), list("listeners")]
            .concat()
            .iter()
            .filter_map(|l| endpoint(l))
            .collect();
        let is_of_controllers =
            |name: &str| controller_listener_names.iter().any(|known| known.eq_ignore_ascii_case(name));
        let controller_listener = listeners
            .iter()
            .find(|(name, _, _)| is_of_controllers(name))
            .map(|(_, host, port)| (host.clone(), *port));
        Ok(Self {
            node_id,
            is_kraft: !roles.is_empty(),
            is_controller: roles.iter().any(|role| role == "controller"),
            directories,
            metadata_log_dir,
            has_static_voters: !list("controller.quorum.voters").is_empty(),
            controller_listener,
            controller_listener_names,
        })
    }
}

/// Name, host and port of `NAME://host:port`. Without a host it is this machine.
fn endpoint(text: &str) -> Option<(String, String, u16)> {
    let (name, rest) = text.split_once("://")?;
    let (host, port) = rest.rsplit_once(':')?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let host = if host.is_empty() { "localhost" } else { host };
    Some((name.to_owned(), host.to_owned(), port.trim().parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_decides() {
        let text = "process.roles=broker,controller\nnode.id=3\nlog.dirs=/a,/b\nmetadata.log.dir=/m\n\
                    controller.listener.names=CONTROLLER\nlisteners=PLAINTEXT://:9092,CONTROLLER://:9093\n";
        let config = NodeConfig::from_properties(&parse_properties(text.as_bytes()).unwrap()).unwrap();
        assert_eq!(config.node_id, 3);
        assert!(config.is_controller && !config.has_static_voters);
        assert_eq!(config.directories.len(), 3);
        assert_eq!(config.controller_listener, Some(("localhost".to_owned(), 9093)));
    }
}

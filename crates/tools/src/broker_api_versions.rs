//! `broker-api-versions`: which APIs each broker serves, as `kafka-broker-api-versions.sh` does.

use std::collections::BTreeMap;

use ottla_protocol::ApiKey;
use ottla_protocol::messages::ApiVersionsResponse;
use ottla_protocol::messages::api_versions_response::ApiVersion;

use crate::cluster::Cluster;
use crate::error::Result;
use crate::options::{Parser, value};
use crate::output::{errln, out, outln};

pub(crate) const PARSER: Parser = Parser {
    purpose: "Shows which versions of which APIs the brokers serve.",
    options: &[
        value("command-config", "file", "Property file with settings of the client."),
        value("bootstrap-server", "server(s)", "REQUIRED: The server to connect to."),
    ],
};

/// Runs the tool.
pub(crate) fn run(args: &[String]) -> Result {
    let options = PARSER.parse_or_help(args)?;
    options.required("bootstrap-server")?;
    let cluster = Cluster::from_options(&options)?;
    for (node, versions) in cluster.wait(cluster.admin.api_versions())? {
        let rack = node.rack.as_deref().unwrap_or("null");
        let head = format!("{}:{} (id: {} rack: {rack} isFenced: false) -> ", node.host, node.port, node.id);
        match versions {
            Ok(versions) => outln!("{head}{}", table(&versions)),
            Err(error) => {
                out!("{head}");
                errln!("ERROR: {error}");
            }
        }
    }
    Ok(())
}

fn table(versions: &ApiVersionsResponse) -> String {
    let mut lines: BTreeMap<i16, String> = BTreeMap::new();
    for id in 0..=i16::MAX {
        // Keys are numbered without large gaps; the last one is far below this.
        const ID_END: i16 = 512;
        if id == ID_END {
            break;
        }
        if let Some(key) = ApiKey::from_i16(id).filter(|key| key.on_broker()) {
            lines.insert(id, format!("{}({id}): UNSUPPORTED", key.name()));
        }
    }
    for api in &versions.api_keys {
        lines.insert(api.api_key, line(api));
    }
    format!("(\n\t{}\n)", lines.into_values().collect::<Vec<_>>().join(",\n\t"))
}

fn line(api: &ApiVersion) -> String {
    let range = if api.min_version == api.max_version {
        api.min_version.to_string()
    } else {
        format!("{} to {}", api.min_version, api.max_version)
    };
    let Some(key) = ApiKey::from_i16(api.api_key) else {
        return format!("UNKNOWN({}): {range}", api.api_key);
    };
    let usable = if key.max_version() < api.min_version {
        "[unusable: node too new]".to_owned()
    } else if api.max_version < key.min_version() {
        "[unusable: node too old]".to_owned()
    } else {
        format!("[usable: {}]", key.max_version().min(api.max_version))
    };
    format!("{}({}): {range} {usable}", key.name(), api.api_key)
}

//! What follows from the keys about listeners and the quorum.

use std::collections::BTreeMap;

use ottla_common::config::{ConfigError, ConfigValues};

use super::endpoint::{self, Endpoint, ProtocolMap, SecurityProtocol};
use super::{HostPort, ProcessRoles, Properties, QuorumVoter};

const WILDCARD: &str = "0.0.0.0";

/// Everything about listeners.
#[derive(Debug)]
pub(super) struct Listeners {
    pub(super) all: Vec<Endpoint>,
    pub(super) advertised_broker: Vec<Endpoint>,
    pub(super) advertised_controller: Vec<Endpoint>,
    pub(super) controller_names: Vec<String>,
    pub(super) inter_broker_name: String,
    pub(super) inter_broker_protocol: SecurityProtocol,
    pub(super) protocols: ProtocolMap,
}

impl Listeners {
    pub(super) fn read(values: &ConfigValues, props: &Properties) -> Result<Self, ConfigError> {
        let controller_names: Vec<String> = values.typed("controller.listener.names");
        let entries: Vec<String> = values.typed("listeners");
        let protocols = protocol_map(values, props, &controller_names, &entries)?;
        let controller_names: Vec<_> = controller_names.iter().map(|name| name.to_uppercase()).collect();
        let all = endpoint::parse_endpoints(&entries, &protocols, true)?;
        let advertised: Option<Vec<String>> = values.typed("advertised.listeners");
        let advertised =
            advertised.map(|entries| endpoint::parse_endpoints(&entries, &protocols, false)).transpose()?;
        let (inter_broker_name, inter_broker_protocol) = inter_broker(values, props, &protocols)?;
        let is_controller = |e: &&Endpoint| controller_names.contains(&e.listener_name);
        let advertised_broker =
            advertised.as_ref().unwrap_or(&all).iter().filter(|e| !is_controller(e)).cloned().collect();
        let advertised_controller = controller_names
            .iter()
            .enumerate()
            .filter_map(|(i, name)| advertised_controller(values, name, i == 0, advertised.as_deref(), &all))
            .collect();
        Ok(Self {
            all,
            advertised_broker,
            advertised_controller,
            controller_names,
            inter_broker_name,
            inter_broker_protocol,
            protocols,
        })
    }
}

/// The address of a controller listener: the advertised one; else, for the first listener, that of this
/// node among the static voters when the listener itself names no host; else the listener's own.
fn advertised_controller(
    values: &ConfigValues,
    name: &str,
    is_default: bool,
    advertised: Option<&[Endpoint]>,
    all: &[Endpoint],
) -> Option<Endpoint> {
    let find = |list: &[Endpoint]| list.iter().find(|e| e.listener_name == name).cloned();
    if let Some(endpoint) = advertised.and_then(find) {
        return Some(endpoint);
    }
    let mut endpoint = find(all)?;
    let is_wildcard = endpoint.host.as_deref().is_none_or(|host| host == WILDCARD);
    if !is_wildcard {
        return Some(endpoint);
    }
    let node_id: i32 = values.typed("node.id");
    let voter = quorum_voters(values).into_iter().find(|voter| is_default && voter.id == node_id);
    match voter {
        Some(voter) => {
            endpoint.host = Some(voter.address.host);
            endpoint.port = voter.address.port;
        }
        None => endpoint.host = None,
    }
    Some(endpoint)
}

/// Unless the map is written down, controller listeners speak plaintext as long as nobody uses TLS or SASL.
fn protocol_map(
    values: &ConfigValues,
    props: &Properties,
    controller_names: &[String],
    listeners: &[String],
) -> Result<ProtocolMap, ConfigError> {
    const KEY: &str = "listener.security.protocol.map";
    let mut map = endpoint::parse_protocol_map(&values.typed::<String>(KEY))?;
    let is_secure = |name: &str| matches!(name, "SSL" | "SASL_SSL" | "SASL_PLAINTEXT");
    let secure_listener =
        |entry: &String| endpoint::listener_name_of(entry).is_some_and(|name| is_secure(&name));
    let implicit = !props.contains_key(KEY)
        && !controller_names.iter().any(|name| is_secure(name))
        && !listeners.iter().any(secure_listener);
    if implicit {
        map.extend(controller_names.iter().map(|name| (name.to_uppercase(), SecurityProtocol::Plaintext)));
    }
    Ok(map)
}

fn inter_broker(
    values: &ConfigValues,
    props: &Properties,
    protocols: &ProtocolMap,
) -> Result<(String, SecurityProtocol), ConfigError> {
    let (name_key, protocol_key) = ("inter.broker.listener.name", "security.inter.broker.protocol");
    let Some(name) = values.typed::<Option<String>>(name_key) else {
        let text: String = values.typed(protocol_key);
        let protocol = SecurityProtocol::from_name(&text).ok_or_else(|| {
            ConfigError::new(format!("Invalid security protocol `{text}` defined in {protocol_key}"))
        })?;
        return Ok((protocol.name().to_owned(), protocol));
    };
    if props.contains_key(protocol_key) {
        return Err(ConfigError::new(format!("Only one of {name_key} and {protocol_key} should be set.")));
    }
    let name = name.to_uppercase();
    let protocol = *protocols.get(&name).ok_or_else(|| {
        ConfigError::new(format!(
            "Listener with name {name} defined in {name_key} not found in listener.security.protocol.map."
        ))
    })?;
    Ok((name, protocol))
}

pub(super) fn process_roles(values: &ConfigValues) -> ProcessRoles {
    let roles: Vec<String> = values.typed("process.roles");
    let has = |name: &str| roles.iter().any(|role| role == name);
    ProcessRoles { broker: has("broker"), controller: has("controller") }
}

/// The validator has seen these texts: what it let through can be split.
pub(super) fn quorum_voters(values: &ConfigValues) -> Vec<QuorumVoter> {
    let entries: Vec<String> = values.typed("controller.quorum.voters");
    let read = |entry: &String| {
        let (id, address) = entry.split_once('@')?;
        Some(QuorumVoter { id: id.parse().ok()?, address: host_port(address)? })
    };
    entries.iter().filter_map(read).collect()
}

pub(super) fn quorum_bootstrap_servers(values: &ConfigValues) -> Vec<HostPort> {
    let entries: Vec<String> = values.typed("controller.quorum.bootstrap.servers");
    entries.iter().filter_map(|entry| host_port(entry)).collect()
}

fn host_port(address: &str) -> Option<HostPort> {
    let (host, port) = address.rsplit_once(':')?;
    let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    Some(HostPort { host: host.to_owned(), port: port.parse().ok()? })
}

pub(super) fn connection_overrides(values: &ConfigValues) -> Result<BTreeMap<String, i32>, ConfigError> {
    const KEY: &str = "max.connections.per.ip.overrides";
    let text: String = values.typed(KEY);
    let mut overrides = BTreeMap::new();
    for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        let read =
            pair.rsplit_once(':').and_then(|(host, count)| Some((host.trim(), count.trim().parse().ok()?)));
        let Some((host, count)) = read else {
            return Err(ConfigError::value(
                KEY,
                &text,
                format_args!("`{pair}` is not of the form host:count"),
            ));
        };
        overrides.insert(host.to_owned(), count);
    }
    Ok(overrides)
}

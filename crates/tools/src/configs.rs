//! `configs`: read and change the configuration of topics, brokers, groups and subscriptions, as
//! `kafka-configs.sh` does.

use std::collections::BTreeMap;

use ottla_common::config::{ConfigResourceType, ConfigSource};
use ottla_protocol::messages::describe_configs_request::DescribeConfigsResource;
use ottla_protocol::messages::describe_configs_response::DescribeConfigsResourceResult as Entry;
use ottla_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use ottla_protocol::messages::{
    DescribeConfigsRequest, IncrementalAlterConfigsRequest, ListConfigResourcesRequest, ListGroupsRequest,
    MetadataRequest,
};

use crate::cluster::{Cluster, check, read_properties};
use crate::error::{Result, ToolError, failed, usage};
use crate::metadata_quorum::connect;
use crate::options::{Options, Parser, flag, value};
use crate::output::outln;
use crate::quotas;

pub(crate) const PARSER: Parser = Parser {
    purpose: "This tool helps to manipulate and describe entity config for a topic, client, user, broker, ip, \
              client-metrics or group",
    options: &[
        value("bootstrap-server", "server to connect to", "The brokers to connect to."),
        value("bootstrap-controller", "controller to connect to", "The controllers to connect to."),
        value("command-config", "file", "Property file with settings of the client."),
        flag("alter", "Change the configuration of the entity."),
        flag("describe", "Show the configuration of the entity."),
        flag("all", "Show everything, not only what was set dynamically."),
        value("entity-type", "type", "topics/clients/users/brokers/broker-loggers/ips/client-metrics/groups"),
        value("entity-name", "name", "Name of the topic, client, user, broker, ip, subscription or group."),
        flag("entity-default", "The default of all clients, users, brokers or ips."),
        value("add-config", "k1=v1,k2=[v1,v2]", "Settings to add; brackets hold values with commas."),
        value("add-config-file", "file", "A properties file with settings to add."),
        value("delete-config", "k1,k2", "Settings to take away."),
        value("topic", "name", "The topic."),
        value("client", "id", "The client."),
        flag("client-defaults", "The defaults of all clients."),
        value("user", "name", "The user."),
        flag("user-defaults", "The defaults of all users."),
        value("broker", "id", "The broker."),
        flag("broker-defaults", "The defaults of all brokers."),
        value("broker-logger", "id", "The broker whose loggers are meant."),
        flag("ip-defaults", "The defaults of all addresses."),
        value("ip", "address", "The address."),
        value("group", "id", "The group."),
        value("client-metrics", "name", "The client metrics subscription."),
    ],
};

const NAMED: &[(&str, &str)] = &[
    ("topic", "topics"),
    ("client", "clients"),
    ("user", "users"),
    ("broker", "brokers"),
    ("broker-logger", "broker-loggers"),
    ("ip", "ips"),
    ("client-metrics", "client-metrics"),
    ("group", "groups"),
];
const DEFAULTS: &[(&str, &str)] = &[
    ("client-defaults", "clients"),
    ("user-defaults", "users"),
    ("broker-defaults", "brokers"),
    ("ip-defaults", "ips"),
];
const TYPES: &str = "topics, clients, users, brokers, ips, client-metrics, groups, broker-loggers";

/// What is to be read or changed: types and names; an empty name means the default.
#[derive(Debug)]
pub(crate) struct Entity {
    pub(crate) types: Vec<String>,
    pub(crate) names: Vec<String>,
}

impl Entity {
    fn read(options: &Options) -> Result<Self> {
        let mut types = options.many("entity-type").to_vec();
        let mut names = options.many("entity-name").to_vec();
        if options.has("entity-default") {
            names.push(String::new());
        }
        for (name, kind) in NAMED {
            if let Some(text) = options.one(name)? {
                types.push((*kind).to_owned());
                names.push(text.to_owned());
            }
        }
        for (name, kind) in DEFAULTS {
            if options.has(name) {
                types.push((*kind).to_owned());
                names.push(String::new());
            }
        }
        Ok(Self { types, names })
    }

    fn kind(&self) -> &str {
        self.types.first().map_or("", String::as_str)
    }
}

/// Runs the tool.
pub(crate) fn run(args: &[String]) -> Result {
    let options = PARSER.parse_or_help(args)?;
    let entity = check_arguments(&options)?;
    let quotas = matches!(entity.kind(), "users" | "clients" | "ips");
    if options.has("alter") {
        if entity.types.len() != entity.names.len() {
            return failed("An entity name must be specified for every entity type");
        }
        let changes = Changes::read(&options)?;
        let mut cluster = connect(&options)?;
        if quotas {
            quotas::alter(&mut cluster, &entity, &changes)?;
        } else {
            alter(&mut cluster, &entity, &changes)?;
        }
        let singular = entity.kind().strip_suffix('s').unwrap_or_default();
        match entity.names.first().filter(|name| !name.is_empty()) {
            Some(name) => outln!("Completed updating config for {singular} {name}."),
            None => outln!("Completed updating default config for {} in the cluster.", entity.kind()),
        }
        return Ok(());
    }
    let mut cluster = connect(&options)?;
    if quotas {
        quotas::describe(&mut cluster, &entity)
    } else {
        describe(&mut cluster, &entity, options.has("all"))
    }
}

fn check_arguments(options: &Options) -> Result<Entity> {
    if options.has("alter") == options.has("describe") {
        return usage("Command must include exactly one action: --describe, --alter");
    }
    options.check_invalid("describe", &["alter", "add-config", "delete-config"])?;
    let entity = Entity::read(options)?;
    let mut sorted = entity.types.clone();
    sorted.sort();
    if let Some(twice) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
        return failed(format!("Duplicate entity type(s) specified: {}", twice[0]));
    }
    if !options.has_any(&["bootstrap-server", "bootstrap-controller"]) {
        return failed("Either --bootstrap-server or --bootstrap-controller must be specified.");
    }
    if let Some(unknown) = entity.types.iter().find(|kind| !TYPES.split(", ").any(|known| known == *kind)) {
        return failed(format!(
            "Invalid entity type {unknown}, the entity type must be one of {TYPES} with a --bootstrap-server or \
             --bootstrap-controller argument"
        ));
    }
    if entity.types.is_empty() {
        return failed("At least one entity type must be specified");
    }
    if sorted.len() > 1 && sorted != ["clients", "users"] {
        return failed("Only 'users' and 'clients' entity types may be specified together");
    }
    let long = options.has_any(&["entity-type", "entity-name", "entity-default"]);
    if long && NAMED.iter().chain(DEFAULTS).any(|(name, _)| options.has(name)) {
        return failed(
            "--entity-{type,name,default} should not be used in conjunction with specific entity flags",
        );
    }
    if options.has_any(&["entity-name", "entity-default"]) && options.many("entity-type").is_empty() {
        return failed("--entity-name and --entity-default must be used with --entity-type");
    }
    check_actions(options, &entity)?;
    Ok(entity)
}

fn check_actions(options: &Options, entity: &Entity) -> Result {
    if options.has("describe") {
        if entity.kind() == "broker-loggers" && entity.names.is_empty() {
            return failed("An entity name must be specified with --describe of broker-loggers");
        }
        return Ok(());
    }
    if entity.names.is_empty() {
        return match entity.kind() {
            "users" | "clients" | "brokers" | "ips" => failed(
                "An entity-name or default entity must be specified with --alter of users, clients, brokers or ips",
            ),
            kind => failed(format!("An entity name must be specified with --alter of {kind}")),
        };
    }
    if options.has("add-config") && options.has("add-config-file") {
        return failed("Only one of --add-config or --add-config-file must be specified");
    }
    if !options.has_any(&["add-config", "add-config-file", "delete-config"]) {
        return failed(
            "At least one of --add-config, --add-config-file, or --delete-config must be specified with --alter",
        );
    }
    Ok(())
}

/// Settings to give and to take away.
#[derive(Debug)]
pub(crate) struct Changes {
    pub(crate) add: BTreeMap<String, String>,
    pub(crate) delete: Vec<String>,
}

impl Changes {
    fn read(options: &Options) -> Result<Self> {
        let mut add = read_properties(options.one("add-config-file")?)?;
        if let Some(text) = options.one("add-config")? {
            add.extend(parse_pairs(text)?);
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || "$._-".contains(c);
        if let Some(key) = add.keys().find(|key| !key.chars().all(allowed)) {
            return failed(format!("Invalid character found for config key: {key}"));
        }
        let delete = options.many("delete-config").iter().flat_map(|list| list.split(','));
        Ok(Self { add, delete: delete.map(|key| key.trim().to_owned()).collect() })
    }
}

/// Reads `k1=v1,k2=[v1,v2]`: a comma within brackets belongs to the value.
fn parse_pairs(text: &str) -> Result<BTreeMap<String, String>> {
    let mut parts = vec![String::new()];
    let mut within = false;
    for c in text.chars() {
        match c {
            '[' => within = true,
            ']' => within = false,
            ',' if !within => parts.push(String::new()),
            c => {
                if let Some(part) = parts.last_mut() {
                    part.push(if c == '=' && within { '\u{0}' } else { c });
                }
            }
        }
    }
    let mut pairs = BTreeMap::new();
    for part in parts {
        let mut sides = part.split('=');
        let (Some(key), Some(value), None) = (sides.next(), sides.next(), sides.next()) else {
            return failed(
                "Invalid entity config: all configs to be added must be in the format \"key=val\" or  \
                 \"key=[val1,val2]\" to group values which contain commas.",
            );
        };
        pairs.insert(key.trim().to_owned(), value.trim().replace('\u{0}', "="));
    }
    Ok(pairs)
}

fn resource_type(kind: &str) -> ConfigResourceType {
    match kind {
        "topics" => ConfigResourceType::Topic,
        "brokers" => ConfigResourceType::Broker,
        "broker-loggers" => ConfigResourceType::BrokerLogger,
        "client-metrics" => ConfigResourceType::ClientMetrics,
        "groups" => ConfigResourceType::Group,
        _ => ConfigResourceType::Unknown,
    }
}

fn dynamic_source(kind: ConfigResourceType, name: &str) -> ConfigSource {
    match kind {
        ConfigResourceType::Topic => ConfigSource::DynamicTopic,
        ConfigResourceType::Broker if name.is_empty() => ConfigSource::DynamicDefaultBroker,
        ConfigResourceType::Broker => ConfigSource::DynamicBroker,
        ConfigResourceType::BrokerLogger => ConfigSource::DynamicBrokerLogger,
        ConfigResourceType::ClientMetrics => ConfigSource::ClientMetrics,
        ConfigResourceType::Group => ConfigSource::Group,
        ConfigResourceType::Unknown => ConfigSource::Default,
    }
}

fn check_broker_id(entity: &Entity, name: &str) -> Result {
    if name.is_empty() || name.parse::<i32>().is_ok() {
        return Ok(());
    }
    failed(format!("The entity name for {} must be a valid integer broker id, found: {name}", entity.kind()))
}

/// Only the broker itself knows its own configuration and loggers.
fn broker_of(kind: ConfigResourceType, name: &str) -> Option<i32> {
    match kind {
        ConfigResourceType::Broker | ConfigResourceType::BrokerLogger => name.parse().ok(),
        _ => None,
    }
}

fn alter(cluster: &mut Cluster, entity: &Entity, changes: &Changes) -> Result {
    const SET: i8 = 0;
    const DELETE: i8 = 1;
    let kind = resource_type(entity.kind());
    let name = entity.names.first().map_or("", String::as_str);
    if matches!(kind, ConfigResourceType::Broker | ConfigResourceType::BrokerLogger) {
        check_broker_id(entity, name)?;
    }
    let delete = changes.delete.iter().map(|key| (key, DELETE, String::new()));
    let set = changes.add.iter().map(|(key, value)| (key, SET, value.clone()));
    let config = |(key, operation, value): (&String, i8, String)| AlterableConfig {
        name: key.as_str().into(),
        config_operation: operation,
        value: Some(value.into()),
        ..AlterableConfig::default()
    };
    let resource = AlterConfigsResource {
        resource_type: kind.id(),
        resource_name: name.into(),
        configs: delete.chain(set).map(config).collect(),
        ..AlterConfigsResource::default()
    };
    let request = IncrementalAlterConfigsRequest {
        resources: vec![resource],
        ..IncrementalAlterConfigsRequest::default()
    };
    let response = match broker_of(kind, name) {
        Some(id) => cluster.node(id, &request)?,
        None => cluster.any(&request)?,
    };
    response.responses.iter().try_for_each(|result| check(result.error_code, result.error_message.as_ref()))
}

fn topics(cluster: &mut Cluster) -> Result<Vec<String>> {
    let response = cluster.any(&MetadataRequest { topics: None, ..MetadataRequest::default() })?;
    Ok(response.topics.into_iter().filter_map(|topic| topic.name).map(|name| name.to_string()).collect())
}

fn brokers(cluster: &Cluster) -> Vec<String> {
    cluster.nodes().iter().map(|node| node.id.to_string()).collect()
}

fn config_resources(cluster: &mut Cluster, kind: ConfigResourceType) -> Result<Vec<String>> {
    let request = ListConfigResourcesRequest {
        resource_types: vec![kind.id()],
        ..ListConfigResourcesRequest::default()
    };
    let response = cluster.any(&request)?;
    check(response.error_code, None)?;
    Ok(response.config_resources.iter().map(|resource| resource.resource_name.to_string()).collect())
}

fn groups(cluster: &mut Cluster) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for node in cluster.nodes().to_vec() {
        let response = cluster.node(node.id, &ListGroupsRequest::default())?;
        check(response.error_code, None)?;
        names.extend(response.groups.iter().map(|group| group.group_id.to_string()));
    }
    // An older cluster cannot list them; then only groups that live are known.
    if let Ok(more) = config_resources(cluster, ConfigResourceType::Group) {
        names.extend(more);
    }
    let mut seen = std::collections::HashSet::new();
    names.retain(|name| seen.insert(name.clone()));
    Ok(names)
}

fn all_names(cluster: &mut Cluster, kind: ConfigResourceType) -> Result<Vec<String>> {
    match kind {
        ConfigResourceType::Topic => topics(cluster),
        ConfigResourceType::Broker | ConfigResourceType::BrokerLogger => {
            let mut names = brokers(cluster);
            names.push(String::new());
            Ok(names)
        }
        ConfigResourceType::Group => groups(cluster),
        kind => config_resources(cluster, kind),
    }
}

fn describe(cluster: &mut Cluster, entity: &Entity, all: bool) -> Result {
    let kind = resource_type(entity.kind());
    let singular = entity.kind().strip_suffix('s').unwrap_or_default();
    let names = match entity.names.first() {
        None => all_names(cluster, kind)?,
        Some(name) => {
            if !all && !name.is_empty() && !all_names(cluster, kind)?.contains(name) {
                outln!("The {singular} '{name}' doesn't exist and doesn't have dynamic config.");
                return Ok(());
            }
            vec![name.clone()]
        }
    };
    for name in names {
        if matches!(kind, ConfigResourceType::Broker | ConfigResourceType::BrokerLogger) {
            check_broker_id(entity, &name)?;
        }
        let entries = entries_of(cluster, kind, &name)?;
        match (name.as_str(), all) {
            ("", _) => outln!("Default configs for {} in the cluster are:", entity.kind()),
            (name, true) => outln!("All configs for {singular} {name} are:"),
            (name, false) => outln!("Dynamic configs for {singular} {name} are:"),
        }
        let wanted = dynamic_source(kind, &name).id();
        for entry in entries.iter().filter(|entry| all || entry.config_source == wanted) {
            print_entry(entry);
        }
    }
    Ok(())
}

fn entries_of(cluster: &mut Cluster, kind: ConfigResourceType, name: &str) -> Result<Vec<Entry>> {
    let resource = DescribeConfigsResource {
        resource_type: kind.id(),
        resource_name: name.into(),
        configuration_keys: None,
        ..DescribeConfigsResource::default()
    };
    let request = DescribeConfigsRequest {
        resources: vec![resource],
        include_synonyms: true,
        ..DescribeConfigsRequest::default()
    };
    let response = match broker_of(kind, name) {
        Some(id) => cluster.node(id, &request)?,
        None => cluster.any(&request)?,
    };
    let Some(result) = response.results.into_iter().next() else {
        return Err(ToolError::Failed("The broker answered DescribeConfigs with nothing.".to_owned()));
    };
    check(result.error_code, result.error_message.as_ref())?;
    let mut entries = result.configs;
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(entries)
}

fn print_entry(entry: &Entry) {
    let text =
        |value: Option<&bytestring::ByteString>| value.map_or_else(|| "null".to_owned(), ToString::to_string);
    let synonyms: Vec<_> = entry
        .synonyms
        .iter()
        .map(|s| format!("{}:{}={}", source_name(s.source), s.name, text(s.value.as_ref())))
        .collect();
    outln!(
        "  {}={} sensitive={} synonyms={{{}}}",
        entry.name,
        text(entry.value.as_ref()),
        entry.is_sensitive,
        synonyms.join(", ")
    );
}

/// The name that Kafka's own tool prints for a source.
fn source_name(source: i8) -> &'static str {
    match source {
        1 => "DYNAMIC_TOPIC_CONFIG",
        2 => "DYNAMIC_BROKER_CONFIG",
        3 => "DYNAMIC_DEFAULT_BROKER_CONFIG",
        4 => "STATIC_BROKER_CONFIG",
        5 => "DEFAULT_CONFIG",
        6 => "DYNAMIC_BROKER_LOGGER_CONFIG",
        7 => "DYNAMIC_CLIENT_METRICS_CONFIG",
        8 => "DYNAMIC_GROUP_CONFIG",
        _ => "UNKNOWN",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_with_and_without_brackets() {
        let pairs = parse_pairs("a=1,b=[x,y=2],c=").unwrap();
        assert_eq!(pairs["a"], "1");
        assert_eq!(pairs["b"], "x,y=2");
        assert_eq!(pairs["c"], "");
        assert!(parse_pairs("a").is_err() && parse_pairs("a=b=c").is_err());
    }
}

//! `configs`: read and change the configuration of topics, brokers, groups and subscriptions, as
//! `kafka-configs.sh` does.

use std::collections::BTreeMap;

use bytestring::ByteString;
use ottla_clients::admin::{AlterConfigOp, ConfigEntry, ConfigResource, ConfigSource, ResourceType};

use crate::client_config::read_properties;
use crate::cluster::Cluster;
use crate::error::{Result, failed, usage};
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
        let cluster = Cluster::from_options(&options)?;
        if quotas {
            quotas::alter(&cluster, &entity, &changes)?;
        } else {
            alter(&cluster, &entity, &changes)?;
        }
        let singular = entity.kind().strip_suffix('s').unwrap_or_default();
        match entity.names.first().filter(|name| !name.is_empty()) {
            Some(name) => outln!("Completed updating config for {singular} {name}."),
            None => outln!("Completed updating default config for {} in the cluster.", entity.kind()),
        }
        return Ok(());
    }
    let cluster = Cluster::from_options(&options)?;
    if quotas { quotas::describe(&cluster, &entity) } else { describe(&cluster, &entity, options.has("all")) }
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

fn resource_type(kind: &str) -> ResourceType {
    match kind {
        "topics" => ResourceType::Topic,
        "brokers" => ResourceType::Broker,
        "broker-loggers" => ResourceType::BrokerLogger,
        "client-metrics" => ResourceType::ClientMetrics,
        "groups" => ResourceType::Group,
        _ => ResourceType::Unknown,
    }
}

fn dynamic_source(kind: ResourceType, name: &str) -> ConfigSource {
    match kind {
        ResourceType::Topic => ConfigSource::DynamicTopicConfig,
        ResourceType::Broker if name.is_empty() => ConfigSource::DynamicDefaultBrokerConfig,
        ResourceType::Broker => ConfigSource::DynamicBrokerConfig,
        ResourceType::BrokerLogger => ConfigSource::DynamicBrokerLoggerConfig,
        ResourceType::ClientMetrics => ConfigSource::DynamicClientMetricsConfig,
        ResourceType::Group => ConfigSource::DynamicGroupConfig,
        ResourceType::Unknown => ConfigSource::DefaultConfig,
    }
}

fn check_broker_id(entity: &Entity, name: &str) -> Result {
    if name.is_empty() || name.parse::<i32>().is_ok() {
        return Ok(());
    }
    failed(format!("The entity name for {} must be a valid integer broker id, found: {name}", entity.kind()))
}

fn alter(cluster: &Cluster, entity: &Entity, changes: &Changes) -> Result {
    let kind = resource_type(entity.kind());
    let name = entity.names.first().map_or("", String::as_str);
    if matches!(kind, ResourceType::Broker | ResourceType::BrokerLogger) {
        check_broker_id(entity, name)?;
    }
    let delete = changes.delete.iter().map(AlterConfigOp::delete);
    let set = changes.add.iter().map(|(key, value)| AlterConfigOp::set(key, value));
    let change = (ConfigResource::new(kind, name), delete.chain(set).collect());
    cluster.wait_all(cluster.admin.incremental_alter_configs(&[change], false)).map(drop)
}

fn config_resources(cluster: &Cluster, kind: ResourceType) -> Result<Vec<String>> {
    let resources = cluster.wait(cluster.admin.list_config_resources(&[kind]))?;
    Ok(resources.into_iter().map(|resource| resource.name).collect())
}

fn groups(cluster: &Cluster) -> Result<Vec<String>> {
    let listed = cluster.wait(cluster.admin.list_groups(&[], &[]))?;
    let mut names: Vec<_> = listed.iter().map(|group| group.group_id.to_string()).collect();
    // An older cluster cannot list them; then only groups that live are known.
    let more = config_resources(cluster, ResourceType::Group).unwrap_or_default();
    names.extend(more.into_iter().filter(|name| !listed.iter().any(|group| *group.group_id == **name)));
    Ok(names)
}

fn all_names(cluster: &Cluster, kind: ResourceType) -> Result<Vec<String>> {
    match kind {
        ResourceType::Topic => {
            let topics = cluster.wait(cluster.admin.list_topics())?;
            Ok(topics.iter().map(|topic| topic.name.to_string()).collect())
        }
        ResourceType::Broker | ResourceType::BrokerLogger => {
            let brokers = cluster.nodes().into_iter().map(|node| node.id.to_string());
            Ok(brokers.chain([String::new()]).collect())
        }
        ResourceType::Group => groups(cluster),
        kind => config_resources(cluster, kind),
    }
}

fn describe(cluster: &Cluster, entity: &Entity, all: bool) -> Result {
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
        if matches!(kind, ResourceType::Broker | ResourceType::BrokerLogger) {
            check_broker_id(entity, &name)?;
        }
        let entries = entries_of(cluster, kind, &name)?;
        match (name.as_str(), all) {
            ("", _) => outln!("Default configs for {} in the cluster are:", entity.kind()),
            (name, true) => outln!("All configs for {singular} {name} are:"),
            (name, false) => outln!("Dynamic configs for {singular} {name} are:"),
        }
        let wanted = dynamic_source(kind, &name);
        for entry in entries.iter().filter(|entry| all || entry.source == wanted) {
            print_entry(entry);
        }
    }
    Ok(())
}

fn entries_of(cluster: &Cluster, kind: ResourceType, name: &str) -> Result<Vec<ConfigEntry>> {
    let resource = ConfigResource::new(kind, name);
    let described = cluster.wait_all(cluster.admin.describe_configs(&[resource], None, true, false))?;
    let mut entries: Vec<_> = described.into_iter().flat_map(|(_, entries)| entries).collect();
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(entries)
}

fn print_entry(entry: &ConfigEntry) {
    let text = |value: &Option<ByteString>| value.as_deref().unwrap_or("null").to_owned();
    let synonyms = entry.synonyms.iter();
    let synonyms: Vec<_> =
        synonyms.map(|s| format!("{}:{}={}", s.source.name(), s.name, text(&s.value))).collect();
    outln!(
        "  {}={} sensitive={} synonyms={{{}}}",
        entry.name,
        text(&entry.value),
        entry.is_sensitive,
        synonyms.join(", ")
    );
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

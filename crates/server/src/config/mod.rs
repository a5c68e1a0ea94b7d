//! The configuration of a broker or controller, read from a Kafka `server.properties`.

mod cross_checks;
mod describe;
mod dynamic;
mod endpoint;
mod listeners;
mod resources;
mod rows;
mod settings;
mod warnings;

use std::collections::BTreeMap;
use std::sync::OnceLock;

use ottla_common::config::{ConfigDef, ConfigError, ConfigValues};
use ottla_storage::{ProducerStateManagerConfig, log_config_def};

pub use dynamic::{AlterOp, broker_config_synonyms};
pub use endpoint::{Endpoint, ProtocolMap, SecurityProtocol};
pub use resources::{ConfigChange, client_metrics_config_def, group_config_def};
pub use settings::{
    GroupCoordinatorSettings, KRaftSettings, LogSettings, MetadataLogSettings, ProducerStateSettings,
    QuorumSettings, ReplicationSettings, ServerSettings, Settings, SocketServerSettings,
};
pub use warnings::Warning;

/// Keys and their texts, sorted by key.
pub type Properties = BTreeMap<String, String>;

/// The keys of a broker or controller.
pub fn server_config_def() -> &'static ConfigDef {
    static DEF: OnceLock<ConfigDef> = OnceLock::new();
    DEF.get_or_init(|| ConfigDef::new(rows::SERVER))
}

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ProcessRoles {
    /// It serves clients.
    pub broker: bool,
    /// It takes part in the metadata quorum.
    pub controller: bool,
}

/// A voter of a static quorum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuorumVoter {
    /// Its node id.
    pub id: i32,
    /// Where it can be reached.
    pub address: HostPort,
}

/// A host and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPort {
    /// Name or address of the host.
    pub host: String,
    /// Port.
    pub port: u16,
}

/// A node's configuration: what the file says, what has been set since, and what follows from both.
///
/// It never changes: [`KafkaConfig::with_dynamic`] makes a new one, and readers hold it by an `Arc`.
#[derive(Debug, Clone, PartialEq)]
pub struct KafkaConfig {
    file: Properties,
    dynamic_default: Properties,
    dynamic_broker: Properties,
    values: ConfigValues,
    topic_defaults: Properties,
    /// Number of this node.
    pub node_id: i32,
    /// What this node is.
    pub process_roles: ProcessRoles,
    /// Where the node listens, controller listeners included.
    pub listeners: Vec<Endpoint>,
    /// What clients and brokers are told to use.
    pub advertised_broker_listeners: Vec<Endpoint>,
    /// What the other controllers are told to use; the first is the default one.
    pub advertised_controller_listeners: Vec<Endpoint>,
    /// Names of the controller listeners, in capitals.
    pub controller_listener_names: Vec<String>,
    /// Name of the listener between brokers, in capitals.
    pub inter_broker_listener_name: String,
    /// Protocol between brokers.
    pub inter_broker_security_protocol: SecurityProtocol,
    /// Which protocol each listener name speaks.
    pub listener_security_protocol_map: ProtocolMap,
    /// The voters of a static quorum; empty when the quorum is dynamic.
    pub quorum_voters: Vec<QuorumVoter>,
    /// Where to look for the quorum.
    pub quorum_bootstrap_servers: Vec<HostPort>,
    /// Directories for logs; at least one.
    pub log_dirs: Vec<String>,
    /// Directory of the metadata log.
    pub metadata_log_dir: String,
    /// Connection limits of single addresses.
    pub max_connections_per_ip_overrides: BTreeMap<String, i32>,
    /// Everything else that code reads.
    pub settings: Settings,
}

impl KafkaConfig {
    /// Reads a file's properties; `overrides` are those of the command line and are stronger.
    pub fn from_properties(
        file: &Properties,
        overrides: &[(String, String)],
    ) -> Result<(Self, Vec<Warning>), ConfigError> {
        let mut props = file.clone();
        props.extend(overrides.iter().cloned());
        let mut warnings = warnings::warnings(server_config_def(), &props);
        copy_node_id(&mut props)?;
        explain_missing_roles(&props)?;
        let config = Self::resolve(props, Properties::new(), Properties::new())?;
        warnings.extend(cross_checks::doubts(&config));
        Ok((config, warnings))
    }

    /// The same node with other dynamic configuration: that of all brokers and that of this one.
    pub fn with_dynamic(
        &self,
        dynamic_default: Properties,
        dynamic_broker: Properties,
    ) -> Result<Self, ConfigError> {
        Self::resolve(self.file.clone(), dynamic_default, dynamic_broker)
    }

    fn resolve(
        file: Properties,
        dynamic_default: Properties,
        dynamic_broker: Properties,
    ) -> Result<Self, ConfigError> {
        let mut props = file.clone();
        dynamic::overlay(&mut props, &dynamic_default);
        dynamic::overlay(&mut props, &dynamic_broker);
        let values = server_config_def().parse(&props)?;
        let listeners = listeners::Listeners::read(&values, &props)?;
        let log_dirs = log_dirs(&values);
        let metadata_log_dir: Option<String> = values.typed("metadata.log.dir");
        let first_dir = log_dirs.first().cloned().unwrap_or_default();
        let config = Self {
            node_id: values.typed("node.id"),
            process_roles: listeners::process_roles(&values),
            listeners: listeners.all,
            advertised_broker_listeners: listeners.advertised_broker,
            advertised_controller_listeners: listeners.advertised_controller,
            controller_listener_names: listeners.controller_names,
            inter_broker_listener_name: listeners.inter_broker_name,
            inter_broker_security_protocol: listeners.inter_broker_protocol,
            listener_security_protocol_map: listeners.protocols,
            quorum_voters: listeners::quorum_voters(&values),
            quorum_bootstrap_servers: listeners::quorum_bootstrap_servers(&values),
            metadata_log_dir: metadata_log_dir.unwrap_or(first_dir),
            log_dirs,
            max_connections_per_ip_overrides: listeners::connection_overrides(&values)?,
            settings: Settings::read(&values),
            topic_defaults: log_config_def::topic_defaults(&values),
            file,
            dynamic_default,
            dynamic_broker,
            values,
        };
        cross_checks::check(&config)?;
        Ok(config)
    }

    /// Every key's value.
    pub fn values(&self) -> &ConfigValues {
        &self.values
    }

    /// The properties of the file and the command line.
    pub fn file(&self) -> &Properties {
        &self.file
    }

    /// The dynamic configuration of all brokers.
    pub fn dynamic_default(&self) -> &Properties {
        &self.dynamic_default
    }

    /// The dynamic configuration of this broker.
    pub fn dynamic_broker(&self) -> &Properties {
        &self.dynamic_broker
    }

    /// What topics get that set nothing themselves, as texts under the topics' own keys.
    pub fn topic_defaults(&self) -> &Properties {
        &self.topic_defaults
    }

    /// All of a topic's values; `overrides` is what the topic itself sets.
    pub fn topic_config(&self, overrides: &Properties) -> Result<ConfigValues, ConfigError> {
        log_config_def::resolve_topic_config(&self.topic_defaults, overrides)
    }

    /// Listeners for clients and brokers.
    pub fn broker_listeners(&self) -> impl Iterator<Item = &Endpoint> {
        self.listeners.iter().filter(|e| !self.controller_listener_names.contains(&e.listener_name))
    }

    /// Listeners for controllers.
    pub fn controller_listeners(&self) -> impl Iterator<Item = &Endpoint> {
        self.listeners.iter().filter(|e| self.controller_listener_names.contains(&e.listener_name))
    }

    /// Log directories that take no new partitions (KIP-1066).
    pub fn cordoned_log_dirs(&self) -> Vec<String> {
        let cordoned: Vec<String> = self.values.typed("cordoned.log.dirs");
        if cordoned.iter().any(|dir| dir == "*") { self.log_dirs.clone() } else { cordoned }
    }

    /// Settings of producers' state, which may change while the broker runs.
    pub fn producer_state(&self) -> ProducerStateManagerConfig {
        let settings = &self.settings.producer_state;
        ProducerStateManagerConfig {
            producer_id_expiration_ms: i64::from(settings.producer_id_expiration_ms),
            transaction_verification_enabled: self.values.typed("transaction.partition.verification.enable"),
            max_transaction_timeout_ms: i64::from(settings.transaction_max_timeout_ms),
        }
    }

    /// Whether tiered storage is switched on.
    pub fn remote_storage_enabled(&self) -> bool {
        self.values.typed("remote.log.storage.system.enable")
    }
}

/// `broker.id` is an old name of `node.id` (KIP-1232); whichever is set stands for both. A value that is
/// wrong is refused before it is copied, under the key that its author knows.
fn copy_node_id(props: &mut Properties) -> Result<(), ConfigError> {
    let (old, new) = ("broker.id", "node.id");
    let (from, to, id) = match (props.get(old), props.get(new)) {
        (Some(id), None) => (old, new, id.clone()),
        (None, Some(id)) => (new, old, id.clone()),
        _ => return Ok(()),
    };
    // `node.id` has the stricter rule, and it is the one that counts.
    if let Some(mut row) = server_config_def().get(new).copied() {
        row.name = from;
        row.parse(Some(&id))?;
    }
    props.insert(to.to_owned(), id);
    Ok(())
}

/// The first stumbling block of a file from before KRaft deserves more than "missing".
fn explain_missing_roles(props: &Properties) -> Result<(), ConfigError> {
    if props.contains_key("process.roles") {
        return Ok(());
    }
    let old_file = props.keys().any(|key| key.starts_with("zookeeper."));
    let advice = if old_file { " This file is for a cluster with ZooKeeper, which is no more." } else { "" };
    Err(ConfigError::new(format!(
        "Missing required configuration \"process.roles\" which has no default value.{advice} For one node \
         that is broker and controller write process.roles=broker,controller, node.id=1, \
         controller.listener.names=CONTROLLER, listeners=PLAINTEXT://:9092,CONTROLLER://:9093 and \
         controller.quorum.bootstrap.servers=localhost:9093."
    )))
}

fn log_dirs(values: &ConfigValues) -> Vec<String> {
    let many: Option<Vec<String>> = values.typed("log.dirs");
    many.unwrap_or_else(|| values.typed("log.dir"))
}

#[cfg(test)]
mod tests;

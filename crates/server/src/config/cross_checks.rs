//! Checks of keys against each other, in Kafka's words.

use ottla_common::config::ConfigError;

use super::warnings::Warning;
use super::{Endpoint, KafkaConfig, ProcessRoles, SecurityProtocol};

/// Refuses configurations in which one key contradicts another.
pub(super) fn check(config: &KafkaConfig) -> Result<(), ConfigError> {
    check_node_id(config)?;
    check_logs(config)?;
    check_replication(config)?;
    check_roles(config)?;
    check_advertised(config)?;
    check_connections(config)
}

/// Things that work but were hardly meant.
pub(super) fn doubts(config: &KafkaConfig) -> Vec<Warning> {
    let mut doubts = Vec::new();
    let heartbeat = config.settings.kraft.broker_heartbeat_interval_ms;
    let session = config.settings.kraft.broker_session_timeout_ms;
    if i64::from(heartbeat) * 2 > i64::from(session) {
        let key = "broker.heartbeat.interval.ms".to_owned();
        let text = format!(
            "{key} ({heartbeat} ms) must be less than or equal to half of the broker.session.timeout.ms \
             ({session} ms): raise the one or lower the other, or the broker loses its lease between heartbeats"
        );
        doubts.push(Warning { key, text });
    }
    let broker_only = config.process_roles == ProcessRoles { broker: true, controller: false };
    if broker_only && config.controller_listener_names.len() > 1 {
        let key = "controller.listener.names".to_owned();
        let text =
            format!("{key} has multiple entries; only the first will be used since process.roles=broker");
        doubts.push(Warning { key, text });
    }
    doubts
}

fn require(holds: bool, message: impl FnOnce() -> String) -> Result<(), ConfigError> {
    if holds { Ok(()) } else { Err(ConfigError::new(message())) }
}

fn check_node_id(config: &KafkaConfig) -> Result<(), ConfigError> {
    require(config.node_id == config.values.typed::<i32>("broker.id"), || {
        "`node.id` and `broker.id` must be set to the same value. `broker.id` is deprecated, please use \
         `node.id` instead."
            .to_owned()
    })
}

fn check_logs(config: &KafkaConfig) -> Result<(), ConfigError> {
    let number = |key: &str| config.topic_defaults.get(key).and_then(|v| v.parse::<i64>().ok()).unwrap_or(1);
    require(number("segment.ms") >= 1, || "log.roll.ms must be greater than or equal to 1".to_owned())?;
    require(number("segment.jitter.ms") >= 0, || {
        "log.roll.jitter.ms must be greater than or equal to 0".to_owned()
    })?;
    let retention = number("retention.ms");
    require(retention >= 1 || retention == -1, || {
        "log.retention.ms must be unlimited (-1) or, greater than or equal to 1".to_owned()
    })?;
    require(!config.log_dirs.is_empty(), || {
        "At least one log directory must be defined via log.dirs or log.dir.".to_owned()
    })?;
    let buffer: i64 = config.values.typed("log.cleaner.dedupe.buffer.size");
    let threads: i32 = config.values.typed("log.cleaner.threads");
    require(threads == 0 || buffer / i64::from(threads) > 1024 * 1024, || {
        "log.cleaner.dedupe.buffer.size must be at least 1MB per cleaner thread.".to_owned()
    })?;
    check_cordoned(config)
}

fn check_cordoned(config: &KafkaConfig) -> Result<(), ConfigError> {
    let cordoned: Vec<String> = config.values.typed("cordoned.log.dirs");
    if cordoned.iter().any(|dir| dir == "*") {
        return require(cordoned.len() == 1, || {
            "When cordoned.log.dirs is set to *, it must not contain other values".to_owned()
        });
    }
    let unknown: Vec<_> = cordoned.iter().filter(|dir| !config.log_dirs.contains(dir)).cloned().collect();
    require(unknown.is_empty(), || {
        format!(
            "All entries in cordoned.log.dirs must be present in log.dirs or log.dir. Missing entries : {}",
            unknown.join(", ")
        )
    })
}

fn check_replication(config: &KafkaConfig) -> Result<(), ConfigError> {
    let wait: i32 = config.values.typed("replica.fetch.wait.max.ms");
    require(wait <= config.values.typed::<i32>("replica.socket.timeout.ms"), || {
        "replica.socket.timeout.ms should always be at least replica.fetch.wait.max.ms to prevent \
         unnecessary socket timeouts"
            .to_owned()
    })?;
    require(i64::from(wait) <= config.settings.replication.replica_lag_time_max_ms, || {
        "replica.fetch.wait.max.ms should always be less than or equal to replica.lag.time.max.ms to prevent \
         frequent changes in ISR"
            .to_owned()
    })?;
    let protocols = &config.settings.group_coordinator.rebalance_protocols;
    require(protocols.iter().any(|p| p == "classic"), || {
        "Disabling the 'classic' protocol is not supported.".to_owned()
    })
}

fn check_roles(config: &KafkaConfig) -> Result<(), ConfigError> {
    require(!config.quorum_voters.is_empty() || !config.quorum_bootstrap_servers.is_empty(), || {
        "If using process.roles, either controller.quorum.bootstrap.servers must contain the set of bootstrap \
         controllers or controller.quorum.voters must contain a parseable set of controllers."
            .to_owned()
    })?;
    if config.process_roles.controller { check_controller(config) } else { check_broker_only(config) }
}

fn voter_ids(config: &KafkaConfig) -> String {
    let ids: Vec<_> = config.quorum_voters.iter().map(|voter| voter.id.to_string()).collect();
    format!("Set({})", ids.join(", "))
}

fn check_broker_only(config: &KafkaConfig) -> Result<(), ConfigError> {
    let id = config.node_id;
    require(config.quorum_voters.iter().all(|voter| voter.id != id), || {
        format!(
            "If process.roles contains just the 'broker' role, the node id {id} must not be included in the set \
             of voters controller.quorum.voters={}",
            voter_ids(config)
        )
    })?;
    require(!config.controller_listener_names.is_empty(), || {
        "controller.listener.names must contain at least one value when running KRaft with just the broker role"
            .to_owned()
    })?;
    require(config.controller_listeners().next().is_none(), || {
        "controller.listener.names must not contain a value appearing in the 'listeners' configuration when \
         running KRaft with just the broker role"
            .to_owned()
    })?;
    for name in &config.controller_listener_names {
        require(config.listener_security_protocol_map.contains_key(name), || {
            format!(
                "Controller listener with name {name} defined in controller.listener.names not found in \
                 listener.security.protocol.map  (an explicit security mapping for each controller listener is \
                 required if listener.security.protocol.map is non-empty, or if there are security protocols \
                 other than PLAINTEXT in use)"
            )
        })?;
    }
    require(!config.settings.quorum.auto_join_enable, || {
        "controller.quorum.auto.join.enable is only supported when process.roles contains the 'controller' role."
            .to_owned()
    })
}

fn check_controller(config: &KafkaConfig) -> Result<(), ConfigError> {
    let id = config.node_id;
    let is_voter = config.quorum_voters.is_empty() || config.quorum_voters.iter().any(|voter| voter.id == id);
    require(is_voter, || {
        format!(
            "If process.roles contains the 'controller' role, the node id {id} must be included in the set of \
             voters controller.quorum.voters={}",
            voter_ids(config)
        )
    })?;
    if !config.process_roles.broker {
        require(config.broker_listeners().next().is_none(), || {
            "The listeners config must only contain KRaft controller listeners from controller.listener.names \
             when process.roles=controller"
                .to_owned()
        })?;
        let named: Option<String> = config.values.typed("inter.broker.listener.name");
        let clash =
            named.is_some() && config.controller_listener_names.contains(&config.inter_broker_listener_name);
        require(!clash, || {
            "controller.listener.names must not contain an explicitly set inter.broker.listener.name \
             configuration value when process.roles=controller'"
                .to_owned()
        })?;
    }
    require(!config.advertised_controller_listeners.is_empty(), || {
        "controller.listener.names must contain at least one value appearing in the 'listeners' configuration \
         when running the KRaft controller role"
            .to_owned()
    })?;
    let listens = |name: &String| config.listeners.iter().any(|e| e.listener_name == *name);
    require(config.controller_listener_names.iter().all(listens), || {
        "controller.listener.names must only contain values appearing in the 'listeners' configuration when \
         running the KRaft controller role"
            .to_owned()
    })
}

fn names(endpoints: &[Endpoint]) -> String {
    endpoints.iter().map(|e| e.listener_name.as_str()).collect::<Vec<_>>().join(",")
}

fn check_advertised(config: &KafkaConfig) -> Result<(), ConfigError> {
    let advertised = &config.advertised_broker_listeners;
    if config.process_roles.broker {
        require(!advertised.is_empty(), || {
            "There must be at least one broker advertised listener. Perhaps all listeners appear in \
             controller.listener.names?"
                .to_owned()
        })?;
        require(advertised.iter().any(|e| e.listener_name == config.inter_broker_listener_name), || {
            format!(
                "inter.broker.listener.name must be a listener name defined in advertised.listeners. The valid \
                 options based on currently configured listeners are {}",
                names(advertised)
            )
        })?;
        let listens = |e: &Endpoint| config.listeners.iter().any(|l| l.listener_name == e.listener_name);
        require(advertised.iter().all(listens), || {
            format!(
                "advertised.listeners listener names must be equal to or a subset of the ones defined in \
                 listeners. Found {}. The valid options based on the current configuration are {}",
                names(advertised),
                names(&config.listeners)
            )
        })?;
    }
    let everyone = || advertised.iter().chain(&config.advertised_controller_listeners);
    require(everyone().all(|e| e.host.as_deref() != Some("0.0.0.0")), || {
        "advertised.listeners cannot use the nonroutable meta-address 0.0.0.0. Use a routable IP address."
            .to_owned()
    })?;
    check_inter_broker_sasl(config)
}

fn check_inter_broker_sasl(config: &KafkaConfig) -> Result<(), ConfigError> {
    let protocol = config.inter_broker_security_protocol;
    if !matches!(protocol, SecurityProtocol::SaslPlaintext | SecurityProtocol::SaslSsl) {
        return Ok(());
    }
    let mechanism: String = config.values.typed("sasl.mechanism.inter.broker.protocol");
    let prefix = format!("listener.name.{}.", config.inter_broker_listener_name.to_lowercase());
    let enabled = match config.file.get(&format!("{prefix}sasl.enabled.mechanisms")) {
        Some(list) => list.split(',').map(|m| m.trim().to_owned()).collect(),
        None => config.values.typed::<Vec<String>>("sasl.enabled.mechanisms"),
    };
    require(enabled.contains(&mechanism), || {
        "sasl.mechanism.inter.broker.protocol must be included in sasl.enabled.mechanisms when SASL is used for \
         inter-broker communication"
            .to_owned()
    })
}

fn check_connections(config: &KafkaConfig) -> Result<(), ConfigError> {
    let socket = &config.settings.socket_server;
    let queued = socket.queued_max_request_bytes;
    require(queued <= 0 || queued >= i64::from(socket.socket_request_max_bytes), || {
        "queued.max.request.bytes must be larger or equal to socket.request.max.bytes".to_owned()
    })?;
    require(
        socket.max_connections_per_ip != 0 || !config.max_connections_per_ip_overrides.is_empty(),
        || {
            "max.connections.per.ip can be set to zero only if max.connections.per.ip.overrides property is set."
            .to_owned()
        },
    )?;
    let delay: i32 = config.values.typed("connection.failed.authentication.delay.ms");
    let idle = socket.connections_max_idle_ms;
    require(idle < 0 || i64::from(delay) < idle, || {
        format!(
            "connection.failed.authentication.delay.ms={delay} should always be less than \
             connections.max.idle.ms={idle} to prevent failed authentication responses from timing out"
        )
    })
}

use ottla_common::config::{ConfigResourceType, ConfigSource};

use super::*;

fn props(pairs: &[(&str, &str)]) -> Properties {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

fn one_node() -> Properties {
    props(&[
        ("process.roles", "broker,controller"),
        ("node.id", "1"),
        ("controller.quorum.bootstrap.servers", "localhost:9093"),
        ("listeners", "PLAINTEXT://:9092,CONTROLLER://:9093"),
        ("advertised.listeners", "PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093"),
        ("inter.broker.listener.name", "PLAINTEXT"),
        ("controller.listener.names", "CONTROLLER"),
        ("log.dirs", "/tmp/a,/tmp/b"),
    ])
}

fn with(changes: &[(&str, &str)]) -> Result<KafkaConfig, ConfigError> {
    let overrides: Vec<_> = changes.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    KafkaConfig::from_properties(&one_node(), &overrides).map(|(config, _)| config)
}

fn warnings_of(changes: &[(&str, &str)]) -> Vec<String> {
    let overrides: Vec<_> = changes.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let (_, warnings) = KafkaConfig::from_properties(&one_node(), &overrides).unwrap();
    warnings.iter().map(ToString::to_string).collect()
}

#[test]
fn every_key_of_kafka_has_a_row_that_accepts_its_own_default() {
    assert_eq!(server_config_def().len(), 379);
    for row in server_config_def().keys().filter(|row| !row.is_required()) {
        row.parse(None).unwrap();
        assert!(row.doc.ends_with('.'), "{}", row.name);
    }
    assert!(settings::KEYS_READ.iter().all(|key| server_config_def().contains(key)));
    assert_eq!(group_config_def().len(), 27);
    assert_eq!(client_metrics_config_def().len(), 3);
}

#[test]
fn a_plain_file_is_understood() {
    let config = with(&[]).unwrap();
    assert_eq!(config.node_id, 1);
    assert!(config.process_roles.broker && config.process_roles.controller);
    assert_eq!(config.broker_listeners().map(ToString::to_string).collect::<Vec<_>>(), ["PLAINTEXT://:9092"]);
    assert_eq!(config.controller_listeners().count(), 1);
    assert_eq!(config.advertised_controller_listeners[0].to_string(), "CONTROLLER://localhost:9093");
    assert_eq!(config.log_dirs, ["/tmp/a", "/tmp/b"]);
    assert_eq!(config.metadata_log_dir, "/tmp/a");
    assert_eq!(config.settings.server.fetch_max_bytes, 57_671_680);
    assert_eq!(warnings_of(&[]), Vec::<String>::new());
}

#[test]
fn a_static_voter_names_the_controllers_address() {
    let mut file = one_node();
    file.remove("advertised.listeners");
    file.insert("controller.quorum.voters".into(), "1@kafka-1:9093".into());
    let (config, _) = KafkaConfig::from_properties(&file, &[]).unwrap();
    assert_eq!(config.advertised_controller_listeners[0].to_string(), "CONTROLLER://kafka-1:9093");
}

#[test]
fn broker_id_is_an_alias() {
    let mut file = one_node();
    file.remove("node.id");
    file.insert("broker.id".into(), "7".into());
    assert_eq!(KafkaConfig::from_properties(&file, &[]).unwrap().0.node_id, 7);
    assert!(with(&[("broker.id", "2")]).unwrap_err().message().contains("must be set to the same value"));
}

#[test]
fn a_wrong_id_is_reported_under_the_key_that_was_written() {
    let error = with(&[("node.id", "abc")]).unwrap_err();
    assert_eq!(error.message(), "Invalid value abc for configuration node.id: Not a number of type INT");
    let mut file = one_node();
    file.remove("node.id");
    file.insert("broker.id".into(), "-4".into());
    let error = KafkaConfig::from_properties(&file, &[]).unwrap_err();
    assert!(error.message().starts_with("Invalid value -4 for configuration broker.id"), "{error}");
}

#[test]
fn a_new_topic_is_told_every_place_that_its_values_come_from() {
    let config = with(&[("log.retention.hours", "100")]).unwrap();
    let source = |config: &KafkaConfig, overrides: &Properties, name: &str| {
        let entries = config.describe_new_topic(overrides).unwrap();
        let entry = entries.into_iter().find(|e| e.name == name).unwrap();
        (entry.value.unwrap(), entry.source)
    };
    let none = Properties::new();
    assert_eq!(source(&config, &none, "retention.ms"), ("360000000".into(), ConfigSource::StaticBroker));
    assert_eq!(source(&config, &none, "segment.ms"), ("604800000".into(), ConfigSource::Default));
    let own = props(&[("retention.ms", "5")]);
    assert_eq!(source(&config, &own, "retention.ms"), ("5".into(), ConfigSource::DynamicTopic));
    let dynamic = config.with_dynamic(props(&[("min.insync.replicas", "1")]), Properties::new()).unwrap();
    assert_eq!(
        source(&dynamic, &none, "min.insync.replicas"),
        ("1".into(), ConfigSource::DynamicDefaultBroker)
    );
}

#[test]
fn keys_without_effect_are_named_once_with_the_nearest_key() {
    let lines = warnings_of(&[
        ("num.io.thraeds", "3"),
        ("num.io.threads", "3"),
        ("zookeeper.connect", "localhost:2181"),
        ("ssl.keystore.location", "/x"),
        ("listener.name.plaintext.max.connections", "5"),
    ]);
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert_eq!(
        lines[2],
        "these configuration keys have no effect here: num.io.threads, ssl.keystore.location"
    );
    assert_eq!(
        lines[0],
        "unknown configuration key `num.io.thraeds` is ignored; did you mean `num.io.threads`?"
    );
    assert!(lines[1].contains("process.roles"));
}

/// All Rust of this crate but the tables of keys.
fn sources(dir: &std::path::Path, text: &mut String) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && name != "rows" {
            sources(&path, text);
        } else if name.ends_with(".rs") && !["settings.rs", "tests.rs", "warnings.rs"].contains(&&*name) {
            text.push_str(&std::fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn a_key_counts_as_read_only_if_code_reads_it() {
    let mut text = String::new();
    sources(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut text);
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let is_read =
        |field: &str| text.split(&format!(".{field}")).skip(1).any(|after| !after.starts_with(is_word));
    let idle: Vec<&&str> = settings::FIELDS.iter().filter(|field| !is_read(field)).collect();
    assert!(idle.is_empty(), "nothing reads {idle:?}: take them out of the settings");
    let unnamed: Vec<_> =
        warnings::KEYS_PARSED.iter().filter(|key| !text.contains(&format!("\"{key}\""))).collect();
    assert!(unnamed.is_empty(), "nothing asks for {unnamed:?}");
}

#[test]
fn a_key_that_a_node_asks_for_by_name_counts_as_read() {
    let mut text = String::new();
    sources(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/node"), &mut text);
    let mut forgotten: Vec<&str> = server_config_def().keys().map(|row| row.name).collect();
    forgotten.retain(|key| text.contains(&format!("\"{key}\"")) && !warnings::has_effect(key));
    assert!(warnings::has_effect("group.share.min.record.lock.duration.ms"));
    assert!(forgotten.is_empty(), "{forgotten:?} would be said to have no effect");
}

#[test]
fn contradictions_are_refused_in_kafkas_words() {
    let refuse =
        |changes: &[(&str, &str)]| with(changes).map_or_else(|e| e.to_string(), |_| "fine".to_owned());
    assert_eq!(
        refuse(&[("process.roles", "broker,zoo")]),
        "Invalid value zoo for configuration process.roles: String must be one of: broker, controller"
    );
    assert!(refuse(&[("listeners", "PLAINTEXT://:9092")]).contains("must only contain values appearing"));
    assert!(refuse(&[("listeners", "PLAINTEXT://:9092,CONTROLLER://:9092")]).contains("different port"));
    assert!(refuse(&[("listeners", "NOPE://:1")]).contains("No security protocol defined for listener NOPE"));
    assert!(
        refuse(&[("controller.quorum.voters", "2@localhost:9093")])
            .contains("the node id 1 must be included")
    );
    assert!(
        refuse(&[("inter.broker.listener.name", "CONTROLLER")]).contains("must be a listener name defined")
    );
    assert!(refuse(&[("advertised.listeners", "PLAINTEXT://0.0.0.0:9092")]).contains("nonroutable"));
    assert!(refuse(&[("controller.quorum.bootstrap.servers", "")]).starts_with("If using process.roles"));
    assert!(refuse(&[("log.retention.ms", "0")]).starts_with("log.retention.ms must be unlimited"));
    assert_eq!(refuse(&[("log.retention.ms", "-7")]), "fine");
}

#[test]
fn two_ip_families_may_share_a_port() {
    let ok = with(&[("listeners", "PLAINTEXT://127.0.0.1:9092,CONTROLLER://[::1]:9092")]);
    assert!(ok.is_ok(), "{ok:?}");
    assert!(with(&[("listeners", "PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.2:9092")]).is_err());
}

#[test]
fn old_files_hear_what_to_write() {
    let file = props(&[("broker.id", "0"), ("zookeeper.connect", "localhost:2181")]);
    let error = KafkaConfig::from_properties(&file, &[]).unwrap_err();
    assert!(error.message().contains("process.roles=broker,controller"), "{error}");
}

#[test]
fn producers_get_what_was_set_last() {
    let config = with(&[("producer.id.expiration.ms", "1000")]).unwrap();
    assert!(config.producer_state().transaction_verification_enabled);
    let changes = props(&[("transaction.partition.verification.enable", "false")]);
    let producers = config.with_dynamic(changes, Properties::new()).unwrap().producer_state();
    assert!(!producers.transaction_verification_enabled);
    assert_eq!(producers.producer_id_expiration_ms, 1000);
}

#[test]
fn dynamic_values_replace_the_files_synonyms() {
    let config = with(&[("log.retention.hours", "1")]).unwrap();
    assert_eq!(config.topic_defaults()["retention.ms"], "3600000");
    let config = config.with_dynamic(props(&[("log.retention.ms", "5000")]), Properties::new()).unwrap();
    assert_eq!(config.topic_defaults()["retention.ms"], "5000");
}

#[test]
fn descriptions_list_every_source_in_order() {
    let config = with(&[("log.retention.ms", "7000")]).unwrap();
    let config = config
        .with_dynamic(props(&[("log.retention.ms", "6000")]), props(&[("log.retention.ms", "5000")]))
        .unwrap();
    let entries = config.describe_topic(&props(&[("retention.ms", "4000")])).unwrap();
    let entry = entries.iter().find(|e| e.name == "retention.ms").unwrap();
    assert_eq!(entry.value.as_deref(), Some("4000"));
    let found: Vec<_> =
        entry.synonyms.iter().map(|s| (s.source, s.name.as_str(), s.value.as_deref().unwrap())).collect();
    assert_eq!(
        found,
        [
            (ConfigSource::DynamicTopic, "retention.ms", "4000"),
            (ConfigSource::DynamicBroker, "log.retention.ms", "5000"),
            (ConfigSource::DynamicDefaultBroker, "log.retention.ms", "6000"),
            (ConfigSource::StaticBroker, "log.retention.ms", "7000"),
            (ConfigSource::Default, "log.retention.hours", "168"),
        ]
    );
    assert!(!entries.iter().any(|e| e.name == "internal.segment.bytes"));
}

#[test]
fn brokers_describe_what_can_change_and_hide_secrets() {
    let config = with(&[("ssl.keystore.password", "geheim"), ("my.own.key", "x")]).unwrap();
    let entries = config.describe_broker();
    let get = |name: &str| entries.iter().find(|e| e.name == name).unwrap();
    assert!(get("node.id").read_only && !get("num.io.threads").read_only);
    assert_eq!(
        (get("ssl.keystore.password").sensitive, get("ssl.keystore.password").value.as_deref()),
        (true, None)
    );
    assert!(get("my.own.key").sensitive);
    assert_eq!(get("node.id").source, ConfigSource::StaticBroker);
}

#[test]
fn dynamic_changes_are_checked() {
    let config = with(&[]).unwrap();
    let refuse = |name: &str, pairs: &[(&str, &str)]| {
        config
            .validate_broker_change(name, &props(pairs))
            .map_or_else(|e| e.to_string(), |()| "fine".to_owned())
    };
    assert_eq!(refuse("1", &[("num.io.threads", "12")]), "fine");
    assert_eq!(refuse("1", &[("node.id", "3")]), "Cannot update these configs dynamically: [node.id]");
    assert_eq!(refuse("2", &[]), "Unexpected broker id, expected 1, but received 2");
    assert!(
        refuse("1", &[("num.io.threads", "99")]).contains("not be greater than double the current value 8")
    );
    assert!(refuse("", &[("listeners", "PLAINTEXT://:1")]).contains("broker id must be specified"));
    assert!(refuse("1", &[("num.io.threads", "x")]).contains("Not a number of type INT"));
}

#[test]
fn lists_grow_and_shrink() {
    let op = |name: &str, op, value: &str| vec![(name.to_owned(), op, Some(value.to_owned()))];
    let def = log_config_def::topic_config_def();
    let none = Properties::new();
    let grown = dynamic::apply_ops(def, &none, &op("cleanup.policy", AlterOp::Append, "compact")).unwrap();
    assert_eq!(grown["cleanup.policy"], "delete,compact");
    let shrunk = dynamic::apply_ops(def, &grown, &op("cleanup.policy", AlterOp::Subtract, "delete")).unwrap();
    assert_eq!(shrunk["cleanup.policy"], "compact");
    let error = dynamic::apply_ops(def, &none, &op("retention.ms", AlterOp::Append, "1")).unwrap_err();
    assert_eq!(error.message(), "Config value append is not allowed for config key: retention.ms");
}

#[test]
fn groups_and_subscriptions_are_checked() {
    let config = with(&[]).unwrap();
    let none = Properties::new();
    let refuse = |resource_type, pairs: &[(&str, &str)]| {
        let new = props(pairs);
        let change = ConfigChange { resource_type, name: "x", old: &none, new: &new };
        config.validate_change(change).map_or_else(|e| e.to_string(), |()| "fine".to_owned())
    };
    use ConfigResourceType::{ClientMetrics, Group};
    assert_eq!(refuse(Group, &[("consumer.session.timeout.ms", "50000")]), "fine");
    assert_eq!(
        refuse(Group, &[("consumer.session.timeout.ms", "1")]),
        "consumer.session.timeout.ms must be in the range 45000 to 60000 inclusive."
    );
    assert_eq!(refuse(Group, &[("nope", "1")]), "Unknown group config name: nope");
    assert_eq!(refuse(ClientMetrics, &[("match", "client_id=a.*")]), "fine");
    assert!(refuse(ClientMetrics, &[("interval.ms", "1")]).contains("between 100 and 3600000"));
    let entries = config.describe_group(&none).unwrap();
    let entry = entries.iter().find(|e| e.name == "consumer.session.timeout.ms").unwrap();
    assert_eq!(entry.synonyms[0].name, "group.consumer.session.timeout.ms");
}

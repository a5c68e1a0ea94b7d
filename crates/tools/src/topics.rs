//! `topics`: create, delete, describe, list and grow topics, as `kafka-topics.sh` does.

use std::collections::BTreeMap;

use ottla_clients::admin::{ConfigResource, ConfigSource, NewPartitions, NewTopic, Reassignment};
use ottla_clients::{PartitionMetadata, TopicMetadata};
use ottla_common::{ErrorCode, TopicPartition, Uuid};

use crate::cluster::{Cluster, refusal};
use crate::error::{Result, ToolError, failed, usage};
use crate::filter::TopicFilter;
use crate::options::{Options, Parser, flag, value};
use crate::output::{errln, outln};

const PARTITION_LIMIT_DEFAULT: i32 = 2000;

pub(crate) const PARSER: Parser = Parser {
    purpose: "Create, delete, describe, or change a topic.",
    options: &[
        value("bootstrap-server", "server to connect to", "REQUIRED: The Kafka server to connect to."),
        value("command-config", "file", "Property file with settings of the client."),
        flag("list", "List all topics."),
        flag("create", "Create a topic."),
        flag("delete", "Delete topics."),
        flag("alter", "Give topics more partitions. (Use kafka-configs for their configuration.)"),
        flag("describe", "Show details of topics."),
        value("topic", "topic", "The topic; a pattern unless with --create."),
        value("topic-id", "topic-id", "The id of the topic to describe."),
        value("config", "name=value", "A setting of the topic to create; may be repeated."),
        value("delete-config", "name", "No longer supported."),
        value("partitions", "# of partitions", "Partitions of the topic; by default as the cluster says."),
        value(
            "replication-factor",
            "replication factor",
            "Replicas of each partition; by default as the cluster says.",
        ),
        value("replica-assignment", "broker_id:broker_id,...", "Which brokers hold each partition."),
        flag("under-replicated-partitions", "Describe only partitions that lack in-sync replicas."),
        flag("unavailable-partitions", "Describe only partitions without a live leader."),
        flag("under-min-isr-partitions", "Describe only partitions below min.insync.replicas."),
        flag("at-min-isr-partitions", "Describe only partitions exactly at min.insync.replicas."),
        flag("topics-with-overrides", "Describe only topics that have settings of their own."),
        flag("if-exists", "Do nothing when the topic does not exist."),
        flag("if-not-exists", "Do nothing when the topic exists."),
        flag("exclude-internal", "Leave out internal topics."),
        value("partition-size-limit-per-response", "number", "Partitions asked for at once."),
    ],
};

const ACTIONS: &[&str] = &["list", "create", "delete", "alter", "describe"];
const REPORTS: &[&str] = &[
    "under-replicated-partitions",
    "under-min-isr-partitions",
    "at-min-isr-partitions",
    "unavailable-partitions",
];

/// Runs the tool.
pub(crate) fn run(args: &[String]) -> Result {
    let options = PARSER.parse_or_help(args)?;
    check_arguments(&options)?;
    let action = || -> Result {
        let cluster = Cluster::from_options(&options)?;
        if options.has("create") {
            create(&cluster, &options)
        } else if options.has("alter") {
            alter(&cluster, &options)
        } else if options.has("list") {
            outln!("{}", matching_topics(&cluster, &options)?.join("\n"));
            Ok(())
        } else if options.has("describe") {
            describe(&cluster, &options)
        } else {
            delete(&cluster, &options)
        }
    };
    // Kafka prints this on standard output, and scripts look for it there.
    action().map_err(|error| match error {
        ToolError::Failed(message) => {
            outln!("Error while executing topic command : {message}");
            ToolError::Exit(1)
        }
        other => other,
    })
}

fn check_arguments(options: &Options) -> Result {
    if ACTIONS.iter().filter(|action| options.has(action)).count() != 1 {
        return usage(
            "Command must include exactly one action: --list, --describe, --create, --alter or --delete",
        );
    }
    if options.has("delete-config") {
        errln!("--delete-config has no effect: use kafka-configs --alter --delete-config instead.");
    }
    if !options.has("bootstrap-server") {
        return Err(ToolError::Arguments("--bootstrap-server must be specified".to_owned()));
    }
    if options.has("describe") && options.has("if-exists") && !options.has_any(&["topic", "topic-id"]) {
        return usage("--topic or --topic-id is required to describe a topic");
    }
    if !options.has_any(&["list", "describe"]) {
        options.required("topic")?;
    }
    if options.has("alter") {
        if options.has("config") {
            return usage(
                "Option combination \"[bootstrap-server],[config]\" can't be used with option \"[alter]\" \
                 (To alter topic configurations, the kafka-configs tool can be used.)",
            );
        }
        options.required("partitions")?;
    }
    let only_with = |option: &str, actions: &[&str]| {
        let others: Vec<_> = ACTIONS.iter().copied().filter(|action| !actions.contains(action)).collect();
        options.check_invalid(option, &others)
    };
    only_with("config", &["alter", "create"])?;
    only_with("partitions", &["alter", "create"])?;
    only_with("replication-factor", &["create"])?;
    only_with("replica-assignment", &["alter", "create"])?;
    if options.has("create") {
        options.check_invalid("replica-assignment", &["partitions", "replication-factor"])?;
    }
    for report in REPORTS {
        only_with(report, &["describe"])?;
        options.check_invalid(report, &["topics-with-overrides"])?;
    }
    only_with("topics-with-overrides", &["describe"])?;
    only_with("if-exists", &["alter", "delete", "describe"])?;
    only_with("if-not-exists", &["create"])?;
    only_with("exclude-internal", &["list", "describe"])
}

fn create(cluster: &Cluster, options: &Options) -> Result {
    let name = options.required("topic")?;
    let configs = configs_to_add(options)?;
    if name.contains(['.', '_']) {
        outln!(
            "WARNING: Due to limitations in metric names, topics with a period ('.') or underscore ('_') could \
             collide. To avoid issues it is best to use either, but not both."
        );
    }
    let partitions: Option<i32> = options.number("partitions")?;
    let replication: Option<i32> = options.number("replication-factor")?;
    if replication.is_some_and(|factor| !(1..=i32::from(i16::MAX)).contains(&factor)) {
        return failed("The replication factor must be between 1 and 32767 inclusive");
    }
    if partitions.is_some_and(|count| count < 1) {
        return failed("The partitions must be greater than 0");
    }
    let assignments = match options.one("replica-assignment")? {
        Some(text) => assignment(text)?,
        None => Vec::new(),
    };
    let topic = NewTopic {
        name: name.to_owned(),
        num_partitions: partitions,
        replication_factor: replication.map(|factor| factor as i16),
        assignments: (0..).zip(assignments).collect(),
        configs,
    };
    for (_, outcome) in cluster.wait(cluster.admin.create_topics(&[topic], false))? {
        match outcome {
            Err(error)
                if error.code() == Some(ErrorCode::TopicAlreadyExists) && options.has("if-not-exists") =>
            {
                return Ok(());
            }
            outcome => outcome.map_err(refusal)?,
        };
    }
    outln!("Created topic {name}.");
    Ok(())
}

fn configs_to_add(options: &Options) -> Result<BTreeMap<String, String>> {
    let mut configs = BTreeMap::new();
    for pair in options.many("config") {
        let Some((key, text)) = pair.split_once('=').filter(|(_, text)| !text.is_empty()) else {
            return failed(
                "requirement failed: Invalid topic config: all configs to be added must be in the format \"key=val\".",
            );
        };
        configs.insert(key.trim().to_owned(), text.trim().to_owned());
    }
    let none = BTreeMap::new();
    ottla_storage::log_config_def::validate_topic_config(&none, &configs, &none, true)
        .map_err(|error| ToolError::Failed(error.to_string()))?;
    Ok(configs)
}

/// Reads `1:2,2:3`: the brokers of each partition.
fn assignment(text: &str) -> Result<Vec<Vec<i32>>> {
    let mut partitions: Vec<Vec<i32>> = Vec::new();
    for part in text.split(',') {
        let mut brokers = Vec::new();
        for id in part.split(':') {
            match id.trim().parse::<i32>() {
                Ok(id) => brokers.push(id),
                Err(_) => return failed(format!("For input string: \"{}\"", id.trim())),
            }
        }
        let duplicates: Vec<_> = brokers
            .iter()
            .enumerate()
            .filter(|(i, id)| brokers[..*i].contains(id))
            .map(|(_, id)| id.to_string())
            .collect();
        if !duplicates.is_empty() {
            return failed(format!(
                "Partition replica lists may not contain duplicate entries: {}",
                duplicates.join(",")
            ));
        }
        if partitions.first().is_some_and(|first| first.len() != brokers.len()) {
            return failed(format!(
                "Partition {} has different replication factor: {brokers:?}",
                partitions.len()
            ));
        }
        partitions.push(brokers);
    }
    Ok(partitions)
}

fn matching_topics(cluster: &Cluster, options: &Options) -> Result<Vec<String>> {
    let exclude_internal = options.has("exclude-internal");
    let filter = options.one("topic")?.map(TopicFilter::new).transpose()?;
    let topics = cluster.wait(cluster.admin.list_topics())?;
    let kept = topics.into_iter().filter(|topic| {
        !(exclude_internal && topic.is_internal)
            && filter.as_ref().is_none_or(|filter| filter.allows(&topic.name))
    });
    Ok(kept.map(|topic| topic.name.to_string()).collect())
}

fn ensure_found(found: &[String], options: &Options) -> Result {
    match options.one("topic")? {
        Some(name) if !name.is_empty() && found.is_empty() && !options.has("if-exists") => {
            failed(format!("Topic '{name}' does not exist as expected"))
        }
        _ => Ok(()),
    }
}

fn alter(cluster: &Cluster, options: &Options) -> Result {
    let count: i32 = options.number("partitions")?.unwrap_or_default();
    let names = matching_topics(cluster, options)?;
    ensure_found(&names, options)?;
    if names.is_empty() {
        return Ok(());
    }
    let wanted = match options.one("replica-assignment")? {
        Some(text) => Some(assignment(text)?),
        None => None,
    };
    let existing: BTreeMap<_, _> = match &wanted {
        Some(_) => {
            let topics = topics_of(cluster, &names, PARTITION_LIMIT_DEFAULT)?.into_iter();
            topics.map(|topic| (topic.name, topic.partitions.len())).collect()
        }
        None => BTreeMap::new(),
    };
    let more = |name: &String| NewPartitions {
        topic: name.clone(),
        total_count: count,
        assignments: wanted.as_ref().map(|wanted| {
            let skip = existing.get(name.as_str()).copied().unwrap_or(0);
            wanted.iter().skip(skip).cloned().collect()
        }),
    };
    let more: Vec<_> = names.iter().map(more).collect();
    cluster.wait_all(cluster.admin.create_partitions(&more, false)).map(drop)
}

fn delete(cluster: &Cluster, options: &Options) -> Result {
    let names = matching_topics(cluster, options)?;
    ensure_found(&names, options)?;
    if names.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    cluster.wait_all(cluster.admin.delete_topics(&names)).map(drop)
}

fn topics_of(cluster: &Cluster, names: &[String], limit: i32) -> Result<Vec<TopicMetadata>> {
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let topics = cluster.wait_all(cluster.admin.describe_topics_paged(&names, limit))?;
    Ok(topics.into_iter().map(|(_, topic)| topic).collect())
}

fn names_by_id(cluster: &Cluster, options: &Options, id: &str) -> Result<Vec<String>> {
    let Ok(id) = id.parse::<Uuid>() else {
        return failed(format!(
            "Input string `{id}` is not a topic id: 22 characters of base64url are expected."
        ));
    };
    let topics = cluster.wait(cluster.admin.list_topics())?;
    let found = topics.iter().filter(|topic| topic.topic_id == id);
    let names: Vec<_> = found.map(|topic| topic.name.to_string()).collect();
    if names.is_empty() && !options.has("if-exists") {
        return failed(format!("TopicId '{id}' does not exist as expected"));
    }
    Ok(names)
}

/// Settings of a topic: those that somebody has set, and the in-sync replicas it needs.
#[derive(Default)]
struct Settings {
    shown: Vec<String>,
    min_isr: usize,
}

fn settings_of(cluster: &Cluster, names: &[String]) -> Result<BTreeMap<String, Settings>> {
    let topics: Vec<_> = names.iter().map(ConfigResource::topic).collect();
    let mut settings = BTreeMap::new();
    for (topic, configs) in cluster.wait_all(cluster.admin.describe_configs(&topics, None, false, false))? {
        let mut entry = Settings::default();
        for config in configs {
            let value = config.value.as_deref().unwrap_or("null");
            if config.name == "min.insync.replicas" {
                entry.min_isr = value.parse().unwrap_or(1);
            }
            if config.source != ConfigSource::DefaultConfig {
                entry.shown.push(format!("{}={value}", config.name));
            }
        }
        settings.insert(topic.name, entry);
    }
    Ok(settings)
}

/// Replicas that a running reassignment adds and removes.
type Reassignments = BTreeMap<TopicPartition, Reassignment>;

fn describe(cluster: &Cluster, options: &Options) -> Result {
    let zero = Uuid::ZERO.to_string();
    let names = match options.one("topic-id")?.filter(|id| *id != zero) {
        Some(id) => names_by_id(cluster, options, id)?,
        None => {
            let names = matching_topics(cluster, options)?;
            ensure_found(&names, options)?;
            names
        }
    };
    if names.is_empty() {
        return Ok(());
    }
    let limit = options.number("partition-size-limit-per-response")?.unwrap_or(PARTITION_LIMIT_DEFAULT);
    let topics = topics_of(cluster, &names, limit)?;
    let settings = settings_of(cluster, &names)?;
    // A cluster that does not know or allow this has nothing to show.
    let moving = cluster.wait(cluster.admin.list_partition_reassignments()).unwrap_or_default();
    let live: Vec<i32> = cluster.nodes().iter().map(|node| node.id).collect();
    let nothing = Settings::default();
    for mut topic in topics {
        topic.partitions.sort_by_key(|partition| partition.index);
        let name = &*topic.name;
        let own = settings.get(name).unwrap_or(&nothing);
        let with_overrides = options.has("topics-with-overrides");
        let show_all = !options.has_any(REPORTS);
        if show_all && (!with_overrides || !own.shown.is_empty()) {
            print_topic(&topic, own, &moving);
        }
        if with_overrides {
            continue;
        }
        for partition in &topic.partitions {
            let moved = moving.get(&TopicPartition::new(name, partition.index));
            if show_all || is_reported(partition, moved, own.min_isr, &live, options) {
                print_partition(name, partition, moved);
            }
        }
    }
    Ok(())
}

fn replication_factor(partition: &PartitionMetadata, moved: Option<&Reassignment>) -> usize {
    partition.replicas.len().saturating_sub(moved.map_or(0, |moved| moved.adding.len()))
}

fn is_reported(
    partition: &PartitionMetadata,
    moved: Option<&Reassignment>,
    min_isr: usize,
    live: &[i32],
    options: &Options,
) -> bool {
    let in_sync = partition.isr.len();
    let is_available = partition.leader.is_some_and(|leader| live.contains(&leader));
    (options.has("under-replicated-partitions") && replication_factor(partition, moved) > in_sync)
        || (options.has("unavailable-partitions") && !is_available)
        || (options.has("under-min-isr-partitions") && (partition.leader.is_none() || in_sync < min_isr))
        || (options.has("at-min-isr-partitions") && in_sync == min_isr)
}

fn print_topic(topic: &TopicMetadata, own: &Settings, moving: &Reassignments) {
    let moved =
        |partition: &PartitionMetadata| moving.get(&TopicPartition::new(&*topic.name, partition.index));
    let factor = topic.partitions.first().map_or(0, |first| replication_factor(first, moved(first)));
    outln!(
        "Topic: {}\tTopicId: {}\tPartitionCount: {}\tReplicationFactor: {factor}\tConfigs: {}",
        topic.name,
        topic.topic_id,
        topic.partitions.len(),
        own.shown.join(",")
    );
}

fn ids(ids: &[i32]) -> String {
    ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

fn print_partition(name: &str, partition: &PartitionMetadata, moved: Option<&Reassignment>) {
    let leader = partition.leader.map_or_else(|| "none".to_owned(), |leader| leader.to_string());
    let moved = moved.map_or_else(String::new, |moved| {
        format!("\tAdding Replicas: {}\tRemoving Replicas: {}", ids(&moved.adding), ids(&moved.removing))
    });
    let elr = |list: Option<&Vec<i32>>| list.map_or_else(|| "N/A".to_owned(), |list| ids(list));
    outln!(
        "\tTopic: {name}\tPartition: {}\tLeader: {leader}\tReplicas: {}\tIsr: {}{moved}\tElr: {}\tLastKnownElr: {}",
        partition.index,
        ids(&partition.replicas),
        ids(&partition.isr),
        elr(partition.eligible_leader_replicas.as_ref()),
        elr(partition.last_known_elr.as_ref())
    );
}

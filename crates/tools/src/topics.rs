//! `topics`: create, delete, describe, list and grow topics, as `kafka-topics.sh` does.

use std::collections::BTreeMap;

use bytestring::ByteString;
use ottla_common::config::ConfigSource;
use ottla_common::{ErrorCode, Uuid, internal_topics};
use ottla_protocol::messages::create_partitions_request::{
    CreatePartitionsAssignment, CreatePartitionsTopic,
};
use ottla_protocol::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
};
use ottla_protocol::messages::delete_topics_request::DeleteTopicState;
use ottla_protocol::messages::describe_configs_request::DescribeConfigsResource;
use ottla_protocol::messages::describe_topic_partitions_request::{Cursor, TopicRequest};
use ottla_protocol::messages::describe_topic_partitions_response::{
    DescribeTopicPartitionsResponsePartition as Partition, DescribeTopicPartitionsResponseTopic as Topic,
};
use ottla_protocol::messages::{
    CreatePartitionsRequest, CreateTopicsRequest, DeleteTopicsRequest, DescribeConfigsRequest,
    DescribeTopicPartitionsRequest, ListPartitionReassignmentsRequest, MetadataRequest,
};

use crate::cluster::{Cluster, check, refusal};
use crate::error::{Result, ToolError, failed, usage};
use crate::filter::TopicFilter;
use crate::options::{Options, Parser, flag, value};
use crate::output::{errln, outln};

const REQUEST_TIMEOUT_MS: i32 = 30_000;
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
        let mut cluster = Cluster::from_options(&options)?;
        if options.has("create") {
            create(&mut cluster, &options)
        } else if options.has("alter") {
            alter(&mut cluster, &options)
        } else if options.has("list") {
            let topics = matching_topics(&mut cluster, &options)?;
            outln!("{}", topics.join("\n"));
            Ok(())
        } else if options.has("describe") {
            describe(&mut cluster, &options)
        } else {
            delete(&mut cluster, &options)
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

fn create(cluster: &mut Cluster, options: &Options) -> Result {
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
    let topic = CreatableTopic {
        name: name.into(),
        num_partitions: partitions.unwrap_or(-1),
        replication_factor: replication.map_or(-1, |factor| factor as i16),
        assignments: (0..)
            .zip(assignments)
            .map(|(partition_index, broker_ids)| CreatableReplicaAssignment {
                partition_index,
                broker_ids,
                ..CreatableReplicaAssignment::default()
            })
            .collect(),
        configs,
        ..CreatableTopic::default()
    };
    let request = CreateTopicsRequest {
        topics: vec![topic],
        timeout_ms: REQUEST_TIMEOUT_MS,
        ..CreateTopicsRequest::default()
    };
    let response = cluster.controller(&request)?;
    for result in &response.topics {
        let code = ErrorCode::from_code(result.error_code);
        if code == ErrorCode::TopicAlreadyExists && options.has("if-not-exists") {
            return Ok(());
        }
        check(result.error_code, result.error_message.as_ref())?;
    }
    outln!("Created topic {name}.");
    Ok(())
}

fn configs_to_add(options: &Options) -> Result<Vec<CreatableTopicConfig>> {
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
    let config = |(name, value): (String, String)| CreatableTopicConfig {
        name: name.into(),
        value: Some(value.into()),
        ..CreatableTopicConfig::default()
    };
    Ok(configs.into_iter().map(config).collect())
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

fn matching_topics(cluster: &mut Cluster, options: &Options) -> Result<Vec<String>> {
    let exclude_internal = options.has("exclude-internal");
    let filter = options.one("topic")?.map(TopicFilter::new).transpose()?;
    let response = cluster.any(&MetadataRequest { topics: None, ..MetadataRequest::default() })?;
    let mut names: Vec<_> = response
        .topics
        .iter()
        .filter_map(|topic| topic.name.as_ref())
        .map(ToString::to_string)
        .filter(|name| !(exclude_internal && internal_topics::is_internal(name)))
        .filter(|name| filter.as_ref().is_none_or(|filter| filter.allows(name)))
        .collect();
    names.sort_unstable();
    Ok(names)
}

fn ensure_found(found: &[String], options: &Options) -> Result {
    match options.one("topic")? {
        Some(name) if !name.is_empty() && found.is_empty() && !options.has("if-exists") => {
            failed(format!("Topic '{name}' does not exist as expected"))
        }
        _ => Ok(()),
    }
}

fn alter(cluster: &mut Cluster, options: &Options) -> Result {
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
        Some(_) => topics_of(cluster, &names, PARTITION_LIMIT_DEFAULT)?
            .into_iter()
            .map(|topic| (topic.name.unwrap_or_default().to_string(), topic.partitions.len()))
            .collect(),
        None => BTreeMap::new(),
    };
    let topic = |name: &String| CreatePartitionsTopic {
        name: name.as_str().into(),
        count,
        assignments: wanted.as_ref().map(|wanted| {
            let skip = existing.get(name).copied().unwrap_or(0);
            let new = wanted.iter().skip(skip);
            new.map(|ids| CreatePartitionsAssignment { broker_ids: ids.clone(), ..Default::default() })
                .collect()
        }),
        ..CreatePartitionsTopic::default()
    };
    let request = CreatePartitionsRequest {
        topics: names.iter().map(topic).collect(),
        timeout_ms: REQUEST_TIMEOUT_MS,
        ..CreatePartitionsRequest::default()
    };
    let response = cluster.controller(&request)?;
    response.results.iter().try_for_each(|result| check(result.error_code, result.error_message.as_ref()))
}

fn delete(cluster: &mut Cluster, options: &Options) -> Result {
    let names = matching_topics(cluster, options)?;
    ensure_found(&names, options)?;
    let state =
        |name: &String| DeleteTopicState { name: Some(name.as_str().into()), ..DeleteTopicState::default() };
    if names.is_empty() {
        return Ok(());
    }
    let request = DeleteTopicsRequest {
        topics: names.iter().map(state).collect(),
        timeout_ms: REQUEST_TIMEOUT_MS,
        ..DeleteTopicsRequest::default()
    };
    let response = cluster.controller(&request)?;
    response.responses.iter().try_for_each(|result| check(result.error_code, result.error_message.as_ref()))
}

/// Partitions of topics, page by page (KIP-966).
fn topics_of(cluster: &mut Cluster, names: &[String], limit: i32) -> Result<Vec<Topic>> {
    let mut found: Vec<Topic> = Vec::new();
    let mut cursor: Option<Cursor> = None;
    loop {
        let from = cursor.as_ref().map(|cursor| cursor.topic_name.to_string());
        let left = names.iter().filter(|name| from.as_ref().is_none_or(|from| *name >= from));
        let topic = |name: &String| TopicRequest { name: name.as_str().into(), ..TopicRequest::default() };
        let request = DescribeTopicPartitionsRequest {
            topics: left.map(topic).collect(),
            response_partition_limit: limit,
            cursor: cursor.take(),
            ..DescribeTopicPartitionsRequest::default()
        };
        let response = cluster.any(&request)?;
        for topic in response.topics {
            let code = ErrorCode::from_code(topic.error_code);
            if !code.is_none() {
                return Err(refusal(code, None));
            }
            match found.last_mut().filter(|last| last.name == topic.name) {
                Some(last) => last.partitions.extend(topic.partitions),
                None => found.push(topic),
            }
        }
        match response.next_cursor {
            Some(next) => {
                cursor = Some(Cursor {
                    topic_name: next.topic_name,
                    partition_index: next.partition_index,
                    ..Cursor::default()
                });
            }
            None => return Ok(found),
        }
    }
}

fn names_by_id(cluster: &mut Cluster, options: &Options, id: &str) -> Result<Vec<String>> {
    let Ok(id) = id.parse::<Uuid>() else {
        return failed(format!(
            "Input string `{id}` is not a topic id: 22 characters of base64url are expected."
        ));
    };
    let response = cluster.any(&MetadataRequest { topics: None, ..MetadataRequest::default() })?;
    let found = response.topics.into_iter().filter(|topic| topic.topic_id == id);
    let names: Vec<_> = found.filter_map(|topic| topic.name).map(|name| name.to_string()).collect();
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

fn settings_of(cluster: &mut Cluster, names: &[String]) -> Result<BTreeMap<ByteString, Settings>> {
    const TOPIC: i8 = 2;
    let resource = |name: &String| DescribeConfigsResource {
        resource_type: TOPIC,
        resource_name: name.as_str().into(),
        configuration_keys: None,
        ..DescribeConfigsResource::default()
    };
    let request = DescribeConfigsRequest {
        resources: names.iter().map(resource).collect(),
        ..DescribeConfigsRequest::default()
    };
    let mut settings = BTreeMap::new();
    for result in cluster.any(&request)?.results {
        check(result.error_code, result.error_message.as_ref())?;
        let mut entry = Settings::default();
        for config in result.configs {
            let value = config.value.as_ref().map_or_else(|| "null".to_owned(), ToString::to_string);
            if &*config.name == "min.insync.replicas" {
                entry.min_isr = value.parse().unwrap_or(1);
            }
            if config.config_source != ConfigSource::Default.id() {
                entry.shown.push(format!("{}={value}", config.name));
            }
        }
        settings.insert(result.resource_name, entry);
    }
    Ok(settings)
}

/// Replicas that a running reassignment adds and removes, by topic and partition.
type Reassignments = BTreeMap<(ByteString, i32), (Vec<i32>, Vec<i32>)>;

fn reassignments(cluster: &mut Cluster) -> Reassignments {
    let request = ListPartitionReassignmentsRequest {
        topics: None,
        timeout_ms: REQUEST_TIMEOUT_MS,
        ..ListPartitionReassignmentsRequest::default()
    };
    // A cluster that does not know or allow this has nothing to show.
    let Ok(response) = cluster.controller(&request) else { return Reassignments::new() };
    let topics = response.topics.into_iter();
    topics
        .flat_map(|topic| {
            let name = topic.name;
            topic
                .partitions
                .into_iter()
                .map(move |p| ((name.clone(), p.partition_index), (p.adding_replicas, p.removing_replicas)))
        })
        .collect()
}

fn describe(cluster: &mut Cluster, options: &Options) -> Result {
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
    let moving = reassignments(cluster);
    let live: Vec<i32> = cluster.nodes().iter().map(|node| node.id).collect();
    let nothing = Settings::default();
    for mut topic in topics {
        topic.partitions.sort_by_key(|partition| partition.partition_index);
        let name = topic.name.clone().unwrap_or_default();
        let own = settings.get(&name).unwrap_or(&nothing);
        let with_overrides = options.has("topics-with-overrides");
        let show_all = !options.has_any(REPORTS);
        if show_all && (!with_overrides || !own.shown.is_empty()) {
            print_topic(&topic, own, &moving);
        }
        if with_overrides {
            continue;
        }
        for partition in &topic.partitions {
            let moved = moving.get(&(name.clone(), partition.partition_index));
            if show_all || is_reported(partition, moved, own.min_isr, &live, options) {
                print_partition(&name, partition, moved);
            }
        }
    }
    Ok(())
}

fn replication_factor(partition: &Partition, moved: Option<&(Vec<i32>, Vec<i32>)>) -> usize {
    match moved {
        Some((adding, _)) => partition.replica_nodes.len() - adding.len().min(partition.replica_nodes.len()),
        None => partition.replica_nodes.len(),
    }
}

fn is_reported(
    partition: &Partition,
    moved: Option<&(Vec<i32>, Vec<i32>)>,
    min_isr: usize,
    live: &[i32],
    options: &Options,
) -> bool {
    let in_sync = partition.isr_nodes.len();
    let has_leader = partition.leader_id >= 0;
    (options.has("under-replicated-partitions") && replication_factor(partition, moved) > in_sync)
        || (options.has("unavailable-partitions") && !live.contains(&partition.leader_id))
        || (options.has("under-min-isr-partitions") && (!has_leader || in_sync < min_isr))
        || (options.has("at-min-isr-partitions") && in_sync == min_isr)
}

fn print_topic(topic: &Topic, own: &Settings, moving: &Reassignments) {
    let name = topic.name.clone().unwrap_or_default();
    let factor = topic
        .partitions
        .first()
        .map_or(0, |first| replication_factor(first, moving.get(&(name.clone(), first.partition_index))));
    outln!(
        "Topic: {name}\tTopicId: {}\tPartitionCount: {}\tReplicationFactor: {factor}\tConfigs: {}",
        topic.topic_id,
        topic.partitions.len(),
        own.shown.join(",")
    );
}

fn ids(ids: &[i32]) -> String {
    ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

fn print_partition(name: &str, partition: &Partition, moved: Option<&(Vec<i32>, Vec<i32>)>) {
    let leader = if partition.leader_id >= 0 { partition.leader_id.to_string() } else { "none".to_owned() };
    let moved = moved.map_or_else(String::new, |(adding, removing)| {
        format!("\tAdding Replicas: {}\tRemoving Replicas: {}", ids(adding), ids(removing))
    });
    let elr = |list: Option<&Vec<i32>>| list.map_or_else(|| "N/A".to_owned(), |list| ids(list));
    outln!(
        "\tTopic: {name}\tPartition: {}\tLeader: {leader}\tReplicas: {}\tIsr: {}{moved}\tElr: {}\tLastKnownElr: {}",
        partition.partition_index,
        ids(&partition.replica_nodes),
        ids(&partition.isr_nodes),
        elr(partition.eligible_leader_replicas.as_ref()),
        elr(partition.last_known_elr.as_ref())
    );
}

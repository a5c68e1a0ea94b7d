//! `--reset-offsets` and `--delete-offsets`.

use std::collections::{BTreeMap, BTreeSet};

use ottla_clients::admin::{OffsetAndMetadata, StreamsGroupDescription};
use ottla_common::{ErrorCode, TopicPartition};

use super::arguments::SCENARIOS;
use super::{chosen, describe_group, internal_topics, tables};
use crate::cluster::Cluster;
use crate::error::{Result, usage};
use crate::groups::deletion;
use crate::groups::refusals::{print_error, refusal_of_future};
use crate::groups::reset::{self, Offsets, named_partitions};
use crate::groups::topics::parse_topics;
use crate::options::Options;
use crate::output::{out, outln};

type Committed = BTreeMap<TopicPartition, OffsetAndMetadata>;

/// The offsets that a group has committed of its input topics, and of those it repartitions into if wanted.
pub(super) fn committed(
    cluster: &Cluster,
    group: &StreamsGroupDescription,
    with_repartition_topics: bool,
) -> Result<Committed> {
    let mut topics: BTreeSet<&str> = BTreeSet::new();
    for subtopology in &group.subtopologies {
        topics.extend(subtopology.source_topics.iter().map(|topic| &**topic));
        if with_repartition_topics {
            topics.extend(subtopology.repartition_source_topics.iter().map(|topic| &*topic.name));
        }
    }
    let mut committed = all_committed(cluster, &group.group_id)?;
    committed.retain(|partition, _| topics.contains(&*partition.topic));
    Ok(committed)
}

fn all_committed(cluster: &Cluster, id: &str) -> Result<Committed> {
    cluster.answer(cluster.admin.list_group_offsets(id, None)).map_err(refusal_of_future)
}

fn described(cluster: &Cluster, id: &str) -> Result<StreamsGroupDescription> {
    describe_group(cluster, id).map_err(refusal_of_future)
}

/// Moves groups that nobody is in, and deletes their internal topics if told to.
pub(super) fn reset(cluster: &Cluster, options: &Options) -> Result {
    let executes = options.has("execute");
    let mut plans: BTreeMap<String, Offsets> = BTreeMap::new();
    for id in chosen(cluster, options)? {
        let state = match describe_group(cluster, &id) {
            Ok(group) => Some(group.state),
            // A group that does not exist yet may be given offsets.
            Err(error) if error.code() == Some(ErrorCode::GroupIdNotFound) => None,
            Err(error) => return Err(refusal_of_future(error)),
        };
        if let Some(state) = state.as_ref().filter(|state| !matches!(&***state, "Empty" | "Dead")) {
            print_error(&format!(
                "Assignments can only be reset if the group '{id}' is inactive, but the current state is \
                 {state}."
            ));
            plans.insert(id, Offsets::new());
            continue;
        }
        let plan = plan(cluster, options, &id)?;
        if executes {
            reset::commit(cluster, &id, &plan)?;
        }
        if executes && state.is_some() {
            internal_topics::delete_after_reset(cluster, options, &id)?;
        }
        plans.insert(id, plan);
    }
    if options.has("export") {
        outln!("{}", reset::exported(&plans, options.many("group").len() != 1));
    } else {
        out!("{}", tables::plans(&plans));
    }
    Ok(())
}

fn plan(cluster: &Cluster, options: &Options, id: &str) -> Result<Offsets> {
    let partitions = partitions_to_reset(cluster, options, id)?;
    let current = || -> Result<Offsets> {
        let committed = committed(cluster, &described(cluster, id)?, true)?.into_iter();
        Ok(committed.map(|(partition, committed)| (partition, committed.offset)).collect())
    };
    reset::plan(cluster, options, id, &partitions, current, SCENARIOS)
}

fn partitions_to_reset(cluster: &Cluster, options: &Options, id: &str) -> Result<Vec<TopicPartition>> {
    if options.has("all-input-topics") {
        return Ok(committed(cluster, &described(cluster, id)?, false)?.into_keys().collect());
    }
    if options.has("input-topic") {
        let partitions = named_partitions(cluster, options, "input-topic")?;
        let all = all_committed(cluster, id)?;
        if partitions.iter().all(|partition| all.contains_key(partition)) {
            return Ok(partitions);
        }
        print_error(&format!("One or more topics are not part of the group '{id}'."));
        return Ok(Vec::new());
    }
    if options.has("from-file") {
        return Ok(Vec::new());
    }
    usage("One of the reset scopes should be defined: --all-input-topics, --input-topic.")
}

/// Forgets where a group stands in input topics.
pub(super) fn delete(cluster: &Cluster, options: &Options) -> Result {
    let id = options.required("group")?;
    if options.has("all-input-topics") {
        let partitions = committed(cluster, &described(cluster, id)?, false)?.into_keys();
        return deletion::delete_offsets(cluster, id, &partitions.collect::<Vec<_>>(), &[]);
    }
    let (partitions, missing) = parse_topics(cluster, options.many("input-topic"))?;
    deletion::delete_offsets(cluster, id, &partitions, &missing)
}

//! `--reset-offsets`: move a group that nobody is in.

use std::collections::BTreeMap;

use ottla_common::{ErrorCode, TopicPartition};

use super::arguments::SCENARIOS;
use super::{check_is_of_consumers, chosen, committed, describe_group};
use crate::cluster::Cluster;
use crate::error::{Result, usage};
use crate::groups::refusals::{print_error, refusal_with_class};
use crate::groups::reset::{self, Offsets, named_partitions};
use crate::options::Options;
use crate::output::{out, outln};

pub(super) fn run(cluster: &Cluster, options: &Options) -> Result {
    let mut plans: BTreeMap<String, Offsets> = BTreeMap::new();
    for id in chosen(cluster, options)? {
        let state = match describe_group(cluster, &id) {
            Ok(group) => {
                check_is_of_consumers(&id, &group)?;
                group.state
            }
            // A group that does not exist yet may be given offsets.
            Err(error) if error.code() == Some(ErrorCode::GroupIdNotFound) => "Dead".into(),
            Err(error) => return Err(refusal_with_class(error)),
        };
        if !matches!(&*state, "Empty" | "Dead") {
            print_error(&format!(
                "Assignments can only be reset if the group '{id}' is inactive, but the current state is \
                 {state}."
            ));
            plans.insert(id, Offsets::new());
            continue;
        }
        let plan = plan(cluster, options, &id)?;
        if options.has("execute") && !options.has("dry-run") {
            reset::commit(cluster, &id, &plan)?;
        }
        plans.insert(id, plan);
    }
    if options.has("export") {
        outln!("{}", reset::exported(&plans, options.many("group").len() != 1));
    } else {
        out!("{}", reset::table(&plans));
    }
    Ok(())
}

fn plan(cluster: &Cluster, options: &Options, id: &str) -> Result<Offsets> {
    let partitions = partitions_to_reset(cluster, options, id)?;
    let current = || -> Result<Offsets> {
        let committed = committed(cluster, id)?.into_iter();
        Ok(committed.map(|(partition, committed)| (partition, committed.offset)).collect())
    };
    reset::plan(cluster, options, id, &partitions, current, SCENARIOS)
}

fn partitions_to_reset(cluster: &Cluster, options: &Options, id: &str) -> Result<Vec<TopicPartition>> {
    if options.has("all-topics") {
        return Ok(committed(cluster, id)?.into_keys().collect());
    }
    if options.has("topic") {
        return named_partitions(cluster, options, "topic");
    }
    if options.has("from-file") {
        return Ok(Vec::new());
    }
    usage("One of the reset scopes should be defined: --all-topics, --topic.")
}

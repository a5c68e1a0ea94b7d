//! `--reset-offsets` and `--delete-offsets`.

use std::collections::BTreeMap;

use ottla_clients::ClientError;
use ottla_common::{ErrorCode, TopicPartition};

use super::arguments::SCENARIOS;
use super::{describe_group, fatal, offsets_of, tables};
use crate::cluster::{Answer, Cluster, refusal};
use crate::error::{Result, ToolError, failed};
use crate::groups::refusals::{print_error, refusal_with_class};
use crate::groups::reset::{self, Offsets, altering_failed, named_partitions};
use crate::options::Options;
use crate::output::{out, outln};

/// Moves a group that nobody is in.
pub(super) fn reset(cluster: &Cluster, options: &Options) -> Result {
    let id = options.required("group")?;
    match describe_group(cluster, id) {
        Ok(group) if matches!(&*group.state, "Empty" | "Dead") => {}
        Ok(_) => return Err(ToolError::Arguments(format!("Share group '{id}' is not empty."))),
        // A group that does not exist yet may be given offsets.
        Err(error) if error.code() == Some(ErrorCode::GroupIdNotFound) => {}
        Err(error) => return Err(fatal(error)),
    }
    let partitions = partitions_to_reset(cluster, options, id)?;
    let current = || -> Result<Offsets> {
        let offsets = offsets_of(cluster, id).map_err(refusal)?.into_iter();
        Ok(offsets.filter_map(|(partition, offset)| Some((partition, offset?.start_offset))).collect())
    };
    let plan = reset::plan(cluster, options, id, &partitions, current, SCENARIOS)?;
    if options.has("execute") {
        commit(cluster, id, &plan)?;
    }
    let mut plans = BTreeMap::new();
    if !plan.is_empty() {
        plans.insert(id.to_owned(), plan);
    }
    if options.has("export") {
        outln!("{}", reset::exported(&plans, false));
    } else {
        out!("{}", reset::table(&plans));
    }
    Ok(())
}

fn partitions_to_reset(cluster: &Cluster, options: &Options, id: &str) -> Result<Vec<TopicPartition>> {
    if options.has("topic") {
        return named_partitions(cluster, options, "topic");
    }
    Ok(offsets_of(cluster, id).map_err(refusal)?.into_keys().collect())
}

fn commit(cluster: &Cluster, id: &str, plan: &Offsets) -> Result {
    if plan.is_empty() {
        return Ok(());
    }
    let outcomes = cluster.wait(cluster.admin.alter_share_group_offsets(id, plan))?.into_iter();
    let refused = outcomes.filter_map(|(partition, outcome)| Some((partition, outcome.err()?)));
    let (partitions, errors): (Vec<_>, Vec<_>) = refused.unzip();
    match errors.into_iter().next() {
        None => Ok(()),
        Some(error) => failed(format!("{} {}", refusal(error), altering_failed(&partitions))),
    }
}

/// Forgets where a group stands in whole topics.
pub(super) fn delete(cluster: &Cluster, options: &Options) -> Result {
    let id = options.required("group")?;
    let mut topics: Vec<&str> = options.many("topic").iter().map(String::as_str).collect();
    topics.sort_unstable();
    topics.dedup();
    let answer = cluster.answer(cluster.admin.delete_share_group_offsets(id, &topics));
    let results: Vec<(&str, Answer<()>)> = match answer {
        Ok(outcomes) => topics
            .iter()
            .map(|topic| {
                let outcome = outcomes.iter().find(|(name, _)| **name == **topic);
                (*topic, outcome.map_or_else(|| Err(no_answer(topic)), |(_, outcome)| outcome.clone()))
            })
            .collect(),
        Err(error) => topics.iter().map(|topic| (*topic, Err(error.clone()))).collect(),
    };
    if let Some(error) = results.iter().find_map(|(_, outcome)| outcome.as_ref().err()) {
        say_what_failed(error);
    }
    out!("{}", tables::deleted(results));
    Ok(())
}

fn no_answer(topic: &str) -> ClientError {
    let message = format!("Offset deletion result for topic \"{topic}\" was not included in the response");
    ClientError::IllegalState(message)
}

/// Refusals of the whole group. Those of a topic stand in the table.
fn say_what_failed(error: &ClientError) {
    match error.code() {
        Some(
            ErrorCode::InvalidGroupId
            | ErrorCode::GroupIdNotFound
            | ErrorCode::GroupAuthorizationFailed
            | ErrorCode::NonEmptyGroup,
        ) => print_error(&refusal(error.clone()).to_string()),
        Some(ErrorCode::TopicAuthorizationFailed | ErrorCode::UnknownTopicOrPartition) => {}
        _ => print_error(&format!("Encounter some unknown error: {}", refusal_with_class(error.clone()))),
    }
}

//! `--delete`: remove groups that nobody is in, and their internal topics if wanted.

use ottla_clients::admin::GroupListing;

use super::{chosen, internal_topics, listed};
use crate::cluster::Cluster;
use crate::error::Result;
use crate::groups::refusals::{print_error, quoted, refusal_of_future, refusal_with_class};
use crate::options::Options;
use crate::output::outln;

pub(super) fn run(cluster: &Cluster, options: &Options) -> Result {
    let mut wanted = chosen(cluster, options)?;
    wanted.sort();
    wanted.dedup();
    let known = listed(cluster, Vec::new()).map_err(refusal_of_future)?;
    let (mut done, mut refused) = (Vec::new(), Vec::new());
    let mut deletable = Vec::new();
    for id in wanted {
        match why_not_deletable(&id, &known) {
            Some(reason) => refused.push((id, reason)),
            None => deletable.push(id),
        }
    }
    // The topology goes with the group, so its topics are asked for before.
    let topics = if options.has("delete-all-internal-topics") {
        internal_topics::of_groups(cluster, &deletable)
    } else {
        Vec::new()
    };
    for id in deletable {
        match cluster.answer(cluster.admin.delete_group(&id)) {
            Ok(()) => done.push(id),
            Err(error) => refused.push((id, refusal_with_class(error).to_string())),
        }
    }
    if refused.is_empty() {
        outln!("Deletion of requested streams groups ({}) was successful.", quoted(&done));
    } else {
        print_error("Deletion of some streams groups failed:");
        for (id, reason) in refused {
            outln!("* Group '{id}' could not be deleted due to: {reason}");
        }
        if !done.is_empty() {
            outln!("\nThese streams groups were deleted successfully: {}.", quoted(&done));
        }
    }
    internal_topics::delete_after_groups(cluster, &topics, &done);
    Ok(())
}

/// What can be told of a group without asking its coordinator.
fn why_not_deletable(id: &str, known: &[GroupListing]) -> Option<String> {
    let Some(group) = known.iter().find(|group| *group.group_id == *id) else {
        return Some(format!(
            "java.lang.IllegalArgumentException: Group '{id}' does not exist or is not a streams group."
        ));
    };
    match &*group.state {
        "" | "Empty" => None,
        "Dead" => Some(format!("java.lang.IllegalStateException: Streams group '{id}' group state is DEAD.")),
        _ => Some(format!(
            "org.apache.kafka.common.errors.GroupNotEmptyException: Streams group '{id}' is not EMPTY."
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_empty_streams_groups_are_deleted() {
        let group = |id: &str, state: &str| GroupListing {
            group_id: id.into(),
            protocol_type: "streams".into(),
            state: state.into(),
            group_type: "Streams".into(),
        };
        let known = [group("empty", "Empty"), group("busy", "NotReady")];
        assert_eq!(why_not_deletable("empty", &known), None);
        assert!(why_not_deletable("busy", &known).unwrap().ends_with("Streams group 'busy' is not EMPTY."));
        assert_eq!(
            why_not_deletable("none", &known).unwrap(),
            "java.lang.IllegalArgumentException: Group 'none' does not exist or is not a streams group."
        );
    }
}

//! What came of looking for the topics that a group's regular expressions match (KIP-848).

use std::collections::BTreeMap;
use std::sync::Arc;

use bytestring::ByteString;

use crate::group::consumer::work::Work;
use crate::group::consumer::{
    ConsumerGroup, ConsumerGroupContext, ConsumerGroupResult, ResolvedRegularExpression,
};

/// Takes in the topics that expressions match, without those that the member may not describe. When
/// they are others than before, the group gets another epoch.
pub(crate) fn on_regular_expressions_resolved(
    context: &ConsumerGroupContext<'_>,
    group: &ConsumerGroup,
    resolved: BTreeMap<ByteString, ResolvedRegularExpression>,
) -> ConsumerGroupResult<()> {
    let mut work = Work::on(context, group.clone());
    let mut changed = false;
    for (regex, resolved) in resolved {
        // Everybody may have turned to something else in the meantime.
        if work.group.num_regex_members(&regex) == 0 {
            continue;
        }
        let topics_before = work.group.resolved_regex(&regex).map(|before| &before.topics);
        changed |= topics_before.map_or(!resolved.topics.is_empty(), |before| *before != resolved.topics);
        work.write_regex(&regex, &Arc::new(resolved));
    }
    let hash = work.metadata_hash();
    if changed || hash != work.group.metadata_hash() {
        work.bump_epoch(hash);
        work.metadata_refreshed();
    }
    work.decided(())
}

#[cfg(test)]
#[path = "consumer_group_regex_test.rs"]
mod tests;

//! StreamsGroupTopologyDescriptionUpdate, version 0 (KIP-1331), and what else keeps the groups' records
//! in step with the store of topology descriptions.
//!
//! The store is outside, and nobody can write to it and to the log at once. So a group is first marked
//! as one whose description may or may not be stored; then the store is asked; then the log is told what
//! came of it. Whatever fails in between leaves the mark, which has the description pushed or deleted again.
//!
//! Errors: UNSUPPORTED_VERSION, INVALID_REQUEST, GROUP_ID_NOT_FOUND, UNKNOWN_MEMBER_ID. (That storing
//! failed, STREAMS_TOPOLOGY_DESCRIPTION_UPDATE_FAILED, is the caller's to tell.)

use bytestring::ByteString;
use ottla_protocol::messages::StreamsGroupTopologyDescriptionUpdateRequest;
use ottla_protocol::records::group::StreamsGroupMetadataValue;

use crate::group::streams::group::{STORED_TOPOLOGY_EPOCH_NONE as NONE, STORED_TOPOLOGY_EPOCH_UNCERTAIN};
use crate::group::streams::{
    StreamsDecision, StreamsGroup, StreamsGroupContext, StreamsGroupError, validate_topology_description,
};

const UNCERTAIN: i32 = STORED_TOPOLOGY_EPOCH_UNCERTAIN;

impl StreamsGroupContext<'_> {
    /// Whether a description may be stored. To be asked of the committed group.
    pub fn validate_topology_description_update(
        &self,
        request: &StreamsGroupTopologyDescriptionUpdateRequest,
    ) -> Result<(), StreamsGroupError> {
        let invalid = |reason: String| Err(StreamsGroupError::InvalidRequest(reason));
        if !self.config.topology_description_plugin_configured {
            let reason = "there is nowhere to store topology descriptions";
            return Err(StreamsGroupError::UnsupportedVersion(reason));
        }
        if request.member_id.is_empty() || request.group_id.is_empty() {
            return invalid("the member id or the group id is empty".to_owned());
        }
        let group = self.existing(&request.group_id)?;
        group.member(&request.member_id)?;
        let (said, current) = (request.topology_epoch, group.topology_epoch());
        if said != current {
            return invalid(format!("topology epoch {said} is not the group's, {current}"));
        }
        validate_topology_description(&request.topology_description)
    }

    /// Before the store is asked to store a description. `false`: the group is gone, and it must not be.
    pub fn mark_topology_description_before_set(&self) -> StreamsDecision<bool> {
        let Some(group) = self.group else { return StreamsDecision::of(false) };
        mark_uncertain(group)
    }

    /// Before the store is asked to delete a group's description. `false`: there is nothing to delete, or
    /// the group came to life again, and it must not be.
    pub fn mark_topology_description_before_delete(&self) -> StreamsDecision<bool> {
        let deletable =
            |group: &&StreamsGroup| group.is_empty() && group.stored_description_topology_epoch() != NONE;
        match self.group.filter(deletable) {
            Some(group) => mark_uncertain(group),
            None => StreamsDecision::of(false),
        }
    }

    /// The store stored the description of this epoch. Should a deletion have come in between, nobody can
    /// tell which of the two the store did last.
    pub fn topology_description_stored(
        &self,
        group_id: &ByteString,
        topology_epoch: i32,
    ) -> Result<StreamsDecision<()>, StreamsGroupError> {
        let group = self.existing(group_id)?;
        Ok(with_metadata(group, |value| {
            let stored = &mut value.stored_description_topology_epoch;
            *stored = if *stored == NONE { UNCERTAIN } else { topology_epoch.max(*stored) };
        }))
    }

    /// The store can never store the description of this epoch.
    pub fn topology_description_failed(
        &self,
        group_id: &ByteString,
        topology_epoch: i32,
    ) -> Result<StreamsDecision<()>, StreamsGroupError> {
        let group = self.existing(group_id)?;
        Ok(with_metadata(group, |value| {
            let failed = &mut value.failed_description_topology_epoch;
            *failed = topology_epoch.max(*failed);
        }))
    }

    /// The store deleted the group's description. Should one have been stored in between, nobody can tell
    /// which of the two the store did last.
    pub fn topology_description_deleted(&self) -> StreamsDecision<()> {
        let group = self.group.filter(|group| group.stored_description_topology_epoch() != NONE);
        let Some(group) = group else { return StreamsDecision::of(()) };
        with_metadata(group, |value| {
            let stored = &mut value.stored_description_topology_epoch;
            *stored = if *stored == UNCERTAIN { NONE } else { UNCERTAIN };
        })
    }
}

fn mark_uncertain(group: &StreamsGroup) -> StreamsDecision<bool> {
    if group.stored_description_topology_epoch() == UNCERTAIN {
        return StreamsDecision::of(true);
    }
    with_metadata(group, |value| value.stored_description_topology_epoch = UNCERTAIN).map(|()| true)
}

fn with_metadata(
    group: &StreamsGroup,
    change: impl FnOnce(&mut StreamsGroupMetadataValue),
) -> StreamsDecision<()> {
    let mut value = group.metadata_value();
    change(&mut value);
    StreamsDecision::with_records(vec![group.metadata_record(value)], ())
}

#[cfg(test)]
#[path = "streams_group_topology_description_update_test.rs"]
mod tests;

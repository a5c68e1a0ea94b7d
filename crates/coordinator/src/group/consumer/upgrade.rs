//! A classic group of consumers becomes a consumer group while its members live on (KIP-848).

use std::collections::BTreeMap;
use std::sync::Arc;

use bytestring::ByteString;
use ottla_common::ErrorCode;
use ottla_protocol::messages::{JoinGroupResponse, SyncGroupResponse};
use ottla_protocol::records::group::consumer_group_member_metadata_value::{
    ClassicMemberMetadata, ClassicProtocol,
};

use super::consumer_protocol::{decode_assignment, decode_subscription, rack_of, to_member_assignment};
use super::work::Work;
use super::{
    ConsumerGroup, ConsumerGroupContext, ConsumerGroupError, ConsumerGroupMember, Conversion, UpgradeError,
    record_of,
};
use crate::group::classic::{ClassicGroup, ClassicGroupMember};
use crate::group::modern::MemberAssignment;
use crate::group::{GroupReply, owned};

/// The consumer group that the classic group becomes, as a piece of work that has only begun. An empty
/// classic group just goes.
pub(crate) fn upgrade_group<'a>(
    context: &'a ConsumerGroupContext<'a>,
    classic: &ClassicGroup,
) -> Result<Work<'a>, ConsumerGroupError> {
    let mut work = Work::on(context, ConsumerGroup::new(classic.group_id().clone()));
    work.conversion = Some(Conversion::FromClassic);
    if classic.is_empty() {
        return Ok(work);
    }
    let refused = |why| ConsumerGroupError::UpgradeRefused(classic.group_id().clone(), why);
    validate(context, classic).map_err(refused)?;
    let members: Result<Vec<_>, _> = classic.members().map(|m| convert(context, classic, m)).collect();
    write_members(&mut work, classic.generation_id(), &members.map_err(refused)?);
    answer_parked(&mut work, classic);
    Ok(work)
}

fn validate(context: &ConsumerGroupContext<'_>, classic: &ClassicGroup) -> Result<(), UpgradeError> {
    if !context.config.migration_policy.is_upgrade_enabled() {
        Err(UpgradeError::Disabled)
    } else if !classic.uses_consumer_protocol() {
        Err(UpgradeError::OtherProtocolType)
    } else if classic.num_members() > usize::try_from(context.config.max_size).unwrap_or(0) {
        Err(UpgradeError::TooManyMembers)
    } else {
        Ok(())
    }
}

/// A member as it is in the consumer group: stable, with what the classic leader gave it last. Who
/// waits for another generation is made to join again anyway.
fn convert(
    context: &ConsumerGroupContext<'_>,
    classic: &ClassicGroup,
    member: &ClassicGroupMember,
) -> Result<(ConsumerGroupMember, MemberAssignment), UpgradeError> {
    let assignment = assignment_of(context, member)?;
    // Before its first generation the group has chosen none.
    let protocol = classic.protocol_name.clone().or_else(|| classic.select_protocol());
    let metadata = protocol.and_then(|name| member.metadata(&name)).ok_or(UpgradeError::Malformed)?;
    let subscription = decode_subscription(metadata).map_err(|_| UpgradeError::Malformed)?;
    let epoch = classic.generation_id();
    let with_epochs = |partitions: &std::collections::BTreeSet<i32>| -> BTreeMap<i32, i32> {
        partitions.iter().map(|partition| (*partition, epoch)).collect()
    };
    let assigned = assignment.iter().map(|(topic_id, of_topic)| (*topic_id, with_epochs(of_topic)));
    let converted = ConsumerGroupMember {
        member_epoch: epoch,
        previous_member_epoch: epoch,
        instance_id: member.group_instance_id.clone(),
        rack_id: rack_of(&subscription).map(owned),
        rebalance_timeout_ms: member.rebalance_timeout_ms,
        client_id: member.client_id.clone(),
        client_host: member.client_host.clone(),
        subscribed_topic_names: Arc::new(subscription.topics.iter().map(owned).collect()),
        assigned_partitions: Arc::new(assigned.collect()),
        classic: Some(Arc::new(classic_metadata(member))),
        ..ConsumerGroupMember::new(member.member_id.clone())
    };
    Ok((converted, assignment))
}

fn assignment_of(
    context: &ConsumerGroupContext<'_>,
    member: &ClassicGroupMember,
) -> Result<MemberAssignment, UpgradeError> {
    if member.assignment.is_empty() {
        // It joined and never synced.
        return Ok(MemberAssignment::new());
    }
    let assignment = decode_assignment(&member.assignment).map_err(|_| UpgradeError::Malformed)?;
    if assignment.user_data.as_ref().is_some_and(|data| !data.is_empty()) {
        return Err(UpgradeError::CustomAssignor);
    }
    Ok(to_member_assignment(&assignment, context.metadata))
}

fn classic_metadata(member: &ClassicGroupMember) -> ClassicMemberMetadata {
    let protocol = |protocol: &crate::group::classic::Protocol| ClassicProtocol {
        name: protocol.name.clone(),
        metadata: protocol.metadata.clone(),
        ..Default::default()
    };
    ClassicMemberMetadata {
        session_timeout_ms: member.session_timeout_ms,
        supported_protocols: member.protocols.iter().map(protocol).collect(),
        ..Default::default()
    }
}

/// Writes the whole group, in the order that Kafka does.
fn write_members(work: &mut Work<'_>, epoch: i32, members: &[(ConsumerGroupMember, MemberAssignment)]) {
    let group_id = work.group.group_id().clone();
    for (member, _) in members {
        work.write(record_of::member(&group_id, member));
    }
    let hash = work.metadata_hash();
    work.write(record_of::epoch(&group_id, epoch, hash));
    for (member, assignment) in members {
        work.write(record_of::target(&group_id, &member.member_id, assignment));
    }
    work.write(record_of::target_metadata(&group_id, epoch, 0));
    for (member, _) in members {
        work.write(record_of::current(&group_id, member));
        if let Some(timeout_ms) = member.classic_session_timeout_ms() {
            work.schedule_session(&member.member_id, timeout_ms);
        }
    }
}

/// Whoever waits in the classic group is to join this one.
fn answer_parked(work: &mut Work<'_>, classic: &ClassicGroup) {
    let error_code = ErrorCode::RebalanceInProgress.code();
    for member in classic.members() {
        if let Some(token) = member.awaiting_join {
            let member_id: ByteString = member.member_id.clone();
            let response = JoinGroupResponse { member_id, error_code, ..Default::default() };
            work.replies.push((token, GroupReply::Join(response)));
        }
        if let Some(token) = member.awaiting_sync {
            let response = SyncGroupResponse { error_code, ..Default::default() };
            work.replies.push((token, GroupReply::Sync(response)));
        }
    }
}

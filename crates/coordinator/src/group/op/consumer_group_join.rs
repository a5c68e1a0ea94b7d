//! JoinGroup, versions 0 to 9, of a member of the classic protocol that takes part in a consumer group
//! (KIP-848).
//!
//! Errors: INCONSISTENT_GROUP_PROTOCOL, GROUP_MAX_SIZE_REACHED, MEMBER_ID_REQUIRED (KIP-394),
//! UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID (KIP-345), FENCED_MEMBER_EPOCH, UNKNOWN_SERVER_ERROR (an
//! assignor failed).

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use bytestring::ByteString;
use ottla_common::{ErrorCode, Uuid};
use ottla_protocol::messages::consumer_group_heartbeat_request::TopicPartitions;
use ottla_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use ottla_protocol::messages::{ConsumerProtocolSubscription, JoinGroupRequest, JoinGroupResponse};
use ottla_protocol::records::group::consumer_group_member_metadata_value::{
    ClassicMemberMetadata, ClassicProtocol,
};

use super::RequestContext;
use super::consumer_group_heartbeat::check_size;
use crate::group::consumer::work::Work;
use crate::group::consumer::{
    ConsumerGroup, ConsumerGroupContext, ConsumerGroupError, ConsumerGroupMember,
    ConsumerGroupMigrationPolicy, ConsumerGroupResult, ConsumerGroupTimer, RegexUpdate, decode_subscription,
    owned_partitions, rack_of,
};
use crate::group::owned;

pub(super) const CONSUMER_PROTOCOL_TYPE: &str = "consumer";
/// From this version on members must know their id (KIP-394).
const KNOWN_MEMBER_ID_MIN_VERSION: i16 = 4;
const NOT_GIVEN: i32 = -1;

/// A classic member joins a consumer group, or joins it again: which is how it hears of its epoch, says
/// what it has, and gives up what it is to give up. The answer is to be held back until the records
/// are committed, also when there are none. `uuid` is random: a new member's id.
pub(crate) fn consumer_group_join(
    context: &ConsumerGroupContext<'_>,
    request_context: &RequestContext,
    group: &ConsumerGroup,
    request: &JoinGroupRequest,
    uuid: Uuid,
) -> Result<ConsumerGroupResult<JoinGroupResponse>, ConsumerGroupError> {
    let member_id = match request.member_id.is_empty() {
        true => ByteString::from(uuid.to_string()),
        false => owned(&request.member_id),
    };
    validate(context, group, request, &member_id)?;
    let must_know_its_id = request_context.api_version >= KNOWN_MEMBER_ID_MIN_VERSION;
    if must_know_its_id && request.group_instance_id.is_none() && request.member_id.is_empty() {
        let error_code = ErrorCode::MemberIdRequired.code();
        return Ok(ConsumerGroupResult::of(JoinGroupResponse {
            member_id,
            error_code,
            ..Default::default()
        }));
    }
    let subscription = first_metadata(request).and_then(|metadata| decode_subscription(metadata).ok());
    let subscription = subscription.ok_or(MALFORMED)?;
    let owned = owned_partitions(&subscription, context.metadata);
    let work = Work::on(context, group.clone());
    Join { request_context, request, subscription, owned }.decide(work, member_id)
}

const MALFORMED: ConsumerGroupError =
    ConsumerGroupError::InconsistentGroupProtocol("the member's subscription cannot be read");

fn validate(
    context: &ConsumerGroupContext<'_>,
    group: &ConsumerGroup,
    request: &JoinGroupRequest,
    member_id: &ByteString,
) -> Result<(), ConsumerGroupError> {
    if context.config.migration_policy == ConsumerGroupMigrationPolicy::Disabled {
        let why = "classic members cannot join consumer groups: migration is disabled";
        return Err(ConsumerGroupError::InconsistentGroupProtocol(why));
    }
    check_size(context, group, member_id, request.group_instance_id.as_ref())?;
    let names = request.protocols.iter().map(|protocol| &protocol.name);
    let is_consumer = request.protocol_type == CONSUMER_PROTOCOL_TYPE;
    match is_consumer && group.supports_classic_protocols(names) {
        true => Ok(()),
        false => {
            Err(ConsumerGroupError::InconsistentGroupProtocol("the member's protocols are not supported"))
        }
    }
}

fn first_metadata(request: &JoinGroupRequest) -> Option<&Bytes> {
    request.protocols.first().map(|protocol| &protocol.metadata)
}

/// A JoinGroup whose subscription could be read.
struct Join<'a> {
    request_context: &'a RequestContext,
    request: &'a JoinGroupRequest,
    subscription: ConsumerProtocolSubscription,
    owned: Vec<TopicPartitions>,
}

impl Join<'_> {
    fn decide(
        &self,
        mut work: Work<'_>,
        member_id: ByteString,
    ) -> Result<ConsumerGroupResult<JoinGroupResponse>, ConsumerGroupError> {
        let epoch_before = work.group.epoch();
        let instance_id = self.request.group_instance_id.as_ref();
        let replaced = instance_id.and_then(|id| work.group.static_member(id)).cloned();
        let downgrade = replaced.is_some_and(|replaced| work.may_downgrade_replacing(&replaced));
        let before = self.member(&mut work, member_id)?;
        let member = self.updated(&before);
        let bump = self.update_group(&mut work, &before, &member)?;
        let (member, downgraded) = match downgrade {
            true => self.downgrade(&mut work, member, epoch_before, bump)?,
            false => (member, false),
        };
        let member = match downgraded {
            true => member,
            false => {
                work.update_target_assignment()?;
                work.reconcile(member, bump, Some(&self.owned))?
            }
        };
        if !downgraded {
            self.schedule(&mut work, &member);
        }
        let response = response(&member);
        Ok(work.decided(response))
    }

    /// A static member that went over to the classic protocol was the last one of the new protocol. A
    /// member that reads other topics now makes the classic group rebalance, so that it need not be
    /// reconciled first.
    fn downgrade(
        &self,
        work: &mut Work<'_>,
        member: ConsumerGroupMember,
        epoch_before: i32,
        bump: bool,
    ) -> Result<(ConsumerGroupMember, bool), ConsumerGroupError> {
        let rebalance = work.group.assignment_epoch() < work.group.epoch();
        let member = match rebalance {
            true => member,
            false => work.reconcile(member, bump, Some(&self.owned))?,
        };
        let done = work.convert_to_classic(&BTreeSet::new(), epoch_before, rebalance);
        Ok((member, done))
    }

    fn member(
        &self,
        work: &mut Work<'_>,
        member_id: ByteString,
    ) -> Result<ConsumerGroupMember, ConsumerGroupError> {
        let known = |member: &Arc<ConsumerGroupMember>| ConsumerGroupMember::clone(member);
        let instance_id = self.request.group_instance_id.as_ref();
        if instance_id.is_some() && !self.request.member_id.is_empty() {
            return work.group.validated_member(&member_id, instance_id).map(known);
        }
        match instance_id.and_then(|id| work.group.static_member(id)).cloned() {
            Some(existing) => Ok(work.replace_static_member(&existing, member_id)),
            None => {
                let member = work.group.member(&member_id).map(known);
                Ok(member.unwrap_or_else(|| ConsumerGroupMember::new(member_id)))
            }
        }
    }

    /// The member with what the request says about it. Classic members have no regular expressions.
    fn updated(&self, before: &ConsumerGroupMember) -> ConsumerGroupMember {
        let request = self.request;
        let or_before = |given: Option<&ByteString>, before: &Option<ByteString>| {
            given.map(owned).or_else(|| before.clone())
        };
        let classic = ClassicMemberMetadata {
            session_timeout_ms: request.session_timeout_ms,
            supported_protocols: request.protocols.iter().map(classic_protocol).collect(),
            ..Default::default()
        };
        ConsumerGroupMember {
            instance_id: or_before(request.group_instance_id.as_ref(), &before.instance_id),
            rack_id: or_before(rack_of(&self.subscription), &before.rack_id),
            rebalance_timeout_ms: match request.rebalance_timeout_ms {
                NOT_GIVEN => before.rebalance_timeout_ms,
                timeout_ms => timeout_ms,
            },
            subscribed_topic_names: Arc::new(self.subscription.topics.iter().map(owned).collect()),
            subscribed_topic_regex: Some(ByteString::new()),
            client_id: owned(&self.request_context.client_id),
            client_host: owned(&self.request_context.client_host),
            classic: Some(Arc::new(classic)),
            ..before.clone()
        }
    }

    /// Writes what is new about the member, and another group epoch when it reads other topics now,
    /// which it tells.
    fn update_group(
        &self,
        work: &mut Work<'_>,
        before: &ConsumerGroupMember,
        member: &ConsumerGroupMember,
    ) -> Result<bool, ConsumerGroupError> {
        if member != before {
            work.write_member(member);
        }
        let regex = work.update_regular_expressions(before, member)?;
        let bump =
            member.subscribed_topic_names != before.subscribed_topic_names || regex != RegexUpdate::NoChange;
        if bump || work.group.has_metadata_expired(work.context.now_ms) {
            work.refresh_metadata(bump);
        }
        Ok(bump)
    }

    /// The member has joined, and has so much time to ask for its assignment.
    fn schedule(&self, work: &mut Work<'_>, member: &ConsumerGroupMember) {
        work.joined(&member.member_id);
        work.schedule_session(&member.member_id, self.request.session_timeout_ms);
        let sync = ConsumerGroupTimer::Sync(work.group.group_id().clone(), member.member_id.clone());
        let timeout_ms = match self.request.rebalance_timeout_ms {
            NOT_GIVEN => self.request.session_timeout_ms,
            timeout_ms => timeout_ms,
        };
        work.schedule(sync, timeout_ms, 0);
    }
}

fn response(member: &ConsumerGroupMember) -> JoinGroupResponse {
    JoinGroupResponse {
        member_id: member.member_id.clone(),
        generation_id: member.member_epoch,
        protocol_type: Some(ByteString::from_static(CONSUMER_PROTOCOL_TYPE)),
        protocol_name: member.classic_protocols().first().map(|protocol| protocol.name.clone()),
        ..Default::default()
    }
}

/// Freed from the request's frame.
fn classic_protocol(protocol: &JoinGroupRequestProtocol) -> ClassicProtocol {
    ClassicProtocol {
        name: owned(&protocol.name),
        metadata: Bytes::copy_from_slice(&protocol.metadata),
        ..Default::default()
    }
}

#[cfg(test)]
#[path = "consumer_group_join_test.rs"]
pub(in crate::group::op) mod tests;

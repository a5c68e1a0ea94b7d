use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use bytestring::ByteString;
use ottla_protocol::messages::{JoinGroupResponse, SyncGroupResponse};

use super::GroupTimerEvent;
use super::classic::{ClassicGroup, ClassicGroupMember};
use super::consumer::{ConsumerGroup, ConsumerGroupChange};
use super::share::ShareChange;
use super::streams::StreamsGroupChange;
use super::surroundings::GroupOverrides;
use crate::metadata::CoordinatorMetadata;
use crate::runtime::Token;

/// A change of a shard that is not in the log.
#[derive(Debug, Clone)]
pub enum GroupChange {
    /// The group is this classic one now.
    Put(Box<ClassicGroup>),
    /// The group is this consumer group again: its records as a classic one were refused.
    PutConsumer(Arc<ConsumerGroup>),
    /// The group never was: its first record was refused.
    Remove(ByteString),
    /// Of a consumer group; it means nothing when there is none.
    Consumer(ByteString, ConsumerGroupChange),
    /// Of a share group; it means nothing when there is none.
    Share(ByteString, ShareChange),
    /// Of a streams group, there or about to be.
    Streams(StreamsGroupChange),
    /// Somebody began to resolve the regular expressions of a group, or is done.
    Resolving(ByteString, bool),
    /// The cluster has these topics now.
    Metadata {
        /// All of them.
        metadata: Arc<dyn CoordinatorMetadata>,
        /// Whether there is one that was not there before.
        has_new_topics: bool,
        /// Those that are new, gone, or have other partitions or racks.
        changed: BTreeSet<ByteString>,
    },
    /// A group's own configuration is this now; none when `None`.
    Overrides(ByteString, Option<Arc<GroupOverrides>>),
}

/// The answer to a parked request.
#[derive(Debug, Clone, PartialEq)]
pub enum GroupReply {
    /// To a JoinGroup.
    Join(JoinGroupResponse),
    /// To a SyncGroup.
    Sync(SyncGroupResponse),
}

/// What is decided once records are committed, or refused.
#[derive(Debug)]
pub enum GroupContinuation {
    /// The first record of a group.
    NewGroup {
        /// The group.
        group_id: ByteString,
    },
    /// A group without members. Nothing follows: should the record be lost, the generation before
    /// comes back after a restart, and its members' sessions end.
    EmptyGroup,
    /// A leader's assignment.
    Assignment {
        /// The group.
        group_id: ByteString,
        /// The generation that it is for.
        generation_id: i32,
        /// What each member is to do.
        assignment: BTreeMap<ByteString, Bytes>,
    },
    /// A static member under its new id.
    StaticMember {
        /// The group.
        group_id: ByteString,
        /// The member as it was.
        old_member: Box<ClassicGroupMember>,
        /// Its new id.
        new_member_id: ByteString,
        /// Who led the group before.
        old_leader: ByteString,
        /// The member's JoinGroup request.
        token: Token,
        /// Whether that request can be told to skip the assignment (KIP-814).
        supports_skipping: bool,
    },
    /// The answer to a classic member of a consumer group, which may be told what is committed only.
    Answer {
        /// The member's request.
        token: Token,
        /// What it is told.
        reply: GroupReply,
    },
    /// A consumer group that became a classic one.
    Downgrade {
        /// The group as it was.
        group: Arc<ConsumerGroup>,
        /// What else was to be decided.
        then: Option<Box<GroupContinuation>>,
    },
    /// What a timer of a group of a newer protocol led to. Should it be refused, the timer fires again: a silent
    /// member would stay for ever otherwise.
    Timer(GroupTimerEvent),
}

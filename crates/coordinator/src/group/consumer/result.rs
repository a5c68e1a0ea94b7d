use bytestring::ByteString;

use super::{
    ConsumerGroupConfig, ConsumerGroupRecord, ConsumerGroupTimer, ConsumerGroupTimerEvent, RegexResolution,
};
use crate::group::modern::{Decision, MetadataRefresh};
use crate::group::{GroupCoordinatorConfig, GroupReply, GroupResult};
use crate::metadata::CoordinatorMetadata;
use crate::runtime::Token;

/// What a decision about a consumer group is made from, beside the group and the request.
#[derive(Debug, Clone, Copy)]
pub struct ConsumerGroupContext<'a> {
    /// The time.
    pub now_ms: i64,
    /// The configuration of consumer groups, as it is for this group.
    pub config: &'a ConsumerGroupConfig,
    /// The configuration of classic groups, should the group become one.
    pub classic_config: &'a GroupCoordinatorConfig,
    /// The topics.
    pub metadata: &'a dyn CoordinatorMetadata,
    /// The version of the newest metadata in which there was a topic that there was not before.
    pub new_topics_version: i64,
    /// Whether somebody is resolving this group's regular expressions already.
    pub is_resolving: bool,
}

/// A change of a consumer group that is not in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConsumerGroupChange {
    /// The group looked at its topics.
    MetadataRefreshed(MetadataRefresh),
    /// A classic member was asked to join again, and has so much time from now on.
    AskedToJoin(ByteString),
    /// A classic member joined.
    Joined(ByteString),
}

/// What becomes of a group whose type changes.
#[derive(Debug)]
pub enum Conversion {
    /// A classic group becomes the consumer group that the records tell of: its tombstone goes in front
    /// of them, and they are replayed.
    FromClassic,
    /// The consumer group, whose tombstones end the records, becomes a classic group: the records of
    /// this result go behind them, and nothing is replayed, the change in this result being the effect.
    ToClassic(Box<GroupResult<()>>),
}

/// What was decided about a consumer group: nothing in here has happened yet.
#[derive(Debug)]
pub struct ConsumerGroupResult<T> {
    /// Records, timers and the answer.
    pub decision: Decision<T, ConsumerGroupRecord, ConsumerGroupTimer, ConsumerGroupTimerEvent>,
    /// Changes outside the log; for a group that is not there yet they mean nothing.
    pub changes: Vec<ConsumerGroupChange>,
    /// Answers to requests that are parked in the classic group which becomes this one.
    pub replies: Vec<(Token, GroupReply)>,
    /// Set when the group's type changes.
    pub conversion: Option<Conversion>,
    /// Set when somebody is to look for the topics that regular expressions match.
    pub resolve: Option<RegexResolution>,
}

impl<T> ConsumerGroupResult<T> {
    /// An answer that changes nothing.
    pub fn of(response: T) -> Self {
        Self {
            decision: Decision::of(response),
            changes: Vec::new(),
            replies: Vec::new(),
            conversion: None,
            resolve: None,
        }
    }

    /// The same result with another answer.
    pub fn map<U>(self, response: impl FnOnce(T) -> U) -> ConsumerGroupResult<U> {
        let Self { decision, changes, replies, conversion, resolve } = self;
        ConsumerGroupResult { decision: decision.map(response), changes, replies, conversion, resolve }
    }
}

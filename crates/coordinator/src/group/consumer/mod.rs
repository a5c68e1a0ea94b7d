//! Consumer groups of the new protocol (KIP-848).
//!
//! [`ConsumerGroup`] is the state, changed by replaying [`ConsumerGroupRecord`]s and nothing else but
//! the few [`ConsumerGroupChange`]s that the log does not hold. Operations live in `group::op`, in the
//! files `consumer_group_*`; they work on a copy of the group, so that each step of a decision sees the
//! records of the steps before it.
//!
//! Members that speak the classic protocol may take part: a live classic group becomes a consumer
//! group when the first member of the new protocol joins it, and a classic one again when the last of
//! them is gone.

mod config;
mod consumer_protocol;
mod counts;
mod downgrade;
mod error;
mod fence;
mod group;
mod member;
mod partition_epochs;
#[cfg(test)]
mod property_test;
mod re2;
mod reconcile;
mod record;
mod record_of;
mod regular_expression;
mod replay;
mod result;
mod target;
#[cfg(test)]
pub(crate) mod testing;
mod timer;
mod upgrade;
pub(crate) mod work;

pub use config::{ConsumerGroupConfig, ConsumerGroupMigrationPolicy, ConsumerGroupOverrides};
pub(crate) use consumer_protocol::{
    decode_subscription, encode_assignment, owned_partitions, rack_of, subscription_version,
};
pub use error::{ConsumerGroupError, UpgradeError};
pub use group::{ConsumerGroup, ConsumerGroupState, ExistingGroup};
pub use member::ConsumerGroupMember;
pub use partition_epochs::PartitionEpochs;
pub use re2::{Re2Error, to_regex};
pub use record::ConsumerGroupRecord;
pub(crate) use regular_expression::RegexUpdate;
pub use regular_expression::{
    REGEX_BATCH_REFRESH_MIN_INTERVAL_MS, RegexResolution, ResolvedRegularExpression, compile_topic_regex,
    resolve_regular_expressions,
};
pub use result::{ConsumerGroupChange, ConsumerGroupContext, ConsumerGroupResult, Conversion};
pub use timer::{ConsumerGroupTimer, ConsumerGroupTimerEvent};
pub(crate) use upgrade::upgrade_group;

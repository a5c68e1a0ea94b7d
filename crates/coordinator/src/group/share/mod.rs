//! Share groups (KIP-932): members that work off the records of a topic together, each record done by
//! one of them, each partition given to as many of them as there is work for.
//!
//! Beside who reads what, a group has for each partition a state that the share coordinator keeps. It
//! must be initialized before anybody is given the partition, and deleted before the group goes. Which
//! partitions are [`initializing, initialized, or being deleted`](StatePartitions) stands in the group's
//! own records. The requests to the share coordinator leave here as data, beside the decision that needs
//! them; whoever carries them out brings the answers back in a later decision.
//!
//! Decisions are methods of [`ShareGroupManager`], one file each in `group/op`. They are about one group,
//! which a [`ShareGroupLookup`] hands in. [`replay`] takes the records in.

mod config;
mod error;
mod group;
mod lookup;
mod manager;
mod member;
mod persister;
mod record;
mod replay;
mod simple_assignor;
mod state_partitions;
mod target;
#[cfg(test)]
pub(in crate::group) mod testing;
mod timer;

pub use config::{ShareGroupConfig, ShareGroupOverrides};
pub use error::ShareGroupError;
pub use group::{ShareChange, ShareGroup, ShareGroupState};
pub use lookup::ShareGroupLookup;
pub use manager::{ShareDecision, ShareGroupManager};
pub use member::ShareGroupMember;
pub use persister::first_delete_error;
pub(in crate::group) use persister::{
    delete_request, initialize_request, initialized_partitions, read_summary_request,
};
pub use record::ShareGroupRecord;
pub use replay::replay;
pub use simple_assignor::SimpleAssignor;
pub use state_partitions::{StatePartitions, TopicPartitions};
pub use timer::{ShareTimer, schedule_on_load};

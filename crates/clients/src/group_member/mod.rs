//! A place in a group whose coordinator shares out the partitions (KIP-848, KIP-932).
//!
//! One kind of heartbeat joins, keeps the place, tells what changed and leaves. [`GroupMember`]
//! decides what a heartbeat says and what its answer means; [`GroupMembership`] sends them from a
//! task of its own, so that the place is kept while the application is busy.

mod keeper;
mod requests;
mod state;
#[cfg(test)]
mod state_test;

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use bytestring::ByteString;
use ottla_common::{TopicPartition, Uuid};

use crate::Metadata;

pub(crate) use self::keeper::GroupMembership;
pub(crate) use self::state::{GroupMember, MemberSettings, TopicSubscription};

/// Partitions by topic id, as the coordinator names them.
pub(crate) type Assignment = BTreeMap<Uuid, BTreeSet<i32>>;

/// Whose member, and of what kind.
#[derive(Debug, Clone)]
pub(crate) struct GroupIdentity {
    pub(crate) group_id: ByteString,
    /// `client.rack`.
    pub(crate) rack: Option<ByteString>,
    pub(crate) kind: GroupKind,
}

/// What only one kind of group has.
#[derive(Debug, Clone)]
pub(crate) enum GroupKind {
    Consumer {
        instance_id: Option<ByteString>,
        rebalance_timeout: Duration,
        /// `group.remote.assignor`.
        assignor: Option<ByteString>,
    },
    Share,
}

/// The part of an assignment whose topics have a known name: by id, and as partitions.
pub(crate) fn resolve(metadata: &Metadata, target: &Assignment) -> (Assignment, Vec<TopicPartition>) {
    let mut resolved = Assignment::new();
    let mut partitions = Vec::new();
    for (id, indexes) in target {
        if let Some(name) = metadata.topic_name(*id) {
            partitions.extend(indexes.iter().map(|index| TopicPartition::new(&**name, *index)));
            resolved.insert(*id, indexes.clone());
        }
    }
    (resolved, partitions)
}

/// An id nobody else has. Members choose their own (KIP-1082).
pub(crate) fn random_uuid() -> Uuid {
    // Each state has keys of its own, drawn from the system's randomness.
    let word = || RandomState::new().build_hasher().finish();
    loop {
        let value = (u128::from(word()) << 64) | u128::from(word());
        if let Some(id) = Uuid::from_random_bytes(value.to_be_bytes()) {
            return id;
        }
    }
}

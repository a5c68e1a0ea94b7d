use std::cmp::Reverse;

use bytes::Bytes;
use bytestring::ByteString;
use rpds::RedBlackTreeMapSync;

use super::record::GroupRecord;

/// The protocol that a group uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupType {
    /// JoinGroup, SyncGroup, Heartbeat; also groups that only keep offsets.
    Classic,
    /// KIP-848.
    Consumer,
    /// KIP-932.
    Share,
    /// KIP-1071.
    Streams,
}

impl GroupType {
    /// Kafka's name of the type.
    pub fn name(self) -> &'static str {
        match self {
            Self::Classic => "classic",
            Self::Consumer => "consumer",
            Self::Share => "share",
            Self::Streams => "streams",
        }
    }

    /// The type of this name, in whatever case.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Classic, Self::Consumer, Self::Share, Self::Streams]
            .into_iter()
            .find(|group_type| group_type.name().eq_ignore_ascii_case(name))
    }

    /// The type of the groups that write records of this kind.
    fn of_record_kind(kind: i16) -> Self {
        match kind {
            10..=15 => Self::Share,
            17..=23 => Self::Streams,
            _ => Self::Consumer,
        }
    }
}

/// A group of a newer protocol, as far as its records tell without being understood.
///
/// Every live record's key is known, so that the group can be deleted without leaving a trace.
#[derive(Debug, Clone)]
pub struct ForeignGroup {
    group_type: GroupType,
    /// Ordered as Kafka deletes: a member's assignment before the member, the group last.
    keys: RedBlackTreeMapSync<(Reverse<i16>, Bytes), ()>,
    num_members: usize,
}

impl ForeignGroup {
    pub(crate) fn new(kind: i16) -> Self {
        Self {
            group_type: GroupType::of_record_kind(kind),
            keys: RedBlackTreeMapSync::new_sync(),
            num_members: 0,
        }
    }

    /// The protocol that the group uses.
    pub fn group_type(&self) -> GroupType {
        self.group_type
    }

    /// Whether the group has no members.
    pub fn is_empty(&self) -> bool {
        self.num_members == 0
    }

    /// The group's state, as near as it can be told.
    pub fn state_name(&self) -> &'static str {
        if self.is_empty() { "Empty" } else { "Stable" }
    }

    /// Takes in a record; `false` when nothing is left of the group.
    pub(crate) fn replay(&mut self, kind: i16, key: &Bytes, live: bool) -> bool {
        let entry = (Reverse(kind), Bytes::copy_from_slice(key));
        let known = self.keys.contains_key(&entry);
        if live {
            self.keys.insert_mut(entry, ());
        } else {
            self.keys.remove_mut(&entry);
        }
        if is_member(kind) {
            self.num_members = (self.num_members + usize::from(live)) - usize::from(known);
        }
        !self.keys.is_empty() && (live || !is_group(kind))
    }

    /// The records that delete the group.
    pub(crate) fn tombstones<'a>(&'a self, group: &'a ByteString) -> impl Iterator<Item = GroupRecord> + 'a {
        self.keys.keys().map(|(Reverse(kind), key)| tombstone(*kind, group, key))
    }

    /// The records that remove every member, and leave the group.
    pub(crate) fn member_tombstones<'a>(
        &'a self,
        group: &'a ByteString,
    ) -> impl Iterator<Item = GroupRecord> + 'a {
        let of_members = self.keys.keys().filter(|(Reverse(kind), _)| is_of_member(*kind));
        of_members.map(|(Reverse(kind), key)| tombstone(*kind, group, key))
    }
}

fn tombstone(kind: i16, group: &ByteString, key: &Bytes) -> GroupRecord {
    GroupRecord::Foreign { kind, group: group.clone(), key: key.clone(), value: None }
}

fn is_group(kind: i16) -> bool {
    matches!(kind, 3 | 11 | 17)
}

fn is_member(kind: i16) -> bool {
    matches!(kind, 5 | 10 | 19)
}

/// Member, target assignment and current assignment of a member.
fn is_of_member(kind: i16) -> bool {
    matches!(kind, 5 | 7 | 8 | 10 | 13 | 14 | 19 | 21 | 22)
}

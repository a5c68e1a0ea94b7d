//! `uniform`, when members read different topics: among those who read a topic nobody has more than
//! one partition more than anybody else, as far as that can be had; everybody keeps what they have
//! unless that stands in the way.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use bytestring::ByteString;
use ottla_common::Uuid;

use super::partition_owners::{PartitionOwners, unowned_of};
use crate::group::modern::{GroupAssignment, GroupSpec, PartitionAssignorError};
use crate::metadata::CoordinatorMetadata;

/// Topics with overlapping readers influence each other, so that one look at each may not be enough;
/// each round about halves what is left to do.
const MAX_ROUNDS: usize = 16;

pub(super) fn assign(
    group: &GroupSpec,
    metadata: &dyn CoordinatorMetadata,
) -> Result<GroupAssignment, PartitionAssignorError> {
    let mut work = Assignment::keeping(group, metadata)?;
    work.assign_unowned();
    work.balance();
    let member_ids: Vec<&ByteString> = group.members.keys().collect();
    Ok(work.owners.into_assignment(&member_ids))
}

/// An assignment in the making. Members go by their number in the order of their ids.
struct Assignment {
    owners: PartitionOwners,
    /// Who reads each topic.
    subscribers: BTreeMap<Uuid, Vec<usize>>,
    /// How many partitions each member has.
    loads: Vec<usize>,
    /// The topics, those first whose readers have least choice.
    order: Vec<Uuid>,
}

impl Assignment {
    /// Everybody keeps what they have of the topics that they read.
    fn keeping(
        group: &GroupSpec,
        metadata: &dyn CoordinatorMetadata,
    ) -> Result<Self, PartitionAssignorError> {
        let mut subscribers: BTreeMap<Uuid, Vec<usize>> = BTreeMap::new();
        for (index, member) in group.members.values().enumerate() {
            for topic_id in member.subscribed_topic_ids.iter() {
                subscribers.entry(*topic_id).or_default().push(index);
            }
        }
        let topic_ids: BTreeSet<Uuid> = subscribers.keys().copied().collect();
        let mut owners = PartitionOwners::new(&topic_ids, metadata)?;
        let mut loads = vec![0; group.members.len()];
        for ((index, member), load) in group.members.values().enumerate().zip(&mut loads) {
            for (topic_id, partitions) in member.assignment.iter() {
                if member.subscribed_topic_ids.contains(topic_id) {
                    let claimed = partitions.iter().filter(|p| owners.claim(*topic_id, **p, index));
                    *load += claimed.count();
                }
            }
        }
        let order = ordered(&owners, &subscribers);
        Ok(Self { owners, subscribers, loads, order })
    }

    /// Gives each partition that nobody has to the one of its topic's readers who has least.
    fn assign_unowned(&mut self) {
        for topic_id in self.order.clone() {
            let mut readers = self.readers(topic_id);
            let unowned: Vec<i32> = unowned_of(self.owners.of_topic(topic_id)).collect();
            for partition in unowned {
                let Some((load, member)) = readers.pop_first() else { break };
                self.owners.claim(topic_id, partition, member);
                readers.insert((load + 1, member));
            }
            self.note_loads(&readers);
        }
    }

    /// Moves partitions from who has most to who has least, until a whole round moves nothing.
    fn balance(&mut self) {
        for _ in 0..MAX_ROUNDS {
            let moved: usize = self.order.clone().into_iter().map(|topic| self.balance_topic(topic)).sum();
            if moved == 0 {
                return;
            }
        }
    }

    fn balance_topic(&mut self, topic_id: Uuid) -> usize {
        let mut readers = self.readers(topic_id);
        let (Some((least, _)), Some((most, _))) = (readers.first(), readers.last()) else { return 0 };
        if most - least <= 1 {
            return 0;
        }
        // What each reader could give away, and the readers that have something left to give.
        let mut held: BTreeMap<usize, Vec<i32>> = BTreeMap::new();
        for (partition, owner) in (0..).zip(self.owners.of_topic(topic_id)) {
            if let Some(owner) = owner {
                held.entry(*owner).or_default().push(partition);
            }
        }
        let gives = |reader: &&(usize, usize)| held.contains_key(&reader.1);
        let mut givers: BTreeSet<(usize, usize)> = readers.iter().filter(gives).copied().collect();
        let mut moved = 0;
        while let (Some((least, to)), Some((most, from))) = (readers.first().copied(), givers.last().copied())
        {
            if most.saturating_sub(least) <= 1 {
                break;
            }
            let Some(partitions) = held.get_mut(&from) else { break };
            let Some(partition) = partitions.pop() else { break };
            let gives_more = !partitions.is_empty();
            self.owners.reassign(topic_id, partition, to);
            change_load(&mut readers, &mut givers, (most, from), most - 1, gives_more);
            let receiver_gives = givers.contains(&(least, to));
            change_load(&mut readers, &mut givers, (least, to), least + 1, receiver_gives);
            moved += 1;
        }
        self.note_loads(&readers);
        moved
    }

    /// The topic's readers, who has least first.
    fn readers(&self, topic_id: Uuid) -> BTreeSet<(usize, usize)> {
        let members = self.subscribers.get(&topic_id).into_iter().flatten();
        members.filter_map(|member| Some((*self.loads.get(*member)?, *member))).collect()
    }

    fn note_loads(&mut self, readers: &BTreeSet<(usize, usize)>) {
        for (load, member) in readers {
            if let Some(noted) = self.loads.get_mut(*member) {
                *noted = *load;
            }
        }
    }
}

fn change_load(
    readers: &mut BTreeSet<(usize, usize)>,
    givers: &mut BTreeSet<(usize, usize)>,
    (load, member): (usize, usize),
    new_load: usize,
    gives: bool,
) {
    readers.remove(&(load, member));
    readers.insert((new_load, member));
    givers.remove(&(load, member));
    if gives {
        givers.insert((new_load, member));
    }
}

/// Most partitions for each reader first, then fewest readers: who has least choice is served first.
fn ordered(owners: &PartitionOwners, subscribers: &BTreeMap<Uuid, Vec<usize>>) -> Vec<Uuid> {
    let mut topics: Vec<(Uuid, u64, u64)> = Vec::with_capacity(subscribers.len());
    for (topic_id, partitions) in owners.topics() {
        let readers = subscribers.get(&topic_id).map_or(0, Vec::len);
        topics.push((topic_id, partitions.len() as u64, readers as u64));
    }
    topics.sort_by(|(a_id, a_partitions, a_readers), (b_id, b_partitions, b_readers)| {
        // a's partitions by a's readers against b's, without dividing.
        let by_share: Ordering = (b_partitions * a_readers).cmp(&(a_partitions * b_readers));
        by_share.then(a_readers.cmp(b_readers)).then(a_id.cmp(b_id))
    });
    topics.into_iter().map(|(topic_id, _, _)| topic_id).collect()
}

//! Where to look for partitions, so that nobody has to look at all of them.

use ottla_common::Uuid;
use ottla_metadata::PartitionRegistration;
use ottla_metadata::image::PersistentMap;

/// Topics by what their partitions have in common. Topics rather than partitions: a topic is small enough to
/// go through, and an entry for each partition would cost as much memory as the partition itself.
#[derive(Debug, Clone, Default)]
pub(crate) struct PartitionIndex {
    /// Topics in which a broker has, or once had, a replica.
    by_broker: PersistentMap<i32, PersistentMap<Uuid, ()>>,
    /// How many partitions of a topic nobody leads; topics without any are not in here.
    leaderless: PersistentMap<Uuid, usize>,
    /// How many partitions of a topic are not led by their preferred replica.
    imbalanced: PersistentMap<Uuid, usize>,
}

impl PartitionIndex {
    /// A partition was made or changed.
    pub(crate) fn note(
        &mut self,
        topic: Uuid,
        before: Option<&PartitionRegistration>,
        after: &PartitionRegistration,
    ) {
        if before.is_none_or(|before| before.replicas != after.replicas) {
            for list in [&after.replicas, &after.isr, &*after.elr] as [&[i32]; 3] {
                list.iter().for_each(|broker| self.note_broker(*broker, topic));
            }
        }
        let is_leaderless = |p: &PartitionRegistration| !p.has_leader();
        count(&mut self.leaderless, topic, before.is_some_and(is_leaderless), is_leaderless(after));
        let is_imbalanced = |p: &PartitionRegistration| !p.has_preferred_leader();
        count(&mut self.imbalanced, topic, before.is_some_and(is_imbalanced), is_imbalanced(after));
    }

    fn note_broker(&mut self, broker: i32, topic: Uuid) {
        match self.by_broker.get_mut(&broker) {
            Some(topics) if topics.contains_key(&topic) => {}
            Some(topics) => topics.insert_mut(topic, ()),
            None => self.by_broker.insert_mut(broker, PersistentMap::new_sync().insert(topic, ())),
        }
    }

    /// A topic was deleted.
    pub(crate) fn forget(&mut self, topic: Uuid) {
        let brokers: Vec<i32> = self.by_broker.keys().copied().collect();
        for broker in brokers {
            if let Some(topics) = self.by_broker.get_mut(&broker) {
                topics.remove_mut(&topic);
            }
        }
        self.leaderless.remove_mut(&topic);
        self.imbalanced.remove_mut(&topic);
    }

    /// Every topic in which the broker has a replica, and maybe some in which it has none any more.
    pub(crate) fn of_broker(&self, broker: i32) -> impl Iterator<Item = Uuid> {
        self.by_broker.get(&broker).into_iter().flat_map(|topics| topics.keys().copied())
    }

    /// Every topic with a partition that nobody leads.
    pub(crate) fn leaderless(&self) -> impl Iterator<Item = Uuid> {
        self.leaderless.keys().copied()
    }

    /// Every topic with a partition that its preferred replica does not lead.
    pub(crate) fn imbalanced(&self) -> impl Iterator<Item = Uuid> {
        self.imbalanced.keys().copied()
    }
}

fn count(counts: &mut PersistentMap<Uuid, usize>, topic: Uuid, before: bool, after: bool) {
    if before == after {
        return;
    }
    let count = counts.get(&topic).copied().unwrap_or(0);
    match if after { count + 1 } else { count.saturating_sub(1) } {
        0 => drop(counts.remove_mut(&topic)),
        count => counts.insert_mut(topic, count),
    }
}

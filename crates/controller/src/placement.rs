//! Which brokers keep the replicas of new partitions.

use std::collections::BTreeMap;

use ottla_common::ErrorCode;

use crate::random::{Random, shuffle};
use crate::result::ApiError;

/// A broker that may get replicas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsableBroker {
    /// Its id.
    pub id: i32,
    /// Its rack.
    pub rack: Option<String>,
    /// Fenced brokers get replicas only when there are too few others, and never as leaders.
    pub fenced: bool,
}

/// Brokers of one rack and of one state, handed out round robin. The start moves by one per partition.
#[derive(Debug, Default)]
struct BrokerList {
    brokers: Vec<i32>,
    taken: usize,
    offset: usize,
    epoch: usize,
}

impl BrokerList {
    fn initialize(&mut self, random: &mut dyn Random) {
        if !self.brokers.is_empty() {
            self.brokers.sort_unstable();
            self.offset = random.below(self.brokers.len());
        }
    }

    fn next(&mut self, epoch: usize) -> Option<i32> {
        if self.brokers.is_empty() {
            return None;
        }
        if self.epoch != epoch {
            self.epoch = epoch;
            self.taken = 0;
            self.offset = (self.offset + 1) % self.brokers.len();
        }
        if self.taken >= self.brokers.len() {
            return None;
        }
        let broker = self.brokers[(self.taken + self.offset) % self.brokers.len()];
        self.taken += 1;
        Some(broker)
    }
}

#[derive(Debug, Default)]
struct Rack {
    fenced: BrokerList,
    unfenced: BrokerList,
}

impl Rack {
    fn next(&mut self, epoch: usize) -> Option<i32> {
        self.unfenced.next(epoch).or_else(|| self.fenced.next(epoch))
    }
}

/// Kafka's placement: replicas of a partition go round the racks, first replicas (the preferred leaders)
/// go round the unfenced brokers, and both starting points move on with each partition, so that load is
/// even whatever the number of partitions. After each full round the order is shuffled.
#[derive(Debug)]
pub struct StripedReplicaPlacer {
    racks: Vec<Rack>,
    num_brokers: usize,
    num_unfenced: usize,
    epoch: usize,
    offset: usize,
}

impl StripedReplicaPlacer {
    /// Gets ready to place partitions of one topic.
    pub fn new(brokers: impl IntoIterator<Item = UsableBroker>, random: &mut dyn Random) -> Self {
        let mut by_rack: BTreeMap<Option<String>, Rack> = BTreeMap::new();
        let (mut num_brokers, mut num_unfenced) = (0, 0);
        for broker in brokers {
            let rack = by_rack.entry(broker.rack).or_default();
            num_brokers += 1;
            if broker.fenced {
                rack.fenced.brokers.push(broker.id);
            } else {
                num_unfenced += 1;
                rack.unfenced.brokers.push(broker.id);
            }
        }
        let mut racks: Vec<Rack> = by_rack.into_values().collect();
        for rack in &mut racks {
            rack.fenced.initialize(random);
            rack.unfenced.initialize(random);
        }
        let offset = if racks.is_empty() { 0 } else { random.below(racks.len()) };
        Self { racks, num_brokers, num_unfenced, epoch: 0, offset }
    }

    /// Replicas for as many partitions.
    pub fn place(
        &mut self,
        partitions: usize,
        replication_factor: i16,
        random: &mut dyn Random,
    ) -> Result<Vec<Vec<i32>>, ApiError> {
        let invalid = |message: String| ApiError::new(ErrorCode::InvalidReplicationFactor, message);
        let replicas = usize::try_from(replication_factor).unwrap_or(0);
        if replicas == 0 {
            return Err(invalid(format!(
                "Invalid replication factor {replication_factor}: the replication factor must be positive."
            )));
        }
        if self.num_unfenced == 0 {
            let message = "All brokers are currently fenced, or have all their log directories cordoned.";
            return Err(invalid(message.to_owned()));
        }
        if replicas > self.num_brokers {
            return Err(invalid(format!(
                "The target replication factor of {replication_factor} cannot be reached because only {} \
                 broker(s) are registered or some brokers have all their log directories cordoned.",
                self.num_brokers
            )));
        }
        Ok((0..partitions).map(|_| self.place_one(replicas, random)).collect())
    }

    fn place_one(&mut self, replicas: usize, random: &mut dyn Random) -> Vec<i32> {
        if self.epoch == self.num_unfenced && self.num_unfenced > 1 {
            shuffle(&mut self.racks, random);
            for rack in &mut self.racks {
                shuffle(&mut rack.fenced.brokers, random);
                shuffle(&mut rack.unfenced.brokers, random);
            }
            self.epoch = 0;
        }
        let count = self.racks.len();
        let start = self.offset % count;
        let mut chosen = Vec::with_capacity(replicas);
        let mut leader_rack = None;
        for i in 0..count {
            let index = (start + i) % count;
            if let Some(broker) = self.racks[index].unfenced.next(self.epoch) {
                chosen.push(broker);
                leader_rack = Some(index);
                break;
            }
        }
        // The leader's rack is passed over once: it has had its turn in this round.
        let mut index = start;
        let mut idle_racks = 0;
        while chosen.len() < replicas && idle_racks <= count {
            let next = if leader_rack == Some(index) {
                leader_rack = None;
                None
            } else {
                self.racks[index].next(self.epoch)
            };
            idle_racks = if next.is_some() { 0 } else { idle_racks + 1 };
            chosen.extend(next);
            index = (index + 1) % count;
        }
        self.epoch += 1;
        self.offset = start + 1;
        assert_eq!(chosen.len(), replicas, "PLACEMENT-COMPLETE: enough brokers were counted before");
        chosen
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SeededRandom;
    use proptest::prelude::*;

    fn broker(id: i32, rack: Option<&str>, fenced: bool) -> UsableBroker {
        UsableBroker { id, rack: rack.map(str::to_owned), fenced }
    }

    #[test]
    fn leaders_are_spread_evenly() {
        let mut random = SeededRandom::new(7);
        let brokers = (0..4).map(|id| broker(id, None, false));
        let mut placer = StripedReplicaPlacer::new(brokers, &mut random);
        let placed = placer.place(100, 3, &mut random).unwrap();
        for id in 0..4 {
            assert_eq!(placed.iter().filter(|replicas| replicas[0] == id).count(), 25);
        }
    }

    #[test]
    fn too_few_brokers_are_named() {
        let mut random = SeededRandom::new(1);
        let mut place = |brokers: Vec<UsableBroker>, factor| {
            StripedReplicaPlacer::new(brokers, &mut random).place(1, factor, &mut SeededRandom::new(2))
        };
        let error = place(vec![broker(1, None, false)], 2).unwrap_err();
        assert_eq!(error.code, ErrorCode::InvalidReplicationFactor);
        assert!(error.message.unwrap().contains("only 1 broker(s) are registered"));
        assert!(place(vec![broker(1, None, true)], 1).unwrap_err().message.unwrap().contains("fenced"));
        assert!(place(Vec::new(), 1).is_err());
        assert!(place(vec![broker(1, None, false)], 0).is_err());
    }

    proptest! {
        #[test]
        fn placements_are_valid(
            racks in prop::collection::vec((0..4u8, any::<bool>()), 1..12),
            partitions in 0usize..40,
            factor in 1i16..6,
            seed in any::<u128>(),
        ) {
            let brokers: Vec<UsableBroker> = racks.iter().enumerate()
                .map(|(id, (rack, fenced))| broker(id as i32, Some(&rack.to_string()), *fenced))
                .collect();
            let mut random = SeededRandom::new(seed);
            let mut placer = StripedReplicaPlacer::new(brokers.clone(), &mut random);
            let Ok(placed) = placer.place(partitions, factor, &mut random) else {
                return Ok(());
            };
            for replicas in placed {
                prop_assert_eq!(replicas.len(), factor as usize);
                let mut distinct = replicas.clone();
                distinct.sort_unstable();
                distinct.dedup();
                prop_assert_eq!(distinct.len(), replicas.len());
                prop_assert!(!brokers[replicas[0] as usize].fenced, "the preferred leader is unfenced");
            }
        }
    }
}

//! Records that were handed out and whose fate the broker does not know yet.

use std::collections::BTreeMap;

use super::acknowledgements::{AcknowledgeType, Acknowledgements};
use super::session::TopicIdPartition;
use crate::consumer::ConsumerRecord;

/// What the application holds, by broker and partition.
#[derive(Debug, Default)]
pub(crate) struct InFlight {
    held: BTreeMap<(i32, TopicIdPartition), Held>,
    /// Whether records are kept, so that they can be handed out again after a renewal.
    keeps_records: bool,
}

#[derive(Debug, Default)]
struct Held {
    /// Handed out, with what the application said of them.
    records: BTreeMap<i64, (Option<ConsumerRecord>, Option<AcknowledgeType>)>,
    /// Those the broker is asked to leave to this consumer.
    renewing: BTreeMap<i64, ConsumerRecord>,
    /// Those it did.
    renewed: BTreeMap<i64, ConsumerRecord>,
}

impl Held {
    fn is_empty(&self) -> bool {
        self.records.is_empty() && self.renewing.is_empty() && self.renewed.is_empty()
    }
}

impl InFlight {
    pub(crate) fn new(keeps_records: bool) -> Self {
        Self { held: BTreeMap::new(), keeps_records }
    }

    /// Records go to the application.
    pub(crate) fn deliver(&mut self, node: i32, tip: &TopicIdPartition, records: &[ConsumerRecord]) {
        if records.is_empty() {
            return;
        }
        let held = self.held.entry((node, tip.clone())).or_default();
        for record in records {
            let kept = self.keeps_records.then(|| record.clone());
            held.records.insert(record.offset, (kept, None));
        }
    }

    /// The application says what became of a record. False when it does not hold it.
    pub(crate) fn acknowledge(
        &mut self,
        topic: &str,
        partition: i32,
        offset: i64,
        acknowledgement: AcknowledgeType,
    ) -> bool {
        let of_partition = self
            .held
            .iter_mut()
            .filter(|((_, tip), _)| tip.tp.partition == partition && &*tip.tp.topic == topic);
        for (_, held) in of_partition {
            if let Some((_, said)) = held.records.get_mut(&offset) {
                *said = Some(acknowledgement);
                return true;
            }
        }
        false
    }

    /// Says the same of all records nothing was said of.
    pub(crate) fn acknowledge_all(&mut self, acknowledgement: AcknowledgeType) {
        for (_, said) in self.held.values_mut().flat_map(|held| held.records.values_mut()) {
            said.get_or_insert(acknowledgement);
        }
    }

    /// Whether something was said of every record.
    pub(crate) fn all_acknowledged(&self) -> bool {
        self.held.values().flat_map(|held| held.records.values()).all(|(_, said)| said.is_some())
    }

    /// Takes what was said. The records are out of the application's hands now.
    pub(crate) fn take(&mut self) -> Vec<(i32, TopicIdPartition, Acknowledgements)> {
        let mut taken = Vec::new();
        for ((node, tip), held) in &mut self.held {
            let mut acks = Acknowledgements::default();
            let records = std::mem::take(&mut held.records);
            for (offset, (record, said)) in records {
                let Some(acknowledgement) = said else {
                    held.records.insert(offset, (record, None));
                    continue;
                };
                acks.add(offset, acknowledgement);
                if let Some(record) = record.filter(|_| acknowledgement == AcknowledgeType::Renew) {
                    held.renewing.insert(offset, record);
                }
            }
            if !acks.is_empty() {
                taken.push((*node, tip.clone(), acks));
            }
        }
        self.held.retain(|_, held| !held.is_empty());
        taken
    }

    /// The broker took acknowledgements, or not. Records it was to leave here come back if it did.
    pub(crate) fn settled(&mut self, node: i32, tip: &TopicIdPartition, acks: &Acknowledgements, ok: bool) {
        let key = (node, tip.clone());
        let Some(held) = self.held.get_mut(&key) else { return };
        for offset in acks.renewals() {
            if let Some(record) = held.renewing.remove(&offset).filter(|_| ok) {
                held.renewed.insert(offset, record);
            }
        }
        if held.is_empty() {
            self.held.remove(&key);
        }
    }

    /// Whether a broker was not heard yet about records it is to leave here.
    pub(crate) fn is_renewing(&self) -> bool {
        self.held.values().any(|held| !held.renewing.is_empty())
    }

    /// Records that were left here are handed out again.
    pub(crate) fn take_renewed(&mut self) -> Vec<ConsumerRecord> {
        let mut renewed = Vec::new();
        for held in self.held.values_mut() {
            for (offset, record) in std::mem::take(&mut held.renewed) {
                renewed.push(record.clone());
                held.records.insert(offset, (Some(record), None));
            }
        }
        renewed
    }

    /// Nothing is here any more.
    pub(crate) fn clear(&mut self) {
        self.held.clear();
    }

    /// Whether records of a broker are here.
    pub(crate) fn holds(&self, node: i32) -> bool {
        self.held.keys().any(|(of, _)| *of == node)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_common::{TopicPartition, Uuid};
    use ottla_record::TimestampType;

    fn tip(partition: i32) -> TopicIdPartition {
        TopicIdPartition { topic_id: Uuid::from_u128(9), tp: TopicPartition::new("t", partition) }
    }

    fn record(partition: i32, offset: i64) -> ConsumerRecord {
        ConsumerRecord {
            topic: "t".into(),
            partition,
            offset,
            timestamp: 0,
            timestamp_type: TimestampType::CreateTime,
            leader_epoch: None,
            key: None,
            value: None,
            headers: Vec::new(),
            delivery_count: Some(1),
        }
    }

    #[test]
    fn each_record_is_acknowledged_to_who_gave_it() {
        let mut flight = InFlight::new(true);
        flight.deliver(1, &tip(0), &[record(0, 5), record(0, 6)]);
        flight.deliver(2, &tip(1), &[record(1, 5)]);
        assert!(flight.acknowledge("t", 0, 5, AcknowledgeType::Reject));
        assert!(!flight.acknowledge("t", 0, 7, AcknowledgeType::Accept));
        assert!(!flight.acknowledge("u", 0, 5, AcknowledgeType::Accept));
        assert!(!flight.all_acknowledged());
        let taken = flight.take();
        assert_eq!((taken.len(), taken[0].0, taken[0].1.clone()), (1, 1, tip(0)));
        assert_eq!(taken[0].2.offsets(), [(5, 5)]);
        flight.acknowledge_all(AcknowledgeType::Accept);
        assert!(flight.all_acknowledged());
        let nodes: Vec<_> = flight.take().iter().map(|(node, ..)| *node).collect();
        assert_eq!(nodes, [1, 2]);
        assert!(!flight.holds(1) && !flight.holds(2) && flight.take().is_empty());
        assert!(!flight.acknowledge("t", 0, 6, AcknowledgeType::Accept), "it is out of our hands");
    }

    #[test]
    fn what_is_renewed_is_handed_out_again() {
        for kept in [true, false] {
            let mut flight = InFlight::new(true);
            flight.deliver(1, &tip(0), &[record(0, 5), record(0, 6)]);
            flight.acknowledge("t", 0, 5, AcknowledgeType::Renew);
            flight.acknowledge("t", 0, 6, AcknowledgeType::Accept);
            let (node, of, acks) = flight.take().remove(0);
            assert!(flight.is_renewing() && flight.holds(1) && flight.take_renewed().is_empty());
            flight.settled(node, &of, &acks, kept);
            assert!(!flight.is_renewing());
            let offsets: Vec<_> = flight.take_renewed().iter().map(|r| r.offset).collect();
            assert_eq!(offsets, if kept { vec![5] } else { vec![] });
            assert_eq!(flight.holds(1), kept);
            assert_eq!(flight.all_acknowledged(), !kept);
        }
    }
}

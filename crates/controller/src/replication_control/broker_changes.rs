//! What becomes of partitions when a broker comes, goes, or loses a directory.

use ottla_common::Uuid;
use ottla_metadata::{ApiMessageAndVersion, NO_LEADER, PartitionRegistration};
use ottla_protocol::records::metadata::{BrokerRegistrationChangeRecord, UnregisterBrokerRecord};

use crate::quorum_controller::QuorumController;
use crate::state::Partition;

const FENCE: i8 = 1;
const UNFENCE: i8 = -1;
const IN_CONTROLLED_SHUTDOWN: i8 = 1;

/// What happens to a broker, as far as its partitions are concerned.
#[derive(Debug, Clone, Copy)]
struct BrokerChange {
    /// Leaves every ISR and leads nothing.
    removed: i32,
    /// Can lead again.
    added: i32,
    /// Went down without flushing: leaves ISR and ELR.
    unclean: i32,
}

impl BrokerChange {
    const NOBODY: Self = Self { removed: NO_LEADER, added: NO_LEADER, unclean: NO_LEADER };
}

impl QuorumController {
    /// The broker is fenced: its leaderships move, then its registration says so.
    pub(crate) fn handle_broker_fenced(&self, broker_id: i32, records: &mut Vec<ApiMessageAndVersion>) {
        let Some(broker) = self.image().cluster.broker(broker_id) else {
            return;
        };
        let change = BrokerChange { removed: broker_id, ..BrokerChange::NOBODY };
        self.update_leaders_and_isrs(change, self.partitions_in_isr(broker_id), records);
        let record = BrokerRegistrationChangeRecord {
            broker_id,
            broker_epoch: broker.epoch,
            fenced: FENCE,
            ..Default::default()
        };
        records.push(ApiMessageAndVersion::new(record, 0));
    }

    /// The broker is unfenced: partitions without a leader may find one.
    pub(crate) fn handle_broker_unfenced(
        &self,
        broker_id: i32,
        broker_epoch: i64,
        records: &mut Vec<ApiMessageAndVersion>,
    ) {
        let record =
            BrokerRegistrationChangeRecord { broker_id, broker_epoch, fenced: UNFENCE, ..Default::default() };
        records.push(ApiMessageAndVersion::new(record, 0));
        let change = BrokerChange { added: broker_id, ..BrokerChange::NOBODY };
        let leaderless = self.state().leaderless_partitions().collect();
        self.update_leaders_and_isrs(change, leaderless, records);
    }

    /// The broker wants to stop: its leaderships move.
    pub(crate) fn handle_broker_in_controlled_shutdown(
        &self,
        broker_id: i32,
        broker_epoch: i64,
        records: &mut Vec<ApiMessageAndVersion>,
    ) {
        if self.image().cluster.broker(broker_id).is_some_and(|broker| !broker.in_controlled_shutdown) {
            let record = BrokerRegistrationChangeRecord {
                broker_id,
                broker_epoch,
                in_controlled_shutdown: IN_CONTROLLED_SHUTDOWN,
                ..Default::default()
            };
            records.push(ApiMessageAndVersion::new(record, 1));
        }
        let change = BrokerChange { removed: broker_id, ..BrokerChange::NOBODY };
        self.update_leaders_and_isrs(change, self.partitions_in_isr(broker_id), records);
    }

    /// The broker registers as a new process. If the last one may have lost writes, the broker is no
    /// longer eligible to lead what it was in sync with (KIP-966).
    pub(crate) fn handle_broker_shutdown(
        &self,
        broker_id: i32,
        is_clean: bool,
        records: &mut Vec<ApiMessageAndVersion>,
    ) {
        if self.image().features.is_elr_enabled() && !is_clean {
            let change = BrokerChange { unclean: broker_id, ..BrokerChange::NOBODY };
            self.update_leaders_and_isrs(change, self.partitions_in_isr(broker_id), records);
            self.update_leaders_and_isrs(change, self.partitions_in_elr(broker_id), records);
        } else {
            let change = BrokerChange { removed: broker_id, ..BrokerChange::NOBODY };
            self.update_leaders_and_isrs(change, self.partitions_in_isr(broker_id), records);
        }
    }

    /// The broker is gone for good.
    pub(crate) fn handle_broker_unregistered(
        &self,
        broker_id: i32,
        broker_epoch: i64,
        records: &mut Vec<ApiMessageAndVersion>,
    ) {
        let change = BrokerChange { removed: broker_id, ..BrokerChange::NOBODY };
        self.update_leaders_and_isrs(change, self.partitions_in_isr(broker_id), records);
        self.update_leaders_and_isrs(change, self.partitions_in_elr(broker_id), records);
        let record = UnregisterBrokerRecord { broker_id, broker_epoch, ..Default::default() };
        records.push(ApiMessageAndVersion::new(record, 0));
    }

    /// Directories of the broker have failed: it can lead nothing that lies in them (KIP-858).
    pub(crate) fn handle_directories_offline(
        &self,
        broker_id: i32,
        broker_epoch: i64,
        offline: &[Uuid],
        records: &mut Vec<ApiMessageAndVersion>,
    ) {
        let Some(broker) = self.image().cluster.broker(broker_id) else {
            return;
        };
        let (failed, online): (Vec<Uuid>, Vec<Uuid>) =
            broker.directories.iter().partition(|dir| offline.contains(dir));
        if failed.is_empty() {
            return;
        }
        let in_failed = |p: &PartitionRegistration| {
            (p.isr.contains(&broker_id) || p.leader == broker_id)
                && p.directory(broker_id).is_some_and(|dir| failed.contains(&dir))
        };
        let affected = self.state().partitions_of(broker_id).filter(|(_, _, p)| in_failed(p)).collect();
        let change = BrokerChange { removed: broker_id, ..BrokerChange::NOBODY };
        self.update_leaders_and_isrs(change, affected, records);
        let record = BrokerRegistrationChangeRecord {
            broker_id,
            broker_epoch,
            log_dirs: online,
            ..Default::default()
        };
        records.push(ApiMessageAndVersion::new(record, 2));
    }

    /// The broker says which of its directories take no new partitions (KIP-1066).
    pub(crate) fn handle_directories_cordoned(
        &self,
        broker_id: i32,
        broker_epoch: i64,
        cordoned: Option<&[Uuid]>,
        records: &mut Vec<ApiMessageAndVersion>,
    ) {
        let (Some(cordoned), Some(broker)) = (cordoned, self.image().cluster.broker(broker_id)) else {
            return;
        };
        let mut sorted = cordoned.to_vec();
        sorted.sort();
        sorted.dedup();
        if broker.cordoned_directories.as_ref() == Some(&sorted) {
            return;
        }
        let record = BrokerRegistrationChangeRecord {
            broker_id,
            broker_epoch,
            cordoned_log_dirs: Some(cordoned.to_vec()),
            ..Default::default()
        };
        records.push(ApiMessageAndVersion::new(record, 3));
    }

    /// A broker reports that replicas lie in a directory that is offline: it can lead none of them.
    pub(super) fn remove_from_isrs(
        &self,
        broker_id: i32,
        partitions: &[(Uuid, i32)],
        records: &mut Vec<ApiMessageAndVersion>,
    ) {
        let topics = &self.image().topics;
        let affected = partitions
            .iter()
            .filter_map(|(id, index)| Some((topics.topic(*id)?, *index, topics.partition(*id, *index)?)));
        let change = BrokerChange { removed: broker_id, ..BrokerChange::NOBODY };
        self.update_leaders_and_isrs(change, affected.collect(), records);
    }

    fn partitions_in_isr(&self, broker_id: i32) -> Vec<Partition<'_>> {
        let in_isr = |p: &PartitionRegistration| p.isr.contains(&broker_id) || p.leader == broker_id;
        self.state().partitions_of(broker_id).filter(|(_, _, p)| in_isr(p)).collect()
    }

    fn partitions_in_elr(&self, broker_id: i32) -> Vec<Partition<'_>> {
        self.state().partitions_of(broker_id).filter(|(_, _, p)| p.elr.contains(&broker_id)).collect()
    }

    fn update_leaders_and_isrs(
        &self,
        change: BrokerChange,
        partitions: Vec<Partition<'_>>,
        records: &mut Vec<ApiMessageAndVersion>,
    ) {
        let is_usable = |id: i32| {
            id != change.removed && id != change.unclean && (id == change.added || self.state().is_active(id))
        };
        for (topic, index, partition) in partitions {
            let stays = |id: &i32| *id != change.removed && *id != change.unclean;
            let target_isr: Vec<i32> = partition.isr.iter().copied().filter(stays).collect();
            let record = self.change_partition(topic, index, partition, &is_usable, |builder| {
                let builder = builder.election(self.automatic_election(topic)).target_isr(target_isr);
                if change.unclean == NO_LEADER {
                    builder
                } else {
                    builder.unclean_shutdown_replica(change.unclean)
                }
            });
            records.extend(record);
        }
    }
}

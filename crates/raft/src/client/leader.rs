//! Leading: the first record of the epoch, appends, the high watermark, and leaving.

use ottla_protocol::records::control::LeaderChangeMessage;
use ottla_protocol::records::control::leader_change_message::Voter;

use super::{KafkaRaftClient, RaftAction};
use crate::CompletedBatch;
use crate::control::{ControlRecord, control_batch};

impl KafkaRaftClient {
    pub(super) fn on_become_leader(&mut self, now_ms: i64) {
        let epoch_start_offset = self.log.end_offset();
        self.quorum.transition_to_leader(now_ms, epoch_start_offset, &self.partition);
        self.save_election_state();
        self.requests.reset();
        self.append_start_of_epoch(now_ms);
        self.actions.push(RaftAction::OpenAccumulator {
            epoch: self.quorum.epoch(),
            base_offset: self.log.end_offset(),
        });
        self.report_leader();
    }

    /// The first batch of an epoch. What earlier epochs left is committed together with it.
    fn append_start_of_epoch(&mut self, now_ms: i64) {
        let Some(leader) = self.quorum.leader() else { return };
        let voter = |id: i32| Voter { voter_id: id, ..Default::default() };
        let mut records = vec![ControlRecord::LeaderChange(LeaderChangeMessage {
            leader_id: leader.local.key.id,
            voters: leader.voters().map(|state| voter(state.key.id)).collect(),
            granting_voters: leader.granting_voters.iter().copied().map(voter).collect(),
            ..Default::default()
        })];
        let kraft_version = self.partition.last_kraft_version();
        let local = self.quorum.local_voter_node();
        let voters = self.partition.last_voter_set();
        // Voters that only formatting named are not replicated yet, and listeners may have moved.
        let stale = self.partition.has_bootstrap_voters() || voters.voter_node_needs_update(&local);
        let updated = if kraft_version > 0 && stale { voters.update_voter(local) } else { None };
        if let Some(updated) = updated {
            records.push(ControlRecord::kraft_version(kraft_version));
            records.push(ControlRecord::Voters(updated.to_voters_record()));
        }
        let (base_offset, epoch) = (self.log.end_offset(), self.quorum.epoch());
        // Only a record beyond all bounds cannot be written, and none of these is.
        let Ok(bytes) = control_batch(base_offset, epoch, now_ms, &records) else { return };
        for (offset, record) in (base_offset..).zip(&records) {
            self.partition.replay(offset, record);
        }
        self.log.append(base_offset, base_offset + records.len() as i64, epoch);
        self.actions.push(RaftAction::Append { records: bytes, as_leader: true, epoch });
    }

    pub(super) fn append_batches(&mut self, now_ms: i64, batches: Vec<CompletedBatch>) {
        let epoch = self.quorum.epoch();
        if self.quorum.leader().is_none() {
            return;
        }
        for batch in batches.into_iter().filter(|batch| batch.epoch == epoch) {
            self.log.append(batch.base_offset, batch.last_offset + 1, epoch);
            self.actions.push(RaftAction::Append { records: batch.bytes, as_leader: true, epoch });
        }
        // Followers may have what is not yet on this disk: theirs count as well.
        self.complete_fetches(now_ms, self.log.end_offset());
    }

    pub(super) fn log_flushed(&mut self, now_ms: i64, end_offset: i64) {
        assert!(end_offset <= self.log.end_offset(), "only what was appended can be flushed");
        self.flushed_end_offset = end_offset;
        let Some(leader) = self.quorum.leader_mut() else { return };
        if leader.update_local_state(end_offset, self.partition.last_voter_set()) {
            self.on_update_leader_high_watermark(now_ms);
        }
    }

    pub(super) fn on_update_leader_high_watermark(&mut self, now_ms: i64) {
        let Some(high_watermark) = self.high_watermark() else { return };
        assert!(high_watermark <= self.log.end_offset(), "HW-LE-LEO");
        self.actions.push(RaftAction::AdvanceHighWatermark(high_watermark));
        self.complete_fetches(now_ms, i64::MAX);
    }

    pub(super) fn resign(&mut self, epoch: i32) {
        if let Some(leader) = self.quorum.leader_mut().filter(|leader| leader.epoch == epoch) {
            leader.resign_requested = true;
        }
    }

    pub(super) fn poll_leader(&mut self, now_ms: i64) {
        let shutting_down = self.shutdown_deadline_ms.is_some();
        let interval = self.quorum.begin_quorum_epoch_interval_ms();
        let Some(leader) = self.quorum.leader_mut() else { return };
        leader.clear_inactive_observers(now_ms);
        let lost_quorum = leader.needs_check_quorum() && now_ms >= leader.check_quorum_deadline_ms;
        if shutting_down || leader.resign_requested || lost_quorum {
            return self.transition_to_resigned(now_ms);
        }
        if leader.needs_check_quorum() && now_ms >= leader.begin_quorum_epoch_deadline_ms {
            let silent = leader.need_begin_quorum_epoch(now_ms, interval);
            leader.begin_quorum_epoch_deadline_ms = now_ms + interval;
            self.send_begin_quorum_epoch(now_ms, &silent);
        }
    }

    fn transition_to_resigned(&mut self, now_ms: i64) {
        let successors = self.quorum.leader().map(|leader| leader.preferred_successors());
        self.quorum.transition_to_resigned(now_ms, successors.unwrap_or_default(), &self.partition);
        self.leave_role(true);
        self.report_leader();
        self.poll_resigned(now_ms);
    }
}

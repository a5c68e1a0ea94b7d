//! BrokerHeartbeat: brokers come, stay and go (KIP-631).

use ottla_common::ErrorCode;
use ottla_protocol::messages::broker_heartbeat_request::BrokerHeartbeatRequest;

use crate::broker_heartbeats::BrokerControlState;
use crate::quorum_controller::QuorumController;
use crate::result::{ApiError, ControllerResult};

/// What a heartbeat is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BrokerHeartbeatReply {
    /// The broker has read its own registration.
    pub is_caught_up: bool,
    /// The broker is fenced.
    pub is_fenced: bool,
    /// The broker's leaderships are being moved away.
    pub in_controlled_shutdown: bool,
    /// The broker may stop.
    pub should_shut_down: bool,
}

impl QuorumController {
    /// Takes note that a broker lives. Done before the heartbeat is decided, so that a busy controller
    /// does not fence brokers for its own slowness.
    pub fn track_broker_heartbeat(&mut self, broker_id: i32, broker_epoch: i64, now_ms: i64) {
        self.heartbeats.update_contact_time((broker_id, broker_epoch), now_ms);
    }

    /// Decides a heartbeat. Follow up with [`Self::note_heartbeat`].
    pub fn process_broker_heartbeat(
        &self,
        request: &BrokerHeartbeatRequest,
    ) -> Result<ControllerResult<BrokerHeartbeatReply>, ApiError> {
        use BrokerControlState as S;
        let (id, epoch) = (request.broker_id, request.broker_epoch);
        let Some(registered_at) = self.state().register_broker_record_offset(id) else {
            let message = format!("Receive a heartbeat from broker {id} before registration");
            return Err(ApiError::new(ErrorCode::StaleBrokerEpoch, message));
        };
        self.check_broker_epoch(id, epoch)?;
        let current = self.broker_control_state(id);
        let next = self.next_broker_control_state(current, request, registered_at);
        let mut records = Vec::new();
        if current != next {
            match next {
                S::Fenced | S::ShutdownNow => self.handle_broker_fenced(id, &mut records),
                S::Unfenced => self.handle_broker_unfenced(id, epoch, &mut records),
                S::ControlledShutdown => self.handle_broker_in_controlled_shutdown(id, epoch, &mut records),
            }
        }
        let level = self.state().metadata_version();
        if level.is_directory_assignment_supported() {
            self.handle_directories_offline(id, epoch, &request.offline_log_dirs, &mut records);
        }
        if level.is_cordoned_log_dirs_supported() {
            let cordoned = request.cordoned_log_dirs.as_deref();
            self.handle_directories_cordoned(id, epoch, cordoned, &mut records);
        }
        let reply = BrokerHeartbeatReply {
            is_caught_up: request.current_metadata_offset >= registered_at,
            is_fenced: matches!(next, S::Fenced | S::ShutdownNow),
            in_controlled_shutdown: next == S::ControlledShutdown,
            should_shut_down: next == S::ShutdownNow,
        };
        Ok(ControllerResult::of(records, reply))
    }

    /// Remembers what a decided heartbeat said. `last_offset` is that of its last record, or of the log.
    pub fn note_heartbeat(
        &mut self,
        request: &BrokerHeartbeatRequest,
        reply: BrokerHeartbeatReply,
        last_offset: i64,
    ) {
        let id = request.broker_id;
        self.heartbeats.touch(id, reply.is_fenced, request.current_metadata_offset);
        if reply.in_controlled_shutdown {
            self.heartbeats.maybe_update_controlled_shutdown_offset(id, last_offset);
        }
    }

    /// When [`Self::maybe_fence_one_stale_broker`] is next worth calling.
    pub fn next_session_expiration_ms(&self) -> Option<i64> {
        self.heartbeats.next_expiration_ms()
    }

    /// Fences a broker that was not heard of for too long. True when somebody's session was over; then
    /// call again, there may be more.
    pub fn maybe_fence_one_stale_broker(&mut self, now_ms: i64) -> ControllerResult<bool> {
        let Some((id, epoch)) = self.heartbeats.expired(now_ms) else {
            return ControllerResult::of(Vec::new(), false);
        };
        self.heartbeats.end_session((id, epoch));
        let mut records = Vec::new();
        let broker = self.image().cluster.broker(id);
        if broker.is_some_and(|broker| broker.epoch == epoch && !broker.fenced) {
            self.handle_broker_fenced(id, &mut records);
            self.heartbeats.touch(id, true, -1);
        }
        ControllerResult::of(records, true)
    }

    fn broker_control_state(&self, id: i32) -> BrokerControlState {
        if self.heartbeats.controlled_shutdown_offset(id).is_some() {
            BrokerControlState::ControlledShutdown
        } else if self.image().cluster.broker(id).is_none_or(|broker| broker.fenced) {
            BrokerControlState::Fenced
        } else {
            BrokerControlState::Unfenced
        }
    }

    fn next_broker_control_state(
        &self,
        current: BrokerControlState,
        request: &BrokerHeartbeatRequest,
        registered_at: i64,
    ) -> BrokerControlState {
        use BrokerControlState as S;
        let id = request.broker_id;
        let leads = || self.state().partitions_of(id).any(|(_, _, p)| p.leader == id);
        match current {
            S::Fenced if request.want_shut_down => S::ShutdownNow,
            S::Fenced if !request.want_fence && request.current_metadata_offset >= registered_at => {
                S::Unfenced
            }
            S::Fenced => S::Fenced,
            S::Unfenced if request.want_fence && request.want_shut_down => S::ShutdownNow,
            S::Unfenced if request.want_fence => S::Fenced,
            S::Unfenced if request.want_shut_down && leads() => S::ControlledShutdown,
            S::Unfenced if request.want_shut_down => S::ShutdownNow,
            S::Unfenced => S::Unfenced,
            S::ControlledShutdown if leads() => S::ControlledShutdown,
            S::ControlledShutdown => {
                let is_active = |id| self.image().cluster.broker(id).is_some_and(|broker| !broker.fenced);
                let lowest = self.heartbeats.lowest_active_offset(is_active);
                let needed = self.heartbeats.controlled_shutdown_offset(id).unwrap_or(-1);
                // Others may still send clients here until they have read where the leaders went.
                if needed <= lowest { S::ShutdownNow } else { S::ControlledShutdown }
            }
            S::ShutdownNow => S::ShutdownNow,
        }
    }
}

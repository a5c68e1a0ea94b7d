use std::collections::BTreeMap;

use bytestring::ByteString;

use super::heartbeat::StreamsGroupHeartbeatResult;
use super::heartbeat_response::StatusCode;
use crate::group::owned;

const INITIAL_DELAY_MS: u64 = 30_000;
const MAX_DELAY_MS: u64 = 3_600_000;
/// After so many doublings the longest delay is reached.
const DOUBLINGS_MAX: u32 = 7;
/// Delays vary by a fifth to either side, so that groups do not ask in step.
const JITTER_PERCENT: u64 = 20;
/// From this version on, a heartbeat's answer can ask for a topology description.
const DESCRIPTION_REQUIRED_MIN_VERSION: i16 = 1;

/// When to ask members for their topology's description again (KIP-1331).
///
/// One for the whole broker, outside every shard: it forgets everything when the broker stops, and what
/// is stored or can never be stored stands in the groups' records.
#[derive(Debug, Default)]
pub struct TopologyPushBackoff {
    groups: BTreeMap<ByteString, Window>,
}

#[derive(Debug, Clone, Copy)]
struct Window {
    topology_epoch: i32,
    attempts: u32,
    until_ms: i64,
}

impl TopologyPushBackoff {
    /// Has the answer ask for the description when it is neither stored nor known to be impossible, and
    /// nobody was asked a short time ago. `random` is any number.
    pub fn maybe_require_description(
        &mut self,
        now_ms: i64,
        random: u64,
        api_version: i16,
        request_member_epoch: i32,
        group_id: &ByteString,
        result: &mut StreamsGroupHeartbeatResult,
    ) {
        let epoch = result.current_topology_epoch;
        let stale = StatusCode::StaleTopology.value();
        let is_stale = result.response.status.iter().flatten().any(|status| status.status_code == stale);
        let is_wanted = api_version >= DESCRIPTION_REQUIRED_MIN_VERSION
            && request_member_epoch >= 0
            && result.response.error_code == 0
            && epoch >= 0
            && result.stored_description_topology_epoch != epoch
            && result.failed_description_topology_epoch != epoch
            && !is_stale;
        if is_wanted && !self.is_active(now_ms, group_id, epoch) {
            self.extend(now_ms, random, group_id, epoch);
            result.response.topology_description_required = true;
        }
    }

    /// Whether it is too early to ask, or to try, again.
    pub fn is_active(&self, now_ms: i64, group_id: &ByteString, topology_epoch: i32) -> bool {
        let window = self.groups.get(group_id).filter(|window| window.topology_epoch == topology_epoch);
        window.is_some_and(|window| now_ms < window.until_ms)
    }

    /// Storing failed in a way that may pass: the next attempt is to be later than the one before. What is
    /// said of an older topology than the one at hand does not count.
    pub fn extend(&mut self, now_ms: i64, random: u64, group_id: &ByteString, topology_epoch: i32) {
        let attempts = match self.groups.get(group_id) {
            Some(window) if window.topology_epoch > topology_epoch => return,
            Some(window) if window.topology_epoch == topology_epoch => window.attempts.saturating_add(1),
            _ => 0,
        };
        let until_ms = now_ms.saturating_add(delay_ms(attempts, random));
        self.groups.insert(owned(group_id), Window { topology_epoch, attempts, until_ms });
    }

    /// The description of this topology is stored, or never will be.
    pub fn clear(&mut self, group_id: &ByteString, topology_epoch: i32) {
        if self.groups.get(group_id).is_some_and(|window| window.topology_epoch == topology_epoch) {
            self.groups.remove(group_id);
        }
    }

    /// The group is gone.
    pub fn clear_group(&mut self, group_id: &ByteString) {
        self.groups.remove(group_id);
    }
}

fn delay_ms(attempts: u32, random: u64) -> i64 {
    let delay = INITIAL_DELAY_MS << attempts.min(DOUBLINGS_MAX);
    let percent = 100 - JITTER_PERCENT + random % (2 * JITTER_PERCENT + 1);
    let delay = (delay * percent / 100).min(MAX_DELAY_MS);
    i64::try_from(delay).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use ottla_protocol::messages::StreamsGroupHeartbeatResponse;

    use super::*;

    const MIDDLE: u64 = JITTER_PERCENT;

    fn result() -> StreamsGroupHeartbeatResult {
        StreamsGroupHeartbeatResult {
            response: StreamsGroupHeartbeatResponse::default(),
            creatable_topics: Vec::new(),
            current_topology_epoch: 3,
            stored_description_topology_epoch: -1,
            failed_description_topology_epoch: -1,
        }
    }

    fn asks(backoff: &mut TopologyPushBackoff, now_ms: i64, mut result: StreamsGroupHeartbeatResult) -> bool {
        backoff.maybe_require_description(now_ms, MIDDLE, 1, 5, &"g".into(), &mut result);
        result.response.topology_description_required
    }

    #[test]
    fn a_description_is_asked_for_again_and_again_ever_more_rarely() {
        let mut backoff = TopologyPushBackoff::default();
        let asked: Vec<_> =
            (0i64..700).filter(|ten| asks(&mut backoff, ten * 10_000, result())).take(5).collect();
        assert_eq!(asked, [0, 3, 9, 21, 45], "after 30, 60, 120 and 240 seconds");
        assert_eq!(delay_ms(99, 40), 3_600_000, "no later than an hour");
        assert_eq!((delay_ms(0, 0), delay_ms(0, 40)), (24_000, 36_000));
    }

    #[test]
    fn nobody_is_asked_in_vain() {
        let stored = StreamsGroupHeartbeatResult { stored_description_topology_epoch: 3, ..result() };
        let failed = StreamsGroupHeartbeatResult { failed_description_topology_epoch: 3, ..result() };
        let unknown = StreamsGroupHeartbeatResult { current_topology_epoch: -1, ..result() };
        let mut refused = result();
        refused.response.error_code = 42;
        let mut stale = result();
        stale.response.status = Some(vec![StatusCode::StaleTopology.status(String::new())]);
        for result in [stored, failed, unknown, refused, stale] {
            assert!(!asks(&mut TopologyPushBackoff::default(), 0, result));
        }
        let mut backoff = TopologyPushBackoff::default();
        for (version, epoch) in [(0, 5), (1, -1)] {
            let mut result = result();
            backoff.maybe_require_description(0, 0, version, epoch, &"g".into(), &mut result);
            assert!(!result.response.topology_description_required);
        }
        let uncertain = StreamsGroupHeartbeatResult { stored_description_topology_epoch: -2, ..result() };
        assert!(asks(&mut backoff, 0, uncertain));
    }

    #[test]
    fn what_is_said_of_an_older_topology_does_not_count() {
        let mut backoff = TopologyPushBackoff::default();
        assert!(asks(&mut backoff, 0, result()));
        backoff.extend(0, MIDDLE, &"g".into(), 2);
        backoff.clear(&"g".into(), 2);
        assert!(backoff.is_active(29_999, &"g".into(), 3));
        backoff.clear(&"g".into(), 3);
        assert!(!backoff.is_active(0, &"g".into(), 3));
    }
}

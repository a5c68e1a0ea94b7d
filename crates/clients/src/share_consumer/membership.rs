//! The place in the share group.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::KafkaShareConsumer;
use super::session::TopicIdPartition;
use crate::ClientError;
use crate::group_member::{
    Assignment, GroupIdentity, GroupKind, GroupMembership, MemberSettings, TopicSubscription, resolve,
};

/// How often metadata is asked for while a topic is missing.
const MISSING_TOPIC_INTERVAL: Duration = Duration::from_millis(500);

impl KafkaShareConsumer {
    /// Keeps the place in the group and reads what the coordinator says. Records that are here stay
    /// here whatever is assigned: their locks are this consumer's.
    pub(super) async fn keep_membership(&mut self, deadline: Instant) -> Result<(), ClientError> {
        let now = Instant::now();
        if self.membership.is_none() {
            self.membership = Some(self.join());
        }
        let looks = self.next_look <= now;
        if looks {
            let missing = self.look_at_topics(deadline).await;
            let max_age = self.client.settings().metadata_max_age;
            let interval = if missing { max_age.min(MISSING_TOPIC_INTERVAL) } else { max_age };
            self.next_look = now + interval;
        }
        let Some(membership) = &self.membership else { return Ok(()) };
        if looks {
            membership.subscribe(TopicSubscription { names: self.topics.clone(), regex: None });
        }
        membership.polled();
        if let Some(error) = membership.error() {
            return Err(error);
        }
        if membership.must_release() {
            membership.released();
            self.assignment.clear();
            return Ok(());
        }
        if let Some((revision, in_part, target)) = membership.to_apply() {
            self.apply(revision, in_part, &target, deadline).await;
        }
        Ok(())
    }

    async fn apply(&mut self, revision: u64, in_part: bool, target: &Assignment, deadline: Instant) {
        let metadata = self.client.metadata();
        let unknown: Vec<_> =
            target.keys().filter(|id| metadata.topic_name(**id).is_none()).copied().collect();
        if !unknown.is_empty() && Instant::now() >= self.next_lookup {
            self.next_lookup = Instant::now() + self.client.settings().retry_backoff;
            match timeout_at(deadline, self.client.refresh_topic_ids(&unknown)).await {
                Ok(Ok(_)) | Err(_) => {}
                Ok(Err(error)) => tracing::debug!("Cannot look up names of topics: {error}"),
            }
        }
        let metadata = self.client.metadata();
        let (resolved, partitions) = resolve(&metadata, target);
        let with_id = |tp: ottla_common::TopicPartition| {
            let topic_id = metadata.topics.get(&*tp.topic).map(|topic| topic.topic_id).unwrap_or_default();
            TopicIdPartition { topic_id, tp }
        };
        let assignment: BTreeSet<_> = partitions.into_iter().map(with_id).collect();
        if in_part && assignment == self.assignment {
            return;
        }
        self.assignment = assignment;
        if let Some(membership) = &self.membership {
            membership.applied(revision, resolved);
        }
    }

    /// Asking for a topic creates it, where the brokers allow that. Says whether one is missing.
    async fn look_at_topics(&self, deadline: Instant) -> bool {
        let names: Vec<_> = self.topics.iter().cloned().collect();
        let create = self.settings.allow_auto_create_topics;
        match timeout_at(deadline, self.client.refresh_metadata(Some(&names), create)).await {
            Ok(Ok(metadata)) => {
                !names.iter().all(|name| metadata.topics.get(name).is_some_and(|t| t.error.is_none()))
            }
            Ok(Err(error)) => {
                tracing::debug!("Cannot refresh metadata: {error}");
                true
            }
            Err(_) => true,
        }
    }

    fn join(&self) -> GroupMembership {
        let (settings, common) = (&self.settings, self.client.settings());
        let member = MemberSettings {
            is_static: false,
            acknowledges: false,
            max_poll_interval: settings.max_poll_interval,
            retry_backoff: common.retry_backoff,
            retry_backoff_max: common.retry_backoff_max,
        };
        let group = GroupIdentity {
            group_id: settings.group_id.clone(),
            rack: settings.client_rack.clone(),
            kind: GroupKind::Share,
        };
        let subscription = TopicSubscription { names: self.topics.clone(), regex: None };
        GroupMembership::start(Arc::clone(&self.client), group, member, subscription)
    }
}

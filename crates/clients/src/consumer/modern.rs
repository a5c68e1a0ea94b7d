//! The place in a group whose coordinator shares out the partitions (`group.protocol=consumer`,
//! KIP-848).
//!
//! The coordinator says what this consumer is to read. Each poll goes there: offsets are committed,
//! what has to go is let go, what is new is taken over, and only then is it acknowledged; others
//! get the partitions that were revoked after that.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytestring::ByteString;
use tokio::time::{Instant, timeout_at};

use super::subscribe::MISSING_TOPIC_INTERVAL;
use super::{ConsumerGroupMetadata, KafkaConsumer, Subscription};
use crate::ClientError;
use crate::group_member::{
    Assignment, GroupIdentity, GroupKind, GroupMembership, MemberSettings, TopicSubscription, resolve,
};

/// The membership, and when its topics are looked at again.
#[derive(Debug)]
pub(super) struct ModernMembership {
    membership: GroupMembership,
    next_look: Instant,
    next_lookup: Instant,
}

impl ModernMembership {
    /// Waits for news of the group.
    pub(super) fn changed(&self) -> impl Future<Output = ()> + Send + use<> {
        self.membership.changed()
    }

    /// The topics are looked at with the next poll.
    pub(super) fn subscription_changed(&mut self) {
        self.next_look = Instant::now();
    }

    pub(super) async fn leave(self) {
        self.membership.leave().await;
    }
}

impl KafkaConsumer {
    /// Who this consumer is within its group, for offsets that a transactional producer commits.
    pub fn group_metadata(&self) -> Result<ConsumerGroupMetadata, ClientError> {
        let group = self.need_group()?.clone();
        let (member_id, generation_id) = self.member().unwrap_or((ByteString::new(), -1));
        let group_instance_id = self.settings.group_instance_id.clone();
        Ok(ConsumerGroupMetadata { group_id: group, generation_id, member_id, group_instance_id })
    }

    /// The member's id with the generation or epoch, while there is a place in the group.
    pub(super) fn member(&self) -> Option<(ByteString, i32)> {
        match &self.modern {
            Some(modern) => modern.membership.identity(),
            None => self.membership.as_ref().map(|m| (m.member_id.clone(), m.generation)),
        }
    }

    /// Keeps the place in the group, and reads what the coordinator wants it to. False when the time
    /// was too short.
    pub(super) async fn keep_modern_membership(&mut self, deadline: Instant) -> Result<bool, ClientError> {
        if !self.look_at_topics(deadline).await? {
            return Ok(false);
        }
        let Some(modern) = &self.modern else { return Ok(false) };
        modern.membership.polled();
        if let Some(error) = modern.membership.error() {
            return Err(error);
        }
        if modern.membership.must_release() {
            modern.membership.released();
            // Others may have read on from where this member was.
            self.set_assignment(Vec::new());
            return Ok(true);
        }
        if let Some((revision, in_part, target)) = modern.membership.to_apply() {
            self.reconcile(revision, in_part, &target, deadline).await;
        }
        Ok(true)
    }

    /// Goes where the coordinator wants this consumer, as far as the topics' names are known.
    async fn reconcile(&mut self, revision: u64, in_part: bool, target: &Assignment, deadline: Instant) {
        self.look_up_names(target, deadline).await;
        let (resolved, partitions) = resolve(&self.client.metadata(), target);
        let wanted: BTreeSet<_> = partitions.iter().collect();
        if in_part && self.partitions.keys().eq(wanted.iter().copied()) {
            return;
        }
        self.commit_before_rebalance().await;
        tracing::info!("The group gives this consumer {} partitions", partitions.len());
        self.set_assignment(partitions);
        self.rebalances += 1;
        if let Some(modern) = &self.modern {
            modern.membership.applied(revision, resolved);
        }
    }

    async fn look_up_names(&mut self, target: &Assignment, deadline: Instant) {
        let metadata = self.client.metadata();
        let unknown = target.keys().filter(|id| metadata.topic_name(**id).is_none());
        let unknown: Vec<_> = unknown.copied().collect();
        let now = Instant::now();
        let Some(modern) = self.modern.as_mut().filter(|m| m.next_lookup <= now) else { return };
        if unknown.is_empty() {
            return;
        }
        modern.next_lookup = now + self.client.settings().retry_backoff;
        match timeout_at(deadline, self.client.refresh_topic_ids(&unknown)).await {
            Ok(Ok(_)) | Err(_) => {}
            Ok(Err(error)) => tracing::debug!("Cannot look up names of topics: {error}"),
        }
    }

    /// Tells the membership what the application wants, and sees to topics that come into being.
    /// False when the time was too short.
    async fn look_at_topics(&mut self, deadline: Instant) -> Result<bool, ClientError> {
        let now = Instant::now();
        if self.modern.as_ref().is_some_and(|modern| modern.next_look > now) {
            return Ok(true);
        }
        let Ok(wanted) = timeout_at(deadline, self.wanted_topics()).await else { return Ok(false) };
        let names = wanted?;
        let regex = match &self.subscription {
            Subscription::Pattern(regex) => Some(regex.clone()),
            _ => None,
        };
        let missing = self.create_topics(&names, deadline).await;
        let max_age = self.client.settings().metadata_max_age;
        let interval = if missing { max_age.min(MISSING_TOPIC_INTERVAL) } else { max_age };
        let subscription = TopicSubscription { names, regex };
        match &mut self.modern {
            Some(modern) => {
                modern.next_look = now + interval;
                modern.membership.subscribe(subscription);
            }
            None => {
                let membership = self.join(subscription)?;
                let next_look = now + interval;
                self.modern = Some(ModernMembership { membership, next_look, next_lookup: now });
            }
        }
        Ok(true)
    }

    /// Asking for a topic creates it, where the brokers allow that. Says whether one is missing.
    async fn create_topics(&self, names: &BTreeSet<ByteString>, deadline: Instant) -> bool {
        let by_name = matches!(self.subscription, Subscription::Topics(_));
        if !by_name || names.is_empty() {
            return false;
        }
        let names: Vec<_> = names.iter().cloned().collect();
        let create = self.settings.allow_auto_create_topics;
        match timeout_at(deadline, self.client.refresh_metadata(Some(&names), create)).await {
            Ok(Ok(metadata)) => {
                let known = |name: &ByteString| metadata.topics.get(name).is_some_and(|t| t.error.is_none());
                !names.iter().all(known)
            }
            Ok(Err(error)) => {
                tracing::debug!("Cannot refresh metadata: {error}");
                true
            }
            Err(_) => true,
        }
    }

    fn join(&self, subscription: TopicSubscription) -> Result<GroupMembership, ClientError> {
        let (settings, common) = (&self.settings, self.client.settings());
        let instance_id = settings.group_instance_id.clone();
        let member = MemberSettings {
            is_static: instance_id.is_some(),
            acknowledges: true,
            max_poll_interval: settings.max_poll_interval,
            retry_backoff: common.retry_backoff,
            retry_backoff_max: common.retry_backoff_max,
        };
        let rack = Some(settings.client_rack.clone()).filter(|rack| !rack.is_empty());
        let kind = GroupKind::Consumer {
            instance_id,
            rebalance_timeout: settings.max_poll_interval,
            assignor: settings.group_remote_assignor.clone(),
        };
        let group = GroupIdentity { group_id: self.need_group()?.clone(), rack, kind };
        Ok(GroupMembership::start(Arc::clone(&self.client), group, member, subscription))
    }
}

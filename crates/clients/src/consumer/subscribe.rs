use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytestring::ByteString;
use ottla_common::{ErrorCode, TopicPartition};
use tokio::time::{Instant, timeout_at};

use super::membership::{Health, Joining, count_partitions, leave};
use super::settings::GroupProtocol;
use super::{KafkaConsumer, Subscription};
use crate::{ClientError, CoordinatorType};

/// How often metadata is asked for while a topic is missing.
pub(super) const MISSING_TOPIC_INTERVAL: Duration = Duration::from_millis(500);

impl KafkaConsumer {
    /// Reads these partitions, without a group's say.
    pub async fn assign(&mut self, partitions: &[TopicPartition]) -> Result<(), ClientError> {
        self.leave_group().await;
        self.subscription = Subscription::Assigned;
        self.set_assignment(partitions.to_vec());
        Ok(())
    }

    /// Reads what the group gives this consumer of these topics.
    pub fn subscribe<T: AsRef<str>>(&mut self, topics: &[T]) -> Result<(), ClientError> {
        self.need_group()?;
        let topics = topics.iter().map(|t| t.as_ref().into()).collect();
        self.resubscribe(Subscription::Topics(topics));
        Ok(())
    }

    /// Reads what the group gives this consumer of all topics whose name matches, new ones too.
    pub fn subscribe_matching(
        &mut self,
        matches: impl Fn(&str) -> bool + Send + Sync + 'static,
    ) -> Result<(), ClientError> {
        self.need_group()?;
        self.resubscribe(Subscription::Matching(Arc::new(matches)));
        Ok(())
    }

    /// Reads what the group gives this consumer of all topics whose whole name matches the regular
    /// expression. The coordinator matches, so it takes `group.protocol=consumer` (KIP-848).
    pub fn subscribe_pattern(&mut self, regex: &str) -> Result<(), ClientError> {
        self.need_group()?;
        if self.settings.group_protocol != GroupProtocol::Consumer {
            let message = "expressions are matched by the coordinator: set group.protocol=consumer, \
                           or use subscribe_matching";
            return Err(ClientError::IllegalState(message.into()));
        }
        if regex.is_empty() {
            return Err(ClientError::IllegalState("an empty expression matches no topic".into()));
        }
        self.resubscribe(Subscription::Pattern(regex.into()));
        Ok(())
    }

    fn resubscribe(&mut self, subscription: Subscription) {
        if matches!(self.subscription, Subscription::None | Subscription::Assigned) {
            self.set_assignment(Vec::new());
        }
        self.subscription = subscription;
        if let Some(joining) = self.joining.take() {
            joining.abort();
        }
        if let Some(membership) = &self.membership {
            membership.pulse.set(Health::Rejoin);
        }
        if let Some(modern) = &mut self.modern {
            modern.subscription_changed();
        }
    }

    pub(super) fn need_group(&self) -> Result<&ByteString, ClientError> {
        self.settings.group_id.as_ref().ok_or_else(|| {
            ClientError::IllegalState("a group is needed to subscribe or commit; set group.id".into())
        })
    }

    /// Makes sure that there is a place in the group, if the subscription needs one. False when
    /// the time was too short; joining goes on in the background.
    pub(super) async fn keep_membership(&mut self, deadline: Instant) -> Result<bool, ClientError> {
        if matches!(self.subscription, Subscription::None | Subscription::Assigned) {
            return Ok(true);
        }
        if self.settings.group_protocol == GroupProtocol::Consumer {
            return self.keep_modern_membership(deadline).await;
        }
        self.look_for_changes().await;
        if let Some(membership) = &self.membership {
            membership.pulse.polled();
            match membership.pulse.health() {
                Health::Good => return Ok(true),
                Health::Rejoin => self.commit_before_rebalance().await,
                Health::Lost => {
                    // Others may have read on from where this member was.
                    self.member_id = ByteString::new();
                    self.set_assignment(Vec::new());
                }
                Health::Fenced => {
                    let message = "another consumer joined with the same group.instance.id";
                    return Err(ClientError::api("group", ErrorCode::FencedInstanceId, Some(message)));
                }
            }
            self.membership = None;
        }
        if self.joining.is_none() {
            let Some(joining) = self.begin_to_join(deadline).await? else { return Ok(false) };
            self.joining = Some(tokio::spawn(joining.run()));
        }
        let Some(joining) = &mut self.joining else { return Ok(false) };
        let Ok(joined) = timeout_at(deadline, joining).await else { return Ok(false) };
        self.joining = None;
        let joined =
            joined.map_err(|error| ClientError::IllegalState(format!("joining was cut: {error}")))??;
        self.member_id = joined.membership.member_id.clone();
        self.membership = Some(joined.membership);
        self.rebalances += 1;
        self.set_assignment(joined.assignment);
        Ok(true)
    }

    async fn begin_to_join(&mut self, deadline: Instant) -> Result<Option<Joining>, ClientError> {
        let group = self.need_group()?.clone();
        let Ok(topics) = timeout_at(deadline, self.wanted_topics()).await else { return Ok(None) };
        self.last_refresh = Instant::now();
        Ok(Some(Joining {
            client: Arc::clone(&self.client),
            settings: Arc::clone(&self.settings),
            group,
            member_id: self.member_id.clone(),
            generation: -1,
            topics: topics?,
        }))
    }

    pub(super) async fn wanted_topics(&self) -> Result<BTreeSet<ByteString>, ClientError> {
        match &self.subscription {
            Subscription::None | Subscription::Assigned | Subscription::Pattern(_) => Ok(BTreeSet::new()),
            Subscription::Topics(topics) => Ok(topics.clone()),
            Subscription::Matching(matches) => {
                let all = || self.client.refresh_metadata(None, false);
                let metadata = self.client.retrying("Metadata", all).await?;
                let visible = metadata.topics.values().filter(|t| {
                    t.error.is_none() && !(t.is_internal && self.settings.exclude_internal_topics)
                });
                Ok(visible.filter(|t| matches(&t.name)).map(|t| t.name.clone()).collect())
            }
        }
    }

    /// New topics that match, and new partitions, call for a rebalance; the leader calls it.
    async fn look_for_changes(&mut self) {
        let Some(membership) = &self.membership else { return };
        let Some(shared_out) = membership.shared_out.clone() else { return };
        let missing = match &self.subscription {
            Subscription::Topics(topics) => topics.iter().any(|t| !shared_out.contains_key(t)),
            _ => false,
        };
        let max_age = self.client.settings().metadata_max_age;
        let interval = if missing { max_age.min(MISSING_TOPIC_INTERVAL) } else { max_age };
        if self.last_refresh.elapsed() < interval {
            return;
        }
        self.last_refresh = Instant::now();
        let pulse = Arc::clone(&membership.pulse);
        let changed = async {
            let mut topics: BTreeSet<_> = self.wanted_topics().await?;
            topics.extend(shared_out.keys().cloned());
            let topics: Vec<_> = topics.into_iter().collect();
            let create = self.settings.allow_auto_create_topics;
            let metadata = self.client.refresh_metadata(Some(&topics), create).await?;
            Ok::<_, ClientError>(count_partitions(&metadata, &topics) != shared_out)
        };
        match changed.await {
            Ok(true) => pulse.set(Health::Rejoin),
            Ok(false) => {}
            Err(error) => tracing::debug!("Cannot refresh metadata: {error}"),
        }
    }

    pub(super) fn set_assignment(&mut self, partitions: Vec<TopicPartition>) {
        let mut old = std::mem::take(&mut self.partitions);
        // A partition that stays goes on where it was.
        let kept = |tp: TopicPartition| {
            let position = old.remove(&tp).unwrap_or_default();
            (tp, position)
        };
        self.partitions = partitions.into_iter().map(kept).collect::<BTreeMap<_, _>>();
        let assigned = &self.partitions;
        self.ready.retain(|fetch| assigned.contains_key(&fetch.tp));
    }

    pub(super) async fn leave_group(&mut self) {
        if let Some(joining) = self.joining.take() {
            joining.abort();
        }
        if let Some(modern) = self.modern.take() {
            modern.leave().await;
        }
        let Some(membership) = self.membership.take() else { return };
        let Some(group) = self.settings.group_id.clone() else { return };
        // Static members keep their place for the session timeout (KIP-345).
        if self.settings.group_instance_id.is_some() {
            return;
        }
        let left = async {
            let coordinator = self.client.find_coordinator(CoordinatorType::Group, &group).await?;
            leave(&self.client, coordinator, &group, &membership.member_id).await
        };
        if let Err(error) = left.await {
            tracing::debug!("Left group {group} without saying so: {error}");
        }
        self.member_id = ByteString::new();
    }
}

//! Reads records.

mod assignor;
mod commit;
mod completed_fetch;
mod fetcher;
mod group_metadata;
mod membership;
mod modern;
mod positions;
mod settings;
mod subscribe;

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytestring::ByteString;
use ottla_common::{ErrorCode, TopicPartition};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep_until};

use self::completed_fetch::CompletedFetch;
use self::fetcher::{Fetch, FetchProblem, Fetched};
use self::membership::{Joined, Membership};
use self::modern::ModernMembership;
use self::settings::ConsumerSettings;
use crate::{ClientConfig, ClientError, NetworkClient};

pub use completed_fetch::ConsumerRecord;
pub use group_metadata::ConsumerGroupMetadata;
pub use settings::AutoOffsetReset;

/// Reads records of partitions it is given, or that its group gives it.
///
/// One owner polls it; between polls a task of its own keeps the place in the group. Offsets are
/// committed for what earlier polls returned.
#[derive(Debug)]
pub struct KafkaConsumer {
    client: Arc<NetworkClient>,
    settings: Arc<ConsumerSettings>,
    subscription: Subscription,
    partitions: BTreeMap<TopicPartition, Position>,
    /// Answers that are not handed out yet.
    ready: VecDeque<CompletedFetch>,
    fetches: JoinSet<Fetched>,
    fetching: HashSet<i32>,
    membership: Option<Membership>,
    /// The place in the group with `group.protocol=consumer`.
    modern: Option<ModernMembership>,
    joining: Option<JoinHandle<Result<Joined, ClientError>>>,
    /// Kept over rebalances.
    member_id: ByteString,
    last_commit: Instant,
    last_refresh: Instant,
    /// Positions that were found out to be needed after an error wait until then.
    not_before: Instant,
    rebalances: u64,
}

enum Subscription {
    None,
    /// Partitions chosen by the application.
    Assigned,
    /// Topics chosen by the application, partitions by the group.
    Topics(BTreeSet<ByteString>),
    /// Topics that match, partitions by the group.
    Matching(Arc<dyn Fn(&str) -> bool + Send + Sync>),
    /// Topics that match an expression, which the group does; partitions too.
    Pattern(ByteString),
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Assigned => f.write_str("Assigned"),
            Self::Topics(topics) => f.debug_tuple("Topics").field(topics).finish(),
            Self::Matching(_) => f.write_str("Matching"),
            Self::Pattern(regex) => f.debug_tuple("Pattern").field(regex).finish(),
        }
    }
}

/// Where a partition is read.
#[derive(Debug, Clone, Default)]
struct Position {
    /// The next offset to hand out; `None` until it is found out.
    offset: Option<i64>,
    /// Ask for this offset instead of the committed one.
    reset: Option<AutoOffsetReset>,
    paused: bool,
    high_watermark: Option<i64>,
}

impl KafkaConsumer {
    /// Reads the properties; connects to nobody yet.
    pub fn new(config: &ClientConfig) -> Result<Self, ClientError> {
        let now = Instant::now();
        Ok(Self {
            client: Arc::new(NetworkClient::new(config)?),
            settings: Arc::new(ConsumerSettings::new(config)?),
            subscription: Subscription::None,
            partitions: BTreeMap::new(),
            ready: VecDeque::new(),
            fetches: JoinSet::new(),
            fetching: HashSet::new(),
            membership: None,
            modern: None,
            joining: None,
            member_id: ByteString::new(),
            last_commit: now,
            last_refresh: now,
            not_before: now,
            rebalances: 0,
        })
    }

    /// The connections, for requests that have no method here.
    pub fn client(&self) -> &Arc<NetworkClient> {
        &self.client
    }

    /// Records, up to `max.poll.records`; none when nothing came within `timeout`.
    pub async fn poll(&mut self, timeout: Duration) -> Result<Vec<ConsumerRecord>, ClientError> {
        let deadline = Instant::now() + timeout;
        if matches!(self.subscription, Subscription::None) {
            let message = "the consumer has no topic: call subscribe or assign before poll";
            return Err(ClientError::IllegalState(message.into()));
        }
        self.commit_if_due().await;
        loop {
            if !self.keep_membership(deadline).await? {
                return Ok(Vec::new());
            }
            if Instant::now() >= self.not_before {
                self.find_positions(deadline).await?;
            }
            let records = self.take_ready()?;
            self.launch_fetches().await;
            let now = Instant::now();
            if !records.is_empty() || now >= deadline {
                return Ok(records);
            }
            self.wait(
                deadline.min(now + self.client.settings().retry_backoff.max(Duration::from_millis(10))),
            )
            .await?;
        }
    }

    /// The partitions being read.
    pub fn assignment(&self) -> Vec<TopicPartition> {
        self.partitions.keys().cloned().collect()
    }

    /// How often the group gave this consumer its partitions.
    pub fn rebalances(&self) -> u64 {
        self.rebalances
    }

    /// Stops handing out records of these partitions.
    pub fn pause(&mut self, partitions: &[TopicPartition]) {
        self.set_paused(partitions, true);
    }

    /// Goes on with them.
    pub fn resume(&mut self, partitions: &[TopicPartition]) {
        self.set_paused(partitions, false);
    }

    /// How many records are ahead, as of the last fetch.
    pub fn lag(&self, tp: &TopicPartition) -> Option<i64> {
        let position = self.partitions.get(tp)?;
        Some((position.high_watermark? - position.offset?).max(0))
    }

    /// Commits what was consumed (unless that is left to the application), leaves the group and
    /// hangs up.
    pub async fn close(mut self) -> Result<(), ClientError> {
        let committed = match self.settings.auto_commit {
            Some(_) => self.commit().await,
            None => Ok(()),
        };
        self.leave_group().await;
        self.client.close();
        committed
    }

    fn set_paused(&mut self, partitions: &[TopicPartition], paused: bool) {
        for tp in partitions {
            if let Some(position) = self.partitions.get_mut(tp) {
                position.paused = paused;
            }
        }
    }

    /// Waits for a fetch or for news of the group.
    async fn wait(&mut self, until: Instant) -> Result<(), ClientError> {
        let pulse = self.membership.as_ref().map(|m| Arc::clone(&m.pulse));
        let modern = self.modern.as_ref().map(ModernMembership::changed);
        let news = async {
            match (&pulse, modern) {
                (Some(pulse), _) => pulse.changed.notified().await,
                (None, Some(changed)) => changed.await,
                (None, None) => std::future::pending().await,
            }
        };
        let fetched = tokio::select! {
            Some(fetched) = self.fetches.join_next() => fetched,
            () = news => return Ok(()),
            () = sleep_until(until) => return Ok(()),
        };
        match fetched {
            Ok(fetched) => self.take_in(fetched),
            Err(error) => Err(ClientError::IllegalState(format!("a fetch was cut: {error}"))),
        }
    }

    fn take_in(&mut self, fetched: Fetched) -> Result<(), ClientError> {
        self.fetching.remove(&fetched.node);
        let answers = match fetched.result {
            Ok(answers) => answers,
            Err(error) if error.is_retriable() || error.code() == Some(ErrorCode::UnknownTopicId) => {
                tracing::debug!("Fetch from broker {} failed: {error}", fetched.node);
                self.client_moved(fetched.positions.keys());
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        for (tp, data) in answers {
            let Some(asked) = fetched.positions.get(&tp) else { continue };
            let Some(position) = self.partitions.get_mut(&tp) else { continue };
            // Sought elsewhere meanwhile.
            if position.offset != Some(*asked) {
                continue;
            }
            let code = ErrorCode::from_code(data.error_code);
            match FetchProblem::of(code) {
                FetchProblem::Fine => {
                    // Who reads committed records gets no further than the last stable offset.
                    let committed = self.settings.read_committed;
                    let end = if committed { data.last_stable_offset } else { data.high_watermark };
                    position.high_watermark = Some(end);
                    if data.records.as_ref().is_some_and(|r| !r.is_empty()) {
                        let crcs = self.settings.check_crcs;
                        self.ready.push_back(CompletedFetch::new(tp, *asked, data, committed, crcs));
                    }
                }
                FetchProblem::Moved => self.client_moved([&tp]),
                FetchProblem::OutOfRange => {
                    let policy = self.settings.auto_offset_reset;
                    if policy == AutoOffsetReset::None {
                        let message =
                            format!("offset {asked} is outside of the log, and auto.offset.reset is none");
                        return Err(ClientError::api(tp.to_string(), code, Some(&message)));
                    }
                    tracing::info!("Offset {asked} of {tp} is outside of the log; resetting it");
                    position.offset = None;
                    position.reset = Some(policy);
                }
                FetchProblem::Fatal => return Err(ClientError::api(tp.to_string(), code, None)),
            }
        }
        Ok(())
    }

    fn client_moved<'a>(&mut self, partitions: impl IntoIterator<Item = &'a TopicPartition>) {
        for tp in partitions {
            self.client.forget_topic(&tp.topic);
        }
        self.not_before = Instant::now() + self.client.settings().retry_backoff;
    }

    /// Records that are here, in the order of their arrival.
    fn take_ready(&mut self) -> Result<Vec<ConsumerRecord>, ClientError> {
        // Answers that came while this consumer was busy.
        while let Some(fetched) = self.fetches.try_join_next() {
            match fetched {
                Ok(fetched) => self.take_in(fetched)?,
                Err(error) => return Err(ClientError::IllegalState(format!("a fetch was cut: {error}"))),
            }
        }
        let mut records = Vec::new();
        let mut paused = VecDeque::new();
        let mut failure = None;
        while let Some(mut fetch) = self.ready.pop_front() {
            let Some(position) = self.partitions.get_mut(&fetch.tp) else { continue };
            if position.offset != Some(fetch.position) {
                continue;
            }
            if position.paused {
                paused.push_back(fetch);
                continue;
            }
            let mut exhausted = false;
            while records.len() < self.settings.max_poll_records {
                match fetch.next_record() {
                    Ok(Some(record)) => records.push(record),
                    Ok(None) => {
                        exhausted = true;
                        break;
                    }
                    Err(error) => {
                        failure = Some(error);
                        exhausted = true;
                        break;
                    }
                }
            }
            position.offset = Some(fetch.position);
            if !exhausted {
                self.ready.push_front(fetch);
                break;
            }
        }
        self.ready.append(&mut paused);
        match failure {
            // What was read before the damage is handed out first; the next poll meets it again.
            Some(error) if records.is_empty() => Err(error),
            _ => Ok(records),
        }
    }

    /// Asks each broker that is not being asked for the partitions nothing is here of.
    async fn launch_fetches(&mut self) {
        let here: HashSet<_> = self.ready.iter().map(|fetch| fetch.tp.clone()).collect();
        let metadata = self.client.metadata();
        let mut by_node: BTreeMap<i32, BTreeMap<TopicPartition, i64>> = BTreeMap::new();
        let mut leaderless = BTreeSet::new();
        for (tp, position) in &self.partitions {
            let Some(offset) = position.offset else { continue };
            if position.paused || here.contains(tp) {
                continue;
            }
            match metadata.leader(&tp.topic, tp.partition) {
                Some(node) if self.fetching.contains(&node) => {}
                Some(node) => {
                    by_node.entry(node).or_default().insert(tp.clone(), offset);
                }
                None => {
                    leaderless.insert(ByteString::from(&*tp.topic));
                }
            }
        }
        if !leaderless.is_empty() && Instant::now() >= self.not_before {
            self.not_before = Instant::now() + self.client.settings().retry_backoff;
            let topics: Vec<_> = leaderless.into_iter().collect();
            if let Err(error) = self.client.refresh_metadata(Some(&topics), false).await {
                tracing::debug!("Cannot refresh metadata: {error}");
            }
        }
        for (node, positions) in by_node {
            self.fetching.insert(node);
            let (client, settings) = (Arc::clone(&self.client), Arc::clone(&self.settings));
            self.fetches.spawn(Fetch { client, settings, node, positions }.run());
        }
    }
}

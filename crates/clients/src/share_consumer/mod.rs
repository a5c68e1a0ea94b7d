//! Reads records together with others: each record goes to one consumer of the share group, which
//! says what became of it (KIP-932).

mod acknowledge;
mod acknowledgements;
mod completed_fetch;
mod exchange;
mod in_flight;
mod launch;
mod membership;
mod session;
mod settings;

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytestring::ByteString;
use ottla_common::TopicPartition;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use self::completed_fetch::ShareCompletedFetch;
use self::exchange::{AcknowledgementMap, Exchanged};
use self::in_flight::InFlight;
use self::session::{ShareSession, TopicIdPartition};
use self::settings::{AcknowledgementMode, ShareConsumerSettings};
use crate::consumer::ConsumerRecord;
use crate::group_member::GroupMembership;
use crate::{ClientConfig, ClientError, NetworkClient};

pub use acknowledge::AcknowledgementCallback;
pub use acknowledgements::AcknowledgeType;

/// Reads records of a share group.
///
/// A record that was handed out is this consumer's for the group's lock duration, or until it says
/// what became of it. With `share.acknowledgement.mode=implicit`, the next poll says that all of
/// them were processed; with `explicit`, the application says so for each. What nothing was said of
/// when the consumer closes goes to others.
pub struct KafkaShareConsumer {
    client: Arc<NetworkClient>,
    settings: Arc<ShareConsumerSettings>,
    topics: BTreeSet<ByteString>,
    membership: Option<GroupMembership>,
    assignment: BTreeSet<TopicIdPartition>,
    /// Answers that are not handed out yet.
    ready: VecDeque<ShareCompletedFetch>,
    /// What was handed out.
    in_flight: InFlight,
    sessions: BTreeMap<i32, ShareSession>,
    /// What brokers are to be told.
    pending: BTreeMap<i32, AcknowledgementMap>,
    exchanges: JoinSet<Exchanged>,
    /// Brokers that are being asked, and whether for records.
    busy: BTreeMap<i32, bool>,
    /// Outcomes, while somebody waits for them.
    outcomes: Option<BTreeMap<TopicPartition, Result<(), ClientError>>>,
    callback: Option<AcknowledgementCallback>,
    /// An error to tell once the records before it were handed out.
    failure: Option<ClientError>,
    lock_timeout: Option<Duration>,
    /// Whose turn it is to be asked, when only one broker is.
    turn: usize,
    /// After an error, brokers are left alone until then.
    not_before: Instant,
    /// When metadata is asked for again, for what is missing and for what may have changed.
    next_lookup: Instant,
    next_look: Instant,
}

impl fmt::Debug for KafkaShareConsumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaShareConsumer")
            .field("group_id", &self.settings.group_id)
            .field("topics", &self.topics)
            .field("assignment", &self.assignment)
            .finish_non_exhaustive()
    }
}

impl KafkaShareConsumer {
    /// Reads the properties; connects to nobody yet.
    pub fn new(config: &ClientConfig) -> Result<Self, ClientError> {
        let now = Instant::now();
        let settings = Arc::new(ShareConsumerSettings::new(config)?);
        let explicit = settings.acknowledgement_mode == AcknowledgementMode::Explicit;
        Ok(Self {
            client: Arc::new(NetworkClient::new(config)?),
            settings,
            topics: BTreeSet::new(),
            membership: None,
            assignment: BTreeSet::new(),
            ready: VecDeque::new(),
            in_flight: InFlight::new(explicit),
            sessions: BTreeMap::new(),
            pending: BTreeMap::new(),
            exchanges: JoinSet::new(),
            busy: BTreeMap::new(),
            outcomes: None,
            callback: None,
            failure: None,
            lock_timeout: None,
            turn: 0,
            not_before: now,
            next_lookup: now,
            next_look: now,
        })
    }

    /// The connections, for requests that have no method here.
    pub fn client(&self) -> &Arc<NetworkClient> {
        &self.client
    }

    /// Reads what the group gives this consumer of these topics, from the next poll on.
    pub fn subscribe<T: AsRef<str>>(&mut self, topics: &[T]) {
        self.topics = topics.iter().map(|topic| topic.as_ref().into()).collect();
        self.next_look = Instant::now();
    }

    /// Reads nothing any more and leaves the group.
    pub async fn unsubscribe(&mut self) {
        self.topics.clear();
        self.assignment.clear();
        self.queue_acknowledgements();
        self.close_sessions().await;
        if let Some(membership) = self.membership.take() {
            membership.leave().await;
        }
    }

    /// The topics this consumer wants.
    pub fn subscription(&self) -> Vec<&str> {
        self.topics.iter().map(|topic| &**topic).collect()
    }

    /// The partitions the group gave this consumer; others may have the same.
    pub fn assignment(&self) -> Vec<TopicPartition> {
        self.assignment.iter().map(|tip| tip.tp.clone()).collect()
    }

    /// How long records stay this consumer's, as a broker said last.
    pub fn acquisition_lock_timeout(&self) -> Option<Duration> {
        self.lock_timeout
    }

    /// Records, about `max.poll.records`; none when nothing came within `timeout`. With explicit
    /// acknowledgement, something has to be said of all records of the poll before.
    pub async fn poll(&mut self, timeout: Duration) -> Result<Vec<ConsumerRecord>, ClientError> {
        let deadline = Instant::now() + timeout;
        if self.topics.is_empty() {
            let message = "the share consumer has no topic: call subscribe before poll";
            return Err(ClientError::IllegalState(message.into()));
        }
        self.take_in_finished()?;
        self.acknowledge_implicitly();
        if !self.in_flight.all_acknowledged() {
            let message = "records of the last poll are not acknowledged; say what became of each";
            return Err(ClientError::IllegalState(message.into()));
        }
        self.queue_acknowledgements();
        loop {
            self.keep_membership(deadline).await?;
            let records = self.take_ready()?;
            let now = Instant::now();
            if !records.is_empty() {
                self.launch_acknowledgements();
                return Ok(records);
            }
            if self.in_flight.is_renewing() {
                self.launch_acknowledgements();
            } else {
                self.launch_fetches().await;
            }
            if now >= deadline {
                return Ok(Vec::new());
            }
            let pause = self.client.settings().retry_backoff.max(Duration::from_millis(10));
            self.wait(deadline.min(now + pause)).await?;
        }
    }

    /// Tells the brokers what was said of records, releases the others, leaves the group and hangs
    /// up. Fails with the first acknowledgement that was refused.
    pub async fn close(mut self) -> Result<(), ClientError> {
        self.queue_acknowledgements();
        self.outcomes = Some(BTreeMap::new());
        self.close_sessions().await;
        if let Some(membership) = self.membership.take() {
            membership.leave().await;
        }
        self.client.close();
        self.outcomes.take().unwrap_or_default().into_values().collect()
    }

    /// Records that are here: those that were left to this consumer, else in the order they came.
    fn take_ready(&mut self) -> Result<Vec<ConsumerRecord>, ClientError> {
        self.take_in_finished()?;
        let mut records = self.in_flight.take_renewed();
        if !records.is_empty() {
            return Ok(records);
        }
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        while let Some(mut fetch) = self.ready.pop_front() {
            let missing = self.settings.max_poll_records.saturating_sub(records.len());
            if missing == 0 {
                self.ready.push_front(fetch);
                break;
            }
            let unpacked = fetch.unpack(missing);
            self.in_flight.deliver(fetch.node, &fetch.tip, &unpacked.records);
            records.extend(unpacked.records);
            if !unpacked.acknowledgements.is_empty() {
                self.queue(fetch.node, fetch.tip.clone(), unpacked.acknowledgements);
            }
            if !unpacked.is_exhausted {
                self.ready.push_front(fetch);
            }
            if unpacked.error.is_some() {
                self.failure = unpacked.error;
                break;
            }
        }
        // What was read before the damage is handed out first; the next poll tells of it.
        match self.failure.take_if(|_| records.is_empty()) {
            Some(failure) => Err(failure),
            None => Ok(records),
        }
    }

    /// Waits for an answer or for news of the group.
    async fn wait(&mut self, until: Instant) -> Result<(), ClientError> {
        let changed = self.membership.as_ref().map(GroupMembership::changed);
        let news = async {
            match changed {
                Some(changed) => changed.await,
                None => std::future::pending().await,
            }
        };
        let exchanged = tokio::select! {
            Some(exchanged) = self.exchanges.join_next() => exchanged,
            () = news => return Ok(()),
            () = sleep_until(until) => return Ok(()),
        };
        match exchanged {
            Ok(exchanged) => self.take_in(exchanged),
            Err(error) => Err(cut(&error)),
        }
    }

    /// Answers that came while this consumer was busy.
    fn take_in_finished(&mut self) -> Result<(), ClientError> {
        while let Some(exchanged) = self.exchanges.try_join_next() {
            match exchanged {
                Ok(exchanged) => self.take_in(exchanged)?,
                Err(error) => return Err(cut(&error)),
            }
        }
        Ok(())
    }

    /// Brokers whose records are here or on their way to be acknowledged.
    fn holders(&self) -> HashSet<i32> {
        let ready = self.ready.iter().map(|fetch| fetch.node);
        let held = self.sessions.keys().copied().filter(|node| self.in_flight.holds(*node));
        ready.chain(held).chain(self.pending.keys().copied()).collect()
    }
}

fn cut(error: &tokio::task::JoinError) -> ClientError {
    ClientError::IllegalState(format!("a request was cut: {error}"))
}

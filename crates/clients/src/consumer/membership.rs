use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use bytestring::ByteString;
use ottla_common::{ErrorCode, TopicPartition};
use ottla_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use ottla_protocol::messages::leave_group_request::MemberIdentity;
use ottla_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use ottla_protocol::messages::{
    HeartbeatRequest, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest, SyncGroupRequest,
};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::assignor::{Assignor, Member};
use super::settings::ConsumerSettings;
use crate::{ClientError, CoordinatorType, NetworkClient, group_protocol};

/// What `protocol_type` consumers have.
const PROTOCOL_TYPE: &str = "consumer";
/// Beyond the time members have to rejoin, for the answer to arrive.
const JOIN_SLACK: Duration = Duration::from_secs(5);

/// A place in a group, kept by a heartbeat of its own until dropped.
#[derive(Debug)]
pub(crate) struct Membership {
    pub(crate) member_id: ByteString,
    pub(crate) generation: i32,
    /// How many partitions each topic had, when this member shared them out.
    pub(crate) shared_out: Option<BTreeMap<ByteString, usize>>,
    pub(crate) pulse: Arc<Pulse>,
    heartbeat: JoinHandle<()>,
}

/// What the heartbeat tells the consumer and the consumer tells the heartbeat.
#[derive(Debug)]
pub(crate) struct Pulse {
    health: AtomicU8,
    pub(crate) changed: Notify,
    last_poll: Mutex<Instant>,
}

/// How a membership stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Health {
    Good = 0,
    /// The group rebalances: join again, under the same id.
    Rejoin = 1,
    /// The group has forgotten this member: join as a new one.
    Lost = 2,
    /// Another consumer came with the same `group.instance.id`.
    Fenced = 3,
}

impl Pulse {
    pub(crate) fn health(&self) -> Health {
        match self.health.load(Ordering::SeqCst) {
            0 => Health::Good,
            1 => Health::Rejoin,
            2 => Health::Lost,
            _ => Health::Fenced,
        }
    }

    pub(crate) fn set(&self, health: Health) {
        self.health.store(health as u8, Ordering::SeqCst);
        self.changed.notify_waiters();
    }

    /// The application is alive.
    pub(crate) fn polled(&self) {
        *self.last_poll.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn since_poll(&self) -> Duration {
        self.last_poll.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.heartbeat.abort();
    }
}

/// What came of joining.
#[derive(Debug)]
pub(crate) struct Joined {
    pub(crate) membership: Membership,
    pub(crate) assignment: Vec<TopicPartition>,
}

/// Joins a group; retries until it has a place or there is no hope of one. Runs as its own task,
/// because it may take as long as the slowest member.
#[derive(Debug)]
pub(crate) struct Joining {
    pub(crate) client: Arc<NetworkClient>,
    pub(crate) settings: Arc<ConsumerSettings>,
    pub(crate) group: ByteString,
    pub(crate) member_id: ByteString,
    pub(crate) generation: i32,
    pub(crate) topics: BTreeSet<ByteString>,
}

/// Why a try did not end with a place.
enum Setback {
    /// Try again at once.
    Again,
    /// Try again, as a new member.
    AsNew,
    /// Try again after a while, or give up.
    Failed(ClientError),
}

impl From<ClientError> for Setback {
    fn from(error: ClientError) -> Self {
        match error.code() {
            Some(ErrorCode::UnknownMemberId | ErrorCode::IllegalGeneration) => Self::AsNew,
            Some(ErrorCode::RebalanceInProgress) => Self::Again,
            _ => Self::Failed(error),
        }
    }
}

impl Joining {
    pub(crate) async fn run(mut self) -> Result<Joined, ClientError> {
        let mut failures = 0;
        loop {
            match self.attempt().await {
                Ok(joined) => return Ok(joined),
                Err(Setback::Again) => {}
                Err(Setback::AsNew) => self.member_id = ByteString::new(),
                Err(Setback::Failed(error)) if error.is_retriable() => {
                    if failures == 0 {
                        tracing::debug!("Cannot join group {} yet: {error}", self.group);
                    }
                    sleep(self.client.settings().backoff(failures)).await;
                    failures += 1;
                }
                Err(Setback::Failed(error)) => return Err(error),
            }
        }
    }

    async fn attempt(&mut self) -> Result<Joined, Setback> {
        let coordinator = self.client.find_coordinator(CoordinatorType::Group, &self.group).await?;
        let response = self.join(coordinator).await?;
        if ErrorCode::from_code(response.error_code) == ErrorCode::MemberIdRequired {
            // KIP-394: the coordinator gives the id first, so that lost answers leave no ghosts.
            self.member_id = response.member_id;
            return Err(Setback::Again);
        }
        ClientError::check(format!("joining group {}", self.group), response.error_code, None)?;
        self.member_id = response.member_id.clone();
        self.generation = response.generation_id;
        let leads = response.leader == response.member_id;
        let (shares, counts) = match leads && !response.skip_assignment {
            true => self.share_out(&response).await?,
            false => (Vec::new(), None),
        };
        let assignment = self.sync(coordinator, &response, shares).await?;
        let pulse = Arc::new(Pulse {
            health: AtomicU8::new(Health::Good as u8),
            changed: Notify::new(),
            last_poll: Mutex::new(Instant::now()),
        });
        let heartbeat = Heartbeat {
            client: Arc::clone(&self.client),
            settings: Arc::clone(&self.settings),
            coordinator,
            request: HeartbeatRequest {
                group_id: self.group.clone(),
                generation_id: self.generation,
                member_id: self.member_id.clone(),
                group_instance_id: self.settings.group_instance_id.clone(),
                ..HeartbeatRequest::default()
            },
            pulse: Arc::clone(&pulse),
        };
        let membership = Membership {
            member_id: self.member_id.clone(),
            generation: self.generation,
            shared_out: counts,
            pulse,
            heartbeat: tokio::spawn(heartbeat.run()),
        };
        Ok(Joined { membership, assignment })
    }

    async fn join(&self, coordinator: i32) -> Result<JoinGroupResponse, ClientError> {
        const WITH_INSTANCE: i16 = 5;
        let connection = self.client.node(coordinator).await?;
        let version = connection.version::<JoinGroupRequest>()?;
        let metadata = group_protocol::encode_subscription(&self.topics, &[], self.generation);
        let metadata = metadata.map_err(|error| ClientError::IllegalState(error.to_string()))?;
        let protocols = self.settings.assignors.iter().map(|assignor| JoinGroupRequestProtocol {
            name: assignor.name().into(),
            metadata: metadata.clone(),
            ..Default::default()
        });
        let rebalance_timeout = self.settings.max_poll_interval;
        let request = JoinGroupRequest {
            group_id: self.group.clone(),
            session_timeout_ms: self.settings.session_timeout.as_millis() as i32,
            rebalance_timeout_ms: rebalance_timeout.as_millis() as i32,
            member_id: self.member_id.clone(),
            group_instance_id: self.settings.group_instance_id.clone().filter(|_| version >= WITH_INSTANCE),
            protocol_type: PROTOCOL_TYPE.into(),
            protocols: protocols.collect(),
            ..JoinGroupRequest::default()
        };
        let patience = self.client.settings().request_timeout.max(rebalance_timeout + JOIN_SLACK);
        connection.send_version(&request, version, patience).await
    }

    /// The leader's duty: read what everybody wants, share out the partitions there are.
    async fn share_out(
        &self,
        response: &JoinGroupResponse,
    ) -> Result<(Vec<SyncGroupRequestAssignment>, Option<BTreeMap<ByteString, usize>>), ClientError> {
        let illegal = |error: &dyn std::fmt::Display| {
            ClientError::IllegalState(format!("cannot share out partitions in group {}: {error}", self.group))
        };
        let mut members = Vec::new();
        for member in &response.members {
            let wants = group_protocol::decode_subscription(&member.metadata).map_err(|e| illegal(&e))?;
            members.push(Member {
                id: member.member_id.clone(),
                instance_id: member.group_instance_id.clone(),
                topics: wants.topics.into_iter().collect(),
            });
        }
        let topics: BTreeSet<_> = members.iter().flat_map(|m| m.topics.iter().cloned()).collect();
        let counts = self.count_partitions(topics).await?;
        let assignor = response.protocol_name.as_deref().and_then(Assignor::from_name);
        let assignor =
            assignor.ok_or_else(|| illegal(&"the coordinator chose an assignor nobody offered"))?;
        let mut shares = Vec::new();
        for (member_id, partitions) in assignor.assign(&members, &counts) {
            let assignment = group_protocol::encode_assignment(&partitions).map_err(|e| illegal(&e))?;
            shares.push(SyncGroupRequestAssignment { member_id, assignment, ..Default::default() });
        }
        Ok((shares, Some(counts)))
    }

    async fn count_partitions(
        &self,
        topics: BTreeSet<ByteString>,
    ) -> Result<BTreeMap<ByteString, usize>, ClientError> {
        let topics: Vec<_> = topics.into_iter().collect();
        let metadata =
            self.client.refresh_metadata(Some(&topics), self.settings.allow_auto_create_topics).await?;
        Ok(count_partitions(&metadata, &topics))
    }

    async fn sync(
        &self,
        coordinator: i32,
        joined: &JoinGroupResponse,
        assignments: Vec<SyncGroupRequestAssignment>,
    ) -> Result<Vec<TopicPartition>, ClientError> {
        const WITH_PROTOCOL: i16 = 5;
        let connection = self.client.node(coordinator).await?;
        let version = connection.version::<SyncGroupRequest>()?;
        let request = SyncGroupRequest {
            group_id: self.group.clone(),
            generation_id: joined.generation_id,
            member_id: joined.member_id.clone(),
            group_instance_id: self.settings.group_instance_id.clone(),
            protocol_type: (version >= WITH_PROTOCOL).then(|| PROTOCOL_TYPE.into()),
            protocol_name: joined.protocol_name.clone().filter(|_| version >= WITH_PROTOCOL),
            assignments,
            ..SyncGroupRequest::default()
        };
        let patience =
            self.client.settings().request_timeout.max(self.settings.max_poll_interval + JOIN_SLACK);
        let response = connection.send_version(&request, version, patience).await?;
        let what = format!("assignment in group {}", self.group);
        ClientError::check(&what, response.error_code, None)?;
        group_protocol::decode_assignment(&response.assignment)
            .map_err(|error| ClientError::IllegalState(format!("{what} is unreadable: {error}")))
    }
}

pub(crate) fn count_partitions(
    metadata: &crate::Metadata,
    topics: &[ByteString],
) -> BTreeMap<ByteString, usize> {
    let known = topics.iter().filter_map(|name| metadata.topics.get(name));
    known.filter(|t| t.error.is_none()).map(|t| (t.name.clone(), t.partitions.len())).collect()
}

struct Heartbeat {
    client: Arc<NetworkClient>,
    settings: Arc<ConsumerSettings>,
    coordinator: i32,
    request: HeartbeatRequest,
    pulse: Arc<Pulse>,
}

impl Heartbeat {
    async fn run(mut self) {
        loop {
            sleep(self.settings.heartbeat_interval).await;
            if self.pulse.since_poll() > self.settings.max_poll_interval {
                tracing::warn!(
                    "Leaving group {}: no poll for longer than max.poll.interval.ms ({} ms)",
                    self.request.group_id,
                    self.settings.max_poll_interval.as_millis()
                );
                let (group, member) = (&self.request.group_id, &self.request.member_id);
                let _ = leave(&self.client, self.coordinator, group, member).await;
                return self.pulse.set(Health::Lost);
            }
            let code = match self.client.send_to(self.coordinator, &self.request).await {
                Ok(response) => ErrorCode::from_code(response.error_code),
                Err(error) => {
                    tracing::debug!("Heartbeat to group {} failed: {error}", self.request.group_id);
                    ErrorCode::CoordinatorNotAvailable
                }
            };
            match code {
                ErrorCode::None | ErrorCode::CoordinatorLoadInProgress => {}
                ErrorCode::RebalanceInProgress => return self.pulse.set(Health::Rejoin),
                ErrorCode::FencedInstanceId => return self.pulse.set(Health::Fenced),
                ErrorCode::NotCoordinator | ErrorCode::CoordinatorNotAvailable => {
                    let (kind, group) = (CoordinatorType::Group, &self.request.group_id);
                    if let Ok(coordinator) = self.client.find_coordinator(kind, group).await {
                        self.coordinator = coordinator;
                    }
                }
                _ => return self.pulse.set(Health::Lost),
            }
        }
    }
}

/// Tells the group that a member goes.
pub(crate) async fn leave(
    client: &NetworkClient,
    coordinator: i32,
    group: &ByteString,
    member: &ByteString,
) -> Result<(), ClientError> {
    const BATCHED: i16 = 3;
    let connection = client.node(coordinator).await?;
    let version = connection.version::<LeaveGroupRequest>()?;
    let batched = version >= BATCHED;
    let identity =
        MemberIdentity { member_id: member.clone(), group_instance_id: None, ..Default::default() };
    let request = LeaveGroupRequest {
        group_id: group.clone(),
        member_id: if batched { ByteString::new() } else { member.clone() },
        members: if batched { vec![identity] } else { vec![] },
        ..LeaveGroupRequest::default()
    };
    let patience = client.settings().request_timeout.min(Duration::from_secs(5));
    let response = connection.send_version(&request, version, patience).await?;
    ClientError::check(format!("leaving group {group}"), response.error_code, None)
}

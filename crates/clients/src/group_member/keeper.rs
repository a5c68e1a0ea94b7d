//! Sends a member's heartbeats.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytestring::ByteString;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};

use super::requests::exchange;
use super::state::{Beat, BeatAnswer, NextBeat};
use super::{Assignment, GroupIdentity, GroupMember, MemberSettings, TopicSubscription, random_uuid};
use crate::{ClientError, CoordinatorType, NetworkClient};

/// A member that does not get away in this time just goes.
const FAREWELL_PATIENCE: Duration = Duration::from_secs(5);

/// A place in a group, kept by a task of its own until dropped.
#[derive(Debug)]
pub(crate) struct GroupMembership {
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

/// What the member's owner and its task share.
#[derive(Debug)]
struct Shared {
    client: Arc<NetworkClient>,
    group: GroupIdentity,
    member: Mutex<GroupMember>,
    /// The owner changed something.
    wakeup: Notify,
    /// The coordinator said something.
    changed: Notify,
}

impl GroupMembership {
    /// Begins to join.
    pub(crate) fn start(
        client: Arc<NetworkClient>,
        group: GroupIdentity,
        settings: MemberSettings,
        subscription: TopicSubscription,
    ) -> Self {
        let id = ByteString::from(random_uuid().to_string());
        let member = GroupMember::new(settings, id, subscription, Instant::now());
        let (wakeup, changed) = (Notify::new(), Notify::new());
        let shared = Arc::new(Shared { client, group, member: Mutex::new(member), wakeup, changed });
        let task = tokio::spawn(Arc::clone(&shared).run());
        Self { shared, task }
    }

    /// The application is alive.
    pub(crate) fn polled(&self) {
        self.shared.lock().polled(Instant::now());
    }

    /// What the application has to hear.
    pub(crate) fn error(&self) -> Option<ClientError> {
        self.shared.lock().error()
    }

    /// The application wants something else.
    pub(crate) fn subscribe(&self, subscription: TopicSubscription) {
        self.shared.lock().subscribe(subscription);
        self.shared.wakeup.notify_one();
    }

    /// Whether the partitions are lost.
    pub(crate) fn must_release(&self) -> bool {
        self.shared.lock().must_release()
    }

    /// They were let go; the member joins again.
    pub(crate) fn released(&self) {
        self.shared.lock().released(Instant::now());
        self.shared.wakeup.notify_one();
    }

    /// See [`GroupMember::to_apply`].
    pub(crate) fn to_apply(&self) -> Option<(u64, bool, Assignment)> {
        self.shared.lock().to_apply()
    }

    /// See [`GroupMember::applied`].
    pub(crate) fn applied(&self, revision: u64, owned: Assignment) {
        self.shared.lock().applied(revision, owned);
        self.shared.wakeup.notify_one();
    }

    /// The id and the epoch, while there is a place in the group.
    pub(crate) fn identity(&self) -> Option<(ByteString, i32)> {
        self.shared.lock().identity()
    }

    /// The id, which outlives the place.
    pub(crate) fn id(&self) -> ByteString {
        self.shared.lock().id().clone()
    }

    /// Waits until the coordinator says something.
    pub(crate) fn changed(&self) -> impl Future<Output = ()> + Send + use<> {
        let shared = Arc::clone(&self.shared);
        async move { shared.changed.notified().await }
    }

    /// Gives the place up.
    pub(crate) async fn leave(self) {
        self.task.abort();
        let farewell = self.shared.lock().leave();
        let Some(beat) = farewell else { return };
        let mut coordinator = None;
        let said = timeout(FAREWELL_PATIENCE, self.shared.send(&mut coordinator, beat)).await;
        if !matches!(said, Ok(Ok(_))) {
            tracing::debug!("Left group {} without saying so", self.shared.group.group_id);
        }
    }
}

impl Drop for GroupMembership {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, GroupMember> {
        self.member.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn run(self: Arc<Self>) {
        let mut coordinator = None;
        loop {
            let next = self.lock().next(Instant::now());
            match next {
                NextBeat::Wait(until) => self.wait(until).await,
                NextBeat::Send(beat) => {
                    let answer = self.send(&mut coordinator, beat).await;
                    self.take_in(&mut coordinator, answer);
                    self.changed.notify_one();
                }
            }
        }
    }

    async fn wait(&self, until: Option<Instant>) {
        let due = async {
            match until {
                Some(until) => sleep_until(until).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.wakeup.notified() => {}
            () = due => {}
        }
    }

    async fn send(&self, coordinator: &mut Option<i32>, beat: Beat) -> Result<BeatAnswer, ClientError> {
        let node = match *coordinator {
            Some(node) => node,
            None => {
                let group = &self.group.group_id;
                let node = self.client.find_coordinator(CoordinatorType::Group, group).await?;
                *coordinator = Some(node);
                node
            }
        };
        let connection = self.client.node(node).await?;
        exchange(&connection, &self.group, beat).await
    }

    fn take_in(&self, coordinator: &mut Option<i32>, answer: Result<BeatAnswer, ClientError>) {
        let now = Instant::now();
        match answer {
            Ok(answer) => {
                if self.lock().on_answer(now, answer) {
                    *coordinator = None;
                }
            }
            Err(error) => {
                *coordinator = None;
                self.lock().on_failure(now, error);
            }
        }
    }
}

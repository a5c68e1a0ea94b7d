use std::sync::{Arc, Mutex};

use bytestring::ByteString;
use ottla_common::ErrorCode;
use ottla_common::time::Time;
use ottla_coordinator::group::streams::TopologyPushBackoff;
use ottla_coordinator::group::{GroupCoordinatorConfig, GroupCoordinatorShard, GroupError, GroupResult};
use ottla_record::Compression;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::GroupPartners;
use super::kind::GroupCoordinators;
use super::refusal::Refusal;
use crate::coordinator::runtime::{CoordinatorRuntime, PartitionLog};

/// The tasks of the partitions of `__consumer_offsets` that this broker leads.
pub(super) type GroupRuntime = CoordinatorRuntime<GroupCoordinators>;

/// The group coordinator of this broker: every partition of `__consumer_offsets` that it leads.
#[derive(Debug)]
pub struct GroupCoordinatorService {
    pub(super) config: Arc<GroupCoordinatorConfig>,
    pub(super) time: Arc<dyn Time>,
    pub(super) partners: GroupPartners,
    /// When members are asked for the description of their topology again.
    pub(super) push_backoff: Mutex<TopologyPushBackoff>,
    /// Where work goes that no client waits for.
    pub(super) tasks: Handle,
    runtime: Arc<GroupRuntime>,
}

impl GroupCoordinatorService {
    /// A coordinator that refuses everything until it is started up. Its tasks run on `tasks`. `compression` is what
    /// `offsets.topic.compression.codec` says.
    pub fn new(
        mut config: GroupCoordinatorConfig,
        compression: Compression,
        time: Arc<dyn Time>,
        log: Arc<dyn PartitionLog>,
        partners: GroupPartners,
        tasks: Handle,
    ) -> Self {
        config.streams.topology_description_plugin_configured = partners.topology_descriptions.is_some();
        let config = Arc::new(config);
        let kind = Arc::new(GroupCoordinators::new(Arc::clone(&config), compression));
        let runtime = Arc::new(CoordinatorRuntime::new(kind, Arc::clone(&time), log, tasks.clone()));
        Self { config, time, partners, push_backoff: Mutex::default(), tasks, runtime }
    }

    /// The tasks behind the service: elections and resignations go there.
    pub fn runtime(&self) -> &GroupRuntime {
        &self.runtime
    }

    /// The same for work that outlives a request.
    pub(super) fn shared_runtime(&self) -> Arc<GroupRuntime> {
        Arc::clone(&self.runtime)
    }

    /// The partition of `__consumer_offsets` that a group lives in, which is what a transaction must know of before
    /// offsets of the group are committed in it. An error while the service is not started.
    pub fn partition_of(&self, group_id: &str) -> Result<i32, ErrorCode> {
        self.runtime.partition_of(group_id)
    }

    /// Decides something, writes it down, and answers once that is committed.
    pub(super) async fn write<T, F>(&self, partition: i32, decide: F) -> Result<T, ErrorCode>
    where
        T: Send + 'static,
        F: FnOnce(i64, &GroupCoordinatorShard) -> Result<GroupResult<T>, GroupError> + Send + 'static,
    {
        self.runtime
            .write(partition, move |now_ms, shard| decide(now_ms, shard).map_err(GroupError::code))
            .await
    }

    /// The same, where the client is told in words why it is refused.
    pub(super) async fn write_or_refuse<T, F>(&self, partition: i32, decide: F) -> Result<T, Refusal>
    where
        T: Send + 'static,
        F: FnOnce(i64, &GroupCoordinatorShard) -> Result<GroupResult<T>, Refusal> + Send + 'static,
    {
        let (words, mut said) = oneshot::channel();
        let decide = move |now_ms: i64, shard: &GroupCoordinatorShard| {
            decide(now_ms, shard).map_err(|refusal| {
                let error = refusal.error;
                // Nobody listens any more when the client went away.
                let _ = words.send(refusal);
                error
            })
        };
        let outcome = self.runtime.write(partition, decide).await;
        outcome.map_err(|error| said.try_recv().unwrap_or_else(|_| Refusal::from(error)))
    }

    /// Reads something off the committed state, and off the newest one.
    pub(super) async fn read<T, F>(&self, partition: i32, look: F) -> Result<T, ErrorCode>
    where
        T: Send + 'static,
        F: FnOnce(&GroupCoordinatorShard, &GroupCoordinatorShard) -> T + Send + 'static,
    {
        self.runtime.read(partition, look).await
    }

    /// Describes groups one by one, each as its partition has committed it.
    pub(super) async fn describe_each<T, D>(
        &self,
        group_ids: Vec<ByteString>,
        describe: D,
        refused: fn(ByteString, ErrorCode) -> T,
    ) -> Vec<T>
    where
        T: Send + 'static,
        D: Fn(&GroupCoordinatorShard, &ByteString) -> T + Clone + Send + 'static,
    {
        let mut described = Vec::with_capacity(group_ids.len());
        for group_id in group_ids {
            let (describe, asked) = (describe.clone(), group_id.clone());
            let look = move |committed: &GroupCoordinatorShard, _: &GroupCoordinatorShard| {
                describe(committed, &asked)
            };
            let outcome = match self.partition_of(&group_id) {
                Err(error) => Err(error),
                Ok(_) if group_id.is_empty() => Err(ErrorCode::InvalidGroupId),
                Ok(partition) => self.read(partition, look).await,
            };
            described.push(outcome.unwrap_or_else(|error| refused(group_id, error)));
        }
        described
    }
}

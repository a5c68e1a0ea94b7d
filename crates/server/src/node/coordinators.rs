//! Puts the coordinators and all that they need of each other together.

use std::sync::Arc;

use ottla_apis::BrokerContext;
use ottla_apis::support::auto_topic_creation::AutoTopicCreationManager;
use ottla_apis::support::metadata_cache::MetadataCache;
use ottla_common::time::Time;
use ottla_replica::ReplicaManager;
use ottla_replica::share::{ShareLimits, SharePartitionManager, SharePartitionManagerParts};
use tokio::runtime::Handle;

use super::parts;
use crate::broker::controller_requests::ControllerRequests;
use crate::broker::coordinators::Coordinators;
use crate::broker::dead_letters::{DeadLetterQueueParts, DeadLetterQueues};
use crate::broker::inter_broker::InterBrokerChannel;
use crate::broker::live_config::LiveConfig;
use crate::broker::producer_ids::BlockProducerIds;
use crate::broker::share_configs::ShareConfigs;
use crate::broker::share_persister::{BrokerStateChannel, SharePersister};
use crate::broker::transaction_verifier::CoordinatorVerifier;
use crate::config::KafkaConfig;
use crate::coordinator::group::{GroupPartners, LocalReplicas};
use crate::coordinator::share_state::{ShareCoordinatorParts, ShareCoordinatorService};
use crate::coordinator::transaction::{TransactionCoordinatorService, TransactionServiceParts};
use crate::coordinator::{GroupCoordinatorService, ReplicaLog};

/// What coordinators are made of.
pub(super) struct CoordinatorParts<'a> {
    pub(super) config: &'a KafkaConfig,
    pub(super) live: Arc<LiveConfig>,
    pub(super) time: Arc<dyn Time>,
    pub(super) cache: Arc<MetadataCache>,
    pub(super) replicas: Arc<ReplicaManager>,
    pub(super) requests: Arc<ControllerRequests>,
    pub(super) auto_topics: Arc<AutoTopicCreationManager>,
    pub(super) producer_ids: Arc<BlockProducerIds>,
}

/// The coordinators, the share groups' records in flight, and the ways between brokers.
#[derive(Debug)]
pub(super) struct CoordinatorNode {
    pub(super) coordinators: Coordinators,
    pub(super) share: Arc<SharePartitionManager>,
    channels: Vec<Arc<InterBrokerChannel>>,
}

impl CoordinatorParts<'_> {
    /// Makes them. Nothing is served yet: partitions come with the metadata log.
    pub(super) fn build(&self) -> CoordinatorNode {
        let runtime = Handle::current();
        let channel = |purpose| {
            Arc::new(InterBrokerChannel::new(parts::inter_broker(self.config, purpose), self.cache.clone()))
        };
        let [markers, verification] = [channel("txn-marker-sender"), channel("add-partitions-to-txn")];
        let [states, letters] = [channel("share-persister"), channel("share-dlq")];
        let transactions = self.transactions(&markers, &runtime);
        self.verify_transactions(&verification, &runtime);
        let listener = &self.config.inter_broker_listener_name;
        let state_channel =
            Arc::new(BrokerStateChannel::new(states.clone(), self.auto_topics.clone(), listener));
        let persister = Arc::new(SharePersister::start(&state_channel, &self.time, &runtime));
        let coordinators = Coordinators {
            groups: self.groups(&persister, &runtime),
            transactions,
            share_states: self.share_states(&runtime),
        };
        let share = self.share(persister, &letters);
        CoordinatorNode { coordinators, share, channels: vec![markers, verification, states, letters] }
    }

    fn log(&self) -> Arc<ReplicaLog> {
        Arc::new(ReplicaLog::new(self.replicas.clone()))
    }

    fn groups(&self, persister: &Arc<SharePersister>, runtime: &Handle) -> Arc<GroupCoordinatorService> {
        let config = self.config;
        let local = Arc::new(LocalReplicas(self.replicas.clone()));
        let partners = GroupPartners {
            persister: persister.clone(),
            partition_metadata: local.clone(),
            transactions: local,
            topology_descriptions: parts::topology_descriptions(config),
        };
        let groups = Arc::new(GroupCoordinatorService::new(
            parts::group_coordinator(config),
            parts::offsets_compression(config),
            self.time.clone(),
            self.log(),
            partners,
            runtime.clone(),
        ));
        groups.runtime().startup(config.settings.group_coordinator.offsets_topic_num_partitions);
        groups.start_topology_description_cleanup();
        groups
    }

    fn transactions(
        &self,
        markers: &Arc<InterBrokerChannel>,
        runtime: &Handle,
    ) -> Arc<TransactionCoordinatorService> {
        let transactions = TransactionCoordinatorService::new(TransactionServiceParts {
            config: parts::transactions(self.config),
            time: self.time.clone(),
            log: self.log(),
            transport: markers.clone(),
            producer_ids: self.producer_ids.clone(),
            runtime: runtime.clone(),
        });
        let partitions = self.config.settings.producer_state.transaction_state_log_num_partitions;
        transactions.runtime().startup(partitions);
        transactions
    }

    /// Without it, what belongs to a transaction goes into the log unasked (KIP-890).
    fn verify_transactions(&self, channel: &Arc<InterBrokerChannel>, runtime: &Handle) {
        let verifier = CoordinatorVerifier::new(channel.clone(), runtime.clone());
        self.replicas
            .set_transaction_verifier(Arc::new(verifier), parts::transaction_verification(self.config));
    }

    fn share_states(&self, runtime: &Handle) -> Arc<ShareCoordinatorService> {
        let config = self.config;
        let share_states = Arc::new(ShareCoordinatorService::new(ShareCoordinatorParts {
            config: parts::share_coordinator(config),
            compression: parts::share_state_compression(config),
            append_linger: parts::share_append_linger(config),
            metadata: self.cache.clone(),
            log: self.log(),
            records: self.replicas.clone(),
            time: self.time.clone(),
            runtime: runtime.clone(),
        }));
        let partitions = config.values().typed("share.coordinator.state.topic.num.partitions");
        share_states.runtime().startup(partitions);
        share_states.start_pruning(runtime);
        share_states
    }

    fn share(
        &self,
        persister: Arc<SharePersister>,
        letters: &Arc<InterBrokerChannel>,
    ) -> Arc<SharePartitionManager> {
        let config = self.config;
        let queues = DeadLetterQueues::new(DeadLetterQueueParts {
            config: self.live.clone(),
            metadata: self.cache.clone(),
            controller: self.requests.clone(),
            channel: letters.clone(),
            listener: config.inter_broker_listener_name.as_str().into(),
            request_timeout_ms: config.settings.server.request_timeout_ms,
        });
        let sessions = config.values().typed::<i32>("group.share.max.share.sessions");
        Arc::new(SharePartitionManager::new(SharePartitionManagerParts {
            replicas: self.replicas.clone(),
            persister,
            dead_letter_sink: Arc::new(queues),
            configs: Arc::new(ShareConfigs { config: self.live.clone(), metadata: self.cache.clone() }),
            limits: ShareLimits {
                max_share_sessions: usize::try_from(sessions).unwrap_or(0),
                ..ShareLimits::default()
            },
            time: self.time.clone(),
        }))
    }
}

impl CoordinatorNode {
    /// Lets requests of this broker to itself find their way.
    pub(super) fn attach(&self, context: &Arc<BrokerContext>) {
        for channel in &self.channels {
            channel.attach(context);
        }
    }
}

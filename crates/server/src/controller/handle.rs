//! What request handlers call.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use ottla_common::{ErrorCode, Uuid};
use ottla_controller::{
    ApiError, BrokerHeartbeatReply, ControllerResult, Describable, QuorumController, Random,
};
use ottla_metadata::MetadataImage;
use ottla_protocol::messages::{
    AllocateProducerIdsRequest, AllocateProducerIdsResponse, AlterConfigsRequest, AlterConfigsResponse,
    AlterPartitionRequest, AlterPartitionResponse, AssignReplicasToDirsRequest, AssignReplicasToDirsResponse,
    BrokerHeartbeatRequest, BrokerRegistrationRequest, ControllerRegistrationRequest,
    CreatePartitionsRequest, CreatePartitionsResponse, CreateTopicsRequest, CreateTopicsResponse,
    DeleteTopicsRequest, DeleteTopicsResponse, ElectLeadersRequest, ElectLeadersResponse,
    IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse, UpdateFeaturesRequest,
    UpdateFeaturesResponse,
};
use tokio::sync::{mpsc, oneshot, watch};

use super::quorum::MetadataEvent;
use super::task::{Event, WriteOperation};

/// The committed image of the controller, for reads that need not wait their turn.
pub type SharedImage = Arc<ArcSwap<MetadataImage>>;

/// Speaks to the controller task. Every method answers once what it changed is committed; errors are those
/// that clients see, NOT_CONTROLLER among them.
#[derive(Debug, Clone)]
pub struct QuorumControllerHandle {
    pub(super) events: mpsc::UnboundedSender<Event>,
    pub(super) committed: SharedImage,
    pub(super) leads: watch::Receiver<bool>,
}

fn stopped() -> ApiError {
    ApiError::new(ErrorCode::NotController, "The controller is shutting down.")
}

impl QuorumControllerHandle {
    /// Hands news of the metadata log to the controller. Never waits.
    pub fn metadata_event(&self, event: MetadataEvent) {
        // A controller that has stopped needs no news.
        let _ = self.events.send(Event::Metadata(event));
    }

    /// The committed image, as far as the controller has read it.
    pub fn committed_image(&self) -> Arc<MetadataImage> {
        self.committed.load_full()
    }

    /// Decides in the controller's turn, writes, and answers when the records are committed.
    pub async fn write<T, F>(&self, name: &'static str, decide: F) -> Result<T, ApiError>
    where
        T: Send + 'static,
        F: FnOnce(&mut QuorumController, &mut dyn Random, i64) -> Result<ControllerResult<T>, ApiError>
            + Send
            + 'static,
    {
        self.write_then(name, decide, |_, _, _| {}).await
    }

    /// As [`Self::write`]; `then` sees the answer and the last offset before anything else is decided.
    async fn write_then<T, F, G>(&self, name: &'static str, decide: F, then: G) -> Result<T, ApiError>
    where
        T: Send + 'static,
        F: FnOnce(&mut QuorumController, &mut dyn Random, i64) -> Result<ControllerResult<T>, ApiError>
            + Send
            + 'static,
        G: FnOnce(&mut QuorumController, &T, i64) + Send + 'static,
    {
        let (sender, receiver) = oneshot::channel();
        let operation: WriteOperation = Box::new(move |task| {
            task.run_write(name, decide, then, move |result| {
                // Whoever asked may be gone.
                let _ = sender.send(result);
            });
        });
        self.events.send(Event::Write(operation)).map_err(|_| stopped())?;
        receiver.await.unwrap_or_else(|_| Err(stopped()))
    }

    /// Reads in the controller's turn, from the newest state, if it leads.
    pub async fn read<T, F>(&self, name: &'static str, read: F) -> Result<T, ApiError>
    where
        T: Send + 'static,
        F: FnOnce(&QuorumController) -> T + Send + 'static,
    {
        self.write(name, move |controller, _, _| Ok(ControllerResult::of(Vec::new(), read(controller)))).await
    }

    /// CreateTopics. Duplicates in the request are answered as Kafka does; authorization is the caller's.
    pub async fn create_topics(
        &self,
        request: CreateTopicsRequest,
        describable: Describable,
    ) -> Result<CreateTopicsResponse, ApiError> {
        self.write("createTopics", move |controller, random, _| {
            controller.create_topics(&request, &describable, random)
        })
        .await
    }

    /// DeleteTopics of any version, by names and by ids.
    pub async fn delete_topics(
        &self,
        request: DeleteTopicsRequest,
    ) -> Result<DeleteTopicsResponse, ApiError> {
        self.write("deleteTopics", move |controller, _, _| Ok(controller.delete_topics(&request))).await
    }

    /// CreatePartitions.
    pub async fn create_partitions(
        &self,
        request: CreatePartitionsRequest,
    ) -> Result<CreatePartitionsResponse, ApiError> {
        self.write("createPartitions", move |controller, random, _| {
            Ok(controller.create_partitions(&request, random))
        })
        .await
    }

    /// IncrementalAlterConfigs.
    pub async fn incremental_alter_configs(
        &self,
        request: IncrementalAlterConfigsRequest,
    ) -> Result<IncrementalAlterConfigsResponse, ApiError> {
        self.write("incrementalAlterConfigs", move |controller, _, _| {
            Ok(controller.incremental_alter_configs(&request))
        })
        .await
    }

    /// AlterConfigs.
    pub async fn alter_configs(
        &self,
        request: AlterConfigsRequest,
    ) -> Result<AlterConfigsResponse, ApiError> {
        self.write("legacyAlterConfigs", move |controller, _, _| Ok(controller.alter_configs(&request))).await
    }

    /// BrokerRegistration; the answer is the broker's epoch.
    pub async fn register_broker(
        &self,
        request: BrokerRegistrationRequest,
        request_version: i16,
    ) -> Result<i64, ApiError> {
        self.write("registerBroker", move |controller, _, now_ms| {
            controller.register_broker(&request, request_version, now_ms)
        })
        .await
    }

    /// UnregisterBroker.
    pub async fn unregister_broker(&self, broker_id: i32) -> Result<(), ApiError> {
        self.write("unregisterBroker", move |controller, _, _| controller.unregister_broker(broker_id)).await
    }

    /// BrokerHeartbeat.
    pub async fn broker_heartbeat(
        &self,
        request: BrokerHeartbeatRequest,
    ) -> Result<BrokerHeartbeatReply, ApiError> {
        let noted = request.clone();
        self.write_then(
            "processBrokerHeartbeat",
            move |controller, _, now_ms| {
                controller.track_broker_heartbeat(request.broker_id, request.broker_epoch, now_ms);
                controller.process_broker_heartbeat(&request)
            },
            move |controller, reply, offset| controller.note_heartbeat(&noted, *reply, offset),
        )
        .await
    }

    /// ControllerRegistration.
    pub async fn register_controller(&self, request: ControllerRegistrationRequest) -> Result<(), ApiError> {
        self.write("registerController", move |controller, _, _| controller.register_controller(&request))
            .await
    }

    /// UnregisterController.
    pub async fn unregister_controller(&self, controller_id: i32) -> Result<(), ApiError> {
        self.write("unregisterController", move |controller, _, _| {
            controller.unregister_controller(controller_id)
        })
        .await
    }

    /// AllocateProducerIds.
    pub async fn allocate_producer_ids(
        &self,
        request: AllocateProducerIdsRequest,
    ) -> Result<AllocateProducerIdsResponse, ApiError> {
        self.write("allocateProducerIds", move |controller, _, _| controller.allocate_producer_ids(&request))
            .await
    }

    /// AlterPartition.
    pub async fn alter_partition(
        &self,
        request: AlterPartitionRequest,
    ) -> Result<AlterPartitionResponse, ApiError> {
        self.write("alterPartition", move |controller, _, _| controller.alter_partition(&request)).await
    }

    /// AssignReplicasToDirs.
    pub async fn assign_replicas_to_dirs(
        &self,
        request: AssignReplicasToDirsRequest,
    ) -> Result<AssignReplicasToDirsResponse, ApiError> {
        self.write("assignReplicasToDirs", move |controller, _, _| {
            controller.assign_replicas_to_dirs(&request)
        })
        .await
    }

    /// ElectLeaders.
    pub async fn elect_leaders(
        &self,
        request: ElectLeadersRequest,
    ) -> Result<ElectLeadersResponse, ApiError> {
        self.write("electLeaders", move |controller, _, _| controller.elect_leaders(&request)).await
    }

    /// UpdateFeatures.
    pub async fn update_features(
        &self,
        request: UpdateFeaturesRequest,
        request_version: i16,
    ) -> Result<UpdateFeaturesResponse, ApiError> {
        self.write("updateFeatures", move |controller, _, _| {
            Ok(controller.update_features(&request, request_version))
        })
        .await
    }

    /// Every finalized feature level by name.
    pub async fn finalized_features(&self) -> Result<BTreeMap<String, i16>, ApiError> {
        self.read("getFinalizedFeatures", QuorumController::finalized_features).await
    }

    /// The committed ids of topics, in the order asked for.
    pub async fn find_topic_ids(&self, names: Vec<String>) -> Result<Vec<Option<Uuid>>, ApiError> {
        self.read("findTopicIds", move |c| names.iter().map(|name| c.find_topic_id(name)).collect()).await
    }

    /// The committed names of topics, in the order asked for.
    pub async fn find_topic_names(&self, ids: Vec<Uuid>) -> Result<Vec<Option<Arc<str>>>, ApiError> {
        self.read("findTopicNames", move |c| ids.iter().map(|id| c.find_topic_name(*id)).collect()).await
    }

    /// Waits until this controller leads and may be asked.
    pub async fn wait_until_active(&self) {
        let mut leads = self.leads.clone();
        // A controller that has stopped never will, which whoever asks it next learns.
        let _ = leads.wait_for(|leads| *leads).await;
    }

    /// Whether the controller has stopped.
    pub fn is_stopped(&self) -> bool {
        self.events.is_closed()
    }

    /// Lets the controller finish what it is at and stop. Later calls get NOT_CONTROLLER.
    pub fn begin_shutdown(&self) {
        let _ = self.events.send(Event::Shutdown);
    }
}

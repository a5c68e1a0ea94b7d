//! A broker without sockets, raft and controller: an image, logs in a folder, and the table of APIs.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use bytestring::ByteString;
use ottla_apis::support::auto_topic_creation::{
    AutoTopicCreationManager, AutoTopicShapes, InternalTopicShape,
};
use ottla_apis::support::fetch_session::FetchManager;
use ottla_apis::support::metadata_cache::MetadataCache;
use ottla_apis::{BrokerContext, BrokerSettings, Call, Outcome};
use ottla_common::internal_topics::GROUP_METADATA_TOPIC;
use ottla_common::time::MockTime;
use ottla_common::{TopicPartition, Uuid};
use ottla_metadata::image::MetadataProvenance;
use ottla_metadata::{MetadataDelta, MetadataVersion};
use ottla_protocol::messages::*;
use ottla_protocol::records::metadata::register_broker_record::BrokerEndpoint;
use ottla_protocol::records::metadata::*;
use ottla_protocol::{ApiKey, Message, Payload, Reader, Request, Writer};
use ottla_record::Compression;
use ottla_replica::share::{ShareLimits, SharePartitionManager, SharePartitionManagerParts};
use ottla_replica::{LocalPartition, LogConfigSource, Partition, ReplicaManager};
use ottla_server::broker::groups::GroupRequests;
use ottla_server::broker::live_config::LiveConfig;
use ottla_server::command::development_properties;
use ottla_server::config::KafkaConfig;
use ottla_server::coordinator::group::{GroupPartners, GroupProtocols, StreamsInternalTopics};
use ottla_server::coordinator::{GroupCoordinatorConfig, GroupCoordinatorService, ReplicaLog};
use ottla_storage::fs::OsFileSystem;
use ottla_storage::{LogManager, LogManagerParams, ProducerStateManagerConfig};
use tokio::runtime::Handle;

use crate::nobody::Nobody;

/// What a kernel may fail with.
pub(crate) type Failure = Box<dyn Error>;

const NODE: i32 = 1;
const EPOCH: i32 = 3;
const LISTENER: &str = "PLAINTEXT";
/// A moment of 2026: the clock stands still, so that no timer adds to what is counted.
pub(crate) const NOW_MS: i64 = 1_790_000_000_000;
/// How many topics of one partition there are.
pub(crate) const TOPICS: u128 = 1_000;
/// One more topic, of many partitions.
pub(crate) const WIDE: u128 = 2_000;
/// How many partitions it has.
pub(crate) const WIDE_PARTITIONS: i32 = 100;

/// The broker, and what a connection knows of its client.
pub(crate) struct Broker {
    context: Arc<BrokerContext>,
    listener: Arc<str>,
    client_host: ByteString,
    connection_id: Arc<str>,
}

impl Broker {
    /// A broker whose image has [`TOPICS`] topics, of which it serves the first two and the one of groups.
    pub(crate) async fn start(folder: &Path) -> Result<Self, Failure> {
        let time = Arc::new(MockTime::new(NOW_MS));
        let overrides = [("log.dirs".to_owned(), folder.display().to_string())];
        let (config, _) = KafkaConfig::from_properties(&development_properties(), &overrides)?;
        let live = Arc::new(LiveConfig::new(Arc::new(config)));
        let logs = LogManager::open(LogManagerParams {
            fs: Arc::new(OsFileSystem),
            time: time.clone(),
            log_dirs: vec![folder.to_path_buf()],
            default_config: Arc::new(live.log_config("")),
            recovery_threads_per_data_dir: 1,
            producer_state: ProducerStateManagerConfig::default(),
        })?;
        let replicas = Arc::new(ReplicaManager::new(NODE, logs, live.clone()));
        let groups = Arc::new(GroupCoordinatorService::new(
            GroupCoordinatorConfig { classic_group_initial_rebalance_delay_ms: 0, ..Default::default() },
            Compression::NONE,
            time.clone(),
            Arc::new(ReplicaLog::new(replicas.clone())),
            GroupPartners::none(),
            Handle::current(),
        ));
        let controller = Arc::new(Nobody);
        let metadata = Arc::new(MetadataCache::default());
        let protocols = GroupProtocols::new(metadata.clone(), vec!["classic".to_owned()]);
        let internal_topics = StreamsInternalTopics::new(controller.clone(), time.clone(), 30_000);
        let share = SharePartitionManager::new(SharePartitionManagerParts {
            replicas: replicas.clone(),
            persister: controller.clone(),
            dead_letter_sink: controller.clone(),
            configs: controller.clone(),
            limits: ShareLimits::default(),
            time: time.clone(),
        });
        let context = BrokerContext {
            settings: BrokerSettings {
                node_id: NODE,
                cluster_id: "5L6g3nShT-eMCtKbXf8GpQ".into(),
                fetch_max_bytes: 57_671_680,
                auto_create_topics_enable: false,
                max_request_partition_size_limit: 2_000,
                request_timeout_ms: 30_000,
                unstable_api_versions_enable: false,
            },
            metadata,
            replicas,
            groups: Arc::new(GroupRequests::new(groups.clone(), protocols, internal_topics)),
            transactions: controller.clone(),
            share_coordinator: controller.clone(),
            share: Arc::new(share),
            auto_topics: Arc::new(AutoTopicCreationManager::new(controller.clone(), shapes(), 30_000)),
            controller,
            configs: live,
            producer_ids: Arc::new(Nobody),
            fetch: FetchManager::new(1_000, 120_000, 7),
            time,
        };
        let broker = Self {
            context: Arc::new(context),
            listener: LISTENER.into(),
            client_host: "/127.0.0.1".into(),
            connection_id: "0".into(),
        };
        broker.publish()?;
        groups.runtime().startup(1);
        groups.runtime().on_election(0, EPOCH);
        Ok(broker)
    }

    fn publish(&self) -> Result<(), Failure> {
        let mut delta = MetadataDelta::for_snapshot(Arc::default());
        for record in records() {
            delta.replay(&record)?;
        }
        delta.finish_snapshot();
        let image = Arc::new(delta.apply(MetadataProvenance {
            last_contained_offset: 5_000,
            last_contained_epoch: 1,
            last_contained_log_time_ms: NOW_MS,
            is_offset_batch_aligned: true,
        }));
        let served = [topic_name(0), topic_name(1), GROUP_METADATA_TOPIC.to_owned()].map(|name| (name, 0));
        let wide = (0..WIDE_PARTITIONS).map(|index| (topic_name(WIDE), index));
        for (name, index) in served.into_iter().chain(wide) {
            let topic = image.topics.topic_by_name(&name).ok_or("a topic is missing")?;
            let registration = topic.partitions.get(&index).ok_or("a partition is missing")?.clone();
            let tp = TopicPartition::new(name.as_str(), index);
            let local = LocalPartition { tp, topic_id: topic.id, registration };
            self.context.replicas.apply(&local).map_err(|code| code.name())?;
        }
        self.context.metadata.publish(image, 1, true);
        Ok(())
    }

    /// The first partition of a topic that is served.
    pub(crate) fn partition(&self, topic: u128) -> Result<Arc<Partition>, Failure> {
        let tp = TopicPartition::new(topic_name(topic).as_str(), 0);
        Ok(self.context.replicas.partition(&tp).map_err(|code| code.name())?)
    }

    /// From a frame without its length to the parts of the response. As in the product, the frame shares
    /// its memory with others.
    pub(crate) async fn answer(&self, frame: Bytes) -> Result<Vec<Payload>, Failure> {
        let mut reader = Reader::new(frame);
        let mut peek = reader.clone();
        let (key, version) = (peek.i16()?, peek.i16()?);
        let key = ApiKey::from_i16(key).ok_or("no such API")?;
        let header = RequestHeader::decode(&mut reader, key.request_header_version(version))?;
        let call = Call {
            version,
            listener: self.listener.clone(),
            connection_id: self.connection_id.clone(),
            client_id: header.client_id,
            client_host: self.client_host.clone(),
        };
        let context = self.context.clone();
        match ottla_apis::serve(context, key, call, header.correlation_id, reader.rest()).await {
            Outcome::Response(parts) => Ok(parts),
            Outcome::NoResponse => Err("no response".into()),
            Outcome::Close(reason) => Err(reason.into()),
        }
    }

    /// Asks for something outside of what is counted.
    pub(crate) async fn ask<R: Request>(&self, request: &R, version: i16) -> Result<R::Response, Failure> {
        let parts = self.answer(frame(request, version)?).await?;
        let mut bytes = BytesMut::new();
        for part in parts {
            match part {
                Payload::Bytes(part) => bytes.extend_from_slice(&part),
                Payload::Records(_) => return Err("records are answered to kernels only".into()),
            }
        }
        let mut reader = Reader::new(bytes.freeze());
        ResponseHeader::decode(&mut reader, R::API_KEY.response_header_version(version))?;
        Ok(R::Response::decode(&mut reader, version)?)
    }
}

/// A request with its header, without its length.
pub(crate) fn frame<R: Request>(request: &R, version: i16) -> Result<Bytes, Failure> {
    let header = RequestHeader {
        request_api_key: R::API_KEY as i16,
        request_api_version: version,
        correlation_id: 7,
        client_id: Some("producer-1".into()),
        ..Default::default()
    };
    let mut writer = Writer::default();
    header.encode(&mut writer, R::API_KEY.request_header_version(version))?;
    let mut bytes = BytesMut::from(&writer.into_bytes()[..]);
    bytes.extend_from_slice(&request.to_bytes(version)?);
    Ok(bytes.freeze())
}

/// Name of a topic by its number.
pub(crate) fn topic_name(number: u128) -> String {
    format!("pedidos-{number:04}")
}

/// Id of a topic by its number.
pub(crate) fn topic_id(number: u128) -> Uuid {
    Uuid::from_u128(0x5eed_0000_0000 + number * 0x9e37_79b9)
}

/// What the metadata log says.
fn records() -> Vec<MetadataRecord> {
    let version = FeatureLevelRecord {
        name: MetadataVersion::FEATURE_NAME.into(),
        feature_level: MetadataVersion::LATEST_PRODUCTION.feature_level(),
        ..Default::default()
    };
    let broker = RegisterBrokerRecord {
        broker_id: NODE,
        broker_epoch: 5,
        fenced: false,
        end_points: vec![BrokerEndpoint {
            name: LISTENER.into(),
            host: "127.0.0.1".into(),
            port: 9092,
            ..Default::default()
        }],
        ..Default::default()
    };
    let mut records: Vec<MetadataRecord> = vec![version.into(), broker.into()];
    let names = (0..TOPICS).map(|number| (topic_name(number), topic_id(number), 1));
    let others = [
        (GROUP_METADATA_TOPIC.to_owned(), topic_id(TOPICS), 1),
        (topic_name(WIDE), topic_id(WIDE), WIDE_PARTITIONS),
    ];
    for (name, topic_id, partitions) in names.chain(others) {
        records.push(TopicRecord { name: name.into(), topic_id, ..Default::default() }.into());
        let partition = |partition_id| PartitionRecord {
            topic_id,
            partition_id,
            replicas: vec![NODE],
            isr: vec![NODE],
            leader: NODE,
            leader_epoch: EPOCH,
            ..Default::default()
        };
        records.extend((0..partitions).map(|index| partition(index).into()));
    }
    records
}

fn shapes() -> AutoTopicShapes {
    let shape = || InternalTopicShape { partitions: 1, replication_factor: 1, configs: Vec::new() };
    AutoTopicShapes { offsets: shape(), transactions: shape(), share_state: shape() }
}

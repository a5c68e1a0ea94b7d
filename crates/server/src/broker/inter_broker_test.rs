use ottla_common::Uuid;
use ottla_common::internal_topics::TRANSACTION_STATE_TOPIC;
use ottla_metadata::{ApiMessageAndVersion, MetadataLoader, MetadataProvenance};
use ottla_protocol::messages::api_versions_response::ApiVersion;
use ottla_protocol::messages::{ApiVersionsResponse, WriteTxnMarkersRequest, WriteTxnMarkersResponse};
use ottla_protocol::records::metadata::register_broker_record::BrokerEndpoint;
use ottla_protocol::records::metadata::{PartitionRecord, RegisterBrokerRecord, TopicRecord};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;

const HERE: i32 = 1;
const THERE: i32 = 2;
const LISTENER: &str = "INTERNO";

fn broker(id: i32, port: u16, fenced: bool) -> ApiMessageAndVersion {
    let endpoint = BrokerEndpoint {
        name: LISTENER.into(),
        host: "127.0.0.1".into(),
        port,
        security_protocol: PLAINTEXT,
        ..Default::default()
    };
    let record =
        RegisterBrokerRecord { broker_id: id, end_points: vec![endpoint], fenced, ..Default::default() };
    ApiMessageAndVersion::new(record, 3)
}

fn state_topic(leaders: &[i32]) -> Vec<ApiMessageAndVersion> {
    let topic_id = Uuid::from_u128(7);
    let topic = TopicRecord { name: TRANSACTION_STATE_TOPIC.into(), topic_id, ..Default::default() };
    let partition = |(partition_id, leader): (i32, &i32)| {
        let record = PartitionRecord {
            topic_id,
            partition_id,
            replicas: vec![HERE, THERE],
            isr: vec![*leader],
            leader: *leader,
            ..Default::default()
        };
        ApiMessageAndVersion::new(record, 2)
    };
    let mut records = vec![ApiMessageAndVersion::new(topic, 0)];
    records.extend((0..).zip(leaders).map(partition));
    records
}

fn channel(records: &[ApiMessageAndVersion]) -> InterBrokerChannel {
    let provenance = MetadataProvenance { last_contained_offset: 10, ..MetadataProvenance::EMPTY };
    let image = MetadataLoader::default().load_snapshot(provenance, records).unwrap().image;
    let cache = MetadataCache::default();
    cache.publish(image, 1, true);
    let options = InterBrokerOptions {
        node_id: HERE,
        listener: LISTENER.into(),
        purpose: "prueba",
        request_timeout: Duration::from_secs(5),
    };
    InterBrokerChannel::new(options, Arc::new(cache))
}

/// A broker that speaks WriteTxnMarkers up to a version, and hangs up after so many answers.
async fn serve(listener: TcpListener, max_version: i16, patience: usize) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(answer(stream, max_version, patience));
    }
}

async fn answer(mut stream: TcpStream, max_version: i16, patience: usize) {
    let mut answered = 0;
    while answered < patience {
        let Ok(len) = stream.read_i32().await else { return };
        let mut frame = vec![0; usize::try_from(len).unwrap()];
        stream.read_exact(&mut frame).await.unwrap();
        let key = ApiKey::from_i16(i16::from_be_bytes([frame[0], frame[1]])).unwrap();
        let version = i16::from_be_bytes([frame[2], frame[3]]);
        let correlation_id = i32::from_be_bytes([frame[4], frame[5], frame[6], frame[7]]);
        let body = if key == ApiKey::ApiVersions {
            let markers = ApiVersion {
                api_key: ApiKey::WriteTxnMarkers as i16,
                min_version: 1,
                max_version,
                ..Default::default()
            };
            ApiVersionsResponse { api_keys: vec![markers], ..Default::default() }.to_bytes(version).unwrap()
        } else {
            answered += 1;
            WriteTxnMarkersResponse::default().to_bytes(version).unwrap()
        };
        let header = ResponseHeader { correlation_id, ..Default::default() };
        let header = header.to_bytes(key.response_header_version(version)).unwrap();
        let length = i32::try_from(header.len() + body.len()).unwrap();
        stream.write_i32(length).await.unwrap();
        stream.write_all(&[&header[..], &body[..]].concat()).await.unwrap();
    }
}

async fn listen(max_version: i16, patience: usize) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(serve(listener, max_version, patience));
    port
}

async fn ask(channel: &InterBrokerChannel, oldest: i16) -> Result<WriteTxnMarkersResponse, ChannelError> {
    channel.send(THERE, oldest, &WriteTxnMarkersRequest::default()).await
}

#[tokio::test]
async fn a_connection_is_kept_and_made_again_after_it_broke() {
    let port = listen(2, 2).await;
    let channel = channel(&[broker(THERE, port, false)]);
    assert_eq!(ask(&channel, 1).await, Ok(WriteTxnMarkersResponse::default()));
    let first = channel.connection(THERE).await.unwrap();
    assert_eq!(ask(&channel, 1).await, Ok(WriteTxnMarkersResponse::default()));
    while !first.is_closed() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(ask(&channel, 1).await, Ok(WriteTxnMarkersResponse::default()));
    assert!(!Arc::ptr_eq(&first, &channel.connection(THERE).await.unwrap()));
}

#[tokio::test]
async fn a_node_that_is_too_old_is_told_apart() {
    let port = listen(1, 9).await;
    let channel = channel(&[broker(THERE, port, false)]);
    assert_eq!(ask(&channel, 2).await, Err(ChannelError::UnsupportedVersion));
    assert_eq!(ask(&channel, 1).await, Ok(WriteTxnMarkersResponse::default()));
    let other = ottla_protocol::messages::FindCoordinatorRequest::default();
    assert_eq!(channel.send(THERE, 0, &other).await.unwrap_err(), ChannelError::UnsupportedVersion);
}

#[tokio::test]
async fn who_cannot_be_reached_is_not_asked_all_the_time() {
    // Nobody listens here any more.
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let channel = channel(&[broker(THERE, port, false), broker(3, port, true)]);
    assert_eq!(ask(&channel, 1).await, Err(ChannelError::Disconnected));
    let node = channel.node(THERE);
    node.lock().await.not_before = Some(Instant::now() + Duration::from_secs(3600));
    assert_eq!(ask(&channel, 1).await, Err(ChannelError::Disconnected));
    assert_eq!(node.lock().await.failures, 1, "the pause was not over");
    node.lock().await.not_before = None;
    assert_eq!(ask(&channel, 1).await, Err(ChannelError::Disconnected));
    assert_eq!(node.lock().await.failures, 2);
    let request = WriteTxnMarkersRequest::default();
    assert_eq!(channel.send(3, 1, &request).await.unwrap_err(), ChannelError::Disconnected, "fenced");
    assert_eq!(channel.send(4, 1, &request).await.unwrap_err(), ChannelError::Disconnected, "unknown");
    assert_eq!(channel.send(HERE, 1, &request).await.unwrap_err(), ChannelError::Disconnected, "not serving");
}

#[test]
fn leaders_and_coordinators_are_those_that_live() {
    let mut records = vec![broker(HERE, 9092, false), broker(THERE, 9093, true)];
    records.extend(state_topic(&[HERE, THERE, -1]));
    let channel = channel(&records);
    let leaders: Vec<_> =
        (0..4).map(|partition| channel.leader_of(TRANSACTION_STATE_TOPIC, partition)).collect();
    assert_eq!(leaders, [Some(HERE), None, None, None]);
    assert!(channel.contains(TRANSACTION_STATE_TOPIC, 2) && !channel.contains(TRANSACTION_STATE_TOPIC, 3));
    let key = (0..).map(|n: i32| n.to_string()).find(|key| partition_for(key, 3) == 0).unwrap();
    assert_eq!(channel.coordinator_of(TRANSACTION_STATE_TOPIC, &key), Some(HERE));
    let key = (0..).map(|n: i32| n.to_string()).find(|key| partition_for(key, 3) == 1).unwrap();
    assert_eq!(channel.coordinator_of(TRANSACTION_STATE_TOPIC, &key), None);
    assert_eq!(channel.coordinator_of("nada", &key), None);
}

#[test]
fn errors_of_the_client_in_the_words_of_the_channel() {
    let api = |code| ChannelError::from(&ClientError::api("x", code, None));
    let refused = ErrorCode::SaslAuthenticationFailed;
    assert_eq!(api(refused), ChannelError::AuthenticationFailed(refused));
    assert_eq!(api(ErrorCode::UnknownServerError), ChannelError::Disconnected);
    assert_eq!(ChannelError::from(&ClientError::Closed), ChannelError::Disconnected);
}

use std::future::ready;

use ottla_apis::context::BoxFuture;
use ottla_common::time::MockTime;
use ottla_protocol::messages::*;

use super::*;
use crate::coordinator::runtime::testing::until;

const HEARTBEAT_INTERVAL_MS: i32 = 5_000;

/// A controller that says the same of every topic that it is asked for.
#[derive(Debug)]
struct TestController {
    verdict: Mutex<ErrorCode>,
    asked: Mutex<Vec<ByteString>>,
}

impl TestController {
    fn saying(verdict: ErrorCode) -> Arc<Self> {
        Arc::new(Self { verdict: Mutex::new(verdict), asked: Mutex::default() })
    }

    fn num_asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

macro_rules! nothing {
    ($($method:ident($request:ty) -> $response:ty;)*) => {
        $(fn $method<'a>(&'a self, _: &'a Call, _: $request) -> BoxFuture<'a, $response> {
            Box::pin(ready(Default::default()))
        })*
    };
}

impl Controller for TestController {
    fn create_topics<'a>(
        &'a self,
        call: &'a Call,
        request: CreateTopicsRequest,
    ) -> BoxFuture<'a, CreateTopicsResponse> {
        assert_eq!((call.version, request.timeout_ms), (CREATE_TOPICS_VERSION, 30_000));
        let verdict = *self.verdict.lock().unwrap();
        let mut asked = self.asked.lock().unwrap();
        let mut response = CreateTopicsResponse::default();
        for topic in request.topics {
            asked.push(topic.name.clone());
            response.topics.push(CreatableTopicResult {
                name: topic.name,
                error_code: verdict.code(),
                error_message: (!verdict.is_none()).then(|| "it cannot be".into()),
                ..Default::default()
            });
        }
        Box::pin(ready(response))
    }

    nothing! {
        delete_topics(DeleteTopicsRequest) -> DeleteTopicsResponse;
        create_partitions(CreatePartitionsRequest) -> CreatePartitionsResponse;
        incremental_alter_configs(IncrementalAlterConfigsRequest) -> IncrementalAlterConfigsResponse;
        alter_configs(AlterConfigsRequest) -> AlterConfigsResponse;
        describe_quorum(DescribeQuorumRequest) -> DescribeQuorumResponse;
        update_features(UpdateFeaturesRequest) -> UpdateFeaturesResponse;
    }
}

fn call() -> Call {
    Call {
        version: 1,
        listener: "PLAINTEXT".into(),
        connection_id: "".into(),
        client_id: None,
        client_host: "/127.0.0.1".into(),
    }
}

/// What a heartbeat of a group leads to that lacks these topics.
fn lacking(names: &[&'static str]) -> StreamsGroupHeartbeatResult {
    let topic = |name: &&'static str| CreatableTopic {
        name: ByteString::from_static(name),
        num_partitions: 2,
        replication_factor: -1,
        ..Default::default()
    };
    let status = Status {
        status_code: StatusCode::MissingInternalTopics.value(),
        status_detail: "topics are missing".into(),
        ..Default::default()
    };
    StreamsGroupHeartbeatResult {
        response: StreamsGroupHeartbeatResponse {
            heartbeat_interval_ms: HEARTBEAT_INTERVAL_MS,
            status: (!names.is_empty()).then(|| vec![status]),
            ..Default::default()
        },
        creatable_topics: names.iter().map(topic).collect(),
        current_topology_epoch: 1,
        stored_description_topology_epoch: -1,
        failed_description_topology_epoch: -1,
    }
}

fn detail(response: &StreamsGroupHeartbeatResponse) -> &str {
    &response.status.as_ref().unwrap()[0].status_detail
}

fn topics(controller: &Arc<TestController>, time: &Arc<MockTime>) -> StreamsInternalTopics {
    StreamsInternalTopics::new(controller.clone(), time.clone(), 30_000)
}

#[tokio::test]
async fn a_group_that_lacks_nothing_asks_for_nothing() {
    let controller = TestController::saying(ErrorCode::None);
    let topics = topics(&controller, &Arc::new(MockTime::new(1_000)));
    let response = topics.create_for(&call(), lacking(&[]));
    assert_eq!((response.status, controller.num_asked()), (None, 0));
}

#[tokio::test]
async fn a_topic_is_asked_for_once_at_a_time() {
    let controller = TestController::saying(ErrorCode::None);
    let topics = topics(&controller, &Arc::new(MockTime::new(1_000)));
    let first = topics.create_for(&call(), lacking(&["a", "b"]));
    // Nothing has run yet: both are under way.
    let second = topics.create_for(&call(), lacking(&["b", "c"]));
    assert_eq!((detail(&first), detail(&second)), ("topics are missing", "topics are missing"));
    until("asked", async || controller.num_asked() == 3).await;
    assert_eq!(*controller.asked.lock().unwrap(), ["a", "b", "c"]);
    until("done", async || topics.creations.lock().unwrap().in_flight.is_empty()).await;
    topics.create_for(&call(), lacking(&["a"]));
    until("asked again", async || controller.num_asked() == 4).await;
}

#[tokio::test]
async fn a_member_hears_why_topics_could_not_be_made() {
    let controller = TestController::saying(ErrorCode::InvalidReplicationFactor);
    let time = Arc::new(MockTime::new(1_000));
    let topics = topics(&controller, &time);
    let names = ["a", "b", "c", "d", "e"];
    topics.create_for(&call(), lacking(&names));
    until("asked", async || topics.creations.lock().unwrap().in_flight.is_empty()).await;
    let told = topics.create_for(&call(), lacking(&names));
    let expected = "topics are missing; Creation failed: a (it cannot be), b (it cannot be), c (it cannot be) and 2 more.";
    assert_eq!(detail(&told), expected);
    assert_eq!(controller.num_asked(), 5, "for two heartbeats nobody tries again");
    time.advance_ms(2 * i64::from(HEARTBEAT_INTERVAL_MS));
    let told = topics.create_for(&call(), lacking(&["a"]));
    assert_eq!(detail(&told), "topics are missing");
    until("asked again", async || controller.num_asked() == 6).await;
}

#[test]
fn a_code_stands_in_for_words() {
    let mut creations = Creations { in_flight: HashSet::new(), errors: TopicCreationErrors::new(5) };
    let error_code = ErrorCode::PolicyViolation.code();
    creations.note(0, 10, CreatableTopicResult { name: "a".into(), error_code, ..Default::default() });
    assert_eq!(creations.errors.get(1, &"a".into()), Some("POLICY_VIOLATION"));
}

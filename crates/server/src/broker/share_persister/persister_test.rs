use std::sync::Mutex;

use ottla_common::Uuid;
use ottla_common::time::SystemTime;
use ottla_protocol::messages::initialize_share_group_state_request::{
    InitializeStateData, PartitionData as InitializeData,
};
use ottla_protocol::{ApiKey, Message, Request};
use ottla_replica::share::Persister as LeaderPersister;

use super::*;

/// Coordinators that answer every part alike.
#[derive(Debug, Default)]
struct Coordinators {
    error: Mutex<Option<ErrorCode>>,
    /// So many requests are lost.
    lost: Mutex<u32>,
    /// What was asked, and of whom.
    asked: Mutex<Vec<(ApiKey, i32)>>,
}

impl Coordinators {
    fn answer(&self, key: ApiKey, version: i16, body: bytes::Bytes) -> bytes::Bytes {
        let error = self.error.lock().unwrap().unwrap_or(ErrorCode::None);
        macro_rules! answer {
            ($Request:ident, $parts:ident, $respond:ident, $refuse:ident) => {{
                let parts = requests::$parts($Request::from_bytes(body, version).unwrap());
                let result = |key: StateKey| (key.topic_id, requests::$refuse(key.partition, error, ""));
                requests::$respond(parts.into_iter().map(|(key, _)| result(key)).collect()).to_bytes(version)
            }};
        }
        let answer = match key {
            ApiKey::InitializeShareGroupState => answer!(
                InitializeShareGroupStateRequest,
                initialize_parts,
                initialize_response,
                initialize_refused
            ),
            ApiKey::ReadShareGroupState => {
                answer!(ReadShareGroupStateRequest, read_parts, read_response, read_refused)
            }
            ApiKey::WriteShareGroupState => {
                answer!(WriteShareGroupStateRequest, write_parts, write_response, write_refused)
            }
            key => unreachable!("{key:?}"),
        };
        answer.unwrap()
    }
}

impl StateChannel for Coordinators {
    /// Partitions are spread over two brokers.
    fn coordinator_of(&self, key: &StateKey) -> Option<i32> {
        Some(key.partition % 2)
    }

    async fn send<Q: Request>(&self, node_id: i32, request: Q) -> Result<Q::Response, ErrorCode> {
        self.asked.lock().unwrap().push((Q::API_KEY, node_id));
        {
            let mut lost = self.lost.lock().unwrap();
            if *lost > 0 {
                *lost -= 1;
                return Err(ErrorCode::NetworkException);
            }
        }
        let body = request.to_bytes(Q::MAX_VERSION).unwrap();
        Ok(Q::Response::from_bytes(self.answer(Q::API_KEY, Q::MAX_VERSION, body), Q::MAX_VERSION).unwrap())
    }
}

fn persister() -> (Arc<Coordinators>, SharePersister) {
    let coordinators = Arc::new(Coordinators::default());
    let time: Arc<dyn Time> = Arc::new(SystemTime::default());
    let persister = SharePersister::start(&coordinators, &time, &Handle::current());
    (coordinators, persister)
}

fn key() -> SharePartitionKey {
    SharePartitionKey { group_id: "cola".into(), topic_id: Uuid::from_u128(7), partition: 3 }
}

fn write() -> share::WriteState {
    share::WriteState {
        state_epoch: 1,
        leader_epoch: 2,
        start_offset: 3,
        delivery_complete_count: 0,
        batches: Vec::new(),
    }
}

#[tokio::test]
async fn a_groups_partitions_go_to_their_coordinators_and_come_back_in_order() {
    let (coordinators, persister) = persister();
    let topic = |topic_id, partitions: &[i32]| InitializeStateData {
        topic_id: Uuid::from_u128(topic_id),
        partitions: partitions
            .iter()
            .map(|partition| InitializeData { partition: *partition, ..Default::default() })
            .collect(),
        ..Default::default()
    };
    let request = InitializeShareGroupStateRequest {
        group_id: "cola".into(),
        topics: vec![topic(8, &[2, 1]), topic(7, &[0])],
        ..Default::default()
    };
    let response = persister.initialize_state(request).await.unwrap();
    let told: Vec<_> = response
        .results
        .iter()
        .flat_map(|topic| topic.partitions.iter().map(|result| (topic.topic_id.as_u128(), result.partition)))
        .collect();
    assert_eq!(told, [(8, 2), (8, 1), (7, 0)]);
    let mut asked = coordinators.asked.lock().unwrap().clone();
    asked.sort_unstable();
    let expected = [(ApiKey::InitializeShareGroupState, 0), (ApiKey::InitializeShareGroupState, 1)];
    assert_eq!(asked, expected);
}

#[tokio::test]
async fn a_leader_reads_and_writes() {
    let (coordinators, persister) = persister();
    let key = key();
    let read = LeaderPersister::read_state(&persister, &key, 2).await;
    assert_eq!(read.map(|state| state.batches.len()), Ok(0));
    assert_eq!(LeaderPersister::write_state(&persister, &key, write()).await, Ok(()));
    *coordinators.error.lock().unwrap() = Some(ErrorCode::FencedLeaderEpoch);
    let fenced = LeaderPersister::write_state(&persister, &key, write()).await;
    assert_eq!(fenced, Err(PersisterError::NotLeaderOrFollower));
    let read = LeaderPersister::read_state(&persister, &key, 2).await;
    assert_eq!(read, Err(PersisterError::NotLeaderOrFollower));
}

#[tokio::test]
async fn a_request_that_is_lost_is_sent_again() {
    let (coordinators, persister) = persister();
    *coordinators.lost.lock().unwrap() = 1;
    assert_eq!(LeaderPersister::write_state(&persister, &key(), write()).await, Ok(()));
    assert_eq!(coordinators.asked.lock().unwrap().len(), 2);
}

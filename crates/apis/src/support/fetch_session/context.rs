use std::collections::HashMap;
use std::sync::Arc;

use bytestring::ByteString;
use ottla_common::{ErrorCode, Uuid};
use ottla_protocol::messages::FetchResponse;
use ottla_protocol::messages::fetch_response::{FetchableTopicResponse, PartitionData};

use super::cache::{FetchManager, SharedSession, lock};
use super::session::{FetchPartition, PartitionKey};
use super::{INVALID_SESSION_ID, next_epoch};

/// One fetch request's place in its session.
#[derive(Debug)]
pub enum FetchContext {
    /// A fetch that wants no session.
    Sessionless {
        /// What it asks for.
        partitions: Vec<FetchPartition>,
    },
    /// The first fetch of a session that may be kept.
    Full {
        /// What it asks for.
        partitions: Vec<FetchPartition>,
        /// Whether a replica fetches, which is served before consumers.
        is_follower: bool,
        /// Whether topics go by id.
        uses_topic_ids: bool,
    },
    /// A later fetch of a session.
    Incremental {
        /// The session, already updated.
        session: SharedSession,
        /// Its epoch after this request; another one at answering time means a duplicate request.
        epoch: i32,
    },
    /// The session is not there, or not where the fetcher thinks it is.
    Error(ErrorCode),
}

impl FetchContext {
    /// All partitions to read, in serving order. To be asked for once.
    pub fn partitions(&mut self, name_of: impl Fn(Uuid) -> Option<Arc<str>>) -> Vec<FetchPartition> {
        match self {
            Self::Sessionless { partitions } => std::mem::take(partitions),
            Self::Full { partitions, .. } => partitions.clone(),
            Self::Incremental { session, .. } => lock(session).partitions(name_of),
            Self::Error(_) => Vec::new(),
        }
    }

    /// The response, with the partitions that the fetcher must hear of.
    pub fn respond(
        self,
        manager: &FetchManager,
        results: Vec<(PartitionKey, PartitionData)>,
        now_ms: i64,
    ) -> FetchResponse {
        match self {
            Self::Error(error) => FetchResponse { error_code: error.code(), ..Default::default() },
            Self::Sessionless { .. } => response(INVALID_SESSION_ID, results),
            Self::Full { partitions, is_follower, uses_topic_ids } => {
                let size = results.len();
                let answers: HashMap<_, _> = results.iter().map(|(key, data)| (key, data)).collect();
                let id = manager.keep(is_follower, uses_topic_ids, size, now_ms, |session| {
                    for request in partitions {
                        let answer = answers.get(&request.key).copied();
                        session.add(request, answer);
                    }
                });
                response(id, results)
            }
            Self::Incremental { session, epoch } => {
                let mut session = lock(&session);
                if session.epoch != epoch {
                    return FetchResponse {
                        error_code: ErrorCode::InvalidFetchSessionEpoch.code(),
                        session_id: session.id,
                        ..Default::default()
                    };
                }
                debug_assert_ne!(next_epoch(epoch), epoch);
                let changed =
                    results.into_iter().filter(|(key, data)| session.must_respond(key, data)).collect();
                response(session.id, changed)
            }
        }
    }
}

/// Neighbours of one topic share an entry, as in Kafka's own answers.
fn response(session_id: i32, results: Vec<(PartitionKey, PartitionData)>) -> FetchResponse {
    let is_same = |(a, _): &(PartitionKey, PartitionData), (b, _): &(PartitionKey, PartitionData)| {
        a.topic_id == b.topic_id && (Arc::ptr_eq(&a.topic, &b.topic) || a.topic == b.topic)
    };
    let sizes: Vec<usize> = results.chunk_by(is_same).map(<[_]>::len).collect();
    let mut results = results.into_iter();
    let mut topic = |size| {
        let (key, first) = results.next()?;
        let mut partitions = Vec::with_capacity(size);
        partitions.push(first);
        partitions.extend(results.by_ref().take(size - 1).map(|(_, data)| data));
        let (topic, topic_id) = (ByteString::from(&*key.topic), key.topic_id);
        Some(FetchableTopicResponse { topic, topic_id, partitions, ..Default::default() })
    };
    let responses = sizes.into_iter().map_while(&mut topic).collect();
    FetchResponse { session_id, responses, ..Default::default() }
}

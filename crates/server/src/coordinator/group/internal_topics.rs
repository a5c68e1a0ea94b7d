//! Topics that streams groups have for themselves (KIP-1071): made in the background, for whoever has none yet. The
//! member hears MISSING_INTERNAL_TOPICS until they are there, and why they could not be made.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytestring::ByteString;
use ottla_apis::Call;
use ottla_apis::context::Controller;
use ottla_common::ErrorCode;
use ottla_common::time::Time;
use ottla_coordinator::group::streams::{StatusCode, StreamsGroupHeartbeatResult};
use ottla_protocol::messages::create_topics_request::CreatableTopic;
use ottla_protocol::messages::create_topics_response::CreatableTopicResult;
use ottla_protocol::messages::streams_group_heartbeat_response::Status;
use ottla_protocol::messages::{CreateTopicsRequest, StreamsGroupHeartbeatResponse};
use tracing::{info, warn};

use super::topic_creation_errors::TopicCreationErrors;

/// The version of CreateTopics that brokers speak with the controller.
const CREATE_TOPICS_VERSION: i16 = 7;
/// How many topics' errors are remembered.
const ERRORS_MAX: usize = 1_000;
/// How many topics' errors a member is told.
const ERRORS_TOLD_MAX: usize = 3;
/// For so many heartbeats nobody tries to make a topic again that could not be made.
const HEARTBEATS_BETWEEN_ATTEMPTS: i64 = 2;

const LOGGER: &str = "kafka.server.DefaultAutoTopicCreationManager";

/// Has the controller make the internal topics of streams groups.
#[derive(Debug)]
pub struct StreamsInternalTopics {
    controller: Arc<dyn Controller>,
    time: Arc<dyn Time>,
    /// `request.timeout.ms` of a creation.
    timeout_ms: i32,
    creations: Arc<Mutex<Creations>>,
}

/// What is under way, and what failed a short time ago.
#[derive(Debug)]
struct Creations {
    in_flight: HashSet<ByteString>,
    errors: TopicCreationErrors,
}

impl StreamsInternalTopics {
    /// Sends creations to `controller`.
    pub fn new(controller: Arc<dyn Controller>, time: Arc<dyn Time>, timeout_ms: i32) -> Self {
        let creations = Creations { in_flight: HashSet::new(), errors: TopicCreationErrors::new(ERRORS_MAX) };
        Self { controller, time, timeout_ms, creations: Arc::new(Mutex::new(creations)) }
    }

    /// Begins to make the topics that the group lacks, and tells its member what went wrong the last time. Does not
    /// wait: the member's next heartbeat looks again.
    pub fn create_for(
        &self,
        call: &Call,
        result: StreamsGroupHeartbeatResult,
    ) -> StreamsGroupHeartbeatResponse {
        let StreamsGroupHeartbeatResult { mut response, creatable_topics, .. } = result;
        if creatable_topics.is_empty() {
            return response;
        }
        let names: Vec<ByteString> = creatable_topics.iter().map(|topic| topic.name.clone()).collect();
        let ttl_ms = i64::from(response.heartbeat_interval_ms).saturating_mul(HEARTBEATS_BETWEEN_ATTEMPTS);
        self.create(call, creatable_topics, ttl_ms);
        self.tell_errors(&names, &mut response);
        response
    }

    fn create(&self, call: &Call, topics: Vec<CreatableTopic>, ttl_ms: i64) {
        let topics = self.take_up(topics);
        if topics.is_empty() {
            return;
        }
        let names: Vec<ByteString> = topics.iter().map(|topic| topic.name.clone()).collect();
        let request = CreateTopicsRequest { topics, timeout_ms: self.timeout_ms, ..Default::default() };
        let call = Call { version: CREATE_TOPICS_VERSION, ..call.clone() };
        let (controller, time) = (Arc::clone(&self.controller), Arc::clone(&self.time));
        let creations = Arc::clone(&self.creations);
        tokio::spawn(async move {
            let response = controller.create_topics(&call, request).await;
            let now_ms = time.now_ms();
            let mut creations = lock(&creations);
            for name in &names {
                creations.in_flight.remove(name);
            }
            for topic in response.topics {
                creations.note(now_ms, ttl_ms, topic);
            }
        });
    }

    /// Leaves out topics that somebody is making, or could not make a short time ago.
    fn take_up(&self, topics: Vec<CreatableTopic>) -> Vec<CreatableTopic> {
        let now_ms = self.time.now_ms();
        let mut creations = lock(&self.creations);
        let is_due = |topic: &CreatableTopic| {
            creations.errors.get(now_ms, &topic.name).is_none()
                && creations.in_flight.insert(topic.name.clone())
        };
        topics.into_iter().filter(is_due).collect()
    }

    fn tell_errors(&self, names: &[ByteString], response: &mut StreamsGroupHeartbeatResponse) {
        let missing = StatusCode::MissingInternalTopics.value();
        let mut statuses = response.status.iter_mut().flatten();
        let Some(status) = statuses.find(|status| status.status_code == missing) else { return };
        let now_ms = self.time.now_ms();
        let creations = lock(&self.creations);
        let errors: Vec<String> = names
            .iter()
            .filter_map(|name| Some(format!("{name} ({})", creations.errors.get(now_ms, name)?)))
            .collect();
        add_errors(status, &errors);
    }
}

impl Creations {
    fn note(&mut self, now_ms: i64, ttl_ms: i64, topic: CreatableTopicResult) {
        let error = ErrorCode::from_code(topic.error_code);
        if error.is_none() {
            info!(target: LOGGER, "Created topic {}", topic.name);
            return;
        }
        let message = topic.error_message.as_deref().filter(|message| !message.is_empty());
        let message = message.unwrap_or(error.name()).to_owned();
        warn!(target: LOGGER, "Cannot create topic {}: {message}", topic.name);
        self.errors.put(now_ms, ttl_ms, topic.name, message);
    }
}

fn add_errors(status: &mut Status, errors: &[String]) {
    if errors.is_empty() {
        return;
    }
    let told: Vec<&str> = errors.iter().take(ERRORS_TOLD_MAX).map(String::as_str).collect();
    let mut list = told.join(", ");
    if errors.len() > told.len() {
        list.push_str(&format!(" and {} more", errors.len() - told.len()));
    }
    status.status_detail = format!("{}; Creation failed: {list}.", status.status_detail).into();
}

fn lock(creations: &Mutex<Creations>) -> MutexGuard<'_, Creations> {
    creations.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[path = "internal_topics_test.rs"]
mod tests;

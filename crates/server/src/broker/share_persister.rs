//! This broker as a client of share coordinators (KIP-932).
//!
//! Group coordinators begin and end what groups know of partitions, and leaders of partitions read and write it.
//! The share coordinator of a share-partition may be any broker, this one included. It is found by the cluster's
//! image, asked over the channel between brokers, and asked again where that is worth it: see [`sender`].

mod api;
mod channel;
mod client;
#[cfg(test)]
mod persister_test;
mod sender;

use std::sync::Arc;

use bytestring::ByteString;
use ottla_apis::context::BoxFuture;
use ottla_common::ErrorCode;
use ottla_common::time::Time;
use ottla_coordinator::share_state::{SharePartitionKey as StateKey, requests};
use ottla_protocol::messages::read_share_group_state_request::PartitionData;
use ottla_protocol::messages::{
    DeleteShareGroupStateRequest, DeleteShareGroupStateResponse, InitializeShareGroupStateRequest,
    InitializeShareGroupStateResponse, ReadShareGroupStateRequest, ReadShareGroupStateResponse,
    ReadShareGroupStateSummaryRequest, ReadShareGroupStateSummaryResponse, WriteShareGroupStateRequest,
    WriteShareGroupStateResponse,
};
use ottla_replica::share::{self, PersisterError, SharePartitionKey};
use tokio::runtime::Handle;
use tracing::error;

use self::api::{DeleteState, InitializeState, ReadState, ReadStateSummary, WriteState};
pub use self::channel::BrokerStateChannel;
pub(in crate::broker) use self::channel::error_code;
pub use self::client::StateChannel;
use self::client::StateClient;
use crate::coordinator::share_persister::{Persisted, Persister};

/// The logger's name, as Kafka's log lines have it.
const LOGGER: &str = "org.apache.kafka.server.share.persister.PersisterStateManager";

/// Asks share coordinators.
#[derive(Debug)]
pub struct SharePersister {
    initialize: StateClient<InitializeState>,
    read: StateClient<ReadState>,
    write: StateClient<WriteState>,
    delete: StateClient<DeleteState>,
    read_summary: StateClient<ReadStateSummary>,
}

impl SharePersister {
    /// A persister whose tasks run on `runtime` until it is dropped.
    pub fn start<C: StateChannel>(channel: &Arc<C>, time: &Arc<dyn Time>, runtime: &Handle) -> Self {
        Self {
            initialize: StateClient::start(Arc::clone(channel), Arc::clone(time), runtime),
            read: StateClient::start(Arc::clone(channel), Arc::clone(time), runtime),
            write: StateClient::start(Arc::clone(channel), Arc::clone(time), runtime),
            delete: StateClient::start(Arc::clone(channel), Arc::clone(time), runtime),
            read_summary: StateClient::start(Arc::clone(channel), Arc::clone(time), runtime),
        }
    }
}

/// For group coordinators. There is always an answer; what could not be done stands in it.
impl Persister for SharePersister {
    fn initialize_state(
        &self,
        request: InitializeShareGroupStateRequest,
    ) -> Persisted<'_, InitializeShareGroupStateResponse> {
        Box::pin(async move {
            let results = self.initialize.ask_all(requests::initialize_parts(request)).await;
            Ok(requests::initialize_response(results))
        })
    }

    fn read_state(&self, request: ReadShareGroupStateRequest) -> Persisted<'_, ReadShareGroupStateResponse> {
        Box::pin(async move {
            let results = self.read.ask_all(requests::read_parts(request)).await;
            Ok(requests::read_response(results))
        })
    }

    fn write_state(
        &self,
        request: WriteShareGroupStateRequest,
    ) -> Persisted<'_, WriteShareGroupStateResponse> {
        Box::pin(async move {
            let results = self.write.ask_all(requests::write_parts(request)).await;
            Ok(requests::write_response(results))
        })
    }

    fn delete_state(
        &self,
        request: DeleteShareGroupStateRequest,
    ) -> Persisted<'_, DeleteShareGroupStateResponse> {
        Box::pin(async move {
            let results = self.delete.ask_all(requests::delete_parts(request)).await;
            Ok(requests::delete_response(results))
        })
    }

    fn read_summary(
        &self,
        request: ReadShareGroupStateSummaryRequest,
    ) -> Persisted<'_, ReadShareGroupStateSummaryResponse> {
        Box::pin(async move {
            let results = self.read_summary.ask_all(requests::read_summary_parts(request)).await;
            Ok(requests::read_summary_response(results))
        })
    }
}

/// For leaders of partitions.
impl share::Persister for SharePersister {
    fn read_state<'a>(
        &'a self,
        key: &'a SharePartitionKey,
        leader_epoch: i32,
    ) -> BoxFuture<'a, Result<share::ReadState, PersisterError>> {
        let data = PartitionData { partition: key.partition, leader_epoch, ..Default::default() };
        let answer = self.read.ask(state_key(key), data);
        Box::pin(async move {
            let result = answer.await;
            tell_of_error("read", key, result.error_code, result.error_message.as_deref());
            share::ReadState::from_response(&result)
        })
    }

    fn write_state<'a>(
        &'a self,
        key: &'a SharePartitionKey,
        write: share::WriteState,
    ) -> BoxFuture<'a, Result<(), PersisterError>> {
        let answer = self.write.ask(state_key(key), write.to_request(key.partition));
        Box::pin(async move {
            let result = answer.await;
            tell_of_error("write", key, result.error_code, result.error_message.as_deref());
            PersisterError::check(ErrorCode::from_code(result.error_code))
        })
    }
}

fn state_key(key: &SharePartitionKey) -> StateKey {
    StateKey { group_id: ByteString::from(&*key.group_id), topic_id: key.topic_id, partition: key.partition }
}

/// Members are told in other words, so the coordinator's own are kept in the log.
fn tell_of_error(action: &str, key: &SharePartitionKey, error_code: i16, message: Option<&str>) {
    if error_code != 0 {
        let error = ErrorCode::from_code(error_code);
        let message = message.unwrap_or_default();
        error!(target: LOGGER, "Failed to {action} the state of share-partition {key}: {error} {message}");
    }
}

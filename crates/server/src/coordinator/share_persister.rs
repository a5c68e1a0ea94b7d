//! Who keeps how far share groups have come in each partition: the share coordinator (KIP-932), wherever it is.
//!
//! The group coordinator asks it to begin with partitions, to forget them, and to tell how far they are; the
//! leaders of the partitions ask it to read and to write. What goes wrong with one partition stands in the
//! answer; an error of the whole request means that nobody answered.

use std::fmt::Debug;

use ottla_apis::context::BoxFuture;
use ottla_common::ErrorCode;
use ottla_protocol::messages::{
    DeleteShareGroupStateRequest, DeleteShareGroupStateResponse, InitializeShareGroupStateRequest,
    InitializeShareGroupStateResponse, ReadShareGroupStateRequest, ReadShareGroupStateResponse,
    ReadShareGroupStateSummaryRequest, ReadShareGroupStateSummaryResponse, WriteShareGroupStateRequest,
    WriteShareGroupStateResponse,
};

/// The answer to a request to the share coordinator, or why there is none.
pub type Persisted<'a, T> = BoxFuture<'a, Result<T, ErrorCode>>;

/// The five requests to the share coordinator. A request may name partitions of several coordinators.
pub trait Persister: Debug + Send + Sync {
    /// Begins with partitions.
    fn initialize_state(
        &self,
        request: InitializeShareGroupStateRequest,
    ) -> Persisted<'_, InitializeShareGroupStateResponse>;

    /// Reads what is known of partitions, for their leader.
    fn read_state(&self, request: ReadShareGroupStateRequest) -> Persisted<'_, ReadShareGroupStateResponse>;

    /// Writes what became of records, for the leader of their partitions.
    fn write_state(
        &self,
        request: WriteShareGroupStateRequest,
    ) -> Persisted<'_, WriteShareGroupStateResponse>;

    /// Forgets partitions.
    fn delete_state(
        &self,
        request: DeleteShareGroupStateRequest,
    ) -> Persisted<'_, DeleteShareGroupStateResponse>;

    /// Tells how far partitions are.
    fn read_summary(
        &self,
        request: ReadShareGroupStateSummaryRequest,
    ) -> Persisted<'_, ReadShareGroupStateSummaryResponse>;
}

/// In place of a share coordinator where there is none.
#[derive(Debug, Clone, Copy)]
pub struct NoPersister;

fn nobody<'a, T: Send + 'a>() -> Persisted<'a, T> {
    Box::pin(std::future::ready(Err(ErrorCode::CoordinatorNotAvailable)))
}

impl Persister for NoPersister {
    fn initialize_state(
        &self,
        _: InitializeShareGroupStateRequest,
    ) -> Persisted<'_, InitializeShareGroupStateResponse> {
        nobody()
    }

    fn read_state(&self, _: ReadShareGroupStateRequest) -> Persisted<'_, ReadShareGroupStateResponse> {
        nobody()
    }

    fn write_state(&self, _: WriteShareGroupStateRequest) -> Persisted<'_, WriteShareGroupStateResponse> {
        nobody()
    }

    fn delete_state(&self, _: DeleteShareGroupStateRequest) -> Persisted<'_, DeleteShareGroupStateResponse> {
        nobody()
    }

    fn read_summary(
        &self,
        _: ReadShareGroupStateSummaryRequest,
    ) -> Persisted<'_, ReadShareGroupStateSummaryResponse> {
        nobody()
    }
}

//! The handlers' view of the share coordinator.

use ottla_apis::Call;
use ottla_apis::context::{BoxFuture, ShareCoordinator};
use ottla_protocol::messages::*;

use super::ShareCoordinatorService;

impl ShareCoordinator for ShareCoordinatorService {
    fn initialize_state<'a>(
        &'a self,
        _: &'a Call,
        request: InitializeShareGroupStateRequest,
    ) -> BoxFuture<'a, InitializeShareGroupStateResponse> {
        Box::pin(Self::initialize_state(self, request))
    }

    fn read_state<'a>(
        &'a self,
        _: &'a Call,
        request: ReadShareGroupStateRequest,
    ) -> BoxFuture<'a, ReadShareGroupStateResponse> {
        Box::pin(Self::read_state(self, request))
    }

    fn write_state<'a>(
        &'a self,
        _: &'a Call,
        request: WriteShareGroupStateRequest,
    ) -> BoxFuture<'a, WriteShareGroupStateResponse> {
        Box::pin(Self::write_state(self, request))
    }

    fn delete_state<'a>(
        &'a self,
        _: &'a Call,
        request: DeleteShareGroupStateRequest,
    ) -> BoxFuture<'a, DeleteShareGroupStateResponse> {
        Box::pin(Self::delete_state(self, request))
    }

    fn read_state_summary<'a>(
        &'a self,
        _: &'a Call,
        request: ReadShareGroupStateSummaryRequest,
    ) -> BoxFuture<'a, ReadShareGroupStateSummaryResponse> {
        Box::pin(Self::read_state_summary(self, request))
    }
}

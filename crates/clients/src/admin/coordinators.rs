//! Requests that only the coordinator of a group or of a transactional id answers.

use ottla_protocol::Request;

use super::Admin;
use crate::{ClientError, CoordinatorType};

impl Admin {
    /// Asks the coordinator of a key, again and elsewhere if need be.
    pub(super) async fn at_coordinator_of<R: Request, T>(
        &self,
        kind: CoordinatorType,
        key: &str,
        request: &R,
        read: impl Fn(i32, R::Response) -> Result<T, ClientError>,
    ) -> Result<T, ClientError> {
        self.client
            .retrying(R::API_KEY.name(), || async {
                let coordinator = self.client.find_coordinator(kind, key).await?;
                read(coordinator, self.client.send_to(coordinator, request).await?)
            })
            .await
    }
}

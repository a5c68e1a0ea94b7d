//! Who keeps the state of a group or of a transactional id.

use bytestring::ByteString;
use ottla_common::ErrorCode;
use ottla_protocol::Request;
use ottla_protocol::messages::FindCoordinatorRequest;

use super::Admin;
use crate::ClientError;

/// What a coordinator is looked up by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i8)]
pub enum CoordinatorType {
    /// The id of a group of any type.
    Group = 0,
    /// A transactional id.
    Transaction = 1,
}

impl CoordinatorType {
    const fn noun(self) -> &'static str {
        match self {
            Self::Group => "group",
            Self::Transaction => "transactional id",
        }
    }
}

impl Admin {
    /// The broker that coordinates a group or a transactional id.
    pub async fn find_coordinator(&self, kind: CoordinatorType, key: &str) -> Result<i32, ClientError> {
        const BATCHED: i16 = 4;
        let what = format!("coordinator of {} {key}", kind.noun());
        let connection = self.client.any().await?;
        let version = connection.version::<FindCoordinatorRequest>()?;
        let batched = version >= BATCHED;
        let request = FindCoordinatorRequest {
            key: if batched { ByteString::new() } else { key.into() },
            key_type: kind as i8,
            coordinator_keys: if batched { vec![key.into()] } else { Vec::new() },
            ..FindCoordinatorRequest::default()
        };
        let patience = self.client.settings().request_timeout;
        let response = connection.send_version(&request, version, patience).await?;
        if !batched {
            ClientError::check(what, response.error_code, response.error_message.as_deref())?;
            return Ok(response.node_id);
        }
        let found = response.coordinators.into_iter().find(|c| *c.key == *key);
        let found =
            found.ok_or_else(|| ClientError::api(what.as_str(), ErrorCode::CoordinatorNotAvailable, None))?;
        ClientError::check(what, found.error_code, found.error_message.as_deref())?;
        Ok(found.node_id)
    }

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
                let coordinator = self.find_coordinator(kind, key).await?;
                read(coordinator, self.client.send_to(coordinator, request).await?)
            })
            .await
    }
}

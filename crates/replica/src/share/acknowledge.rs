use std::sync::Arc;

use ottla_common::ErrorCode;
use ottla_share::{AcknowledgementBatch, SharePartitionError, SharePartitionId};
use thiserror::Error;
use tokio::sync::oneshot;

use super::hosted::ShareReply;
use super::manager::SharePartitionManager;

/// Why an acknowledgement does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ShareAcknowledgeError {
    /// Nobody fetched this partition for the group here, or not since this broker leads it.
    #[error("The share-partition is not known to this broker.")]
    UnknownSharePartition,
    /// The share-partition says so.
    #[error(transparent)]
    SharePartition(#[from] SharePartitionError),
    /// The broker is stopping.
    #[error("The share-partition is gone.")]
    Gone,
}

impl ShareAcknowledgeError {
    /// What a client is told.
    pub fn code(self) -> ErrorCode {
        match self {
            Self::UnknownSharePartition => ErrorCode::UnknownTopicOrPartition,
            Self::SharePartition(error) => error.code(),
            Self::Gone => ErrorCode::UnknownServerError,
        }
    }
}

/// The end of an acknowledgement that was taken down already.
#[derive(Debug)]
pub struct PendingAcknowledgement(Pending);

#[derive(Debug)]
enum Pending {
    Done(Result<(), ShareAcknowledgeError>),
    Written(oneshot::Receiver<ShareReply>),
}

impl PendingAcknowledgement {
    /// Waits until the share coordinator has it. It goes on without anybody waiting, too.
    pub async fn result(self) -> Result<(), ShareAcknowledgeError> {
        match self.0 {
            Pending::Done(result) => result,
            Pending::Written(receiver) => match receiver.await {
                Ok(result) => Ok(result?),
                Err(_) => Err(ShareAcknowledgeError::Gone),
            },
        }
    }
}

impl SharePartitionManager {
    /// A member says what became of records of one partition. The batches were
    /// [looked over](ottla_share::validate_acknowledgement_batches) before.
    pub fn acknowledge(
        self: &Arc<Self>,
        group_id: &str,
        member_id: &str,
        id: &SharePartitionId,
        batches: &[AcknowledgementBatch],
    ) -> PendingAcknowledgement {
        let Some(hosted) = self.get(group_id, id) else {
            return PendingAcknowledgement(Pending::Done(Err(ShareAcknowledgeError::UnknownSharePartition)));
        };
        let now_ms = self.now_ms();
        let taken = self.with(&hosted, |state| {
            let token = state.kernel.acknowledge(now_ms, member_id, batches)?;
            Ok::<_, SharePartitionError>(token.map(|token| state.expect_reply(token)))
        });
        PendingAcknowledgement(match taken {
            Ok(Some(receiver)) => Pending::Written(receiver),
            Ok(None) => Pending::Done(Ok(())),
            Err(error) => {
                if error.fences() {
                    self.fence(&hosted);
                }
                Pending::Done(Err(error.into()))
            }
        })
    }
}

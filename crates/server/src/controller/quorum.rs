//! What the controller needs of the metadata log.

use std::fmt::Debug;
use std::sync::Arc;

use ottla_metadata::{ApiMessageAndVersion, MetadataProvenance};
use ottla_raft::AppendError;

use crate::raft::CommittedBatch;

/// The metadata quorum's member in this process, as the controller writes to it.
pub trait MetadataQuorum: Debug + Send + Sync + 'static {
    /// Gives the records offsets, all in one batch, and returns the last.
    fn prepare_append(&self, epoch: i32, records: Vec<ApiMessageAndVersion>) -> Result<i64, AppendError>;
    /// Lets what was prepared go to the log.
    fn schedule_prepared_append(&self);
    /// As long as this node leads in this epoch: appends the records whenever nothing was appended for so
    /// long. The controller does not hear of them: records that say nothing are what this is for.
    fn append_when_idle(&self, epoch: i32, interval_ms: i64, records: Vec<ApiMessageAndVersion>);
    /// One past the last offset in the local log.
    fn log_end_offset(&self) -> i64;
    /// The finalized `kraft.version`.
    fn kraft_version(&self) -> i16;
    /// Who leads, if anybody does.
    fn leader_id(&self) -> Option<i32>;
    /// Gives up the leadership of this epoch.
    fn resign(&self, epoch: i32);
}

/// News from the metadata log, in its order.
#[derive(Debug, Clone, PartialEq)]
pub enum MetadataEvent {
    /// These records are committed. They follow on the last ones.
    Commit(Arc<CommittedBatch>),
    /// Start over from these records.
    LoadSnapshot {
        /// Where the snapshot ends.
        provenance: MetadataProvenance,
        /// Everything it says.
        records: Vec<ApiMessageAndVersion>,
    },
    /// This node leads in this epoch, or (`None`) does not lead.
    LeaderChange {
        /// The epoch in which this node leads.
        active_epoch: Option<i32>,
    },
}

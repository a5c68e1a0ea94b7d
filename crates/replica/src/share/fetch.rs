//! A share fetch, from its request to its answer.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use ottla_common::{ErrorCode, TransferableRecords};
use ottla_share::{
    AcquiredRecords, MemberId, ShareAcquireMode, SharePartitionError, SharePartitionId, fetch_plan,
};
use tokio::time::Instant;

use super::hosted::HostedSharePartition;
use super::manager::SharePartitionManager;
use super::parking::Parking;

/// What a member wants.
#[derive(Debug, Clone)]
pub struct ShareFetch {
    /// The share group.
    pub group_id: Arc<str>,
    /// Its member.
    pub member_id: MemberId,
    /// The epoch of the share session; partitions take turns by it.
    pub session_epoch: i32,
    /// Of these partitions.
    pub partitions: Vec<SharePartitionId>,
    /// How `max_records` is meant (KIP-1206).
    pub acquire_mode: ShareAcquireMode,
    /// The most records.
    pub max_records: i32,
    /// The most records in one range of the answer.
    pub batch_size: i32,
    /// How long it would wait for `min_bytes`.
    pub max_wait_ms: i32,
    /// Fewer bytes than these are not worth an answer before the time is up.
    pub min_bytes: i32,
    /// More bytes than these are not wanted, except that one batch always fits.
    pub max_bytes: i32,
}

/// What one partition answers.
#[derive(Debug, Clone)]
pub struct SharePartitionData {
    /// The code, or none.
    pub error: ErrorCode,
    /// What a person may read, with some errors.
    pub message: Option<String>,
    /// Batches with all that was acquired, where they lie in the log.
    pub records: Option<Arc<dyn TransferableRecords>>,
    /// What the member holds now.
    pub acquired: Vec<AcquiredRecords>,
}

impl SharePartitionData {
    /// Nothing, which is no error.
    pub(super) fn empty() -> Self {
        Self { error: ErrorCode::None, message: None, records: None, acquired: Vec::new() }
    }

    pub(super) fn failed(error: ErrorCode) -> Self {
        Self { error, ..Self::empty() }
    }
}

impl From<SharePartitionError> for SharePartitionData {
    fn from(error: SharePartitionError) -> Self {
        Self { message: Some(error.to_string()), ..Self::failed(error.code()) }
    }
}

/// A partition, and what was answered for it.
pub(super) type Answer = (SharePartitionId, SharePartitionData);

/// A partition that is fetched, and its share-partition.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) id: SharePartitionId,
    pub(super) hosted: Arc<HostedSharePartition>,
}

impl SharePartitionManager {
    /// Acquires records for a member, waiting for `min_bytes` of them as long as it would.
    ///
    /// Partitions that have nothing to tell are left out. The future may be dropped where it waits; it holds
    /// nothing then.
    pub async fn fetch_messages(
        self: &Arc<Self>,
        fetch: &ShareFetch,
    ) -> Vec<(SharePartitionId, SharePartitionData)> {
        if fetch.partitions.is_empty() || fetch.max_records <= 0 || fetch.max_bytes <= 0 {
            return Vec::new();
        }
        let (wanted, mut failed) = self.find_wanted(fetch);
        if wanted.is_empty() {
            return failed;
        }
        let mut answers = self.wait_and_acquire(fetch, &wanted).await;
        for Wanted { id, hosted } in &wanted {
            // It turned out while this waited. As in Kafka that does not end the wait: whoever asks again at
            // once would only have the share coordinator asked again.
            if let Some(error) = hosted.failure()
                && !answers.iter().any(|(answered, _)| answered == id)
            {
                failed.push((id.clone(), error.into()));
            }
        }
        answers.append(&mut failed);
        answers
    }

    /// The share-partitions of a request, in the order of their turns, and what cannot be fetched.
    fn find_wanted(self: &Arc<Self>, fetch: &ShareFetch) -> (Vec<Wanted>, Vec<Answer>) {
        let mut partitions = fetch.partitions.clone();
        // A share-partition that is wanted twice would wait for itself.
        let mut seen = BTreeSet::new();
        partitions.retain(|id| seen.insert((id.topic_id, id.partition)));
        fetch_plan::rotate(&mut partitions, fetch.session_epoch);
        let (mut wanted, mut failed) = (Vec::with_capacity(partitions.len()), Vec::new());
        for id in partitions {
            match self.initialized(&fetch.group_id, &id) {
                Ok(hosted) => wanted.push(Wanted { id, hosted }),
                Err(data) => failed.push((id, data)),
            }
        }
        (wanted, failed)
    }

    /// A share-partition that is loaded, or is being loaded.
    fn initialized(
        self: &Arc<Self>,
        group_id: &Arc<str>,
        id: &SharePartitionId,
    ) -> Result<Arc<HostedSharePartition>, SharePartitionData> {
        let hosted = self.get_or_create(group_id, id).map_err(SharePartitionData::failed)?;
        match self.with(&hosted, |state| state.kernel.maybe_initialize()) {
            Ok(()) | Err(SharePartitionError::Initializing | SharePartitionError::Fenced) => Ok(hosted),
            Err(error) => {
                self.forget(&hosted);
                Err(hosted.failure().unwrap_or(error).into())
            }
        }
    }

    async fn wait_and_acquire(self: &Arc<Self>, fetch: &ShareFetch, wanted: &[Wanted]) -> Vec<Answer> {
        let max_wait = Duration::from_millis(u64::try_from(fetch.max_wait_ms).unwrap_or(0));
        let deadline = Instant::now() + max_wait;
        // Most fetches find something at once, and need not be parked for that.
        if let Some(answers) = self.try_fetch(fetch, wanted, None, false) {
            return answers;
        }
        while Instant::now() < deadline {
            let mut parking = Parking::new(fetch.min_bytes, wanted);
            if let Some(answers) = self.try_fetch(fetch, wanted, Some(&mut parking), false) {
                return answers;
            }
            parking.wait(self.alarms(), deadline).await;
        }
        self.try_fetch(fetch, wanted, None, true).unwrap_or_default()
    }
}

use ottla_common::ErrorCode;
use ottla_storage::AppendError;

/// Where records ended up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appended {
    /// Offset of the first record; of a duplicate, the one it got the first time.
    pub base_offset: i64,
    /// Offset of the last record.
    pub last_offset: i64,
    /// When the log took them, if its topic stamps records itself; else -1.
    pub log_append_time_ms: i64,
    /// The first offset of the log.
    pub log_start_offset: i64,
    /// Whether every replica in sync has them already, so that nobody need wait for that.
    pub is_committed: bool,
}

/// Why records were not appended, in the client's terms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppendFailure {
    /// The code.
    pub error: ErrorCode,
    /// What a person may read.
    pub message: Option<String>,
    /// Records at fault, by their index in the batch (KIP-467).
    pub record_errors: Vec<(i32, String)>,
    /// The first offset of the log, -1 where it is not known.
    pub log_start_offset: i64,
}

impl From<ErrorCode> for AppendFailure {
    fn from(error: ErrorCode) -> Self {
        Self { error, message: None, record_errors: Vec::new(), log_start_offset: -1 }
    }
}

impl AppendFailure {
    pub(crate) fn from_log(error: AppendError, log_start_offset: i64) -> Self {
        let code = error.code();
        let message = Some(error.to_string());
        let record_errors = match error {
            AppendError::InvalidRecords { record_errors, .. } => {
                record_errors.into_iter().map(|e| (e.batch_index, e.message)).collect()
            }
            _ => Vec::new(),
        };
        Self { error: code, message, record_errors, log_start_offset }
    }
}

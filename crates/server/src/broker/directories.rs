//! What the controller is told of this broker's log directories.

use std::path::Path;
use std::sync::Arc;

use ottla_common::Uuid;
use ottla_storage::LogManager;

use super::lifecycle::DirectoryStates;
use super::live_config::LiveConfig;

/// The directories as the log manager and the configuration have them now.
#[derive(Debug)]
pub struct LogDirectories {
    /// Who knows which of them work.
    pub logs: Arc<LogManager>,
    /// Who knows which of them are cordoned.
    pub config: Arc<LiveConfig>,
}

impl DirectoryStates for LogDirectories {
    fn offline(&self) -> Vec<Uuid> {
        self.logs.offline_directory_ids()
    }

    fn cordoned(&self) -> Vec<Uuid> {
        let cordoned = self.config.current().cordoned_log_dirs();
        cordoned.iter().filter_map(|dir| self.logs.directory_id(Path::new(dir))).collect()
    }
}

//! `quorum-state`: what this node must not forget about elections, one line of JSON.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ottla_common::Uuid;
use ottla_protocol::records::raft::quorum_state_data::{QuorumStateData, Voter};
use ottla_raft::ElectionState;
use ottla_storage::fs::FileSystem;
use serde_json::Value;

/// Name of the file, beside the log.
pub(super) const QUORUM_STATE_FILE_NAME: &str = "quorum-state";

const MAX_BYTES: u64 = 1 << 20;
const HIGHEST_VERSION: i64 = 1;

/// Why the election state could not be read or written. A node that cannot must not vote.
#[derive(Debug, thiserror::Error)]
pub enum QuorumStateError {
    /// The disk failed.
    #[error("cannot access {path}: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The cause.
        error: io::Error,
    },
    /// The file is not what was written.
    #[error("{path} is malformed: {problem}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
}

/// The file.
#[derive(Debug)]
pub(super) struct FileQuorumStateStore {
    fs: Arc<dyn FileSystem>,
    path: PathBuf,
}

impl FileQuorumStateStore {
    pub(super) fn new(fs: Arc<dyn FileSystem>, log_dir: &Path) -> Self {
        Self { fs, path: log_dir.join(QUORUM_STATE_FILE_NAME) }
    }

    pub(super) fn read(&self) -> Result<Option<ElectionState>, QuorumStateError> {
        let bytes = self.fs.read_file(&self.path, MAX_BYTES).map_err(|error| self.io(error))?;
        let Some(bytes) = bytes else { return Ok(None) };
        let malformed = |problem: String| QuorumStateError::Malformed { path: self.path.clone(), problem };
        let text = std::str::from_utf8(&bytes).map_err(|error| malformed(error.to_string()))?;
        let line = text.lines().next().unwrap_or_default();
        let json: Value = serde_json::from_str(line).map_err(|error| malformed(error.to_string()))?;
        let data = parse(&json).map_err(malformed)?;
        Ok(Some(ElectionState::from_quorum_state_data(&data)))
    }

    /// Durable when it returns.
    pub(super) fn write(&self, state: &ElectionState, version: i16) -> Result<(), QuorumStateError> {
        let text = render(&state.to_quorum_state_data(version), version);
        self.fs.replace_file(&self.path, text.as_bytes()).map_err(|error| self.io(error))
    }

    fn io(&self, error: io::Error) -> QuorumStateError {
        QuorumStateError::Io { path: self.path.clone(), error }
    }
}

/// The fields stand in the order of the schema, the version last, as Kafka writes them.
fn render(data: &QuorumStateData, version: i16) -> String {
    let QuorumStateData { leader_id, leader_epoch, voted_id, .. } = data;
    if version == 0 {
        let voters: Vec<String> = data
            .current_voters
            .iter()
            .flatten()
            .map(|voter| format!("{{\"voterId\":{}}}", voter.voter_id))
            .collect();
        let voters = voters.join(",");
        return format!(
            "{{\"clusterId\":\"\",\"leaderId\":{leader_id},\"leaderEpoch\":{leader_epoch},\
             \"votedId\":{voted_id},\"appliedOffset\":{},\"currentVoters\":[{voters}],\"data_version\":0}}",
            data.applied_offset
        );
    }
    format!(
        "{{\"leaderId\":{leader_id},\"leaderEpoch\":{leader_epoch},\"votedId\":{voted_id},\
         \"votedDirectoryId\":\"{}\",\"data_version\":{version}}}",
        data.voted_directory_id
    )
}

fn parse(json: &Value) -> Result<QuorumStateData, String> {
    let number = |key: &str| json.get(key).and_then(Value::as_i64).ok_or(format!("{key} is missing"));
    let id = |key: &str| number(key).and_then(|n| i32::try_from(n).map_err(|_| format!("{key} is {n}")));
    let version = number("data_version")?;
    if !(0..=HIGHEST_VERSION).contains(&version) {
        return Err(format!("data_version {version} is not known"));
    }
    let mut data = QuorumStateData {
        leader_id: id("leaderId")?,
        leader_epoch: id("leaderEpoch")?,
        voted_id: id("votedId")?,
        ..Default::default()
    };
    if version == 0 {
        let voter = |voter: &Value| {
            let id = voter.get("voterId").and_then(Value::as_i64).and_then(|id| i32::try_from(id).ok());
            id.map(|voter_id| Voter { voter_id, ..Default::default() })
        };
        let voters = json.get("currentVoters").and_then(Value::as_array);
        data.current_voters = Some(voters.into_iter().flatten().filter_map(voter).collect());
    } else {
        let directory = json.get("votedDirectoryId").and_then(Value::as_str).unwrap_or_default();
        data.voted_directory_id =
            directory.parse::<Uuid>().map_err(|_| format!("votedDirectoryId is `{directory}`"))?;
    }
    Ok(data)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_raft::ReplicaKey;
    use ottla_storage::fs::OsFileSystem;

    #[test]
    fn the_text_is_kafkas() {
        let voted = ReplicaKey::new(1, "J8aAPcfLQt2bqs1JT_rMgQ".parse().unwrap());
        let state =
            ElectionState { epoch: 2, leader_id: None, voted_key: Some(voted), voters: Default::default() };
        assert_eq!(
            render(&state.to_quorum_state_data(1), 1),
            "{\"leaderId\":-1,\"leaderEpoch\":2,\"votedId\":1,\
             \"votedDirectoryId\":\"J8aAPcfLQt2bqs1JT_rMgQ\",\"data_version\":1}"
        );
        let state = ElectionState { epoch: 2, leader_id: Some(1), voted_key: None, voters: [1, 2].into() };
        assert_eq!(
            render(&state.to_quorum_state_data(0), 0),
            "{\"clusterId\":\"\",\"leaderId\":1,\"leaderEpoch\":2,\"votedId\":-1,\"appliedOffset\":0,\
             \"currentVoters\":[{\"voterId\":1},{\"voterId\":2}],\"data_version\":0}"
        );
    }

    #[test]
    fn what_was_written_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let store = FileQuorumStateStore::new(Arc::new(OsFileSystem), dir.path());
        assert_eq!(store.read().unwrap(), None);
        for version in 0..=1 {
            let mut state = ElectionState { epoch: 5, leader_id: Some(3), ..Default::default() };
            if version == 0 {
                state.voters = [3, 4].into();
            }
            store.write(&state, version).unwrap();
            assert_eq!(store.read().unwrap(), Some(state));
        }
        std::fs::write(dir.path().join(QUORUM_STATE_FILE_NAME), "{\"data_version\":9}").unwrap();
        assert!(matches!(store.read(), Err(QuorumStateError::Malformed { .. })));
    }
}

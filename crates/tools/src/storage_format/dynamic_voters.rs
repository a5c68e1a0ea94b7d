//! Voters as `--initial-controllers` names them (KIP-853): `id@host:port:directory`, separated by commas.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use ottla_common::Uuid;
use ottla_raft::{Endpoints, MAX_KRAFT_VERSION, ReplicaKey, VoterNode, VoterSet};

/// What is wrong with the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseVoterError {
    /// One voter is malformed.
    #[error("{0}")]
    Voter(&'static str),
    /// A number is out of its range.
    #[error("Invalid {0} in dynamic voter string.")]
    Invalid(String),
    /// There is none.
    #[error("No voters given.")]
    Empty,
    /// The same node twice.
    #[error("Node id {0} was specified more than once.")]
    Duplicate(i32),
}

/// One voter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DynamicVoter {
    /// Node id.
    pub node_id: i32,
    /// Host name or address.
    pub host: String,
    /// Port of its controller listener.
    pub port: u16,
    /// Id of its metadata directory.
    pub directory_id: Uuid,
}

impl FromStr for DynamicVoter {
    type Err = ParseVoterError;

    fn from_str(text: &str) -> Result<Self, ParseVoterError> {
        let wrong = ParseVoterError::Voter;
        let (id, rest) = text.trim().split_once('@').ok_or(wrong("No @ found in dynamic voter string."))?;
        if id.is_empty() {
            return Err(wrong("Invalid @ at beginning of dynamic voter string."));
        }
        let node_id: i32 =
            id.parse().map_err(|_| wrong("Failed to parse node id in dynamic voter string."))?;
        if node_id < 0 {
            return Err(ParseVoterError::Invalid(format!("negative node id {node_id}")));
        }
        if rest.is_empty() {
            return Err(wrong("No hostname found after node id."));
        }
        let (host, rest) = match rest.strip_prefix('[') {
            Some(rest) => rest
                .split_once(']')
                .ok_or(wrong("Hostname began with left bracket, but no right bracket was found."))?,
            None => {
                let colon = rest.find(':').ok_or(wrong("No colon following hostname could be found."))?;
                rest.split_at(colon)
            }
        };
        let rest = rest.strip_prefix(':').ok_or(wrong("Port section must start with a colon."))?;
        let (port, directory) =
            rest.split_once(':').ok_or(wrong("No colon following port could be found."))?;
        let port: i64 = port.parse().map_err(|_| wrong("Failed to parse port in dynamic voter string."))?;
        let port = u16::try_from(port).map_err(|_| ParseVoterError::Invalid(format!("port {port}")))?;
        let directory_id =
            directory.parse().map_err(|_| wrong("Failed to parse directory ID in dynamic voter string."))?;
        Ok(Self { node_id, host: host.to_owned(), port, directory_id })
    }
}

impl fmt::Display for DynamicVoter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { node_id, host, port, directory_id } = self;
        if host.contains(':') {
            write!(f, "{node_id}@[{host}]:{port}:{directory_id}")
        } else {
            write!(f, "{node_id}@{host}:{port}:{directory_id}")
        }
    }
}

/// The voters of a new cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DynamicVoters(BTreeMap<i32, DynamicVoter>);

impl DynamicVoters {
    /// These voters.
    pub fn new(voters: impl IntoIterator<Item = DynamicVoter>) -> Result<Self, ParseVoterError> {
        let mut all = BTreeMap::new();
        for voter in voters {
            if let Some(twice) = all.insert(voter.node_id, voter) {
                return Err(ParseVoterError::Duplicate(twice.node_id));
            }
        }
        if all.is_empty() { Err(ParseVoterError::Empty) } else { Ok(Self(all)) }
    }

    /// The voter with this node id.
    pub fn get(&self, node_id: i32) -> Option<&DynamicVoter> {
        self.0.get(&node_id)
    }

    /// The voters as the log has them.
    pub fn to_voter_set(&self, controller_listener_name: &str) -> VoterSet {
        VoterSet::new(self.0.values().map(|voter| VoterNode {
            key: ReplicaKey::new(voter.node_id, voter.directory_id),
            listeners: Endpoints::EMPTY.with(controller_listener_name, voter.host.clone(), voter.port),
            supported_kraft_versions: (0, MAX_KRAFT_VERSION),
        }))
    }
}

impl FromStr for DynamicVoters {
    type Err = ParseVoterError;

    fn from_str(text: &str) -> Result<Self, ParseVoterError> {
        let voters = text.trim().split(',').filter(|voter| !voter.is_empty());
        Self::new(voters.map(str::parse).collect::<Result<Vec<_>, _>>()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        let text = "3@[::1]:9093:JEXY6aqzQY-32P5TStzaFg";
        assert_eq!(text.parse::<DynamicVoter>().unwrap().to_string(), text);
        let text = "0@example.com:8082:JEXY6aqzQY-32P5TStzaFg,1@example.com:8083:MvDxzVmcRsaTz33bUuRU6A";
        let voters: DynamicVoters = text.parse().unwrap();
        assert_eq!(voters.get(1).unwrap().port, 8083);
        assert_eq!(
            voters.to_voter_set("controller").listeners(0).unwrap().get("CONTROLLER").unwrap().port,
            8082
        );
    }

    #[test]
    fn says_what_is_wrong() {
        let error = |text: &str| text.parse::<DynamicVoters>().unwrap_err().to_string();
        assert_eq!(error(""), "No voters given.");
        assert_eq!(error("x"), "No @ found in dynamic voter string.");
        assert_eq!(error("-1@h:1:x"), "Invalid negative node id -1 in dynamic voter string.");
        assert_eq!(error("1@h:99999:x"), "Invalid port 99999 in dynamic voter string.");
        assert_eq!(error("1@h:1:x"), "Failed to parse directory ID in dynamic voter string.");
        let one = "1@h:1:JEXY6aqzQY-32P5TStzaFg";
        assert_eq!(error(&format!("{one},{one}")), "Node id 1 was specified more than once.");
    }
}

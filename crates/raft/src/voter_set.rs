//! Who votes, and where voters can be reached.

use std::collections::BTreeMap;

use ottla_protocol::records::control::voters_record::{self, VotersRecord};

use crate::ReplicaKey;

/// Where a listener can be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
}

/// Listeners of a node by name, in the order in which they were given.
#[derive(Debug, Clone, Default)]
pub struct Endpoints(Vec<(String, Endpoint)>);

impl PartialEq for Endpoints {
    /// The order says nothing.
    fn eq(&self, other: &Self) -> bool {
        self.0.len() == other.0.len() && self.0.iter().all(|(name, at)| other.get(name) == Some(at))
    }
}

impl Eq for Endpoints {}

impl Endpoints {
    /// No listener.
    pub const EMPTY: Self = Self(Vec::new());

    /// Adds or replaces a listener. Names are upper case, as everywhere in Kafka's configuration.
    #[must_use]
    pub fn with(mut self, name: &str, host: impl Into<String>, port: u16) -> Self {
        let name = name.to_uppercase();
        self.0.retain(|(known, _)| *known != name);
        self.0.push((name, Endpoint { host: host.into(), port }));
        self
    }

    /// The listener of this name.
    pub fn get(&self, name: &str) -> Option<&Endpoint> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, endpoint)| endpoint)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Endpoint)> {
        self.0.iter().map(|(name, endpoint)| (name.as_str(), endpoint))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

/// A voter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VoterNode {
    /// Which replica it is.
    pub key: ReplicaKey,
    /// Its controller listeners.
    pub listeners: Endpoints,
    /// The levels of `kraft.version` it can speak, lowest and highest.
    pub supported_kraft_versions: (i16, i16),
}

impl VoterNode {
    /// Whether this replica is that voter. A voter without directory id is known by its node alone.
    pub fn is_voter(&self, replica: &ReplicaKey) -> bool {
        self.key.id == replica.id
            && (self.key.directory_id.is_none() || self.key.directory_id == replica.directory_id)
    }
}

/// The voters. From the configuration (a static quorum, `kraft.version` 0) or from the log (KIP-853).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VoterSet(BTreeMap<i32, VoterNode>);

impl VoterSet {
    /// A set of these.
    pub fn new(voters: impl IntoIterator<Item = VoterNode>) -> Self {
        Self(voters.into_iter().map(|voter| (voter.key.id, voter)).collect())
    }

    /// The voters that `controller.quorum.voters` names.
    pub fn from_static(listener: &str, voters: impl IntoIterator<Item = (i32, String, u16)>) -> Self {
        Self::new(voters.into_iter().map(|(id, host, port)| VoterNode {
            key: ReplicaKey { id, directory_id: None },
            listeners: Endpoints::EMPTY.with(listener, host, port),
            supported_kraft_versions: (0, 0),
        }))
    }

    /// How many voters there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many voters decide.
    pub fn majority(&self) -> usize {
        self.0.len() / 2 + 1
    }

    /// The voters by id.
    pub fn iter(&self) -> impl Iterator<Item = &VoterNode> {
        self.0.values()
    }

    /// Ids of the voters.
    pub fn ids(&self) -> impl Iterator<Item = i32> {
        self.0.keys().copied()
    }

    /// Whether the replica votes.
    pub fn is_voter(&self, replica: &ReplicaKey) -> bool {
        self.0.get(&replica.id).is_some_and(|voter| voter.is_voter(replica))
    }

    /// Whether the replica votes alone.
    pub fn is_only_voter(&self, replica: &ReplicaKey) -> bool {
        self.0.len() == 1 && self.is_voter(replica)
    }

    /// The voter with this id.
    pub fn get(&self, id: i32) -> Option<&VoterNode> {
        self.0.get(&id)
    }

    /// Where the voter with this id can be reached.
    pub fn listeners(&self, id: i32) -> Option<&Endpoints> {
        self.0.get(&id).map(|voter| &voter.listeners)
    }

    /// Whether the set has this very replica with other listeners or versions.
    pub fn voter_node_needs_update(&self, updated: &VoterNode) -> bool {
        self.0.get(&updated.key.id).is_some_and(|voter| voter.is_voter(&updated.key) && voter != updated)
    }

    /// The set with what is new about one of its voters; `None` if that is not a voter.
    pub fn update_voter(&self, updated: VoterNode) -> Option<Self> {
        self.is_voter(&updated.key).then(|| {
            let mut voters = self.0.clone();
            voters.insert(updated.key.id, updated);
            Self(voters)
        })
    }

    /// The set with one more voter; `None` if the id is taken.
    pub fn add_voter(&self, voter: VoterNode) -> Option<Self> {
        (!self.0.contains_key(&voter.key.id)).then(|| {
            let mut voters = self.0.clone();
            voters.insert(voter.key.id, voter);
            Self(voters)
        })
    }

    /// The set without this voter; `None` if it is no voter or the last.
    pub fn remove_voter(&self, key: &ReplicaKey) -> Option<Self> {
        (self.0.len() > 1 && self.0.get(&key.id).is_some_and(|voter| voter.key == *key)).then(|| {
            let mut voters = self.0.clone();
            voters.remove(&key.id);
            Self(voters)
        })
    }

    /// The control record that says so.
    pub fn to_voters_record(&self) -> VotersRecord {
        let endpoint = |(name, at): (&str, &Endpoint)| voters_record::Endpoint {
            name: name.into(),
            host: at.host.as_str().into(),
            port: at.port,
            ..Default::default()
        };
        let voter = |voter: &VoterNode| voters_record::Voter {
            voter_id: voter.key.id,
            voter_directory_id: voter.key.directory_id_or_zero(),
            endpoints: voter.listeners.iter().map(endpoint).collect(),
            k_raft_version_feature: voters_record::KRaftVersionFeature {
                min_supported_version: voter.supported_kraft_versions.0,
                max_supported_version: voter.supported_kraft_versions.1,
                ..Default::default()
            },
            ..Default::default()
        };
        VotersRecord { version: 0, voters: self.0.values().map(voter).collect(), ..Default::default() }
    }

    /// Reads the control record.
    pub fn from_voters_record(record: &VotersRecord) -> Self {
        Self::new(record.voters.iter().map(|voter| {
            let listeners = voter
                .endpoints
                .iter()
                .fold(Endpoints::EMPTY, |all, at| all.with(&at.name, at.host.to_string(), at.port));
            let versions = &voter.k_raft_version_feature;
            VoterNode {
                key: ReplicaKey::new(voter.voter_id, voter.voter_directory_id),
                listeners,
                supported_kraft_versions: (versions.min_supported_version, versions.max_supported_version),
            }
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_common::Uuid;

    fn voter(id: i32) -> VoterNode {
        VoterNode {
            key: ReplicaKey::new(id, Uuid::from_u128(100 + id as u128)),
            listeners: Endpoints::EMPTY.with("CONTROLLER", "localhost", 9093),
            supported_kraft_versions: (0, 1),
        }
    }

    #[test]
    fn static_voters_are_known_by_id_alone() {
        let voters = VoterSet::from_static("CONTROLLER", [(1, "localhost".into(), 9093)]);
        assert!(voters.is_only_voter(&ReplicaKey::new(1, Uuid::from_u128(9))));
        assert!(!voters.is_voter(&ReplicaKey::new(2, Uuid::from_u128(9))));
        let dynamic = VoterSet::new([voter(1)]);
        assert!(!dynamic.is_voter(&ReplicaKey::new(1, Uuid::from_u128(9))));
    }

    #[test]
    fn survives_the_record() {
        let voters = VoterSet::new([voter(1), voter(2), voter(3)]);
        assert_eq!(VoterSet::from_voters_record(&voters.to_voters_record()), voters);
        assert_eq!(voters.majority(), 2);
        assert_eq!(voters.add_voter(voter(4)).unwrap().majority(), 3);
        assert_eq!(voters.add_voter(voter(3)), None);
        assert_eq!(VoterSet::new([voter(1)]).remove_voter(&voter(1).key), None);
    }
}

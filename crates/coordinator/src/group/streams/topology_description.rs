use ottla_protocol::messages::streams_group_describe_response as describe;
use ottla_protocol::messages::streams_group_describe_response::DescribedGroup;
use ottla_protocol::messages::streams_group_topology_description_update_request as update;
use thiserror::Error;

use super::error::StreamsGroupError;

const SOURCE: i8 = 1;
const PROCESSOR: i8 = 2;
const SINK: i8 = 3;

/// What StreamsGroupDescribe says of a topology's description (KIP-1331).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TopologyDescriptionStatus {
    /// Nobody asked, or the group itself cannot be described.
    NotRequested,
    /// There is none.
    NotStored,
    /// There is one, and it cannot be had.
    Error,
    /// Here it is.
    Available,
}

impl TopologyDescriptionStatus {
    /// The number in the response.
    pub fn value(self) -> i8 {
        match self {
            Self::NotRequested => 0,
            Self::NotStored => 1,
            Self::Error => 2,
            Self::Available => 3,
        }
    }
}

/// Why a stored description cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the topology description cannot be had: {0}")]
pub struct TopologyDescriptionError(pub String);

/// Whether a description makes sense: nodes are of a kind, and a global store is a source with a processor.
pub fn validate_topology_description(
    description: &update::TopologyDescription,
) -> Result<(), StreamsGroupError> {
    let invalid = |reason: &str| Err(StreamsGroupError::InvalidRequest(reason.to_owned()));
    let stores = &description.global_stores;
    let nodes = description.subtopologies.iter().flat_map(|subtopology| &subtopology.nodes);
    let of_stores = stores.iter().flat_map(|store| [&store.source, &store.processor]);
    if nodes.chain(of_stores).any(|node| !(SOURCE..=SINK).contains(&node.node_type)) {
        return invalid("a node of the topology is of no known kind");
    }
    let is_store = |store: &update::TopologyDescriptionGlobalStore| {
        (store.source.node_type, store.processor.node_type) == (SOURCE, PROCESSOR)
    };
    if stores.iter().all(is_store) { Ok(()) } else { invalid("a global store is a source and a processor") }
}

/// Puts a stored description into the answer about its group. `Ok(None)`: it is not stored any more.
pub fn attach_topology_description(
    group: &mut DescribedGroup,
    stored: Result<Option<&update::TopologyDescription>, TopologyDescriptionError>,
) {
    let (status, description) = match stored {
        Ok(Some(description)) => {
            (TopologyDescriptionStatus::Available, Some(to_describe_response(description)))
        }
        Ok(None) => (TopologyDescriptionStatus::NotStored, None),
        Err(_) => (TopologyDescriptionStatus::Error, None),
    };
    group.topology_description_status = status.value();
    group.topology_description = description;
}

/// The description as StreamsGroupDescribe tells it. A node says only what goes with its kind.
pub fn to_describe_response(description: &update::TopologyDescription) -> describe::TopologyDescription {
    let subtopology =
        |subtopology: &update::TopologyDescriptionSubtopology| describe::TopologyDescriptionSubtopology {
            subtopology_id: subtopology.subtopology_id.clone(),
            nodes: subtopology.nodes.iter().map(node).collect(),
            ..Default::default()
        };
    let store = |store: &update::TopologyDescriptionGlobalStore| describe::TopologyDescriptionGlobalStore {
        source: node(&store.source),
        processor: node(&store.processor),
        ..Default::default()
    };
    describe::TopologyDescription {
        subtopologies: description.subtopologies.iter().map(subtopology).collect(),
        global_stores: description.global_stores.iter().map(store).collect(),
        ..Default::default()
    }
}

fn node(node: &update::TopologyDescriptionNode) -> describe::TopologyDescriptionNode {
    let is = |kind: i8| node.node_type == kind;
    describe::TopologyDescriptionNode {
        name: node.name.clone(),
        node_type: node.node_type,
        source_topics: if is(SOURCE) { node.source_topics.clone() } else { Vec::new() },
        sink_topic: if is(SINK) { node.sink_topic.clone() } else { None },
        stores: if is(PROCESSOR) { node.stores.clone() } else { Vec::new() },
        successors: node.successors.clone(),
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node_of(node_type: i8) -> update::TopologyDescriptionNode {
        update::TopologyDescriptionNode {
            name: "n".into(),
            node_type,
            source_topics: vec!["t".into()],
            sink_topic: Some("s".into()),
            stores: vec!["almacen".into()],
            ..Default::default()
        }
    }

    fn description(nodes: &[i8], store: Option<(i8, i8)>) -> update::TopologyDescription {
        let subtopology = update::TopologyDescriptionSubtopology {
            subtopology_id: "0".into(),
            nodes: nodes.iter().copied().map(node_of).collect(),
            ..Default::default()
        };
        let store = store.map(|(source, processor)| update::TopologyDescriptionGlobalStore {
            source: node_of(source),
            processor: node_of(processor),
            ..Default::default()
        });
        update::TopologyDescription {
            subtopologies: vec![subtopology],
            global_stores: store.into_iter().collect(),
            ..Default::default()
        }
    }

    #[test]
    fn nodes_are_of_known_kinds() {
        assert!(validate_topology_description(&description(&[1, 2, 3], Some((1, 2)))).is_ok());
        for nonsense in [description(&[0], None), description(&[4], None), description(&[], Some((2, 1)))] {
            let error = validate_topology_description(&nonsense).unwrap_err();
            assert_eq!(error.code(), ottla_common::ErrorCode::InvalidRequest);
        }
    }

    #[test]
    fn what_was_stored_is_told() {
        let stored = description(&[1, 3], None);
        let mut group = DescribedGroup::default();
        attach_topology_description(&mut group, Ok(Some(&stored)));
        assert_eq!(group.topology_description_status, 3);
        let nodes = &group.topology_description.as_ref().unwrap().subtopologies[0].nodes;
        assert_eq!((nodes[0].source_topics.len(), nodes[0].stores.len()), (1, 0));
        assert_eq!((nodes[0].sink_topic.clone(), nodes[1].sink_topic.clone()), (None, Some("s".into())));
        attach_topology_description(&mut group, Ok(None));
        assert_eq!((group.topology_description_status, group.topology_description.clone()), (1, None));
        attach_topology_description(&mut group, Err(TopologyDescriptionError("broken".into())));
        assert_eq!((group.topology_description_status, group.topology_description), (2, None));
    }
}

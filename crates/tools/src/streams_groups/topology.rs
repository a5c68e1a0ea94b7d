//! A topology as text, in the form that Kafka Streams itself gives it (KIP-1331).

use std::collections::{BTreeMap, BTreeSet};

use bytestring::ByteString;
use ottla_protocol::messages::streams_group_describe_response::{
    TopologyDescription, TopologyDescriptionNode as Node,
};

const SOURCE: i8 = 1;
const PROCESSOR: i8 = 2;
const SINK: i8 = 3;

/// Who sends records to each node.
type Predecessors<'a> = BTreeMap<&'a str, BTreeSet<&'a str>>;

/// The whole topology. A node of an unknown kind is the error.
pub(super) fn text(topology: &TopologyDescription) -> Result<String, String> {
    let mut text = "Topologies:\n".to_owned();
    for part in &topology.subtopologies {
        text.push_str(&format!("   Sub-topology: {}\n", part.subtopology_id));
        let nodes: Vec<&Node> = part.nodes.iter().collect();
        push_nodes(&mut text, &nodes)?;
    }
    let first_id = topology.subtopologies.len();
    for (id, store) in (first_id..).zip(&topology.global_stores) {
        if (store.source.node_type, store.processor.node_type) != (SOURCE, PROCESSOR) {
            return Err("Global store must be composed of a source and a processor node.".to_owned());
        }
        text.push_str(&format!("   Sub-topology: {id} for global store (will not generate tasks)\n"));
        push_nodes(&mut text, &[&store.source, &store.processor])?;
    }
    Ok(text)
}

fn push_nodes(text: &mut String, nodes: &[&Node]) -> Result<(), String> {
    let mut predecessors = Predecessors::new();
    for node in nodes {
        for successor in &node.successors {
            predecessors.entry(successor).or_default().insert(&node.name);
        }
    }
    for node in nodes {
        text.push_str(&format!("    {}\n", node_text(node, &predecessors)?));
    }
    text.push('\n');
    Ok(())
}

fn node_text(node: &Node, predecessors: &Predecessors<'_>) -> Result<String, String> {
    let name = &node.name;
    let to = names(node.successors.iter().map(|name| &**name).collect());
    let from = names(predecessors.get(&**name).cloned().unwrap_or_default());
    match node.node_type {
        SOURCE => Ok(format!("Source: {name} (topics: {})\n      --> {to}", set(&node.source_topics))),
        PROCESSOR => {
            let stores = set(&node.stores);
            Ok(format!("Processor: {name} (stores: {stores})\n      --> {to}\n      <-- {from}"))
        }
        SINK => {
            // A topic that is chosen record by record has no name.
            let topic = node.sink_topic.as_deref().unwrap_or("null");
            Ok(format!("Sink: {name} (topic: {topic})\n      <-- {from}"))
        }
        other => Err(format!("Unknown topology node type: {other}")),
    }
}

/// `[a, b]`.
fn set(words: &[ByteString]) -> String {
    let words: BTreeSet<&str> = words.iter().map(|word| &**word).collect();
    format!("[{}]", words.into_iter().collect::<Vec<_>>().join(", "))
}

fn names(names: BTreeSet<&str>) -> String {
    if names.is_empty() {
        return "none".to_owned();
    }
    names.into_iter().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use ottla_protocol::messages::streams_group_describe_response::{
        TopologyDescriptionGlobalStore, TopologyDescriptionSubtopology,
    };

    use super::*;

    fn node(name: &str, node_type: i8, successors: &[&str]) -> Node {
        let successors = successors.iter().map(|name| (*name).into()).collect();
        Node { name: name.into(), node_type, successors, ..Node::default() }
    }

    #[test]
    fn word_count() {
        let source = Node { source_topics: vec!["b".into(), "a".into()], ..node("read", SOURCE, &["count"]) };
        let count = Node { stores: vec!["counts".into()], ..node("count", PROCESSOR, &["write", "log"]) };
        let write = Node { sink_topic: Some("out".into()), ..node("write", SINK, &[]) };
        let log = node("log", SINK, &[]);
        let part = TopologyDescriptionSubtopology {
            subtopology_id: "0".into(),
            nodes: vec![source, count, write, log],
            ..Default::default()
        };
        let global = TopologyDescriptionGlobalStore {
            source: Node { source_topics: vec!["prices".into()], ..node("prices", SOURCE, &["keep"]) },
            processor: node("keep", PROCESSOR, &[]),
            ..Default::default()
        };
        let topology = TopologyDescription {
            subtopologies: vec![part],
            global_stores: vec![global],
            ..Default::default()
        };
        let lines = [
            "Topologies:",
            "   Sub-topology: 0",
            "    Source: read (topics: [a, b])",
            "      --> count",
            "    Processor: count (stores: [counts])",
            "      --> log, write",
            "      <-- read",
            "    Sink: write (topic: out)",
            "      <-- count",
            "    Sink: log (topic: null)",
            "      <-- count",
            "",
            "   Sub-topology: 1 for global store (will not generate tasks)",
            "    Source: prices (topics: [prices])",
            "      --> keep",
            "    Processor: keep (stores: [])",
            "      --> none",
            "      <-- prices",
            "",
        ];
        assert_eq!(text(&topology).unwrap().lines().collect::<Vec<_>>(), lines);
    }

    #[test]
    fn unknown_nodes_are_named() {
        let part = TopologyDescriptionSubtopology { nodes: vec![node("x", 9, &[])], ..Default::default() };
        let topology = TopologyDescription { subtopologies: vec![part], ..Default::default() };
        assert_eq!(text(&topology).unwrap_err(), "Unknown topology node type: 9");
    }
}

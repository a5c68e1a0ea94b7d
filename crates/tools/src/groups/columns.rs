//! Words and widths of the tables about groups.

use std::collections::BTreeMap;

use ottla_common::TopicPartition;

use crate::cluster::Cluster;

/// What stands where nothing is known.
pub(crate) const MISSING: &str = "-";

/// The value, or a dash.
pub(crate) fn or_missing(value: Option<impl ToString>) -> String {
    value.map_or_else(|| MISSING.to_owned(), |value| value.to_string())
}

/// The width of a column: that of its widest word, 15 at least.
pub(crate) fn width<'a>(texts: impl IntoIterator<Item = &'a str>) -> usize {
    width_min(15, texts)
}

/// The width of a column with another least width.
pub(crate) fn width_min<'a>(least: usize, texts: impl IntoIterator<Item = &'a str>) -> usize {
    texts.into_iter().map(|text| text.chars().count()).max().unwrap_or(0).max(least)
}

/// `a:0,1;b:2`; nothing for no partition.
pub(crate) fn assignment_text(partitions: &[TopicPartition]) -> String {
    let mut by_topic: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    for TopicPartition { topic, partition } in partitions {
        by_topic.entry(topic).or_default().push(*partition);
    }
    let topic = |(topic, mut ids): (&str, Vec<i32>)| {
        ids.sort_unstable();
        let ids: Vec<_> = ids.iter().map(ToString::to_string).collect();
        format!("{topic}:{}", ids.join(","))
    };
    by_topic.into_iter().map(topic).collect::<Vec<_>>().join(";")
}

/// `host:port`, this gap, and the id in brackets.
pub(crate) fn coordinator_text(cluster: &Cluster, coordinator: i32, gap: &str) -> String {
    let node = cluster.nodes().into_iter().find(|node| node.id == coordinator);
    or_missing(node.map(|node| format!("{}:{}{gap}({})", node.host, node.port, node.id)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assignments_are_sorted() {
        let partitions = [("b", 2), ("a", 10), ("a", 9)].map(|(topic, id)| TopicPartition::new(topic, id));
        assert_eq!(assignment_text(&partitions), "a:9,10;b:2");
        assert_eq!(assignment_text(&[]), "");
    }

    #[test]
    fn columns_have_a_least_width() {
        assert_eq!((width(["abc"]), width(["a-name-of-twenty-one."])), (15, 21));
        assert_eq!(width_min(2, []), 2);
    }
}

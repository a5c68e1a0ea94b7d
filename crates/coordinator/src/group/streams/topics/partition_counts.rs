use std::collections::BTreeMap;

use bytestring::ByteString;
use ottla_protocol::records::group::streams_group_topology_value::Subtopology;

use super::configure::Refusal;
use super::copartition::enforce_copartitioning;
use crate::group::streams::StreamsTopology;
use crate::group::streams::topology::source_topics;
use crate::metadata::CoordinatorMetadata;

/// How many partitions topics have, or are to have: what exists counts before what was decided.
#[derive(Debug)]
pub(super) struct PartitionCounts<'a> {
    metadata: &'a dyn CoordinatorMetadata,
    decided: BTreeMap<ByteString, i32>,
}

impl<'a> PartitionCounts<'a> {
    /// Decides for every topic that the application has for itself.
    pub(super) fn decide(
        topology: &StreamsTopology,
        metadata: &'a dyn CoordinatorMetadata,
    ) -> Result<Self, Refusal> {
        let mut counts = Self { metadata, decided: BTreeMap::new() };
        let decided = counts.repartition_topics(topology)?;
        counts.decided.extend(decided);
        enforce_copartitioning(topology, &mut counts)?;
        counts.decide_changelog_topics(topology)?;
        Ok(counts)
    }

    /// How many partitions this topic has, or is to have.
    pub(super) fn get(&self, topic: &ByteString) -> Option<i32> {
        let existing = self.metadata.topic(topic).map(|topic| topic.num_partitions);
        existing.or_else(|| self.decided.get(topic).copied())
    }

    /// What was decided for this topic, whatever it has.
    pub(super) fn decided(&self, topic: &ByteString) -> Option<i32> {
        self.decided.get(topic).copied()
    }

    pub(super) fn put(&mut self, topic: ByteString, partitions: i32) {
        self.decided.insert(topic, partitions);
    }

    /// As many tasks as the source topic with the most partitions has partitions.
    pub(super) fn number_of_tasks(&self, subtopology: &Subtopology) -> Result<i32, Refusal> {
        let id = &subtopology.subtopology_id;
        let mut most = None;
        for topic in source_topics(subtopology) {
            let partitions = self.get(topic);
            let partitions = partitions.ok_or_else(|| {
                Refusal::topology(format!("nothing tells how many partitions topic {topic} has"))
            })?;
            most = most.max(Some(partitions));
        }
        most.ok_or_else(|| Refusal::topology(format!("subtopology {id} reads no topic")))
    }

    /// A repartition topic whose writer says nothing has as many partitions as the widest topic that its
    /// writer reads. That may be a repartition topic itself: round after round, one more is known.
    fn repartition_topics(&self, topology: &StreamsTopology) -> Result<BTreeMap<ByteString, i32>, Refusal> {
        let subtopologies = topology.subtopologies().values();
        let sources = subtopologies.clone().flat_map(|subtopology| &subtopology.repartition_source_topics);
        let fixed = sources.clone().filter(|topic| topic.partitions != 0);
        let mut counts: BTreeMap<_, _> = fixed.map(|topic| (topic.name.clone(), topic.partitions)).collect();
        loop {
            let (mut missing, mut progress) = (false, false);
            for subtopology in subtopologies.clone() {
                for sink in &subtopology.repartition_sink_topics {
                    if counts.contains_key(sink) {
                        continue;
                    }
                    match self.widest_source(subtopology, &counts) {
                        None => missing = true,
                        Some(partitions) => {
                            counts.insert(sink.clone(), partitions);
                            progress = true;
                        }
                    }
                }
            }
            if !missing {
                break;
            }
            if !progress {
                let reason = "the repartition topics feed each other: no number of partitions can be found";
                return Err(Refusal::topology(reason.to_owned()));
            }
        }
        for topic in sources {
            if !counts.contains_key(&topic.name) {
                return Err(Refusal::topology(format!("nobody writes repartition topic {}", topic.name)));
            }
        }
        Ok(counts)
    }

    fn widest_source(&self, subtopology: &Subtopology, counts: &BTreeMap<ByteString, i32>) -> Option<i32> {
        let repartition = subtopology.repartition_source_topics.iter();
        let repartition = repartition.filter_map(|topic| counts.get(&topic.name).copied());
        let external = subtopology.source_topics.iter().filter_map(|topic| self.get(topic));
        repartition.chain(external).max()
    }

    fn decide_changelog_topics(&mut self, topology: &StreamsTopology) -> Result<(), Refusal> {
        for subtopology in topology.subtopologies().values() {
            let tasks = self.number_of_tasks(subtopology)?;
            for topic in &subtopology.state_changelog_topics {
                self.put(topic.name.clone(), tasks);
            }
        }
        Ok(())
    }
}

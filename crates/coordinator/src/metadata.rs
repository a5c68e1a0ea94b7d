//! What coordinators need to know of the cluster, without holding its image.

use std::fmt::Debug;

use bytestring::ByteString;
use ottla_common::Uuid;

/// A topic as coordinators see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CoordinatorTopic {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub name: ByteString,
    /// How many partitions it has.
    pub num_partitions: i32,
}

/// The topics of the cluster at one moment. A shard holds the newest one and is told when there is another.
pub trait CoordinatorMetadata: Debug + Send + Sync {
    /// The offset in the metadata log that this is the state of. Grows.
    fn version(&self) -> i64;

    /// The topic of this name.
    fn topic(&self, name: &str) -> Option<CoordinatorTopic>;

    /// The topic of this id.
    fn topic_by_id(&self, id: Uuid) -> Option<CoordinatorTopic>;

    /// Every topic's name, in no order.
    fn topic_names(&self) -> Box<dyn Iterator<Item = ByteString> + '_>;

    /// The racks of the brokers that hold a replica of this partition, those without a rack left out.
    fn partition_racks(&self, id: Uuid, partition: i32) -> Vec<ByteString>;
}

/// A cluster without topics: what a shard knows before it is told.
#[derive(Debug, Clone, Copy)]
pub struct NoTopics;

impl CoordinatorMetadata for NoTopics {
    fn version(&self) -> i64 {
        -1
    }

    fn topic(&self, _name: &str) -> Option<CoordinatorTopic> {
        None
    }

    fn topic_by_id(&self, _id: Uuid) -> Option<CoordinatorTopic> {
        None
    }

    fn topic_names(&self) -> Box<dyn Iterator<Item = ByteString> + '_> {
        Box::new(std::iter::empty())
    }

    fn partition_racks(&self, _id: Uuid, _partition: i32) -> Vec<ByteString> {
        Vec::new()
    }
}

//! What the kinds of cells do with a broker.

pub mod connections;
pub mod evicted;
pub mod footprint;
pub mod groups;
pub mod latency;
pub mod partitions;
pub mod produce;
pub mod start;
pub mod trickle;
pub mod write_back;

//! `storage`: makes log directories ready for a node, and tells about them, as `kafka-storage.sh` does.

mod arguments;
mod command;
mod dynamic_voters;
mod features;
mod formatter;
mod info;
mod node_config;

pub(crate) use command::run;
pub use dynamic_voters::{DynamicVoter, DynamicVoters, ParseVoterError};
pub use formatter::{Formatter, FormatterError, random_uuid};

#[cfg(test)]
mod storage_format_test;

//! Who is to do which task.
//!
//! An assignor gets a [`GroupSpec`]: what the application's subtopologies are and what every member does
//! now. It knows nothing of epochs or of how members get from one assignment to the next.

mod load;
mod sticky;
mod sticky_state;

use std::collections::BTreeMap;

use bytestring::ByteString;
use thiserror::Error;

use super::tasks::{Tasks, TasksTuple};

pub use sticky::StickyTaskAssignor;

/// What an assignor is told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GroupSpec {
    /// The members, by id.
    pub members: BTreeMap<ByteString, MemberSpec>,
    /// The subtopologies, by id.
    pub subtopologies: BTreeMap<ByteString, SubtopologySpec>,
    /// How many copies of every stateful task's state there are to be.
    pub num_standby_replicas: usize,
}

/// What an assignor is told of a member.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemberSpec {
    /// The process that it is a part of.
    pub process_id: ByteString,
    /// What it processes now.
    pub active: Tasks,
    /// What it keeps copies of now.
    pub standby: Tasks,
    /// Up to where it has the state of tasks, whether they are given to it or left on its disk.
    pub task_offsets: BTreeMap<ByteString, BTreeMap<i32, i64>>,
}

/// What an assignor is told of a subtopology.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubtopologySpec {
    /// How many tasks it has.
    pub number_of_tasks: i32,
    /// Whether its tasks have state.
    pub is_stateful: bool,
}

/// What an assignor says: every member's tasks. It says nothing of warm-up tasks, which are a matter of
/// getting there.
pub type GroupAssignment = BTreeMap<ByteString, TasksTuple>;

/// Why there is no assignment.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TaskAssignorError {
    /// There are tasks and nobody to do them.
    #[error("no member can take an active task")]
    NoMembers,
}

/// A way to spread tasks over members.
pub trait TaskAssignor {
    /// Kafka's name of it.
    fn name(&self) -> &'static str;

    /// Spreads the tasks.
    fn assign(&self, group: &GroupSpec) -> Result<GroupAssignment, TaskAssignorError>;
}

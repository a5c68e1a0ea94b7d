//! Groups that use JoinGroup, SyncGroup, Heartbeat and LeaveGroup.
//!
//! [`ClassicGroup`] is the state, [`rebalance`] the moves between its states. What a group knows
//! beyond its newest generation (who waits for a rebalance, say) is not in the log, as in Kafka: a
//! new coordinator starts from the newest generation, and members find their way back into it.

mod from_record;
mod group;
mod member;
pub(crate) mod rebalance;
mod state;
mod subscription;

pub use group::ClassicGroup;
pub(crate) use member::protocols_of;
pub use member::{ClassicGroupMember, Protocol};
pub use state::ClassicGroupState;

//! Puts the house on the ground.

pub mod config;
pub mod coordinator;
pub mod logging;
pub mod raft;

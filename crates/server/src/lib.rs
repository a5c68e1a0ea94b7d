//! Puts the house on the ground.

pub mod broker;
pub mod command;
pub mod config;
pub mod controller;
pub mod coordinator;
pub mod logging;
pub mod node;
pub mod raft;

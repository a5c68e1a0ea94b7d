//! Puts the house on the ground.

pub mod logging;

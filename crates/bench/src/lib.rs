//! The load generator `kbench` and the denominator `floor` of `cargo xtask bench`.
//!
//! One crate with two binaries: both speak the same few old versions of the protocol and are tested
//! against each other in one process. It stands outside the house: it uses none of the product's
//! crates, so that it can judge them, and nothing of the product depends on it, so that building the
//! product never builds it.

pub mod batch;
pub mod client;
pub mod floor;
pub mod histogram;
pub mod load;
pub mod wire;

//! What the codec of every message and version must do, without looking at a single message by name.

mod allocation;
mod hostile_input;
mod java;
mod kafka_protocol_crate;
mod round_trip;

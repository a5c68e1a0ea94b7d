//! Given records, when request, then records and errors. One file per manager.

mod activation;
mod brokers;
mod change_builder;
mod configs;
mod features;
mod invariants;
mod partitions;
mod topics;

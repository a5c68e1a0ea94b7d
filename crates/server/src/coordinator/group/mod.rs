//! The group coordinator's service: groups of every type, kept in `__consumer_offsets`.

mod kind;
mod membership;
mod offsets;
mod service;
#[cfg(test)]
mod kafka_log_test;
#[cfg(test)]
mod service_test;

pub use kind::GroupCoordinators;
pub use service::GroupCoordinatorService;

//! The log on disk.

pub mod log_config_def;

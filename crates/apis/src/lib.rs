//! One file per request.

pub mod support;

//! What several handlers share.

pub mod fetch_session;

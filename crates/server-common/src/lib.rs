//! Tools of the server trade: timelines, purgatories, timers.

//! The KRaft consensus kernel.

//! How the cluster changes.

//! Replicas of a partition on this broker.

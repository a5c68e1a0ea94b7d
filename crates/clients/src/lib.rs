//! Producer, consumer and admin.

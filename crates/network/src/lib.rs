//! Sockets in and out.

//! One file per request.

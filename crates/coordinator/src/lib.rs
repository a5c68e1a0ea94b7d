//! Every coordinator, and the frame they hang in.

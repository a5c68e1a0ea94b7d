//! Sockets in and out.
//!
//! [`SocketServer`] owns the listeners of one node role. Each accepted socket is one task, a
//! `Connection`: it cuts frames out of the stream, reads the request header, asks the
//! [`RequestHandler`] and writes the answers in the order of the requests, one request at a time.
//! What a request means is no business of this room; it never decodes a body.
//!
//! Back-pressure needs no queue here: a connection whose request is being served is not read, so
//! there are never more requests than connections (Kafka's `queued.max.requests` guards a queue
//! that does not exist), and `queued.max.request.bytes` bounds the memory of their bodies.
//! A connection that waits for its next request holds no buffer: the thread lends it one.

mod acceptor;
mod config;
mod connection;
mod context;
mod frame;
mod header;
mod http;
mod idle;
mod inbound;
mod memory_pool;
mod outbound;
mod quotas;
mod records_copy;
mod server;
mod transport;

pub use config::{
    ConnectionLimits, ListenerConfig, SecurityProtocol, SocketServerConfig, UnknownSecurityProtocol,
};
pub use context::{
    ClientInformation, ConnectionInfo, HandlerResult, RequestContext, RequestHandler, Response,
};
pub use frame::{FrameError, MAX_FRAME_BYTES_DEFAULT, frame_length};
pub use quotas::{ConnectionQuotas, ConnectionSlot, TooManyConnections};
pub use server::{BindError, SocketServer};

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use bytestring::ByteString;
use ottla_protocol::ApiKey;

/// What is known of a request before its body is read.
#[derive(Debug, Clone)]
pub struct RequestContext {
    /// Name of the listener it came through.
    pub listener: Arc<str>,
    /// The client's address.
    pub peer: SocketAddr,
    /// The API.
    pub api_key: ApiKey,
    /// The version asked for, which need not exist.
    pub api_version: i16,
    /// What the client will know the response by.
    pub correlation_id: i32,
    /// What the client calls itself.
    pub client_id: Option<ByteString>,
}

/// What becomes of a request.
#[derive(Debug)]
pub enum HandlerResult {
    /// The response's header and body, without the length.
    Response(Bytes),
    /// The client wants no answer.
    NoResponse,
    /// The connection ends.
    Close,
}

/// Serves requests. One connection calls it for one request at a time.
pub trait RequestHandler: Send + Sync + 'static {
    /// Serves one request.
    fn handle(&self, context: RequestContext, body: Bytes) -> impl Future<Output = HandlerResult> + Send;
}

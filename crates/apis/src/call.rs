use std::sync::Arc;

use bytestring::ByteString;

/// What a handler may know of the request besides its body.
#[derive(Debug, Clone)]
pub struct Call {
    /// Version of the request and its response.
    pub version: i16,
    /// Name of the listener it came through: endpoints in answers are that listener's.
    pub listener: Arc<str>,
    /// Kafka's name of the connection: what a client has here may end with it. Empty within the broker.
    pub connection_id: Arc<str>,
    /// What the client calls itself.
    pub client_id: Option<ByteString>,
    /// Address of the client, as groups record it: `/127.0.0.1`.
    pub client_host: ByteString,
}

impl Call {
    /// The client's id, empty when it gave none.
    pub fn client_id(&self) -> &str {
        self.client_id.as_deref().unwrap_or_default()
    }
}

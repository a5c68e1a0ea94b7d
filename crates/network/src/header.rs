use std::sync::Arc;

use bytes::Bytes;
use ottla_protocol::messages::RequestHeader;
use ottla_protocol::{ApiKey, DecodeError, Message, Reader};

use crate::{ConnectionInfo, RequestContext, RequestHandler};

/// A frame that is no request this listener serves. Kafka closes the connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InvalidRequest {
    #[error("unknown API key {0}")]
    UnknownApi(i16),
    #[error("{api:?} version {version} is not served here")]
    Disabled { api: ApiKey, version: i16 },
    #[error("unreadable request header: {0}")]
    Header(#[from] DecodeError),
}

/// Splits a frame into its header and its body.
pub(crate) fn parse_request<H: RequestHandler>(
    handler: &H,
    connection: &Arc<ConnectionInfo>,
    frame: Bytes,
) -> Result<(RequestContext, Bytes), InvalidRequest> {
    let mut r = Reader::new(frame);
    // The header's own version depends on its first two fields.
    let mut peek = r.clone();
    let (key, version) = (peek.i16()?, peek.i16()?);
    let api_key = ApiKey::from_i16(key).ok_or(InvalidRequest::UnknownApi(key))?;
    let served =
        api_key == ApiKey::ApiVersions || handler.is_api_enabled(&connection.listener, api_key, version);
    if !served {
        return Err(InvalidRequest::Disabled { api: api_key, version });
    }
    let header = RequestHeader::decode(&mut r, api_key.request_header_version(version))?;
    let context = RequestContext {
        connection: Arc::clone(connection),
        api_key,
        api_version: version,
        correlation_id: header.correlation_id,
        client_id: connection.own_client_id(header.client_id.unwrap_or_default()),
    };
    Ok((context, r.rest()))
}

#[cfg(test)]
mod tests {
    use bytestring::ByteString;

    use crate::SecurityProtocol;

    use super::*;

    #[test]
    fn client_ids_do_not_keep_their_frames() {
        let address = ([127, 0, 0, 1], 9092).into();
        let connection =
            ConnectionInfo::new("PLAINTEXT".into(), SecurityProtocol::Plaintext, address, address, 0);
        for id in ["app-1", "app-1", "", "app-2"] {
            let frame = Bytes::from(format!("{id}, and much more").into_bytes());
            let borrowed = ByteString::try_from(frame.slice(..id.len())).unwrap();
            let own = connection.own_client_id(borrowed);
            assert_eq!(own, id);
            assert!(frame.is_unique(), "{id:?} holds on to its frame");
        }
    }
}

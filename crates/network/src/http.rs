//! One kind sentence for whoever opens the port with a browser.

/// What arrives first tells what the peer speaks, since no frame has these lengths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ForeignProtocol {
    /// A browser, a health check, a port scanner.
    Http,
    /// A client with `security.protocol=SSL` on a listener in the clear.
    Tls,
}

const VERBS: [&[u8; 4]; 10] =
    [b"GET ", b"HEAD", b"POST", b"PUT ", b"DELE", b"OPTI", b"PATC", b"CONN", b"TRAC", b"PRI "];

/// Looks at the first bytes of a connection.
pub(crate) fn detect(buffer: &[u8]) -> Option<ForeignProtocol> {
    let first = buffer.first_chunk::<4>()?;
    if VERBS.contains(&first) {
        return Some(ForeignProtocol::Http);
    }
    // A TLS record: handshake, version 3.x.
    (first[0] == 0x16 && first[1] == 3).then_some(ForeignProtocol::Tls)
}

/// The page.
pub(crate) fn page(listener: &str, address: &str) -> Vec<u8> {
    let body = format!(
        "This is Ottla, and this port ({listener}) speaks the Apache Kafka protocol, not HTTP.\n\
         Connect with any Kafka client: bootstrap.servers={address}\n\
         For example: ottla topics --bootstrap-server {address} --list\n"
    );
    format!(
        "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{MAX_FRAME_BYTES_DEFAULT, frame_length};

    #[test]
    fn no_verb_can_be_a_frame() {
        for verb in VERBS {
            assert!(frame_length(verb, MAX_FRAME_BYTES_DEFAULT).is_err());
            assert_eq!(detect(verb), Some(ForeignProtocol::Http));
        }
    }

    #[test]
    fn tls_is_seen_and_kafka_is_not_mistaken() {
        assert_eq!(detect(&[0x16, 3, 1, 2]), Some(ForeignProtocol::Tls));
        assert_eq!(detect(&[0, 0, 0, 30]), None);
        assert_eq!(detect(b"GET"), None);
    }
}

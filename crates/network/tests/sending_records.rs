//! Answers whose records lie in a file: every byte arrives in its place, however it is sent.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use ottla_common::{TransferSource, TransferableRecords};
use ottla_network::{
    HandlerResult, ListenerConfig, RequestContext, RequestHandler, Response, SocketServer, SocketServerConfig,
};
use ottla_protocol::messages::RequestHeader;
use ottla_protocol::{ApiKey, Message, Payload, Writer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(20);
const FILE_BYTES: usize = 3 << 20;

#[derive(Debug)]
struct Slice {
    file: Arc<File>,
    position: u64,
    len: usize,
    hidden: bool,
}

impl TransferableRecords for Slice {
    fn size_in_bytes(&self) -> usize {
        self.len
    }

    fn source(&self) -> TransferSource<'_> {
        if self.hidden {
            return TransferSource::Hidden;
        }
        TransferSource::File { file: Arc::clone(&self.file), position: self.position }
    }

    fn read_at(&self, position: usize, buffer: &mut [u8]) -> io::Result<usize> {
        let len = buffer.len().min(self.len - position);
        self.file.read_at(&mut buffer[..len], self.position + position as u64)
    }
}

/// Answers with slices of a file: the body is a list of (position, length, hidden).
struct Slices(Arc<File>);

impl RequestHandler for Slices {
    async fn handle(&self, ctx: RequestContext, body: Bytes) -> HandlerResult {
        let mut parts = vec![Payload::Bytes(Bytes::copy_from_slice(&ctx.correlation_id.to_be_bytes()))];
        for wish in body.chunks_exact(9) {
            let number = |at: usize| u32::from_be_bytes([wish[at], wish[at + 1], wish[at + 2], wish[at + 3]]);
            let (position, len, hidden) = (u64::from(number(0)), number(4) as usize, wish[8] == 1);
            parts.push(Payload::Bytes(Bytes::from_static(b"|")));
            parts.push(Payload::Records(Arc::new(Slice { file: self.0.clone(), position, len, hidden })));
        }
        Response::from_parts(parts).into()
    }
}

fn content() -> Vec<u8> {
    (0..FILE_BYTES).map(|i| (i * 7 + i / 251) as u8).collect()
}

async fn connect() -> (SocketServer, TcpStream) {
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(&content()).expect("written");
    let listener = ListenerConfig::plaintext("PLAINTEXT", "127.0.0.1", 0);
    let mut server = SocketServer::bind(SocketServerConfig::default(), &[listener]).expect("a free port");
    server.start(&Arc::new(Slices(Arc::new(file))));
    let address = server.bound_address("PLAINTEXT").expect("bound");
    (server, TcpStream::connect(address).await.expect("connects"))
}

fn request(wishes: &[(u32, u32, bool)]) -> Vec<u8> {
    let header = RequestHeader {
        request_api_key: ApiKey::Metadata as i16,
        request_api_version: 12,
        correlation_id: 5,
        ..RequestHeader::default()
    };
    let mut w = Writer::default();
    header.encode(&mut w, ApiKey::Metadata.request_header_version(12)).expect("encodes");
    let mut body = BytesMut::new();
    for (position, len, hidden) in wishes {
        body.put_u32(*position);
        body.put_u32(*len);
        body.put_u8(u8::from(*hidden));
    }
    w.raw(&body);
    [&(w.len() as u32).to_be_bytes(), w.as_slice()].concat()
}

fn expected(wishes: &[(u32, u32, bool)]) -> Vec<u8> {
    let content = content();
    let mut answer = 5i32.to_be_bytes().to_vec();
    for (position, len, _) in wishes {
        answer.push(b'|');
        answer.extend(&content[*position as usize..(*position + *len) as usize]);
    }
    answer
}

#[tokio::test]
async fn every_byte_arrives_in_its_place() {
    let (_server, mut client) = connect().await;
    let all: [&[(u32, u32, bool)]; 6] = [
        &[(0, 100, false)],
        &[(1, 32 * 1024, false), (77, 32 * 1024 + 1, false)],
        &[(5, 2_900_000, false)],
        &[(5, 2_900_000, true), (9, 10, true)],
        &[(100, 900_000, false), (0, 1, false), (3_000_000, 5000, true), (200, 1_200_000, false)],
        &[],
    ];
    // Pipelined, so that answers in pieces follow each other.
    for wishes in all {
        client.write_all(&request(wishes)).await.expect("sent");
    }
    for wishes in all {
        let read = async {
            let len = client.read_u32().await?;
            let mut frame = vec![0; len as usize];
            client.read_exact(&mut frame).await.map(|_| frame)
        };
        let frame = timeout(PATIENCE, read).await.expect("in time").expect("an answer");
        assert!(frame == expected(wishes), "{wishes:?}");
    }
}

#[tokio::test]
async fn a_file_that_was_cut_ends_the_connection() {
    for (len, hidden) in [(100, false), (500_000, false), (100, true)] {
        let (_server, mut client) = connect().await;
        let position = FILE_BYTES as u32 - 50;
        client.write_all(&request(&[(position, len, hidden)])).await.expect("sent");
        let mut rest = Vec::new();
        // A reset is an end, too.
        let _ = timeout(PATIENCE, client.read_to_end(&mut rest)).await.expect("an end in time");
        assert!(rest.len() < len as usize);
    }
}

//! Listeners over loopback, with a handler that echoes.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use ottla_network::{
    ConnectionLimits, HandlerResult, Listener, RequestContext, RequestHandler, SocketServer,
    SocketServerConfig,
};

/// Answers the correlation id and the body; closes on the body "close", is silent on "silent".
struct Echo;

impl RequestHandler for Echo {
    async fn handle(&self, context: RequestContext, body: Bytes) -> HandlerResult {
        match &body[..] {
            b"close" => HandlerResult::Close,
            b"silent" => HandlerResult::NoResponse,
            _ => {
                let mut response = BytesMut::new();
                response.put_i32(context.correlation_id);
                response.put_slice(&body);
                HandlerResult::Response(response.freeze())
            }
        }
    }
}

struct Running {
    runtime: tokio::runtime::Runtime,
    server: Option<SocketServer>,
    address: SocketAddr,
}

fn start(config: SocketServerConfig) -> Running {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (server, address) = runtime.block_on(async {
        let listener = Listener { name: "PLAINTEXT".into(), host: "127.0.0.1".into(), port: 0 };
        let mut server = SocketServer::bind(config, &[listener]).await.unwrap();
        let address = server.bound()[0].address;
        server.serve("PLAINTEXT", Arc::new(Echo));
        (server, address)
    });
    Running { runtime, server: Some(server), address }
}

impl Running {
    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream
    }
}

/// A Heartbeat v0 request: header version 1 with the client id "t".
fn request(correlation_id: i32, body: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    frame.put_i32(11 + body.len() as i32);
    frame.put_i16(12);
    frame.put_i16(0);
    frame.put_i32(correlation_id);
    frame.put_i16(1);
    frame.put_slice(b"t");
    frame.put_slice(body);
    frame
}

fn read_response(stream: &mut TcpStream) -> (i32, Vec<u8>) {
    let mut word = [0; 4];
    stream.read_exact(&mut word).unwrap();
    let mut rest = vec![0; i32::from_be_bytes(word) as usize];
    stream.read_exact(&mut rest).unwrap();
    (i32::from_be_bytes(rest[..4].try_into().unwrap()), rest[4..].to_vec())
}

fn assert_closed(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    // A reset is as good an end as a clean one; silence is none.
    if let Err(error) = stream.read_to_end(&mut rest) {
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    }
    assert!(rest.is_empty(), "{rest:?}");
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let server = start(SocketServerConfig::default());
    let mut stream = server.connect();
    let all: Vec<u8> = (0..500).flat_map(|i| request(i, format!("body {i}").as_bytes())).collect();
    stream.write_all(&all).unwrap();
    for i in 0..500 {
        assert_eq!(read_response(&mut stream), (i, format!("body {i}").into_bytes()));
    }
}

#[test]
fn a_request_may_come_byte_by_byte_and_be_large() {
    let server = start(SocketServerConfig::default());
    let mut stream = server.connect();
    for byte in request(7, b"slow") {
        stream.write_all(&[byte]).unwrap();
    }
    assert_eq!(read_response(&mut stream), (7, b"slow".to_vec()));
    let large = vec![9u8; 3 << 20];
    stream.write_all(&request(8, &large)).unwrap();
    assert_eq!(read_response(&mut stream), (8, large));
}

#[test]
fn impossible_lengths_and_unknown_apis_close_the_connection() {
    let config = SocketServerConfig { request_max_bytes: 1000, ..Default::default() };
    let server = start(config);
    for size in [-1i32, i32::MIN, 0, 1001, i32::MAX] {
        let mut stream = server.connect();
        stream.write_all(&size.to_be_bytes()).unwrap();
        assert_closed(&mut stream);
    }
    let mut stream = server.connect();
    stream.write_all(&[0, 0, 0, 8, 0x7f, 0xff, 0, 0, 0, 0, 0, 0]).unwrap();
    assert_closed(&mut stream);
}

#[test]
fn handlers_may_close_or_stay_silent() {
    let server = start(SocketServerConfig::default());
    let mut stream = server.connect();
    stream.write_all(&request(1, b"silent")).unwrap();
    stream.write_all(&request(2, b"loud")).unwrap();
    assert_eq!(read_response(&mut stream), (2, b"loud".to_vec()));
    stream.write_all(&request(3, b"close")).unwrap();
    assert_closed(&mut stream);
}

#[test]
fn idle_connections_end() {
    let config = SocketServerConfig { connections_max_idle: Duration::from_millis(50), ..Default::default() };
    let server = start(config);
    assert_closed(&mut server.connect());
}

#[test]
fn limits_refuse_the_next_connection() {
    let limits = ConnectionLimits { max: 1, ..Default::default() };
    let server = start(SocketServerConfig { limits, ..Default::default() });
    let mut first = server.connect();
    first.write_all(&request(1, b"a")).unwrap();
    read_response(&mut first);
    assert_closed(&mut server.connect());
    first.write_all(&request(2, b"b")).unwrap();
    assert_eq!(read_response(&mut first), (2, b"b".to_vec()));
}

#[test]
fn a_browser_gets_a_page() {
    let server = start(SocketServerConfig::default());
    let mut stream = server.connect();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).unwrap();
    assert!(page.starts_with("HTTP/1.1 400 "), "{page}");
    assert!(page.contains(&format!("bootstrap.servers={}", server.address)), "{page}");
}

#[test]
fn shutdown_closes_connections_and_the_port() {
    let mut server = start(SocketServerConfig::default());
    let mut stream = server.connect();
    stream.write_all(&request(1, b"a")).unwrap();
    read_response(&mut stream);
    let socket_server = server.server.take().unwrap();
    server.runtime.block_on(socket_server.shutdown(Duration::from_secs(10)));
    assert_closed(&mut stream);
    assert!(TcpStream::connect(server.address).is_err());
}

//! What a client sees of a socket server, with a toy handler that echoes.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use ottla_network::{
    ConnectionLimits, HandlerResult, ListenerConfig, RequestContext, RequestHandler, Response, SocketServer,
    SocketServerConfig,
};
use ottla_protocol::messages::RequestHeader;
use ottla_protocol::{ApiKey, Message, Writer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(20);
const LISTENER: &str = "PLAINTEXT";

/// Answers with correlation id and body; the body's first byte says how.
#[derive(Default)]
struct Echo {
    served: AtomicUsize,
    release: Notify,
}

impl RequestHandler for Echo {
    async fn handle(&self, ctx: RequestContext, body: Bytes) -> HandlerResult {
        self.served.fetch_add(1, Ordering::SeqCst);
        let mut answer = BytesMut::new();
        answer.put_i32(ctx.correlation_id);
        answer.extend_from_slice(&body);
        let response = Response::new(answer.freeze());
        match body.first() {
            Some(b'w') => {
                self.release.notified().await;
                response.into()
            }
            Some(b'y') => {
                tokio::task::yield_now().await;
                response.into()
            }
            Some(b'n') => HandlerResult::NO_RESPONSE,
            Some(b'c') => HandlerResult::Close,
            Some(b't') => response.with_throttle(Duration::from_millis(300)).into(),
            Some(b'b') => Response::new(vec![7; 4 << 20].into()).into(),
            _ => response.into(),
        }
    }
}

struct Setup {
    server: SocketServer,
    handler: Arc<Echo>,
}

impl Setup {
    fn new(edit: impl FnOnce(&mut SocketServerConfig)) -> Self {
        let mut config = SocketServerConfig::default();
        edit(&mut config);
        let listener = ListenerConfig::plaintext(LISTENER, "127.0.0.1", 0);
        let mut server = SocketServer::bind(config, &[listener]).expect("a free port");
        let handler = Arc::new(Echo::default());
        server.start(&handler);
        Self { server, handler }
    }

    async fn connect(&self) -> Client {
        let address = self.server.bound_address(LISTENER).expect("bound");
        Client(TcpStream::connect(address).await.expect("connects"))
    }

    async fn until(&self, condition: impl Fn(&Self) -> bool) {
        let waiting = async {
            while !condition(self) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        timeout(PATIENCE, waiting).await.expect("condition in time");
    }
}

struct Client(TcpStream);

impl Client {
    async fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.expect("sends");
    }

    async fn receive(&mut self) -> io::Result<(i32, Vec<u8>)> {
        let read = async {
            let len = self.0.read_i32().await?;
            let mut frame = vec![0; len as usize];
            self.0.read_exact(&mut frame).await?;
            let body = frame.split_off(4);
            Ok((i32::from_be_bytes([frame[0], frame[1], frame[2], frame[3]]), body))
        };
        timeout(PATIENCE, read).await.expect("an answer in time")
    }

    async fn is_closed(&mut self) -> bool {
        let mut byte = [0];
        !matches!(timeout(PATIENCE, self.0.read(&mut byte)).await.expect("an end in time"), Ok(1..))
    }
}

fn frame(payload: &[u8]) -> Vec<u8> {
    [&(payload.len() as i32).to_be_bytes(), payload].concat()
}

fn request_of(api: i16, version: i16, correlation_id: i32, body: &[u8]) -> Vec<u8> {
    let header = RequestHeader {
        request_api_key: api,
        request_api_version: version,
        correlation_id,
        client_id: Some("test".into()),
        ..RequestHeader::default()
    };
    let mut w = Writer::default();
    let header_version = ApiKey::from_i16(api).map_or(1, |api| api.request_header_version(version));
    header.encode(&mut w, header_version).expect("encodes");
    w.raw(body);
    frame(w.as_slice())
}

fn request(correlation_id: i32, body: &[u8]) -> Vec<u8> {
    request_of(ApiKey::Metadata as i16, 12, correlation_id, body)
}

#[tokio::test]
async fn answers_what_comes_in_pieces() {
    let setup = Setup::new(|_| {});
    let mut client = setup.connect().await;
    for piece in request(7, b"hello").chunks(3) {
        client.send(piece).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(client.receive().await.unwrap(), (7, b"hello".to_vec()));
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let setup = Setup::new(|_| {});
    let mut client = setup.connect().await;
    let mut all = Vec::new();
    for id in 0..500 {
        let body: &[u8] = match id % 3 {
            0 => b"y",
            1 => b"at once",
            _ => &[b'x'; 3000],
        };
        all.extend(request(id, body));
    }
    let (mut read, mut write) = client.0.split();
    let sending = write.write_all(&all);
    let receiving = async {
        for id in 0..500 {
            let len = read.read_i32().await.unwrap();
            assert_eq!(read.read_i32().await.unwrap(), id);
            let mut rest = vec![0; len as usize - 4];
            read.read_exact(&mut rest).await.unwrap();
        }
    };
    let both = async { tokio::join!(sending, receiving) };
    timeout(PATIENCE, both).await.unwrap().0.unwrap();
}

#[tokio::test]
async fn one_request_at_a_time_and_earlier_answers_do_not_wait() {
    let setup = Setup::new(|_| {});
    let mut client = setup.connect().await;
    client.send(&[request(1, b"a"), request(2, b"w"), request(3, b"b")].concat()).await;
    assert_eq!(client.receive().await.unwrap().0, 1);
    setup.until(|s| s.handler.served.load(Ordering::SeqCst) == 2).await;
    setup.handler.release.notify_one();
    assert_eq!(client.receive().await.unwrap().0, 2);
    assert_eq!(client.receive().await.unwrap().1.len(), (4 << 20) - 4);
}

#[tokio::test]
async fn slow_readers_get_everything() {
    let setup = Setup::new(|c| c.send_buffer_bytes = 4096);
    let mut client = setup.connect().await;
    client.send(&[request(1, b"b"), request(2, b"z")].concat()).await;
    let mut left = 4 + (4 << 20);
    let mut buffer = vec![0; 10_000];
    while left > 0 {
        let room = buffer.len().min(left);
        let n = timeout(PATIENCE, client.0.read(&mut buffer[..room])).await.unwrap().unwrap();
        assert!(n > 0);
        left -= n;
        tokio::task::yield_now().await;
    }
    assert_eq!(client.receive().await.unwrap(), (2, b"z".to_vec()));
}

#[tokio::test]
async fn bad_frames_end_their_connection_only() {
    let setup = Setup::new(|c| c.request_max_bytes = 1000);
    let mut good = setup.connect().await;
    let bad: [Vec<u8>; 9] = [
        (-1i32).to_be_bytes().to_vec(),
        i32::MIN.to_be_bytes().to_vec(),
        1001i32.to_be_bytes().to_vec(),
        i32::MAX.to_be_bytes().to_vec(),
        frame(b""),
        frame(&[0, 3, 0]),
        request_of(999, 0, 1, b""),
        request_of(ApiKey::Fetch as i16, 0, 1, b""),
        frame(&[0, 3, 0, 12, 0, 0, 0, 1, 0x7f, 0xff, b'x']),
    ];
    for bytes in bad {
        let mut client = setup.connect().await;
        client.send(&bytes).await;
        assert!(client.is_closed().await, "{bytes:?}");
    }
    good.send(&request(1, b"still here")).await;
    assert_eq!(good.receive().await.unwrap().1, b"still here");
}

#[tokio::test]
async fn api_versions_of_any_version_reaches_the_handler() {
    let setup = Setup::new(|_| {});
    let mut client = setup.connect().await;
    client.send(&request_of(ApiKey::ApiVersions as i16, 99, 5, b"future")).await;
    assert_eq!(client.receive().await.unwrap(), (5, b"future".to_vec()));
}

#[tokio::test]
async fn silence_and_closing_are_answers_too() {
    let setup = Setup::new(|_| {});
    let mut client = setup.connect().await;
    client.send(&[request(1, b"n"), request(2, b"a"), request(3, b"c")].concat()).await;
    assert_eq!(client.receive().await.unwrap().0, 2);
    assert!(client.is_closed().await);
}

#[tokio::test]
async fn a_throttled_client_is_answered_first_and_then_not_heard() {
    let setup = Setup::new(|_| {});
    let mut client = setup.connect().await;
    let start = std::time::Instant::now();
    client.send(&[request(1, b"t"), request(2, b"a")].concat()).await;
    assert_eq!(client.receive().await.unwrap().0, 1);
    assert_eq!(client.receive().await.unwrap().0, 2);
    assert!(start.elapsed() >= Duration::from_millis(300));
}

#[tokio::test]
async fn idle_and_half_sent_requests_are_closed() {
    let setup = Setup::new(|c| c.connections_max_idle = Some(Duration::from_millis(100)));
    let mut silent = setup.connect().await;
    let mut half = setup.connect().await;
    half.send(&request(1, b"never whole")[..9]).await;
    assert!(silent.is_closed().await);
    assert!(half.is_closed().await);
    setup.until(|s| s.server.quotas().total() == 0).await;
}

#[tokio::test]
async fn too_many_from_one_address_are_turned_away() {
    let limits = ConnectionLimits { max_connections_per_ip: 1, ..ConnectionLimits::default() };
    let setup = Setup::new(|c| c.limits = limits);
    let mut first = setup.connect().await;
    first.send(&request(1, b"in")).await;
    first.receive().await.unwrap();
    assert!(setup.connect().await.is_closed().await);
    drop(first);
    setup.until(|s| s.server.quotas().total() == 0).await;
    let mut next = setup.connect().await;
    next.send(&request(2, b"in")).await;
    assert_eq!(next.receive().await.unwrap().0, 2);
}

#[tokio::test]
async fn a_small_memory_pool_serves_everybody_in_turn() {
    let setup = Setup::new(|c| c.queued_max_request_bytes = Some(100));
    let mut clients = Vec::new();
    for id in 0..8 {
        let mut client = setup.connect().await;
        client.send(&request(id, &[b'y'; 90])).await;
        clients.push(client);
    }
    for (id, client) in clients.iter_mut().enumerate() {
        assert_eq!(client.receive().await.unwrap().0, id as i32);
    }
}

#[tokio::test]
async fn a_browser_is_told_where_it_is() {
    let setup = Setup::new(|_| {});
    let mut browser = setup.connect().await;
    browser.send(b"GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: x\r\n\r\n").await;
    let mut page = String::new();
    timeout(PATIENCE, browser.0.read_to_string(&mut page)).await.unwrap().unwrap();
    assert!(page.starts_with("HTTP/1.1 400 "), "{page}");
    let address = setup.server.bound_address(LISTENER).unwrap().to_string();
    assert!(page.contains("Apache Kafka protocol") && page.contains(&address), "{page}");
}

#[tokio::test]
async fn shutdown_finishes_what_was_begun() {
    let mut setup = Setup::new(|_| {});
    let mut idle = setup.connect().await;
    let mut busy = setup.connect().await;
    busy.send(&request(1, b"w")).await;
    setup.until(|s| s.handler.served.load(Ordering::SeqCst) == 1 && s.server.quotas().total() == 2).await;
    let handler = Arc::clone(&setup.handler);
    let address = setup.server.bound_address(LISTENER).unwrap();
    let stopping = tokio::spawn(async move {
        setup.server.shutdown(PATIENCE).await;
    });
    assert!(idle.is_closed().await);
    handler.release.notify_one();
    assert_eq!(busy.receive().await.unwrap(), (1, b"w".to_vec()));
    assert!(busy.is_closed().await);
    timeout(PATIENCE, stopping).await.unwrap().unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn shutdown_does_not_wait_for_ever() {
    let mut setup = Setup::new(|_| {});
    let mut busy = setup.connect().await;
    busy.send(&request(1, b"w")).await;
    setup.until(|s| s.handler.served.load(Ordering::SeqCst) == 1).await;
    timeout(PATIENCE, setup.server.shutdown(Duration::from_millis(20))).await.unwrap();
    assert!(busy.is_closed().await);
}

#[tokio::test]
async fn many_half_open_connections_are_harmless() {
    let setup = Setup::new(|_| {});
    let mut half_open = Vec::new();
    for _ in 0..300 {
        let mut client = setup.connect().await;
        // A claim of nearly 100 MiB each: 30 GB if it were believed.
        client.send(&[0x06, 0x3f, 0xff, 0xff, 0, 3]).await;
        half_open.push(client);
    }
    let mut good = setup.connect().await;
    good.send(&request(1, b"served")).await;
    assert_eq!(good.receive().await.unwrap().0, 1);
    setup.until(|s| s.server.quotas().total() == 301).await;
}

#[tokio::test]
async fn a_taken_port_is_named_with_its_remedy() {
    let setup = Setup::new(|_| {});
    let port = setup.server.bound_address(LISTENER).unwrap().port();
    let listener = ListenerConfig::plaintext("OTHER", "127.0.0.1", port);
    let error = SocketServer::bind(SocketServerConfig::default(), &[listener]).unwrap_err().to_string();
    assert!(error.contains("OTHER") && error.contains(&port.to_string()), "{error}");
    assert!(error.contains("choose another one"), "{error}");
}

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use ottla_common::ErrorCode;
use ottla_network::frame_length;
use ottla_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse, RequestHeader, ResponseHeader};
use ottla_protocol::{ApiKey, DecodeError, EncodeError, Message, Reader, Request, Writer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::ClientError;
use crate::config::CommonSettings;

/// Answers may be as large as the format allows; memory is taken only as they arrive.
const RESPONSE_BYTES_MAX: usize = i32::MAX as usize;
/// Room for one read.
const READ_BYTES: usize = 64 * 1024;
/// Requests that may wait for the socket.
const SEND_QUEUE: usize = 64;

/// One connection to one broker. Requests are pipelined: each future waits for its own answer.
///
/// Two tasks own the halves of the socket, so a caller that stops waiting never cuts a frame.
#[derive(Debug)]
pub struct BrokerConnection {
    address: String,
    client_id: String,
    request_timeout: Duration,
    versions: HashMap<i16, (i16, i16)>,
    api_versions: ApiVersionsResponse,
    outgoing: mpsc::Sender<Outgoing>,
    pending: Arc<Pending>,
    next_correlation_id: AtomicI32,
    tasks: [JoinHandle<()>; 2],
}

/// A request that is under way.
#[derive(Debug)]
pub struct PendingAnswer {
    receiver: oneshot::Receiver<Bytes>,
    version: i16,
}

#[derive(Debug)]
struct Outgoing {
    correlation_id: i32,
    frame: Bytes,
    answer: Option<oneshot::Sender<Bytes>>,
}

/// Who waits for an answer, in the order of the requests.
#[derive(Debug, Default)]
struct Pending {
    queue: Mutex<VecDeque<(i32, oneshot::Sender<Bytes>)>>,
    closed: AtomicBool,
}

impl Pending {
    fn lock(&self) -> MutexGuard<'_, VecDeque<(i32, oneshot::Sender<Bytes>)>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everybody who waits learns that nothing will come.
    fn close(&self) {
        let mut queue = self.lock();
        self.closed.store(true, Ordering::SeqCst);
        queue.clear();
    }
}

impl BrokerConnection {
    /// Connects and asks what the broker speaks.
    pub async fn connect(address: &str, settings: &CommonSettings) -> Result<Self, ClientError> {
        let setup = settings.connection_setup_timeout;
        let stream = match timeout(setup, TcpStream::connect(address)).await {
            Ok(stream) => stream.map_err(|error| ClientError::connect(address, &error))?,
            Err(_) => return Err(ClientError::connect(address, &io::ErrorKind::TimedOut.into())),
        };
        // Only latency is lost where this fails.
        let _ = stream.set_nodelay(true);
        let (reader, writer) = stream.into_split();
        let pending = Arc::new(Pending::default());
        let (outgoing, requests) = mpsc::channel(SEND_QUEUE);
        let tasks = [
            tokio::spawn(read_all(reader, Arc::clone(&pending))),
            tokio::spawn(write_all(writer, requests, Arc::clone(&pending))),
        ];
        let mut connection = Self {
            address: address.to_owned(),
            client_id: settings.client_id.clone(),
            request_timeout: settings.request_timeout,
            versions: HashMap::new(),
            api_versions: ApiVersionsResponse::default(),
            outgoing,
            pending,
            next_correlation_id: AtomicI32::new(0),
            tasks,
        };
        connection.negotiate().await?;
        Ok(connection)
    }

    /// Where the broker is.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// `request.timeout.ms`.
    pub(crate) fn patience(&self) -> Duration {
        self.request_timeout
    }

    /// Whether nothing can be asked any more.
    pub fn is_closed(&self) -> bool {
        self.pending.closed.load(Ordering::SeqCst) || self.outgoing.is_closed()
    }

    /// What the broker said it speaks, with its features.
    pub fn api_versions(&self) -> &ApiVersionsResponse {
        &self.api_versions
    }

    /// The newest version of a request that both sides know, not above `max`.
    pub fn version_up_to<R: Request>(&self, max: i16) -> Result<i16, ClientError> {
        let offered = self.versions.get(&(R::API_KEY as i16)).copied();
        let ours = R::API_KEY.latest_stable_version().min(max);
        if let Some((low, high)) = offered {
            let version = high.min(ours);
            if version >= low && version >= R::MIN_VERSION {
                return Ok(version);
            }
        }
        Err(ClientError::UnsupportedVersion {
            address: self.address.clone(),
            api: R::API_KEY,
            offered: offered.map_or_else(|| "not at all".into(), |(low, high)| format!("{low} to {high}")),
        })
    }

    /// The newest version of a request that both sides know.
    pub fn version<R: Request>(&self) -> Result<i16, ClientError> {
        self.version_up_to::<R>(i16::MAX)
    }

    /// Asks, in the newest version both sides know.
    pub async fn send<R: Request>(&self, request: &R) -> Result<R::Response, ClientError> {
        self.send_version(request, self.version::<R>()?, self.request_timeout).await
    }

    /// Asks in a certain version, with a certain patience.
    pub async fn send_version<R: Request>(
        &self,
        request: &R,
        version: i16,
        patience: Duration,
    ) -> Result<R::Response, ClientError> {
        let answer = self.send_raw(request, version, patience).await?;
        self.decode::<R>(answer, version)
    }

    /// Puts a request in line. Requests begun one after the other reach the broker in that order,
    /// whenever their answers are waited for.
    pub async fn begin<R: Request>(&self, request: &R, version: i16) -> Result<PendingAnswer, ClientError> {
        let correlation_id = self.next_correlation_id.fetch_add(1, Ordering::Relaxed);
        let frame = self.frame(request, version, correlation_id)?;
        let (answer, receiver) = oneshot::channel();
        let outgoing = Outgoing { correlation_id, frame, answer: Some(answer) };
        self.outgoing.send(outgoing).await.map_err(|_| self.disconnected(Some(R::API_KEY)))?;
        Ok(PendingAnswer { receiver, version })
    }

    /// Waits for the answer to a request that was begun here.
    pub async fn finish<R: Request>(
        &self,
        pending: PendingAnswer,
        patience: Duration,
    ) -> Result<R::Response, ClientError> {
        let PendingAnswer { receiver, version } = pending;
        match timeout(patience, receiver).await {
            Ok(Ok(answer)) => self.decode::<R>(answer, version),
            Ok(Err(_)) => Err(self.disconnected(Some(R::API_KEY))),
            Err(_) => {
                self.close();
                let address = self.address.clone();
                Err(ClientError::RequestTimeout { address, api: R::API_KEY, waited: patience })
            }
        }
    }

    /// Asks for something that is never answered (produce with `acks=0`).
    pub async fn send_unanswered<R: Request>(&self, request: &R, version: i16) -> Result<(), ClientError> {
        let correlation_id = self.next_correlation_id.fetch_add(1, Ordering::Relaxed);
        let frame = self.frame(request, version, correlation_id)?;
        let outgoing = Outgoing { correlation_id, frame, answer: None };
        self.outgoing.send(outgoing).await.map_err(|_| self.disconnected(None))
    }

    async fn send_raw<R: Request>(
        &self,
        request: &R,
        version: i16,
        patience: Duration,
    ) -> Result<Bytes, ClientError> {
        let correlation_id = self.next_correlation_id.fetch_add(1, Ordering::Relaxed);
        let frame = self.frame(request, version, correlation_id)?;
        let (answer, receiver) = oneshot::channel();
        let outgoing = Outgoing { correlation_id, frame, answer: Some(answer) };
        let exchange = async {
            self.outgoing.send(outgoing).await.ok()?;
            receiver.await.ok()
        };
        match timeout(patience, exchange).await {
            Ok(Some(bytes)) => Ok(bytes),
            Ok(None) => Err(self.disconnected(Some(R::API_KEY))),
            Err(_) => {
                // The answers behind the late one would be late too.
                self.close();
                let address = self.address.clone();
                Err(ClientError::RequestTimeout { address, api: R::API_KEY, waited: patience })
            }
        }
    }

    fn frame<R: Request>(
        &self,
        request: &R,
        version: i16,
        correlation_id: i32,
    ) -> Result<Bytes, ClientError> {
        let encode = || -> Result<Bytes, EncodeError> {
            let mut w = Writer::with_capacity(256);
            w.i32(0);
            let header = RequestHeader {
                request_api_key: R::API_KEY as i16,
                request_api_version: version,
                correlation_id,
                client_id: Some(self.client_id.as_str().into()),
                ..RequestHeader::default()
            };
            header.encode(&mut w, R::API_KEY.request_header_version(version))?;
            request.encode(&mut w, version)?;
            let mut frame = w.into_buffer();
            let len = frame.len() - 4;
            let prefix = i32::try_from(len).map_err(|_| EncodeError::TooLong(len))?;
            frame[..4].copy_from_slice(&prefix.to_be_bytes());
            Ok(frame.freeze())
        };
        let (address, api) = (self.address.clone(), R::API_KEY);
        encode().map_err(|source| ClientError::Encode { address, api, source })
    }

    fn decode<R: Request>(&self, answer: Bytes, version: i16) -> Result<R::Response, ClientError> {
        let decode = || -> Result<R::Response, DecodeError> {
            let mut r = Reader::new(answer);
            ResponseHeader::decode(&mut r, R::API_KEY.response_header_version(version))?;
            R::Response::decode(&mut r, version)
        };
        let (address, api) = (self.address.clone(), R::API_KEY);
        decode().map_err(|source| ClientError::Decode { address, api, source })
    }

    /// ApiVersions (KIP-35, KIP-511): a broker that does not know our version says so in version 0.
    async fn negotiate(&mut self) -> Result<(), ClientError> {
        let request = ApiVersionsRequest {
            client_software_name: "ottla".into(),
            client_software_version: env!("CARGO_PKG_VERSION").into(),
            ..ApiVersionsRequest::default()
        };
        let mut version = ApiKey::ApiVersions.latest_stable_version();
        let response = loop {
            let answer = self.send_raw(&request, version, self.request_timeout).await?;
            let refused = answer.get(4..6) == Some(&ErrorCode::UnsupportedVersion.code().to_be_bytes());
            if !refused {
                break self.decode::<ApiVersionsRequest>(answer, version)?;
            }
            let response = self.decode::<ApiVersionsRequest>(answer, 0)?;
            let key = ApiKey::ApiVersions as i16;
            let known = response.api_keys.iter().find(|k| k.api_key == key).map_or(0, |k| k.max_version);
            if known >= version || version == 0 {
                let (address, api) = (self.address.clone(), ApiKey::ApiVersions);
                return Err(ClientError::UnsupportedVersion {
                    address,
                    api,
                    offered: format!("up to {known}"),
                });
            }
            version = known.max(0);
        };
        ClientError::check(format!("ApiVersions at {}", self.address), response.error_code, None)?;
        let ranges = response.api_keys.iter().map(|k| (k.api_key, (k.min_version, k.max_version)));
        self.versions = ranges.collect();
        self.api_versions = response;
        Ok(())
    }

    fn disconnected(&self, api: Option<ApiKey>) -> ClientError {
        ClientError::Disconnected { address: self.address.clone(), api }
    }

    /// Hangs up.
    pub fn close(&self) {
        self.tasks.iter().for_each(JoinHandle::abort);
        self.pending.close();
    }
}

impl Drop for BrokerConnection {
    fn drop(&mut self) {
        self.close();
    }
}

async fn write_all(
    mut writer: OwnedWriteHalf,
    mut requests: mpsc::Receiver<Outgoing>,
    pending: Arc<Pending>,
) {
    while let Some(Outgoing { correlation_id, frame, answer }) = requests.recv().await {
        if let Some(answer) = answer {
            let mut queue = pending.lock();
            if pending.closed.load(Ordering::SeqCst) {
                return;
            }
            queue.push_back((correlation_id, answer));
        }
        if writer.write_all(&frame).await.is_err() {
            break;
        }
    }
    pending.close();
}

async fn read_all(mut reader: OwnedReadHalf, pending: Arc<Pending>) {
    let mut buffer = BytesMut::new();
    while let Ok(frame) = read_frame(&mut reader, &mut buffer).await {
        let Some(id) = frame.first_chunk::<4>().map(|id| i32::from_be_bytes(*id)) else { break };
        let Some((expected, answer)) = pending.lock().pop_front() else { break };
        if id != expected {
            break;
        }
        // The caller may have stopped waiting.
        let _ = answer.send(frame);
    }
    pending.close();
}

async fn read_frame(reader: &mut OwnedReadHalf, buffer: &mut BytesMut) -> io::Result<Bytes> {
    loop {
        let len = frame_length(buffer, RESPONSE_BYTES_MAX).map_err(io::Error::other)?;
        let missing = match len {
            Some(len) if buffer.len() >= 4 + len => {
                return Ok(buffer.split_to(4 + len).freeze().slice(4..));
            }
            Some(len) => 4 + len - buffer.len(),
            None => READ_BYTES,
        };
        buffer.reserve(missing.clamp(1, READ_BYTES.max(2 * buffer.len())));
        if reader.read_buf(buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

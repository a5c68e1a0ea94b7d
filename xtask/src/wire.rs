//! A small Kafka client over a plain socket, written apart from the product so that it can judge it.
//!
//! It knows one old version of each request that the tests need (KIP-896's baseline or newer).

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

/// How long a request may take.
const REQUEST: Duration = Duration::from_secs(30);
/// No answer of the tests is larger.
const RESPONSE_BYTES_MAX: usize = 128 << 20;

/// Writes the protocol's primitive types.
#[derive(Debug, Default, Clone)]
pub struct Body(pub Vec<u8>);

impl Body {
    /// A fixed-width number in network order.
    pub fn i8(mut self, value: i8) -> Self {
        self.0.push(value.to_be_bytes()[0]);
        self
    }
    /// A fixed-width number in network order.
    pub fn i16(mut self, value: i16) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }
    /// A fixed-width number in network order.
    pub fn i32(mut self, value: i32) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }
    /// A fixed-width number in network order.
    pub fn i64(mut self, value: i64) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }
    /// A string with its length.
    pub fn string(self, value: &str) -> Self {
        let mut body = self.i16(value.len() as i16);
        body.0.extend(value.as_bytes());
        body
    }
    /// The null string.
    pub fn null_string(self) -> Self {
        self.i16(-1)
    }
    /// Bytes with their length.
    pub fn bytes(self, value: &[u8]) -> Self {
        let mut body = self.i32(value.len() as i32);
        body.0.extend(value);
        body
    }
}

/// Reads the protocol's primitive types.
#[derive(Debug)]
pub struct Answer {
    bytes: Vec<u8>,
    at: usize,
}

impl Answer {
    fn take(&mut self, count: usize) -> Result<&[u8]> {
        let end = self.at.checked_add(count).context("length overflows")?;
        let slice = self.bytes.get(self.at..end).context("the answer is too short")?;
        self.at = end;
        Ok(slice)
    }
    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        Ok(self.take(N)?.try_into()?)
    }
    /// A fixed-width number in network order.
    pub fn i8(&mut self) -> Result<i8> {
        Ok(i8::from_be_bytes(self.array()?))
    }
    /// A fixed-width number in network order.
    pub fn i16(&mut self) -> Result<i16> {
        Ok(i16::from_be_bytes(self.array()?))
    }
    /// A fixed-width number in network order.
    pub fn i32(&mut self) -> Result<i32> {
        Ok(i32::from_be_bytes(self.array()?))
    }
    /// A fixed-width number in network order.
    pub fn i64(&mut self) -> Result<i64> {
        Ok(i64::from_be_bytes(self.array()?))
    }
    /// A string; null reads as empty.
    pub fn string(&mut self) -> Result<String> {
        let length = self.i16()?;
        Ok(String::from_utf8(self.take(usize::try_from(length).unwrap_or(0))?.to_vec())?)
    }
    /// Bytes; null reads as empty.
    pub fn bytes(&mut self) -> Result<Vec<u8>> {
        let length = self.i32()?;
        Ok(self.take(usize::try_from(length).unwrap_or(0))?.to_vec())
    }
    /// The elements of an array.
    pub fn list<T>(&mut self, mut element: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        let count = self.i32()?;
        (0..count.max(0)).map(|_| element(self)).collect()
    }
    /// Everything must have been read.
    pub fn end(&self) -> Result<()> {
        ensure!(self.at == self.bytes.len(), "{} bytes follow the answer", self.bytes.len() - self.at);
        Ok(())
    }
}

/// One connection.
#[derive(Debug)]
pub struct Client {
    stream: TcpStream,
    correlation: i32,
}

impl Client {
    /// Connects to `host:port`.
    pub fn connect(address: &str) -> Result<Self> {
        let stream = TcpStream::connect_timeout(&address.parse()?, REQUEST)?;
        stream.set_read_timeout(Some(REQUEST))?;
        stream.set_write_timeout(Some(REQUEST))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, correlation: 0 })
    }

    /// Sends a request with a version 1 header without waiting.
    pub fn send(&mut self, key: i16, version: i16, body: Body) -> Result<i32> {
        self.correlation += 1;
        let header = Body::default().i16(key).i16(version).i32(self.correlation).string("tests");
        let length = i32::try_from(header.0.len() + body.0.len())?;
        let frame = [&length.to_be_bytes()[..], &header.0, &body.0].concat();
        self.stream.write_all(&frame)?;
        Ok(self.correlation)
    }

    /// Reads one answer with a version 0 header.
    pub fn receive(&mut self, correlation: i32) -> Result<Answer> {
        let bytes = read_frame(&mut self.stream)?;
        let mut answer = Answer { bytes, at: 0 };
        let seen = answer.i32()?;
        ensure!(seen == correlation, "answer {seen} instead of {correlation}");
        Ok(answer)
    }

    /// Sends and receives.
    pub fn call(&mut self, key: i16, version: i16, body: Body) -> Result<Answer> {
        let correlation = self.send(key, version, body)?;
        self.receive(correlation)
    }

    /// (api key, lowest version, highest version) of everything the server offers.
    pub fn api_versions(&mut self) -> Result<Vec<(i16, i16, i16)>> {
        let mut answer = self.call(18, 0, Body::default())?;
        let error = answer.i16()?;
        ensure!(error == 0, "ApiVersions answered {error}");
        let versions = answer.list(|a| Ok((a.i16()?, a.i16()?, a.i16()?)))?;
        answer.end()?;
        Ok(versions)
    }
}

/// Reads one length-prefixed frame.
pub fn read_frame(stream: &mut TcpStream) -> Result<Vec<u8>> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = usize::try_from(i32::from_be_bytes(length))?;
    if length > RESPONSE_BYTES_MAX {
        bail!("an answer of {length} bytes");
    }
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes)?;
    Ok(bytes)
}

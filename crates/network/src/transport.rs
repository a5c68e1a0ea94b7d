use std::future::Future;
use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;
use std::pin::pin;
use std::task::Poll;

use bytes::BytesMut;
use rustix::net::{SendAncillaryBuffer, SendFlags};
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::TcpStream;

/// The bytes below the frames. TLS will be its second variant; until then everything is in the
/// clear.
#[derive(Debug)]
pub(crate) enum Transport {
    Plaintext(TcpStream),
}

impl Transport {
    /// Waits until a read may bring something, without holding a buffer meanwhile.
    pub(crate) async fn readable(&self) -> io::Result<()> {
        match self {
            Self::Plaintext(stream) => stream.readable().await,
        }
    }

    /// Reads what is there into the free room of `buffer`: `None` when nothing is, 0 at the end.
    pub(crate) async fn read_now(&mut self, buffer: &mut BytesMut) -> io::Result<Option<usize>> {
        match self {
            Self::Plaintext(stream) => {
                // Polled once by hand: unlike `try_read`, a short read then also clears the
                // readiness and spares the system call that would only say "nothing more".
                std::future::poll_fn(|cx| {
                    let mut read = pin!(stream.read_buf(buffer));
                    Poll::Ready(match read.as_mut().poll(cx) {
                        Poll::Ready(result) => result.map(Some),
                        Poll::Pending => Ok(None),
                    })
                })
                .await
            }
        }
    }

    /// Writes some of these slices. With `more` the system waits for what follows at once before it
    /// sends a packet that is not full.
    pub(crate) async fn write_vectored(&mut self, slices: &[IoSlice<'_>], more: bool) -> io::Result<usize> {
        let Self::Plaintext(stream) = self;
        let flags = if more { SendFlags::NOSIGNAL | SendFlags::MORE } else { SendFlags::NOSIGNAL };
        let socket = &*stream;
        let send = || Ok(rustix::net::sendmsg(socket, slices, &mut SendAncillaryBuffer::default(), flags)?);
        stream.async_io(Interest::WRITABLE, send).await
    }

    /// Sends some of a file's bytes without copying them.
    pub(crate) async fn send_file(
        &mut self,
        file: BorrowedFd<'_>,
        position: u64,
        len: usize,
    ) -> io::Result<usize> {
        let Self::Plaintext(stream) = self;
        let socket = &*stream;
        let send = || {
            let mut from = position;
            Ok(rustix::fs::sendfile(socket, file, Some(&mut from), len)?)
        };
        stream.async_io(Interest::WRITABLE, send).await
    }

    /// Says that nothing more will be written.
    pub(crate) async fn shutdown(&mut self) -> io::Result<()> {
        match self {
            Self::Plaintext(stream) => stream.shutdown().await,
        }
    }
}

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::pin;
use std::task::Poll;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
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

    /// Writes some of these slices.
    pub(crate) async fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Plaintext(stream) => stream.write_vectored(slices).await,
        }
    }

    /// Says that nothing more will be written.
    pub(crate) async fn shutdown(&mut self) -> io::Result<()> {
        match self {
            Self::Plaintext(stream) => stream.shutdown().await,
        }
    }
}

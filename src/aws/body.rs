//! The body of an answer from S3, read to its end within a size and a time: what its headers promise is not relied upon.

use crate::model::duration::in_words;
use aws_sdk_s3::primitives::ByteStream;
use std::time::Duration;
use tokio::time::timeout;

/// Nothing that kubeboot stores comes near this, in bytes. A larger object is not ours.
pub(super) const LARGEST: usize = 2 * 1024 * 1024;
/// How long a body may take. The SDK's own time limit ends with the headers.
pub(super) const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// What was read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Body {
    /// All of it.
    Whole(Vec<u8>),
    /// The first [`LARGEST`] bytes of what is none of kubeboot's.
    Beginning(Vec<u8>),
}

/// Why a body was not read to its end.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BodyFailure {
    /// It stopped on the way.
    #[error("the object did not arrive within {}", in_words(BODY_TIMEOUT))]
    TooLate,
    /// The connection failed.
    #[error("{0}")]
    Cut(String),
}

/// Reads the body.
///
/// # Errors
/// [`BodyFailure`].
pub(super) async fn read(body: ByteStream) -> Result<Body, BodyFailure> {
    read_within(BODY_TIMEOUT, body).await
}

async fn read_within(time_limit: Duration, body: ByteStream) -> Result<Body, BodyFailure> {
    timeout(time_limit, read_bounded(body)).await.unwrap_or(Err(BodyFailure::TooLate))
}

async fn read_bounded(mut body: ByteStream) -> Result<Body, BodyFailure> {
    let mut whole = Vec::new();
    while let Some(part) = body.next().await {
        let part = part.map_err(|error| BodyFailure::Cut(error.to_string()))?;
        let room = LARGEST - whole.len();
        if part.len() > room {
            whole.extend_from_slice(&part[..room]);
            return Ok(Body::Beginning(whole));
        }
        whole.extend_from_slice(&part);
    }
    Ok(Body::Whole(whole))
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_smithy_types::body::SdkBody;
    use bytes::Bytes;
    use http_body::Frame;
    use std::convert::Infallible;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    /// So many parts of a mebibyte, and then no end.
    struct Endless(usize);

    impl http_body::Body for Endless {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            match self.0.checked_sub(1) {
                None => Poll::Pending,
                Some(left) => {
                    self.0 = left;
                    Poll::Ready(Some(Ok(Frame::data(Bytes::from(vec![0; 1024 * 1024])))))
                }
            }
        }
    }

    fn endless(parts: usize) -> ByteStream {
        ByteStream::new(SdkBody::from_body_1_x(Endless(parts)))
    }

    #[tokio::test]
    async fn a_body_has_a_size_and_a_time_whatever_its_headers_say() {
        let largest = || vec![0; LARGEST];
        assert_eq!(read(ByteStream::from_static(b"whole")).await, Ok(Body::Whole(b"whole".to_vec())));
        assert_eq!(read(ByteStream::from(largest())).await, Ok(Body::Whole(largest())));
        assert_eq!(read(ByteStream::from(vec![0; LARGEST + 1])).await, Ok(Body::Beginning(largest())));
        assert_eq!(read(endless(3)).await, Ok(Body::Beginning(largest())), "it does not wait for the end");
        assert_eq!(read_within(Duration::ZERO, endless(1)).await, Err(BodyFailure::TooLate));
    }
}

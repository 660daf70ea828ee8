//! A starting gate for writes that are to reach S3 at the same moment.
//!
//! To sign a request and to connect takes longer than a fast server takes to answer, so what one client sends "at once"
//! arrives one after the other. Behind a gate each write sends its head on a connection of its own and holds its body
//! back until all have come so far; then the bodies go together.

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::BeforeTransmitInterceptorContextMut;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::ConfigBag;
use bytes::Bytes;
use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use http_body::{Frame, SizeHint};
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

/// How long the last head may take to reach the server after it was written.
const HEADS_INTERVAL: Duration = Duration::from_millis(10);

/// Opens once and stays open.
#[derive(Debug, Clone)]
pub struct Gate {
    starters: Arc<Starters>,
    open: Shared<BoxFuture<'static, ()>>,
}

#[derive(Debug)]
struct Starters {
    missing: AtomicUsize,
    all_there: Notify,
}

impl Gate {
    /// Opens when so many writes have come, or so long after the first: a server may take fewer connections than that.
    #[must_use]
    pub fn of(writes: usize, time_limit: Duration) -> Self {
        let starters = Arc::new(Starters { missing: AtomicUsize::new(writes), all_there: Notify::new() });
        let waiting = Arc::clone(&starters);
        let open = async move {
            let _ = timeout(time_limit, waiting.all_there.notified()).await;
            sleep(HEADS_INTERVAL).await;
        };
        Self { starters, open: open.boxed().shared() }
    }
}

impl Starters {
    fn one_more(&self) {
        if self.missing.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.all_there.notify_one();
        }
    }
}

/// After the request was signed: only the moment changes, not what is sent.
impl Intercept for Gate {
    fn name(&self) -> &'static str {
        "Gate"
    }

    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let body = context.request_mut().body_mut();
        if let Some(bytes) = body.bytes().map(Bytes::copy_from_slice) {
            *body = SdkBody::from_body_1_x(HeldBack { gate: self.clone(), bytes: Some(bytes), has_come: false });
        }
        Ok(())
    }
}

/// A body that is asked for when its head has been written, and comes when the gate opens.
struct HeldBack {
    gate: Gate,
    bytes: Option<Bytes>,
    has_come: bool,
}

impl http_body::Body for HeldBack {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        if this.bytes.is_none() {
            return Poll::Ready(None);
        }
        if !std::mem::replace(&mut this.has_come, true) {
            this.gate.starters.one_more();
        }
        ready!(this.gate.open.poll_unpin(cx));
        Poll::Ready(this.bytes.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}

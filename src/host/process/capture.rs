//! Reads the output of a process, keeps the end of it, and passes lines on as they come.

use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::task::JoinHandle;

use super::redact::Redaction;

/// How much of each stream is kept, in bytes: its end, because the error is there.
const KEPT: usize = 64 * 1024;

/// The longest line that is passed on in one piece, in bytes.
const LONGEST_LINE: usize = 8 * 1024;

/// How long to read on after the process has ended, if another process inherited the stream.
const DRAIN_TIMEOUT: Duration = Duration::from_millis(500);

/// Called with each line as it comes.
pub(super) type OnLine = Box<dyn FnMut(&str) + Send>;

/// A stream that is being read in the background.
pub(super) struct Capture {
    kept: Arc<Mutex<Vec<u8>>>,
    reader: JoinHandle<()>,
}

impl Capture {
    /// Starts to read; lines go to `on_line`, redacted.
    pub(super) fn start(
        stream: impl AsyncRead + Unpin + Send + 'static,
        redaction: Redaction,
        on_line: Option<OnLine>,
    ) -> Self {
        let kept = Arc::new(Mutex::new(Vec::new()));
        let lines = Lines { open: Vec::new(), redaction, on_line };
        let reader = tokio::spawn(read(stream, Arc::clone(&kept), lines));
        Self { kept, reader }
    }

    /// What was kept, once the process has ended. A stream that another process holds open is
    /// abandoned after `DRAIN_TIMEOUT`.
    pub(super) async fn finish(&mut self) -> String {
        if !self.reader.is_finished() {
            // A time-out is no failure: what has been read by then is the output.
            let _ = tokio::time::timeout(DRAIN_TIMEOUT, &mut self.reader).await;
            self.reader.abort();
        }
        String::from_utf8_lossy(&locked(&self.kept)).into_owned()
    }
}

/// A poisoned lock would mean a panic while bytes were appended; the bytes before it are still good.
fn locked(kept: &Mutex<Vec<u8>>) -> MutexGuard<'_, Vec<u8>> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn read(mut stream: impl AsyncRead + Unpin, kept: Arc<Mutex<Vec<u8>>>, mut lines: Lines) {
    let mut buffer = [0; 4096];
    // A read error counts as the end of the stream: the exit code decides whether the process failed.
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        keep_end(&mut locked(&kept), &buffer[..count]);
        lines.take(&buffer[..count]);
    }
    lines.end();
}

fn keep_end(kept: &mut Vec<u8>, more: &[u8]) {
    kept.extend_from_slice(more);
    let excess = kept.len().saturating_sub(KEPT);
    kept.drain(..excess);
}

/// Cuts a stream into lines.
struct Lines {
    open: Vec<u8>,
    redaction: Redaction,
    on_line: Option<OnLine>,
}

impl Lines {
    fn take(&mut self, bytes: &[u8]) {
        if self.on_line.is_none() {
            return;
        }
        for &byte in bytes {
            if byte == b'\n' {
                self.emit();
            } else {
                self.open.push(byte);
                if self.open.len() == LONGEST_LINE {
                    self.emit();
                }
            }
        }
    }

    fn end(&mut self) {
        if !self.open.is_empty() {
            self.emit();
        }
    }

    fn emit(&mut self) {
        let line = mem::take(&mut self.open);
        if let Some(on_line) = &mut self.on_line {
            on_line(&self.redaction.apply(&String::from_utf8_lossy(&line)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_long_stream_is_kept() {
        let mut kept = Vec::new();
        keep_end(&mut kept, &vec![b'a'; KEPT]);
        keep_end(&mut kept, b"the end");
        assert_eq!(kept.len(), KEPT);
        assert!(kept.ends_with(b"athe end"));
    }
}

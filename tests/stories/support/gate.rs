//! A starting gate before an S3 server: writes under a condition are held until all that are expected have come, and then
//! reach the server at the same moment. Without it a client on few cores sends one after the other, and nobody races.

use anyhow::Result;
use std::io::{BufRead, BufReader, Read, Write, copy};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Whoever still waits then goes on: a test that fails must end.
const PATIENCE: Duration = Duration::from_secs(20);

/// The gate of one server; the threads behind it end with their connections.
pub struct Gate {
    pub url: String,
    starters: Arc<Starters>,
}

#[derive(Default)]
struct Starters {
    /// How many are still to come; nobody is held when it is zero.
    missing: Mutex<usize>,
    all_there: Condvar,
}

impl Gate {
    /// A gate before the server at this address.
    pub fn before(server: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let url = format!("http://{}", listener.local_addr()?);
        let starters = Arc::new(Starters::default());
        let shared = starters.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let starters = shared.clone();
                std::thread::spawn(move || relay(&client, server, &starters));
            }
        });
        Ok(Self { url, starters })
    }

    /// Holds the next writes under a condition until there are this many. Those that follow pass, as does all else.
    pub fn hold(&self, writes: usize) {
        *self.starters.missing.lock().unwrap_or_else(PoisonError::into_inner) = writes;
    }
}

impl Starters {
    fn wait(&self) {
        let mut missing = self.missing.lock().unwrap_or_else(PoisonError::into_inner);
        match *missing {
            0 => {}
            1 => {
                *missing = 0;
                self.all_there.notify_all();
            }
            _ => {
                *missing -= 1;
                drop(self.all_there.wait_timeout_while(missing, PATIENCE, |missing| *missing > 0));
            }
        }
    }
}

/// One connection, until either side closes it.
fn relay(client: &TcpStream, server: SocketAddr, starters: &Starters) {
    let Ok(upstream) = TcpStream::connect(server) else { return };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // Whatever ends the answers ends the connection.
            let _ = copy(&mut &upstream, &mut &*client);
            let _ = client.shutdown(Shutdown::Both);
        });
        let mut requests = BufReader::new(client);
        while let Ok(Some(request)) = next(&mut requests) {
            if request.is_conditional {
                starters.wait();
            }
            if (&upstream).write_all(&request.bytes).is_err() {
                break;
            }
        }
        let _ = upstream.shutdown(Shutdown::Both);
    });
}

struct Request {
    bytes: Vec<u8>,
    is_conditional: bool,
}

/// Reads one request as it stands, head and body; `None` at the end of the connection.
fn next(from: &mut impl BufRead) -> std::io::Result<Option<Request>> {
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let begin = head.len();
        if from.read_line(&mut head)? == 0 {
            return Ok(None);
        }
        let line = head[begin..].trim_end().to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
        if line.is_empty() {
            break;
        }
    }
    let lower = head.to_ascii_lowercase();
    let is_conditional = lower.contains("\r\nif-match:") || lower.contains("\r\nif-none-match:");
    let mut bytes = head.into_bytes();
    from.take(length).read_to_end(&mut bytes)?;
    Ok(Some(Request { bytes, is_conditional }))
}

//! S3 servers that are none of ours, from `tests/servers/setup`, each with a folder of its own.

use super::bucket::BUCKET;
use super::command::{self, Running};
use anyhow::{Context, Result, ensure};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Until a server listens: LocalStack imports half of PyPI first.
const START: Duration = Duration::from_secs(60);
/// The one user of every server; no test leaves this computer.
pub const USER: &str = "S3RVER";

/// A running server, which ends with this.
pub struct Server {
    pub address: SocketAddr,
    _process: Running,
    _folder: TempDir,
}

/// LocalStack's S3.
pub fn localstack() -> Result<Server> {
    const SERVE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/servers/serve_localstack.py");
    let python = installed("localstack/bin/python")?;
    start(|folder, address| vec![python, SERVE.into(), folder, address.ip().to_string(), address.port().to_string()])
}

/// A server that looks first and writes later.
pub fn s3s_fs() -> Result<Server> {
    let program = installed("s3s-fs/bin/s3s-fs")?;
    start(|folder, address| {
        let options =
            format!("--host {} --port {} --access-key {USER} --secret-key {USER}", address.ip(), address.port());
        let words = std::iter::once(program).chain(options.split(' ').map(str::to_owned));
        words.chain([folder]).collect()
    })
}

/// A server that ignores conditions.
pub fn s3rver() -> Result<Server> {
    let program = installed("s3rver/node_modules/s3rver/bin/s3rver.js")?;
    start(|folder, address| {
        let options = format!("--address {} --port {} --silent --no-vhost-buckets", address.ip(), address.port());
        let words = ["node".to_owned(), program, "--directory".to_owned(), folder].into_iter();
        words
            .chain(options.split(' ').map(str::to_owned))
            .chain(["--configure-bucket", BUCKET].map(str::to_owned))
            .collect()
    })
}

impl Server {
    /// As AWS' clients want it.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// Where a file of `tests/servers/setup` is.
fn installed(file: &str) -> Result<String> {
    let cache = std::env::var_os("XDG_CACHE_HOME").filter(|path| !path.is_empty()).map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let cache = cache.or_else(home).context("neither XDG_CACHE_HOME nor HOME is set")?;
    let path = cache.join("kubeboot/servers").join(file);
    ensure!(path.exists(), "'{}' is missing: run tests/servers/setup", path.display());
    Ok(path.display().to_string())
}

/// Starts a server on a free port, and waits until it listens. `words` makes the command from its folder and address.
fn start(words: impl FnOnce(String, SocketAddr) -> Vec<String>) -> Result<Server> {
    let folder = tempfile::tempdir()?;
    let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
    let words = words(folder.path().display().to_string(), address);
    let process = command::start(&words.iter().map(String::as_str).collect::<Vec<_>>())?;
    let end = Instant::now() + START;
    while TcpStream::connect(address).is_err() {
        ensure!(Instant::now() < end, "'{}' does not listen after {} s", words.join(" "), START.as_secs());
        sleep(Duration::from_millis(50));
    }
    Ok(Server { address, _process: process, _folder: folder })
}

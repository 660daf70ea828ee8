//! What a program on a machine answers over HTTP.

use super::world::{World, members};
use anyhow::{Context, Result};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(30);
/// The port of the agent, and of the stories that choose one.
pub const PORT: u16 = 4040;

/// The status and the body that this address answers for a path.
pub fn asked(address: &str, port: u16, path: &str) -> Result<(u16, String)> {
    let mut stream = TcpStream::connect((address, port))?;
    stream.set_read_timeout(Some(ANSWER))?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes())?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).context("an answer of HTTP")?;
    Ok((status, text.split_once("\r\n\r\n").context("a body")?.1.to_owned()))
}

impl World {
    /// A machine's private address, or its own loopback.
    pub fn address(&self, node: usize, which: &str) -> Result<String> {
        let status = self.ask(&["status"])?;
        let found = members(&status, "nodes").find(|each| each["index"] == node);
        let address = found.and_then(|each| each[which].as_str()).map(str::to_owned);
        address.with_context(|| format!("node {node} has no {which}"))
    }

    /// What the agent of a machine answers for a path.
    pub fn agent_says(&self, node: usize, path: &str) -> Result<(u16, String)> {
        asked(&self.address(node, "loopback")?, PORT, path)
    }
}

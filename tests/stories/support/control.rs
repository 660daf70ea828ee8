//! What a running world is asked without starting a program: HTTP over the socket in its folder, as `dev/world` does it.

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// Carries out a command of `dev/world` that is one verb of the world.
pub fn command(world: &Path, words: &[&str], within: Duration) -> Result<Value> {
    verb(world, "command", &json!({"argv": words}), within)
}

/// Calls a verb of the world in this folder, and returns its answer.
pub fn verb(world: &Path, name: &str, arguments: &Value, within: Duration) -> Result<Value> {
    let mut stream = UnixStream::connect(world.join("control")).context("no world is running")?;
    stream.set_read_timeout(Some(within))?;
    stream.set_write_timeout(Some(within))?;
    let body = arguments.to_string();
    write!(stream, "POST /{name} HTTP/1.0\r\nContent-Length: {}\r\n\r\n{body}", body.len())?;
    let mut text = String::new();
    stream.read_to_string(&mut text).with_context(|| format!("the world did not answer within {within:?}"))?;
    let (head, answer) = text.split_once("\r\n\r\n").context("the world's answer is no HTTP")?;
    let answer: Value = serde_json::from_str(answer).context("the world's answer is no JSON")?;
    if !head.lines().next().is_some_and(|status| status.contains(" 200 ")) {
        bail!("{}", answer["error"].as_str().unwrap_or("the world gave no reason"));
    }
    Ok(answer)
}

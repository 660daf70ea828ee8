//! For tests: a server that speaks as much S3 as a store asks for, honestly or with one fault.

use super::probe::WRITERS;
use crate::aws::store::Store;
use anyhow::{Context, Result};
use aws_sdk_s3::config::Credentials;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Barrier;

/// What the server does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    IgnoresIfNoneMatch,
    IgnoresIfMatch,
    RefusesIfMatch,
    DeniesPut,
    DeniesGet,
    DeniesDelete,
    /// Looks whether the object is there, and writes when everybody else has looked, too.
    LooksFirst,
}

pub(crate) struct Server {
    fault: Mutex<Fault>,
    /// Bodies by path.
    objects: Mutex<BTreeMap<String, String>>,
    all_looked: Barrier,
}

impl Server {
    /// Starts a server, and a store on it.
    pub(crate) async fn start(fault: Fault) -> Result<(Arc<Self>, Store)> {
        let server =
            Arc::new(Self { fault: Mutex::new(fault), objects: Mutex::default(), all_looked: Barrier::new(WRITERS) });
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let accepting = Arc::clone(&server);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(Arc::clone(&accepting).serve(stream));
            }
        });
        let sdk = crate::aws::connect(Some("eu-central-1".to_owned())).await?;
        let config = aws_sdk_s3::config::Builder::from(&sdk)
            .endpoint_url(url)
            .force_path_style(true)
            .credentials_provider(Credentials::new("key", "secret", None, None, "test"))
            .build();
        let client = aws_sdk_s3::Client::from_conf(config);
        Ok((server, Store::new(client, "bucket".into(), "prefix".into(), None)))
    }

    /// Answers one request after the other, until the client has gone.
    async fn serve(self: Arc<Self>, stream: TcpStream) -> Result<()> {
        let mut stream = BufReader::new(stream);
        loop {
            let mut lines = Vec::new();
            loop {
                let mut line = String::new();
                if stream.read_line(&mut line).await? == 0 {
                    return Ok(());
                }
                if line.trim().is_empty() {
                    break;
                }
                lines.push(line.trim().to_owned());
            }
            let header = |name: &str| {
                lines.iter().find_map(|line| {
                    let (key, value) = line.split_once(':')?;
                    key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
                })
            };
            let mut body = vec![0; header("content-length").map_or(Ok(0), |length| length.parse())?];
            stream.read_exact(&mut body).await?;
            let mut words = lines.first().context("a request")?.split_whitespace();
            let (method, path) = (words.next().context("a method")?, words.next().context("a path")?);
            let path = path.split('?').next().unwrap_or_default();
            let conditions = (header("if-none-match"), header("if-match"));
            let (status, etag, text) = self.answer(method, path, String::from_utf8(body)?, conditions).await?;
            let length = text.len();
            let answer = format!("HTTP/1.1 {status} X\r\nETag: {etag}\r\nContent-Length: {length}\r\n\r\n{text}");
            stream.write_all(answer.as_bytes()).await?;
        }
    }

    /// Status, `ETag` and body.
    async fn answer(
        &self,
        method: &str,
        path: &str,
        body: String,
        (if_none_match, if_match): (Option<String>, Option<String>),
    ) -> Result<(u16, String, String)> {
        let error = |status, code: &str| Ok((status, String::new(), format!("<Error><Code>{code}</Code></Error>")));
        let etag = |body: &String| {
            let mut hasher = DefaultHasher::new();
            body.hash(&mut hasher);
            format!("\"{:016x}\"", hasher.finish())
        };
        let there = self.objects().get(path).cloned();
        let fault = *self.fault.lock().expect("nobody panics while holding it");
        match (method, fault) {
            ("GET", Fault::DeniesGet) | ("DELETE", Fault::DeniesDelete) | ("PUT", Fault::DeniesPut) => {
                error(403, "AccessDenied")
            }
            ("GET", _) => match there {
                Some(body) => Ok((200, etag(&body), body)),
                None => error(404, "NoSuchKey"),
            },
            ("DELETE", _) => {
                self.objects().remove(path);
                Ok((204, String::new(), String::new()))
            }
            ("PUT", fault) => {
                let absent = if_none_match.is_none() || there.is_none() || fault == Fault::IgnoresIfNoneMatch;
                let unchanged = match (&if_match, fault) {
                    (None, _) | (Some(_), Fault::IgnoresIfMatch) => true,
                    (Some(_), Fault::RefusesIfMatch) => false,
                    (Some(wanted), _) => there.as_ref().map(etag).as_ref() == Some(wanted),
                };
                if fault == Fault::LooksFirst {
                    self.all_looked.wait().await;
                }
                if !absent || !unchanged {
                    return error(412, "PreconditionFailed");
                }
                self.objects().insert(path.to_owned(), body.clone());
                Ok((200, etag(&body), String::new()))
            }
            _ => error(405, "MethodNotAllowed"),
        }
    }

    /// Does this wrong from now on.
    pub(crate) fn turn(&self, fault: Fault) {
        *self.fault.lock().expect("nobody panics while holding it") = fault;
    }

    pub(crate) fn objects(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.objects.lock().expect("nobody panics while holding it")
    }
}

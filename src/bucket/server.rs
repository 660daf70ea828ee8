//! For tests: a server with as much of S3 as a store needs, correct or with one fault.

use super::probe::WRITERS;
use crate::aws::store::{Encryption, Store};
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
    /// Writes, and answers as if it had not.
    WritesAndDenies,
    DeniesGet,
    /// Lists keys, and lets no object be read.
    DeniesRead,
    DeniesDelete,
    /// Answers what is read and listed when two such requests are there.
    AnswersInPairs,
    /// Checks whether the object is there, and writes when every other writer has checked, too.
    LooksFirst,
    /// Checks when the head of the request has come, and writes when the body has come.
    LooksAtTheHead,
}

/// A status and a code with which one object is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refusal(pub(crate) u16, pub(crate) &'static str);

pub(crate) struct Server {
    fault: Mutex<Fault>,
    /// Bodies by path.
    objects: Mutex<BTreeMap<String, String>>,
    /// What nobody may read, by path.
    refused: Mutex<BTreeMap<String, Refusal>>,
    /// Methods and paths of what was asked for since somebody looked; without a path where keys were listed.
    asked: Mutex<Vec<String>>,
    all_looked: Barrier,
    both_there: Barrier,
}

impl Server {
    /// Starts a server, and a store on it.
    pub(crate) async fn start(fault: Fault) -> Result<(Arc<Self>, Store)> {
        let server = Arc::new(Self {
            fault: Mutex::new(fault),
            objects: Mutex::default(),
            refused: Mutex::default(),
            asked: Mutex::default(),
            all_looked: Barrier::new(WRITERS),
            both_there: Barrier::new(2),
        });
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
        Ok((server, Store::new(client, "bucket".into(), "prefix".into(), Encryption::default())))
    }

    /// Answers one request after the other, until the client closes the connection.
    async fn serve(self: Arc<Self>, stream: TcpStream) -> Result<()> {
        let mut stream = BufReader::new(stream);
        while let Some(request) = Request::head(&mut stream).await? {
            let looked = self.objects().get(&request.path).cloned();
            let body = request.body(&mut stream).await?;
            let (status, etag, text) = self.answer(&request, body, looked).await;
            let length = text.len();
            let answer = format!("HTTP/1.1 {status} X\r\nETag: {etag}\r\nContent-Length: {length}\r\n\r\n{text}");
            stream.write_all(answer.as_bytes()).await?;
        }
        Ok(())
    }

    /// Status, `ETag` and body. `looked` is the object as it was when the head had come.
    async fn answer(&self, request: &Request, body: String, looked: Option<String>) -> (u16, String, String) {
        let error = |status, code: &str| (status, String::new(), format!("<Error><Code>{code}</Code></Error>"));
        let path = &request.path;
        let fault = self.fault();
        self.asked().push(format!("{} {}", request.method, if request.lists { "" } else { path }));
        if let (Some(Refusal(status, code)), "GET") = (self.refusal(path), request.method.as_str()) {
            return error(status, code);
        }
        if fault == Fault::AnswersInPairs && request.method == "GET" {
            self.both_there.wait().await;
        }
        let there = if fault == Fault::LooksAtTheHead { looked } else { self.objects().get(path).cloned() };
        match (request.method.as_str(), fault) {
            ("GET", Fault::DeniesRead) if !request.lists => error(403, "AccessDenied"),
            ("GET", Fault::DeniesGet) | ("DELETE", Fault::DeniesDelete) | ("PUT", Fault::DeniesPut) => {
                error(403, "AccessDenied")
            }
            ("GET", _) if request.lists => (200, String::new(), self.listing()),
            ("GET", _) => match there {
                Some(body) => (200, etag(&body), body),
                None => error(404, "NoSuchKey"),
            },
            ("DELETE", _) => {
                match (request.header("if-match"), &there) {
                    (Some(_), None) => return error(404, "NoSuchKey"),
                    (Some(wanted), Some(body)) if etag(body) != wanted => return error(412, "PreconditionFailed"),
                    _ => {}
                }
                self.objects().remove(path);
                (204, String::new(), String::new())
            }
            ("PUT", fault) => {
                let if_none_match = request.header("if-none-match");
                let absent = if_none_match.is_none() || there.is_none() || fault == Fault::IgnoresIfNoneMatch;
                let unchanged = match (request.header("if-match"), fault) {
                    (None, _) | (Some(_), Fault::IgnoresIfMatch) => true,
                    (Some(_), Fault::RefusesIfMatch) => false,
                    (Some(wanted), _) => there.as_deref().map(etag).as_deref() == Some(wanted),
                };
                if fault == Fault::LooksFirst {
                    self.all_looked.wait().await;
                }
                if !absent || !unchanged {
                    return error(412, "PreconditionFailed");
                }
                let etag = etag(&body);
                self.objects().insert(path.clone(), body);
                if fault == Fault::WritesAndDenies {
                    return error(403, "AccessDenied");
                }
                (200, etag, String::new())
            }
            _ => error(405, "MethodNotAllowed"),
        }
    }

    /// All objects, whatever the prefix that was asked for.
    fn listing(&self) -> String {
        let objects = self.objects();
        let contents = objects.iter().map(|(path, body)| {
            let key = path.trim_start_matches("/bucket/");
            format!("<Contents><Key>{key}</Key><ETag>{}</ETag></Contents>", etag(body))
        });
        let contents: String = contents.collect();
        format!("<ListBucketResult><IsTruncated>false</IsTruncated>{contents}</ListBucketResult>")
    }

    pub(crate) fn asked(&self) -> MutexGuard<'_, Vec<String>> {
        self.asked.lock().expect("no holder panics")
    }

    fn fault(&self) -> Fault {
        *self.fault.lock().expect("no holder panics")
    }

    /// Sets the fault from now on.
    pub(crate) fn set_fault(&self, fault: Fault) {
        *self.fault.lock().expect("no holder panics") = fault;
    }

    /// Has nobody read this object from now on.
    pub(crate) fn refuse(&self, path: &str, refusal: Refusal) {
        self.refused.lock().expect("no holder panics").insert(path.to_owned(), refusal);
    }

    fn refusal(&self, path: &str) -> Option<Refusal> {
        self.refused.lock().expect("no holder panics").get(path).copied()
    }

    pub(crate) fn objects(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.objects.lock().expect("no holder panics")
    }
}

/// The head of a request.
struct Request {
    method: String,
    path: String,
    /// Whether it asks for keys.
    lists: bool,
    headers: Vec<String>,
}

impl Request {
    /// Reads it; `None` when the client has closed the connection.
    async fn head(stream: &mut BufReader<TcpStream>) -> Result<Option<Self>> {
        let mut headers = Vec::new();
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await? == 0 {
                return Ok(None);
            }
            if line.trim().is_empty() {
                break;
            }
            headers.push(line.trim().to_owned());
        }
        let mut words = headers.first().context("a request")?.split_whitespace();
        let (method, path) = (words.next().context("a method")?, words.next().context("a path")?);
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let lists = query.contains("list-type=2");
        Ok(Some(Self { method: method.to_owned(), path: path.to_owned(), lists, headers }))
    }

    async fn body(&self, stream: &mut BufReader<TcpStream>) -> Result<String> {
        let length = self.header("content-length").map_or(Ok(0), str::parse)?;
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await?;
        Ok(String::from_utf8(body)?)
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// The `ETag` of a body.
fn etag(body: &str) -> String {
    let mut hasher = DefaultHasher::new();
    body.hash(&mut hasher);
    format!("\"{:016x}\"", hasher.finish())
}

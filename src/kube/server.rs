//! For tests: a server with as much of Kubernetes' API as the clients need, over plain HTTP.

use super::Client;
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// What it keeps, and was asked.
#[derive(Default)]
pub(crate) struct Server {
    objects: Mutex<BTreeMap<String, Value>>,
    /// Methods and paths with their queries.
    asked: Mutex<Vec<String>>,
    /// What a watch answers; without it there are none.
    watch: Mutex<Option<String>>,
    /// What stands in the status of a review of access; without it nobody is allowed anything.
    bypass: Mutex<Option<Value>>,
    version: Mutex<u64>,
}

impl Server {
    /// Starts a server, and a client of it.
    pub(crate) async fn start() -> Result<(Arc<Self>, Client)> {
        let server = Arc::new(Self::default());
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let client = Client::plain(listener.local_addr()?)?;
        let accepting = Arc::clone(&server);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(Arc::clone(&accepting).serve(stream));
            }
        });
        Ok((server, client))
    }

    /// The objects by path.
    pub(crate) fn objects(&self) -> MutexGuard<'_, BTreeMap<String, Value>> {
        self.objects.lock().expect("no holder panics")
    }

    pub(crate) fn asked(&self) -> MutexGuard<'_, Vec<String>> {
        self.asked.lock().expect("no holder panics")
    }

    /// Has every watch answer this.
    pub(crate) fn set_watch(&self, says: String) {
        *self.watch.lock().expect("no holder panics") = Some(says);
    }

    /// Has every review of access say this.
    pub(crate) fn set_bypass(&self, status: Option<Value>) {
        *self.bypass.lock().expect("no holder panics") = status;
    }

    /// Puts an object there as another client would.
    pub(crate) fn put(&self, path: &str, mut object: Value) {
        object["metadata"]["resourceVersion"] = json!(self.next_version());
        self.objects().insert(path.to_owned(), object);
    }

    /// Changes an object as nobody may who asks the server.
    pub(crate) fn change(&self, path: &str, change: impl FnOnce(&mut Value)) {
        change(self.objects().get_mut(path).expect("a test changes what is there"));
    }

    fn next_version(&self) -> String {
        let mut version = self.version.lock().expect("no holder panics");
        *version += 1;
        version.to_string()
    }

    async fn serve(self: Arc<Self>, stream: TcpStream) -> Result<()> {
        let mut stream = BufReader::new(stream);
        loop {
            let (mut line, mut length) = (String::new(), 0);
            if stream.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            loop {
                let mut header = String::new();
                stream.read_line(&mut header).await?;
                match header.trim().split_once(':') {
                    Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                        length = value.trim().parse()?
                    }
                    Some(_) => {}
                    None => break,
                }
            }
            let mut body = vec![0; length];
            stream.read_exact(&mut body).await?;
            let body = serde_json::from_slice(&body).unwrap_or_default();
            let mut words = line.split_whitespace();
            let (method, target) = (words.next().context("a method")?, words.next().context("a path")?);
            self.asked().push(format!("{method} {target}"));
            let (status, text) = self.answer(method, target, body);
            let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n{text}", text.len());
            stream.write_all(answer.as_bytes()).await?;
        }
    }

    fn answer(&self, method: &str, target: &str, body: Value) -> (u16, String) {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let said = |status: u16| (status, json!({"kind": "Status", "message": format!("no: {status}")}).to_string());
        if query.contains("watch=1") {
            return self.watch.lock().expect("no holder panics").clone().map_or_else(|| said(405), |says| (200, says));
        }
        if path.ends_with("/subjectaccessreviews") {
            let status = self.bypass.lock().expect("no holder panics").clone();
            return (201, json!({"status": status.unwrap_or(json!({"allowed": false}))}).to_string());
        }
        let path = path.strip_suffix("/approval").unwrap_or(path);
        let found = self.objects().get(path).cloned();
        let version = |object: &Value| object["metadata"]["resourceVersion"].clone();
        match (method, found) {
            ("POST", _) => {
                let path = format!("{path}/{}", body["metadata"]["name"].as_str().unwrap_or_default());
                if self.objects().contains_key(&path) {
                    return said(409);
                }
                self.put(&path, body.clone());
                (201, body.to_string())
            }
            ("GET", Some(object)) => (200, object.to_string()),
            ("GET", None) if query.contains("limit=") => (200, self.page(path, query)),
            (_, None) => said(404),
            ("PUT" | "PATCH", Some(object)) if !version(&body).is_null() && version(&body) != version(&object) => {
                said(409)
            }
            ("PUT", Some(_)) => {
                self.put(path, body.clone());
                (200, body.to_string())
            }
            ("PATCH", Some(mut object)) => {
                merge(&mut object, &body);
                self.put(path, object);
                (200, self.objects()[path].to_string())
            }
            ("DELETE", Some(_)) => {
                self.objects().remove(path);
                said(200)
            }
            _ => said(405),
        }
    }

    fn page(&self, folder: &str, query: &str) -> String {
        let number = |name: &str| {
            let found = query.split('&').find_map(|part| part.strip_prefix(name)?.parse::<usize>().ok());
            found.unwrap_or_default()
        };
        let (limit, start) = (number("limit="), number("continue="));
        let objects = self.objects();
        let all = objects.iter().filter(|(path, _)| path.rsplit_once('/').is_some_and(|(parent, _)| parent == folder));
        let all: Vec<&Value> = all.map(|(_, object)| object).collect();
        let items: Vec<&Value> = all.iter().skip(start).take(limit).copied().collect();
        let next = if start + limit < all.len() { (start + limit).to_string() } else { String::new() };
        json!({"metadata": {"resourceVersion": "900", "continue": next}, "items": items}).to_string()
    }
}

fn merge(object: &mut Value, patch: &Value) {
    match (object.as_object_mut(), patch.as_object()) {
        (Some(fields), Some(patch)) => {
            for (name, value) in patch {
                merge(fields.entry(name.clone()).or_insert(Value::Null), value);
            }
        }
        _ => *object = patch.clone(),
    }
}

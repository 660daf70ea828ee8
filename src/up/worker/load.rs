//! What waiting workers ask of S3, Auto Scaling and the API server: `dev/bench --only workers`, which names the addresses by the standard variables of
//! AWS and the number of seconds by one of its own.

use super::hook::WorkerHook;
use super::{WorkerContext, work};
use crate::aws::Session;
use crate::aws::imds::InstanceMetadata;
use crate::bucket::keys;
use crate::kubeadm::worker_state;
use crate::layout::say;
use crate::model::joining::{Join, JoinCluster, JoinToken};
use crate::model::machine::ids::InstanceId;
use crate::model::worker::snapshot::WorkerLocal;
use crate::node::Facts;
use crate::node::facts::cluster;
use crate::settings::{Flags, Settings};
use anyhow::{Context, Result, ensure};
use futures::future::join_all;
use rustix::time::{ClockId, clock_gettime};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Barrier, Mutex, MutexGuard};
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::time::{Instant as Deadline, timeout};

/// How many workers wait at the same time.
const LOOPS: [usize; 4] = [1, 10, 100, 1000];
const SECOND: Duration = Duration::from_secs(1);
/// How long each of them is watched, in seconds.
const SECONDS: &str = "KUBEBOOT_LOAD_SECONDS";
/// Where the stand-in for S3 and IMDS listens.
const ADDRESS: &str = "AWS_ENDPOINT_URL";

/// As much of S3, Auto Scaling and IMDS as a worker asks while it waits, and how often it asks.
#[derive(Default)]
struct Cloud {
    /// Bodies by path. All have one `ETag`, for none of them changes while it is asked for.
    objects: Mutex<BTreeMap<String, String>>,
    /// When S3 was asked, and how often it had nothing new to tell.
    asked: Mutex<Vec<Instant>>,
    unchanged: Mutex<usize>,
    /// When a launch hook was kept alive.
    heartbeats: Mutex<Vec<Instant>>,
}

/// What it took to be so many workers for a while.
struct Waited {
    begun: Instant,
    /// Processor time of the threads of the workers alone.
    cpu: Duration,
    /// Memory of this whole process, in bytes, while all of them were there.
    resident: u64,
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no holder panics")
}

fn runtime() -> Result<Runtime> {
    Ok(Builder::new_current_thread().enable_all().build()?)
}

impl Cloud {
    async fn serve(self: Arc<Self>, stream: TcpStream) -> Result<()> {
        let mut stream = BufReader::new(stream);
        loop {
            let mut head = Vec::new();
            loop {
                let mut line = String::new();
                if stream.read_line(&mut line).await? == 0 {
                    return Ok(());
                }
                match line.trim() {
                    "" => break,
                    text => head.push(text.to_owned()),
                }
            }
            let header = |name: &str| {
                let mut fields = head.iter().filter_map(|line| line.split_once(':'));
                fields.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
            };
            let mut body = vec![0; header("content-length").map_or(Ok(0), str::parse)?];
            stream.read_exact(&mut body).await?;
            let path = head.first().and_then(|line| line.split_whitespace().nth(1)).context("a path")?;
            let path = path.split('?').next().unwrap_or_default();
            let answer = match path {
                "/" => self.auto_scaling(&body),
                imds if imds.starts_with("/latest/") => Self::imds(imds),
                object => self.s3(object, header("if-none-match").is_some()),
            };
            stream.write_all(answer.as_bytes()).await?;
        }
    }

    /// The group has not said yet in which state it wants the machine.
    fn imds(path: &str) -> String {
        if path == "/latest/api/token" {
            return "HTTP/1.1 200 X\r\nx-aws-ec2-metadata-token-ttl-seconds: 21600\r\nContent-Length: 5\r\n\r\ntoken"
                .into();
        }
        "HTTP/1.1 404 X\r\nContent-Length: 0\r\n\r\n".into()
    }

    /// Whatever is asked is done.
    fn auto_scaling(&self, body: &[u8]) -> String {
        if String::from_utf8_lossy(body).contains("Action=RecordLifecycleActionHeartbeat") {
            held(&self.heartbeats).push(Instant::now());
        }
        "HTTP/1.1 200 X\r\nContent-Length: 0\r\n\r\n".into()
    }

    fn s3(&self, path: &str, knows: bool) -> String {
        held(&self.asked).push(Instant::now());
        match held(&self.objects).get(path) {
            Some(_) if knows => {
                *held(&self.unchanged) += 1;
                "HTTP/1.1 304 X\r\nETag: \"1\"\r\n\r\n".into()
            }
            Some(body) => format!("HTTP/1.1 200 X\r\nETag: \"1\"\r\nContent-Length: {}\r\n\r\n{body}", body.len()),
            None => {
                let error = "<Error><Code>NoSuchKey</Code></Error>";
                format!("HTTP/1.1 404 X\r\nContent-Length: {}\r\n\r\n{error}", error.len())
            }
        }
    }
}

/// Serves for ever in a thread of its own.
fn start(cloud: &Arc<Cloud>) -> Result<()> {
    let address = std::env::var(ADDRESS).context("this is measured by 'dev/bench --only workers'")?;
    let address = address.trim_start_matches("http://").to_owned();
    let (cloud, ready) = (Arc::clone(cloud), Arc::new(Barrier::new(2)));
    let listening = Arc::clone(&ready);
    let runtime = runtime()?;
    std::thread::spawn(move || {
        runtime.block_on(async {
            let listener = TcpListener::bind(address).await.expect("dev/bench has found a free port");
            listening.wait();
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(Arc::clone(&cloud).serve(stream));
            }
        });
    });
    ready.wait();
    Ok(())
}

/// One worker of a group, as it is before anything was asked, and its way to AWS.
async fn worker(settings: &Settings, number: usize) -> Result<(WorkerContext, Session)> {
    let instance = InstanceId::parse(format!("i-{number:08x}"))?;
    let machine = InstanceMetadata {
        instance,
        account: "123456789012".into(),
        region: "eu-central-1".into(),
        zone: "eu-central-1a".into(),
        addresses: vec![[10, 0, 2, 11].into()],
        private_dns_name: "w1.internal".into(),
    };
    let known = cluster(settings, "v1.36.1".into());
    let facts = Facts::assemble(settings.clone(), Default::default(), known, machine)?;
    let session = facts.connect().await?;
    Ok((WorkerContext::new(facts, &session, None), session))
}

/// These workers, each of which has looked once.
async fn connected(settings: &Settings, numbers: Vec<usize>) -> Result<Vec<(WorkerContext, Session)>> {
    let mut contexts = Vec::new();
    for number in numbers {
        let (mut context, session) = worker(settings, number).await?;
        context.look().await?;
        contexts.push((context, session));
    }
    Ok(contexts)
}

/// Has so many workers wait, all from the same moment on. Each has connected before that: it is counted what is asked, and not how long one
/// computer takes to be a thousand of them.
fn wait_together(cloud: &Cloud, settings: &Settings, loops: usize, seconds: Duration) -> Result<Waited> {
    let threads = std::thread::available_parallelism()?.get().min(loops);
    let together = Barrier::new(threads + 1);
    let wait = |numbers: Vec<usize>| -> Result<Duration> {
        runtime()?.block_on(async {
            let made = connected(settings, numbers).await;
            together.wait();
            let (mut contexts, before) = (made?, thread_cpu());
            let never = Deadline::now() + 2 * seconds;
            let waits = contexts.iter_mut().map(async |(context, session)| {
                // Its time begins now.
                context.hook = WorkerHook::new(session, &context.facts);
                timeout(seconds, work(context, never)).await
            });
            for ended in join_all(waits).await {
                ensure!(ended.is_err(), "a worker did not wait: {ended:?}");
            }
            Ok(thread_cpu().saturating_sub(before))
        })
    };
    std::thread::scope(|scope| {
        let numbers = move |thread: usize| -> Vec<usize> { (thread..loops).step_by(threads).collect() };
        let waiting: Vec<_> = (0..threads).map(|thread| scope.spawn(move || wait(numbers(thread)))).collect();
        together.wait();
        held(&cloud.asked).clear();
        held(&cloud.heartbeats).clear();
        *held(&cloud.unchanged) = 0;
        let (begun, resident) = (Instant::now(), resident()?);
        let used = waiting.into_iter().map(|thread| thread.join().expect("no worker panics"));
        let cpu = used.sum::<Result<Duration>>()?;
        Ok(Waited { begun, cpu, resident })
    })
}

/// Processor time of this thread so far.
fn thread_cpu() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().unwrap_or_default()
}

/// What this process has in memory, in bytes.
fn resident() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("the kernel does not say")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
}

/// How many there are of these within the time that is measured, and the most in any second of it, whenever that begins.
fn counted(times: &Mutex<Vec<Instant>>, begun: Instant, seconds: Duration) -> (usize, usize) {
    let mut times = held(times).clone();
    times.retain(|at| *at >= begun && *at < begun + seconds);
    times.sort();
    (times.len(), peak(&times))
}

fn peak(times: &[Instant]) -> usize {
    let within = |first: usize| times[first..].partition_point(|at| *at - times[first] < SECOND);
    (0..times.len()).map(within).max().unwrap_or_default()
}

#[test]
#[ignore = "it measures for minutes: dev/bench --only workers"]
fn waiting_workers_are_counted() -> Result<()> {
    ensure!(worker_state::observe(Path::new("/"))? == WorkerLocal::Fresh, "this computer is a node of a cluster");
    let seconds = Duration::from_secs(std::env::var(SECONDS)?.parse()?);
    let of_the_hook = [("group", "demo-workers"), ("launch_hook", "come")];
    let values = [("role", "worker"), ("cluster", "demo"), ("bucket", "bucket"), ("prefix", "prefix")];
    let values = values.into_iter().chain(of_the_hook);
    let values = values.map(|(name, value)| (name, value.to_owned())).collect();
    let settings = Settings::load(&Flags { config: None, values }, |_| None)?;
    let cloud = Arc::new(Cloud::default());
    start(&cloud)?;
    let before = resident()?;
    // Whoever asks the API server connects to it first.
    let endpoint = std::net::TcpListener::bind("127.0.0.1:0")?;
    endpoint.set_nonblocking(true)?;
    let mut published = JoinCluster::sample(3);
    published.endpoint = endpoint.local_addr()?.to_string();
    let published = String::from_utf8(Join::Published(published).to_bytes())?;
    let ended = String::from_utf8(Join::Published(JoinToken::sample(3, 1)).to_bytes())?;
    let path = |key: &str| format!("/bucket/prefix/{key}");
    for (scene, objects) in [
        ("nothing is published", BTreeMap::new()),
        (
            "the token has ended",
            BTreeMap::from([(path(keys::JOIN_CLUSTER), published), (path(keys::JOIN_TOKEN), ended)]),
        ),
    ] {
        *held(&cloud.objects) = objects;
        for loops in LOOPS {
            let Waited { begun, cpu, resident } = wait_together(&cloud, &settings, loops, seconds)?;
            let (requests, peak) = counted(&cloud.asked, begun, seconds);
            let (heartbeats, heartbeat_peak) = counted(&cloud.heartbeats, begun, seconds);
            let calls = std::iter::from_fn(|| endpoint.accept().ok()).count();
            let measured = json!({
                "scene": scene, "loops": loops, "seconds": seconds.as_secs(), "requests": requests, "peak": peak,
                "unchanged": *held(&cloud.unchanged), "heartbeats": heartbeats, "heartbeat_peak": heartbeat_peak,
                "api_server": calls, "cpu": cpu.as_secs_f64(), "memory": resident.saturating_sub(before),
            });
            say(&format!("\nmeasured {measured}"));
        }
    }
    Ok(())
}

//! S3 servers: on one that honours conditions exactly one of many claims wins, one that races is found out by the very same
//! test, and one that ignores conditions is refused. All but the world's own are from `tests/servers/setup`.

use crate::support::World;
use crate::support::bucket::BUCKET;
use crate::support::gate::Gate;
use crate::support::server::{self, USER};
use anyhow::{Context, Result, bail, ensure};
use aws_config::timeout::TimeoutConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::{Credentials, SharedCredentialsProvider};
use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::operation::create_bucket::CreateBucketError;
use futures::future::join_all;
use kubeboot::aws::store::{Encryption, Store, Written};
use kubeboot::bucket::keys;
use kubeboot::bucket::probe::{self, Unfit};
use kubeboot::model::machine::ids::{BootId, ClaimId, InstanceId};
use kubeboot::model::record::claim;
use kubeboot::model::record::cluster::{ClusterRecord, Holder, RecordState};
use kubeboot::model::record::conditional_write::Condition;
use kubeboot::model::record::identity::Identity;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Machines that claim at the same moment.
const CLAIMERS: usize = 50;
/// Times that they do.
const ROUNDS: usize = 20;
/// Rounds within which a server that races must let two win; the first is nearly always enough.
const MANY_ROUNDS: usize = 100;
/// Probes of a server that races, and how many must see that. Without the gate of the probe about half of them do.
const PROBES: usize = 50;
const MOST: usize = 40;
/// How long localstack may take for its first answer: it loads a service when that is asked for.
const FIRST_ANSWER: Duration = Duration::from_mins(2);
/// How long one write of the record is tried, and one answer to it waited for.
const PATIENCE: Duration = Duration::from_mins(1);
/// An S3 of its own, beside the world's, for everything that `kubeboot` does there.
const S3_ALONE: &str = "AWS_ENDPOINT_URL_S3";

#[test]
fn one_of_fifty_claimers_wins_on_the_worlds_s3() -> Result<()> {
    World::of(0).tell(|world| {
        let status = world.ask(&["status"])?;
        let url = status["aws"].as_str().context("the world has no endpoint")?;
        one_winner_each(url.trim_start_matches("http://").parse()?)
    })
}

#[test]
fn one_of_fifty_claimers_wins_on_localstack() -> Result<()> {
    let server = server::localstack()?;
    running(async {
        let (client, end) = (client(&server.url()).await?, Instant::now() + FIRST_ANSWER);
        loop {
            match client.create_bucket().bucket(BUCKET).send().await {
                Err(SdkError::TimeoutError(_)) if Instant::now() < end => {}
                // By a request whose answer came too late.
                Err(error)
                    if error.as_service_error().is_some_and(CreateBucketError::is_bucket_already_owned_by_you) =>
                {
                    break;
                }
                made => {
                    made?;
                    break;
                }
            }
        }
        warm_up(&store_of(&client, ROUNDS)).await
    })?;
    one_winner_each(server.address)
}

/// The control: did the claims not arrive at the same moment, this server would pass, too.
#[test]
fn a_server_that_races_fails_the_same_test() -> Result<()> {
    let server = server::s3s_fs()?;
    running(async {
        let gate = Gate::before(server.address)?;
        let client = client(&gate.url).await?;
        client.create_bucket().bucket(BUCKET).send().await?;
        for round in 0..MANY_ROUNDS {
            let claimed = race(&gate, &client, round, None).await?;
            if claimed.won.len() > 1 {
                let winners = claimed.won.len();
                println!("round {round}: {winners} won");
                ensure!(claimed.winner().is_err(), "the test has not noticed that {winners} won");
                return Ok(());
            }
        }
        bail!("in {MANY_ROUNDS} rounds nobody ever won beside another: the claimers do not race")
    })
}

/// Without a gate of this test's: the probe has one of its own.
#[test]
fn the_probe_of_check_finds_a_server_that_races() -> Result<()> {
    let server = server::s3s_fs()?;
    running(async {
        let client = client(&server.url()).await?;
        client.create_bucket().bucket(BUCKET).send().await?;
        let store = Store::new(client, BUCKET.to_owned(), "probes".to_owned(), Encryption::default());
        let me = InstanceId::parse("i-0123456789abcdef0")?;
        let (mut verdicts, mut took) = (Vec::new(), Vec::new());
        for _ in 0..PROBES {
            let start = Instant::now();
            verdicts.push(probe::one_wins(&store, &me).await.verdict);
            took.push(start.elapsed().as_millis());
        }
        took.sort_unstable();
        let caught = verdicts.iter().filter(|verdict| matches!(verdict, Err(Unfit::Ignores(_)))).count();
        let (half, longest) = (took[PROBES / 2], took[PROBES - 1]);
        println!(
            "{caught} of {PROBES} probes have seen the race, half of them within {half} ms, all within {longest} ms"
        );
        ensure!(caught >= MOST, "only {caught} of {PROBES} probes have seen that this server races: {verdicts:?}");
        Ok(())
    })
}

#[test]
fn a_server_that_ignores_conditions_is_refused_by_check_and_up() -> Result<()> {
    let server = server::s3rver()?;
    let plan = World::of(1).without_up().env(S3_ALONE, &server.url());
    plan.env("AWS_ACCESS_KEY_ID", USER).env("AWS_SECRET_ACCESS_KEY", USER).tell(|world| {
        for command in ["check", "up"] {
            let ended = world.on(1, &["kubeboot", command])?;
            ensure!(ended.code == 2, "'kubeboot {command}' ended with {}: {}", ended.code, ended.text());
            for words in ["this bucket ignores conditional writes", "general-purpose bucket of Amazon S3"] {
                ensure!(ended.text().contains(words), "'kubeboot {command}' does not say '{words}': {}", ended.text());
            }
        }
        ensure!(world.kubeadm()?.is_empty(), "kubeadm ran: {:?}", world.kubeadm()?);
        let objects = running(async {
            Ok(client(&server.url()).await?.list_objects_v2().bucket(BUCKET).send().await?.contents.unwrap_or_default())
        })?;
        let keys: Vec<_> = objects.iter().filter_map(|object| object.key()).collect();
        ensure!(!keys.iter().any(|key| key.ends_with(keys::RECORD)), "it claimed all the same: {keys:?}");
        Ok(())
    })
}

/// One claim that wins, one that loses, and one that reads who won. `LocalStack` loads what these need when it first meets them, and hangs
/// now and then when fifty do so at once.
async fn warm_up(store: &Store) -> Result<()> {
    let (_, won) = claim(store, 0, None).await?;
    ensure!(matches!(won, Ok(Written::Ours(_))), "the first claim: {won:?}");
    let (_, lost) = claim(store, 1, None).await?;
    ensure!(matches!(lost, Ok(Written::Others(_))), "the second claim: {lost:?}");
    stored(store).await.map(drop)
}

/// Every round, of all that claim at once one wins, of all that take its claim over at once one wins, and of all that restore at once what
/// was saved from there.
fn one_winner_each(server: SocketAddr) -> Result<()> {
    running(async {
        let gate = Gate::before(server)?;
        let client = client(&gate.url).await?;
        for round in 0..ROUNDS {
            let claimed = race(&gate, &client, round, None).await?;
            let stored = claimed.winner().with_context(|| format!("round {round}, claiming"))?;
            let taken = race(&gate, &client, round, Some(stored)).await?;
            let (record, etag) = taken.winner().with_context(|| format!("round {round}, taking over"))?;
            let saved = save(&store_of(&client, round), &record, etag).await?;
            let restoring = race(&gate, &client, round, Some(saved.clone())).await?;
            let (record, _) = restoring.winner().with_context(|| format!("round {round}, restoring"))?;
            ensure!(record.saved() == saved.0.saved(), "it restores something else: {record:?}");
            ensure!(record.supersedes(&saved.0.claim_id), "it is no restore of {saved:?}: {record:?}");
        }
        Ok(())
    })
}

/// Has the claim's record say that its cluster is saved, whatever the cluster is.
async fn save(store: &Store, claimed: &ClusterRecord, etag: String) -> Result<(ClusterRecord, String)> {
    let stored = ClusterRecord::parse(include_bytes!("../fixtures/stored/record-saved.json"))?;
    ensure!(matches!(stored.state, RecordState::Saved(_)), "{stored:?}");
    let saved = ClusterRecord { state: stored.state, ..claimed.clone() };
    let written = store.write(keys::RECORD, &saved.to_bytes(), &Condition::Unchanged(etag), PATIENCE).await?;
    let Written::Ours(etag) = written else { bail!("the record was not written: {written:?}") };
    Ok((saved, etag))
}

/// What came of one race.
struct Raced {
    /// Whoever was told that the record is theirs.
    won: Vec<ClaimId>,
    /// The errors of those that were not told who won.
    failed: Vec<String>,
    /// The record at the end, and its `ETag`; a server that races may have made two into one that nobody can read.
    stored: Result<(ClusterRecord, String)>,
}

impl Raced {
    /// The record. Fails unless one won, all others know that they lost, and the record is the winner's.
    fn winner(self) -> Result<(ClusterRecord, String)> {
        ensure!(self.won.len() == 1, "{} of {CLAIMERS} won", self.won.len());
        ensure!(self.failed.is_empty(), "{:?} do not know whether they won", self.failed);
        let (record, etag) = self.stored?;
        ensure!(record.claim_id == self.won[0], "the record is not the winner's: {record:?}");
        Ok((record, etag))
    }
}

/// All claim, or take over what is there, and their writes arrive at the same moment.
async fn race(gate: &Gate, client: &Client, round: usize, over: Option<(ClusterRecord, String)>) -> Result<Raced> {
    let store = store_of(client, round);
    gate.hold(CLAIMERS);
    let claimers = (0..CLAIMERS).map(|claimer| claim(&store, claimer, over.clone()));
    let (mut won, mut failed) = (Vec::new(), Vec::new());
    for ended in join_all(claimers).await {
        match ended? {
            (id, Ok(Written::Ours(_))) => won.push(id),
            (_, Ok(Written::Others(_))) => {}
            (_, Ok(unclear @ (Written::Gone | Written::Unknown))) => failed.push(format!("{unclear:?}")),
            (_, Err(error)) => failed.push(error),
        }
    }
    Ok(Raced { won, failed, stored: stored(&store).await })
}

fn store_of(client: &Client, round: usize) -> Store {
    Store::new(client.clone(), BUCKET.to_owned(), format!("round-{round}"), Encryption::default())
}

async fn stored(store: &Store) -> Result<(ClusterRecord, String)> {
    let object = store.get(keys::RECORD).await?.context("nobody has written the record")?;
    Ok((ClusterRecord::parse(&object.body)?, object.etag))
}

/// One claim, as `up` writes it: the claim's ID, and what came of it.
async fn claim(
    store: &Store,
    claimer: usize,
    over: Option<(ClusterRecord, String)>,
) -> Result<(ClaimId, Result<Written, String>)> {
    let identity = Identity {
        account: "123456789012".to_owned(),
        region: "eu-central-1".to_owned(),
        group_arn: "arn:aws:autoscaling:claimers".to_owned(),
        endpoint: "api.example.internal:6443".to_owned(),
        service_subnet: "10.96.0.0/12".to_owned(),
    };
    let id = ClaimId::parse(uuid::Uuid::new_v4().to_string())?;
    let holder = Holder {
        instance: InstanceId::parse(format!("i-{claimer:017x}"))?,
        boot: BootId::parse(uuid::Uuid::new_v4().to_string())?,
    };
    let next = claim::claimed(over.as_ref().map(|(record, _)| record), id.clone(), holder, identity);
    let condition = over.map_or(Condition::Absent, |(_, etag)| Condition::Unchanged(etag));
    let written = store.write(keys::RECORD, &next.to_bytes(), &condition, PATIENCE).await;
    Ok((id, written.map_err(|error| error.to_string())))
}

/// A client as `up` has it, of the server at this address, but for the time it gives one that answers fifty at once on a busy computer: who
/// won is asked here, and not who is fast.
async fn client(url: &str) -> Result<Client> {
    // Where a bucket needs no location.
    let sdk = kubeboot::aws::connect(Some("us-east-1".to_owned())).await?;
    let user = SharedCredentialsProvider::new(Credentials::new(USER, USER, None, None, "tests"));
    let patient = TimeoutConfig::builder().operation_attempt_timeout(PATIENCE).operation_timeout(PATIENCE).build();
    let sdk = sdk.into_builder().endpoint_url(url).credentials_provider(user).timeout_config(patient);
    Ok(Client::new(&sdk.build()))
}

fn running<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}

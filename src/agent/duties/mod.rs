//! What the leader among the agents does for all. [`crate::model::agent::duties`] decides; this looks, and carries out.

mod act;
mod leadership;
mod look;
mod past;
mod save;
mod upgrade;
mod workers;

use super::serve::Board;
use crate::aws::Session;
use crate::host::boottime;
use crate::model::agent::duties::{Decided, Duty, decide};
use crate::node::Facts;
use crate::node::election::Told;
use anyhow::Result;
use look::{Eyes, Look};
use save::Saver;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use upgrade::Upgrader;
use workers::Workers;

/// Between two short looks: etcd's list, and who of it answers.
const GLANCE_INTERVAL: Duration = Duration::from_secs(10);
/// Between two looks at everything while nothing is to be judged.
const LOOK_INTERVAL: Duration = Duration::from_secs(60);
/// The same while something lasts that is to be judged, and after a failure.
const OPEN_INTERVAL: Duration = Duration::from_secs(30);
/// How long one look may take.
const LOOK_TIMEOUT: Duration = Duration::from_secs(45);
/// Between two looks for registrations that are over.
const PAST_INTERVAL: Duration = Duration::from_secs(60 * 60);

/// This machine, and its way to AWS.
pub(super) struct Scene {
    pub(super) facts: Facts,
    pub(super) session: Session,
    /// What is served of it.
    pub(super) board: Board,
}

/// Does what a leader does, whenever this machine leads, until `over`.
pub(super) async fn run(
    scene: &Scene,
    mut told: watch::Receiver<Told>,
    mut over: watch::Receiver<bool>,
    trouble: watch::Receiver<bool>,
    words: watch::Sender<String>,
) {
    loop {
        if *over.borrow() {
            return;
        }
        if leads(&told) {
            Leader::new(scene, told.clone(), over.clone(), trouble.clone(), words.clone()).lead().await;
            words.send_replace(String::new());
        }
        tokio::select! {
            changed = told.changed() => if changed.is_err() { return },
            changed = over.changed() => if changed.is_err() { return },
        }
    }
}

/// Whether this machine leads in this moment, as far as it knows.
fn leads(told: &watch::Receiver<Told>) -> bool {
    told.borrow().mine.term.as_ref().is_some_and(|term| !term.is_overdue(boottime::now()))
}

/// One term of a leader. What it has seen ends with it.
struct Leader<'a> {
    scene: &'a Scene,
    told: watch::Receiver<Told>,
    over: watch::Receiver<bool>,
    trouble: watch::Receiver<bool>,
    words: watch::Sender<String>,
    eyes: Eyes<'a>,
    saver: Saver<'a>,
    upgrader: Upgrader<'a>,
    workers: Workers,
    /// When everything is looked at again.
    next_look: Instant,
    /// When registrations that are over are looked for.
    next_past: Instant,
    said: String,
}

impl<'a> Leader<'a> {
    fn new(
        scene: &'a Scene,
        told: watch::Receiver<Told>,
        over: watch::Receiver<bool>,
        trouble: watch::Receiver<bool>,
        words: watch::Sender<String>,
    ) -> Self {
        let now = Instant::now();
        let (eyes, saver, upgrader) = (Eyes::new(scene), Saver::new(scene), Upgrader::new(scene));
        let workers = Workers::new(scene);
        let (next_look, next_past, said) = (now, now, String::new());
        Self { scene, told, over, trouble, words, eyes, saver, upgrader, workers, next_look, next_past, said }
    }

    async fn lead(&mut self) {
        while leads(&self.told) && !*self.over.borrow() {
            if let Err(error) = Box::pin(self.pass()).await {
                self.next_look = Instant::now() + OPEN_INTERVAL;
                self.say(&format!("cannot do for all what one must do: {error:#}"));
            }
            let mut over = self.over.clone();
            tokio::select! {
                () = sleep(GLANCE_INTERVAL) => {}
                _ = over.wait_for(|over| *over) => {}
            }
        }
    }

    async fn pass(&mut self) -> Result<()> {
        self.saver.ended();
        self.upgrader.ended();
        let is_new = self.trouble.has_changed().unwrap_or(false);
        if Instant::now() < self.next_look && !is_new && self.eyes.nothing_new().await {
            return Ok(());
        }
        // Not held any longer than it takes: the agent would wait for it.
        let sees_trouble = *self.trouble.borrow_and_update();
        self.next_look = Instant::now() + LOOK_INTERVAL;
        let look = timeout(LOOK_TIMEOUT, self.eyes.look(sees_trouble, None)).await??;
        let decided = decide(&look.sight);
        self.next_look = Instant::now() + look.pace();
        self.workers.sees(&look);
        self.tell(&decided);
        let done = self.carry_out(&look, &decided).await;
        self.saver.pass(&look).await;
        self.upgrader.pass(&look).await;
        self.next_look = self.upgrader.next_look().map_or(self.next_look, |next| next.min(self.next_look));
        if Instant::now() >= self.next_past {
            self.next_past = Instant::now() + PAST_INTERVAL;
            self.eyes.end_what_is_past(&look).await?;
        }
        done
    }

    /// One that fails keeps no other from being done; the first failure is the one that is told.
    async fn carry_out(&mut self, look: &Look, decided: &Decided) -> Result<()> {
        let mut failed = None;
        if decided.duties.iter().any(Duty::wants_lease) && leads(&self.told) {
            failed = act::under_the_lease(self.scene, &mut self.eyes, &self.over).await.err();
            // What fails is not tried at once: it takes the lease that joiners wait for.
            self.next_look = Instant::now() + if failed.is_some() { OPEN_INTERVAL } else { Duration::ZERO };
        }
        for duty in decided.duties.iter().filter(|duty| !duty.wants_lease()) {
            if !leads(&self.told) || *self.over.borrow() {
                break;
            }
            let done = match duty {
                Duty::Replace(_) => self.replace_if_still_due(look, duty).await,
                _ => act::by_itself(self.scene, look, duty).await,
            };
            failed = failed.or(done.err());
        }
        failed.map_or(Ok(()), Err)
    }

    /// What was judged before the lease was had may have come back meanwhile.
    async fn replace_if_still_due(&mut self, look: &Look, duty: &Duty) -> Result<()> {
        let now = timeout(LOOK_TIMEOUT, self.eyes.look(true, None)).await??;
        if decide(&now.sight).duties.contains(duty) {
            act::by_itself(self.scene, look, duty).await?;
            self.eyes.has_replaced();
        }
        Ok(())
    }

    fn tell(&mut self, decided: &Decided) {
        let mut told: Vec<String> = decided.duties.iter().map(ToString::to_string).collect();
        told.extend(decided.waits.iter().cloned());
        told.extend(self.upgrader.words());
        told.extend(self.workers.trouble());
        self.say(&if told.is_empty() { "nothing to do".to_owned() } else { told.join("; ") });
    }

    /// In the log where it is new, and in the status line.
    fn say(&mut self, text: &str) {
        if self.said != text {
            tracing::info!("leads: {text}");
            self.words.send_replace(format!("; leads: {text}"));
            text.clone_into(&mut self.said);
        }
    }
}

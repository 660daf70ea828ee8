//! Looking at a machine that is being terminated, and at the cluster around it.

use crate::aws::Session;
use crate::bucket::keys;
use crate::bucket::registrations;
use crate::exit::Exit;
use crate::host::systemd::unit;
use crate::kubeadm::quiesce::KUBELET;
use crate::kubeadm::state;
use crate::kubeadm::withheld;
use crate::kubeadm::worker_state::{self, OfWorker};
use crate::model::agent::{
    ClaimHere, Ending, HookView, Isolation, Observation, Others, SaveWhy, Saving, may_be_listed,
};
use crate::model::leave::{InGroup, InstanceStates};
use crate::model::machine::group::Group;
use crate::model::machine::ids::InstanceId;
use crate::model::machine::local::{Local, Stage};
use crate::model::membership::members::Members;
use crate::model::membership::view::ClusterView;
use crate::model::record::cluster::ClusterRecord;
use crate::model::saving::RecordFound;
use crate::node::group::{GroupWatch, View};
use crate::node::{Facts, departure, fitness, peers, settling};
use crate::reset::ResetContext;
use crate::reset::survey::Survey;
use anyhow::{Context, Result, anyhow, ensure};
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// How long it may take to find out who would stay.
const OTHERS_TIMEOUT: Duration = Duration::from_secs(15);

/// What a look has found: the observation, and what it was made of.
pub(super) struct Look {
    pub(super) seen: Observation,
    pub(super) survey: Survey,
    pub(super) local: Local,
}

/// Looks again and again, and remembers what only this process knows.
pub(super) struct Looker {
    group: GroupWatch,
    /// The group's name, by the setting or by the watch.
    pub(super) named: Option<String>,
    has_hook: bool,
    /// How long the terminate hook lasts in all, as far as that is known.
    pub(super) hook_lasts: Option<Duration>,
    /// What ends this machine, and by whose word.
    pub(super) ending: Option<(Ending, InstanceStates)>,
    /// Whether this process has stopped what an unpublished init had started.
    pub(super) init_given_up: bool,
    /// Since when the group has had no other candidate.
    alone_since: Option<Instant>,
    /// When and why saving has failed in this process last, on a machine that is what it was before.
    pub(super) not_saved: Option<(Instant, String)>,
    /// Whether this process has uploaded what this machine has, without a quorum.
    pub(super) uploaded: bool,
}

impl Looker {
    pub(super) fn new(session: &Session, facts: &Facts) -> Self {
        let named = facts.settings.group.clone();
        Self {
            group: GroupWatch::new(session, facts.machine.instance.clone(), named.clone()),
            named,
            has_hook: facts.settings.terminate_hook.is_some(),
            hook_lasts: None,
            ending: None,
            init_given_up: false,
            alone_since: None,
            not_saved: None,
            uploaded: false,
        }
    }

    /// The group's name, as far as it is known.
    pub(super) fn group_name(&self) -> Option<String> {
        let seen = self.group.last().group.as_ref().map(|group| group.name.clone());
        seen.or_else(|| self.named.clone())
    }

    /// The group whose hook may wait for this machine, by what was last said of it.
    pub(super) fn hook_group(&self) -> Option<String> {
        let lifecycle = self.ending.as_ref().and_then(|(_, states)| states.lifecycle.as_ref());
        let waits = HookView::of(self.has_hook, lifecycle, false) == HookView::Waits;
        self.group_name().filter(|_| waits)
    }

    /// Everything that the next step depends on, asked now.
    ///
    /// # Errors
    /// The disk cannot be read.
    pub(super) async fn look(&mut self, reset: &ResetContext, answered: bool) -> Result<Look> {
        let me = &reset.facts.machine.instance;
        let data_dir = reset.facts.documents.data_dir();
        // A worker's disk was no member's ever: a wrong 'role' must not keep its terminate hook waiting. With anything of a control plane beside
        // that, such as etcd's data in the folder that the documents name, it may have been one.
        let of_worker = worker_state::must_be_no_worker(Path::new("/")).is_err_and(|error| error.is::<OfWorker>())
            && !worker_state::has_control_plane(Path::new("/"), data_dir).unwrap_or(true);
        let local =
            if of_worker { Local::Fresh } else { state::observe(Path::new("/"), data_dir).context(Exit::Operator)? };
        let departure = departure::load(Path::new("/"), me).context(Exit::Operator)?;
        let view = self.view(reset).await;
        let survey = Survey::take(reset, &local).await;
        let (others, others_unknown) = match self.others(reset, &survey, &view).await {
            Ok(others) => (others, String::new()),
            Err(error) => (None, format!("{error:#}")),
        };
        let lifecycle = self.ending.as_ref().and_then(|(_, states)| states.lifecycle.as_ref());
        let claim = claim_here(reset, &local).await;
        // Without an answer it may run: then it is asked again.
        let is_stopped = claim == ClaimHere::Flipped && unit::show(KUBELET).await.is_ok_and(|unit| !unit.is_active());
        let seen = Observation {
            ending: self.ending.as_ref().map(|(ending, _)| ending.clone()),
            hook: HookView::of(self.has_hook, lifecycle, answered),
            departure,
            has_data: may_have_data(data_dir).await,
            registered_member: registered_member(reset).await,
            claim,
            init_given_up: self.init_given_up,
            is_stopped,
            plan: survey.plan.clone(),
            cluster: survey.cluster.clone(),
            addresses: reset.facts.machine.addresses.clone(),
            others,
            others_unknown,
            desired: view.group.as_ref().map(|group| group.desired),
            retains: view.group.as_ref().is_some_and(|group| group.retains),
            alone_for: self.alone_since.map(|since| since.elapsed()),
            saving: Saving { superseded: is_superseded(reset, &local).await, ..self.saving(me) },
            local: local.clone(),
        };
        Ok(Look { seen, survey, local })
    }

    /// The group as it is now, or as it was last described. Its word on this machine is newer than the watch's.
    async fn view(&mut self, reset: &ResetContext) -> View {
        if let Err(error) = self.group.look(&[], None).await {
            tracing::debug!("the group cannot be looked at: {error}");
            return self.group.last().clone();
        }
        let view = self.group.last().clone();
        let me = &reset.facts.machine.instance;
        let is_alone = |group: &Group| group.candidates().into_iter().all(|candidate| candidate == me);
        let alone = view.group.as_ref().is_some_and(is_alone);
        self.alone_since = alone.then(|| self.alone_since.unwrap_or_else(Instant::now));
        if let (Some(group), Some((ending, states))) = (&view.group, &mut self.ending) {
            let found = group.member(me);
            states.lifecycle = Some(found.map_or(InGroup::No, |member| InGroup::As(member.lifecycle.clone())));
            ending.retained = found.is_some_and(|member| member.lifecycle.is_retained());
        }
        view
    }

    /// That the group, asked now, would keep this machine, and has no other candidate: before the hook of a last voter is abandoned.
    ///
    /// # Errors
    /// It does not say so.
    pub(super) async fn must_be_kept(&mut self, reset: &ResetContext) -> Result<()> {
        let name = self.group_name().context("the group of this machine is not known")?;
        let (me, group) = (&reset.facts.machine.instance, reset.session.group(&name).await?);
        let waits = |group: &Group| group.member(me).is_some_and(|member| member.lifecycle.waits_to_end());
        match group.filter(|group| group.retains && waits(group) && group.candidates().is_empty()) {
            Some(_) => Ok(()),
            None => Err(anyhow!("the group '{name}' would not keep this machine, or has another candidate by now")),
        }
    }

    fn saving(&self, me: &InstanceId) -> Saving {
        let isolation = match withheld::load(Path::new("/"), me) {
            Ok(None) => Isolation::None,
            Ok(Some(mark)) => mark.isolation(),
            Err(error) => Isolation::Unknown(format!("{error:#}")),
        };
        let failed = self.not_saved.as_ref().map(|(at, why)| (why.clone(), at.elapsed()));
        Saving { isolation, failed, hook: self.hook_lasts, uploaded: self.uploaded, superseded: false }
    }

    /// That this is still a reason to save the cluster, asked now: the group may have changed its mind.
    ///
    /// # Errors
    /// It is none any more, or the group does not say.
    pub(super) async fn must_be_saved(&mut self, reset: &ResetContext, why: SaveWhy) -> Result<()> {
        if self.ending.as_ref().is_some_and(|(ending, _)| ending.left.is_some()) {
            return Ok(());
        }
        let name = self.group_name().context("the group of this machine is not known")?;
        let group = reset.session.group(&name).await?.context("the group of this machine is gone")?;
        match why {
            SaveWhy::NoneWanted => ensure!(group.desired == 0, "the group '{name}' wants machines again"),
            SaveWhy::NothingRetains => ensure!(!group.retains, "the group '{name}' would keep this machine by now"),
        }
        Ok(())
    }

    /// Who would stay; `None` where no member would go.
    async fn others(&self, reset: &ResetContext, survey: &Survey, view: &View) -> Result<Option<Others>> {
        let ClusterView::Listed(members) = &survey.cluster else { return Ok(None) };
        if members.at(&reset.facts.machine.addresses).is_none() {
            return Ok(None);
        }
        let asked = timeout(OTHERS_TIMEOUT, ask_others(reset, survey, members, view));
        asked.await.map_err(|_| anyhow!("S3 or the API servers did not answer in time"))?.map(Some)
    }
}

async fn ask_others(reset: &ResetContext, survey: &Survey, members: &Members, view: &View) -> Result<Others> {
    let credentials = survey.credentials.as_ref().map_err(|error| anyhow!("{error:#}"))?;
    let addresses: Vec<IpAddr> = members.voters().flat_map(|member| member.peer_addresses.iter().copied()).collect();
    let port = reset.facts.api_port();
    let registrations = reset.roll.all_readable().await?;
    let ready = peers::ready_api_servers(&credentials.kubeconfig, &addresses, port).await;
    Ok(Others::of(&reset.facts.machine.instance, members, &registrations, ready, view.group.as_ref()))
}

/// Whether etcd's folder holds data of a member, or may: on a volume that is not mounted nobody sees it.
async fn may_have_data(data_dir: Option<&Path>) -> bool {
    let Some(folder) = data_dir else { return false };
    folder.join("member").try_exists().unwrap_or(true) || fitness::volume_for_certain(data_dir).await.is_some()
}

/// Whether this machine is registered with a member that may still be listed; `None` when S3 does not say.
async fn registered_member(reset: &ResetContext) -> Option<bool> {
    let found = registrations::read(&reset.session.store, &reset.facts.machine.instance).await.ok()?;
    match found {
        Some(Ok(said)) => Some(may_be_listed(&said)),
        Some(Err(_)) => None,
        None => Some(false),
    }
}

/// Whether the record, read now, supersedes the claim of a member's data here. Without an answer it does not.
async fn is_superseded(reset: &ResetContext, local: &Local) -> bool {
    let Local::Made { instance, claim_id, .. } = local else { return false };
    *instance == reset.facts.machine.instance
        && settling::find(&reset.session.store, claim_id).await.record == RecordFound::Saved
}

/// What the record says of an init of this machine, read now.
async fn claim_here(reset: &ResetContext, local: &Local) -> ClaimHere {
    let asked = match local {
        Local::Fresh | Local::HalfMade { stage: Stage::Initializing, .. } => read_claim(reset, local).await,
        Local::HalfMade { stage: Stage::Joining, .. } | Local::Made { .. } | Local::Unexplained { .. } => {
            return ClaimHere::Nothing;
        }
    };
    match (asked, local) {
        (Ok(claim), _) => claim,
        // Nothing has begun here; if a claim is this machine's, the others take it over.
        (Err(_), Local::Fresh) => ClaimHere::Nothing,
        (Err(error), _) => ClaimHere::Unknown(format!("{error:#}")),
    }
}

async fn read_claim(reset: &ResetContext, local: &Local) -> Result<ClaimHere> {
    let object = reset.session.store.get(keys::RECORD).await?;
    let record = object.map(|object| ClusterRecord::parse(&object.body)).transpose()?;
    let (registrations, unreadable) = reset.roll.all_or_none().await?;
    if !unreadable.is_empty() {
        return Err(anyhow!("the registration of {} cannot be read", unreadable[0]));
    }
    Ok(ClaimHere::of(record.as_ref(), &registrations, local, &reset.facts.machine.instance))
}

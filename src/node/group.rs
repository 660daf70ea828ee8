//! The group and its instances, asked for seldom and remembered with the times at which things were first seen.

use crate::aws::{CallFailed, ec2, group};
use crate::model::machine::election::matches;
use crate::model::machine::group::{Ec2State, Group, GroupMember};
use crate::model::machine::ids::InstanceId;
use crate::model::membership::instances::{Absences, Instances};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;
use tokio::time::Instant;

/// Auto Scaling publishes no limit and throttles at modest sizes; EC2's is shared by the whole account.
const INTERVAL: Duration = Duration::from_secs(5);

/// Looks at the group again and again.
#[derive(Debug)]
pub struct GroupWatch {
    autoscaling: aws_sdk_autoscaling::Client,
    ec2: aws_sdk_ec2::Client,
    me: InstanceId,
    name: Option<String>,
    since: Instant,
    next: Instant,
    view: View,
    absences: Absences,
    settled_since: Option<Instant>,
    failed: Option<CallFailed>,
    /// Whether EC2's last answer showed this machine.
    seen: bool,
}

/// What the last answers said.
#[derive(Debug, Clone, Default)]
pub struct View {
    /// The group, as far as there is one.
    pub group: Option<Group>,
    /// EC2's word on everybody asked for.
    pub instances: Instances,
    /// Addresses of every instance asked for that is running or about to be.
    pub live_addresses: BTreeMap<IpAddr, InstanceId>,
    /// When EC2 last changed the state of whom it was asked for, in its own words, for people.
    pub since: BTreeMap<InstanceId, String>,
    /// How long the group has matched the expected size.
    pub settled_for: Option<Duration>,
    /// How long it has been looked at.
    pub watched_for: Duration,
}

impl GroupWatch {
    /// A watch over the group of `me`, or over the one with this name.
    #[must_use]
    pub fn new(sdk: &aws_config::SdkConfig, me: InstanceId, name: Option<String>) -> Self {
        let now = Instant::now();
        Self {
            autoscaling: aws_sdk_autoscaling::Client::new(sdk),
            ec2: aws_sdk_ec2::Client::new(sdk),
            me,
            name,
            since: now,
            next: now,
            view: View::default(),
            absences: Absences::default(),
            settled_since: None,
            failed: None,
            seen: true,
        }
    }

    /// The group as last described; asked anew when its time has come. `others` are instances beyond the group that
    /// matter, such as the holder of a claim.
    ///
    /// # Errors
    /// [`CallFailed`] when AWS refused, or when there is nothing to remember. What was seen before stays valid through an
    /// outage: nobody decides by its age.
    pub async fn look(&mut self, others: &[InstanceId], expected: Option<usize>) -> Result<View, CallFailed> {
        if Instant::now() >= self.next {
            self.next = Instant::now() + INTERVAL + Duration::from_millis(fastrand::u64(0..1000));
            match self.ask(others, expected).await {
                Err(error) if error.may_mend() && self.view.group.is_some() => {
                    tracing::warn!(%error, "the group cannot be looked at, going on with the last answer");
                }
                Err(error) => self.failed = Some(error),
                Ok(()) => self.failed = None,
            }
        }
        // Told again until the next look: whoever is throttled must not ask more often for that.
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let now = Instant::now();
        self.view.watched_for = now - self.since;
        self.view.settled_for = self.settled_since.map(|since| now - since);
        Ok(self.view.clone())
    }

    /// The same, asked now: for whoever asks for other machines than before, and only once.
    ///
    /// # Errors
    /// As [`GroupWatch::look`].
    pub async fn look_now(&mut self, others: &[InstanceId], expected: Option<usize>) -> Result<View, CallFailed> {
        self.next = Instant::now();
        self.look(others, expected).await
    }

    /// The last answer, however old.
    #[must_use]
    pub fn last(&self) -> &View {
        &self.view
    }

    async fn ask(&mut self, others: &[InstanceId], expected: Option<usize>) -> Result<(), CallFailed> {
        if self.name.is_none() {
            self.name = group::name_of(&self.autoscaling, &self.me).await?;
        }
        let group = match &self.name {
            Some(name) => group::describe(&self.autoscaling, name).await?,
            None => None,
        };
        let mut ids: Vec<InstanceId> =
            group.iter().flat_map(|group| &group.members).map(|m| m.instance.clone()).collect();
        ids.extend(others.iter().cloned().chain([self.me.clone()]));
        ids.sort();
        ids.dedup();
        let described = ec2::describe(&self.ec2, &ids).await?;
        self.tell_if_unseen(&described);
        self.remember(&ids, &described);
        self.view.group = group.map(|group| with_ec2(group, &described));
        let settled =
            self.view.group.as_ref().is_some_and(|group| matches(group, &self.me, expected.unwrap_or(group.desired)));
        self.settled_since = if settled { self.settled_since.or_else(|| Some(Instant::now())) } else { None };
        Ok(())
    }

    /// Tells once when EC2 leaves out this machine itself.
    fn tell_if_unseen(&mut self, described: &BTreeMap<InstanceId, ec2::Described>) {
        let seen = described.contains_key(&self.me);
        if !seen && self.seen {
            tracing::warn!(
                "EC2 does not show this machine itself, so nobody whom it leaves out is believed gone: if that lasts, the \
                 Region or the account is not this group's"
            );
        }
        self.seen = seen;
    }

    /// Takes in EC2's answer.
    fn remember(&mut self, asked: &[InstanceId], described: &BTreeMap<InstanceId, ec2::Described>) {
        let answered = described.iter().map(|(id, found)| (id.clone(), found.state.clone())).collect();
        self.view.instances = self.absences.observe(&self.me, asked, &answered, self.since.elapsed());
        let living = described.iter().filter(|(_, found)| matches!(found.state, Ec2State::Running | Ec2State::Pending));
        let with_addresses =
            living.flat_map(|(id, found)| found.addresses.iter().map(|address| (*address, id.clone())));
        self.view.live_addresses = with_addresses.collect();
        let since = described.iter().filter_map(|(id, found)| Some((id.clone(), found.since.clone()?)));
        self.view.since = since.collect();
    }
}

/// The group with what EC2 says of each of its instances.
pub(crate) fn with_ec2(group: Group, described: &BTreeMap<InstanceId, ec2::Described>) -> Group {
    let members = group.members.into_iter().map(|member| match described.get(&member.instance) {
        Some(found) => GroupMember { ec2: Some(found.state.clone()), addresses: found.addresses.clone(), ..member },
        None => member,
    });
    Group { members: members.collect(), ..group }
}

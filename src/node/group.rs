//! The group and its instances: asked for at most every few seconds, and remembered together with since when something
//! has been so.

use super::instances::InstancesWatch;
use crate::aws::{CallFailed, Session, ec2};
use crate::model::machine::election::matches;
use crate::model::machine::group::{Ec2State, Group, GroupMember};
use crate::model::machine::ids::InstanceId;
use crate::model::membership::instances::{Absences, Instances};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;
use tokio::time::Instant;

/// Auto Scaling publishes no limit and throttles at modest sizes; EC2's is shared by the whole account.
const POLL_INTERVAL: Duration = Duration::from_secs(5);

/// How long what the group was is believed while Auto Scaling or EC2 does not answer. A group may be another one by then.
const BELIEVED: Duration = Duration::from_secs(5 * 60);

/// Looks at the group again and again.
#[derive(Debug)]
pub struct GroupWatch {
    session: Session,
    me: InstanceId,
    name: Option<String>,
    since: Instant,
    next: Instant,
    view: View,
    absences: Absences,
    settled_since: Option<Instant>,
    /// When both have answered last.
    answered: Option<Instant>,
    failed: Option<CallFailed>,
    /// Whether it was said that one of them does not answer.
    is_silent: bool,
    /// Whether EC2's last answer showed this machine.
    shows_me: bool,
    instances: InstancesWatch,
    /// What Auto Scaling said before the look that wants it, and when it was asked.
    ahead: Option<(Instant, Result<Option<Group>, CallFailed>)>,
}

/// What the last answers said.
#[derive(Debug, Clone, Default)]
pub struct View {
    /// The group, as far as there is one.
    pub group: Option<Group>,
    /// What EC2 says of every instance asked for.
    pub instances: Instances,
    /// Addresses of every instance asked for that is running or about to be.
    pub live_addresses: BTreeMap<IpAddr, InstanceId>,
    /// When EC2 last changed the state of each instance, in its own words, for people.
    pub since: BTreeMap<InstanceId, String>,
    /// How long the group has matched the expected size.
    pub settled_for: Option<Duration>,
    /// How long it has been looked at.
    pub watched_for: Duration,
}

impl GroupWatch {
    /// A watch over the group of `me`, or over the one with this name.
    #[must_use]
    pub fn new(session: &Session, me: InstanceId, name: Option<String>) -> Self {
        let now = Instant::now();
        Self {
            session: session.clone(),
            me,
            name,
            since: now,
            next: now,
            view: View::default(),
            absences: Absences::default(),
            settled_since: None,
            answered: None,
            failed: None,
            is_silent: false,
            shows_me: true,
            instances: InstancesWatch::new(session),
            ahead: None,
        }
    }

    /// Asks Auto Scaling for the next [`GroupWatch::look`], if that one is going to ask: for a caller that has yet to find out which
    /// other instances matter.
    pub async fn ask_ahead(&mut self) {
        let is_young = self.ahead.as_ref().is_some_and(|(asked, _)| asked.elapsed() < POLL_INTERVAL);
        if Instant::now() >= self.next && !is_young {
            let asked = Instant::now();
            self.ahead = Some((asked, self.asked_group().await));
        }
    }

    /// For whoever does not look all the time: absence counts anew where nobody has asked for longer than this.
    #[must_use]
    pub fn forgetting_after(self, most_apart: Duration) -> Self {
        Self { absences: Absences::within(most_apart), ..self }
    }

    /// The group as last described; asked anew when its time has come. `others` are instances beyond the group that
    /// matter, such as the holder of a claim.
    ///
    /// # Errors
    /// [`CallFailed`] when AWS refused, or when there is nothing to remember. What was seen before stays valid through an
    /// outage: no decision depends on its age.
    pub async fn look(&mut self, others: &[InstanceId], expected: Option<usize>) -> Result<View, CallFailed> {
        if Instant::now() >= self.next {
            self.next = Instant::now() + POLL_INTERVAL + Duration::from_millis(fastrand::u64(0..1000));
            match self.ask(others, expected).await {
                Err(error) if error.may_mend() && is_believed(self.answered.map(|at| at.elapsed())) => {
                    if !std::mem::replace(&mut self.is_silent, true) {
                        tracing::warn!(%error, "the group cannot be looked at, going on with the last answer");
                    }
                }
                Err(error) => self.failed = Some(error),
                Ok(()) => {
                    (self.answered, self.failed) = (Some(Instant::now()), None);
                    self.is_silent = false;
                }
            }
        }
        // The same error until the next look: a caller that is throttled must not make it ask more often.
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let now = Instant::now();
        self.view.watched_for = now - self.since;
        self.view.settled_for = self.settled_since.map(|since| now - since);
        Ok(self.view.clone())
    }

    /// The same, asked now: for a caller that needs other machines than before, and asks only once. Auto Scaling is not asked again
    /// within the seconds for which its answer serves any look.
    ///
    /// # Errors
    /// As [`GroupWatch::look`].
    pub async fn look_now(&mut self, others: &[InstanceId], expected: Option<usize>) -> Result<View, CallFailed> {
        if let Some(answered) = self.answered.filter(|answered| answered.elapsed() < POLL_INTERVAL) {
            self.ahead = Some((answered, Ok(self.view.group.clone())));
        }
        self.next = Instant::now();
        self.look(others, expected).await
    }

    /// The last answer, however old.
    #[must_use]
    pub fn last(&self) -> &View {
        &self.view
    }

    async fn ask(&mut self, others: &[InstanceId], expected: Option<usize>) -> Result<(), CallFailed> {
        // EC2's word counts although Auto Scaling does not answer: who is terminated is followed at once.
        let ahead = self.ahead.take().filter(|(asked, _)| asked.elapsed() < POLL_INTERVAL);
        let answer = match ahead {
            Some((_, answer)) => answer,
            None => self.asked_group().await,
        };
        let (group, unanswered) = match answer {
            Ok(group) => (group, None),
            Err(error) => (self.view.group.clone(), Some(error)),
        };
        let mut ids: Vec<InstanceId> =
            group.iter().flat_map(|group| &group.members).map(|m| m.instance.clone()).collect();
        ids.extend(others.iter().cloned().chain([self.me.clone()]));
        ids.sort();
        ids.dedup();
        let described = self.instances.describe(&ids).await?;
        self.warn_if_missing(&described);
        self.remember(&ids, &described);
        self.view.group = group.map(|group| with_ec2(group, &described));
        let settled =
            self.view.group.as_ref().is_some_and(|group| matches(group, &self.me, expected.unwrap_or(group.desired)));
        self.settled_since = if settled { self.settled_since.or_else(|| Some(Instant::now())) } else { None };
        unanswered.map_or(Ok(()), Err)
    }

    /// The group by Auto Scaling's word, now.
    async fn asked_group(&mut self) -> Result<Option<Group>, CallFailed> {
        if self.name.is_none() {
            self.name = self.session.group_name_of(&self.me).await?;
        }
        match &self.name {
            Some(name) => self.session.group(name).await,
            None => Ok(None),
        }
    }

    /// Warns once when EC2 leaves out this machine itself.
    fn warn_if_missing(&mut self, described: &BTreeMap<InstanceId, ec2::Described>) {
        let shows_me = described.contains_key(&self.me);
        if !shows_me && self.shows_me {
            tracing::warn!(
                "EC2 does not show this machine itself, so no machine that it leaves out counts as gone: if that lasts, AWS is \
                 asked in another Region or account than this group's"
            );
        }
        self.shows_me = shows_me;
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
        None => GroupMember { ec2: None, addresses: Vec::new(), ..member },
    });
    Group { members: members.collect(), ..group }
}

/// Whether what the group was may still be gone by, so long after both have answered last.
fn is_believed(answered_before: Option<Duration>) -> bool {
    answered_before.is_some_and(|age| age < BELIEVED)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::machine::group::Lifecycle;

    #[test]
    fn an_old_answer_is_believed_for_minutes() {
        assert!(!is_believed(None), "nobody has answered yet");
        assert!(is_believed(Some(Duration::ZERO)));
        assert!(is_believed(Some(BELIEVED - Duration::from_secs(1))));
        assert!(!is_believed(Some(BELIEVED)));
        assert!(BELIEVED <= Duration::from_secs(600), "a group changes within minutes");
    }

    #[test]
    fn what_ec2_says_now_stands_in_the_place_of_what_it_said_before() {
        let [gone, unknown] = ["i-00000001", "i-00000002"].map(|id| InstanceId::parse(id).unwrap());
        let member = |instance: &InstanceId| GroupMember {
            instance: instance.clone(),
            lifecycle: Lifecycle::InService,
            healthy: true,
            ec2: Some(Ec2State::Running),
            addresses: vec!["10.0.0.1".parse().unwrap()],
        };
        let described = ec2::Described {
            state: Ec2State::Terminated,
            since: None,
            zone: None,
            addresses: Vec::new(),
            launched: None,
        };
        let group = Group {
            name: "group".into(),
            arn: "arn".into(),
            desired: 2,
            zones: Vec::new(),
            retains: false,
            members: vec![member(&gone), member(&unknown)],
        };
        let now = with_ec2(group, &BTreeMap::from([(gone, described)]));
        let states: Vec<_> = now.members.iter().map(|member| (member.ec2.clone(), member.addresses.len())).collect();
        assert_eq!(states, [(Some(Ec2State::Terminated), 0), (None, 0)]);
    }
}

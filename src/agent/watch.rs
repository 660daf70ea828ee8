//! Whether anything ends this machine: IMDS every time, the group once a minute or when IMDS says something new.

use super::notices::Notices;
use super::serve::Board;
use crate::aws::{CallFailed, Session, imds};
use crate::model::agent::{Ending, served};
use crate::model::leave::{InGroup, InstanceStates};
use crate::model::machine::group::Lifecycle;
use crate::model::machine::ids::InstanceId;
use crate::node::Facts;
use aws_config::imds::client::Client;
use std::time::Duration;
use tokio::time::Instant;

/// Between two descriptions of the group while IMDS says nothing new.
const GROUP_INTERVAL: Duration = Duration::from_secs(60);

/// One who is asked again and again.
#[derive(Default)]
pub(super) struct Source {
    /// Why it does not answer.
    silent: Option<String>,
}

impl Source {
    /// Remembers whether it has answered, and says so where that is new.
    pub(super) fn hear<T>(&mut self, name: &str, answer: anyhow::Result<T>) -> Option<T> {
        match answer {
            Ok(answer) => {
                if self.silent.take().is_some() {
                    tracing::info!("{name} answers again");
                }
                Some(answer)
            }
            Err(error) => {
                let why = format!("{error:#}");
                if self.silent.is_none() {
                    tracing::warn!("{name} does not say what is to become of this machine: {why}");
                }
                self.silent = Some(why);
                None
            }
        }
    }
}

/// What was last said of this machine.
pub(super) struct Watch {
    imds: Client,
    notices: Notices,
    session: Session,
    me: InstanceId,
    group: Option<String>,
    /// Whether the settings name the group.
    named: bool,
    /// The last answers: a source that falls silent has said nothing new.
    states: InstanceStates,
    metadata: Source,
    description: Source,
    next: Instant,
    board: Board,
    /// Whether the group, when it was last described, had a machine that it ends or calls unhealthy.
    trouble: bool,
}

impl Watch {
    pub(super) fn new(session: &Session, facts: &Facts, board: Board) -> Self {
        let imds = imds::client();
        Self {
            notices: Notices::new(imds.clone()),
            imds,
            session: session.clone(),
            me: facts.machine.instance.clone(),
            group: facts.settings.group.clone(),
            named: facts.settings.group.is_some(),
            states: InstanceStates::default(),
            metadata: Source::default(),
            description: Source::default(),
            next: Instant::now(),
            board,
            trouble: false,
        }
    }

    /// Whether the group ends a machine, or calls one unhealthy.
    pub(super) fn sees_trouble(&self) -> bool {
        self.trouble
    }

    /// Asks, and returns what is known.
    pub(super) async fn look(&mut self) -> InstanceStates {
        self.notices.look().await;
        let before = self.states.target.clone();
        let answer = imds::target_lifecycle_state(&self.imds).await;
        self.board.hear(served::Source::Imds, answer.is_ok());
        if let Some(target) = self.metadata.hear("IMDS", answer) {
            self.states.target = target;
        }
        if self.states.target != before || Instant::now() >= self.next {
            self.next = Instant::now() + GROUP_INTERVAL;
            let asked = lifecycle(&self.session, &self.me, &mut self.group, self.named, &mut self.trouble);
            // Two minutes are too short to wait for an AWS that does not answer.
            let answer = tokio::select! {
                biased;
                answer = asked => Some(answer),
                () = self.notices.until_taken() => None,
            };
            if let Some(answer) = &answer {
                self.board.hear(served::Source::Group, answer.is_ok());
            }
            let heard =
                answer.and_then(|answer| self.description.hear("the group", answer.map_err(anyhow::Error::from)));
            if let Some(found) = heard {
                self.states.lifecycle = Some(found.map_or(InGroup::No, InGroup::As));
            }
        }
        self.board.knows(self.states.target.is_some() || self.states.lifecycle.is_some());
        self.states.clone()
    }

    /// What ends this machine, by what was last said; `known_for` so long.
    pub(super) fn ending(&self, known_for: Duration) -> Option<Ending> {
        Ending::of(&self.states, self.notices.spot(), known_for)
    }

    /// The group's name, as far as it is known.
    pub(super) fn group(&self) -> Option<String> {
        self.group.clone()
    }

    /// What is seen and done while nothing ends this machine.
    pub(super) fn describe(&self, hook: Option<&str>) -> String {
        let target = match (&self.metadata.silent, &self.states.target) {
            (Some(why), _) => format!("IMDS does not answer ({why})"),
            (None, Some(word)) => format!("IMDS says {word}"),
            (None, None) => "IMDS says nothing yet".to_owned(),
        };
        let group = match (&self.description.silent, &self.states.lifecycle) {
            (Some(why), _) => format!("the group cannot be asked ({why})"),
            (None, Some(InGroup::As(state))) => format!("the group says {state}"),
            (None, Some(InGroup::No)) => "no group has this machine".to_owned(),
            (None, None) => "the group was not asked yet".to_owned(),
        };
        let hook = match hook {
            Some(name) => format!("leaves for the terminate hook '{name}'"),
            None => "leaves when this machine is being terminated; 'terminate_hook' names no hook".to_owned(),
        };
        let notices: String = self.notices.describe().iter().map(|notice| format!("; {notice}")).collect();
        format!("watching: {target}, {group}; {hook}{notices}")
    }
}

/// The state of `me` in the group, by one call, and whether the group ends a machine or calls one unhealthy. Where no setting names the
/// group, the first one asks which it is.
async fn lifecycle(
    session: &Session,
    me: &InstanceId,
    group: &mut Option<String>,
    named: bool,
    trouble: &mut bool,
) -> Result<Option<Lifecycle>, CallFailed> {
    let Some(name) = group else {
        let Some((found, lifecycle)) = session.group_of(me).await? else { return Ok(None) };
        *group = Some(found);
        return Ok(Some(lifecycle));
    };
    let machines = session.group(name).await?.map(|group| group.members).unwrap_or_default();
    *trouble = machines.iter().any(|machine| machine.lifecycle.is_terminating() || !machine.healthy);
    let own = machines.into_iter().find(|machine| machine.instance == *me).map(|machine| machine.lifecycle);
    if own.is_none() && !named {
        // It may be another one's by now.
        *group = None;
    }
    Ok(own)
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::anyhow;

    #[test]
    fn a_source_that_falls_silent_keeps_its_reason_until_it_answers() {
        let mut source = Source::default();
        assert_eq!(source.hear("IMDS", Ok(1)), Some(1));
        assert_eq!(source.hear::<i32>("IMDS", Err(anyhow!("gone"))), None);
        assert_eq!(source.silent.as_deref(), Some("gone"));
        assert_eq!(source.hear("IMDS", Ok(2)), Some(2));
        assert_eq!(source.silent, None);
    }
}

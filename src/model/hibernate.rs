//! Whether a group may be set to zero so that its cluster is saved and comes back: judged before anybody changes the group.

use crate::model::agent::HookTimes;
use crate::model::duration::in_words;
use std::fmt;
use std::time::Duration;

/// How long the last machine must be held at least: it waits for the others to leave, and saves.
const LEAST_HOOK: Duration = Duration::from_mins(10);

/// What is known before a group is set to zero.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HibernateInput {
    /// Whether etcd is external: then nothing is saved here.
    pub external_etcd: bool,
    /// Whether the record says that the cluster is ready, and this machine is a voter of it; or why not.
    pub cluster: Result<(), String>,
    /// Voters that answer, and voters.
    pub voters: (usize, usize),
    /// Machines whose kubeboot cannot read a record that says `saved`.
    pub too_old: Vec<String>,
    /// The name of the terminate hook in the settings.
    pub hook: Option<String>,
    /// Its times by the group; `None` where the group has no such hook.
    pub times: Option<HookTimes>,
    /// Whether the group keeps a machine whose hook is abandoned.
    pub retains: bool,
    /// Whether the agent runs on this machine.
    pub agent_runs: bool,
    /// Bytes of etcd's database, and bytes that are free where its data lies.
    pub room: Option<(u64, u64)>,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HibernateFinding {
    /// As it should be.
    Good(String),
    /// It would work, but not as most operators want it; with what to do.
    Doubtful(String, String),
    /// The cluster would not be saved; with what to do.
    Bad(String, String),
}

impl HibernateFinding {
    /// Whether the group must not be set to zero because of it.
    #[must_use]
    pub fn is_bad(&self) -> bool {
        match self {
            Self::Bad(..) => true,
            Self::Good(_) | Self::Doubtful(..) => false,
        }
    }
}

impl fmt::Display for HibernateFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Good(text) => write!(f, "ok       {text}"),
            Self::Doubtful(text, remedy) => write!(f, "warning  {text} -> {remedy}"),
            Self::Bad(text, remedy) => write!(f, "failed   {text} -> {remedy}"),
        }
    }
}

/// Judges all of it.
#[must_use]
pub fn judge(seen: &HibernateInput) -> Vec<HibernateFinding> {
    if seen.external_etcd {
        let text = "etcd is external, so kubeboot neither saves nor restores it";
        return vec![HibernateFinding::Bad(text.into(), "save it by its own means".into())];
    }
    vec![of_cluster(seen), of_versions(seen), of_hook(seen), of_retention(seen), of_agents(seen), of_room(seen)]
}

fn of_cluster(seen: &HibernateInput) -> HibernateFinding {
    let status = || "see 'kubeboot status'".to_owned();
    match (&seen.cluster, seen.voters) {
        (Err(why), _) => HibernateFinding::Bad(why.clone(), status()),
        (Ok(()), (answering, voters)) if answering < voters => HibernateFinding::Bad(
            format!("{answering} of {voters} voters answer, and each must leave before the last one saves"),
            status(),
        ),
        (Ok(()), (_, voters)) => {
            HibernateFinding::Good(format!("the cluster is ready, and all of its {voters} voters answer"))
        }
    }
}

fn of_versions(seen: &HibernateInput) -> HibernateFinding {
    match seen.too_old.as_slice() {
        [] => HibernateFinding::Good("every registered machine reads the record of a saved cluster".into()),
        old => HibernateFinding::Bad(
            format!("the kubeboot of {} does not read the record of a saved cluster", old.join(", ")),
            "replace those machines by an image with this version of kubeboot".into(),
        ),
    }
}

fn of_hook(seen: &HibernateInput) -> HibernateFinding {
    let Some(name) = &seen.hook else {
        return HibernateFinding::Bad(
            "'terminate_hook' names no lifecycle hook, so nothing holds the last machine until it has saved".into(),
            "give the group a terminate hook and set 'terminate_hook' (docs/agent.md)".into(),
        );
    };
    match seen.times {
        None => HibernateFinding::Bad(
            format!("the group has no lifecycle hook '{name}'"),
            "add it, or correct the setting 'terminate_hook'".into(),
        ),
        Some(times) if times.whole < LEAST_HOOK => HibernateFinding::Bad(
            format!("the terminate hook '{name}' lasts {} in all", in_words(times.whole)),
            format!(
                "give it at least {}: each machine leaves in its turn, and the last one saves",
                in_words(LEAST_HOOK)
            ),
        ),
        Some(times) if !times.abandons => HibernateFinding::Bad(
            format!(
                "the terminate hook '{name}' ends with CONTINUE, so a machine that could not save in time would be terminated"
            ),
            "set its default result to ABANDON".into(),
        ),
        Some(times) => HibernateFinding::Good(format!("the terminate hook '{name}' has {times}")),
    }
}

fn of_retention(seen: &HibernateInput) -> HibernateFinding {
    match seen.retains {
        true => HibernateFinding::Good("the group keeps a machine whose hook is abandoned, so data that was not saved stays".into()),
        false => HibernateFinding::Doubtful(
            "the group terminates a machine whose hook is abandoned: were saving to fail until the hook ends, its data would be gone".into(),
            "give the group an instance lifecycle policy that retains (docs/agent.md)".into(),
        ),
    }
}

fn of_agents(seen: &HibernateInput) -> HibernateFinding {
    match seen.agent_runs {
        true => HibernateFinding::Good(
            "the agent runs on this machine; it must run on every one, as the same image has it".into(),
        ),
        false => HibernateFinding::Bad(
            "the agent does not run on this machine: it is the agents that leave and save".into(),
            "start it on every machine: 'systemctl enable --now kubeboot-agent'".into(),
        ),
    }
}

/// A restore fetches the database to the disk, and makes etcd's data of it beside that.
fn of_room(seen: &HibernateInput) -> HibernateFinding {
    const MIB: u64 = 1024 * 1024;
    let Some((size, free)) = seen.room else {
        return HibernateFinding::Doubtful(
            "nobody says how large etcd's database is".into(),
            "see 'kubeboot status'".into(),
        );
    };
    let needed = size.saturating_mul(2);
    // What lies here of it is not there on the machine that restores.
    let text =
        format!("etcd's database has {} MiB, and {} MiB are free on the disk of its data here", size / MIB, free / MIB);
    match free.saturating_add(size) < needed {
        true => HibernateFinding::Doubtful(
            text,
            format!("a machine that restores needs {} MiB: give the image a larger disk", needed / MIB),
        ),
        false => HibernateFinding::Good(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(whole: u64, abandons: bool) -> HookTimes {
        HookTimes { heartbeat: Duration::from_mins(5), whole: Duration::from_secs(whole), abandons }
    }

    fn sight() -> HibernateInput {
        HibernateInput {
            external_etcd: false,
            cluster: Ok(()),
            voters: (3, 3),
            too_old: Vec::new(),
            hook: Some("leave".into()),
            times: Some(times(30_000, true)),
            retains: true,
            agent_runs: true,
            room: Some((100 << 20, 1000 << 20)),
        }
    }

    #[test]
    fn a_group_that_may_be_set_to_zero_has_nothing_bad() {
        let found = judge(&sight());
        assert!(found.iter().all(|found| matches!(found, HibernateFinding::Good(_))), "{found:?}");
        assert_eq!(found.len(), 6);
    }

    #[test]
    fn whatever_would_keep_the_cluster_from_being_saved_is_bad_and_has_a_way_out() {
        let rows = [
            (HibernateInput { external_etcd: true, ..sight() }, "etcd is external"),
            (HibernateInput { cluster: Err("this machine is no voter".into()), ..sight() }, "this machine is no voter"),
            (HibernateInput { voters: (2, 3), ..sight() }, "2 of 3 voters answer"),
            (HibernateInput { too_old: vec!["i-00000002".into()], ..sight() }, "the kubeboot of i-00000002"),
            (HibernateInput { hook: None, ..sight() }, "names no lifecycle hook"),
            (HibernateInput { times: None, ..sight() }, "no lifecycle hook 'leave'"),
            (HibernateInput { times: Some(times(300, true)), ..sight() }, "lasts 5 min in all"),
            (HibernateInput { times: Some(times(30_000, false)), ..sight() }, "ends with CONTINUE"),
            (HibernateInput { agent_runs: false, ..sight() }, "does not run on this machine"),
        ];
        for (seen, expected) in rows {
            let bad: Vec<HibernateFinding> = judge(&seen).into_iter().filter(HibernateFinding::is_bad).collect();
            assert!(bad.len() == 1 && bad[0].to_string().contains(expected), "{bad:?} for {expected}");
            assert!(bad[0].to_string().contains(" -> "), "{bad:?}");
        }
    }

    #[test]
    fn what_only_costs_something_is_a_warning() {
        let rows = [
            (HibernateInput { retains: false, ..sight() }, "terminates a machine whose hook"),
            (HibernateInput { room: Some((100 << 20, 50 << 20)), ..sight() }, "a machine that restores needs 200 MiB"),
            (HibernateInput { room: None, ..sight() }, "nobody says how large"),
        ];
        for (seen, expected) in rows {
            let found = judge(&seen);
            let doubtful: Vec<&HibernateFinding> =
                found.iter().filter(|found| !matches!(found, HibernateFinding::Good(_))).collect();
            assert!(doubtful.len() == 1 && !doubtful[0].is_bad(), "{doubtful:?}");
            assert!(doubtful[0].to_string().contains(expected), "{doubtful:?}");
        }
    }
}

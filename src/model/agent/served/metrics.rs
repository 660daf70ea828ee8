//! The metrics: which there are, and their values by what was seen. `docs/metrics.md` tells them, which a test compares with this.

use super::machine::{EtcdSeen, MachineSeen, ROLES};
use super::snapshot::SnapshotSeen;
use super::upgrade::UpgradeSeen;
use super::{AgentSeen, AgentState, Clock, HoldReason, Source};

/// What a metric is to Prometheus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    /// A value that goes up and down.
    Gauge,
    /// A number that only grows while the agent runs.
    Counter,
    /// Text that does not change while the agent runs.
    Info,
}

/// One metric.
#[derive(Debug, PartialEq, Eq)]
pub struct Metric {
    /// Its name, without the ending that its kind gives it.
    pub name: &'static str,
    /// Its kind.
    pub kind: MetricKind,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// What it is, in one sentence.
    pub help: &'static str,
}

impl Metric {
    /// The name under which Prometheus knows it.
    #[must_use]
    pub fn full_name(&self) -> String {
        let ending = match self.kind {
            MetricKind::Gauge => "",
            MetricKind::Counter => "_total",
            MetricKind::Info => "_info",
        };
        format!("{}{ending}", self.name)
    }
}

const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: MetricKind::Gauge, labels, help }
}

/// All metrics, in the order in which they are told.
pub const METRICS: &[Metric] = &[
    Metric { name: "kubeboot_build", kind: MetricKind::Info, labels: &["version"], help: "The version of kubeboot." },
    gauge("kubeboot_agent_start_timestamp_seconds", &[], "When the agent began."),
    gauge("kubeboot_agent_pass_timestamp_seconds", &[], "When the agent last decided what to do."),
    gauge("kubeboot_agent_state", &["state"], "1 for what the agent does with this machine, 0 for the rest."),
    gauge("kubeboot_agent_state_since_timestamp_seconds", &[], "Since when the agent does that."),
    gauge(
        "kubeboot_agent_terminating_since_timestamp_seconds",
        &[],
        "Since when the agent has known that this machine is being terminated.",
    ),
    gauge(
        "kubeboot_agent_hold",
        &["reason"],
        "1 for why a machine that is being terminated stays for now, 0 for the rest.",
    ),
    gauge("kubeboot_agent_is_leader", &[], "1 if this machine's agent leads."),
    gauge("kubeboot_agent_leader_known", &[], "1 if this machine's agent knows who leads."),
    gauge("kubeboot_source_answer_timestamp_seconds", &["source"], "When one whom the agent asks last answered."),
    Metric {
        name: "kubeboot_source_failures",
        kind: MetricKind::Counter,
        labels: &["source"],
        help: "How often one whom the agent asks has not answered since the agent began.",
    },
    gauge("kubeboot_up_exit_code", &[], "The exit code of the last kubeboot up of this boot."),
    gauge(
        "kubeboot_up_stopped",
        &[],
        "1 if the last kubeboot up ended with a stop that lasts until somebody has done something.",
    ),
    gauge("kubeboot_up_end_timestamp_seconds", &[], "When the last kubeboot up ended."),
    gauge(
        "kubeboot_up_end_since_timestamp_seconds",
        &[],
        "Since when every kubeboot up has ended with that exit code.",
    ),
    gauge("kubeboot_certificate_end_timestamp_seconds", &["file"], "When a certificate on this machine ends."),
    gauge(
        "kubeboot_collection_timestamp_seconds",
        &[],
        "When this machine and etcd were last looked at for these metrics.",
    ),
    gauge("kubeboot_etcd_role", &["role"], "1 for what this machine is in etcd, 0 for the rest."),
    gauge("kubeboot_etcd_has_quorum", &[], "1 if this machine could read the list of members through a quorum."),
    gauge("kubeboot_etcd_list_timestamp_seconds", &[], "When this machine last could do so."),
    gauge("kubeboot_etcd_members", &[], "Members, learners among them."),
    gauge("kubeboot_etcd_voters", &[], "Members with a vote."),
    gauge("kubeboot_etcd_voters_answering", &[], "Members with a vote that answer this machine."),
    gauge("kubeboot_etcd_quorum", &[], "How many members with a vote must answer."),
    gauge("kubeboot_etcd_up", &[], "1 if this machine's own member answers."),
    gauge("kubeboot_etcd_is_leader", &[], "1 if this machine's own member leads etcd."),
    gauge("kubeboot_etcd_database_size_bytes", &[], "The database file of this machine's own member."),
    gauge("kubeboot_etcd_database_in_use_bytes", &[], "What of it is in use."),
    gauge("kubeboot_etcd_database_quota_bytes", &[], "How large it may grow."),
    gauge("kubeboot_etcd_alarms", &["alarm"], "How many members have raised this alarm."),
    gauge(
        "kubeboot_snapshot_interval_seconds",
        &[],
        "How often etcd is saved, by the machine whose agent leads, as the rest of these is.",
    ),
    gauge("kubeboot_snapshot_timestamp_seconds", &[], "When the last good snapshot of etcd was saved."),
    gauge("kubeboot_snapshot_revision", &[], "Its revision."),
    gauge("kubeboot_snapshot_database_size_bytes", &[], "Its database."),
    gauge("kubeboot_snapshot_object_size_bytes", &[], "Its object in the bucket, compressed."),
    Metric {
        name: "kubeboot_snapshot_failures",
        kind: MetricKind::Counter,
        labels: &[],
        help: "How often saving etcd has failed since this machine's agent leads.",
    },
    gauge("kubeboot_snapshot_failure_timestamp_seconds", &[], "When saving etcd last failed since then."),
    gauge(
        "kubeboot_upgrade_rest_open",
        &[],
        "1 while add-ons and the rest are older than the cluster, by the machine whose agent leads.",
    ),
    Metric {
        name: "kubeboot_upgrade_rest_failures",
        kind: MetricKind::Counter,
        labels: &[],
        help: "How often bringing them up has failed since this machine's agent leads.",
    },
];

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The name of its metric in [`METRICS`].
    pub name: &'static str,
    /// Names and values of its labels.
    pub labels: Vec<(&'static str, String)>,
    /// The value.
    pub value: f64,
}

/// What is known of the agents' leader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leading {
    /// Whether this machine's agent leads.
    pub is_leader: bool,
    /// Whether anybody is known to lead.
    pub is_known: bool,
}

/// All values by what was seen. What is not known is left out.
#[must_use]
pub fn samples(
    version: &str,
    agent: &AgentSeen,
    leading: Leading,
    machine: Option<&MachineSeen>,
    clock: Clock,
) -> Vec<Sample> {
    let mut samples = Samples(Vec::new());
    samples.add("kubeboot_build", &[("version", version)], 1.0);
    samples.of_agent(agent, clock);
    samples.add("kubeboot_agent_is_leader", &[], flag(leading.is_leader));
    samples.add("kubeboot_agent_leader_known", &[], flag(leading.is_known));
    if let Some(snapshots) = &agent.snapshots {
        samples.of_snapshots(snapshots, clock);
    }
    if let Some(upgrade) = &agent.upgrade {
        samples.of_upgrade(upgrade);
    }
    if let Some(machine) = machine {
        samples.of_machine(machine, clock);
    }
    samples.0
}

struct Samples(Vec<Sample>);

impl Samples {
    fn add(&mut self, name: &'static str, labels: &[(&'static str, &str)], value: f64) {
        let labels = labels.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        self.0.push(Sample { name, labels, value });
    }

    /// One of these words is so.
    fn one_of<'a>(
        &mut self,
        name: &'static str,
        label: &'static str,
        words: impl IntoIterator<Item = &'a str>,
        now: Option<&str>,
    ) {
        for word in words {
            self.add(name, &[(label, word)], flag(now == Some(word)));
        }
    }

    fn of_agent(&mut self, agent: &AgentSeen, clock: Clock) {
        self.add("kubeboot_agent_start_timestamp_seconds", &[], clock.unix(agent.began));
        if let Some(passed) = agent.passed {
            self.add("kubeboot_agent_pass_timestamp_seconds", &[], clock.unix(passed));
            self.one_of("kubeboot_agent_state", "state", AgentState::NAMES, Some(agent.state.name()));
            self.add("kubeboot_agent_state_since_timestamp_seconds", &[], clock.unix(agent.since));
            if let Some(ending) = agent.ending {
                self.add("kubeboot_agent_terminating_since_timestamp_seconds", &[], clock.unix(ending));
            }
            let reasons = HoldReason::ALL.map(HoldReason::name);
            self.one_of("kubeboot_agent_hold", "reason", reasons, agent.state.hold().map(HoldReason::name));
        }
        for source in Source::ALL {
            let (heard, label) = (agent.heard(source), [("source", source.name())]);
            if let Some(at) = heard.answered {
                self.add("kubeboot_source_answer_timestamp_seconds", &label, clock.unix(at));
            }
            self.add("kubeboot_source_failures", &label, float(heard.failures));
        }
    }

    fn of_snapshots(&mut self, seen: &SnapshotSeen, clock: Clock) {
        self.add("kubeboot_snapshot_interval_seconds", &[], seen.interval.as_secs_f64());
        if let Some(last) = seen.last {
            let saved = clock.unix(last.looked) - last.age.as_secs_f64();
            self.add("kubeboot_snapshot_timestamp_seconds", &[], saved);
            self.add("kubeboot_snapshot_revision", &[], float(last.revision));
            self.add("kubeboot_snapshot_database_size_bytes", &[], float(last.database_size));
            self.add("kubeboot_snapshot_object_size_bytes", &[], float(last.object_size));
        }
        self.add("kubeboot_snapshot_failures", &[], float(seen.failures));
        if let Some(failed) = seen.failed {
            self.add("kubeboot_snapshot_failure_timestamp_seconds", &[], clock.unix(failed));
        }
    }

    fn of_upgrade(&mut self, seen: &UpgradeSeen) {
        self.add("kubeboot_upgrade_rest_open", &[], flag(seen.is_open));
        self.add("kubeboot_upgrade_rest_failures", &[], float(seen.failures));
    }

    fn of_machine(&mut self, machine: &MachineSeen, clock: Clock) {
        self.add("kubeboot_collection_timestamp_seconds", &[], clock.unix(machine.at));
        for (file, end) in &machine.certificates {
            self.add("kubeboot_certificate_end_timestamp_seconds", &[("file", file)], *end);
        }
        if let Some(up) = &machine.up {
            self.add("kubeboot_up_exit_code", &[], f64::from(up.code));
            self.add("kubeboot_up_stopped", &[], flag(up.is_stopped));
            self.add("kubeboot_up_end_timestamp_seconds", &[], up.at);
            self.add("kubeboot_up_end_since_timestamp_seconds", &[], up.since);
        }
        if let Some(etcd) = &machine.etcd {
            self.of_etcd(etcd, clock);
        }
    }

    fn of_etcd(&mut self, etcd: &EtcdSeen, clock: Clock) {
        self.one_of("kubeboot_etcd_role", "role", ROLES, Some(etcd.role()));
        self.add("kubeboot_etcd_has_quorum", &[], flag(etcd.is_listed()));
        if let Some(listed) = etcd.listed {
            self.add("kubeboot_etcd_list_timestamp_seconds", &[], clock.unix(listed));
        }
        if let Some(members) = etcd.members() {
            self.add("kubeboot_etcd_members", &[], count(members.0.len()));
            self.add("kubeboot_etcd_voters", &[], count(members.voters().count()));
            self.add("kubeboot_etcd_voters_answering", &[], count(members.answering()));
            self.add("kubeboot_etcd_quorum", &[], count(members.quorum()));
        }
        self.add("kubeboot_etcd_up", &[], flag(etcd.own.is_some()));
        if let Some(own) = &etcd.own {
            self.add("kubeboot_etcd_is_leader", &[], flag(own.leader == Some(own.id)));
            self.add("kubeboot_etcd_database_size_bytes", &[], float(own.size));
            self.add("kubeboot_etcd_database_in_use_bytes", &[], float(own.in_use));
            if let Some(quota) = own.quota {
                self.add("kubeboot_etcd_database_quota_bytes", &[], float(quota));
            }
        }
        if let Some(alarms) = etcd.alarms {
            self.add("kubeboot_etcd_alarms", &[("alarm", "nospace")], count(alarms.nospace));
            self.add("kubeboot_etcd_alarms", &[("alarm", "corrupt")], count(alarms.corrupt));
        }
    }
}

fn flag(so: bool) -> f64 {
    f64::from(u8::from(so))
}

fn count(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}

/// Prometheus knows no other numbers; they are exact up to nine quadrillion.
#[allow(
    clippy::cast_precision_loss,
    reason = "Prometheus has no other numbers, and bytes and counts are exact up to 2^53"
)]
fn float(number: u64) -> f64 {
    number as f64
}

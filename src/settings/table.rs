//! Every setting there is: the single source of names, defaults, bounds and descriptions. The flags,
//! the variables, the errors and `docs/configuration.md` are made from it.

use std::time::Duration;

/// One setting.
#[derive(Debug)]
pub struct Setting {
    /// Its key in the file. The variable and the flag are named after it.
    pub name: &'static str,
    /// What kind of value it takes.
    pub kind: SettingKind,
    /// What holds if it is not given.
    pub fallback: Fallback,
    /// What it is for, in one or two sentences.
    pub about: &'static str,
}

/// What a setting's value may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SettingKind {
    /// Text of a shape that is described here in words.
    Text(&'static str),
    /// A list of such texts.
    List(&'static str),
    /// A whole number between two bounds, which are valid themselves.
    Count(u32, u32),
    /// A time span with its unit, between two bounds in seconds, which are valid themselves.
    Span(u64, u64),
    /// True or false.
    Truth,
    /// One of these words.
    Choice(&'static [&'static str]),
}

/// What holds if a setting is not given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fallback {
    /// It must be given.
    Required,
    /// This value.
    Value(&'static str),
    /// Something that only the running program knows, described here in words.
    Derived(&'static str),
}

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
/// As the `humantime` crate counts it: 30.44 days.
const MONTH: u64 = 2_630_016;

/// All settings, in the order of the documentation.
pub const SETTINGS: &[Setting] = &[
    Setting {
        name: "role",
        kind: SettingKind::Choice(&["control-plane", "worker"]),
        fallback: Fallback::Value("control-plane"),
        about: "What this machine is to become. A `worker` joins a cluster by what its leader publishes below `join/`, and reads \
                nothing else in the bucket.",
    },
    Setting {
        name: "cluster",
        kind: SettingKind::Text("a name of letters, digits, '-', '_' and '.', at most 63"),
        fallback: Fallback::Derived("kubeadm's default, `kubernetes`"),
        about: "The cluster's name. It is the default of `prefix`, and the `clusterName` that kubeadm is told.",
    },
    Setting {
        name: "bucket",
        kind: SettingKind::Text("the name of an S3 bucket, no URL and no ARN"),
        fallback: Fallback::Required,
        about: "The S3 bucket in which the nodes agree. It must honour conditional writes.",
    },
    Setting {
        name: "prefix",
        kind: SettingKind::Text("letters, digits, '-', '_', '.' and single '/' between them"),
        fallback: Fallback::Derived("the value of `cluster`; one of the two must be given"),
        about: "The folder in the bucket that belongs to this cluster alone.",
    },
    Setting {
        name: "endpoint",
        kind: SettingKind::Text("HOST:PORT, where HOST is a DNS name, an IPv4 address or an IPv6 address in brackets"),
        fallback: Fallback::Required,
        about: "The control-plane endpoint, normally a name in front of a network load balancer. A worker learns it from `join/`; \
                where it is given all the same, the two must be alike.",
    },
    Setting {
        name: "expected_size",
        kind: SettingKind::Count(1, 7),
        fallback: Fallback::Derived("the group's desired capacity"),
        about: "How many control-plane nodes make the group complete. An odd number: an even one can lose no more \
                nodes than the odd one below it.",
    },
    Setting {
        name: "group",
        kind: SettingKind::Text("the name of an Auto Scaling group, no ARN"),
        fallback: Fallback::Derived("the group that Auto Scaling names for this instance"),
        about: "The Auto Scaling group of this machine. A worker with a hook must be told, because it asks for no description.",
    },
    Setting {
        name: "region",
        kind: SettingKind::Text("the name of an AWS Region, such as eu-central-1"),
        fallback: Fallback::Derived("the standard AWS variables, or else the instance's own Region"),
        about: "The Region of the bucket and the group.",
    },
    Setting {
        name: "kms_key_id",
        kind: SettingKind::Text("the ID, the ARN or the alias of a KMS key (alias/NAME)"),
        fallback: Fallback::Derived("the AWS-managed key `aws/s3`"),
        about: "The KMS key under which S3 keeps the bundle of CA keys.",
    },
    Setting {
        name: "server_side_encryption",
        kind: SettingKind::Choice(&["none", "AES256", "aws:kms"]),
        fallback: Fallback::Value("none"),
        about: "The encryption that every object is written with, for a bucket whose policy wants it to be named. With \
                `none` it is the bucket's own; `aws:kms` takes `kms_key_id`. The bundle of CA keys is always written with \
                `aws:kms`.",
    },
    Setting {
        name: "kubeadm_config",
        kind: SettingKind::Text("the absolute path of a file"),
        fallback: Fallback::Derived("kubeadm's own defaults"),
        about: "A file of kubeadm documents (v1beta4), which kubeboot completes for each node.",
    },
    Setting {
        name: "extra_shared_files",
        kind: SettingKind::List("absolute paths below /etc"),
        fallback: Fallback::Derived("none"),
        about: "Files that every control-plane node must have alike, such as an encryption provider's configuration. \
                They travel with the CA keys.",
    },
    Setting {
        name: "node_name",
        kind: SettingKind::Text("a DNS name in lower case"),
        fallback: Fallback::Derived("the instance's private DNS name"),
        about: "The name of this machine's Node.",
    },
    Setting {
        name: "cloud_provider",
        kind: SettingKind::Choice(&["none", "external"]),
        fallback: Fallback::Value("none"),
        about: "With `external`, kubelet starts with `--cloud-provider=external`: a cloud controller manager runs in the cluster.",
    },
    Setting {
        name: "settle_timeout",
        kind: SettingKind::Span(1, 24 * HOUR),
        fallback: Fallback::Value("10m"),
        about: "How long the group may differ from its expected size before whatever is there is taken for it. Not \
                shorter than `deadline`: rather give up than begin with an incomplete group.",
    },
    Setting {
        name: "claim_stagger",
        kind: SettingKind::Span(0, 10 * MINUTE),
        fallback: Fallback::Value("30s"),
        about: "How long each next node in rank waits for those before it to claim an unclaimed cluster.",
    },
    Setting {
        name: "claim_ttl",
        kind: SettingKind::Span(3, HOUR),
        fallback: Fallback::Value("60s"),
        about: "How long a claim may go without a sign of life before another node takes it over.",
    },
    Setting {
        name: "lease_ttl",
        kind: SettingKind::Span(3, HOUR),
        fallback: Fallback::Value("30s"),
        about: "The same for the membership lease, by which nodes queue up to join.",
    },
    Setting {
        name: "init_attempts",
        kind: SettingKind::Count(1, 10),
        fallback: Fallback::Value("3"),
        about: "How often a node tries `kubeadm init` before it leaves that to another one.",
    },
    Setting {
        name: "gone_grace",
        kind: SettingKind::Span(1, 24 * HOUR),
        fallback: Fallback::Value("5m"),
        about: "How long EC2 must have left an instance out of its answers before it counts as gone. Not shorter than \
                `deadline`: absence is never believed.",
    },
    Setting {
        name: "deadline",
        kind: SettingKind::Span(1, 24 * HOUR),
        fallback: Fallback::Value("30m"),
        about: "How long one `kubeboot up` goes on. Then it ends with an exit code that says why, and the unit starts \
                it again where that can help.",
    },
    Setting {
        name: "leave_budget",
        kind: SettingKind::Span(5, 75),
        fallback: Fallback::Value("60s"),
        about: "How long leaving the cluster may take as a whole when the machine goes down for good. The unit's \
                `TimeoutStopSec` is 90 seconds.",
    },
    Setting {
        name: "renew_before",
        kind: SettingKind::Span(HOUR, 10 * MONTH),
        fallback: Fallback::Value("30d"),
        about: "How long before its end `kubeboot agent` or `kubeboot renew` renews a certificate that kubeadm has made. Where the kubeadm documents make \
                them for less than three times as long, it is the last third.",
    },
    Setting {
        name: "launch_hook",
        kind: SettingKind::Text("the name of a lifecycle hook of the group"),
        fallback: Fallback::Derived("no hook is touched"),
        about: "The launch hook that is kept alive while the node joins and completed when it is a healthy voter, or a worker's Node is there.",
    },
    Setting {
        name: "launch_hook_on_failure",
        kind: SettingKind::Choice(&["none", "abandon"]),
        fallback: Fallback::Value("none"),
        about: "With `abandon`, a node on which kubeadm failed, and which is no member of the cluster, completes its launch hook with \
                ABANDON, and the group replaces the instance. Nothing that the next instance would meet, too, is a reason.",
    },
    Setting {
        name: "terminate_hook",
        kind: SettingKind::Text("the name of a lifecycle hook of the group"),
        fallback: Fallback::Derived("no hook is touched"),
        about: "The terminate hook that `kubeboot agent` keeps alive while the node leaves its cluster, or may not yet, \
                and completes when it has left. A worker is drained meanwhile.",
    },
    Setting {
        name: "drain_timeout",
        kind: SettingKind::Span(0, 48 * HOUR),
        fallback: Fallback::Value("10m"),
        about: "How long a worker that is being terminated evicts its pods before it goes with those that are left; never longer than \
                its terminate hook or Spot notice lasts. `0s`: it evicts none.",
    },
    Setting {
        name: "rejoin",
        kind: SettingKind::Choice(&["none", "wipe"]),
        fallback: Fallback::Value("none"),
        about: "What a worker does that has joined another cluster than `join/` now names. `none`: it changes nothing, and an operator \
                must decide. `wipe`: it is wiped and joins that one.",
    },
    Setting {
        name: "source_dest_check",
        kind: SettingKind::Choice(&["none", "off"]),
        fallback: Fallback::Value("none"),
        about: "With `off`, `kubeboot up` switches off EC2's source/destination check of its own instance, as a pod network without an \
                overlay needs it.",
    },
    Setting {
        name: "prefetch",
        kind: SettingKind::Truth,
        fallback: Fallback::Value("true"),
        about: "Whether a control-plane machine pulls the images of its kubeadm documents while it waits for its group, its turn or the \
                holder of the claim. Those that are there are left alone.",
    },
    Setting {
        name: "workers",
        kind: SettingKind::Choice(&["on", "off"]),
        fallback: Fallback::Value("on"),
        about: "Whether the leader among the agents publishes below `join/` what workers join with, a bootstrap token of two hours among \
                it. `off`: nothing, and a token that is there is not followed by another. Machines with a file of `kubeboot token` are let \
                in all the same.",
    },
    Setting {
        name: "kubernetes_upgrade",
        kind: SettingKind::Choice(&["off", "by-image"]),
        fallback: Fallback::Value("off"),
        about: "Whether a machine whose image is of the next minor version of Kubernetes, or of a later patch, upgrades the cluster by \
                joining it. `off`: one of another minor version joins nothing. `by-image`: it raises the version that the cluster's \
                configuration names, once every API server answers, and joins; an older one joins no more.",
    },
    Setting {
        name: "agent_listen",
        kind: SettingKind::Text(
            "ADDRESS:PORT, where ADDRESS is an IPv4 address or an IPv6 address in brackets; or `off`",
        ),
        fallback: Fallback::Value("127.0.0.1:4040"),
        about: "Where `kubeboot agent` serves its state and metrics over HTTP. Nobody is asked who they are, so at another \
                address than this machine's own everybody who reaches it can read them. `off`: nowhere.",
    },
    Setting {
        name: "unhealthy_after",
        kind: SettingKind::Span(0, 24 * HOUR),
        fallback: Fallback::Value("15m"),
        about: "How long the etcd of a running node may be silent before the leader among the agents has the group replace that \
                node, one an hour and only while every other one answers. `0s`: never.",
    },
    Setting {
        name: "snapshot_interval",
        kind: SettingKind::Span(0, 24 * HOUR),
        fallback: Fallback::Value("15m"),
        about: "How often the leader among the agents saves a snapshot of etcd. The last one counts as too old after three times as \
                long. `0s`: none is saved, and none is missed.",
    },
    Setting {
        name: "snapshot_location",
        kind: SettingKind::Text("s3://BUCKET/PREFIX, in the Region of the cluster's bucket"),
        fallback: Fallback::Derived("`bucket` and `prefix`"),
        about: "Where snapshots of etcd are saved, below `snapshots/`. Whoever reads one has every Secret of the cluster.",
    },
    Setting {
        name: "snapshot_kms_key_id",
        kind: SettingKind::Text("the ID, the ARN or the alias of a KMS key (alias/NAME)"),
        fallback: Fallback::Derived("`kms_key_id`"),
        about: "The KMS key under which S3 keeps snapshots of etcd.",
    },
    Setting {
        name: "log_format",
        kind: SettingKind::Choice(&["auto", "text", "json", "journal"]),
        fallback: Fallback::Value("auto"),
        about: "How the log is written to standard error. `auto`: readable text, for the journal with priorities in \
                place of times. `journal`: fields by the journal's own socket, which never reach the console.",
    },
    Setting {
        name: "log_level",
        kind: SettingKind::Choice(&["error", "warn", "info", "debug", "trace"]),
        fallback: Fallback::Value("info"),
        about: "What is logged. Other libraries than kubeboot itself log warnings and errors only.",
    },
];

impl Setting {
    /// The setting of this name.
    #[must_use]
    pub fn find(name: &str) -> Option<&'static Self> {
        SETTINGS.iter().find(|setting| setting.name == name)
    }

    /// Its environment variable.
    #[must_use]
    pub fn variable(&self) -> String {
        format!("KUBEBOOT_{}", self.name.to_uppercase())
    }

    /// Its flag, without the dashes before it.
    #[must_use]
    pub fn flag(&self) -> String {
        self.name.replace('_', "-")
    }
}

impl SettingKind {
    /// What is valid, in words.
    #[must_use]
    pub fn valid(self) -> String {
        let span = |seconds| humantime::format_duration(Duration::from_secs(seconds));
        match self {
            Self::Text(shape) | Self::List(shape) => shape.to_owned(),
            Self::Count(least, most) => format!("a whole number from {least} to {most}"),
            Self::Span(least, most) => {
                format!("a time with its unit, such as 90s or 10m, from {} to {}", span(least), span(most))
            }
            Self::Truth => "true or false".to_owned(),
            Self::Choice(words) => format!("one of: {}", words.join(", ")),
        }
    }
}

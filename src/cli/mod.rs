//! The command line: commands and their options. What the commands do is in their own modules.

mod flags;
pub mod generate;
#[cfg(test)]
mod page;
mod text;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

use crate::access::{self, Groups, UserName, user_group, user_name};
use crate::check;
use crate::model::machine::ids::{BadName, ClaimId, MemberId};
use crate::model::version::Release;
use crate::retire::RetireTarget;
use crate::settings::{Endpoint, Flags, span_within};
use crate::status::{LONGEST, SHORTEST};

/// The parsed command line.
#[derive(Debug, Parser)]
#[command(name = "kubeboot", version, about = text::ABOUT, long_about = text::LONG_ABOUT)]
#[command(after_help = text::AFTER_HELP, after_long_help = text::after_long_help(), disable_help_subcommand = true)]
pub struct Cli {
    /// Settings, which every command takes.
    #[command(flatten)]
    pub flags: Flags,
    /// The command.
    #[command(subcommand)]
    pub command: CliCommand,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum CliCommand {
    /// Make this machine a node of its group's one control plane, or find that it is one
    #[command(long_about = text::UP, after_long_help = text::UP_EXAMPLES)]
    Up(UpArgs),
    /// Leave the cluster if this machine goes down for good, or at once with `--now`
    #[command(long_about = text::RESET, after_long_help = text::RESET_EXAMPLES)]
    Reset(ResetArgs),
    /// Show the state of the control plane, read now from every source
    #[command(long_about = text::STATUS, after_long_help = text::STATUS_EXAMPLES)]
    Status(StatusArgs),
    /// Check whether this machine and account are ready for `up`
    #[command(long_about = text::CHECK, after_long_help = text::CHECK_EXAMPLES)]
    Check(CheckArgs),
    /// Watch over this node, and leave the cluster when the machine is being terminated
    #[command(long_about = text::AGENT, after_long_help = text::AGENT_EXAMPLES)]
    Agent,
    /// Keep kubelet from starting an etcd whose data is gone
    #[command(long_about = text::GUARD, after_long_help = text::GUARD_EXAMPLES)]
    Guard,
    /// Remove the etcd members of machines that are gone
    #[command(long_about = text::REAP, after_long_help = text::REAP_EXAMPLES)]
    Reap(ReapArgs),
    /// Renew the certificates of this control-plane machine that end soon
    #[command(long_about = text::RENEW, after_long_help = text::RENEW_EXAMPLES)]
    Renew(RenewArgs),
    /// Give up a cluster whose machines are all gone: the next ones make a new one
    #[command(long_about = text::RETIRE, after_long_help = text::RETIRE_EXAMPLES)]
    Retire(RetireArgs),
    /// Have the next machines restore a cluster, when all that had a vote are gone
    #[command(long_about = text::RESTORE, after_long_help = text::RESTORE_EXAMPLES)]
    Restore(RestoreArgs),
    /// Say whether the group can be set to zero so that its cluster is saved
    #[command(long_about = text::HIBERNATE, after_long_help = text::HIBERNATE_EXAMPLES)]
    Hibernate,
    /// Show the way of an upgrade of Kubernetes by a new image
    #[command(long_about = text::UPGRADE, after_long_help = text::UPGRADE_EXAMPLES)]
    Upgrade(UpgradeArgs),
    /// Save etcd to the bucket, show what is saved, and verify it
    #[command(long_about = text::SNAPSHOT, after_long_help = text::SNAPSHOT_EXAMPLES)]
    Snapshot(SnapshotArgs),
    /// Make a kubeconfig for a person, on a control-plane machine
    #[command(long_about = text::KUBECONFIG, after_long_help = text::KUBECONFIG_EXAMPLES)]
    Kubeconfig(KubeconfigArgs),
    /// Make a discovery file by which a machine outside of AWS joins as a worker
    #[command(long_about = text::TOKEN, after_long_help = text::TOKEN_EXAMPLES)]
    Token(TokenArgs),
    /// Elect one leader by a Lease of Kubernetes, and run a command while it leads
    #[command(long_about = text::ELECT, after_long_help = text::ELECT_EXAMPLES)]
    Elect(ElectArgs),
    /// Print a shell's completions for kubeboot
    #[command(after_long_help = text::COMPLETIONS_EXAMPLES)]
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Write the manual pages into a folder
    #[command(hide = true)]
    Man {
        /// The folder, which is made if it does not exist
        folder: PathBuf,
    },
    /// Print the places at which this build can be told to stop
    #[cfg(feature = "crash-points")]
    #[command(hide = true)]
    CrashPoints,
}

/// The options of `up`.
#[derive(Debug, Clone, Copy, Args)]
pub struct UpArgs {
    /// Print what would be done next and why, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Accept that another Auto Scaling group than the one on record now makes up the control plane
    #[arg(long)]
    pub accept_group: bool,
}

impl From<UpArgs> for crate::up::UpOptions {
    fn from(UpArgs { dry_run, accept_group }: UpArgs) -> Self {
        Self { dry_run, accept_group }
    }
}

/// The options of `reset`.
#[derive(Debug, Clone, Copy, Args)]
pub struct ResetArgs {
    /// Leave although the machine does not go down, and wipe it, so that it can join again
    #[arg(long)]
    pub now: bool,
    /// Do not ask for confirmation
    #[arg(long, requires = "now")]
    pub yes: bool,
    /// Print what would be done and why, and change nothing
    #[arg(long)]
    pub dry_run: bool,
}

impl From<ResetArgs> for crate::reset::ResetOptions {
    fn from(ResetArgs { now, yes, dry_run }: ResetArgs) -> Self {
        Self { now, yes, dry_run }
    }
}

/// The options of `reap`.
#[derive(Debug, Clone, Copy, Args)]
pub struct ReapArgs {
    /// Print which members would be removed and why, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Remove this one member, which no registration explains
    #[arg(long, value_name = "ID", value_parser = member_id)]
    pub member: Option<MemberId>,
    /// Do not ask for confirmation
    #[arg(long, requires = "member")]
    pub yes: bool,
    /// Print JSON for programs
    #[arg(long)]
    pub json: bool,
}

impl From<ReapArgs> for crate::reap::ReapOptions {
    fn from(ReapArgs { dry_run, member, yes, json }: ReapArgs) -> Self {
        Self { dry_run, member, yes, json }
    }
}

/// The options of `renew`.
#[derive(Debug, Clone, Copy, Args)]
pub struct RenewArgs {
    /// Print when each certificate ends and what would be renewed and restarted, and change nothing
    #[arg(long)]
    pub dry_run: bool,
}

impl From<RenewArgs> for crate::renew::RenewOptions {
    fn from(RenewArgs { dry_run }: RenewArgs) -> Self {
        Self { dry_run }
    }
}

/// The options of `retire`.
#[derive(Debug, Clone, Args)]
pub struct RetireArgs {
    /// The ID of the cluster, as `kubeboot status` shows it
    #[arg(long, value_name = "UUID", value_parser = cluster_id)]
    #[arg(required_unless_present = "lost_record", conflicts_with = "lost_record")]
    pub cluster_id: Option<ClaimId>,
    /// In place of an ID: give up the cluster whose record is gone, or has gone back to an older version
    #[arg(long)]
    pub lost_record: bool,
    /// Do not ask for confirmation
    #[arg(long)]
    pub yes: bool,
    /// Print JSON for programs
    #[arg(long)]
    pub json: bool,
}

impl From<RetireArgs> for crate::retire::RetireOptions {
    fn from(RetireArgs { cluster_id, lost_record: _, yes, json }: RetireArgs) -> Self {
        let target = cluster_id.map_or(RetireTarget::LostRecord, RetireTarget::Cluster);
        Self { target, yes, json }
    }
}

/// The options of `restore`.
#[derive(Debug, Clone, Args)]
pub struct RestoreArgs {
    /// The snapshot, by its key or name as `kubeboot snapshot list` shows it
    #[arg(long, value_name = "KEY", required_unless_present = "latest", conflicts_with = "latest")]
    pub snapshot: Option<String>,
    /// In place of a key: the confirmed snapshot of this cluster with the highest revision
    #[arg(long)]
    pub latest: bool,
    /// Say what would be restored and what would be lost, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask for confirmation
    #[arg(long)]
    pub yes: bool,
    /// Print JSON for programs
    #[arg(long)]
    pub json: bool,
}

impl From<RestoreArgs> for crate::restore::RestoreOptions {
    fn from(RestoreArgs { snapshot, latest: _, dry_run, yes, json }: RestoreArgs) -> Self {
        Self { snapshot, dry_run, yes, json }
    }
}

/// The options of `upgrade`.
#[derive(Debug, Clone, Copy, Args)]
pub struct UpgradeArgs {
    /// Show each step to the version of this machine's kubeadm, what is done of it, and what would be refused; change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Show the way to this version of Kubernetes instead
    #[arg(long, value_name = "VERSION", value_parser = kubernetes_version, requires = "dry_run")]
    pub to: Option<Release>,
    /// Take back an upgrade of which no machine has joined: the cluster's configuration names the version of its API servers again
    #[arg(long, conflicts_with = "dry_run")]
    pub back: bool,
    /// Do not ask before it is taken back
    #[arg(long, requires = "back")]
    pub yes: bool,
}

impl From<UpgradeArgs> for crate::upgrade::UpgradeOptions {
    fn from(UpgradeArgs { dry_run, to, back, yes }: UpgradeArgs) -> Self {
        match (dry_run, back) {
            (true, _) => Self::DryRun { to },
            (false, true) => Self::Back { yes },
            (false, false) => Self::Explain,
        }
    }
}

fn kubernetes_version(text: &str) -> Result<Release, &'static str> {
    Release::parse(text).ok_or("a version has three numbers, as v1.36.1")
}

/// The options of `snapshot`.
#[derive(Debug, Clone, Args)]
pub struct SnapshotArgs {
    /// What is to be done.
    #[command(subcommand)]
    pub command: SnapshotCommand,
}

/// The commands of `snapshot`.
#[derive(Debug, Clone, Subcommand)]
pub enum SnapshotCommand {
    /// Save etcd through this machine's own member
    #[command(long_about = text::SNAPSHOT_SAVE, after_long_help = text::SNAPSHOT_SAVE_EXAMPLES)]
    Save {
        /// Save what this machine alone has, without a quorum
        #[arg(long)]
        unconfirmed: bool,
    },
    /// Show the snapshots that are saved, the highest revision first
    #[command(long_about = text::SNAPSHOT_LIST, after_long_help = text::SNAPSHOT_LIST_EXAMPLES)]
    List {
        /// Show all of them, not only the last 50
        #[arg(long)]
        all: bool,
        /// Print JSON for programs
        #[arg(long)]
        json: bool,
    },
    /// Read a snapshot and compare every digest
    #[command(long_about = text::SNAPSHOT_VERIFY, after_long_help = text::SNAPSHOT_VERIFY_EXAMPLES)]
    Verify {
        /// The snapshot, as `kubeboot snapshot list` shows it
        #[arg(value_name = "SNAPSHOT", required_unless_present = "latest", conflicts_with = "latest")]
        snapshot: Option<String>,
        /// The latest one of the cluster that is on record
        #[arg(long)]
        latest: bool,
    },
}

impl From<SnapshotArgs> for crate::snapshot::SnapshotOptions {
    fn from(SnapshotArgs { command }: SnapshotArgs) -> Self {
        match command {
            SnapshotCommand::Save { unconfirmed } => Self::Save { unconfirmed },
            SnapshotCommand::List { all, json } => Self::List { all, json },
            SnapshotCommand::Verify { snapshot, latest: _ } => Self::Verify { snapshot },
        }
    }
}

/// The options of `kubeconfig`.
#[derive(Debug, Clone, Args)]
pub struct KubeconfigArgs {
    /// Who it is for: the name of the user in Kubernetes
    #[arg(long, value_name = "NAME", value_parser = user_name)]
    pub user: UserName,
    /// A group of the user; may be repeated. Without it `kubeadm:cluster-admins`
    #[arg(long, value_name = "GROUP", value_parser = user_group)]
    pub user_group: Vec<String>,
    /// How long it is valid, `24h` unless given; from `10m` to `365d`
    #[arg(long, value_name = "TIME", value_parser = kubeconfig_lifetime)]
    pub lifetime: Option<Duration>,
    /// The near end of a tunnel through which the API is reached; without it the endpoint
    #[arg(long, value_name = "HOST:PORT", value_parser = Endpoint::parse)]
    pub tunnel: Option<Endpoint>,
    /// The new file that is written, for its owner alone; without it, it is printed
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
}

impl From<KubeconfigArgs> for access::kubeconfig::KubeconfigOptions {
    fn from(KubeconfigArgs { user, user_group, lifetime, tunnel, file }: KubeconfigArgs) -> Self {
        let lifetime = lifetime.unwrap_or(access::kubeconfig::LIFETIME);
        Self { user, groups: Groups::or_administrators(user_group), lifetime, tunnel, file }
    }
}

fn kubeconfig_lifetime(text: &str) -> Result<Duration, String> {
    span_within(text, access::SHORTEST..=access::kubeconfig::LONGEST)
}

/// The options of `token`.
#[derive(Debug, Clone, Args)]
pub struct TokenArgs {
    /// How long the token is valid, `2h` unless given; from `10m` to `24h`
    #[arg(long, value_name = "TIME", value_parser = token_lifetime)]
    pub lifetime: Option<Duration>,
    /// The new file that is written, for its owner alone; without it, it is printed
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
}

impl From<TokenArgs> for access::token::TokenOptions {
    fn from(TokenArgs { lifetime, file }: TokenArgs) -> Self {
        Self { lifetime: lifetime.unwrap_or(access::token::LIFETIME), file }
    }
}

fn token_lifetime(text: &str) -> Result<Duration, String> {
    span_within(text, access::SHORTEST..=access::token::LONGEST)
}

/// The options of `elect`.
#[derive(Debug, Clone, Args)]
pub struct ElectArgs {
    /// The election: the name of the Lease, which is made if there is none
    #[arg(long, value_name = "NAME")]
    pub election: String,
    /// The namespace of the Lease; without it that of the pod or of the kubeconfig's context
    #[arg(long, value_name = "NAMESPACE")]
    pub namespace: Option<String>,
    /// Tell who leads at this address: `/`, `/livez` and `/readyz`
    #[arg(long, value_name = "HOST:PORT")]
    pub http: Option<String>,
    /// The identity of this one, which nobody else may have; without it the host name and a random ID
    #[arg(long, value_name = "ID")]
    pub id: Option<String>,
    /// A kubeconfig with a client certificate or a token; without it the variable KUBECONFIG, or else the pod's service account
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// What to run while this one leads
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

impl From<ElectArgs> for crate::elect::ElectOptions {
    fn from(ElectArgs { election, namespace, http, id, kubeconfig, command }: ElectArgs) -> Self {
        let named = || std::env::var_os("KUBECONFIG").filter(|path| !path.is_empty()).map(PathBuf::from);
        Self { election, namespace, http, id, kubeconfig: kubeconfig.or_else(named), command }
    }
}

fn member_id(text: &str) -> Result<MemberId, BadName> {
    MemberId::try_from(text.to_ascii_lowercase())
}

fn cluster_id(text: &str) -> Result<ClaimId, BadName> {
    ClaimId::parse(text.to_ascii_lowercase())
}

/// The options of `status`.
#[derive(Debug, Clone, Copy, Args)]
pub struct StatusArgs {
    /// Print JSON for programs
    #[arg(long)]
    pub json: bool,
    /// Look again and again, and print what has changed, until Ctrl-C
    #[arg(long)]
    pub watch: bool,
    /// The time between two looks, `5s` unless given; from `2s` to `1h`
    #[arg(long, value_name = "TIME", value_parser = interval, requires = "watch")]
    pub interval: Option<Duration>,
}

fn check_timeout(text: &str) -> Result<Duration, String> {
    span_within(text, check::SHORTEST..=check::LONGEST)
}

fn interval(text: &str) -> Result<Duration, String> {
    span_within(text, SHORTEST..=LONGEST)
}

impl Cli {
    /// Whether a signal is how this command ends, and no failure.
    #[must_use]
    pub fn ends_by_signal(&self) -> bool {
        matches!(self.command, CliCommand::Status(StatusArgs { watch: true, .. }))
    }
}

/// The options of a command that reports.
#[derive(Debug, Clone, Copy, Args)]
pub struct ReportArgs {
    /// Print JSON for programs
    #[arg(long)]
    pub json: bool,
}

/// Options of `check`.
#[derive(Debug, Clone, Copy, Args)]
pub struct CheckArgs {
    /// Check a machine image instead, on the machine of which it is made: no settings, no group, no AWS
    #[arg(long)]
    pub image: bool,
    /// How long each check may take, `5s` unless given; from `1s` to `10m`
    #[arg(long, value_name = "TIME", value_parser = check_timeout)]
    pub timeout: Option<Duration>,
    /// Print JSON for programs
    #[arg(long)]
    pub json: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::table::SETTINGS;
    use anyhow::Result;
    use clap::CommandFactory;
    use std::path::Path;

    #[test]
    fn the_definitions_are_valid() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_setting_has_a_flag_before_and_after_the_command() -> Result<()> {
        for setting in SETTINGS {
            let flag = format!("--{}", setting.flag());
            for words in [["kubeboot", &flag, "value", "up"], ["kubeboot", "up", &flag, "value"]] {
                let flags = Cli::try_parse_from(words)?.flags;
                assert_eq!(flags.values.get(setting.name).map(String::as_str), Some("value"), "{words:?}");
                assert_eq!(flags.values.len(), 1, "{words:?}");
            }
        }
        Ok(())
    }

    #[test]
    fn a_member_and_a_cluster_are_named_by_their_ids() -> Result<()> {
        let cli = Cli::try_parse_from(["kubeboot", "reap", "--member", "8E9E05C52164694D", "--yes"])?;
        let CliCommand::Reap(ReapArgs { member: Some(member), yes: true, dry_run: false, .. }) = cli.command else {
            anyhow::bail!("{cli:?}");
        };
        assert_eq!(member, MemberId(0x8e9e_05c5_2164_694d));
        let id = "6f9619ff-8b86-4011-b42d-00c04fc964ff";
        let cli = Cli::try_parse_from(["kubeboot", "retire", "--cluster-id", id])?;
        assert!(
            matches!(cli.command, CliCommand::Retire(RetireArgs { cluster_id: Some(found), yes: false, .. }) if found.as_str() == id)
        );
        let cli = Cli::try_parse_from(["kubeboot", "retire", "--lost-record", "--yes"])?;
        let CliCommand::Retire(args) = cli.command else { anyhow::bail!("{cli:?}") };
        assert_eq!(crate::retire::RetireOptions::from(args).target, RetireTarget::LostRecord);
        for bad in [
            &["reap", "--member", "xyz"][..],
            &["reap", "--yes"],
            &["restore"],
            &["restore", "--latest", "--snapshot", "x"],
            &["retire"],
            &["retire", "--cluster-id", "demo"],
            &["retire", "--cluster-id", id, "--lost-record"],
        ] {
            assert!(Cli::try_parse_from(["kubeboot"].iter().chain(bad)).is_err(), "{bad:?}");
        }
        Ok(())
    }

    #[test]
    fn the_time_of_a_check_is_bounded_and_its_default_is_told() -> Result<()> {
        for (words, expected) in
            [(&["--timeout", "1s"][..], Some(1)), (&["--image", "--timeout", "10m"], Some(600)), (&[], None)]
        {
            let cli = Cli::try_parse_from(["kubeboot", "check"].iter().chain(words))?;
            let CliCommand::Check(CheckArgs { timeout, .. }) = cli.command else { anyhow::bail!("{cli:?}") };
            assert_eq!(timeout, expected.map(Duration::from_secs), "{words:?}");
        }
        for bad in ["999ms", "601s", "5", "0s", "soon", ""] {
            assert!(Cli::try_parse_from(["kubeboot", "check", "--timeout", bad]).is_err(), "{bad:?}");
        }
        let help = Cli::command().find_subcommand_mut("check").map(|check| check.render_help().to_string());
        let told = format!("`{}s`", check::TIMEOUT.as_secs());
        assert!(help.is_some_and(|help| help.contains(&told)), "the default is told");
        Ok(())
    }

    #[test]
    fn the_time_between_two_looks_is_bounded_and_needs_a_watch() -> Result<()> {
        for (words, expected, by_signal) in [
            (&["--watch"][..], None, true),
            (&["--watch", "--interval", "2s"], Some(2), true),
            (&["--json", "--watch", "--interval", "1h"], Some(3600), true),
            (&[], None, false),
        ] {
            let cli = Cli::try_parse_from(["kubeboot", "status"].iter().chain(words))?;
            let CliCommand::Status(StatusArgs { interval, .. }) = cli.command else { anyhow::bail!("{cli:?}") };
            assert_eq!(interval, expected.map(Duration::from_secs), "{words:?}");
            assert_eq!(cli.ends_by_signal(), by_signal, "{words:?}");
        }
        for bad in ["1999ms", "3601s", "5", "0s", "soon", ""] {
            let words = ["kubeboot", "status", "--watch", "--interval", bad];
            assert!(Cli::try_parse_from(words).is_err(), "{bad:?}");
        }
        assert!(Cli::try_parse_from(["kubeboot", "status", "--interval", "5s"]).is_err(), "there is but one look");
        let help = Cli::command().find_subcommand_mut("status").map(|status| status.render_help().to_string());
        let told = format!("`{}s`", crate::status::INTERVAL.as_secs());
        assert!(help.is_some_and(|help| help.contains(&told)), "the default is told");
        Ok(())
    }

    #[test]
    fn a_kubeconfig_is_for_somebody_and_for_a_while() -> Result<()> {
        let parse = |words: &[&str]| Cli::try_parse_from(["kubeboot", "kubeconfig"].iter().chain(words));
        let CliCommand::Kubeconfig(args) = parse(&["--user", "anna"])?.command else { anyhow::bail!("it is another") };
        let plain = access::kubeconfig::KubeconfigOptions::from(args);
        assert_eq!((plain.lifetime.as_secs(), plain.groups.is_master()), (24 * 3600, false));
        let words = ["--user", "anna", "--user-group", "a", "--user-group", "system:masters", "--lifetime", "10m"];
        let CliCommand::Kubeconfig(args) = parse(&[&words[..], &["--tunnel", "127.0.0.1:7443"]].concat())?.command
        else {
            anyhow::bail!("it is another")
        };
        let given = access::kubeconfig::KubeconfigOptions::from(args);
        assert_eq!((given.lifetime.as_secs(), given.groups.names().len(), given.groups.is_master()), (600, 2, true));
        assert_eq!(given.tunnel.map(|tunnel| tunnel.to_string()).as_deref(), Some("127.0.0.1:7443"));
        for bad in [
            &[][..],
            &["--user", "system:node:n1"],
            &["--user", "anna", "--user-group", "a,system:masters"],
            &["--user", "anna", "--lifetime", "9m"],
            &["--user", "anna", "--lifetime", "366d"],
            &["--user", "anna", "--tunnel", "127.0.0.1"],
        ] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
        for bad in ["599s", "86401s", "0s", "2"] {
            assert!(Cli::try_parse_from(["kubeboot", "token", "--lifetime", bad]).is_err(), "{bad}");
        }
        let CliCommand::Token(args) = Cli::try_parse_from(["kubeboot", "token"])?.command else { anyhow::bail!("no") };
        assert_eq!(access::token::TokenOptions::from(args).lifetime.as_secs(), 7200);
        Ok(())
    }

    #[test]
    fn lists_may_be_repeated_and_the_file_named() -> Result<()> {
        let words = ["kubeboot", "status", "--json", "--config", "/x", "--extra-shared-files", "/etc/a,/etc/b"];
        let cli = Cli::try_parse_from(words.into_iter().chain(["--extra-shared-files", "/etc/c"]))?;
        assert!(matches!(cli.command, CliCommand::Status(StatusArgs { json: true, .. })));
        let flags = cli.flags;
        assert_eq!(flags.config.as_deref(), Some(Path::new("/x")));
        assert_eq!(flags.values["extra_shared_files"], "/etc/a,/etc/b,/etc/c");
        Ok(())
    }

    #[test]
    fn the_help_names_every_setting_and_exit_code() {
        let help = Cli::command().render_long_help().to_string();
        for setting in SETTINGS {
            assert!(help.contains(&format!("--{} ", setting.flag())), "{}", setting.name);
            assert!(help.contains(&setting.variable()), "{}", setting.name);
        }
        for exit in crate::exit::Exit::ALL {
            assert!(help.contains(&exit.to_string()), "{exit}");
        }
        let short = Cli::command().render_help().to_string();
        assert!(short.lines().count() < 32, "the short help fits a screen:\n{short}");
    }
}

//! Parses the command line, sets up the log, runs the command, reports an error once, and exits.

use anyhow::{Context, Error, Result};
use clap::Parser;
use kubeboot::cli::{CheckArgs, Cli, CliCommand, StatusArgs, generate};
use kubeboot::exit::Exit;
use kubeboot::host::environment;
use kubeboot::host::process::guarded;
use kubeboot::host::signals::{asked_to_stop, stopped_by};
use kubeboot::node::up_end;
use kubeboot::settings::{Flags, Settings};
use kubeboot::{
    access, agent, check, elect, guard, hibernate, log, reap, renew, reset, restore, retire, snapshot, status, up,
    upgrade,
};
use std::process::ExitCode;

/// The program. Public for the variant that tests can stop, `src/bin/kubeboot-crash-points.rs`.
pub fn main() -> ExitCode {
    let ended =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Error::new).and_then(|runtime| {
            let ended = runtime.block_on(program());
            // Whoever resolves a name in a thread of its own is not waited for: that may take half a minute.
            runtime.shutdown_background();
            ended
        });
    ended.unwrap_or_else(|error| log::report(&error).into())
}

async fn program() -> Result<ExitCode> {
    if let Some(ended) = guarded::part().await {
        return Ok(ended);
    }
    let cli = Cli::parse();
    match cli.command {
        // What it has started ends before it does, so it is asked by signals itself.
        CliCommand::Elect(options) => elect::run(options.into()).await,
        // It gives up what it leads before it ends.
        CliCommand::Agent => Box::pin(run(cli)).await,
        _ => until_stopped(cli).await,
    }
}

async fn until_stopped(cli: Cli) -> Result<ExitCode> {
    let ends_by_signal = cli.ends_by_signal();
    tokio::select! {
        // The work first: a command that ends well at a signal says so itself.
        biased;
        ended = Box::pin(run(cli)) => ended,
        // Dropping `run` also kills a kubeadm that it has started.
        signal = asked_to_stop() => match signal? {
            _ if ends_by_signal => Ok(Exit::Done.into()),
            signal => Err(stopped_by(signal)),
        },
    }
}

async fn run(Cli { flags, command }: Cli) -> Result<ExitCode> {
    match command {
        CliCommand::Up(options) => {
            let is_dry = options.dry_run;
            let ended = match settings(&flags) {
                Ok(settings) => up::run(settings, options.into()).await,
                Err(error) => Err(error),
            };
            if !is_dry {
                up_end::keep(&ended);
            }
            up::last_error::note(ended)?;
        }
        CliCommand::Agent => agent::run(settings(&flags)?).await?,
        CliCommand::Guard => guard::run().await?,
        CliCommand::Check(CheckArgs { image, timeout, json }) => {
            let within = timeout.unwrap_or(check::TIMEOUT);
            if image {
                check::run_for_image(within, json).await?;
            } else {
                check::run(settings(&flags), within, json).await?;
            }
        }
        CliCommand::Reset(options) => return Ok(reset::run(settings(&flags)?, options.into()).await?.into()),
        CliCommand::Status(StatusArgs { watch: true, interval, json }) => {
            status::watch(settings(&flags)?, interval.unwrap_or(status::INTERVAL), json).await?;
        }
        CliCommand::Status(options) => return Ok(status::run(settings(&flags)?, options.json).await?.into()),
        CliCommand::Reap(options) => reap::run(settings(&flags)?.of_control_plane()?, options.into()).await?,
        CliCommand::Renew(options) => renew::run(settings(&flags)?.of_control_plane()?, options.into()).await?,
        CliCommand::Upgrade(args) => upgrade::run(settings(&flags)?.of_control_plane()?, args.into()).await?,
        CliCommand::Hibernate => hibernate::run(settings(&flags)?.of_control_plane()?).await?,
        CliCommand::Retire(options) => retire::run(settings(&flags)?.of_control_plane()?, options.into()).await?,
        CliCommand::Restore(options) => restore::run(settings(&flags)?.of_control_plane()?, options.into()).await?,
        CliCommand::Snapshot(options) => snapshot::run(settings(&flags)?.of_control_plane()?, options.into()).await?,
        CliCommand::Kubeconfig(options) => {
            access::kubeconfig::run(settings(&flags)?.of_control_plane()?, options.into()).await?;
        }
        CliCommand::Token(options) => access::token::run(settings(&flags)?.of_control_plane()?, options.into()).await?,
        CliCommand::Elect(options) => return elect::run(options.into()).await,
        CliCommand::Completions { shell } => generate::completions(shell)?,
        CliCommand::Man { folder } => generate::manual(&folder)?,
        #[cfg(feature = "crash-points")]
        CliCommand::CrashPoints => kubeboot::node::point::print_all(),
    }
    Ok(Exit::Done.into())
}

fn settings(flags: &Flags) -> Result<Settings> {
    let problems = environment::complete().context(Exit::Usage)?;
    let settings = Settings::from_environment(flags)?;
    log::init(&settings)?;
    problems.iter().for_each(|problem| tracing::warn!("{problem}"));
    Ok(settings)
}

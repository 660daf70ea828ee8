//! Parses the command line, sets up the log, runs the command, reports an error once, and exits.

use anyhow::{Context, Result};
use clap::Parser;
use kubeboot::cli::{Cli, CliCommand, generate};
use kubeboot::exit::Exit;
use kubeboot::host::environment;
use kubeboot::host::signals::asked_to_stop;
use kubeboot::settings::{Flags, Settings};
use kubeboot::{check, guard, log, reap, reset, retire, status, up};
use std::process::ExitCode;

/// The program. Public for the variant that tests can stop, `src/bin/kubeboot-crash-points.rs`.
#[tokio::main(flavor = "current_thread")]
pub async fn main() -> ExitCode {
    let ended = tokio::select! {
        ended = run(Cli::parse()) => ended,
        // Dropping `run` also kills a kubeadm that it has started.
        stopped = asked_to_stop() => Err(stopped),
    };
    ended.unwrap_or_else(|error| log::report(&error).into())
}

async fn run(Cli { flags, command }: Cli) -> Result<ExitCode> {
    match command {
        CliCommand::Up(options) => {
            let ended = match settings(&flags) {
                Ok(settings) => up::run(settings, options.into()).await,
                Err(error) => Err(error),
            };
            up::last_error::note(ended)?;
        }
        CliCommand::Guard => guard::run().await?,
        CliCommand::Check(options) => check::run(settings(&flags), options.json).await?,
        CliCommand::Reset(options) => return Ok(reset::run(settings(&flags)?, options.into()).await?.into()),
        CliCommand::Status(options) => return Ok(status::run(settings(&flags)?, options.json).await?.into()),
        CliCommand::Reap(options) => reap::run(settings(&flags)?, options.into()).await?,
        CliCommand::Retire(options) => retire::run(settings(&flags)?, options.into()).await?,
        CliCommand::Completions { shell } => generate::completions(shell)?,
        CliCommand::Man { folder } => generate::manual(&folder)?,
        #[cfg(feature = "crash-points")]
        CliCommand::CrashPoints => up::point::print_all(),
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

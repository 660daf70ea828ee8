//! The log, on standard error: readable text, JSON, or fields to the journal.
//!
//! kubeboot's own messages are logged at the level of the settings, other libraries' warnings and
//! errors always. A log that cannot be written does not stop kubeboot: nothing here panics.

use std::env;
use std::fmt::{self, Write as _};
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;

use anyhow::{Context, Result};
use tracing::metadata::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::{DefaultFields, Format, Full, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use crate::exit::{Exit, causes};
use crate::settings::{LogFormat, Settings};

/// Sets up the log of this process, once, and logs the warnings about the settings.
///
/// # Errors
///
/// With [`Exit::Usage`], if the journal is asked for and there is none.
pub fn init(settings: &Settings) -> Result<()> {
    install(settings.log_level, settings.log_format)?;
    settings.warnings().iter().for_each(|warning| tracing::warn!("{warning}"));
    Ok(())
}

/// The same for who needs no settings and must not fail by them.
///
/// # Errors
///
/// If there is a log already.
pub fn init_without_settings() -> Result<()> {
    install(LevelFilter::INFO, LogFormat::Auto)
}

fn install(level: LevelFilter, format: LogFormat) -> Result<()> {
    let which = Targets::new()
        .with_default(LevelFilter::WARN.min(level))
        // The SDK's warnings are in the errors of kubeboot's own calls as well, without internals.
        .with_target("aws_config", LevelFilter::ERROR.min(level))
        .with_target("kubeboot", level);
    let text = tracing_subscriber::fmt::layer()
        .with_writer(io::stderr)
        .with_target(false)
        .with_ansi(wants_colour())
        // Otherwise a closed standard error would cause a panic.
        .log_internal_errors(false);
    let layer = match format {
        LogFormat::Json => text.json().flatten_event(true).boxed(),
        LogFormat::Journal => journal().context(Exit::Usage)?.boxed(),
        LogFormat::Auto if is_journal() => text.event_format(PriorityFormat::new()).boxed(),
        LogFormat::Auto | LogFormat::Text => text.boxed(),
    };
    tracing_subscriber::registry().with(layer.with_filter(which)).try_init().context("failed to set up the log")
}

fn journal() -> Result<tracing_journald::Layer> {
    let layer = tracing_journald::layer()
        .context("failed to reach the journal's socket, /run/systemd/journal/socket; set log_format to text")?;
    Ok(layer.with_field_prefix(Some("KUBEBOOT".to_owned())).with_syslog_identifier("kubeboot".to_owned()))
}

/// Text for a standard error that is the journal: in place of the time, each line begins with its priority as
/// in sd-daemon(3). systemd copies only standard error to the console, not what comes by the journal's
/// own socket, and on EC2 the console can be read from outside.
struct PriorityFormat(Format<Full, ()>);

impl PriorityFormat {
    fn new() -> Self {
        Self(Format::default().without_time().with_target(false).with_ansi(false))
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> FormatEvent<S, DefaultFields> for PriorityFormat {
    fn format_event(
        &self,
        ctx: &FmtContext<'_, S, DefaultFields>,
        mut out: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut text = String::new();
        self.0.format_event(ctx, Writer::new(&mut text), event)?;
        let priority = priority(*event.metadata().level());
        text.lines().try_for_each(|line| writeln!(out, "<{priority}>{}", line.trim_end()))
    }
}

/// The priority of syslog for a level.
fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        Level::DEBUG | Level::TRACE => 7,
    }
}

/// Whether to use colour: on a terminal, unless `NO_COLOR` is set (<https://no-color.org>).
fn wants_colour() -> bool {
    io::stderr().is_terminal() && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Whether standard error is the journal itself, by the rule of systemd.exec(5): `JOURNAL_STREAM`
/// names the device and inode that it had when systemd started us.
pub(crate) fn is_journal() -> bool {
    let Ok(stream) = env::var("JOURNAL_STREAM") else { return false };
    rustix::fs::fstat(io::stderr().as_fd()).is_ok_and(|stat| stream == format!("{}:{}", stat.st_dev, stat.st_ino))
}

/// Reports an error once, with all its causes: to the log, or to standard error if no log has been set
/// up. Returns the exit that the error carries.
pub fn report(error: &anyhow::Error) -> Exit {
    let exit = Exit::of(error);
    let text = chain(error);
    if tracing::dispatcher::has_been_set() {
        tracing::error!(exit = exit.number(), "{text}");
    } else {
        // If standard error is closed, there is no other place to report to.
        let _ = writeln!(io::stderr(), "kubeboot: {text}");
    }
    exit
}

/// The meaning of the exit code, and then one cause per line, the outermost first.
fn chain(error: &anyhow::Error) -> String {
    let exit = Exit::of(error);
    let mut text = format!("{exit} (exit code {})", exit.number());
    for cause in causes(error) {
        for line in cause.lines() {
            // Writing to a string cannot fail.
            let _ = write!(text, "\n  {line}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::anyhow;
    use std::sync::{Arc, Mutex};

    #[test]
    fn an_error_is_reported_once_with_its_exit_first() {
        let error = anyhow!("connection refused")
            .context("failed to read 'cluster.json'")
            .context(Exit::Aws)
            .context("2 problems:\n- one\n- two")
            .context(Exit::TryAgain)
            .context("failed to observe");
        assert_eq!(Exit::of(&error), Exit::TryAgain);
        assert_eq!(
            chain(&error),
            "not now, try again (exit code 3)\n  failed to observe\n  2 problems:\n  - one\n  - two\n  \
             failed to read 'cluster.json'\n  connection refused"
        );
    }

    /// Collects the log of a test.
    #[derive(Clone, Default)]
    struct LogBuffer(Arc<Mutex<Vec<u8>>>);

    impl Write for LogBuffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no holder panics").write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn every_line_to_the_journal_begins_with_its_priority() {
        let written = LogBuffer::default();
        let writer = written.clone();
        let layer = tracing_subscriber::fmt::layer().with_writer(move || writer.clone());
        let log = tracing_subscriber::registry().with(layer.event_format(PriorityFormat::new()));
        tracing::subscriber::with_default(log, || {
            tracing::info!(claim = 7, "waiting");
            tracing::error!("first\n  second");
        });
        let text = String::from_utf8(written.0.lock().expect("no holder panics").clone()).expect("it is text");
        assert_eq!(text, "<6> INFO waiting claim=7\n<3>ERROR first\n<3>  second\n");
    }

    #[test]
    fn an_error_without_an_exit_is_a_fault_of_kubeboot() {
        assert_eq!(chain(&anyhow!("cause")), "a fault of kubeboot itself (exit code 1)\n  cause");
    }
}

//! The log, on standard error: readable text, JSON, or fields to the journal.
//!
//! kubeboot's own messages are logged at the level of the settings, other libraries' warnings and
//! errors always. A log that cannot be written does not stop kubeboot: nothing here panics.

mod journal;

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
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use crate::exit::{Exit, causes};
use crate::layout::{json_plain, tell};
use crate::model::text::one_line;
use crate::settings::{LogFormat, Settings};

/// Sets up the log of this process, once, and logs the warnings about the settings.
///
/// # Errors
///
/// With [`Exit::Usage`], if the journal is asked for and there is none.
pub fn init(settings: &Settings) -> Result<()> {
    install(settings.log_level, settings.log_format)?;
    settings.warnings().iter().for_each(|warning| tracing::warn!("{}", warning.text));
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
        // Otherwise a closed standard error would cause a panic.
        .log_internal_errors(false);
    let layer = match format {
        LogFormat::Json => {
            text.json().flatten_event(true).with_target(false).with_writer(|| JsonWriter(io::stderr())).boxed()
        }
        LogFormat::Journal => journal::OneLineFields(journal().context(Exit::Usage)?).boxed(),
        LogFormat::Auto if is_journal() => text.event_format(OneLine::for_journal()).boxed(),
        LogFormat::Auto | LogFormat::Text => text.event_format(OneLine::for_people(wants_colour())).boxed(),
    };
    tracing_subscriber::registry().with(layer.with_filter(which)).try_init().context("failed to set up the log")
}

fn journal() -> Result<tracing_journald::Layer> {
    let layer = tracing_journald::layer()
        .context("failed to reach the journal's socket, /run/systemd/journal/socket; set log_format to text")?;
    Ok(layer.with_field_prefix(Some("KUBEBOOT".to_owned())).with_syslog_identifier("kubeboot".to_owned()))
}

/// Text, one line for each event, in which nothing commands a terminal, whatever was logged.
struct OneLine<T> {
    format: Format<Full, T>,
    head: Head,
}

/// How a line begins.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Head {
    /// With the time.
    Plain,
    /// The same, the level in colour.
    Coloured,
    /// With the priority as in sd-daemon(3), in place of the time: for a standard error that is the journal. systemd copies only standard
    /// error to the console, not what comes by the journal's own socket, and on EC2 the console can be read from outside.
    Priority,
}

impl OneLine<()> {
    fn for_journal() -> Self {
        Self { format: Format::default().without_time().with_target(false).with_ansi(false), head: Head::Priority }
    }
}

impl OneLine<SystemTime> {
    fn for_people(colour: bool) -> Self {
        let head = if colour { Head::Coloured } else { Head::Plain };
        Self { format: Format::default().with_target(false).with_ansi(false), head }
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>, T: FormatTime> FormatEvent<S, DefaultFields> for OneLine<T> {
    fn format_event(
        &self,
        ctx: &FmtContext<'_, S, DefaultFields>,
        mut out: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut text = String::new();
        self.format.format_event(ctx, Writer::new(&mut text), event)?;
        let level = *event.metadata().level();
        // Also what begins the line is kept, such as the blanks before a shorter level.
        let line = text.strip_suffix('\n').unwrap_or(&text);
        let blanks = &line[..line.len() - line.trim_start().len()];
        let line = format!("{blanks}{}", one_line(line));
        match self.head {
            Head::Plain => writeln!(out, "{line}"),
            Head::Coloured => writeln!(out, "{}", line.replacen(level.as_str(), &coloured(level), 1)),
            Head::Priority => writeln!(out, "<{}>{line}", priority(level)),
        }
    }
}

/// The word for a level in its colour.
fn coloured(level: Level) -> String {
    let colour = match level {
        Level::ERROR => 31,
        Level::WARN => 33,
        Level::INFO => 32,
        Level::DEBUG => 34,
        Level::TRACE => 35,
    };
    format!("\u{1b}[{colour}m{level}\u{1b}[0m")
}

/// Standard error for events as JSON, each of them one write.
struct JsonWriter<W>(W);

impl<W: Write> Write for JsonWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write_all(json_plain(&String::from_utf8_lossy(bytes)).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
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

/// Reports an error once, with all its causes, a line each: to the log, or to standard error if no log has been set
/// up. Returns the exit that the error carries.
pub fn report(error: &anyhow::Error) -> Exit {
    let exit = Exit::of(error);
    let text = chain(error);
    if tracing::dispatcher::has_been_set() {
        let mut lines = text.lines();
        tracing::error!(exit = exit.number(), "{}", lines.next().unwrap_or_default());
        lines.for_each(|line| tracing::error!("{line}"));
    } else {
        tell(&format!("kubeboot: {text}"));
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
    use crate::model::text::is_command;
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

    /// What a log in this format writes of two events, the second of which would command a terminal.
    fn written<L>(layer: impl FnOnce(LogBuffer) -> L) -> String
    where
        L: Layer<tracing_subscriber::Registry> + Send + Sync,
    {
        let buffer = LogBuffer::default();
        let log = tracing_subscriber::registry().with(layer(buffer.clone()));
        tracing::subscriber::with_default(log, || {
            tracing::info!(claim = 7, "waiting");
            tracing::error!(why = %"a\nb\u{9b}", "first\n  second \u{1b}[2J\u{7f}\u{202e}");
        });
        let bytes = buffer.0.lock().expect("no holder panics").clone();
        String::from_utf8(bytes).expect("it is text")
    }

    #[test]
    fn every_event_is_one_line_that_commands_no_terminal_in_every_format() {
        let to = |buffer: LogBuffer| tracing_subscriber::fmt::layer().with_writer(move || buffer.clone());
        let journal = written(|buffer| to(buffer).event_format(OneLine::for_journal()));
        let told = "first second \\x1b[2J\\x7f\\u{202e} why=a b\\u{9b}";
        assert_eq!(journal, format!("<6> INFO waiting claim=7\n<3>ERROR {told}\n"));

        let people = written(|buffer| to(buffer).event_format(OneLine::for_people(false)));
        assert!(people.ends_with(&format!("ERROR {told}\n")) && people.lines().count() == 2, "{people}");
        let coloured = written(|buffer| to(buffer).event_format(OneLine::for_people(true)));
        assert!(coloured.contains("\u{1b}[31mERROR\u{1b}[0m first"), "{coloured}");
        assert_eq!(coloured.matches('\u{1b}').count(), 4, "only the levels are in colour: {coloured}");

        let json = written(|buffer| {
            tracing_subscriber::fmt::layer().json().flatten_event(true).with_writer(move || JsonWriter(buffer.clone()))
        });
        assert_eq!(json.lines().count(), 2, "{json}");
        assert!(!json.chars().any(|letter| letter != '\n' && is_command(letter)), "{json:?}");
        for line in json.lines() {
            serde_json::from_str::<serde_json::Value>(line).expect("a line is an object");
        }
    }

    #[test]
    fn an_entry_of_the_journal_has_one_line_of_text_in_each_field() {
        let to = |buffer: LogBuffer| tracing_subscriber::fmt::layer().with_writer(move || buffer.clone());
        let bare = |buffer| to(buffer).without_time().with_target(false).with_ansi(false);
        let entries = written(|buffer| journal::OneLineFields(bare(buffer)));
        let told = "first second \\u{1b}[2J\\u{7f}\\u{202e} why=\"a b\\\\u{9b}\"";
        assert_eq!(entries, format!(" INFO waiting claim=\"7\"\nERROR {told}\n"));
    }

    #[test]
    fn an_error_without_an_exit_is_a_fault_of_kubeboot() {
        assert_eq!(chain(&anyhow!("cause")), "a fault of kubeboot itself (exit code 1)\n  cause");
    }
}

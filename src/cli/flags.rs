//! One flag per setting, made from the table of settings.

use clap::{Arg, ArgAction, ArgMatches, Args, Command, Error, FromArgMatches};

use crate::settings::table::{Fallback, SETTINGS, Setting, SettingKind};
use crate::settings::{DEFAULT_FILE, FILE_VARIABLE, Flags};

/// The heading above the settings in the help.
const HEADING: &str = "Settings (each also a variable, and a key in the file)";

/// The flag for the file of settings.
const CONFIG: &str = "config";

impl Args for Flags {
    fn augment_args(command: Command) -> Command {
        command.arg(config()).args(SETTINGS.iter().map(flag))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Flags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let mut flags = Self::default();
        flags.update_from_arg_matches(matches)?;
        Ok(flags)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        if let Some(path) = matches.get_one::<String>(CONFIG) {
            self.config = Some(path.into());
        }
        for setting in SETTINGS {
            if let Some(values) = matches.get_many::<String>(setting.name) {
                let values: Vec<&str> = values.map(String::as_str).collect();
                self.values.insert(setting.name, values.join(","));
            }
        }
        Ok(())
    }
}

fn config() -> Arg {
    Arg::new(CONFIG)
        .long(CONFIG)
        .value_name("FILE")
        .help("The file of settings")
        .long_help(format!("The file of settings.\n[default: {DEFAULT_FILE}] [variable: {FILE_VARIABLE}]"))
        .global(true)
        .help_heading(HEADING)
}

fn flag(setting: &'static Setting) -> Arg {
    let action = match setting.kind {
        SettingKind::List(_) => ArgAction::Append,
        SettingKind::Text(_)
        | SettingKind::Count(..)
        | SettingKind::Span(..)
        | SettingKind::Truth
        | SettingKind::Choice(_) => ArgAction::Set,
    };
    Arg::new(setting.name)
        .long(setting.flag())
        .value_name(value_name(setting.kind))
        .action(action)
        // Values are checked with all other settings, so that every wrong one is reported at once.
        .allow_hyphen_values(true)
        .long_help(long_help(setting))
        .hide_short_help(true)
        .global(true)
        .help_heading(HEADING)
}

fn value_name(kind: SettingKind) -> String {
    match kind {
        SettingKind::Text(_) => "TEXT".to_owned(),
        SettingKind::List(_) => "LIST".to_owned(),
        SettingKind::Count(..) => "NUMBER".to_owned(),
        SettingKind::Span(..) => "TIME".to_owned(),
        SettingKind::Truth => "true|false".to_owned(),
        SettingKind::Choice(words) => words.join("|"),
    }
}

fn long_help(setting: &Setting) -> String {
    let fallback = match setting.fallback {
        Fallback::Required => "[required]".to_owned(),
        Fallback::Value(text) | Fallback::Derived(text) => format!("[default: {}]", text.replace('`', "")),
    };
    let (about, valid) = (setting.about.replace('`', "'"), setting.kind.valid());
    format!("{about}\nValid: {valid}.\n{fallback} [variable: {}]", setting.variable())
}

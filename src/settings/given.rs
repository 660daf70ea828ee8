//! Every setting's strongest value, from the file, the variables and the flags.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, anyhow};

use super::file;
use super::origin::Origin;
use super::raw::{Problems, Raw, Value};
use super::table::{Fallback, SETTINGS, Setting, SettingKind};
use crate::host::files;

/// Where the settings are, unless another file is named.
pub const DEFAULT_FILE: &str = "/etc/kubeboot/config.toml";

/// The variable that names another file.
pub const FILE_VARIABLE: &str = "KUBEBOOT_CONFIG";

/// The largest file of settings, in bytes.
const FILE_LIMIT: u64 = 256 * 1024;

/// What the command line says about settings.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    /// The file to read in place of the default one.
    pub config: Option<PathBuf>,
    /// Values by the settings' names; a list is separated by commas.
    pub values: BTreeMap<&'static str, String>,
}

/// The strongest value of each setting that was given, and the problems so far.
#[derive(Debug, Default)]
pub(super) struct Given {
    raw: BTreeMap<&'static str, Raw>,
    pub(super) problems: Problems,
}

/// A time with its unit, within these bounds.
///
/// # Errors
/// What is wrong with it.
pub fn span_within(text: &str, bounds: RangeInclusive<Duration>) -> Result<Duration, String> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("it has no unit; {text} seconds are '{text}s'"));
    }
    let span = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if span < *bounds.start() {
        return Err("it is too short".to_owned());
    }
    if span > *bounds.end() {
        return Err("it is too long".to_owned());
    }
    Ok(span)
}

impl Given {
    /// Gathers what the file, the variables and the flags say; the later wins.
    ///
    /// # Errors
    ///
    /// If the file cannot be read. The default one may be missing, one that was named may not.
    pub(super) fn gather(flags: &Flags, env: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let mut given = Self::default();
        let named = flags.config.clone().or_else(|| env(FILE_VARIABLE).map(PathBuf::from));
        given.read_file(named.as_deref())?;
        for setting in SETTINGS {
            let variable = setting.variable();
            if let Some(text) = env(&variable) {
                given.set(setting.name, Value::Text(text), Origin::Variable(variable));
            }
            if let Some(text) = flags.values.get(setting.name) {
                given.set(setting.name, Value::Text(text.clone()), Origin::Flag(setting.flag()));
            }
        }
        Ok(given)
    }

    fn read_file(&mut self, named: Option<&Path>) -> Result<()> {
        let bytes = match named {
            Some(path) => Some(files::read_bounded(path, FILE_LIMIT)?),
            None => files::read_if_there(Path::new(DEFAULT_FILE), FILE_LIMIT)?,
        };
        let path = named.unwrap_or(Path::new(DEFAULT_FILE));
        let text = String::from_utf8(bytes.unwrap_or_default())
            .map_err(|_| anyhow!("failed to read '{}': it is no UTF-8 text", path.display()))?;
        self.raw.extend(file::read(path, &text, &mut self.problems));
        Ok(())
    }

    fn set(&mut self, name: &'static str, value: Value, origin: Origin) {
        self.raw.insert(name, Raw { value, origin });
    }

    /// Whether any source gives a setting, well or badly.
    pub(super) fn is_given(&self, name: &str) -> bool {
        self.raw.contains_key(name)
    }

    /// Where each setting's value came from.
    pub(super) fn origins(&self) -> BTreeMap<&'static str, Origin> {
        self.raw.iter().map(|(name, raw)| (*name, raw.origin.clone())).collect()
    }

    /// A setting as `parse` understands it, which returns what is wrong with a text. `None` if it
    /// is not given and has no default, and after a problem.
    pub(super) fn text<T>(&mut self, name: &str, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let setting = Setting::find(name)?;
        let (text, origin) = match (self.raw.get(name).cloned(), setting.fallback) {
            (Some(Raw { value: Value::Text(text), origin }), _) => (text, origin),
            (Some(Raw { value: Value::List(_), origin }), _) => {
                return self.refuse(setting, &origin, None, "a list");
            }
            (Some(Raw { value: Value::Truth(truth), origin }), _) if setting.kind == SettingKind::Truth => {
                (truth.to_string(), origin)
            }
            (Some(Raw { value: Value::Truth(_), origin }), _) => {
                return self.refuse(setting, &origin, None, "true or false");
            }
            (Some(Raw { value: Value::Odd(kind), origin }), _) => {
                return self.refuse(setting, &origin, None, kind);
            }
            (None, Fallback::Value(text)) => (text.to_owned(), Origin::Default),
            (None, Fallback::Derived(_)) => return None,
            (None, Fallback::Required) => {
                self.problems.add(missing(setting));
                return None;
            }
        };
        let parsed = if text.is_empty() { Err("it is empty".to_owned()) } else { parse(&text) };
        match parsed {
            Ok(value) => Some(value),
            Err(why) => self.refuse(setting, &origin, Some(&text), &why),
        }
    }

    /// A list, of which `parse` understands each item.
    pub(super) fn list<T>(&mut self, name: &str, parse: impl Fn(&str) -> Result<T, String>) -> Vec<T> {
        let Some(setting) = Setting::find(name) else { return Vec::new() };
        let Some(Raw { value, origin }) = self.raw.get(name).cloned() else { return Vec::new() };
        let items = match value {
            Value::List(items) => items,
            Value::Text(text) => text.split(',').map(|item| item.trim().to_owned()).collect(),
            Value::Truth(_) => {
                let _: Option<T> = self.refuse(setting, &origin, None, "true or false");
                return Vec::new();
            }
            Value::Odd(kind) => {
                let _: Option<T> = self.refuse(setting, &origin, None, kind);
                return Vec::new();
            }
        };
        let parsed = items.iter().filter_map(|item| match parse(item) {
            Ok(value) => Some(value),
            Err(why) => self.refuse(setting, &origin, Some(item), &why),
        });
        parsed.collect()
    }

    /// A time, within the bounds of the table.
    pub(super) fn span(&mut self, name: &str) -> Option<Duration> {
        let bounds = Setting::find(name).map(|setting| setting.kind);
        self.text(name, |text| match bounds {
            Some(SettingKind::Span(least, most)) => {
                span_within(text, Duration::from_secs(least)..=Duration::from_secs(most))
            }
            _ => span_within(text, Duration::ZERO..=Duration::MAX),
        })
    }

    /// A whole number, within the bounds of the table.
    pub(super) fn count(&mut self, name: &str) -> Option<u32> {
        let bounds = Setting::find(name).map(|setting| setting.kind);
        self.text(name, |text| {
            let number = text.parse().map_err(|_| "it is no whole number".to_owned())?;
            match bounds {
                Some(SettingKind::Count(least, most)) if !(least..=most).contains(&number) => {
                    Err("it is out of range".to_owned())
                }
                _ => Ok(number),
            }
        })
    }

    /// Whether something is so.
    pub(super) fn truth(&mut self, name: &str) -> Option<bool> {
        self.text(name, |text| text.parse().map_err(|_| "it is neither".to_owned()))
    }

    /// One of the words of the table, as the value that stands for it.
    pub(super) fn choice<T: Copy>(&mut self, name: &str, values: &[(&str, T)]) -> Option<T> {
        self.text(name, |text| {
            let found = values.iter().find(|(word, _)| *word == text);
            found.map(|(_, value)| *value).ok_or_else(|| "there is no such choice".to_owned())
        })
    }

    /// Notes a problem with a value, and gives none.
    fn refuse<T>(&mut self, setting: &Setting, origin: &Origin, text: Option<&str>, why: &str) -> Option<T> {
        let given = text.map(|text| format!(" = '{text}'")).unwrap_or_default();
        let (name, valid) = (setting.name, setting.kind.valid());
        self.problems.add(format!("{name}{given} ({origin}): {why}; valid is {valid}"));
        None
    }
}

fn missing(setting: &Setting) -> String {
    format!(
        "{} is not given; set it in the file, as variable {} or by --{}; valid is {}",
        setting.name,
        setting.variable(),
        setting.flag(),
        setting.kind.valid()
    )
}

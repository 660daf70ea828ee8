//! The file of settings: flat TOML, in which every key is known.

use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::origin::Origin;
use super::raw::{Problems, Raw, Value};
use super::table::{SETTINGS, Setting};

/// How alike an unknown key must be to a setting's name to be taken for a slip (1: the same).
const ALIKE: f64 = 0.8;

/// Reads the file's text. What is not understood goes to `problems`.
pub(super) fn read(path: &Path, text: &str, problems: &mut Problems) -> Vec<(&'static str, Raw)> {
    let table = match DeTable::parse(text) {
        Ok(table) => table.into_inner(),
        Err(error) => {
            let at = error.span().map_or(0, |span| span.start);
            problems.add(format!("{}:{}: no valid TOML: {}", path.display(), line(text, at), error.message()));
            return Vec::new();
        }
    };
    let mut found = Vec::new();
    for (key, value) in &table {
        let origin = Origin::File { path: path.to_owned(), line: line(text, key.span().start) };
        match Setting::find(key.get_ref()) {
            Some(setting) => found.push((setting.name, Raw { value: plain(value.get_ref()), origin })),
            None => problems.add(unknown(&origin, key.get_ref())),
        }
    }
    found
}

/// The line (from 1) of a place in the text.
fn line(text: &str, at: usize) -> usize {
    let before = text.as_bytes().iter().take(at);
    1 + before.filter(|&&byte| byte == b'\n').count()
}

fn unknown(origin: &Origin, key: &str) -> String {
    let alike = |setting: &&Setting| strsim::jaro_winkler(setting.name, &key.to_lowercase());
    let nearest = SETTINGS.iter().max_by(|one, other| alike(one).total_cmp(&alike(other)));
    match nearest.filter(|setting| alike(setting) >= ALIKE) {
        Some(setting) => format!("{origin}: unknown setting '{key}'; did you mean '{}'?", setting.name),
        None => format!("{origin}: unknown setting '{key}'; `kubeboot up --help` names them all"),
    }
}

/// A TOML value as what it would be in a variable or flag.
fn plain(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(number) => Value::Text(number.to_string()),
        DeValue::Array(items) => {
            let texts = items.iter().map(|item| item.get_ref().as_str().map(str::to_owned));
            texts.collect::<Option<_>>().map_or(Value::Odd("a list of something other than texts"), Value::List)
        }
        DeValue::Float(_) => Value::Odd("a fraction"),
        DeValue::Boolean(truth) => Value::Truth(*truth),
        DeValue::Datetime(_) => Value::Odd("a date"),
        DeValue::Table(_) => Value::Odd("a table"),
    }
}

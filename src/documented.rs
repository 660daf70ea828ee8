//! For tests: what a page tells of the JSON that a command prints and of what it says, and what there is to tell.

use serde_json::Value;
use std::collections::BTreeSet;

/// The names in the first column of the tables below a heading.
pub fn names(page: &str, heading: &str) -> BTreeSet<String> {
    let rows = section(page, heading).lines().filter_map(|line| line.strip_prefix("| `"));
    rows.flat_map(|row| quoted(&format!("`{}", cell(row, 0)))).collect()
}

/// The words in the second column of the row of one name.
pub fn words(page: &str, heading: &str, name: &str) -> BTreeSet<String> {
    let row = section(page, heading).lines().find_map(|line| line.strip_prefix(&format!("| `{name}`"))).unwrap();
    quoted(cell(row, 1)).into_iter().collect()
}

/// Sees that each of these sentences has a row below a heading, by a part of it that stands in the first column, and that no row is of
/// anything else.
pub fn tells_of(page: &str, heading: &str, sentences: &[String]) {
    let rows = names(page, heading);
    for said in sentences {
        assert!(rows.iter().any(|row| said.contains(row)), "no row below '{heading}' for: {said}");
    }
    for row in rows {
        assert!(sentences.iter().any(|said| said.contains(&row)), "nothing says the row below '{heading}': {row}");
    }
}

fn section<'a>(page: &'a str, heading: &str) -> &'a str {
    page.split("\n## ").find_map(|section| section.strip_prefix(&format!("{heading}\n"))).unwrap()
}

fn cell(row: &str, which: usize) -> &str {
    row.split(" |").nth(which).unwrap_or_default()
}

fn quoted(text: &str) -> Vec<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The paths of all leaves; an empty list is one.
pub fn paths(value: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    collect(value, "", &mut found);
    found
}

fn collect(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                collect(value, &format!("{path}{}{name}", if path.is_empty() { "" } else { "." }), found);
            }
        }
        Value::Array(items) if items.iter().any(Value::is_object) => {
            items.iter().for_each(|item| collect(item, &format!("{path}[]"), found));
        }
        Value::Array(_) | Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            found.insert(path.to_owned());
        }
    }
}

/// What the function `code` of a source gives.
pub fn codes(source: &str) -> BTreeSet<String> {
    let (_, code) = source.split_once("pub fn code(").unwrap();
    let (code, _) = code.split_once("\n    }\n").unwrap();
    code.lines().filter_map(|line| Some(line.split_once("=> \"")?.1.split_once('"')?.0.to_owned())).collect()
}

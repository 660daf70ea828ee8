//! What commands print: lines and columns for people, in plain ASCII whatever the bucket holds, or JSON for programs.

use crate::model::text::{is_command, plain};
use anyhow::{Context, Result};
use serde::Serialize;
use std::io::Write;

/// Columns of a line, where the words allow it.
pub const WIDTH: usize = 100;
/// The most characters of a text that are shown, so that one error does not fill the screen. `--json` has all of it.
const LONGEST: usize = 500;

/// Prints a report to standard output: as JSON for programs, or as the page for people.
///
/// # Errors
/// A standard output that takes nothing.
pub fn print(report: &impl Serialize, page: impl FnOnce() -> String, json: bool) -> Result<()> {
    if json { print_json(serde_json::to_string_pretty(report)) } else { print_page(&page()) }
}

/// Prints a report to standard output as JSON on one line, for programs that read one after the other.
///
/// # Errors
/// As [`print()`].
pub fn print_json_line(report: &impl Serialize) -> Result<()> {
    print_json(serde_json::to_string(report))
}

fn print_json(json: serde_json::Result<String>) -> Result<()> {
    let json = json.context("failed to write the report as JSON")?;
    write(&format!("{}\n", json_plain(&json)))
}

/// Prints whole lines to standard output, for people.
///
/// # Errors
/// As [`print()`].
pub fn print_page(page: &str) -> Result<()> {
    write(&plain(page))
}

fn write(text: &str) -> Result<()> {
    std::io::stdout().write_all(text.as_bytes()).context("failed to write to standard output")
}

/// Prints lines to standard output that are no report, such as a plan. A reader that has closed the pipe is no failure.
pub fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{}", plain(text));
}

/// Prints lines to standard error that are no log, such as a question. If it is closed, nobody is there to be told.
pub fn tell(text: &str) {
    let _ = writeln!(std::io::stderr(), "{}", plain(text));
}

/// JSON with every character that commands a terminal escaped, which JSON itself asks for of some of them only. Outside of strings there
/// is none but the line break.
#[must_use]
pub fn json_plain(json: &str) -> String {
    let mut shown = String::with_capacity(json.len());
    for letter in json.chars() {
        match letter {
            '\n' => shown.push('\n'),
            commands if is_command(commands) => shown.push_str(&format!("\\u{:04x}", u32::from(commands))),
            other => shown.push(other),
        }
    }
    shown
}

/// One line of a text that may come from anywhere: what is not printable ASCII becomes a question mark, so that no
/// object in the bucket commands the terminal.
pub fn line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let plain =
        words.join(" ").chars().map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' }).collect::<String>();
    match plain.get(..LONGEST) {
        Some(start) if plain.len() > LONGEST => format!("{start}..."),
        Some(_) | None => plain,
    }
}

/// A text after a mark, wrapped between words; the lines after the first begin below the text.
pub fn indented(mark: &str, text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut current = String::new();
    for word in line(text).split(' ') {
        if !current.is_empty() && mark.len() + current.len() + 1 + word.len() > WIDTH {
            lines.push(std::mem::take(&mut current));
        }
        if !current.is_empty() {
            current.push(' ');
        }
        current.push_str(word);
    }
    lines.push(current);
    let start = |at: usize| if at == 0 { mark.to_owned() } else { " ".repeat(mark.len()) };
    lines.into_iter().enumerate().map(|(at, text)| format!("{}{text}", start(at)).trim_end().to_owned()).collect()
}

/// Rows with their columns below each other, two spaces between them.
pub fn columns(rows: &[Vec<String>]) -> Vec<String> {
    let count = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width =
        |column: usize| rows.iter().filter_map(|row| row.get(column)).map(String::len).max().unwrap_or_default();
    let widths: Vec<usize> = (0..count).map(width).collect();
    let shown = |row: &Vec<String>| {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        cells.join("  ").trim_end().to_owned()
    };
    rows.iter().map(shown).collect()
}

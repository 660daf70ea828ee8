//! `docs/commands.md`, made from the definitions of the command line. `UPDATE=1 cargo test` writes it anew.

use std::fmt::Write;
use std::path::Path;

use clap::{Arg, Command, CommandFactory};

use super::Cli;
use crate::settings::table::SETTINGS;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/commands.md");

#[test]
fn the_page_is_what_the_definitions_say() -> std::io::Result<()> {
    let page = page();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(Path::new(PAGE), &page)?;
    }
    let found = std::fs::read_to_string(PAGE)?;
    assert!(found == page, "docs/commands.md differs from the definitions in src/cli: run UPDATE=1 cargo test");
    Ok(())
}

fn page() -> String {
    let mut cli = Cli::command();
    cli.build();
    let all: Vec<(String, &Command)> = cli.get_subcommands().flat_map(with_its_own).collect();
    let rows = all.iter().map(|(name, command)| row(name, command));
    let sections = all.iter().map(|(name, command)| section(name, command));
    [HEAD.to_owned()].into_iter().chain(rows).chain(sections).collect()
}

/// A command, and those below it.
fn with_its_own(command: &Command) -> Vec<(String, &Command)> {
    let name = command.get_name().to_owned();
    let below = command.get_subcommands().map(|other| (format!("{name} {}", other.get_name()), other));
    [(name.clone(), command)].into_iter().chain(below).collect()
}

const HEAD: &str = "\
<!-- Made from src/cli: change that, then run UPDATE=1 cargo test. -->
# Commands

Every command takes every [setting](configuration.md) as a flag, before or after its name, and ends with one of the
[exit codes](exit-codes.md). `kubeboot --help` and `kubeboot COMMAND --help` say the same as this page; so do the manual
pages.

| command | |
|---|---|
";

fn row(name: &str, command: &Command) -> String {
    format!("| [`kubeboot {name}`](#kubeboot-{}) | {} |\n", name.replace(' ', "-"), about(command))
}

fn section(name: &str, command: &Command) -> String {
    let long = command.get_long_about().map_or_else(|| format!("{}.", about(command)), ToString::to_string);
    let mut text = format!("\n## `kubeboot {name}`\n\n{}\n", long);
    let options: Vec<&Arg> = command.get_arguments().filter(|arg| is_own(arg)).collect();
    if !options.is_empty() {
        text.push_str("\n| option | |\n|---|---|\n");
    }
    for option in options {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "| `{}` | {} |", option.to_string().replace('|', "\\|"), help(option));
    }
    let examples = command.get_after_long_help().map(ToString::to_string).unwrap_or_default();
    if let Some(examples) = examples.strip_prefix("Examples:\n") {
        let _ = write!(text, "\n```text\n{examples}\n```\n");
    }
    text
}

/// Whether the option belongs to this command alone.
fn is_own(arg: &Arg) -> bool {
    let id = arg.get_id().as_str();
    !["help", "version", "config"].contains(&id) && !SETTINGS.iter().any(|setting| setting.name == id)
}

fn about(command: &Command) -> String {
    command.get_about().map(ToString::to_string).unwrap_or_default()
}

fn help(arg: &Arg) -> String {
    let values: Vec<String> = arg.get_possible_values().iter().map(|value| format!("`{}`", value.get_name())).collect();
    let takes = arg.get_action().takes_values() && !values.is_empty();
    let which = if takes { format!(": {}", values.join(", ")) } else { String::new() };
    format!("{}{which}", arg.get_help().map(ToString::to_string).unwrap_or_default())
}

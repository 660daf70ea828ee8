//! `docs/configuration.md`, made from the table of settings. `UPDATE=1 cargo test` writes it anew.

use std::fmt::Write;
use std::path::Path;

use super::table::{Fallback, SETTINGS, Setting};
use super::{DEFAULT_FILE, FILE_VARIABLE};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/configuration.md");

#[test]
fn the_page_is_what_the_table_says() -> std::io::Result<()> {
    let page = page();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(Path::new(PAGE), &page)?;
    }
    let found = std::fs::read_to_string(PAGE)?;
    assert!(found == page, "docs/configuration.md differs from the table of settings: run UPDATE=1 cargo test");
    Ok(())
}

fn page() -> String {
    let sections = SETTINGS.iter().map(section);
    [head()].into_iter().chain(sections).collect()
}

fn head() -> String {
    let mut text = format!(
        "\
<!-- Made from src/settings/table.rs: change that, then run UPDATE=1 cargo test. -->
# Configuration

kubeboot reads its settings from a file of [TOML](https://toml.io), then from environment variables, then from flags;
the later wins. The file is `{DEFAULT_FILE}`, unless `--config` or the variable `{FILE_VARIABLE}` names another one. It
may be missing if everything is given in the other ways.

Each setting has one name: `claim_ttl` in the file is the variable `KUBEBOOT_CLAIM_TTL` and the flag `--claim-ttl`. Times
have a unit: `90s`, `10m`, `1h 30m`. Lists are lists of texts in the file, and separated by commas elsewhere.

A key that is not known, a value that is not valid and a setting that is missing end every command with exit code 2
before anything is done. All that is wrong is told together, with the name, where it came from and what is valid. Two
times must be shorter than `deadline`: `claim_ttl` and `lease_ttl`, because a run that ends before them could never
outwait a dead node.

This is enough:

```toml
cluster = \"demo\"
bucket = \"my-clusters\"
endpoint = \"api.demo.example.com:6443\"
```

Beside these settings, kubeboot honours the standard variables of the AWS SDKs (endpoints, Region, credentials, FIPS,
dual stack) and, for calls to AWS alone, `HTTPS_PROXY` and `NO_PROXY`. Variables stand in
`/etc/kubeboot/environment` (`NAME=VALUE`, as systemd's `EnvironmentFile=` reads it): the units have them, and so has every command
that is run by hand as root, unless the same variable is set there already.

| setting | default | |
|---|---|---|
"
    );
    for setting in SETTINGS {
        let first = setting.about.split_once(". ").map_or(setting.about, |(first, _)| first);
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "| [`{0}`](#{0}) | {1} | {2} |",
            setting.name,
            fallback(setting),
            first.trim_end_matches('.')
        );
    }
    text
}

fn section(setting: &Setting) -> String {
    format!(
        "\n## `{}`\n\n{}\n\n- valid: {}\n- default: {}\n- variable `{}`, flag `--{}`\n",
        setting.name,
        setting.about,
        setting.kind.valid(),
        fallback(setting),
        setting.variable(),
        setting.flag()
    )
}

fn fallback(setting: &Setting) -> String {
    match setting.fallback {
        Fallback::Required => "none: it must be given".to_owned(),
        Fallback::Value(value) => format!("`{value}`"),
        Fallback::Derived(words) => words.to_owned(),
    }
}

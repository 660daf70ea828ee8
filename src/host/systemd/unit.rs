//! Querying the state of one unit, starting, stopping and restarting it.

use anyhow::{Context, Result, ensure};

use super::systemctl;

/// The state of a unit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unit {
    /// `loaded`, `not-found`, `masked`, `error`, ...
    pub load: String,
    /// `active`, `inactive`, `activating`, `deactivating`, `failed`, ...
    pub active: String,
    /// The finer state within that, which depends on the kind of unit: `running`, `exited`, `dead`, ...
    pub sub: String,
    /// How it starts at boot: `enabled`, `disabled`, `static`, ...; empty for a unit without a file.
    pub at_boot: String,
}

impl Unit {
    /// Whether systemd has the unit's file and could start it.
    #[must_use]
    pub fn is_installed(&self) -> bool {
        self.load == "loaded"
    }

    /// Whether systemd starts it at boot by itself.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.at_boot.starts_with("enabled")
    }

    /// Whether it is up: for a unit that acts when it is stopped, whether it is armed.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.active == "active"
    }
}

/// The result of arming a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Armed {
    /// It was up already.
    Already,
    /// Its start was queued.
    Queued,
    /// systemd does not have it, so nothing will run when the machine goes down.
    NotInstalled,
}

/// Asks for a unit's state. A unit that does not exist has one, too (`not-found`).
///
/// # Errors
///
/// If systemd does not answer.
pub async fn show(name: &str) -> Result<Unit> {
    let found = show_all(&[name]).await?;
    found.into_iter().next().context("systemd said nothing of the unit")
}

/// The same of several units, in one question and in this order.
///
/// # Errors
///
/// If systemd does not answer, or not of each of them.
pub async fn show_all(names: &[&str]) -> Result<Vec<Unit>> {
    let args = ["show", "--property", "LoadState,ActiveState,SubState,UnitFileState", "--"];
    let asked = || format!("failed to ask systemd for '{}'", names.join("', '"));
    let output = systemctl(&[&args[..], names].concat()).await.with_context(asked)?;
    let found = parse_all(&output.stdout);
    ensure!(found.len() == names.len(), "{}: it answered for {}", asked(), found.len());
    Ok(found)
}

/// Starts a unit that acts when it is stopped, and does not wait for the start: the caller may run in
/// a unit that the start waits for. A second call changes nothing.
///
/// # Errors
///
/// If systemd does not answer or refuses.
pub async fn arm(name: &str) -> Result<Armed> {
    let unit = show(name).await?;
    if !unit.is_installed() {
        return Ok(Armed::NotInstalled);
    }
    if unit.is_active() {
        return Ok(Armed::Already);
    }
    systemctl(&["start", "--no-block", "--", name])
        .await
        .with_context(|| format!("failed to start the unit '{name}'"))?;
    Ok(Armed::Queued)
}

/// Restarts a unit, or starts one that is down, and does not wait for that.
///
/// # Errors
///
/// If systemd does not answer or refuses.
pub async fn restart(name: &str) -> Result<()> {
    let restarted = systemctl(&["restart", "--no-block", "--", name]).await;
    restarted.map(drop).with_context(|| format!("failed to restart the unit '{name}'"))
}

/// Stops a unit and waits for that. One that does not end in time is killed: its stop is queued, so it does not start again.
///
/// # Errors
///
/// If systemd does not answer, or the unit is still there.
pub async fn stop(name: &str) -> Result<()> {
    let Err(failed) = systemctl(&["stop", "--", name]).await else { return Ok(()) };
    tracing::warn!(unit = name, "failed to stop it, killing it: {failed}");
    let killed = systemctl(&["kill", "--signal=SIGKILL", "--", name]).await;
    let stopped = match killed {
        Ok(_) => systemctl(&["stop", "--", name]).await,
        Err(_) => Err(failed),
    };
    stopped.map(drop).with_context(|| format!("failed to stop the unit '{name}'"))
}

/// Parses the answer for several units: an empty line stands between them.
fn parse_all(text: &str) -> Vec<Unit> {
    text.trim().split("\n\n").map(parse).collect()
}

/// Parses lines `Property=value`. A missing property is empty, which is neither loaded nor active.
fn parse(text: &str) -> Unit {
    let mut unit = Unit::default();
    for (property, value) in text.lines().filter_map(|line| line.split_once('=')) {
        let value = value.trim().to_owned();
        match property {
            "LoadState" => unit.load = value,
            "ActiveState" => unit.active = value,
            "SubState" => unit.sub = value,
            "UnitFileState" => unit.at_boot = value,
            _ => {}
        }
    }
    unit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_enabled_unit_starts_at_boot() {
        for (state, enabled) in
            [("enabled", true), ("enabled-runtime", true), ("disabled", false), ("static", false), ("", false)]
        {
            assert_eq!(parse(&format!("UnitFileState={state}\n")).is_enabled(), enabled, "{state}");
        }
    }

    #[test]
    fn several_units_are_told_apart() {
        let text = "LoadState=not-found\nActiveState=inactive\nUnitFileState=\n\nLoadState=loaded\nActiveState=active\nUnitFileState=\n";
        let states: Vec<_> = parse_all(text).into_iter().map(|unit| (unit.is_installed(), unit.is_active())).collect();
        assert_eq!(states, [(false, false), (true, true)]);
    }

    #[test]
    fn the_state_of_a_unit_is_parsed() {
        let cases = [
            ("", false, false, ""),
            ("LoadState=not-found\nActiveState=inactive\nSubState=dead\n", false, false, "dead"),
            ("LoadState=masked\nActiveState=inactive\nSubState=dead\n", false, false, "dead"),
            ("ActiveState=active\nSubState=exited\nLoadState=loaded\n", true, true, "exited"),
            ("LoadState=loaded\nActiveState=failed\nSubState=failed\nX\n", true, false, "failed"),
        ];
        for (text, installed, active, sub) in cases {
            let unit = parse(text);
            let state = (unit.is_installed(), unit.is_active(), unit.sub.as_str());
            assert_eq!(state, (installed, active, sub), "{text}");
        }
    }
}

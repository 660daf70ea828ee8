//! The units that systemd must have.

use super::Check;
use super::finding::{Finding, Found};
use super::input::CheckInput;
use crate::host::systemd::drop_ins;
use crate::host::systemd::unit::{self, Unit};
use crate::kubeadm::quiesce::KUBELET;
use crate::kubeadm::state::Marker;
use crate::node::fitness::installed;
use crate::node::{AGENT_UNIT, BOOT_UNIT, LEAVING_UNIT};
use crate::settings::Role;
use futures::join;
use std::path::Path;

/// Its timer, by which it looks again after an error that somebody has to mend.
const TIMER: &str = "kubeboot.timer";

pub(super) const CHECKS: &[Check] = &[Check { name: "units", run: |input| Box::pin(units(input)) }];

async fn units(input: &CheckInput) -> Found {
    let (kubelet, boot, timer, leaving, agent) = join!(
        unit::show(KUBELET),
        unit::show(BOOT_UNIT),
        unit::show(TIMER),
        unit::show(LEAVING_UNIT),
        unit::show(AGENT_UNIT)
    );
    let ask = |unit: anyhow::Result<Unit>| unit.map_err(|error| Finding::error(&error));
    let is_member = !matches!(Marker::load(Path::new("/")), Ok(None));
    let missing = of_drop_ins(&drop_ins::missing(Path::new("/"), LEAVING_UNIT));
    let (kubelet, boot, timer) = (ask(kubelet)?, ask(boot)?, ask(timer)?);
    let again = (boot.is_installed() && !timer.is_installed()).then(without_timer);
    if input.role() == Role::Worker {
        // Nothing of a worker must be removed when it goes down, and no etcd is kept from starting.
        let found = [of_kubelet(&kubelet), of_boot(&boot)].into_iter().chain(again);
        return Ok(found.chain([of_agent(&ask(agent)?)]).collect());
    }
    let (leaving, agent) = (of_leaving(&ask(leaving)?, is_member), of_agent(&ask(agent)?));
    Ok([of_kubelet(&kubelet), of_boot(&boot)].into_iter().chain(again).chain([leaving, agent, missing]).collect())
}

fn of_kubelet(unit: &Unit) -> Finding {
    match (installed(unit), unit.is_enabled()) {
        (Ok(()), true) => Finding::ok(format!("{KUBELET} starts at boot")),
        (Ok(()), false) => Finding::warning(
            format!("{KUBELET} does not start at boot: the control plane would not come back after a reboot"),
            format!("systemctl enable {KUBELET}"),
        ),
        (Err(defect), _) => defect.into(),
    }
}

fn of_boot(unit: &Unit) -> Finding {
    match (unit.is_installed(), unit.is_enabled()) {
        (true, true) => Finding::ok(format!("{BOOT_UNIT} starts at boot")),
        (true, false) => Finding::warning(
            format!("{BOOT_UNIT} does not start at boot"),
            format!("systemctl enable {BOOT_UNIT}, unless something else runs 'kubeboot up' at every boot"),
        ),
        (false, _) => Finding::warning(
            format!("systemd has no {BOOT_UNIT} ({})", unit.load),
            "install it, unless something else runs 'kubeboot up' at every boot",
        ),
    }
}

/// The unit comes from an earlier package, or was copied without it.
fn without_timer() -> Finding {
    Finding::warning(
        format!("systemd has no {TIMER}: after an error that somebody has to mend, nobody starts {BOOT_UNIT} again"),
        format!("install it beside {BOOT_UNIT}"),
    )
}

/// It acts when it is stopped, so on a machine that kubeboot has made a node it has to be up, and after every boot again.
fn of_leaving(unit: &Unit, is_member: bool) -> Finding {
    match (unit.is_installed(), unit.is_active(), is_member) {
        (true, false, true) => Finding::warning(
            format!("{LEAVING_UNIT} is not armed: this machine would leave its etcd member behind when it goes"),
            format!("systemctl start {LEAVING_UNIT}, or run 'kubeboot up', which does that"),
        ),
        (true, ..) if !unit.is_enabled() => Finding::warning(
            format!("{LEAVING_UNIT} does not start at boot: it is armed only where 'kubeboot up' is run, from then on"),
            format!("systemctl enable {LEAVING_UNIT}"),
        ),
        (true, true, _) => Finding::ok(format!("{LEAVING_UNIT} is armed")),
        (true, false, false) => Finding::ok(format!("{LEAVING_UNIT} starts at boot")),
        (false, ..) => Finding::warning(
            format!("systemd has no {LEAVING_UNIT} ({}): a machine that goes leaves its etcd member behind", unit.load),
            "install it; 'kubeboot up' arms it",
        ),
    }
}

/// Nobody else answers the terminate hook, and a machine that has not begun to leave when it goes down has a minute for that.
fn of_agent(unit: &Unit) -> Finding {
    match (unit.is_installed(), unit.is_enabled(), unit.is_active()) {
        (true, true, true) => Finding::ok(format!("{AGENT_UNIT} runs, and starts at boot")),
        (true, true, false) => Finding::ok(format!("{AGENT_UNIT} starts at boot")),
        (true, false, _) => Finding::warning(
            format!("{AGENT_UNIT} does not start at boot: nobody answers the group's terminate hook"),
            format!("systemctl enable --now {AGENT_UNIT}"),
        ),
        (false, ..) => Finding::warning(
            format!("systemd has no {AGENT_UNIT} ({}): nobody answers the group's terminate hook", unit.load),
            format!("install it, then systemctl enable --now {AGENT_UNIT}"),
        ),
    }
}

/// Without them the leaving unit runs while systemd ends this machine's etcd beside it, and kubelet starts an etcd that has lost
/// its data.
fn of_drop_ins(missing: &[&str]) -> Finding {
    if missing.is_empty() {
        Finding::ok(format!("containers are stopped after {LEAVING_UNIT}, and the guard runs before kubelet"))
    } else {
        Finding::warning(drop_ins::describe_missing(missing, LEAVING_UNIT), drop_ins::REMEDY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::finding::CheckVerdict;
    use crate::exit::Exit;

    #[test]
    fn only_kubelet_is_needed_the_others_are_missed() {
        let unit = |load: &str, at_boot: &str| Unit { load: load.into(), at_boot: at_boot.into(), ..Unit::default() };
        let (good, off, none) = (unit("loaded", "enabled"), unit("loaded", "disabled"), unit("not-found", ""));
        let (ok, warning, failed) = (CheckVerdict::Ok, CheckVerdict::Warning, CheckVerdict::Failed(Exit::Usage));
        type Judge = fn(&Unit) -> Finding;
        let leaving: Judge = |unit| of_leaving(unit, false);
        let table: [(Judge, [CheckVerdict; 3]); 4] = [
            (of_kubelet, [ok, warning, failed]),
            (of_boot, [ok, warning, warning]),
            (leaving, [ok, warning, warning]),
            (of_agent, [ok, warning, warning]),
        ];
        for (judge, expected) in table {
            assert_eq!([&good, &off, &none].map(|unit| judge(unit).verdict), expected);
        }
    }

    #[test]
    fn on_a_node_the_leaving_unit_has_to_be_up() {
        let unit = |load: &str, active: &str, at_boot: &str| Unit {
            load: load.into(),
            active: active.into(),
            at_boot: at_boot.into(),
            ..Unit::default()
        };
        let units = [
            unit("loaded", "active", "enabled"),
            unit("loaded", "active", "disabled"),
            unit("loaded", "inactive", "enabled"),
            unit("not-found", "inactive", ""),
        ];
        let (ok, warning) = (CheckVerdict::Ok, CheckVerdict::Warning);
        assert_eq!(units.each_ref().map(|unit| of_leaving(unit, true).verdict), [ok, warning, warning, warning]);
        assert_eq!(units.each_ref().map(|unit| of_leaving(unit, false).verdict), [ok, warning, ok, warning]);
    }

    #[test]
    fn drop_ins_that_are_missing_are_told_with_where_they_belong() {
        assert_eq!(of_drop_ins(&[]).verdict, CheckVerdict::Ok);
        let found = of_drop_ins(&["crio-.scope.d", "docker-.scope.d"]);
        assert_eq!(found.verdict, CheckVerdict::Warning);
        let said = format!("{} -> {}", found.text, found.remedy.unwrap_or_default());
        for word in
            ["crio-.scope.d, docker-.scope.d", "Before=kubeboot-reset.service", "/etc/systemd/system", "package"]
        {
            assert!(said.contains(word), "{said}");
        }
    }
}

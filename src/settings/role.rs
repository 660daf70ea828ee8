//! What a machine is to become, and which settings concern only one of the two roles.

use super::given::Given;
use super::{Origin, Settings, SettingsWarning};
use crate::exit::Exit;
use anyhow::{Result, anyhow};

/// What this machine is to become.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Role {
    /// A node of the control plane.
    #[default]
    ControlPlane,
    /// A worker.
    Worker,
}

/// What a worker does whose disk belongs to another cluster than `join/` names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Rejoin {
    /// It stops for an operator.
    #[default]
    Stop,
    /// It is wiped and joins the other cluster.
    Wipe,
}

pub(super) const ROLES: [(&str, Role); 2] = [("control-plane", Role::ControlPlane), ("worker", Role::Worker)];

pub(super) const REJOINS: [(&str, Rejoin); 2] = [("none", Rejoin::Stop), ("wipe", Rejoin::Wipe)];

/// Settings that do nothing on a worker.
const OF_THE_CONTROL_PLANE: [&str; 19] = [
    "expected_size",
    "kms_key_id",
    "server_side_encryption",
    "extra_shared_files",
    "settle_timeout",
    "claim_stagger",
    "claim_ttl",
    "lease_ttl",
    "init_attempts",
    "gone_grace",
    "leave_budget",
    "renew_before",
    "prefetch",
    "workers",
    "kubernetes_upgrade",
    "unhealthy_after",
    "snapshot_interval",
    "snapshot_location",
    "snapshot_kms_key_id",
];

/// Settings that do nothing on a control-plane machine.
const OF_WORKERS: [&str; 2] = ["drain_timeout", "rejoin"];

impl Role {
    /// Its name in the settings.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::ControlPlane => "control-plane",
            Self::Worker => "worker",
        }
    }

    /// Settings that do nothing on a machine of this role.
    const fn idle_settings(self) -> &'static [&'static str] {
        match self {
            Self::ControlPlane => &OF_WORKERS,
            Self::Worker => &OF_THE_CONTROL_PLANE,
        }
    }

    /// Whether a setting does something on a machine of this role.
    #[must_use]
    pub fn is_concerned_by(self, setting: &str) -> bool {
        !self.idle_settings().contains(&setting)
    }
}

impl Settings {
    /// The same, for a command that is none of a worker.
    ///
    /// # Errors
    /// With [`Exit::Usage`] on a worker.
    pub fn of_control_plane(self) -> Result<Self> {
        match self.role {
            Role::ControlPlane => Ok(self),
            Role::Worker => {
                let from = self.origin("role").to_string();
                let why = format!(
                    "role = 'worker' ({from}): this command is of the control plane; run it on one of its machines, or with --role \
                     control-plane where you know what it needs"
                );
                Err(anyhow!(why).context(Exit::Usage))
            }
        }
    }

    /// A worker asks for no description of its group, so that thousands can boot at once: it must be told the group's name where it is
    /// to answer a hook.
    pub(super) fn judge_worker(&self, given: &mut Given) {
        if self.group.is_some() || given.is_given("group") {
            return;
        }
        for (name, hook) in [("launch_hook", &self.launch_hook), ("terminate_hook", &self.terminate_hook)] {
            if let Some(hook) = hook {
                given.problems.add(format!(
                    "{name} = '{hook}' ({}): a worker asks nobody which group it is in; set group as well",
                    self.origin(name)
                ));
            }
        }
    }

    /// What was given and does nothing on a machine of this role: one file may serve both roles, so it is no error.
    pub(super) fn of_other_role(&self) -> Option<SettingsWarning> {
        let named = |name: &&&str| !matches!(self.origin(name), Origin::Default);
        let idle: Vec<&str> = self.role.idle_settings().iter().filter(named).copied().collect();
        let text = format!("with role '{}' these settings do nothing: {}", self.role.word(), idle.join(", "));
        (!idle.is_empty()).then_some(SettingsWarning { text, remedy: "remove them, or correct 'role'" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::table::Setting;

    #[test]
    fn settings_of_one_role_are_settings() {
        for name in OF_THE_CONTROL_PLANE.iter().chain(&OF_WORKERS) {
            assert!(Setting::find(name).is_some(), "{name}");
        }
        assert!(Role::Worker.is_concerned_by("drain_timeout") && !Role::ControlPlane.is_concerned_by("drain_timeout"));
        assert!(Role::ControlPlane.is_concerned_by("claim_ttl") && !Role::Worker.is_concerned_by("claim_ttl"));
        assert!([Role::Worker, Role::ControlPlane].iter().all(|role| role.is_concerned_by("bucket")));
    }
}

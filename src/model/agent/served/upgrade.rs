//! What a leader knows of the rest of an upgrade.

/// What is known of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UpgradeSeen {
    /// Whether something is left.
    pub is_open: bool,
    /// How often doing it has failed since this machine leads.
    pub failures: u64,
}

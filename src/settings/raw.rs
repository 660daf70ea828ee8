//! Values as they were given, before they are parsed, and what is wrong with them.

use anyhow::{Result, anyhow};

use super::origin::Origin;

/// A value before it is understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Text(String),
    List(Vec<String>),
    Truth(bool),
    /// A value that no setting has, by the name of its kind.
    Odd(&'static str),
}

/// A value and where it came from.
#[derive(Debug, Clone)]
pub(super) struct Raw {
    pub(super) value: Value,
    pub(super) origin: Origin,
}

/// What is wrong with the settings, one line each.
#[derive(Debug, Default)]
pub(super) struct Problems(Vec<String>);

impl Problems {
    pub(super) fn add(&mut self, problem: String) {
        self.0.push(problem);
    }

    /// An error that names them all, if there are any.
    pub(super) fn into_result(self) -> Result<()> {
        match &self.0[..] {
            [] => Ok(()),
            [one] => Err(anyhow!("{one}")),
            several => Err(anyhow!("{} problems:\n- {}", several.len(), several.join("\n- "))),
        }
    }
}

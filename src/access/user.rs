//! Who a credential is for. The name and the groups become a subject of a certificate, which Kubernetes believes word by word.

use std::fmt;

/// The group of kubeadm's administrators: its binding can be taken away, unlike the rights of [`MASTERS`].
pub const ADMINISTRATORS: &str = "kubeadm:cluster-admins";
/// The group that Kubernetes lets do everything, whatever its rules say.
pub const MASTERS: &str = "system:masters";
/// Before the names of Kubernetes' own parts.
const SYSTEM: &str = "system:";
/// The longest name that a certificate has room for, and the longest group.
const LONGEST: usize = 64;

/// The name of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserName(String);

/// The groups of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Groups(Vec<String>);

impl Groups {
    /// These, or else kubeadm's administrators.
    #[must_use]
    pub fn or_administrators(given: Vec<String>) -> Self {
        Self(if given.is_empty() { vec![ADMINISTRATORS.to_owned()] } else { given })
    }

    /// Whether no rule of Kubernetes binds this user.
    #[must_use]
    pub fn is_master(&self) -> bool {
        self.0.iter().any(|group| group == MASTERS)
    }

    /// All of them.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.0
    }
}

impl UserName {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Reads the name of a user.
///
/// # Errors
/// What is wrong with it.
pub fn user_name(text: &str) -> Result<UserName, String> {
    plain(text)?;
    match text.starts_with(SYSTEM) {
        true => Err(format!("names that begin with '{SYSTEM}' are those of Kubernetes' own parts")),
        false => Ok(UserName(text.to_owned())),
    }
}

/// Reads the name of a group.
///
/// # Errors
/// What is wrong with it.
pub fn user_group(text: &str) -> Result<String, String> {
    plain(text)?;
    match text.starts_with(SYSTEM) && text != MASTERS {
        true => {
            Err(format!("groups that begin with '{SYSTEM}' are Kubernetes' own; '{MASTERS}' alone can be asked for"))
        }
        false => Ok(text.to_owned()),
    }
}

/// kubeadm takes several groups with commas between them.
fn plain(text: &str) -> Result<(), String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:@/+".contains(&byte);
    match text.bytes().next() {
        None => Err("it is empty".to_owned()),
        Some(first) if !first.is_ascii_alphanumeric() => Err("it begins with no letter or digit".to_owned()),
        Some(_) if text.len() > LONGEST => Err(format!("it is longer than {LONGEST} characters")),
        Some(_) if !text.bytes().all(is_plain) => {
            Err("it has other characters than letters, digits and -_.:@/+".to_owned())
        }
        Some(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_calls_themselves_a_part_of_kubernetes_or_slips_in_a_group() {
        for good in ["anna", "anna@example.com", "team/anna", "42", &"a".repeat(64)] {
            assert_eq!(user_name(good).map(|name| name.to_string()).as_deref(), Ok(good));
            assert!(user_group(good).is_ok());
        }
        let long = "a".repeat(65);
        for bad in [
            "",
            "-h",
            "a,system:masters",
            "a b",
            "a\nb",
            "a\"b",
            "\u{fc}",
            "/CN=x",
            "system:nodes",
            "system:node:n1",
            &long,
        ] {
            assert!(user_name(bad).is_err() && user_group(bad).is_err(), "{bad:?}");
        }
        assert!(user_name(MASTERS).is_err(), "it is no name");
        assert_eq!(user_group(MASTERS).as_deref(), Ok(MASTERS));
    }

    #[test]
    fn masters_are_only_those_who_asked_for_it() {
        let groups = Groups::or_administrators(Vec::new());
        assert_eq!((groups.names(), groups.is_master()), (&["kubeadm:cluster-admins".to_owned()][..], false));
        let asked = Groups::or_administrators(vec!["web".into(), MASTERS.into()]);
        assert!(asked.is_master() && asked.names().len() == 2);
    }
}

//! IDs, checked when they are parsed.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A text that is not a valid ID.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{found}' is not {expected}")]
pub struct BadName {
    /// The text, shortened for a log line.
    pub found: String,
    /// What a valid ID looks like.
    pub expected: &'static str,
}

/// Defines a string type that only holds values its `valid` function accepts.
macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $expected:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(String);

        impl $type {
            /// Checks `text`.
            ///
            /// # Errors
            /// [`BadName`] when the text is not of the expected form.
            pub fn parse(text: impl Into<String>) -> Result<Self, BadName> {
                let text = text.into();
                let valid: fn(&str) -> bool = $valid;
                if valid(&text) {
                    Ok(Self(text))
                } else {
                    Err(BadName { found: text.chars().take(80).collect(), expected: $expected })
                }
            }

            /// The text itself.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $type {
            type Error = BadName;
            fn try_from(text: String) -> Result<Self, BadName> {
                Self::parse(text)
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> Self {
                name.0
            }
        }
    };
}

/// Whether `text` is a UUID in its usual lower-case form.
fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.char_indices().all(|(at, c)| match at {
            8 | 13 | 18 | 23 => c == '-',
            _ => matches!(c, '0'..='9' | 'a'..='f'),
        })
}

name! {
    /// An EC2 instance ID. Ordered as text, which is the order of the election.
    InstanceId, "an EC2 instance ID (i- and 8 or 17 hexadecimal digits)",
    |text| text.strip_prefix("i-").is_some_and(|id| {
        matches!(id.len(), 8 | 17) && id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    })
}

name! {
    /// The ID of one claim. Every claim has a new one, also of the same machine.
    ClaimId, "a claim ID (a UUID in lower case)", is_uuid
}

name! {
    /// The kernel's boot ID, which is new at every boot.
    BootId, "a boot ID (a UUID in lower case)", is_uuid
}

name! {
    /// The ID of one holding of the membership lease.
    Nonce, "a lease nonce (a UUID in lower case)", is_uuid
}

name! {
    /// The UID of a Kubernetes object.
    Uid, "a UID of a Kubernetes object (a UUID in lower case)", is_uuid
}

/// Defines a 64-bit ID of etcd's, written as etcd writes it: hexadecimal digits without leading zeros.
macro_rules! etcd_id {
    ($(#[$doc:meta])* $type:ident, $expected:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(pub u64);

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:x}", self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($type), "({})"), self)
            }
        }

        impl TryFrom<String> for $type {
            type Error = BadName;
            fn try_from(text: String) -> Result<Self, BadName> {
                // from_str_radix would take a sign.
                let digits = text.bytes().all(|byte| byte.is_ascii_hexdigit());
                let number = if digits { u64::from_str_radix(&text, 16).ok() } else { None };
                number.map($type).ok_or_else(|| BadName { found: text.chars().take(80).collect(), expected: $expected })
            }
        }

        impl From<$type> for String {
            fn from(id: $type) -> Self {
                id.to_string()
            }
        }
    };
}

etcd_id! {
    /// The ID of an etcd member.
    MemberId, "an etcd member ID (up to 16 hexadecimal digits)"
}

etcd_id! {
    /// The ID of an etcd cluster, which every answer of a member carries in its header.
    EtcdClusterId, "an etcd cluster ID (up to 16 hexadecimal digits)"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instance_ids_are_checked() {
        for good in ["i-0123abcd", "i-0123456789abcdef0"] {
            assert_eq!(InstanceId::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", "i-", "i-012345678", "i-0123ABCD", "0123abcd", "i-../../etc", "i-0123abc\n"] {
            assert!(InstanceId::parse(bad).is_err(), "{bad:?} passed");
        }
    }

    #[test]
    fn uuids_are_checked() {
        assert!(ClaimId::parse("6f9619ff-8b86-4011-b42d-00c04fc964ff").is_ok());
        for bad in ["", "6F9619FF-8B86-4011-B42D-00C04FC964FF", "6f9619ff8b86-4011-b42d-00c04fc964ff-", "../cluster"] {
            assert!(ClaimId::parse(bad).is_err(), "{bad:?} passed");
        }
    }

    #[test]
    fn member_ids_are_parsed_as_etcd_writes_them() {
        let id = MemberId(0x00a9_e7a3);
        assert_eq!(id.to_string(), "a9e7a3");
        assert_eq!(MemberId::try_from("a9e7a3".to_owned()), Ok(id));
        assert_eq!(serde_json::to_string(&id).unwrap(), "\"a9e7a3\"");
        assert_eq!(format!("{id:?}"), "MemberId(a9e7a3)");
        for bad in ["", "xyz", "+a9e7a3", "-1", "0xa9e7a3", "11112222333344445"] {
            assert!(MemberId::try_from(bad.to_owned()).is_err(), "{bad:?} passed");
        }
    }
}

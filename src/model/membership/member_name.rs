//! How an etcd member is named in messages.

use super::members::Member;
use crate::model::machine::ids::{InstanceId, MemberId};
use std::fmt;
use std::net::IpAddr;

/// How an etcd member is named in messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberName {
    /// Its ID.
    pub id: MemberId,
    /// Its name; empty until it has started.
    pub name: String,
    /// Its first peer address.
    pub address: Option<IpAddr>,
    /// Its machine, as far as that is known.
    pub instance: Option<InstanceId>,
}

impl MemberName {
    /// The names of this member.
    #[must_use]
    pub fn of(member: &Member, instance: Option<&InstanceId>) -> Self {
        Self {
            id: member.id,
            name: member.name.clone(),
            address: member.peer_addresses.first().copied(),
            instance: instance.cloned(),
        }
    }
}

impl fmt::Display for MemberName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.id)?;
        let name = Some(&self.name).filter(|name| !name.is_empty());
        match (&self.instance, name, &self.address) {
            (Some(instance), _, Some(address)) => write!(f, " of {instance} ({address})"),
            (Some(instance), _, None) => write!(f, " of {instance}"),
            (None, Some(name), Some(address)) => write!(f, " ({name}, {address})"),
            (None, Some(name), None) => write!(f, " ({name})"),
            (None, None, Some(address)) => write!(f, " ({address})"),
            (None, None, None) => Ok(()),
        }
    }
}

//! The Auto Scaling group as AWS last described it.

use crate::model::machine::ids::InstanceId;
use std::fmt;
use std::net::IpAddr;

/// One answer about the group: its instances, with what EC2 says of each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// Its desired capacity.
    pub desired: usize,
    /// The availability zones that it launches in.
    pub zones: Vec<String>,
    /// Whether it keeps a machine whose terminate hook ends with ABANDON, and launches another one in its place.
    pub retains: bool,
    /// Its instances, in any order.
    pub members: Vec<GroupMember>,
}

/// An instance that the group counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupMember {
    /// Its ID.
    pub instance: InstanceId,
    /// Its lifecycle state.
    pub lifecycle: Lifecycle,
    /// Whether Auto Scaling considers it healthy.
    pub healthy: bool,
    /// Its state in EC2, if EC2 has answered.
    pub ec2: Option<Ec2State>,
    /// Private addresses, the primary one first.
    pub addresses: Vec<IpAddr>,
}

impl GroupMember {
    /// Whether it may serve: healthy, and in service or about to be.
    #[must_use]
    pub fn is_candidate(&self) -> bool {
        self.healthy && self.lifecycle.may_serve()
    }
}

impl Group {
    /// The member with this ID.
    #[must_use]
    pub fn member(&self, instance: &InstanceId) -> Option<&GroupMember> {
        self.members.iter().find(|member| member.instance == *instance)
    }

    /// IDs of the candidates, lowest first.
    #[must_use]
    pub fn candidates(&self) -> Vec<&InstanceId> {
        let mut ids: Vec<_> =
            self.members.iter().filter(|member| member.is_candidate()).map(|member| &member.instance).collect();
        ids.sort();
        ids
    }
}

/// Lifecycle state in the group. Only states that something depends on have a variant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lifecycle {
    /// `Pending`: being launched.
    Pending,
    /// `Pending:Wait`: held by a launch hook.
    PendingWait,
    /// `Pending:Proceed`: the launch hook is done.
    PendingProceed,
    /// `InService`.
    InService,
    /// Every other state: no candidate.
    Other(String),
}

impl Lifecycle {
    /// Parses the text of AWS.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        match text {
            "Pending" => Self::Pending,
            "Pending:Wait" => Self::PendingWait,
            "Pending:Proceed" => Self::PendingProceed,
            "InService" => Self::InService,
            other => Self::Other(other.to_owned()),
        }
    }

    /// Whether an instance in this state may serve.
    #[must_use]
    pub fn may_serve(&self) -> bool {
        match self {
            Self::Pending | Self::PendingWait | Self::PendingProceed | Self::InService => true,
            Self::Other(_) => false,
        }
    }
}

impl fmt::Display for Lifecycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pending => "Pending",
            Self::PendingWait => "Pending:Wait",
            Self::PendingProceed => "Pending:Proceed",
            Self::InService => "InService",
            Self::Other(text) => text,
        })
    }
}

/// State of an EC2 instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ec2State {
    /// `pending`
    Pending,
    /// `running`
    Running,
    /// `stopping`
    Stopping,
    /// `stopped`
    Stopped,
    /// `shutting-down`
    ShuttingDown,
    /// `terminated`
    Terminated,
    /// A state that this version does not know. It counts as running.
    Other(String),
}

impl Ec2State {
    /// Parses the text of EC2.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        match text {
            "pending" => Self::Pending,
            "running" => Self::Running,
            "stopping" => Self::Stopping,
            "stopped" => Self::Stopped,
            "shutting-down" => Self::ShuttingDown,
            "terminated" => Self::Terminated,
            other => Self::Other(other.to_owned()),
        }
    }

    /// Whether the instance will never run again: shutting down or terminated.
    #[must_use]
    pub fn is_final(&self) -> bool {
        match self {
            Self::ShuttingDown | Self::Terminated => true,
            Self::Pending | Self::Running | Self::Stopping | Self::Stopped | Self::Other(_) => false,
        }
    }
}

impl fmt::Display for Ec2State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::ShuttingDown => "shutting-down",
            Self::Terminated => "terminated",
            Self::Other(text) => text,
        })
    }
}

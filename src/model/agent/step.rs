//! What the agent can do next, with the reason as text.

use super::enough::{NotEnough, PATIENCE};
use super::saving::PAUSE;
use crate::model::duration::in_words;
use crate::model::leave::StayReason;
use crate::model::leave::plan::Blocked;
use std::fmt;

/// The one thing to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AgentStep {
    /// Nothing ends this machine: look again.
    Watch,
    /// Look again; the machine stays what it is, and its hook is kept alive.
    Hold(Hold),
    /// Stop what an unpublished init has started here, give its claim back if that is still this machine's, then answer the hook.
    StepDown,
    /// Start kubelet again: the init was published after all, and this machine is a voter of the cluster.
    ServeAgain,
    /// Leave the cluster by the plan, then answer the hook.
    Leave,
    /// Isolate this machine, the last voter, save the cluster, have the record say so, then answer the hook.
    Save(SaveWhy),
    /// Do what the record says: put back what was isolated for a saving that is not wanted any more, or end for good what runs of a cluster
    /// that lives in a snapshot.
    Settle,
    /// Upload what this voter has, unconfirmed: the quorum is lost, and nothing keeps the machine.
    Upload,
    /// Complete the hook with CONTINUE.
    Answer(Answer),
    /// Complete the hook with ABANDON: the group keeps this machine, with all data of the cluster, and launches another one.
    Abandon,
    /// Nothing is left to do.
    Rest(Answer, Rest),
}

/// Why the hook may be completed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// This machine never was a member.
    NeverMember,
    /// Its init was never published, and what it had started is stopped.
    InitGivenUp,
    /// A certain list was seen to lack this machine.
    Left,
    /// The cluster lives in a snapshot, and nothing here starts again.
    Saved,
}

/// Why the last voter saves the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SaveWhy {
    /// The group wants no machines.
    NoneWanted,
    /// Nothing keeps this machine, and nobody else has become a voter in the first half of the time that it had.
    NothingRetains,
}

/// Why a hook is not answered although it could be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    /// No setting names one.
    Unnamed,
    /// The group has not come to it yet.
    Ahead,
    /// It was answered, or has ended.
    Over,
    /// The group retains this machine.
    Retained,
}

/// Why this machine stays for now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hold {
    /// It is the last voter: its disk holds all data of the cluster.
    LastVoter {
        /// The group's desired capacity, as far as it is known.
        desired: Option<usize>,
    },
    /// The same, while the group has no other candidate and would keep this machine.
    Alone,
    /// It is the last voter, and EC2 takes it: no hook and no policy of the group keeps it. Newcomers have the first half of the time.
    LastVoterTaken,
    /// It is the last voter, and the cluster could not be saved: it serves again for a while.
    NotSaved(String),
    /// A saving was begun, and it is not known how it goes on.
    Isolated(String),
    /// Another machine has saved or restored the cluster, and this one's data is kept.
    Superseded,
    /// Its member cannot be removed at the moment.
    Blocked(Blocked),
    /// Too little would stay.
    NotEnough(NotEnough),
    /// It is not known who would stay.
    OthersUnknown(String),
    /// It is not known whether its init was published.
    ClaimUnknown(String),
    /// It may be a member by what lies on its disk, and it is not known which one.
    Disk(StayReason),
    /// Its disk is that of no member, and it is registered as one that may still be listed.
    Registered,
    /// kubeboot knows nothing of this disk, and data of an etcd is on it, or may be on a volume that is not mounted.
    Data,
}

impl AgentStep {
    /// Whether it is taken with this machine's lock only: it changes something, or is lawful only once `up` has ended.
    #[must_use]
    pub fn wants_lock(&self) -> bool {
        match self {
            Self::StepDown
            | Self::ServeAgain
            | Self::Leave
            | Self::Save(_)
            | Self::Settle
            | Self::Upload
            | Self::Answer(_)
            | Self::Abandon => true,
            Self::Watch | Self::Hold(_) | Self::Rest(..) => false,
        }
    }

    /// Its name, for logs.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Watch => "watch",
            Self::Hold(_) => "hold",
            Self::StepDown => "step-down",
            Self::ServeAgain => "serve-again",
            Self::Leave => "leave",
            Self::Save(_) => "save",
            Self::Settle => "settle",
            Self::Upload => "upload",
            Self::Answer(_) => "answer",
            Self::Abandon => "abandon",
            Self::Rest(..) => "rest",
        }
    }
}

impl fmt::Display for AgentStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Watch => f.write_str("nothing ends this machine"),
            Self::Hold(why) => write!(f, "this machine stays for now: {why}"),
            Self::StepDown => {
                f.write_str("its init was never published: stopping what it has started, and giving its claim back")
            }
            Self::ServeAgain => {
                f.write_str("its init was published after what it had started was stopped: kubelet is started again")
            }
            Self::Leave => f.write_str("this machine leaves its cluster"),
            Self::Save(why) => write!(
                f,
                "this machine saves the cluster, so that the next machines restore it: it is the last voter, {why}; its API server ends now"
            ),
            Self::Upload => f.write_str(
                "etcd has lost its quorum, and nothing keeps this machine: it uploads its database, unconfirmed, before it goes",
            ),
            Self::Settle => f.write_str(
                "the record decides what becomes of etcd and API server here: while it says 'ready' they start again after a saving that is not \
                 wanted any more, and where the cluster lives on from a snapshot they end for good",
            ),
            Self::Answer(why) => write!(f, "the terminate hook is answered with CONTINUE: {why}"),
            Self::Abandon => write!(
                f,
                "the terminate hook is answered with ABANDON: this machine is the last voter, the group has had no other candidate for {}, \
                 and it keeps this machine and launches another one",
                in_words(PATIENCE)
            ),
            Self::Rest(why, rest) => write!(f, "{why}; {rest}"),
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NeverMember => "this machine never was a member of a cluster",
            Self::InitGivenUp => "the init of this machine was never published and is given up",
            Self::Left => "this machine has left its cluster",
            Self::Saved => "this machine has saved the cluster in a snapshot, from which the next machines restore it",
        })
    }
}

impl fmt::Display for SaveWhy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoneWanted => "and the group wants no machines",
            Self::NothingRetains => {
                "nothing keeps this machine, and no other one has become a voter in half of the time that it had"
            }
        })
    }
}

impl fmt::Display for Rest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unnamed => {
                "no terminate hook is answered, for 'terminate_hook' names none: one that there is ends by itself"
            }
            Self::Ahead => "the group has not come to the terminate hook yet",
            Self::Over => "the terminate hook was answered, or is over",
            Self::Retained => "the group retains this machine, which may be terminated",
        })
    }
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LastVoter { desired: Some(0) } => f.write_str(
                "it is the last voter, with all data of the cluster on its disk, and the group wants no machines: it saves the cluster once \
                 its terminate hook holds it; or set the group's desired capacity to 1 or more, and it leaves once another one has joined",
            ),
            Self::LastVoter { .. } => f.write_str(
                "it is the last voter, with all data of the cluster on its disk: it leaves once another one has joined",
            ),
            Self::Alone => write!(
                f,
                "it is the last voter, with all data of the cluster on its disk, and the group has no other candidate: after {} without one \
                 the terminate hook is answered with ABANDON, so that the group keeps this machine and launches another one",
                in_words(PATIENCE)
            ),
            Self::LastVoterTaken => f.write_str(
                "it is the last voter, with all data of the cluster on its disk, and no hook keeps a Spot instance: if no other machine becomes \
                 a voter in the first half of the time that is left, this one saves the cluster",
            ),
            Self::NotSaved(why) => write!(
                f,
                "it is the last voter, and the cluster is not saved yet: {why}. It serves, and tries again after {}; or set the group's \
                 desired capacity to 1 or more",
                in_words(PAUSE)
            ),
            Self::Isolated(why) => write!(
                f,
                "a saving of the cluster was begun here, its API server is ended, and it is not known how that goes on: {why}"
            ),
            Self::Superseded => f.write_str(
                "its data is of a cluster that another machine has saved, or that was restored from a snapshot since: etcd and API server are \
                 ended here, and the data is kept, for it may be newer. Once nobody needs it, complete the terminate hook by hand, or run \
                 'kubeboot reset --now' here while the restored cluster has its quorum",
            ),
            Self::Blocked(why) => why.fmt(f),
            Self::NotEnough(why) => why.fmt(f),
            Self::OthersUnknown(why) => write!(f, "it is not known who would stay: {why}"),
            Self::ClaimUnknown(why) => write!(f, "it is not known whether its init was published: {why}"),
            Self::Registered => f.write_str(
                "its disk is that of no member, and it is registered as one, which may still be listed: it goes once another machine has \
                 reaped that member. With no other machine there, see 'kubeboot reap'",
            ),
            Self::Data => f.write_str(
                "nothing here says whose etcd it is, and its data folder holds data or is on a volume that is not mounted: mount it, or copy \
                 the data folder if it may be the last, and complete the hook by hand",
            ),
            Self::Disk(why) => write!(f, "{why}; see 'kubeboot status', and copy etcd's data folder if it may be the last"),
        }
    }
}

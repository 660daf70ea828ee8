//! The named places between two effects of `up` and of the agent's leave, and one of `reset`: all that a machine has done when it dies
//! there.
//!
//! Each is traced at debug level as the field `point`. Built with the feature `crash-points`, kubeboot can be told to stop
//! at one of them; `tests/stories/kills.rs` and `tests/stories/worker_kills.rs` have `up` stop at every one, `tests/stories/agent_kills.rs` the
//! agent. The ordinary binary holds nothing of that.

mod kubeadm;
#[cfg(feature = "crash-points")]
mod stop;

#[cfg(feature = "crash-points")]
pub use stop::print_all;

/// Which machine passes a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The one that initialises.
    Leader,
    /// One that joins.
    Joiner,
    /// One that joins and raises the cluster's version, beside what every one that joins passes.
    Upgrader,
    /// Each of them.
    Both,
    /// One that leaves.
    Leaver,
    /// One that its agent takes out of the cluster.
    Agent,
    /// The one that restores the cluster from a snapshot, beside what whoever initialises passes.
    Restorer,
    /// The last voter, whose agent saves the cluster.
    Saver,
    /// A worker, beside those points of a join that it shares.
    Worker,
}

/// One line for each point, so that no list of them can lack one.
macro_rules! points {
    ($($(#[$doc:meta])+ $point:ident = $name:literal, $role:ident;)+) => {
        /// A place: everything up to it has been done.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Point {
            $($(#[$doc])+ $point,)+
        }

        impl Point {
            /// Every point, in about the order in which machines pass them.
            pub const ALL: &[Self] = &[$(Self::$point,)+];

            /// Its name.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$point => $name,)+
                }
            }

            /// Who passes it.
            #[must_use]
            pub fn role(self) -> Role {
                match self {
                    $(Self::$point => Role::$role,)+
                }
            }
        }
    };
}

points! {
    /// The bucket was seen to honour conditional writes.
    BucketProven = "bucket-proven", Leader;
    /// A claim is about to be sent.
    ClaimDue = "claim-due", Leader;
    /// The claim was sent, and nobody has looked at the answer: for this machine it never came.
    ClaimSent = "claim-sent", Leader;
    /// The claim was read back, and nothing on this machine has changed.
    ClaimRead = "claim-read", Leader;
    /// The disk says that this machine initialises.
    InitMarked = "init-marked", Leader;
    /// The document for `kubeadm init` is written, a bootstrap token in it.
    InitConfigured = "init-configured", Leader;
    /// The restored cluster's authorities are installed.
    BundleInstalled = "bundle-installed", Restorer;
    /// The snapshot is restored in a folder of its own, and etcd's data folder has nothing of it.
    SnapshotUnpacked = "snapshot-unpacked", Restorer;
    /// The restored data lies in etcd's data folder.
    DataRestored = "data-restored", Restorer;
    /// `kubeadm init` runs.
    InitStarted = "init-started", Leader;
    /// `kubeadm init` has made the certificate authorities.
    AuthoritiesMade = "authorities-made", Leader;
    /// `kubeadm init` has seen its etcd and API server at work.
    ControlPlaneUp = "control-plane-up", Leader;
    /// `kubeadm init` has ended.
    InitEnded = "init-ended", Leader;
    /// The new API server is ready and has told the UID of `kube-system`.
    ClusterKnown = "cluster-known", Leader;
    /// The bootstrap token is deleted.
    TokenDeleted = "token-deleted", Leader;
    /// The new cluster keeps its claim, in etcd and as a `ConfigMap`.
    ClaimKept = "claim-kept", Leader;
    /// The restored cluster keeps this claim in the place of the one that came with the data.
    ClaimReplaced = "claim-replaced", Restorer;
    /// The Node of this name that came with the data is deleted, if it was another machine's.
    OldNodeDeleted = "old-node-deleted", Restorer;
    /// kubelet has registered this machine, and its Node is marked.
    NodeRegistered = "node-registered", Restorer;
    /// The PKI bundle is in the bucket.
    BundleUploaded = "bundle-uploaded", Leader;
    /// The flip is about to be sent.
    FlipDue = "flip-due", Leader;
    /// The flip was sent, and nobody has looked at the answer: for this machine it never came.
    FlipSent = "flip-sent", Leader;
    /// The flip was answered: the cluster exists, and the disk does not say so yet.
    FlipAnswered = "flip-answered", Leader;
    /// The membership lease is this machine's.
    LeaseTaken = "lease-taken", Joiner;
    /// etcd lists nothing of an earlier life of this machine.
    OwnMemberRemoved = "own-member-removed", Joiner;
    /// The members of machines that are gone are removed, as far as that is lawful.
    DeadReaped = "dead-reaped", Joiner;
    /// The disk holds nothing of an earlier life.
    DiskClean = "disk-clean", Joiner;
    /// No Node of an earlier life stands under this machine's name.
    NameFree = "name-free", Joiner;
    /// The leaving unit is armed, where there is one.
    LeavingArmed = "leaving-armed", Both;
    /// The registration says that this machine joins, and under which lease.
    JoiningRegistered = "joining-registered", Joiner;
    /// Versions were compared under the lease, and the cluster's configuration is about to be written.
    VersionsCompared = "versions-compared", Joiner;
    /// The version of the cluster's configuration is raised, and nobody was told.
    VersionRaised = "version-raised", Upgrader;
    /// The cluster's configuration is written, and kubeadm has not started.
    VersionSettled = "version-settled", Joiner;
    /// The disk says that this machine joins.
    JoinMarked = "join-marked", Joiner;
    /// The authorities from the PKI bundle are installed.
    PkiInstalled = "pki-installed", Joiner;
    /// The document for `kubeadm join` is written.
    JoinConfigured = "join-configured", Joiner;
    /// `kubeadm join` runs.
    JoinStarted = "join-started", Joiner;
    /// `kubeadm join` has seen a healthy etcd, in which this machine is not.
    EtcdChecked = "etcd-checked", Joiner;
    /// etcd has accepted this machine as a learner.
    MemberAnnounced = "member-announced", Joiner;
    /// etcd has made it a voter.
    MemberPromoted = "member-promoted", Joiner;
    /// The lease is given on, while `kubeadm join` goes on.
    LeaseGivenOn = "lease-given-on", Joiner;
    /// `kubeadm join` has ended.
    JoinEnded = "join-ended", Joiner;
    /// etcd lists this machine as a started voter.
    VoterSeen = "voter-seen", Joiner;
    /// The API server of this machine serves the cluster that the record means.
    OwnApiReady = "own-api-ready", Joiner;
    /// The disk says that this machine is a member.
    MemberMarked = "member-marked", Both;
    /// The membership lease is given back.
    LeaseReleased = "lease-released", Joiner;
    /// The hash of the CA's public key is published.
    HashPublished = "hash-published", Both;
    /// The launch hook is completed, where this machine waits in one.
    HookCompleted = "hook-completed", Both;
    /// The registration says that this machine has joined.
    JoinedRegistered = "joined-registered", Both;
    /// This machine's etcd leads, and another one is about to be asked to.
    LeaderKnown = "leader-known", Leaver;
    /// It is decided that this machine saves the cluster, and nothing has changed.
    SaveDue = "save-due", Saver;
    /// The disk says that this machine isolates itself.
    IsolationMarked = "isolation-marked", Saver;
    /// The API server's manifest is withheld from kubelet, and the API server runs.
    ApiServerWithheld = "api-server-withheld", Saver;
    /// The API server is gone.
    ApiServerGone = "api-server-gone", Saver;
    /// etcd's manifest has it listen on the loopback alone, and kubelet has not looked.
    EtcdManifestChanged = "etcd-manifest-changed", Saver;
    /// etcd answers on the loopback, and nowhere else.
    EtcdIsolated = "etcd-isolated", Saver;
    /// etcd lists this machine's member alone.
    AloneSeen = "alone-seen", Saver;
    /// The snapshot and its manifest are in the bucket.
    SnapshotTaken = "snapshot-taken", Saver;
    /// The snapshot was read back, and nothing was committed since.
    SnapshotVerified = "snapshot-verified", Saver;
    /// The record is about to be written.
    SavedDue = "saved-due", Saver;
    /// The record was sent, and nobody has looked at the answer: for this machine it never came.
    SavedSent = "saved-sent", Saver;
    /// The record says `saved`, and the disk does not say so yet.
    SavedAnswered = "saved-answered", Saver;
    /// The disk says so, and both manifests are withheld for good.
    SavedMarked = "saved-marked", Saver;
    /// It is decided that this machine leaves, and nothing has changed.
    LeaveDue = "leave-due", Agent;
    /// The membership lease is this machine's, for leaving.
    LeaveLeaseTaken = "leave-lease-taken", Agent;
    /// The disk says that this machine has begun to leave.
    LeavingMarked = "leaving-marked", Agent;
    /// The registration says that this machine leaves.
    LeavingRegistered = "leaving-registered", Agent;
    /// A certain list lacks this machine.
    MemberGone = "member-gone", Agent;
    /// Its Node is deleted, or the leader or whoever joins next deletes it.
    NodeDeleted = "node-deleted", Agent;
    /// The registration says that this machine has left.
    LeftRegistered = "left-registered", Agent;
    /// The disk says that this machine has left.
    LeftMarked = "left-marked", Agent;
    /// The membership lease with which it left is given back.
    LeaveLeaseReleased = "leave-lease-released", Agent;
    /// The terminate hook is about to be completed.
    AnswerDue = "answer-due", Agent;
    /// The terminate hook was completed, and nobody has looked at the answer.
    AnswerSent = "answer-sent", Agent;
    /// A worker is wiped, and its marker is still there.
    WorkerWiped = "worker-wiped", Worker;
    /// EC2's source/destination check of a worker's instance is off.
    CheckSwitchedOff = "check-switched-off", Worker;
    /// The Node of a worker was seen, the token is gone from its disk, and the disk does not say yet that it has joined.
    TokenForgotten = "token-forgotten", Worker;
    /// The Node of a worker is open for new pods, which kubeboot had closed.
    NodeOpened = "node-opened", Worker;
    /// The disk of a worker says that it has answered its launch hook.
    HookAnswerMarked = "hook-answer-marked", Worker;
}

impl Point {
    /// Says that it was reached.
    pub fn reached(self) {
        tracing::debug!(point = self.name(), "reached");
        #[cfg(feature = "crash-points")]
        stop::if_wanted(self);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_two_points_have_one_name() {
        let names: BTreeSet<&str> = Point::ALL.iter().map(|point| point.name()).collect();
        assert_eq!(names.len(), Point::ALL.len());
    }

    #[test]
    fn the_flip_lies_between_its_points() {
        let place = |wanted| Point::ALL.iter().position(|point| *point == wanted);
        assert!(place(Point::BundleUploaded) < place(Point::FlipDue));
        assert!(place(Point::FlipDue) < place(Point::FlipSent));
        assert_eq!(Point::FlipSent.role(), Role::Leader);
    }
}

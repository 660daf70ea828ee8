//! The texts of the help beside the options.

use crate::exit::{Exit, Health, Leaving};

pub(super) const ABOUT: &str = "Make and keep one Kubernetes control plane on a group of identical machines";

pub(super) const LONG_ABOUT: &str = "\
kubeboot turns the machines of an EC2 Auto Scaling group into exactly one kubeadm control plane.

Every machine runs the same 'kubeboot up' and needs no role: the machines agree by conditional writes to one object in S3. One of them runs 'kubeadm init', the others 'kubeadm join', and afterwards every boot finds \
that there is nothing to do.";

pub(super) const AFTER_HELP: &str = "All settings: kubeboot --help. Settings live in /etc/kubeboot/config.toml.";

pub(super) const UP: &str = "\
Make this machine a node of its group's one control plane, or find that it is one.

Reads the state of this machine, the group, the record in S3 and etcd, decides on one step, takes it, and starts over, until \
this machine is a healthy member or 'deadline' has passed. May be stopped at any point and run again.";

pub(super) const UP_EXAMPLES: &str = "\
Examples:
  kubeboot up                          at boot, by the unit kubeboot.service
  kubeboot up --dry-run                what would be done next, and why; changes nothing
  kubeboot up --accept-group           after Terraform has replaced the Auto Scaling group
  kubeboot up --log-level debug        the same, with a more detailed log";

pub(super) const RESET: &str = "\
Leave the cluster if this machine goes down for good.

The unit kubeboot-reset.service runs it when systemd stops that unit. It leaves only if systemd's job queue says that the \
machine is powered off or halted, and AWS does not say that it is only stopped or in Standby: then it removes this \
machine's etcd member through another one, deletes its Node, and registers as left, all within 'leave_budget'. The last \
voter never removes itself.

With --now it does that at once, and wipes the machine afterwards, so that 'kubeboot up' can make it join again.";

pub(super) const RESET_EXAMPLES: &str = "\
Examples:
  kubeboot reset                       by the unit kubeboot-reset.service, when the machine goes down
  kubeboot reset --dry-run             what would be done if it went down now, and why; changes nothing
  kubeboot reset --now                 leave and wipe the machine; asks for confirmation
  kubeboot reset --now --yes           the same without asking, for programs";

pub(super) const AGENT: &str = "\
Watch over this node, as long as the machine runs.

The unit kubeboot-agent.service runs it at every boot. It asks the metadata service every two seconds and Auto Scaling once a minute. When \
the machine is being terminated, it takes it out of its cluster as 'kubeboot reset' does, once enough of the cluster stays: the quorum, and a \
voter whose API server is ready. Until then it keeps the terminate hook that 'terminate_hook' names alive and says why; when the machine has \
left, it completes that hook. The last voter never leaves: where the group wants no machines, or nothing keeps it, it saves the cluster and \
goes. A Spot notice is left for at once, hook or not.

Once an hour it renews certificates that end soon, as 'kubeboot renew' does, on one machine after the other.

The agents elect one that does for all what one must do: it reaps the members of machines that are gone, takes out a machine that the group ends while its \
agent is dead, deletes the Nodes of machines that are gone, has the group replace a voter that hangs ('unhealthy_after'), saves etcd ('snapshot_interval'), publishes what \
workers join with, and decides their requests for certificates.

It never initialises and never joins a cluster. 'systemctl status kubeboot-agent' shows what it sees and does. At 'agent_listen' \
(127.0.0.1:4040) it serves its health, its metrics and the report of 'kubeboot status' over HTTP.";

pub(super) const AGENT_EXAMPLES: &str = "\
Examples:
  kubeboot agent                       by the unit kubeboot-agent.service
  kubeboot agent --terminate-hook leave
                                       answers the lifecycle hook of that name";

pub(super) const STATUS: &str = "\
Show the state of the control plane, read now from every source.

The first line is the verdict, with how many nodes may be lost. A source that does not answer within five seconds is \
shown as unknown, with the reason. Works on a node, and from anywhere with AWS credentials (then without etcd).

With --watch it looks again and again, and prints what has changed since, a line for each change. Ctrl-C or SIGTERM ends it \
with exit code 0.";

pub(super) const STATUS_EXAMPLES: &str = "\
Examples:
  kubeboot status                      on a node
  kubeboot status --json               for programs
  kubeboot status --watch              and then what changes, until Ctrl-C
  kubeboot status --watch --json       a document on one line at first and with each change
  kubeboot status --bucket my-bucket --cluster demo --endpoint api.demo.internal:6443
                                       from a laptop";

pub(super) const CHECK: &str = "\
Check whether this machine and account are ready for 'up': settings, instance metadata, group, permissions, bucket, key, \
clock, kubeadm and its documents, container runtime. One line each: ok, warning or failed, with the remedy.

Writes scratch objects of a few bytes to the bucket and removes them again.

With --image it looks at a machine image instead, as the last step of making one: runtime, kubeadm, kubelet, units, the images of the \
control plane, and that nothing of a node is on it. It asks nobody but this machine.";

pub(super) const CHECK_EXAMPLES: &str = "\
Examples:
  kubeboot check                       on a machine of the group, before the first 'up'
  kubeboot check --json                for programs
  kubeboot check --timeout 1m          on a machine that is slow, such as one whose disk is still cold
  kubeboot check --image               at the end of making a machine image";

pub(super) const GUARD: &str = "\
Keep kubelet from starting an etcd whose data is gone, or is another machine's: such an etcd would vote without knowing what it \
voted for.

A drop-in of kubelet.service runs it before kubelet, from local files alone and without settings. If this machine is a member and \
its data is not here, or another machine made what is on this disk, the manifests of etcd and API server are set aside to \
/var/lib/kubeboot/manifests-aside. They go back as soon as this machine's own data is there again, by the next start of kubelet \
or by 'kubeboot up'. Removes nothing; with external etcd it does nothing.

Ends with 0 unless a manifest could not be moved.";

pub(super) const GUARD_EXAMPLES: &str = "\
Examples:
  kubeboot guard                       by the drop-in of kubelet.service, before each of its starts";

pub(super) const REAP: &str = "\
Remove the etcd members of machines that are gone, with their Node objects, by the same rules as every machine does before it \
joins: EC2 says that the machine is gone, no running instance has its address, the member does not answer, and the removal leaves the \
answering voters at or above the quorum of the rest.

Runs on a control-plane machine as root, under its lock and the membership lease, and waits for both at most 'deadline'. \
A member that no registration explains is kept until you name it with --member; the quorum rule applies to that, too.";

pub(super) const REAP_EXAMPLES: &str = "\
Examples:
  kubeboot reap --dry-run              each member: kept or removed, and why; changes nothing
  kubeboot reap                        removes what the rules remove
  kubeboot reap --member 8e9e05c52164694d
                                       removes one that no registration explains, after a confirmation
  kubeboot reap --dry-run --bucket my-bucket --cluster demo --endpoint api.demo.internal:6443
                                       from a laptop: what the bucket and EC2 say";

pub(super) const RENEW: &str = "\
Renew the certificates of this control-plane machine that end within 'renew_before', by kubeadm and the certificate authorities on \
this machine, and restart controller manager and scheduler where theirs was renewed. API server and etcd read theirs again by \
themselves. A kubelet whose client certificate has ended gets another one.

Runs on a control-plane machine as root, under its lock, and touches this machine alone: run it on one after the other. While more than \
seven days are left, it renews only while every etcd voter answers; then, or past the end, it asks nobody. Run again, it finishes \
what an earlier run has left. Certificate authorities are not renewed.";

pub(super) const RENEW_EXAMPLES: &str = "\
Examples:
  kubeboot renew --dry-run             when each certificate ends, what would be renewed and restarted; changes nothing
  kubeboot renew                       renews what ends soon
  kubeboot renew --renew-before 300d   renews what ends within 300 days";

pub(super) const RETIRE: &str = "\
Give up a cluster whose machines are all gone, so that the next machines that run 'kubeboot up' make a new one. It is the only \
way to start over on purpose, and it cannot be undone: restore a snapshot first if you have one.

Refused while EC2 does not say of every registered machine that it is terminated, or while anything answers at the endpoint. Works on a \
machine of the group whose disk holds nothing of a cluster, and from anywhere with AWS credentials. Deletes nothing. Run again, it \
finishes what an earlier run has left.

With --lost-record, for a cluster whose record is gone, or has gone back to an older version, where its last version cannot be had: the \
group and every machine that ever registered must be gone.";

pub(super) const RETIRE_EXAMPLES: &str = "\
Examples:
  kubeboot status                      shows the cluster ID
  kubeboot retire --cluster-id 6f9619ff-8b86-4011-b42d-00c04fc964ff
                                       prints what it will do, and asks for confirmation
  kubeboot retire --cluster-id 6f9619ff-8b86-4011-b42d-00c04fc964ff --yes
                                       for scripts
  kubeboot retire --lost-record        where there is no record any more that names the cluster";

pub(super) const RESTORE: &str = "\
Have the cluster come back from a snapshot, when every machine that had a vote is gone. Writes into the cluster record that the cluster is \
saved in that snapshot; the next machines that run 'kubeboot up' restore it, with its data, certificate authority and credentials. All \
that was written after the snapshot is lost, and what was revoked since is valid again.

Refused while EC2 does not say of every machine that ever had a vote that it is terminated, or while anything answers at the endpoint. \
The snapshot is read whole first. Works on a machine of the group that waits, and from anywhere with AWS credentials that may \
decrypt the snapshots.";

pub(super) const RESTORE_EXAMPLES: &str = "\
Examples:
  kubeboot restore --latest --dry-run  prints what would be restored, what would be lost, and who is gone
  kubeboot restore --latest            prints it, and asks for confirmation
  kubeboot snapshot list               shows the snapshots
  kubeboot restore --snapshot snapshots/NAME.json --yes
                                       another one than the latest; for scripts";

pub(super) const HIBERNATE: &str = "\
Say whether this group can be set to zero, for a night or for longer, so that its cluster is saved and comes back with all its data.

Looks at the cluster, the terminate hook and its default result, the group's retention, the agent on this machine, and the size of etcd's \
database; then takes a snapshot as a rehearsal and reads it back. If nothing is in the way, it says what will happen and names the one command \
that sets the group to zero. It changes neither the group nor the cluster, and the agents do the rest.

Runs on a control-plane machine as root.";

pub(super) const HIBERNATE_EXAMPLES: &str = "\
Examples:
  kubeboot hibernate                   over SSH, on one machine, before the group is set to zero";

pub(super) const UPGRADE: &str = "\
Show the way of an upgrade of Kubernetes, before and while it is gone. No command upgrades: with kubernetes_upgrade = \"by-image\", machines of a \
new image do, as the group replaces its machines. The first of them raises the version that the cluster's configuration names, and joins; the \
others follow; then the leader among the agents brings add-ons, kubelet's configuration and RBAC to that version, and then the workers follow.

With --dry-run it prints these steps for this cluster, those that are done, who is left, and what would be in the way of the next machine of \
that image now: two minor versions at once, an older one, programs that do not belong together, a machine that does not answer. Without it, \
it says so and ends with exit code 2.

Runs on a control-plane machine as root, or on one that waits to join.";

pub(super) const UPGRADE_EXAMPLES: &str = "\
Examples:
  kubeboot upgrade --dry-run --to v1.37.0
                                       on a member, before anything is changed
  kubeboot upgrade --back              on a member, after the new machines were ended
  kubeboot upgrade --dry-run           on a machine of the new image: to the version of its kubeadm
  kubeboot status                      how far it has come";

pub(super) const SNAPSHOT: &str = "\
Save etcd to the bucket, show what is saved, and verify it. The leader among the agents saves every 'snapshot_interval' by itself. \
Snapshots stand below snapshots/ at 'snapshot_location'; kubeboot deletes none.";

pub(super) const SNAPSHOT_EXAMPLES: &str = "\
Examples:
  kubeboot snapshot save               on a control-plane machine
  kubeboot snapshot list               on a machine, or from a laptop
  kubeboot snapshot verify --latest    reads the latest one and compares its digests";

pub(super) const SNAPSHOT_SAVE: &str = "\
Save etcd through this machine's own member, after a read through the quorum: so everything that was acknowledged before is in it. The \
digest that etcd computes is compared on the way; nothing touches this machine's disk.

With --unconfirmed it needs no quorum and saves what this machine alone has: by its member, or by its database file where the member does \
not answer. Other machines may have committed more, so such a snapshot is never taken for the latest one. External etcd is not saved.";

pub(super) const SNAPSHOT_SAVE_EXAMPLES: &str = "\
Examples:
  kubeboot snapshot save               before a change that may go wrong
  kubeboot snapshot save --unconfirmed on the last machine of a cluster that has lost its quorum";

pub(super) const SNAPSHOT_LIST: &str = "\
Show the snapshots that are saved, the highest revision first, and which one is the latest of the cluster that is on record: by revision, \
never by name or time, and never an unconfirmed one. Works on a node, and from anywhere with AWS credentials that \
may decrypt the manifests.";

pub(super) const SNAPSHOT_LIST_EXAMPLES: &str = "\
Examples:
  kubeboot snapshot list               the last 50
  kubeboot snapshot list --all --json  all of them, for programs";

pub(super) const SNAPSHOT_VERIFY: &str = "\
Read a snapshot and compare every digest: that of the object, and that which etcd has computed of its database. Needs no disk. A snapshot \
that was cut short or changed, or is of another cluster than the one on record, ends with exit code 6.";

pub(super) const SNAPSHOT_VERIFY_EXAMPLES: &str = "\
Examples:
  kubeboot snapshot verify --latest
  kubeboot snapshot verify 00000000000000012345-20261130T035059Z-6f9619ff-8b86-4011-b42d-00c04fc964ff";

pub(super) const KUBECONFIG: &str = "\
Make a kubeconfig for a person: with a client certificate of that name and those groups, by the certificate authority on this machine, as \
'kubeadm kubeconfig user' makes it. Without --user-group it is an administrator's (kubeadm:cluster-admins), never one of system:masters.

It is a secret, and cannot be taken back before it ends: it goes into a new file that its owner alone can read, or to the terminal or pipe of \
who asked. With --tunnel it is for that address, and still trusts nobody but the endpoint's certificate.

Runs on a control-plane machine as root. Needs no API server.";

pub(super) const KUBECONFIG_EXAMPLES: &str = "\
Examples:
  kubeboot kubeconfig --user anna      an administrator's, for a day, printed
  kubeboot kubeconfig --user anna --tunnel 127.0.0.1:6443 --file anna.conf
                                       for a tunnel through one of the machines, into a file
  kubeboot kubeconfig --user ci --user-group deployers --lifetime 1h
                                       one of a group to which you have bound a role";

pub(super) const TOKEN: &str = "\
Make what a machine outside of AWS needs to join as a worker: a discovery file for 'kubeadm join', with the cluster's certificate authority, \
the endpoint and a bootstrap token. Machines in AWS need none: they read what the leader among the agents publishes.

It is a secret: it goes into a new file that its owner alone can read, or to the terminal or pipe of who asked. The leader approves the machine's \
request for a certificate, unless it asks for the name of a machine that lives.

Runs on a control-plane machine as root.";

pub(super) const TOKEN_EXAMPLES: &str = "\
Examples:
  kubeboot token --file discovery.conf
                                       name it in a JoinConfiguration as discovery.file.kubeConfigPath
  kubeboot token --lifetime 10m        printed";

pub(super) const ELECT: &str = "\
Elect one leader among programs that share a Lease of Kubernetes (coordination.k8s.io: 15 seconds, renewed every 2, given up after \
10 without a renewal), as a sidecar with the pod's service account, or on a machine with a kubeconfig. Needs none of the settings.

With --http it serves who leads: '/' answers {\"name\": \"ID\"}, or 503 while nobody is known to lead.

With a command: it runs while this one leads, with ELECT_FENCING_NUMBER (grows with each leader), ELECT_ID and ELECT_LEASE in its \
environment. Without a renewal it gets SIGTERM after 10 seconds and SIGKILL after 13, with its process group, from a guard of its own, \
so also when this program is killed or stands still; then this one takes part anew. When the command ends by itself, this program ends \
with its exit code. SIGTERM ends the command first and gives the Lease up then, so that another leads at once.

A lease is no fence: while the whole machine stands still nothing can be ended, and the command may run on for a moment \
afterwards. What must never be done twice has to compare the fencing number where it is done.";

pub(super) const ELECT_EXAMPLES: &str = "\
Examples:
  kubeboot elect --election web --http 0.0.0.0:4040
                                       a sidecar that others ask who leads
  kubeboot elect --election web -- ./worker --all
                                       one of many pods runs the worker
  kubeboot elect --election backup --namespace kube-system --kubeconfig /etc/kubernetes/admin.conf -- /usr/local/bin/backup
                                       on machines";

pub(super) const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  kubeboot completions bash > /etc/bash_completion.d/kubeboot
  kubeboot completions zsh > /usr/share/zsh/site-functions/_kubeboot";

const OVERVIEW: &str = "\
Examples:
  kubeboot check                       is everything ready?
  kubeboot up --dry-run                what would happen now?
  kubeboot up                          make it happen
  kubeboot status                      how is it now?";

/// Examples and the exit codes.
pub(super) fn after_long_help() -> String {
    let exits = Exit::ALL.iter().map(|exit| format!("  {:>2}  {exit}", exit.number()));
    let unhealthy = Health::ALL.iter().filter(|health| **health != Health::Healthy);
    let healths = unhealthy.map(|health| format!("  {:>2}  {health} (status only)", health.number()));
    let leavings = Leaving::ALL.iter().filter(|leaving| **leaving != Leaving::Left);
    let leavings = leavings.map(|leaving| format!("  {:>2}  {leaving} (reset only)", leaving.number()));
    let codes: Vec<String> = exits.chain(healths).chain(leavings).collect();
    format!("{OVERVIEW}\n\nExit codes:\n{}", codes.join("\n"))
}

//! Everything about kubeadm: its configuration documents, its commands, what they print, and what they leave on the
//! disk.
//!
//! | module | what |
//! |---|---|
//! | [`documents`] | the operator's kubeadm documents, read, judged and completed for this machine (pure) |
//! | [`args`] | the argument vectors (pure) |
//! | [`host_files`] | whether what the documents name is on this machine |
//! | [`output`] | what kubeadm prints: progress, failures, and everything secret taken out (pure) |
//! | [`attempt`] | an init or a join under way, and why a command failed |
//! | [`run`] | running the commands, with deadlines and a clean environment |
//! | [`pki`] | the files that all control-plane nodes share, and the bundle they travel in |
//! | [`data_dir`] | etcd's data folder, which is etcd's own |
//! | [`manifests`] | the manifests of etcd and API server, and where they are kept while kubelet must not start them |
//! | [`quiesce`] | stopping kubelet and what it started, at once |
//! | [`state`] | what is on this machine's disk, and whose it is |
//! | [`wipe`] | making a machine fresh again |

pub mod args;
pub mod attempt;
pub mod data_dir;
pub mod documents;
pub mod host_files;
pub mod manifests;
pub mod output;
pub mod pki;
pub mod quiesce;
pub mod run;
pub mod state;
pub mod wipe;

//! kubeadm: its configuration documents, its commands, what they print, and what they leave on the disk.
//!
//! | module | what |
//! |---|---|
//! | [`documents`] | the operator's kubeadm documents, read, judged and completed for this machine (pure) |
//! | [`args`] | the argument vectors (pure) |
//! | [`host_files`] | whether what the documents name is on this machine |
//! | [`output`] | what kubeadm prints: progress and failures, without secrets (pure) |
//! | [`attempt`] | a running init or join, and why a command failed |
//! | [`run`] | running the commands, with deadlines and a clean environment |
//! | [`pki`] | the files that all control-plane nodes share, and the bundle that carries them |
//! | [`last_words`] | what kubelet and ended containers said last |
//! | [`data_dir`] | etcd's data folder, in which nothing but etcd's own data may lie |
//! | [`manifests`] | the manifests of etcd and API server, and the folder in which they are set aside |
//! | [`own_files`] | the files that a member must have, and which of them are lost |
//! | [`quiesce`] | stopping kubelet and the control plane that it started |
//! | [`state`] | what is on this machine's disk, and whose it is |
//! | [`withheld`] | the manifests that go back only by the record's word |
//! | [`wipe`] | making a machine fresh again |
//! | [`worker_state`] | what is on a worker's disk, and whose it is |

pub mod args;
pub mod attempt;
pub mod data_dir;
pub mod documents;
pub mod host_files;
pub mod last_words;
pub mod manifests;
pub mod output;
pub mod own_files;
pub mod pki;
pub mod quiesce;
pub mod run;
pub mod state;
pub mod wipe;
pub mod withheld;
pub mod worker_state;

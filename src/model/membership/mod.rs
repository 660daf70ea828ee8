//! The membership of etcd: who is a member, who may change that, and when.
//!
//! Here belongs what any command needs to know before it adds or removes a member. The order in which one command does it does not
//! belong here: that is in that command's own folder.
//!
//! | file | what it holds |
//! |---|---|
//! | [`members`] | etcd's member list and its quorum |
//! | [`member_name`] | how a member is named in messages |
//! | [`view`] | the membership as one machine could learn it |
//! | [`certainty`] | which etcd a list belongs to, and what it is worth |
//! | [`starting`] | which voters are on their way |
//! | [`data`] | whether data of a member may be deleted |
//! | [`lease`] | the membership lease: the queue of those who want to change it |
//! | [`registration`] | what each machine says about itself |
//! | [`record_schema`] | whether every machine that lives reads a record of a later schema |
//! | [`alike`] | what must be the same on every machine, compared by the registrations |
//! | [`instances`] | when a machine counts as gone |
//! | [`former`] | which registrations are over, and whose machine still matters |
//! | [`later_truth`] | what proves that an older version of the record has come back |
//! | [`reaping`] | which members another machine may remove |

pub mod alike;
pub mod certainty;
pub mod data;
pub mod former;
pub mod instances;
pub mod later_truth;
pub mod lease;
pub mod member_name;
pub mod members;
mod phase;
pub mod reaping;
pub mod record_schema;
pub mod registration;
pub mod starting;
pub mod view;

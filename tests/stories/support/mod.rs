//! What stories share: the world, commands with deadlines, and what must be true at the end.

pub mod agent;
pub mod bucket;
pub mod clock;
pub mod command;
pub mod control;
pub mod crash;
pub mod disks;
pub mod etcd;
pub mod gate;
pub mod history;
pub mod http;
pub mod leaving;
pub mod machine;
mod nursery;
pub mod plan;
pub mod renewing;
pub mod server;
pub mod slots;
pub mod strangers;
pub mod terminal;
pub mod truth;
pub mod unchanged;
pub mod upgrades;
pub mod workers;
pub mod world;

pub use world::World;

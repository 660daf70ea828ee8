//! Stopping at a point, for tests alone: `KUBEBOOT_STOP_AT=kill:NAME` ends this process by SIGKILL there,
//! `KUBEBOOT_STOP_AT=hold:NAME` has it stand still, so that somebody can cut the machine's power, and
//! `KUBEBOOT_STOP_AT=pause:NAME` until somebody sends SIGCONT.

use super::{Point, Role};
use rustix::process::{Signal, getpid, kill_process};

const VARIABLE: &str = "KUBEBOOT_STOP_AT";

/// Prints every point's name and who passes it, one a line.
pub fn print_all() {
    for point in Point::ALL {
        let role = match point.role() {
            Role::Leader => "leader",
            Role::Joiner => "joiner",
            Role::Upgrader => "upgrader",
            Role::Both => "both",
            Role::Leaver => "leaver",
            Role::Agent => "agent",
            Role::Restorer => "restorer",
            Role::Saver => "saver",
            Role::Worker => "worker",
        };
        println!("{} {role}", point.name());
    }
}

/// Stops at this point if the environment says so.
///
/// # Panics
/// When the variable is none of the above: a test that never stops must not look as if it had.
pub(super) fn if_wanted(point: Point) {
    let Ok(wanted) = std::env::var(VARIABLE) else { return };
    let (how, name) = wanted.split_once(':').unwrap_or_default();
    assert!(Point::ALL.iter().any(|point| point.name() == name), "{VARIABLE}={wanted} names no point");
    assert!(
        matches!(how, "kill" | "hold" | "pause"),
        "{VARIABLE}={wanted} is none of kill:NAME, hold:NAME, pause:NAME"
    );
    if name != point.name() {
        return;
    }
    eprintln!("stopped at {name}");
    if how == "kill" {
        kill_process(getpid(), Signal::KILL).expect("a process may signal itself");
    }
    if how == "pause" {
        return kill_process(getpid(), Signal::STOP).expect("a process may signal itself");
    }
    loop {
        std::thread::park();
    }
}

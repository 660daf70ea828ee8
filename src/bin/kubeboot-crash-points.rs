//! kubeboot, which can also be told to stop at a crash point. For tests, under a name of its own, so that it is never taken for the
//! ordinary binary.

#[path = "../main.rs"]
mod program;

fn main() -> std::process::ExitCode {
    program::main()
}

//! kubeboot as it is, but that it can be told to stop at a crash point: for tests, under a name of its own so that it never
//! stands in the ordinary binary's place.

#[path = "../main.rs"]
mod program;

fn main() -> std::process::ExitCode {
    program::main()
}

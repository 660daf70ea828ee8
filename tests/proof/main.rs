//! The proof that kubeboot never makes two clusters of one, and never harms the one: docs/proof.md.

mod exhaust;
mod fair;
mod joining;
mod leaders;
mod seeds;
mod upgrading;
mod world;

/// What no run reaches, with the reason; table tests beside the code hold these.
const UNREACHED: [(&str, &str); 6] = [
    ("wait: snapshot unfit", "in these worlds every machine has the programs and versions that restore the snapshot"),
    ("wait: own member", "a machine is marked a member only when it is a started voter, and nothing takes a vote away"),
    (
        "wipe: failed init",
        "every attempt of an init has a claim of its own, so what is left is always an older claim's",
    ),
    (
        "wait: registrations",
        "in these worlds every registration can be read: the step is replaced whatever else is seen",
    ),
    ("stop: data needed", "it takes a member that was removed, and then the data of another member that is silent"),
    ("keep: own", "what is listed at its own address a joiner removes before it reaps"),
];

#[test]
fn every_row_and_every_verdict_was_taken_and_refused() {
    let worlds = exhaust::all();
    let states: usize = worlds.iter().map(|(_, world)| world.states).sum();
    let ends: usize = worlds.iter().map(|(_, world)| world.ends).sum();
    println!("{} small worlds: {states} states, {ends} fair ends", worlds.len());
    let failed = seeds::ALL.failures.len();
    let (never, always) = world::cover::missing();
    for (row, situations) in world::cover::table() {
        println!("{row}: taken under {situations} kinds of record");
    }
    println!("never taken: {never:?}; never refused: {always:?}");
    assert_eq!(failed, 0, "what a failed run has reached counts for nothing");
    let mut expected: Vec<&str> = UNREACHED.iter().map(|(row, _)| *row).collect();
    expected.sort_unstable();
    assert_eq!(never.iter().copied().collect::<Vec<_>>(), expected, "rows that were never taken");
    assert!(always.is_empty(), "rows whose other side was never seen: {always:?}");
}

//! `kubeboot elect`: one of many leads, its command is dead before another one's starts, and nobody is named who may not lead.

use crate::support::World;
use crate::support::command::Running;
use crate::support::http::{PORT, asked};
use crate::support::world::RUN;
use anyhow::{Context, Result, ensure};
use rustix::process::Signal;

/// Where the commands say who leads, line by line, while they run.
const LED: &str = "run/led";
/// The command of the candidates: it says that it leads, with its fencing number, again and again.
const COMMAND: &str = r#"while :; do echo "$ELECT_FENCING_NUMBER $ELECT_ID" >> /run/led; sleep 0.05; done"#;
/// The same, deaf to SIGTERM.
const DEAF: &str = r#"trap "" TERM; while :; do echo "$ELECT_FENCING_NUMBER $ELECT_ID" >> /run/led; sleep 0.05; done"#;

/// Candidates on machine 1, which each run a command and serve at a port of their own.
struct Candidates<'a> {
    world: &'a World,
    address: String,
    running: Vec<Running>,
}

impl<'a> Candidates<'a> {
    fn start(world: &'a World, count: u16, command: &str) -> Result<Self> {
        world.all_up(&[1])?;
        let address = world.address(1, "address")?;
        let mut running = Vec::new();
        for index in 0..count {
            let (id, http) = (Self::id(index), format!("{address}:{}", PORT + index));
            let argv = ["kubeboot", "elect", "--election", "story", "--namespace", "kube-system", "--id", &id];
            let rest = ["--http", &http, "--kubeconfig", "/etc/kubernetes/admin.conf", "--", "sh", "-c", command];
            running.push(world.start_on(1, &[&argv[..], &rest].concat())?);
        }
        Ok(Self { world, address, running })
    }

    fn id(index: u16) -> String {
        format!("candidate-{index}")
    }

    /// Fencing number and index of every line that a command wrote, in the order in which they were written.
    fn led(&self) -> Result<Vec<(i64, u16)>> {
        let text = std::fs::read_to_string(self.world.root(1)?.join(LED)).unwrap_or_default();
        // The last line may be one that is being written.
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let parse = |line: &str| {
            let (number, id) = line.split_once(" candidate-")?;
            Some((number.parse().ok()?, id.parse().ok()?))
        };
        whole.lines().map(|line| parse(line).with_context(|| format!("the line '{line}'"))).collect()
    }

    /// Waits until the command with this fencing number has begun, and says whose it is.
    fn until_led(&self, number: i64) -> Result<u16> {
        let found = || Ok(self.led()?.into_iter().find(|(found, _)| *found == number).map(|(_, index)| index));
        self.world.until(&format!("a leader with the fencing number {number}"), RUN, found)
    }

    /// No command ran beside another: once a higher number was written, no lower one was.
    fn one_at_a_time(&self) -> Result<()> {
        let led = self.led()?;
        ensure!(led.is_sorted_by_key(|(number, _)| *number), "two commands ran at once: {led:?}");
        let mut leaders = led;
        leaders.dedup();
        let numbers: Vec<i64> = leaders.iter().map(|(number, _)| *number).collect();
        ensure!(numbers.iter().copied().eq(0..numbers.len() as i64), "numbers are not one by one: {leaders:?}");
        Ok(())
    }

    fn signal(&self, index: u16, signal: Signal) -> Result<()> {
        self.world.signal_program_with(1, "kubeboot", &Self::id(index), signal)
    }

    /// The status and the body that a candidate answers at `/`.
    fn asked(&self, index: u16) -> Result<(u16, String)> {
        asked(&self.address, PORT + index, "/")
    }

    /// Waits until a candidate names this leader.
    fn until_named(&self, index: u16, leader: u16) -> Result<()> {
        let expected = (200, format!(r#"{{"name":"{}"}}"#, Self::id(leader)));
        let what = format!("candidate {index} names {leader}");
        self.world.until(&what, RUN, || Ok(self.asked(index).is_ok_and(|answer| answer == expected).then_some(())))
    }

    /// How many commands run.
    fn commands(&self) -> Result<usize> {
        let processes = self.world.processes(1)?;
        let shells = processes.iter().filter(|process| process.argv.first().is_some_and(|first| first == "sh"));
        Ok(shells.filter(|process| process.argv.iter().any(|word| word.contains(LED))).count())
    }
}

#[test]
fn one_of_three_leads_and_another_at_once_when_it_ends_and_in_time_when_it_is_killed() -> Result<()> {
    World::of(1).tell(|world| {
        let mut candidates = Candidates::start(world, 3, COMMAND)?;
        let first = candidates.until_led(0)?;
        for index in 0..3 {
            candidates.until_named(index, first)?;
        }
        candidates.signal(first, Signal::TERM)?;
        let second = candidates.until_led(1)?;
        ensure!(second != first, "who has ended leads again");
        let ended = candidates.running.remove(first.into()).wait(RUN)?;
        ensure!(ended.code == 0 && ended.text().contains("' is given up"), "{ended:?}");

        candidates.signal(second, Signal::KILL)?;
        let third = candidates.until_led(2)?;
        ensure!(third != first && third != second, "{third} leads after {first} and {second}");
        candidates.until_named(third, third)?;
        candidates.one_at_a_time()
    })
}

#[test]
fn the_command_of_a_leader_that_stands_still_is_dead_before_another_leads() -> Result<()> {
    World::of(1).tell(|world| {
        let candidates = Candidates::start(world, 2, DEAF)?;
        let first = candidates.until_led(0)?;
        candidates.signal(first, Signal::STOP)?;
        let second = candidates.until_led(1)?;
        ensure!(second != first && candidates.commands()? == 1, "{} commands run", candidates.commands()?);
        candidates.signal(first, Signal::CONT)?;
        candidates.running[usize::from(first)].go_on()?;
        candidates.until_named(first, second)?;
        ensure!(candidates.commands()? == 1, "{} commands run", candidates.commands()?);
        candidates.one_at_a_time()
    })
}

#[test]
fn without_the_api_server_the_leader_gives_up_and_names_nobody_until_it_is_back() -> Result<()> {
    World::of(1).tell(|world| {
        let candidates = Candidates::start(world, 1, DEAF)?;
        candidates.until_led(0)?;
        candidates.until_named(0, 0)?;
        world.signal_program(1, "apiserver", Signal::STOP)?;
        world.until("nobody is named", RUN, || Ok((candidates.asked(0)?.0 == 503).then_some(())))?;
        world.until("no command runs", RUN, || Ok((candidates.commands()? == 0).then_some(())))?;
        let said = candidates.running[0].said()?;
        ensure!(said.contains("was not renewed for 10 seconds"), "{said}");
        world.signal_program(1, "apiserver", Signal::CONT)?;
        candidates.until_led(1)?;
        candidates.until_named(0, 0)?;
        candidates.one_at_a_time()
    })
}

#[test]
fn a_command_that_ends_by_itself_ends_the_election_with_its_exit_code() -> Result<()> {
    World::of(1).tell(|world| {
        for (number, command, code) in [("0", "exit 7", 7), ("1", "kill -KILL $$", 137)] {
            let mut candidates = Candidates::start(world, 1, &format!("echo number $ELECT_FENCING_NUMBER; {command}"))?;
            let ended = candidates.running.remove(0).wait(RUN)?;
            ensure!(ended.code == code && ended.stdout.trim() == format!("number {number}"), "{ended:?}");
            ensure!(ended.text().contains("' is given up"), "{ended:?}");
        }
        let argv = ["kubeboot", "elect", "--election", "story", "--kubeconfig", "/etc/kubernetes/admin.conf", "--"];
        let ended = world.on(1, &[&argv[..], &["no-such-program"]].concat())?;
        ensure!(ended.code == 127 && ended.text().contains("failed to start 'no-such-program'"), "{ended:?}");
        Ok(())
    })
}

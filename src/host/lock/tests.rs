//! Several holders: real processes and signals, and waits with a condition.

use super::*;
use crate::host::process::Command;
use std::path::PathBuf;
use std::sync::Mutex;

const SOON: Duration = Duration::from_secs(20);
const AT_ONCE: Duration = Duration::ZERO;

struct Machine {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

fn machine() -> Result<Machine> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("run/lock");
    Ok(Machine { _folder: folder, path })
}

impl Machine {
    async fn take(&self, time_limit: Duration, said: &Mutex<Vec<String>>) -> Result<Lock> {
        let on_wait = |reason: &str| {
            said.lock().expect("no holder panics").push(reason.to_owned());
        };
        Lock::acquire(&self.path, "kubeboot test", time_limit, on_wait).await
    }

    async fn try_take(&self) -> Result<Lock> {
        self.take(AT_ONCE, &Mutex::default()).await
    }

    /// Checks that the lock is free soon. Not at once, because another test may be starting a
    /// process, which has a copy of every open file until its exec.
    async fn is_free(&self) -> Result<()> {
        self.take(SOON, &Mutex::default()).await.map(|_| ())
    }

    /// Checks which processes hold the lock, likewise soon.
    async fn is_held_by(&self, locker: Option<i32>, all: &[i32]) -> Result<()> {
        let file = open(&self.path)?;
        let end = Instant::now() + SOON;
        loop {
            let mut holders = Holders::of(&file)?;
            holders.all.sort_unstable();
            if (holders.locker, holders.all.as_slice()) == (locker, all) {
                return Ok(());
            }
            anyhow::ensure!(Instant::now() < end, "{holders:?}");
            sleep(Duration::from_millis(10)).await;
        }
    }
}

#[tokio::test]
async fn a_holder_sees_that_somebody_waits_and_no_longer_than_that() -> Result<()> {
    let machine = machine()?;
    let first = machine.try_take().await?;
    assert!(Lock::is_held(&machine.path));
    assert!(!Lock::is_wanted(&machine.path));
    for _ in 0..2 {
        let said = Mutex::default();
        let mut waiting = std::pin::pin!(machine.take(SOON, &said));
        let mut second = std::pin::pin!(machine.take(SOON, &said));
        tokio::select! {
            biased;
            taken = &mut waiting => anyhow::bail!("it is held: {taken:?}"),
            taken = &mut second => anyhow::bail!("it is held: {taken:?}"),
            () = sleep(Duration::ZERO) => {}
        }
        assert!(Lock::is_wanted(&machine.path));
        // Asking takes nothing from those who wait.
        assert!(Lock::is_wanted(&machine.path));
    }
    let end = Instant::now() + SOON;
    while Lock::is_wanted(&machine.path) {
        anyhow::ensure!(Instant::now() < end, "nobody waits any more");
        sleep(Duration::from_millis(10)).await;
    }
    drop(first);
    while Lock::is_held(&machine.path) {
        anyhow::ensure!(Instant::now() < end, "nobody holds it any more");
        sleep(Duration::from_millis(10)).await;
    }
    machine.is_free().await
}

#[tokio::test]
async fn the_second_waits_with_a_reason_and_gives_up_in_time() -> Result<()> {
    let machine = machine()?;
    let first = machine.try_take().await?;
    let said = Mutex::default();
    let error = machine.take(POLL_INTERVAL, &said).await.expect_err("it is held");
    assert_eq!(Exit::of(&error), Exit::TryAgain);

    let said = said.into_inner()?;
    let me = format!("held by pid {} (kubeboot test) since 2", std::process::id());
    assert_eq!(said.len(), 1, "an unchanged reason is reported once: {said:?}");
    assert!(said[0].contains(&me), "{said:?}");
    assert!(format!("{error:#}").contains(&me), "{error:#}");

    drop(first);
    machine.is_free().await
}

#[tokio::test]
async fn a_child_keeps_the_lock_until_it_ends() -> Result<()> {
    let machine = machine()?;
    let lock = machine.try_take().await?;
    let mut child =
        Command::new("sleep").args(["60"]).env_allow(["PATH"]).deadline(SOON).inherit_lock(&lock).start()?;
    let me = lock.note.pid;
    let mut both = [me, child.id()];
    both.sort_unstable();
    machine.is_held_by(Some(me), &both).await?;
    drop(lock);
    machine.is_held_by(None, &[child.id()]).await?;
    child.kill().await?;
    machine.is_free().await
}

#[tokio::test]
async fn the_child_of_a_living_holder_is_left_alone() -> Result<()> {
    let machine = machine()?;
    let lock = machine.try_take().await?;
    let child = Command::new("sleep").args(["60"]).env_allow(["PATH"]).deadline(SOON);
    let mut child = child.inherit_lock(&lock).start()?;
    assert!(machine.take(POLL_INTERVAL, &Mutex::default()).await.is_err());
    // A signal would have ended it long before this.
    let ended = tokio::time::timeout(POLL_INTERVAL, child.wait()).await;
    assert!(ended.is_err(), "{ended:?}");
    child.kill().await?;
    Ok(())
}

#[tokio::test]
async fn an_orphan_is_ended_even_if_it_ignores_sigterm() -> Result<()> {
    let machine = machine()?;
    let lock = machine.try_take().await?;
    let (sender, mut ready) = tokio::sync::mpsc::unbounded_channel();
    let mut child = Command::new("sh")
        // The ignored signal stays ignored after exec, and the shell leaves no child that holds the lock, too.
        .args(["-c", "trap '' TERM; echo ready; exec sleep 60"])
        .env_allow(["PATH"])
        .deadline(SOON)
        .inherit_lock(&lock)
        .on_line(move |line| drop(sender.send(line.to_owned())))
        .start()?;
    assert_eq!(ready.recv().await.as_deref(), Some("ready"));
    drop(lock);
    machine.is_held_by(None, &[child.id()]).await?;

    let said = Mutex::default();
    let taken = machine.take(SOON, &said).await;
    let said = said.into_inner()?;
    assert!(taken.is_ok(), "{taken:?}");
    assert!(said[0].contains(&format!("pid {}, left behind", child.id())), "{said:?}");
    let ended = child.wait().await.expect_err("it was killed");
    assert!(ended.to_string().contains("signal 9"), "{ended}");
    Ok(())
}

#[tokio::test]
async fn a_process_that_kubeboot_did_not_start_is_named_and_left_alone() -> Result<()> {
    let machine = machine()?;
    let lock = machine.try_take().await?;
    let mut stranger =
        Command::new("sleep").args(["60"]).env_allow(["PATH"]).deadline(SOON).inherit_lock(&lock).start()?;
    lock.note.write(&lock.file)?;
    drop(lock);
    machine.is_held_by(None, &[stranger.id()]).await?;

    let error = machine.try_take().await.expect_err("it is held");
    assert!(format!("{error:#}").contains("did not start"), "{error:#}");
    machine.is_held_by(None, &[stranger.id()]).await?;
    stranger.kill().await?;
    Ok(())
}

#[tokio::test]
async fn garbage_in_the_lock_file_does_not_prevent_locking() -> Result<()> {
    let machine = machine()?;
    drop(machine.try_take().await?);
    std::fs::write(&machine.path, b"\xff{".repeat(2000))?;
    let held = open(&machine.path)?;
    held.lock()?;
    let error = machine.try_take().await.expect_err("it is held");
    let me = format!("held by pid {}", std::process::id());
    assert!(format!("{error:#}").contains(&me), "{error:#}");
    drop(held);
    machine.is_free().await
}

/// Another process that holds the lock itself, with `command` in its note.
async fn another(machine: &Machine, command: &str, script: &str) -> Result<std::process::Child> {
    drop(machine.try_take().await?);
    let mut flock = std::process::Command::new("flock");
    let mut child = flock.arg("--no-fork").arg(&machine.path).args(["sh", "-c", script]).spawn()?;
    let pid = i32::try_from(child.id())?;
    let held = machine.is_held_by(Some(pid), &[pid]).await;
    if held.is_err() {
        child.kill()?;
    }
    held?;
    let mut note = Note::mine(command);
    note.pid = pid;
    note.write(&File::options().write(true).open(&machine.path)?)?;
    Ok(child)
}

async fn take_before_up(machine: &Machine, time_limit: Duration) -> Result<Lock> {
    Lock::acquire_preempting(&machine.path, "kubeboot reset", time_limit, |command| command == "kubeboot up", |_| {})
        .await
}

#[tokio::test]
async fn a_preempting_command_ends_the_holder() -> Result<()> {
    use std::os::unix::process::ExitStatusExt;
    for (script, signal) in [("exec sleep 60", 15), ("trap '' TERM; exec sleep 60", 9)] {
        let machine = machine()?;
        let mut holder = another(&machine, "kubeboot up", script).await?;
        // The ended holder is a zombie of this test, but the lock is free.
        drop(take_before_up(&machine, SOON).await?);
        assert_eq!(holder.wait()?.signal(), Some(signal), "{script}");
    }
    Ok(())
}

#[tokio::test]
async fn a_holder_that_is_not_preempted_is_waited_for() -> Result<()> {
    let machine = machine()?;
    let mut holder = another(&machine, "kubeboot reset --now", "exec sleep 60").await?;
    let error = take_before_up(&machine, POLL_INTERVAL).await.expect_err("it is held");
    assert_eq!(Exit::of(&error), Exit::TryAgain);
    assert!(holder.try_wait()?.is_none(), "it was ended");
    holder.kill()?;
    holder.wait()?;
    Ok(())
}

//! Real processes: their output, their ends, and that none of their children is left.

use super::*;
use rustix::process::{Pid, test_kill_process};
use std::time::Instant;
use tokio::sync::mpsc;

const SOON: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(200);

fn shell(script: &str) -> Command {
    Command::new("sh").args(["-c", script]).env_allow(["PATH"]).deadline(SOON)
}

#[tokio::test]
async fn the_output_of_an_accepted_exit_is_captured() -> Result<(), ProcessFailed> {
    let output = shell("echo out; echo err >&2; exit 3").accept([0, 3]).run().await?;
    assert_eq!((output.code, output.stdout.as_str(), output.stderr.as_str()), (3, "out\n", "err\n"));
    assert!(!format!("{output:?}").contains("out\\n"), "{output:?}");
    Ok(())
}

#[tokio::test]
async fn every_kind_of_failure_has_its_own_error() {
    let ends = [
        (shell("echo o; echo why >&2; exit 7"), "'sh' ended with exit code 7, having printed: why"),
        (shell("echo only this; exit 1"), "'sh' ended with exit code 1, having printed: only this"),
        (shell("kill -9 $$"), "'sh' was ended by signal 9 and printed nothing"),
        (shell("echo a; exec sleep 60").deadline(SHORT), "'sh' did not end within 200 ms, having printed: a"),
        (Command::new("kubeboot-no-such-program"), "was not found along PATH"),
        (Command::new("/proc"), "failed to start '/proc'"),
    ];
    for (command, wanted) in ends {
        let error = command.run().await.expect_err(wanted).to_string();
        assert!(error.contains(wanted), "{error}\nis not\n{wanted}");
    }
}

#[tokio::test]
async fn an_error_ends_with_the_last_lines_but_keeps_more() {
    let error = shell("seq 1 100 >&2; exit 1").run().await.expect_err("it exits with 1");
    assert!(error.to_string().ends_with("having printed: 89; 90; 91; 92; 93; 94; 95; 96; 97; 98; 99; 100"));
    assert_eq!(error.tail().lines().count(), 100);
}

#[tokio::test]
async fn the_environment_holds_only_what_was_named() -> Result<(), ProcessFailed> {
    let output =
        Command::new("env").env_allow(["PATH", "KUBEBOOT_NOT_SET_ANYWHERE"]).env("ADDED", "value").run().await?;
    let mut names: Vec<&str> = output.stdout.lines().filter_map(|line| line.split('=').next()).collect();
    names.sort_unstable();
    assert_eq!(names, ["ADDED", "PATH"]);
    Ok(())
}

#[tokio::test]
async fn secrets_reach_neither_errors_nor_lines() {
    let (sender, mut lines) = mpsc::unbounded_channel();
    let error = shell("echo token hunter2; echo 'key swordfish hunter2' >&2; exit 1")
        .secret("hunter2")
        .secret("")
        .redact(|text| text.replace("swordfish", "[key]"))
        .on_line(move |line| drop(sender.send(line.to_owned())))
        .run()
        .await
        .expect_err("it exits with 1");
    assert_eq!(lines.recv().await.as_deref(), Some("token [hidden]"));
    assert_eq!(error.tail(), "key [key] [hidden]\n");
}

#[tokio::test]
async fn lines_come_while_the_program_runs() -> Result<(), ProcessFailed> {
    let (sender, mut lines) = mpsc::unbounded_channel();
    let mut running =
        shell("echo first; exec sleep 60").on_line(move |line| drop(sender.send(line.to_owned()))).start()?;
    assert_eq!(lines.recv().await.as_deref(), Some("first"));
    running.kill().await
}

#[tokio::test]
async fn a_large_output_neither_blocks_nor_fills_the_memory() -> Result<(), ProcessFailed> {
    let output = shell("head -c 3000000 /dev/zero | tr '\\0' x; echo; echo end").run().await?;
    assert_eq!(output.stdout.len(), 64 * 1024);
    assert!(output.stdout.ends_with("x\nend\n"));
    Ok(())
}

#[tokio::test]
async fn an_inherited_stream_does_not_hold_up_the_answer() -> Result<(), ProcessFailed> {
    let before = Instant::now();
    let output = shell("setsid sleep 15 & echo $!").run().await?;
    let left: i32 = output.stdout.trim().parse().expect("it is a process ID");
    assert!(before.elapsed() < Duration::from_secs(10));
    if let Some(pid) = Pid::from_raw(left) {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    }
    Ok(())
}

/// Starts a shell with a child in the background, and returns when both run. If `stubborn`, both
/// ignore SIGTERM.
async fn family(stubborn: bool) -> Result<(Running, Pid), ProcessFailed> {
    let trap = if stubborn { "trap '' TERM; " } else { "" };
    let (sender, mut lines) = mpsc::unbounded_channel();
    let running = shell(&format!("{trap}sleep 60 & echo $!; wait; sleep 60"))
        .on_line(move |line| drop(sender.send(line.to_owned())))
        .start()?;
    let child = lines.recv().await.and_then(|line| line.parse().ok());
    Ok((running, child.and_then(Pid::from_raw).expect("the shell printed a process ID")))
}

/// Waits until a process is gone (an orphan is reaped by the process that inherits it), or the time is over.
async fn is_gone(pid: Pid) -> bool {
    let end = Instant::now() + SOON;
    while Instant::now() < end {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
        let zombie = stat.is_ok_and(|stat| stat.contains(") Z "));
        if zombie || test_kill_process(pid).is_err() {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    false
}

#[tokio::test]
async fn killing_and_dropping_end_the_whole_group() -> Result<(), ProcessFailed> {
    for stubborn in [false, true] {
        let (mut running, child) = family(stubborn).await?;
        running.kill().await?;
        assert!(is_gone(child).await, "killed, stubborn: {stubborn}");

        let (running, child) = family(stubborn).await?;
        drop(running);
        assert!(is_gone(child).await, "dropped, stubborn: {stubborn}");
    }
    Ok(())
}

#[tokio::test]
async fn the_deadline_ends_the_whole_group() -> Result<(), ProcessFailed> {
    let (sender, mut lines) = mpsc::unbounded_channel();
    let timed_out = shell("sleep 60 & echo $!; wait")
        .deadline(SHORT)
        .on_line(move |line| drop(sender.send(line.to_owned())))
        .run()
        .await;
    assert!(matches!(timed_out, Err(ProcessFailed::TimedOut { .. })), "{timed_out:?}");
    let child: i32 = lines.recv().await.and_then(|line| line.parse().ok()).expect("a process ID");
    assert!(is_gone(Pid::from_raw(child).expect("it is not 0")).await);
    Ok(())
}

#[tokio::test]
async fn a_wait_may_be_cancelled_and_repeated() -> Result<(), ProcessFailed> {
    let (sender, mut lines) = mpsc::unbounded_channel();
    let mut running = shell("trap 'echo asked; exit 0' USR1; echo ready; while :; do sleep 0.05; done")
        .on_line(move |line| drop(sender.send(line.to_owned())))
        .start()?;
    assert_eq!(lines.recv().await.as_deref(), Some("ready"));
    let first = tokio::time::timeout(Duration::from_millis(20), running.wait()).await;
    assert!(first.is_err(), "it was not asked to end");
    let pid = Pid::from_raw(running.id()).expect("it is not 0");
    rustix::process::kill_process(pid, rustix::process::Signal::USR1).expect("it is alive");
    assert_eq!(running.wait().await?.stdout, "ready\nasked\n");
    running.kill().await
}

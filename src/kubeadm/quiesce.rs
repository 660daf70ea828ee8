//! Stopping what kubeadm has started, at once: kubelet first, which would start everything again, and then its containers.
//! Nothing is removed, and after the next start of kubelet everything runs as before.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::time::{Instant, sleep};

use crate::host::process::ProcessFailed;
use crate::host::runtime;
use crate::host::systemd::unit::{self, Armed};

/// kubelet's own unit.
pub const KUBELET: &str = "kubelet.service";
/// How long one question to the runtime, or one order, may take.
const CALL: Duration = Duration::from_secs(5);
/// How long the containers may take to be gone.
const LONGEST: Duration = Duration::from_secs(20);
/// Between two looks.
const INTERVAL: Duration = Duration::from_millis(250);
/// The programs of a control plane, as kubeadm's manifests start them.
pub(super) const PROGRAMS: [&str; 4] = ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"];
/// What stands in the control group of everything that kubelet has started.
const PODS: &str = "kubepods";
/// The longest command line that is looked at, in bytes.
const COMMAND_LIMIT: usize = 4096;

/// Stops kubelet and what it has started, and sees that gone. `cri_socket` is the runtime's socket, where the documents name
/// one.
///
/// Never from inside the leaving unit: kubelet's stop would wait for that.
///
/// # Errors
/// Names what still runs, or that kubelet may start it again. What could be stopped is.
pub async fn stop_serving(cri_socket: Option<&str>) -> Result<()> {
    tracing::warn!("stopping kubelet and what it has started");
    let kubelet = unit::stop(KUBELET).await;
    let end = Instant::now() + LONGEST;
    loop {
        let left = stop_containers(cri_socket).await;
        if left.is_empty() {
            return kubelet.context("stopped the control plane, but not kubelet, which starts it again");
        }
        if Instant::now() >= end {
            bail!("failed to stop the control plane on this machine: {} still run", left.join(", "));
        }
        sleep(INTERVAL).await;
    }
}

/// Starts kubelet again, and so what it had started, where this stopped it and what runs here turned out to be the cluster.
///
/// # Errors
/// systemd does not answer or refuses.
pub async fn serve_again() -> Result<()> {
    match unit::arm(KUBELET).await? {
        Armed::Queued => tracing::warn!("started kubelet again: this machine's cluster is the record's"),
        Armed::Already | Armed::NotInstalled => {}
    }
    Ok(())
}

/// Ends the programs of the control plane, which kubelet starts again: a container sees the folder that was there when it began, also
/// where that was removed and made anew.
pub fn restart_containers() {
    let ended = kill_processes(Path::new("/proc"));
    if !ended.is_empty() {
        tracing::warn!("ended {}, which kubelet starts again with the files that were made anew", ended.join(", "));
    }
}

/// Orders everything to stop, once; what comes back is what was still there.
async fn stop_containers(cri_socket: Option<&str>) -> Vec<String> {
    let mut left = Vec::new();
    for socket in runtime::chosen(cri_socket) {
        match stop_by_runtime(Path::new(socket)).await {
            Ok(containers) => left.extend(containers.into_iter().map(|id| format!("container {id}"))),
            // The processes themselves are looked for next, with or without a runtime.
            Err(failed) => tracing::debug!("failed to stop containers by crictl: {failed}"),
        }
    }
    left.extend(kill_processes(Path::new("/proc")));
    left
}

async fn stop_by_runtime(socket: &Path) -> Result<Vec<String>, ProcessFailed> {
    let running = runtime::crictl(socket, ["ps", "--quiet"]).deadline(CALL).run().await?;
    let containers = container_ids(&running.stdout);
    if !containers.is_empty() {
        runtime::crictl(socket, stop_args(&containers)).deadline(CALL).run().await?;
    }
    Ok(containers)
}

/// The arguments of crictl that end these containers without asking them first.
fn stop_args(containers: &[String]) -> Vec<String> {
    ["stop", "--timeout", "0"].map(str::to_owned).into_iter().chain(containers.iter().cloned()).collect()
}

/// Reads the answer of `crictl ps --quiet`: an ID a line.
fn container_ids(stdout: &str) -> Vec<String> {
    let is_id = |line: &&str| !line.is_empty() && line.bytes().all(|byte| byte.is_ascii_alphanumeric());
    stdout.lines().map(str::trim).filter(is_id).map(str::to_owned).collect()
}

/// Kills the programs of a control plane that run in pods; what comes back is what was there.
fn kill_processes(proc: &Path) -> Vec<String> {
    let processes = fs::read_dir(proc).into_iter().flatten().flatten();
    let numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    numbers.filter_map(|number| kill_if_serving(proc, number)).collect()
}

/// The process is held before it is looked at: the number may be somebody else's by the time of the signal.
fn kill_if_serving(proc: &Path, number: i32) -> Option<String> {
    let held = pidfd_open(Pid::from_raw(number)?, PidfdFlags::empty()).ok()?;
    let name = serving(&proc.join(number.to_string()))?;
    // One that is gone meanwhile is what was wanted; one that cannot be killed is there at the next look.
    let _ = pidfd_send_signal(held, Signal::KILL);
    Some(format!("{name} (process {number})"))
}

/// The name of the program, if this process is one of a control plane and runs in a pod.
fn serving(process: &Path) -> Option<&'static str> {
    let read = |name: &str| fs::read(process.join(name)).ok();
    let name = program(&read("cmdline")?)?;
    is_in_pod(&String::from_utf8_lossy(&read("cgroup")?)).then_some(name)
}

/// The program of a control plane that a command line starts, by the last part of its path.
fn program(command: &[u8]) -> Option<&'static str> {
    let first = command.get(..COMMAND_LIMIT.min(command.len()))?.split(|byte| *byte == 0).next()?;
    let name = first.rsplit(|byte| *byte == b'/').next()?;
    PROGRAMS.into_iter().find(|program| program.as_bytes() == name)
}

/// Reads `/proc/PID/cgroup`: lines `ID:CONTROLLERS:PATH`.
fn is_in_pod(cgroups: &str) -> bool {
    let paths = cgroups.lines().filter_map(|line| line.splitn(3, ':').nth(2));
    paths.flat_map(|path| path.split('/')).any(|part| part.starts_with(PODS))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Child, Command};

    #[test]
    fn containers_are_ended_without_being_asked() {
        let containers = container_ids("0a1b\n 2c3d \n\nWARN[0000] runtime connect using default endpoints\n");
        assert_eq!(containers, ["0a1b", "2c3d"]);
        assert_eq!(stop_args(&containers), ["stop", "--timeout", "0", "0a1b", "2c3d"]);
    }

    #[test]
    fn only_a_control_plane_in_pods_is_meant() {
        let rows: [(&[u8], Option<&str>); 6] = [
            (b"etcd\0--name=n\0", Some("etcd")),
            (b"/usr/local/bin/kube-apiserver\0--v=2\0", Some("kube-apiserver")),
            (b"kube-controller-manager\0", Some("kube-controller-manager")),
            (b"etcdctl\0snapshot\0", None),
            (b"grep\0etcd\0", None),
            (b"", None),
        ];
        for (command, expected) in rows {
            assert_eq!(program(command), expected, "{}", String::from_utf8_lossy(command));
        }
        for cgroup in [
            "0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1.slice/cri-containerd-0a.scope\n",
            "12:cpu:/system.slice\n1:name=systemd:/kubepods/burstable/pod1/0a\n",
        ] {
            assert!(is_in_pod(cgroup), "{cgroup}");
        }
        for cgroup in ["0::/system.slice/etcd.service\n", "0::/user.slice/not-kubepods\n", "", "kubepods"] {
            assert!(!is_in_pod(cgroup), "{cgroup}");
        }
    }

    struct Ended(Child);

    impl Drop for Ended {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    /// A process of our own, as a made-up `/proc` tells of it.
    fn told(proc: &Path, command: &str, cgroup: &str) -> Result<Ended> {
        let child = Ended(Command::new("sleep").arg("60").spawn()?);
        let folder = proc.join(child.0.id().to_string());
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("cmdline"), format!("{command}\0"))?;
        fs::write(folder.join("cgroup"), format!("0::{cgroup}\n"))?;
        Ok(child)
    }

    #[test]
    fn what_serves_is_killed_and_nothing_else() -> Result<()> {
        let proc = tempfile::tempdir()?;
        let mut serving = told(proc.path(), "etcd", "/kubepods.slice/x")?;
        let mut own = told(proc.path(), "etcd", "/system.slice/etcd.service")?;
        let mut other = told(proc.path(), "app", "/kubepods.slice/x")?;
        fs::write(proc.path().join("uptime"), "")?;
        assert_eq!(kill_processes(proc.path()), [format!("etcd (process {})", serving.0.id())]);
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&serving.0.wait()?), Some(9));
        assert_eq!((own.0.try_wait()?, other.0.try_wait()?), (None, None));
        assert!(kill_processes(proc.path()).is_empty(), "it is gone, whatever was told of it");
        Ok(())
    }
}

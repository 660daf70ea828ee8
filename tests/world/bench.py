"""`dev/bench`: the figures that are promised, measured, each beside its bound."""

import argparse
import json
import math
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from . import build, lifetime, loads
from .client import wait_until
from .control import WorldError, ask
from .figures import CLAIM_BOUND, LEAVE_BOUND, OWN_BOUND, REPLACE_BOUND
from .journal import read
from .options import Options

ABOUT = """Builds kubeboot for release and measures: how large it is, what a waiting `kubeboot up` and an idle agent cost, how long
the demo takes beside the stand-in's own time, how long a machine takes to leave for its terminate hook, whether exactly one node
initialises while every core is busy, and what waiting workers ask for. Prints a table; exit code 1 if a figure is beyond its bound."""

SIZE_BOUND = 15.0  # MiB, stripped
CPU_BOUND = 1.0  # per cent of a core, while waiting
MEMORY_BOUND = 25.0  # MiB at the peak, while waiting
AGENT_CPU_BOUND = 0.5  # per cent of a core, by an agent while nothing happens
AGENT_MEMORY_BOUND = 20.0  # MiB at the peak
CALLS_BOUND = 1.5  # to AWS in a minute, by an agent while nothing happens
# A thousand requests for certificates, in seconds: a hundred each second.
DECIDE_BOUND = 10.0
# The busiest second, in means. Where there are fewer in a second, a few that meet are a multiple of the mean.
PEAK_BOUND, MANY = 3.0, 10
# Seconds between two looks of a worker, on average: a mean that is further from what follows is that of a computer that is too busy.
LOOK_INTERVAL, BUSY = 4.0, 0.2
# Of snapshots: wide bounds, which are not taken from measurements.
SNAPSHOT_MEMORY = 100.0  # MiB at the peak, whatever the size of the database
SNAPSHOT_SECONDS, SNAPSHOT_RATE = 5.0, 20.0  # so long at most, and a second more for so many MB
# Values of a megabyte, of which half is left when they are compressed.
FILL = """set -e
pki=/etc/kubernetes/pki/etcd
for i in $(seq {count}); do
    head -c 500000 /dev/urandom | od -An -v -tx1 | tr -d ' \\n' | ETCDCTL_API=3 etcdctl \\
        --endpoints "https://$STANDIN_ADDRESS:2379" --cacert $pki/ca.crt --cert $pki/healthcheck-client.crt \\
        --key $pki/healthcheck-client.key put /bench/$i >/dev/null
done"""
# Its peak, looked at until it ends; the exit code is its own.
PEAK = """{command} >/dev/null & pid=$!; peak=0
while found=$(grep VmHWM /proc/$pid/status 2>/dev/null); do peak=${{found#*:}}; sleep 0.02; done
wait $pid || exit $?
echo ${{peak%kB}}"""
LOG_SECONDS, DEMO_SECONDS = 120.0, 600.0


@dataclass(frozen=True)
class Figure:
    """One line of the table. `bound` is what `value` must stay below."""

    name: str
    value: float
    bound: float
    unit: str

    @property
    def kept(self) -> bool:
        return self.value < self.bound

    def __str__(self) -> str:
        figure = f"{self.name:<58}{self.value:>9.2f} {self.unit:<4}"
        if math.isinf(self.bound):
            return figure.rstrip()
        return f"{figure} below {self.bound:<6g} {'met' if self.kept else 'MISSED'}"


def main() -> int:
    options = argparse.ArgumentParser(prog="dev/bench", description=ABOUT)
    options.add_argument("--binary", type=Path, help="measure this one instead of building one")
    options.add_argument("--only", choices=list(FIGURES), help="these figures alone")
    options.add_argument("--runs", type=int, default=10, metavar="N", help="demos of each kind (default: 10)")
    options.add_argument("--megabytes", type=int, default=100, help="how large a database is saved (default: 100)")
    options.add_argument("--seconds", type=float, default=60.0, help="how long each wait is watched (default: 60)")
    arguments = options.parse_args()
    if arguments.binary:
        os.environ["KUBEBOOT_BINARY"] = str(arguments.binary.absolute())
    # What workers ask for is counted in the binary of the unit tests.
    if arguments.only != "workers" and (code := build.build()):
        return code
    # Ended from outside, it ends its worlds and the loops that keep the cores busy, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    kept = True
    try:
        for name in [arguments.only] if arguments.only else FIGURES:
            of_size = {"megabytes": arguments.megabytes} if name == "snapshot" else {}
            for figure in FIGURES[name](arguments.runs, arguments.seconds, **of_size):
                print(figure, flush=True)
                kept = kept and figure.kept
    except (WorldError, RuntimeError, TimeoutError) as error:
        print(f"dev/bench: {error}", file=sys.stderr)
        return 1
    return 0 if kept else 1


def size(_runs: int, _seconds: float) -> Iterator[Figure]:
    yield Figure("size of the binary", build.binary().stat().st_size / 2**20, SIZE_BOUND, "MiB")


def waiting(_runs: int, seconds: float) -> Iterator[Figure]:
    for what, story in (("the group to settle", waits_for_the_group), ("the lease", waits_for_the_lease)):
        with tempfile.TemporaryDirectory(prefix="kubeboot-bench-") as folder, running(Path(folder), story) as node:
            cpu, memory = cost(process_of(Path(folder), node, "up"), seconds)
        yield Figure(f"processor time of `up` waiting for {what}", cpu, CPU_BOUND, "%")
        yield Figure(f"memory of `up` waiting for {what}", memory, MEMORY_BOUND, "MiB")


def agent(_runs: int, seconds: float) -> Iterator[Figure]:
    """An agent on one of three voters, to which nothing happens."""
    with tempfile.TemporaryDirectory(prefix="kubeboot-bench-") as name, running(Path(name), runs_agents) as node:
        folder = Path(name)
        before = calls(folder, node)
        cpu, memory = cost(process_of(folder, node, "agent"), seconds)
        asked = calls(folder, node) - before
    yield Figure("processor time of an idle agent", cpu, AGENT_CPU_BOUND, "%")
    yield Figure("memory of an idle agent", memory, AGENT_MEMORY_BOUND, "MiB")
    yield Figure("calls to AWS of an idle agent, each minute", asked * 60 / seconds, CALLS_BOUND, "")


def leave(runs: int, _seconds: float) -> Iterator[Figure]:
    owns = [left["own"] for demo in demos(runs, "--refresh") for left in demo["left"].values()]
    # One that never left took for ever.
    median = statistics.median(math.inf if own is None else own for own in owns)
    yield Figure(f"leaving for a terminate hook, median of {len(owns)}", median, LEAVE_BOUND, "s")


def whole(runs: int, _seconds: float) -> Iterator[Figure]:
    quiet = demos(runs)
    for key, name, bound in (("settled_to_claim", "from the settled group to the claim", CLAIM_BOUND),
                             ("own", "all that is not the stand-in's own time", OWN_BOUND)):  # fmt: skip
        median = statistics.median(demo["figures"][key] for demo in quiet)
        yield Figure(f"{name}, median of {runs} demos", median, bound, "s")


def replacement(runs: int, _seconds: float) -> Iterator[Figure]:
    owns = [joined["own"] for demo in demos(runs, "--replace") for joined in demo["joined"].values()]
    # One that never became a voter took for ever.
    median = statistics.median(math.inf if own is None else own for own in owns)
    yield Figure(f"a replacement's own time from boot to voter, median of {runs}", median, REPLACE_BOUND, "s")


def snapshot(_runs: int, _seconds: float, megabytes: int = 100) -> Iterator[Figure]:
    """`kubeboot snapshot save` and `verify` of a database, of which about half is left when it is compressed."""
    with tempfile.TemporaryDirectory(prefix="kubeboot-bench-") as name:
        folder = Path(name)
        try:
            lifetime.start(folder, Options(binary=str(build.binary()), nodes=1))
            ask(folder, "wait", timeout=LOG_SECONDS + 30, seconds=LOG_SECONDS)
            in_node(folder, FILL.format(count=megabytes))
            for command in ("save", "verify --latest"):
                begin = time.monotonic()
                peak = in_node(folder, PEAK.format(command=f"kubeboot snapshot {command}"))
                took, what = time.monotonic() - begin, f"snapshot {command} of {megabytes} MB"
                yield Figure(f"time of {what}", took, SNAPSHOT_SECONDS + megabytes / SNAPSHOT_RATE, "s")
                yield Figure(f"memory of {what}", int(peak.split()[-1]) / 1024, SNAPSHOT_MEMORY, "MiB")
        finally:
            lifetime.stop(folder)


def in_node(folder: Path, script: str) -> str:
    """What a script prints that runs on node 1."""
    command = [sys.executable, "-m", "world", "--dir", str(folder), "node", "1", "sh", "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEMO_SECONDS)
    if done.returncode:
        raise RuntimeError(f"a script failed on node 1: {done.stdout}{done.stderr}")
    return done.stdout


def workers(_runs: int, seconds: float) -> Iterator[Figure]:
    """What waiting workers ask of S3 and the API server, and how fast the leader decides their requests for certificates."""
    for seen in loads.waiting(math.ceil(seconds)):
        yield from waiting_workers(seen)
    for seen in loads.deciding():
        yield Figure(f"time to decide {seen['decided']} requests for certificates", seen["seconds"], DECIDE_BOUND, "s")


def waiting_workers(seen: dict) -> Iterator[Figure]:
    """Raises RuntimeError where this computer was too slow to be so many workers."""
    loops, mean = seen["loops"], seen["requests"] / seen["seconds"]
    expected = loops / LOOK_INTERVAL * (2 if seen["unchanged"] else 1)
    if mean >= MANY and abs(mean / expected - 1) > BUSY:
        raise RuntimeError(f"this computer is too busy: {loops} workers made {mean:.1f} requests a second, not {expected:.1f}")
    what = f"{loops} workers, {seen['scene']}"
    yield Figure(f"requests to S3 a second, {what}", mean, math.inf, "")
    yield busiest(seen["peak"], mean)
    yield Figure("  answered without a body", seen["unchanged"] / seen["seconds"], math.inf, "")
    beats = seen["heartbeats"] / seen["seconds"]
    yield Figure("  heartbeats of the launch hook a second", beats, math.inf, "")
    yield busiest(seen["heartbeat_peak"], beats)
    yield Figure("  calls of the API server", seen["api_server"], 1, "")


def busiest(peak: int, mean: float) -> Figure:
    return Figure("  in the busiest second", peak, PEAK_BOUND * mean if mean >= MANY else math.inf, "")


def busy(runs: int, _seconds: float) -> Iterator[Figure]:
    with busy_cores():
        wrong = sum(demo["inits"] != 1 or not demo["right"] for demo in demos(runs))
    yield Figure(f"demos of {runs} without exactly one init, every core busy", wrong, 1, "")


# What is measured, in this order; each yields its figures as soon as they are known.
FIGURES = {
    "size": size, "waiting": waiting, "agent": agent, "demo": whole, "replacement": replacement, "leave": leave,
    "snapshot": snapshot, "busy": busy, "workers": workers,
}  # fmt: skip


@contextmanager
def running(folder: Path, story: Callable[[Path], str]) -> Iterator[str]:
    """A world in which one node waits; gives that node."""
    try:
        yield story(folder)
    finally:
        lifetime.stop(folder)


def waits_for_the_group(folder: Path) -> str:
    lifetime.start(folder, Options(binary=str(build.binary()), nodes=1, desired=2))
    until_logged(folder, "1", "waiting for the group to settle")
    return "1"


def waits_for_the_lease(folder: Path) -> str:
    """Node 1 is the cluster, node 2 holds the lease and never gets anywhere, node 3 waits."""
    settings = {"expected_size": "1", "settle_timeout": "1s"}
    lifetime.start(folder, Options(binary=str(build.binary()), nodes=3, up=False, settings=settings))
    ask(folder, "run", nodes=["1"])
    ask(folder, "wait", timeout=LOG_SECONDS + 30, seconds=LOG_SECONDS, nodes=["1"])
    ask(folder, "standin_fault", node="2", fault=json.dumps({"join": {"after": "kubelet-start", "hang": True}}))
    ask(folder, "run", nodes=["2"])
    until_logged(folder, "2", "holds the membership lease")
    ask(folder, "run", nodes=["3"])
    until_logged(folder, "3", "waiting for the membership lease")
    return "3"


def runs_agents(folder: Path) -> str:
    """Three voters whose agents have asked the group for the first time."""
    settings = {"terminate_hook": "leave"}
    options = Options(binary=str(build.binary()), nodes=3, terminate_hook="leave", agents=True, settings=settings)
    lifetime.start(folder, options)
    ask(folder, "wait", timeout=LOG_SECONDS + 30, seconds=LOG_SECONDS)
    until_logged(folder, "2", "the group says InService", "kubeboot-agent.log")
    return "2"


def calls(folder: Path, node: str) -> int:
    """How many requests to AWS a machine has made so far; its own metadata service is none."""
    instance = machine(folder, node).name
    return sum(line["node"] == instance for line in read(folder / "requests.jsonl"))


def until_logged(folder: Path, node: str, text: str, file: str = "kubeboot.log") -> None:
    log = machine(folder, node) / "disk/var/log" / file
    wait_until(lambda: log.exists() and text in log.read_text(encoding="utf-8"), LOG_SECONDS)


def machine(folder: Path, node: str) -> Path:
    """The folder of a machine of the world in `folder`."""
    return next(Path(n["folder"]) for n in ask(folder, "status")["nodes"] if str(n["index"]) == node)


def process_of(folder: Path, node: str, command: str) -> Path:
    """The entry in /proc of this command of `kubeboot` on a machine: in its PID namespace, under its name."""
    init = (machine(folder, node) / "pid").read_text().strip()
    space = os.readlink(f"/proc/{init}/ns/pid")
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and os.readlink(entry / "ns/pid") == space:
                if (entry / "cmdline").read_bytes().startswith(f"kubeboot\0{command}\0".encode()):
                    return entry
        except OSError:
            continue  # it has just ended
    raise RuntimeError(f"'kubeboot {command}' of node {node} does not run any more: see {folder}")


def cost(process: Path, seconds: float) -> tuple[float, float]:
    """Per cent of a core over the next `seconds`, and MiB of memory at the peak since the process began."""
    before, begin = ticks(process), time.monotonic()
    time.sleep(seconds)
    used = (ticks(process) - before) / os.sysconf("SC_CLK_TCK")
    peak = next(line for line in (process / "status").read_text().splitlines() if line.startswith("VmHWM:"))
    return 100 * used / (time.monotonic() - begin), int(peak.split()[1]) / 1024


def ticks(process: Path) -> int:
    """Processor time so far, in clock ticks."""
    fields = (process / "stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def demos(runs: int, *options: str) -> list[dict]:
    """The outcomes of so many demos, of three nodes unless told otherwise. Raises RuntimeError for one that has none."""
    found = []
    for _ in range(runs):
        command = [sys.executable, "-m", "world.demo", "--json", *options]
        done = subprocess.run(command, capture_output=True, text=True, timeout=DEMO_SECONDS)
        if not done.stdout:
            raise RuntimeError(f"a demo gave no outcome: {done.stderr}")
        found.append(json.loads(done.stdout))
    return found


@contextmanager
def busy_cores() -> Iterator[None]:
    """Keeps every core busy with something else."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count() or 1)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


if __name__ == "__main__":
    sys.exit(main())

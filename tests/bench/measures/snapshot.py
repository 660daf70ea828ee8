"""Saving etcd, and reading it back."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from .. import worlds
from ..figure import Figure
from ..plan import Plan

ABOUT = """`kubeboot snapshot save` and `verify` of a database of so many MB, of which about half is left when it is compressed, to the stand-in
for S3: time and memory at the peak. It may take 5 s and one more for each 20 MB; these bounds are wide, and not taken from measurements."""

# So long at most, and a second more for so many MB.
ALLOWED_SECONDS, ALLOWED_RATE = 5.0, 20.0
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


def measure(plan: Plan) -> Iterator[Figure]:
    with worlds.world(nodes=1) as folder:
        worlds.until_up(folder)
        in_node(folder, FILL.format(count=plan.megabytes))
        for command in ("save", "verify --latest"):
            begin = time.monotonic()
            peak = in_node(folder, PEAK.format(command=f"kubeboot snapshot {command}"))
            took, what = time.monotonic() - begin, f"snapshot {command} of {plan.megabytes} MB"
            yield Figure.one("snapshot.time", "time", "s", took, of=what)
            yield Figure.one("snapshot.share", "time, in that which it may take", "times", took / may_take(plan.megabytes), of=what)
            yield Figure.one("snapshot.memory", "memory", "MiB", int(peak.split()[-1]) / 1024, of=what)


def may_take(megabytes: int) -> float:
    """Seconds."""
    return ALLOWED_SECONDS + megabytes / ALLOWED_RATE


def in_node(folder: Path, script: str) -> str:
    """What a script prints that runs on node 1."""
    command = [sys.executable, "-m", "world", "--dir", str(folder), "node", "1", "sh", "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=worlds.DEMO_SECONDS)
    if done.returncode:
        raise RuntimeError(f"a script failed on node 1: {done.stdout}{done.stderr}")
    return done.stdout

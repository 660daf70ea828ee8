"""Runs a command and says what it cost, as JSON; for a machine of the emulated world, with nothing but Python's own library.

usage: meter.py [--programs] COMMAND...
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time


def main(argv):
    programs = argv[:1] == ["--programs"]
    command = argv[programs:]
    with tempfile.NamedTemporaryFile("r", encoding="utf-8", errors="replace") as trace:
        strace = ["strace", "-f", "-qq", "-e", "trace=execve", "-o", trace.name, "--"]
        begin = time.monotonic()
        done = subprocess.run([*(strace if programs else []), *command], capture_output=True, text=True)
        wall = time.monotonic() - begin
        # Of all descendants that were waited for; the memory is that of the largest.
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        started = {line.split()[0] for line in trace if "execve" in line and line.rstrip().endswith("= 0")}
    json.dump({
        "exit": done.returncode, "stdout": done.stdout, "stderr": done.stderr, "wall": wall, "cpu": used.ru_utime + used.ru_stime,
        "peak": used.ru_maxrss / 1024, "floor": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, "programs": len(started),
    }, sys.stdout)  # fmt: skip


if __name__ == "__main__":
    os.environ.pop("PYTHONPATH", None)
    main(sys.argv[1:])

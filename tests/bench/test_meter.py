"""What a command costs, and what it runs: by commands of which that is known."""

import json
import shutil
import subprocess
import sys

import pytest

from .metering import METER
from .recorded import ANSWERS, FOLDER


def metered(*arguments: str) -> dict:
    done = subprocess.run([sys.executable, "-I", "-S", str(METER), *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_command_is_told_with_its_time_and_its_word():
    said = metered("sh", "-c", "sleep 0.3; echo out; echo err >&2; exit 7")
    assert (said["exit"], said["stdout"], said["stderr"]) == (7, "out\n", "err\n")
    assert 0.3 <= said["wall"] < 30 and said["cpu"] < 0.3, "sleeping takes no processor"


def test_the_processor_time_of_children_counts():
    busy = "sh -c 'i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done'"
    assert metered("sh", "-c", f"{busy}; {busy}")["cpu"] > 0.05


def test_memory_is_that_of_the_largest():
    wanted = 100 * 2**20
    small, large = metered("true"), metered(sys.executable, "-c", f"held = bytearray({wanted})")
    assert large["peak"] > 100 > small["peak"]


@pytest.mark.skipif(not shutil.which("strace"), reason="tests/bench/setup installs strace")
def test_programs_are_processes_that_became_one():
    # The shell and two more; the subshell starts none, what exec becomes is the same process, and what cannot be run is no program.
    said = metered("--programs", "sh", "-c", "/bin/true; (:); sh -c 'exec /bin/true'; /etc/passwd; exit 0")
    assert said["programs"] == 3 and said["exit"] == 0


def test_a_program_is_asked_once_and_answers_the_same(tmp_path):
    here, there = tmp_path / "recorded", tmp_path / "real"
    (here / "said").mkdir(parents=True)
    there.mkdir()
    answers, real = here / "kubeadm", there / "kubeadm"
    answers.write_text(ANSWERS.replace(FOLDER, str(here)))
    real.write_text(f'#!/bin/sh\necho asked >>{tmp_path}/times\n[ "$1" != fails ] || exit 3\necho "$@"\n')
    for program in (answers, real):
        program.chmod(0o755)
    run = lambda *words: subprocess.run(["kubeadm", *words], capture_output=True, text=True, env={"PATH": f"{here}:{there}:/usr/bin:/bin"})
    for _ in range(3):
        assert run("version", "-o", "a/b").stdout == "version -o a/b\n"
    assert run("version").stdout == "version\n", "other words are another question"
    assert run("fails").returncode == 3 and run("fails").returncode == 3
    assert (tmp_path / "times").read_text().count("asked") == 4

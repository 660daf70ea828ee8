"""Tools that people run by themselves: tflint where it is installed, and the hooks of pre-commit."""

import re
import shutil
import subprocess

import hcl2
import pytest
import yaml

from example import EXAMPLE, PROJECT

# Those that are none of the project's own.
INSTALLED = {"cargo", "terraform", "tflint"}


def test_tflint_finds_nothing():
    if not shutil.which("tflint"):
        pytest.skip("tflint is not installed")
    done = subprocess.run(["tflint", f"--chdir={EXAMPLE}", "--recursive"], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


def test_tflint_is_told_what_to_look_at():
    (config,) = hcl2.loads((EXAMPLE / ".tflint.hcl").read_text())["config"]
    assert config["call_module_type"].strip('"') == "local"


def hooks() -> list[dict]:
    config = yaml.safe_load((PROJECT / ".pre-commit-config.yaml").read_text())
    return [hook for repo in config["repos"] for hook in repo["hooks"]]


@pytest.mark.parametrize("hook", hooks(), ids=lambda one: one["id"])
def test_a_hook_runs_something_that_there_is_for_files_that_there_are(hook):
    command, *words = hook["entry"].split()
    if command in INSTALLED:
        assert all((PROJECT / word).exists() for word in words if "/" in word or word == "terraform-example")
    else:
        assert (PROJECT / command).stat().st_mode & 0o100
    if command == "dev/test":
        assert f"\nrun-{words[0]}() {{\n" in (PROJECT / "dev/test").read_text()
    listed = subprocess.run(["git", "ls-files"], cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    assert any(re.search(hook["files"], file) for file in listed.splitlines()), "no file has this name"

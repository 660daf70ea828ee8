"""Every block of the pages says what it is and holds it: commands are run, settings read, documents parsed."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from .blocks import COMMANDS, OTHERS, PROJECT, Block, Command, blocks, pages, unfenced

ALL = [block for page in pages() for block in blocks(page)]
COMMAND_SECONDS = 120.0

# What the steps of dev/test do themselves begins with one of these.
GATE = ("dev/", "bash .ci/", "cargo ")


def of(*kinds: str) -> list:
    """The blocks of these kinds, as parameters of a test."""
    return [pytest.param(block, id=block.name) for block in ALL if block.kind in kinds]


def commands(*kinds: str) -> list:
    """The commands in blocks of these kinds."""
    return [pytest.param(command, id=f"{block.name}-{at}") for block in ALL if block.kind in kinds
            for at, command in enumerate(block.commands, start=1)]  # fmt: skip


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_every_block_says_what_it_is(page: Path):
    unknown = [f"{block.name}: '{block.kind}'" for block in blocks(page) if block.kind not in COMMANDS + OTHERS]
    assert not unknown, f"blocks of no kind that CONTRIBUTING.md knows: {unknown}"
    assert not unfenced(page), f"{page.name}: lines that begin a block without a fence: {unfenced(page)}"
    empty = [block.name for block in blocks(page) if block.kind in COMMANDS and not block.commands]
    assert not empty, f"no line begins with '$ ': {empty}"


@pytest.mark.parametrize("command", commands("console"))
def test_a_command_runs_in_the_project(command: Command, binary: Path):
    env = {**os.environ, "KUBEBOOT_BINARY": str(binary), "PATH": f"{binary.parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-euc", command.text], cwd=PROJECT, env=env, capture_output=True, text=True, timeout=COMMAND_SECONDS
    )
    assert done.returncode == command.code, f"exit code {done.returncode}\n{done.stdout}{done.stderr}"


@pytest.mark.parametrize("command", commands("console world"))
def test_a_command_runs_on_a_machine(command: Command, group):
    done = group.run("bash", "-euc", command.text, seconds=COMMAND_SECONDS)
    assert done.returncode == command.code, f"exit code {done.returncode}\n{done.stdout}{done.stderr}"


@pytest.mark.parametrize("command", commands("console gate"))
def test_a_command_of_the_gate_is_there(command: Command):
    # Variables may stand before it.
    text = re.sub(r"^([A-Z_]+=\S+ )+", "", command.text)
    assert text.startswith(GATE), f"no step of the gate runs '{command.text}'"
    program = next(word for word in command.words if "=" not in word and word != "bash")
    assert (PROJECT / program).exists() or shutil.which(program), f"there is no '{program}'"


@pytest.mark.parametrize("block", of("toml"))
def test_settings_are_read(block: Block, binary: Path, tmp_path: Path):
    file = tmp_path / "config.toml"
    file.write_text(block.text)
    # A page shows some of the settings; those without which nothing works come from here.
    given = {"bucket": "example", "cluster": "example", "endpoint": "api.example.internal:6443"}
    missing = {f"KUBEBOOT_{name.upper()}": value for name, value in given.items() if f"{name} =" not in block.text}
    env = {**missing, "PATH": os.environ["PATH"], "AWS_EC2_METADATA_DISABLED": "true"}
    checked = subprocess.run(
        [binary, "check", "--json", "--config", file], capture_output=True, text=True, timeout=60,
        env={**env, "AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://127.0.0.1:9"},
    )  # fmt: skip
    findings = [found for found in json.loads(checked.stdout)["findings"] if found["check"] == "settings"]
    wrong = [found["text"] for found in findings if found["verdict"] == "failed"]
    assert not wrong, wrong


@pytest.mark.parametrize("command", commands("console aws"))
def test_a_command_that_cannot_be_run_is_one(command: Command):
    read = subprocess.run(["bash", "-n"], input=command.text, capture_output=True, text=True, timeout=60)
    assert read.returncode == 0, read.stderr


@pytest.mark.parametrize("block", of("json", "yaml"))
def test_a_document_is_one(block: Block):
    if block.kind == "json":
        json.loads(block.text)
    else:
        assert list(yaml.safe_load_all(block.text))


def test_the_kinds_are_told():
    told = (PROJECT / "CONTRIBUTING.md").read_text()
    assert [kind for kind in COMMANDS + OTHERS if f"`{kind}`" not in told] == []

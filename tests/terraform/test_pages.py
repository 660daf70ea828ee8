"""docs/terraform.md and docs/getting-started.md: what they say of the example is so, and their commands run."""

import os
import re
from pathlib import Path

import pytest

from example import PROJECT, files, machine_actions, world_policies
from test_permissions import launch_hook, write_files

TERRAFORM, STARTED = PROJECT / "docs/terraform.md", PROJECT / "docs/getting-started.md"
BLOCK = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# How blocks of commands are marked: they need AWS, or run on a machine, as the test below does.
AWS, MACHINE = "sh aws", "sh machine"


def table(kind: str, file: str, *columns: str) -> str:
    """The page's table, made from the file."""
    rows = re.findall(rf'^{kind} "(\w+)" \{{\n  description = "([^\n]*)"\n(.*?)^\}}$', files()[file], re.M | re.S)
    lines = [f"| {' | '.join((kind, *columns))} | |", "|" + "---|" * (len(columns) + 2)]
    for name, description, rest in rows:
        cells = [f"`{name}`", *([_default(rest)] if columns else []), description.replace('\\"', '"')]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _default(rest: str) -> str:
    found = re.search(r"^  default *= (.*)$", rest, re.MULTILINE)
    if not found:
        return "must be given"
    return "" if found[1] == "null" else f"`{found[1]}`"


@pytest.mark.parametrize(
    ("heading", "made"),
    [
        ("## Variables", table("variable", "variables.tf", "default")),
        ("## Outputs", table("output", "outputs.tf")),
    ],
)
def test_the_page_has_every_variable_and_output(heading, made):
    page = TERRAFORM.read_text()
    found = re.search(rf"(?<=^{heading}\n\n)(?:\|.*\n)+", page, re.MULTILINE)
    if "UPDATE" in os.environ:
        page = page.replace(found[0], made)
        TERRAFORM.write_text(page)
    assert made in page, f"'{heading}' of docs/terraform.md differs from the example: run this test with UPDATE=1"


@pytest.mark.parametrize("page", [TERRAFORM, STARTED], ids=lambda page: page.name)
def test_every_block_of_commands_is_marked(page: Path):
    marks = [mark for mark, _ in BLOCK.findall(page.read_text())]
    assert marks and set(marks) <= {AWS, MACHINE, "toml"}, marks


def test_the_commands_for_a_machine_run_on_one(world, plan):
    (node,) = world.up("--nodes", "1", "--no-up", "--launch-hook", launch_hook(plan), **world_policies(plan))
    write_files(plan.user_data(), node)
    blocks = [
        body for page in (STARTED, TERRAFORM) for mark, body in BLOCK.findall(page.read_text()) if mark == MACHINE
    ]
    commands = {line for body in blocks for line in body.splitlines()}
    assert commands == {"kubeboot status", "kubeboot check", "kubeboot up --dry-run", "kubeboot up"}
    # In the order in which they succeed on a machine that is new.
    for command in ("kubeboot check", "kubeboot up --dry-run", "kubeboot up", "kubeboot status"):
        done = world.as_node("1", "sh", "-c", command)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"


def test_the_settings_by_hand_are_enough():
    (settings,) = [body for mark, body in BLOCK.findall(STARTED.read_text()) if mark == "toml"]
    names = re.findall(r"^(\w+) = ", settings, re.MULTILINE)
    page = (PROJECT / "docs/configuration.md").read_text()
    must = set(re.findall(r"^\| \[`(\w+)`\].*\| none: it must be given \|", page, re.MULTILINE))
    assert must | {"prefix"} == set(names)


def test_the_page_says_what_a_machine_may_do(plan):
    section = TERRAFORM.read_text().partition("## What a machine may do")[2].partition("\n## ")[0]
    assert set(re.findall(r"`(\w+:\w+)`", section)) == set(machine_actions(plan))

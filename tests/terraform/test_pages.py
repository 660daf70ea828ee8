"""What the pages say of the example is so. (tests/docs runs their commands.)"""

import os
import re
from pathlib import Path

import hcl2
import pytest

from docs.blocks import Block, blocks, pages
from example import COMPLETE, CONTROL_PLANE, PRIVATE, PROJECT, ROOTS, WORKERS, files, machine_actions, variables
from example import plan as evaluate

TERRAFORM, STARTED = PROJECT / "docs/terraform.md", PROJECT / "docs/getting-started.md"
SETTINGS = re.compile(r"^```toml\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def table(folder: Path, kind: str, *columns: str) -> str:
    """The page's table, made from the file."""
    return table_of(files(folder)[f"{kind}s.tf"], kind, *columns)


def table_of(text: str, kind: str, *columns: str) -> str:
    rows = re.findall(rf'^{kind} "(\w+)" \{{\n  description = "([^\n]*)"\n(.*?)^\}}$', text, re.M | re.S)
    assert len(rows) == f"\n{text}".count(f'\n{kind} "')
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


def table_of_the_rest() -> str:
    """What the module of workers takes besides what a group of the root has."""
    has = set(re.findall(r"^\| `(\w+)`", table_of_workers(), re.M))
    lines = table(WORKERS, "variable", "default").splitlines(True)
    return "".join(line for line in lines if not has & set(re.findall(r"^\| `(\w+)`", line)))


def table_of_workers() -> str:
    """What a group of workers takes: the attributes and defaults of the variable, the words of the module."""
    (group,) = re.findall(r'^variable "workers" \{.*?map\(object\(\{\n(.*?)^  \}\)\)', files(COMPLETE)["variables.tf"], re.M | re.S)
    words = variables(WORKERS)
    given = re.findall(r"^    (\w+) += optional\((?:[a-z]+(?:\([a-z]+\))?)(?:, (.*))?\)$", group, re.M)
    assert len(given) == len(group.splitlines())
    lines = ["| of a group | default | |", "|---|---|---|"]
    for name, default in given:
        cell = f"`{default}`" if default else "the control plane's"
        lines.append(f"| `{name}` | {cell} | {words[name].replace(chr(92) + chr(34), chr(34))} |")
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    ("heading", "made"),
    [
        ("## Variables", table(COMPLETE, "variable", "default")),
        ("### What the control plane takes", table(CONTROL_PLANE, "variable", "default")),
        ("## Outputs", table(CONTROL_PLANE, "output")),
        ("### What a group takes", table_of_workers()),
        ("### What the module of workers takes besides", table_of_the_rest()),
        ("### What the module of workers gives", table(WORKERS, "output")),
        ("### The root `private`", table(PRIVATE, "variable", "default")),
    ],
)
def test_the_page_has_every_variable_and_output(heading, made):
    page = TERRAFORM.read_text()
    found = re.search(rf"(?<=^{heading}\n\n)(?:\|.*\n)+", page, re.MULTILINE)
    if "UPDATE" in os.environ:
        page = page.replace(found[0], made)
        TERRAFORM.write_text(page)
    assert made in page, f"'{heading}' of docs/terraform.md differs from the example: run this test with UPDATE=1"


def test_a_group_has_the_modules_defaults():
    """What the root says of a group of which nothing is said, and what the module would."""
    theirs = dict(re.findall(r'^variable "(\w+)" \{\n(?:(?!^\}).*\n)*?  default += (.*)$', files(WORKERS)["variables.tf"], re.M))
    ours = re.findall(r"^\| `(\w+)` \| `(.*?)` \|", table_of_workers(), re.M)
    assert len(ours) > 10 and dict(ours) == {name: theirs[name] for name, _ in ours}


def test_a_root_says_of_its_outputs_what_the_module_says():
    told = re.compile(r'^output "(\w+)" \{\n  description = (".*")$', re.M)
    theirs = dict(told.findall(files(CONTROL_PLANE)["outputs.tf"]))
    for root in ROOTS:
        text = files(root)["outputs.tf"]
        ours = dict(told.findall(text))
        passed_on = set(re.findall(r"= module\.control_plane\.(\w+)$", text, re.M))
        assert ours.keys() - passed_on <= {"worker_groups"}
        assert {name: ours[name] for name in passed_on} == {name: theirs[name] for name in passed_on}


def test_the_settings_by_hand_are_enough():
    (settings,) = SETTINGS.findall(STARTED.read_text())
    names = re.findall(r"^(\w+) = ", settings, re.MULTILINE)
    page = (PROJECT / "docs/configuration.md").read_text()
    must = set(re.findall(r"^\| \[`(\w+)`\].*\| none: it must be given \|", page, re.MULTILINE))
    assert must | {"prefix"} == set(names)


def test_the_page_says_what_a_machine_may_do(plan):
    section = TERRAFORM.read_text().partition("## What a machine may do")[2].partition("\n## ")[0]
    assert set(re.findall(r"`(\w+:\w+)`", section)) == set(machine_actions(plan))


VALUES = [pytest.param(block, id=block.name) for page in pages() for block in blocks(page) if block.kind == "hcl"]


@pytest.mark.parametrize("block", VALUES)
def test_the_example_takes_the_values_of_a_page(block: Block):
    # Parsed by itself: what is no variable would else be left out without a word.
    named = {name for name in hcl2.loads(block.text) if not name.startswith("__")}
    unknown = named - (variables(COMPLETE) | variables(CONTROL_PLANE)).keys()
    assert named and not unknown, f"the example has no variable {unknown}"
    assert evaluate(block.text).broken() == []

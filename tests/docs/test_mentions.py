"""Nothing is documented that does not exist: commands, options, variables, exit codes.

What exists and is not documented is found by the tests beside the code (src/cli/page.rs, src/settings/page.rs,
src/exit.rs)."""

import re
from pathlib import Path

import pytest

from .blocks import COMMANDS, PROJECT, blocks, pages, prose

CODE = re.compile(r"`([^`\n]+)`")
FLAG = re.compile(r"(?<![\w-])--[a-z][a-z-]*")
VARIABLE = re.compile(r"\bKUBEBOOT_[A-Z_]+\b")
EXIT_CODE = re.compile(r"\bexit codes? (\d+)\b")

# Variables of the tests and the tools in dev/, and where each is read.
OF_THE_PROJECT = {
    "KUBEBOOT_BINARY": "tests/world/build.py",
    "KUBEBOOT_PROFILE": "dev/setup",
    "KUBEBOOT_STOP_AT": "src/node/point/stop.rs",
    "KUBEBOOT_WORLD": "tests/world/lifetime.py",
}

# Commands of the binary that is built to be killed.
OF_CRASH_POINTS = {"crash-points"}


def mentions(page: Path) -> list[str]:
    """What a page says in code: spans, and lines of blocks."""
    spans = [" ".join(span.split()) for span in CODE.findall(prose(page))]
    lines = [command.text for block in blocks(page) if block.kind in COMMANDS for command in block.commands]
    others = [line.strip() for block in blocks(page) if block.kind not in COMMANDS for line in block.text.splitlines()]
    return spans + lines + others


def calls(page: Path) -> list[list[str]]:
    """The words of every call of kubeboot on a page, without its name, up to a pipe or a comment."""
    found = [re.search(r"(?:^|[\s(])(?:/\S*/)?kubeboot (.*)", text) for text in mentions(page)]
    return [re.split(r"\s[|>#&;]|\s{2,}", match[1])[0].split() for match in found if match]


def wrong(words: list[str], helps: dict[str, str]) -> list[str]:
    """What a call says that kubeboot does not know."""
    named = next((word for word in words if re.fullmatch(r"[a-z][a-z-]+", word)), "")
    if named and words[0] == named and named not in helps and named not in OF_CRASH_POINTS:
        return [f"no command '{named}'"]
    after = words[words.index(named) + 1 :][:1] if named else []
    named = " ".join([named, *after]) if " ".join([named, *after]) in helps else named
    text = helps.get(named, helps[""])
    known = set(FLAG.findall(text)) | {"--help", "--version"}
    return [f"no option '{flag}' of '{named}'" for flag in FLAG.findall(" ".join(words)) if flag not in known]


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_every_call_is_one_that_kubeboot_takes(page: Path, helps):
    faults = [f"kubeboot {' '.join(words)}: {fault}" for words in calls(page) for fault in wrong(words, helps)]
    assert not faults


def test_a_wrong_call_is_seen(helps):
    assert wrong(["up", "--dry-run"], helps) == []
    assert wrong(["--config", "FILE", "status", "--json"], helps) == []
    assert wrong(["snapshot", "list", "--json"], helps) == []
    assert wrong(["snapshot", "save", "--json"], helps) == ["no option '--json' of 'snapshot save'"]
    assert wrong(["down"], helps) == ["no command 'down'"]
    assert wrong(["status", "--dry-run"], helps) == ["no option '--dry-run' of 'status'"]


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_every_variable_is_one_that_somebody_reads(page: Path, helps):
    settings = set(VARIABLE.findall(helps["up"])) | {"KUBEBOOT_CONFIG"}
    for name in set(VARIABLE.findall(page.read_text())) - settings:
        assert name in OF_THE_PROJECT, f"nobody reads '{name}'"
        assert name in (PROJECT / OF_THE_PROJECT[name]).read_text()


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_every_exit_code_is_one(page: Path):
    table = re.findall(r"^\| `(\d+)` \|", (PROJECT / "docs/exit-codes.md").read_text(), re.M)
    assert set(EXIT_CODE.findall(page.read_text())) <= set(table)

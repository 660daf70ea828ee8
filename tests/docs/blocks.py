"""The fenced blocks of the pages, and what each says it is. The kinds are told in CONTRIBUTING.md."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).parent.parent.parent

# What a block may be: commands, by where they can be run, and everything else.
COMMANDS = ("console", "console world", "console gate", "console aws")
OTHERS = ("toml", "json", "yaml", "hcl", "text")

FENCE = re.compile(r"^( *)```(.*)$")
# Four blanks after an empty line make a block without a fence, unless it goes on with an item of a list.
INDENTED = re.compile(r"^(    |\t)\S")
ITEM = re.compile(r"^\s*([-*]|\d+\.) ")
EXITS = re.compile(r"\s+# exit code (\d+)$")


@dataclass(frozen=True)
class Command:
    """One line after a `$ `, and the exit code that it ends with."""

    text: str
    code: int = 0

    @classmethod
    def read(cls, line: str) -> "Command":
        if said := EXITS.search(line):
            return cls(line[: said.start()], int(said[1]))
        return cls(line)

    @property
    def words(self) -> list[str]:
        """Its words up to a pipe or the like, without a comment."""
        lexer = shlex.shlex(self.text, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        words = list(lexer)
        ends = [at for at, word in enumerate(words) if set(word) <= set("|&;<>")]
        return words[: min(ends, default=len(words))]


@dataclass(frozen=True)
class Block:
    """A fenced block: its page, its first line's number, its kind and its text."""

    page: Path
    line: int
    kind: str
    text: str

    @property
    def name(self) -> str:
        return f"{self.page.relative_to(PROJECT)}:{self.line}"

    @property
    def commands(self) -> list[Command]:
        """The lines after a `$ `; one that ends in a backslash goes on in the next."""
        joined = self.text.replace("\\\n", " ")
        return [Command.read(line[2:]) for line in joined.splitlines() if line.startswith("$ ")]


def pages() -> list[Path]:
    """The pages whose commands are held against the program."""
    return [PROJECT / "README.md", PROJECT / "CONTRIBUTING.md", *sorted((PROJECT / "docs").glob("*.md"))]


def blocks(page: Path) -> list[Block]:
    """All fenced blocks of a page."""
    return [Block(page, *found) for found in _parse(page.read_text(encoding="utf-8"))[0]]


def prose(page: Path) -> str:
    """What stands outside of the blocks."""
    return "\n".join(_parse(page.read_text(encoding="utf-8"))[1])


def unfenced(page: Path) -> list[int]:
    """The numbers of lines that begin a block without a fence: nobody can say what it is."""
    lines = _parse(page.read_text(encoding="utf-8"))[1]
    in_list, found = False, []
    for at, line in enumerate(lines):
        in_list = bool(ITEM.match(line)) or (in_list and (not line.strip() or line.startswith(" ")))
        if INDENTED.match(line) and not in_list and at and not lines[at - 1].strip():
            found.append(at + 1)
    return found


def _parse(text: str) -> tuple[list[tuple[int, str, str]], list[str]]:
    """The blocks, and the lines with each block's left empty."""
    found, outside, opened = [], [], None
    for number, line in enumerate(text.splitlines(), start=1):
        fence = FENCE.match(line)
        if fence and opened is None:
            opened = (number, len(fence[1]), fence[2].strip(), [])
        elif fence:
            begun, _, kind, inside = opened
            found.append((begun, kind, "\n".join(inside) + "\n"))
            opened = None
        elif opened:
            opened[3].append(line[opened[1] :])
        outside.append(line if not fence and opened is None else "")
    assert opened is None, f"the block that begins in line {opened and opened[0]} has no end"
    return found, outside

"""What was measured, as JSON: of each measure its figures, and when, of which binary and how they were got."""

import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path

from .figure import Figure

SCHEMA = 1
# Of a measure that takes the binary of the library's tests.
OF_TESTS = "tests of the library"


class ResultsError(Exception):
    """A file of results that cannot be used, in words for people."""


@dataclass
class Taken:
    """The figures of one measure. `binary` is the profile that it was built with, or where it came from."""

    date: str
    commit: str
    binary: str
    figures: list[Figure]


@dataclass
class Results:
    """All measures that were taken on one `computer`, with the same `versions` of what is around kubeboot."""

    computer: dict[str, str]
    versions: dict[str, str]
    measures: dict[str, Taken] = field(default_factory=dict)

    def to_json(self) -> str:
        """Infinity is no JSON: a run that never ended is null."""
        whole = {"schema": SCHEMA, **asdict(self)}
        for taken in whole["measures"].values():
            for figure in taken["figures"]:
                figure["values"] = [value if math.isfinite(value) else None for value in figure["values"]]
        return json.dumps(whole, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Results":
        """Raises ResultsError for what is of no known shape."""
        try:
            whole = json.loads(text)
            if whole["schema"] != SCHEMA:
                raise ResultsError(f"its schema is {whole['schema']}, not {SCHEMA}")
            measures = {name: _taken(taken) for name, taken in whole["measures"].items()}
            return cls(whole["computer"], whole["versions"], measures)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ResultsError(f"it is of no known shape: {error!r}") from error

    def merged_into(self, path: Path) -> "Results":
        """These, and of the measures that were not taken now those in the file at `path`. Raises ResultsError if that is of another
        computer, or beside other versions: such figures cannot stand in one table."""
        if not path.exists():
            return self
        earlier = read(path)
        for what, mine, theirs in (("computer", self.computer, earlier.computer), ("versions", self.versions, earlier.versions)):
            if mine != theirs:
                raise ResultsError(f"'{path}' has other {what}: {theirs}, not {mine}. Move it away, and measure everything")
        return Results(self.computer, self.versions, {**earlier.measures, **self.measures})


def read(path: Path) -> Results:
    """Raises ResultsError that names the file."""
    try:
        return Results.from_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ResultsError(f"failed to read '{path}': {error.strerror}") from error
    except ResultsError as error:
        raise ResultsError(f"'{path}' cannot be used: {error}") from error


def _taken(taken: dict) -> Taken:
    figures = [_figure(figure) for figure in taken["figures"]]
    return Taken(taken["date"], taken["commit"], taken["binary"], figures)


def _figure(figure: dict) -> Figure:
    values = tuple(math.inf if value is None else float(value) for value in figure["values"])
    if not values:
        raise ValueError(f"'{figure['id']}' has no values")
    return Figure(**{**figure, "values": values})

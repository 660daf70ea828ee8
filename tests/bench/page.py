"""`docs/benchmarks.md` and its pictures, made from the results: nobody writes a figure by hand."""

from pathlib import Path

from . import bars
from .bounds import PROMISED
from .figure import Bound, Figure, number
from .results import OF_TESTS, Results, Taken

PICTURES, JSON, PAGE = "benchmarks", "benchmarks.json", "benchmarks.md"
HEAD = """# Benchmarks

What kubeboot costs, measured beside what people use today: `dev/bench` measures it, and writes this page, its pictures and
[the figures for programs](benchmarks.json). Nothing here is written by hand, and nothing is estimated.

```console gate
$ dev/bench                    # everything, with the release binary: hours
$ dev/bench --only decision    # one measure; --list names them
$ dev/bench --check            # ratios and counts alone, in less than a minute: a step of the gate
```
"""
NOT_RELEASED = "**These figures are not those of a release binary**, and are no promise of anything."


def write(folder: Path, results: Results, about: dict[str, str], before: Results | None = None) -> list[Path]:
    """Writes page, pictures and JSON into `folder`, and returns the files. `about` says of each measure how it is got; `before` are
    results of an earlier version, whose figures stand beside these."""
    pictures = folder / PICTURES
    pictures.mkdir(parents=True, exist_ok=True)
    files = {folder / JSON: results.to_json(), folder / PAGE: text(results, about, before)}
    for name, taken in results.measures.items():
        for title, figures in _plots(taken).items():
            rows = [(_bar(figure, figures), figure.value) for figure in figures]
            files[pictures / _picture(name, title)] = bars.svg(title, figures[0].unit, rows)
    for path, content in files.items():
        path.write_text(content, encoding="utf-8")
    return list(files)


def text(results: Results, about: dict[str, str], before: Results | None = None) -> str:
    """The page. Measures stand in the order of `about`."""
    parts = [HEAD]
    if any(taken.binary not in ("release", OF_TESTS) for taken in results.measures.values()):
        parts.append(f"{NOT_RELEASED}\n")
    parts.append(_table(("", ""), [*results.computer.items(), *results.versions.items()]))
    for name in about:
        if name in results.measures:
            old = before.measures.get(name) if before else None
            parts.append(_measure(name, about[name], results.measures[name], old))
    return "\n".join(parts)


def _measure(name: str, about: str, taken: Taken, old: Taken | None) -> str:
    """One measure: how it was got, its table and its pictures."""
    lines = [f"## {name}", "", about, "", f"Taken {taken.date} of commit {taken.commit} ({taken.binary})."]
    head = ["figure", "median", "unit", "lowest to highest", "runs", "bound"]
    if old:
        lines[-1] += f" Before: {old.date}, commit {old.commit} ({old.binary})."
        head.append("before")
    earlier = {(figure.id, figure.of): figure for figure in old.figures} if old else {}
    rows = []
    for figure in taken.figures:
        row = [figure.label, number(figure.value), figure.unit, figure.spread(), str(len(figure.values)), _judged(figure)]
        if old:
            same = earlier.get((figure.id, figure.of))
            row.append(number(same.value) if same else "")
        rows.append(row)
    lines += ["", _table(head, rows)]
    lines += [f"![{title}]({PICTURES}/{_picture(name, title)})\n" for title in _plots(taken)]
    return "\n".join(lines)


def _judged(figure: Figure) -> str:
    bound: Bound | None = PROMISED.get(figure.id)
    if bound is None:
        return ""
    return f"{bound}: {'met' if bound.keeps(figure.value) else '**missed**'}"


def _plots(taken: Taken) -> dict[str, list[Figure]]:
    """The figures of each picture."""
    found: dict[str, list[Figure]] = {}
    for figure in taken.figures:
        if figure.plot:
            found.setdefault(figure.plot, []).append(figure)
    return found


def _bar(figure: Figure, among: list[Figure]) -> str:
    """What the bar of a figure is called: no more than tells it from the others of its picture."""
    parts = [figure.name if len({other.name for other in among}) > 1 else "", figure.of if len({other.of for other in among}) > 1 else ""]
    return ", ".join(filter(None, parts)) or figure.label


def _picture(name: str, title: str) -> str:
    words = "".join(letter if letter.isalnum() else " " for letter in title.lower()).split()
    return "-".join([name, *words]) + ".svg"


def _table(head, rows) -> str:
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    lines += [f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows]
    return "\n".join([*lines, ""])

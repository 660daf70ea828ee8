"""One story of `dev/demo`, told from its first act to the figures at its end."""

import json
from dataclasses import asdict
from pathlib import Path

from . import build, lifetime
from .again import second_run
from .options import Options
from .outcome import NodeOutcome, look
from .telling import Story, Teller


def run(folder: Path, story: Story, as_json: bool) -> int:
    """Tells it in a world in `folder`; returns the exit code."""
    # With --json, standard output belongs to the program that reads it, and nobody looks on.
    with open("/dev/null", "w", encoding="utf-8") if as_json else open(1, "w", closefd=False) as out:
        print(f"{story.name}: {story.about}", file=out, flush=True)
        world = {"nodes": story.nodes, "up": story.up, "settings": story.settings, **story.options}
        options = Options(binary=str(build.binary()), **world)
        lifetime.start(folder, options)
        teller = Teller(folder, out)
        story.tell(teller)
        nodes = look(folder)
        again = second_run(folder, nodes)
        teller.wrong += again["wrong"]
        last = str(nodes[-1].index) if nodes else "1"
        status = teller.healthy_status(last)
        print(f"\n$ kubeboot status   (as node {last})\n{status.stdout}{status.stderr}", file=out)
        print("\n".join(_closing(teller, again)), file=out)
    if as_json:
        print(json.dumps(_outcome(story, teller, nodes, again), indent=2))
    return 1 if teller.wrong else 0


def _closing(teller: Teller, again: dict) -> list[str]:
    second = "something to do: see below" if again["wrong"] else "nothing to do"
    lines = [f"second up on every node: {again['seconds']:.2f} s, {second}"]
    measured = [("from its boot to a voter", one) for one in teller.joinings.items()]
    measured += [("from the begin of its terminate hook to CONTINUE", one) for one in teller.leavings.items()]
    for what, (node, took) in measured:
        if took.total is not None:
            lines.append(
                f"node {node}, {what}: {took.total:.2f} s; the stand-in's own: {took.standin:.2f} s; "
                f"all else: {took.own:.2f} s"
            )
        lines += [f"{'met' if kept else 'MISSED'}: {bound}" for bound, kept in took.bounds().items()]
    return lines + ([f"WRONG: {fault}" for fault in teller.wrong] or ["It has healed."])


def _outcome(story: Story, teller: Teller, nodes: list[NodeOutcome], again: dict) -> dict:
    return {
        "story": story.name, "acts": teller.acts, "nodes": [asdict(node) for node in nodes], "second_up": again,
        "joined": {str(node): {**asdict(took), "bounds": took.bounds()} for node, took in teller.joinings.items()},
        "left": {str(node): {**asdict(took), "bounds": took.bounds()} for node, took in teller.leavings.items()},
        "samples": [worst.describe() for worst in teller.samples], **teller.facts, "wrong": teller.wrong, "right": not teller.wrong,
    }  # fmt: skip

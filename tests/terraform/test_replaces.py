"""What a change replaces: replaces.toml is whole, the guard has all of it, and docs/terraform.md says it."""

import functools
import json
import os
import re
import tomllib

import hcl2
import pytest

from example import ANSWERS, PROJECT, files
from test_guard import GUARD, REFERENCE, resources
from test_syntax import META, bare

LISTED = tomllib.loads((ANSWERS.parent / "replaces.toml").read_text())
PAGE = PROJECT / "docs/terraform.md"


@functools.cache
def parsed() -> list[dict]:
    return [hcl2.loads(text) for text in files().values()]


def locals_of() -> dict[str, str]:
    """Each local value as text."""
    blocks = [block for one in parsed() for block in one.get("locals", [])]
    return {bare(name): json.dumps(value) for block in blocks for name, value in block.items() if name != "__is_block__"}


def given(kind: str) -> set[str]:
    """The arguments that the example gives to resources of a kind."""
    found = set()
    for file in parsed():
        for one in file.get("resource", []):
            for type, named in one.items():
                for body in named.values() if bare(type) == kind else ():
                    found |= {bare(name) for name in body if not name.startswith("__")} - {"dynamic"}
                    found |= {bare(name) for block in body.get("dynamic", []) for name in block}
    return found - META


@pytest.mark.parametrize("kind", LISTED)
def test_every_argument_of_what_holds_something_is_listed(kind, tools):
    listed = LISTED[kind]
    assert sorted(listed["replaces"] + listed["stays"]) == sorted(given(kind))
    schema = json.loads((tools / "schema.json").read_text())
    known = set(schema["blocks"][schema["types"][f"resource.{kind}"]["arguments"]])
    assert set(listed["never"]) <= known - given(kind)


def test_the_guard_has_every_resource_of_these_kinds():
    (held,) = re.findall(r"triggers_replace = \{(.*?)\n  \}", resources()[GUARD], re.S)
    held = {".".join(one) for one in REFERENCE.findall(held)}
    # These come and go with a variable: the endpoints of services, and the terminate hook.
    optional = {"aws_security_group.private_services", "aws_autoscaling_lifecycle_hook.leave"}
    # No voter needs this one, and AWS deletes none that a machine has.
    optional.add("aws_security_group.workers")
    # And so does what is for snapshots. A bucket that holds something is not deleted, and the machines live without it.
    optional |= {f"{kind}.snapshots" for kind in ("aws_kms_key", "aws_s3_bucket", "aws_s3_bucket_versioning")}
    wanted = {one for one in resources() if one.partition(".")[0] in LISTED} - optional
    assert held == wanted


def variables_behind(kind: str, argument: str) -> set[str]:
    """The variables that an argument of these resources follows from."""
    locals_, found = locals_of(), set()
    for address, body in resources().items():
        if address.partition(".")[0] != kind or address == "aws_security_group.private_services":
            continue
        block = re.search(rf"^  {argument} \{{\n(.*?)^  \}}", body, re.M | re.S)
        value = block or re.search(rf"^  {argument} += (.*)$", body, re.M)
        todo, seen = [value[1]] if value else [], set()
        while todo:
            value = todo.pop()
            found |= set(re.findall(r"\bvar\.(\w+)", value))
            names = set(re.findall(r"\blocal\.(\w+)", value)) - seen
            seen |= names
            todo += [locals_[name] for name in names]
    return found


def table() -> str:
    lines = ["| resource | replaced by a change of | which follows from |", "|---|---|---|"]
    for kind, listed in LISTED.items():
        for argument in listed["replaces"]:
            behind = ", ".join(f"`{name}`" for name in sorted(variables_behind(kind, argument))) or "no variable"
            lines.append(f"| `{kind}` | `{argument}` | {behind} |")
    return "\n".join(lines) + "\n"


def test_the_page_has_the_list():
    page = PAGE.read_text()
    found = re.search(r"(?<=^### What would be replaced\n\n)(?:\|.*\n)+", page, re.M)
    if "UPDATE" in os.environ:
        page = page.replace(found[0], table())
        PAGE.write_text(page)
    assert table() in page, "the list of docs/terraform.md differs from replaces.toml: run this test with UPDATE=1"


def test_nothing_but_these_variables_replaces_what_holds_something():
    """Each of them is refused, and the hook's time alone is looked at once (ignore_changes)."""
    found = {
        variable
        for kind, listed in LISTED.items()
        for argument in listed["replaces"]
        if (kind, argument) != ("aws_autoscaling_group", "initial_lifecycle_hook")
        for variable in variables_behind(kind, argument)
    }
    assert found == {"bucket", "cluster_name", "create_zone", "snapshot_bucket", "subnet_ids", "vpc_id", "zone_id", "zone_name"}

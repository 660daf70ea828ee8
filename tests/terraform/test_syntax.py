"""The files as they stand: formatting, and every name in them against the provider's own schema."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import hcl2
import pytest

from example import ANSWERS, EXAMPLE, MODULES, WORKER_ANSWERS, files

# Arguments that Terraform itself takes in every resource and data source.
META = {"count", "for_each", "depends_on", "lifecycle", "provider", "provisioner"}
REFERENCE = re.compile(r"(?<![\w.\"-])(data\.)?(aws_\w+|terraform_data)\.(\w+)((?:\[[^\]]*\])?)(?:\.(\w+))?")
# The one resource that is Terraform's own.
OWN = {"input": {"required": False, "block": None}, "triggers_replace": {"required": False, "block": None}}


@pytest.fixture(scope="module")
def schema(tools):
    made = json.loads((tools / "schema.json").read_text())
    made["blocks"]["own"] = OWN
    made["types"]["resource.terraform_data"] = {"arguments": "own", "attributes": ["id", "output", *OWN]}
    return made


@pytest.fixture(params=[EXAMPLE, *MODULES], ids=lambda one: one.name)
def folder(request):
    return request.param


def resources(folder: Path) -> list[tuple[str, str, dict]]:
    """Kind with type, name and body of every resource and data source."""
    found = []
    for text in files(folder).values():
        parsed = hcl2.loads(text)
        for kind in ("resource", "data"):
            for one in parsed.get(kind, []):
                for type, named in one.items():
                    found += [(f"{kind}.{bare(type)}", bare(name), body) for name, body in named.items()]
    return found


def bare(text: str) -> str:
    return text.strip('"')


def unknown(body: dict, arguments: dict, blocks: dict, where: str) -> list[str]:
    """Arguments that do not exist and such as are missing, here and in every nested block."""
    given = {bare(name): value for name, value in body.items() if not name.startswith("__")}
    for dynamic in given.pop("dynamic", []):
        for name, block in dynamic.items():
            given[bare(name)] = block["content"]
    found = [f"{where}: no argument '{name}'" for name in given if name not in arguments and name not in META]
    found += [
        f"{where}: '{name}' is missing" for name, one in arguments.items() if one["required"] and name not in given
    ]
    for name, value in given.items():
        inner = blocks.get(arguments.get(name, {}).get("block"), None)
        for block in value if isinstance(value, list) else [value]:
            if inner is not None and isinstance(block, dict) and "__is_block__" in block:
                found += unknown(block, inner, blocks, f"{where}.{name}")
    return found


def test_terraform_would_format_nothing():
    terraform = shutil.which("terraform")
    if not terraform:
        pytest.skip("terraform is not installed")
    for folder in (EXAMPLE, *MODULES, ANSWERS.parent):
        done = subprocess.run([terraform, "fmt", "-check", "-diff", folder], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout


def test_every_type_and_argument_is_the_providers(schema, folder):
    wrong = []
    for kind, name, body in resources(folder):
        if kind not in schema["types"]:
            wrong.append(f"{kind}.{name}: there is no such type")
            continue
        arguments = schema["blocks"].get(schema["types"][kind]["arguments"], {})
        wrong += unknown(body, arguments, schema["blocks"], f"{kind}.{name}")
    assert not wrong, "\n".join(wrong)


def test_the_oldest_provider_allowed_is_the_one_compared_with(schema):
    asking = [files(one)["versions.tf"] for one in (EXAMPLE, EXAMPLE / "modules/workers")]
    wanted = {re.search(r'hashicorp/aws".*?version += "(?:~>|>=) ([\d.]+)"', one, re.S)[1] for one in asking}
    assert len(wanted) == 1 and schema["version"].startswith(wanted.pop() + "."), schema["version"]


def test_every_reference_leads_to_something(schema, folder):
    declared = {(kind.startswith("data"), kind.partition(".")[2], name) for kind, name, _ in resources(folder)}
    text = "\n".join(re.sub(r"#.*", "", one) for one in files(folder).values())
    wrong = []
    for data, type, name, _, attribute in REFERENCE.findall(text):
        if (bool(data), type, name) not in declared:
            wrong.append(f"{data}{type}.{name} is not declared")
        elif attribute and attribute not in schema["types"][f"{'data' if data else 'resource'}.{type}"]["attributes"]:
            wrong.append(f"{data}{type} has no attribute '{attribute}'")
    assert not wrong, "\n".join(sorted(set(wrong)))


def test_variables_and_locals_are_declared_and_used(folder):
    text = "\n".join(files(folder).values())
    for kind, declared in (("var", variables(text)), ("local", locals_of(text))):
        used = set(re.findall(rf"\b{kind}\.(\w+)", text))
        assert used == declared, f"{kind}: {used ^ declared}"


def variables(text: str) -> set[str]:
    return set(re.findall(r'^variable "(\w+)"', text, re.MULTILINE))


def locals_of(text: str) -> set[str]:
    return {bare(name) for block in hcl2.loads(text).get("locals", []) for name in block if not name.startswith("__")}


def test_a_module_is_given_what_it_wants_and_asked_for_what_it_has(folder):
    text = "\n".join(files(folder).values())
    called = [(bare(name), body) for one in hcl2.loads(text).get("module", []) for name, body in one.items()]
    for name, body in called:
        module = (folder / bare(body["source"])).resolve()
        assert module in MODULES, "a module that no test looks at"
        made = "\n".join(files(module).values())
        # No variable of these has a default: what somebody forgets to hand on would else be left out without a word.
        assert {one for one in body if not one.startswith("__")} - {"source", "for_each"} == variables(made), name
        asked = set(re.findall(rf"\bmodule\.{name}\.(\w+)", text))
        assert asked <= set(re.findall(r'^output "(\w+)"', made, re.MULTILINE)), name


@pytest.mark.parametrize(
    ("asking", "answers"), [(EXAMPLE, ANSWERS), (EXAMPLE / "modules/workers", WORKER_ANSWERS)], ids=lambda one: one.name
)
def test_the_answers_stand_for_the_same_questions(asking, answers):
    asked, answered = (
        re.findall(r'^data "\w+" "\w+"', text, re.M) for text in (files(asking)["data.tf"], answers.read_text())
    )
    assert asked == answered

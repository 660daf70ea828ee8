"""The files as they stand: formatting, and every name in them against the provider's own schema."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import hcl2
import pytest

from example import ANSWERS, ANSWERS_TO, CONTROL_PLANE, MODULES, ROOTS, WORKERS, files, variables

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


@pytest.fixture(params=[*ROOTS, *MODULES], ids=lambda one: one.name)
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
    own_tests = {file.parent for module in MODULES for file in module.rglob("*.tftest.hcl")}
    assert own_tests
    for folder in (*ROOTS, *MODULES, *own_tests, ANSWERS.parent):
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
    asking = [files(one)["versions.tf"] for one in [*ROOTS, *MODULES] if "versions.tf" in files(one)]
    assert len(asking) == len(ROOTS) + len(MODULES) - 1, "all but the one that is text alone"
    wanted = {re.search(r'hashicorp/aws".*?version += "(?:~>|>=) ([\d.]+)"', one, re.S)[1] for one in asking}
    assert len(wanted) == 1 and schema["version"].startswith(wanted.pop() + "."), schema["version"]


@pytest.mark.parametrize("folder", MODULES, ids=lambda one: one.name)
def test_a_module_leaves_the_provider_and_its_newer_versions_to_its_root(folder):
    text = "\n".join(files(folder).values())
    assert not re.search(r"^\s*(provider \"|backend \")", text, re.MULTILINE)
    assert set(re.findall(r'version += "(\S+) ', text)) == {">="}, "required_version, and the provider's"


# What a configuration may make along with these, so that nobody knows it when the first apply is planned. Of lists, how
# many they hold is known.
LATER = {"vpc_id", "subnet_ids", "route_table_ids", "s3_endpoint_id", "security_group_ids", "bucket_kms_key_arn", "ami_id"}
LATER |= {"operator_role_arns", "alarm_topic_arns", "kms_key_arns", "zone_id", "target_group_arns", "additional_security_group_ids"}


@pytest.mark.parametrize("folder", MODULES, ids=lambda one: one.name)
def test_how_many_there_are_is_known_when_it_is_planned(folder):
    text = "\n".join(re.sub(r"#.*", "", one) for one in files(folder).values())
    parsed = [hcl2.loads(one) for one in files(folder).values()]
    values = {bare(k): json.dumps(v) for one in parsed for block in one.get("locals", []) for k, v in block.items()}
    bodies = [*resources(folder), *(("module", bare(k), v) for one in parsed for m in one.get("module", []) for k, v in m.items())]
    looked_at = 0
    for kind, name, body in bodies:
        for meta in {"count", "for_each"} & body.keys():
            looked_at += 1
            value = body[meta]
            # The keys of an object count, and not what they lead to.
            todo, seen = [" ".join(value) if isinstance(value, dict) else str(value)], set()
            while todo:
                one = re.sub(r"(length|keys)\(var\.\w+\)", "", todo.pop())
                where = f"{kind}.{name}: {meta} = {one}"
                assert not REFERENCE.search(one) and not re.search(r"\bmodule\.", one), where
                assert not set(re.findall(r"\bvar\.(\w+)", one)) & LATER and "values(" not in one, where
                names = set(re.findall(r"\blocal\.(\w+)", one)) - seen
                seen |= names
                todo += [values[name] for name in names]
    assert looked_at == len(re.findall(r"^  (?:count|for_each) +=", text, re.MULTILINE))


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
    for kind, declared in (("var", set(variables(folder))), ("local", locals_of(text))):
        used = set(re.findall(rf"\b{kind}\.(\w+)", text))
        assert used == declared, f"{kind}: {used ^ declared}"


def locals_of(text: str) -> set[str]:
    return {bare(name) for block in hcl2.loads(text).get("locals", []) for name in block if not name.startswith("__")}


def test_a_module_is_given_what_it_wants_and_asked_for_what_it_has(folder):
    text = "\n".join(files(folder).values())
    called = [(bare(name), body) for one in hcl2.loads(text).get("module", []) for name, body in one.items()]
    assert bool(called) == (folder not in MODULES[2:])
    for name, body in called:
        module = (folder / bare(body["source"])).resolve()
        assert module in MODULES, "a module that no test looks at"
        given = {one for one in body if not one.startswith("__")} - {"source", "for_each"}
        if module == CONTROL_PLANE:
            # A root says what it wants otherwise.
            must = set(re.findall(r'^variable "(\w+)" \{\n(?:(?!^  default|^\}).*\n)*\}', files(module)["variables.tf"], re.M))
            assert must <= given <= set(variables(module))
        else:
            # What somebody forgets to hand on would be left out without a word.
            assert given == set(variables(module)), name
        asked = set(re.findall(rf"\bmodule\.{name}\.(\w+)", text))
        assert asked <= set(re.findall(r'^output "(\w+)"', files(module).get("outputs.tf", ""), re.MULTILINE)), name


def test_no_module_but_the_control_planes_and_the_workers_has_defaults():
    for module in set(MODULES) - {CONTROL_PLANE, WORKERS}:
        assert "default " not in files(module)["variables.tf"]


@pytest.mark.parametrize(("asking", "answers"), ANSWERS_TO.items(), ids=lambda one: one.name)
def test_the_answers_stand_for_the_same_questions(asking, answers):
    asked, answered = (
        re.findall(r'^data "\w+" "\w+"', text, re.M) for text in (files(asking)["data.tf"], answers.read_text())
    )
    assert asked == answered


def test_nobody_else_asks_aws(folder):
    asking = [name for name, text in files(folder).items() if re.search(r'^data "', text, re.M)]
    assert asking == (["data.tf"] if folder in ANSWERS_TO else [])

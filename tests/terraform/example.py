"""terraform-example, evaluated without AWS: what Terraform would make of its roots for given values."""

import base64
import json
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import tfparse

PROJECT = Path(__file__).resolve().parent.parent.parent
EXAMPLE = PROJECT / "terraform-example"
ROOTS = COMPLETE, PRIVATE = [EXAMPLE / name for name in ("complete", "private")]
MODULES = [EXAMPLE / "modules" / name for name in ("control-plane", "workers", "user-data", "role-policies")]
CONTROL_PLANE, WORKERS, USER_DATA, _ = MODULES
# What AWS answers to whom.
ANSWERS = Path(__file__).parent / "answers.tf"
ANSWERS_TO = {
    CONTROL_PLANE: ANSWERS,
    WORKERS: ANSWERS.with_name("answers-workers.tf"),
    COMPLETE: ANSWERS.with_name("answers-complete.tf"),
}

ACCOUNT, REGION = "123456789012", "eu-central-1"
ROLE, WORKER_ROLE = (f"arn:aws:iam::{ACCOUNT}:role/demo-{name}" for name in ("control-plane", "workers"))


@dataclass
class Plan:
    """The parsed example: resources, variables, outputs, by kind."""

    parsed: dict

    def all(self, kind: str) -> list[dict]:
        return self.parsed.get(kind, [])

    def one(self, kind: str, name: str | None = None) -> dict:
        """The only resource of a kind, or the one with this address's last part."""
        found = [one for one in self.all(kind) if name is None or name in _names(one)]
        (only,) = found
        return only

    def document(self, resource: dict, argument: str = "policy") -> dict:
        """A policy, the IDs that stand in it for ARNs not known yet made ARNs."""
        text = resource[argument]
        for kind, make in (("aws_kms_key", _key_arn), ("aws_iam_role", lambda _: ROLE)):
            for other in self.all(kind):
                text = text.replace(other["id"], make(other["id"]))
        return json.loads(text)

    def user_data(self, workers: str | None = None) -> str:
        """What the machines are told, or the workers of that group."""
        (template,) = [one for one in self.all("aws_launch_template") if group_of(one) == workers]
        text = base64.b64decode(template["user_data"]).decode()
        for one in self.all("aws_kms_key"):
            text = text.replace(one["id"], _key_arn(one["id"]))
        return text

    def key(self, name: str) -> str:
        return _key_arn(self.one("aws_kms_key", name)["id"])

    def broken(self) -> list[str]:
        """What Terraform would say about the variables, and of what must hold between them and AWS's answers."""
        variables = [
            (_path(one), check) for one in self.all("variable") for check in _checks(one, "validation")
        ]
        conditions = [
            (_path(one), check)
            for kind, resources in self.parsed.items() if kind.startswith("aws_")
            for one in resources
            for check in _checks(one.get("lifecycle") or {}, "precondition")
        ]  # fmt: skip
        return [
            f"{path}: {check['error_message']}"
            for path, check in variables + conditions
            if check["condition"] is not True
        ]


def plan(changes: str = "", answers: str | None = None, root: Path = COMPLETE) -> Plan:
    """Evaluates a root with its example.tfvars and `changes`: values of its variables, or arguments of the control plane's
    module, which are written into its block; with other answers of AWS to the control plane."""
    with tempfile.TemporaryDirectory() as folder:
        # The evaluation reads nothing above the root.
        copy = Path(folder)
        shutil.copytree(EXAMPLE / "modules", copy / "modules", ignore=shutil.ignore_patterns(".terraform*"))
        for name, text in files(root).items():
            (copy / name).write_text(text.replace('"../modules/', '"./modules/'))
        for asking, file in ANSWERS_TO.items():
            if asking in MODULES or asking == root:
                text = answers if answers and asking == CONTROL_PLANE else file.read_text()
                place = copy if asking == root else copy / asking.relative_to(EXAMPLE)
                (place / "data.tf").write_text(text.replace(REGION, _region(changes)))
        values, arguments = _sorted_out(changes, root)
        if arguments:
            (copy / "main.tf").write_text(_with_arguments((copy / "main.tf").read_text(), arguments))
        (copy / "changes.tfvars").write_text("".join(values.values()))
        shutil.copy(root / "example.tfvars", copy)
        return Plan(tfparse.load_from_path(str(copy), vars_paths=["example.tfvars", "changes.tfvars"]))


def _region(changes: str) -> str:
    found = re.search(r'^region += "(.*)"$', changes, re.MULTILINE)
    return found[1] if found else REGION


def _sorted_out(changes: str, root: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Lines by the name that they give a value: those of the root's variables, and the others."""
    texts = re.split(r"^(?=\w+ += )", changes and changes.rstrip("\n") + "\n", flags=re.MULTILINE)
    named = {text.split()[0]: text for text in texts if text.strip()}
    own = set(variables(root))
    return {k: v for k, v in named.items() if k in own}, {k: v for k, v in named.items() if k not in own}


def _with_arguments(text: str, arguments: dict[str, str]) -> str:
    """A root whose control plane has these arguments, in place of those that it has."""
    (block,) = re.findall(r'^module "control_plane" \{\n.*?^\}\n', text, re.MULTILINE | re.DOTALL)
    kept = [line for line in block.splitlines(True)[:-1] if line.partition("=")[0].strip() not in arguments]
    return text.replace(block, "".join([*kept, *arguments.values(), "}\n"]))


def files(folder: Path = CONTROL_PLANE) -> dict[str, str]:
    """The configuration files of a module or a root by name."""
    return {path.name: path.read_text() for path in sorted(folder.glob("*.tf"))}


def variables(folder: Path = CONTROL_PLANE) -> dict[str, str]:
    """Descriptions of its variables by their names, in the file's order."""
    return dict(re.findall(r'^variable "(\w+)" \{\n  description = "(.*)"$', files(folder).get("variables.tf", ""), re.MULTILINE))


def world_policies(made: Plan, without: str | None = None) -> dict:
    """What `dev/world iam` takes: the policies of role, bucket and keys; `without` one action of the machines' own."""
    documents = [made.document(one) for one in made.all("aws_iam_role_policy") if not group_of(one)]
    names = [_names(one)[1] for one in made.all("aws_kms_key")]
    keys = {made.key(name): made.document(made.one("aws_kms_key", name)) for name in names if name != "volumes"}
    for document in [*documents, *keys.values()] if without else []:
        for statement in document["Statement"]:
            statement["Action"] = [action for action in _list(statement["Action"]) if action != without]
    # Each statement names its bucket.
    policies = [made.document(one)["Statement"] for one in made.all("aws_s3_bucket_policy")]
    bucket = {"Statement": [statement for policy in policies for statement in policy]}
    return {"role": ROLE, "policies": documents, "bucket": bucket, "bucket_key": made.key("bucket"), "keys": keys}


def worker_policies(made: Plan, without: str | None = None) -> dict:
    """The same with a role for workers, which lacks one action if told so: the group `workers` of the example."""
    documents = [made.document(one) for one in made.all("aws_iam_role_policy") if group_of(one) == "workers"]
    for statement in (one for document in documents for one in document["Statement"]):
        statement["Action"] = [action for action in _list(statement["Action"]) if action != without]
    return world_policies(made) | {"worker": {"role": WORKER_ROLE, "policies": documents}}


def group_of(resource: dict) -> str | None:
    """The group of workers to which a resource belongs."""
    found = re.match(r'module\.workers\["(.*?)"\]', resource["__tfmeta"]["path"])
    return found and found[1]


def machine_actions(made: Plan) -> list[str]:
    """Every action that a policy of the example allows to the machines for kubeboot's sake."""
    statements = made.document(made.one("aws_iam_role_policy", "kubeboot"))["Statement"]
    key = made.document(made.one("aws_kms_key", "pki"))["Statement"]
    statements += [one for one in key if one["Principal"]["AWS"] == ROLE]
    return sorted({action for one in statements for action in _list(one["Action"])})


def _names(resource: dict) -> tuple[str, str]:
    """The last part of its address, with the index of one that is counted and without."""
    name = resource["__tfmeta"]["path"].split(".")[-1]
    return name, name.split("[")[0]


def _path(resource: dict) -> str:
    """Its address in the control plane, or the whole one."""
    return re.sub(r"^module\.control_plane\.(module\.(user_data|role_policies)\.)?", "", resource["__tfmeta"]["path"])


def _checks(block: dict, name: str) -> list[dict]:
    return _list(block.get(name) or [])


def _key_arn(id: str) -> str:
    return f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{id}"


def _list(value) -> list:
    return value if isinstance(value, list) else [value]

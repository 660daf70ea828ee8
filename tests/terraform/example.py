"""terraform-example, evaluated without AWS: what Terraform would make of it for given variables."""

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
ANSWERS = Path(__file__).parent / "answers.tf"
MODULES = [EXAMPLE / "modules/user-data", EXAMPLE / "modules/workers"]
WORKER_ANSWERS = Path(__file__).parent / "answers-workers.tf"

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
        pki = self.one("aws_kms_key", "pki")["id"]
        return text.replace(pki, _key_arn(pki))

    def key(self, name: str) -> str:
        return _key_arn(self.one("aws_kms_key", name)["id"])

    def broken(self) -> list[str]:
        """What Terraform would say about the variables, and of what must hold between them and AWS's answers."""
        variables = [
            (one["__tfmeta"]["path"], check) for one in self.all("variable") for check in _checks(one, "validation")
        ]
        conditions = [
            (one["__tfmeta"]["path"], check)
            for kind, resources in self.parsed.items() if kind.startswith("aws_")
            for one in resources
            for check in _checks(one.get("lifecycle") or {}, "precondition")
        ]  # fmt: skip
        return [
            f"{path}: {check['error_message']}"
            for path, check in variables + conditions
            if check["condition"] is not True
        ]


def plan(changes: str = "", answers: str | None = None) -> Plan:
    """Evaluates the example with example.tfvars and `changes`, more lines of that kind; with other answers of AWS."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "example"
        shutil.copytree(EXAMPLE, copy, ignore=shutil.ignore_patterns(".terraform*", "*.tfstate*", "terraform.tfvars"))
        (copy / "data.tf").write_text(answers or ANSWERS.read_text())
        (copy / "modules/workers/data.tf").write_text(WORKER_ANSWERS.read_text())
        (copy / "changes.tfvars").write_text(changes)
        return Plan(tfparse.load_from_path(str(copy), vars_paths=["example.tfvars", "changes.tfvars"]))


def files(folder: Path = EXAMPLE) -> dict[str, str]:
    """The example's configuration files by name, or a module's."""
    return {path.name: path.read_text() for path in sorted(folder.glob("*.tf"))}


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


def _checks(block: dict, name: str) -> list[dict]:
    return _list(block.get(name) or [])


def _key_arn(id: str) -> str:
    return f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{id}"


def _list(value) -> list:
    return value if isinstance(value, list) else [value]

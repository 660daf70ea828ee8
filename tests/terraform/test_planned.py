"""Modules and roots, planned by Terraform itself where hardly anything is known yet: what they are given is made in the same
apply, and AWS has not answered. Resources of Terraform's own stand in place of AWS's, as many and in the same order."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from example import COMPLETE, MODULES, PRIVATE, files

BLOCK = re.compile(r'^(resource|data) "(aws_\w+)" "(\w+)" \{(?:\}|\n(.*?)^\})$', re.M | re.S)
META = re.compile(r"^  (?:count|for_each|depends_on) += (?:[{\[]\n.*?^  [}\]]|[^\n]*)$", re.M | re.S)
REFERENCE = re.compile(r"(?<![\w.\"-])(data\.)?(aws_\w+)\.(\w+)((?:\[[^\]]*\])?)(?=(\.\w| :)?)")
# What needs AWS's provider, and what it would say of its values.
GONE = re.compile(r'^(?:provider|check) "\w+" \{\n.*?^\}$|^  required_providers \{\n.*?^  \}$', re.M | re.S)

LATER = """
resource "terraform_data" "later" {
  input = uuid()
}

module "control_plane" {
  source = "./modules/control-plane"

  cluster_name                = "demo"
  bucket                 = "kubeboot-demo"
  vpc_id                 = terraform_data.later.output
  subnet_ids             = [for n in range(3) : terraform_data.later.output]
  ami_id                 = terraform_data.later.output
  private_endpoints      = true
  ENDPOINT
  iam_role_additional_policies = { one = terraform_data.later.output }
  iam_role_permissions_boundary = terraform_data.later.output
  additional_security_group_ids = [terraform_data.later.output]
  target_group_arns = [terraform_data.later.output]
  operator_role_arns     = [terraform_data.later.output]
  alarm_topic_arns       = [terraform_data.later.output]
  webhook_ports          = [8443]
  snapshot_bucket        = "kubeboot-demo-snapshots"
  settings               = { source_dest_check = "off" }
}

module "workers" {
  source = "./modules/workers"

  name                   = "demo-workers"
  cluster_name                = "demo"
  bucket                 = module.control_plane.bucket
  bucket_kms_key_arn         = module.control_plane.bucket_kms_key_arn
  security_group_ids     = [module.control_plane.worker_security_group_id]
  subnet_ids             = [terraform_data.later.output]
  ami_id                 = terraform_data.later.output
  iam_role_additional_policies = { one = terraform_data.later.output }
}
"""


def stand_in(text: str) -> str:
    """A file whose resources and data sources are Terraform's own, and of which nothing is known before the apply."""

    def resource(found: re.Match) -> str:
        kind, type, name, body = found.groups()
        kept = "".join(f"{one}\n" for one in META.findall(body or ""))
        name = f"{'data_' if kind == 'data' else ''}{type}_{name}"
        return f'resource "terraform_data" "{name}" {{\n{kept}  input = jsondecode(uuid())\n}}'

    def reference(found: re.Match) -> str:
        data, type, name, index, follows = found.groups()
        made = f"terraform_data.{'data_' if data else ''}{type}_{name}{index}"
        return made + {None: "", " :": "[*].output"}.get(follows, ".output")

    return REFERENCE.sub(reference, BLOCK.sub(resource, GONE.sub("", re.sub(r"^ *#.*\n", "", text, flags=re.M))))


def planned(folder: Path, root: dict[str, str]) -> str:
    """What Terraform plans for a root."""
    if not shutil.which("terraform"):
        pytest.skip("terraform is not installed")
    for module in MODULES:
        shutil.copytree(module, folder / "modules" / module.name)
        for name, text in files(module).items():
            (folder / "modules" / module.name / name).write_text(stand_in(text))
    for name, text in root.items():
        (folder / name).write_text(text.replace('"../modules/', '"./modules/'))
    env = {**os.environ, "TF_IN_AUTOMATION": "1", "TF_CLI_ARGS": "-no-color", "CHECKPOINT_DISABLE": "1"}
    for words in (["init"], ["plan", "-input=false"]):
        done = subprocess.run(["terraform", *words], cwd=folder, env=env, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def with_values(root: Path) -> dict[str, str]:
    return files(root) | {"terraform.tfvars": (root / "example.tfvars").read_text()}


ENDPOINTS = {"made": "route_table_ids = [terraform_data.later.output]", "there": "s3_endpoint_id = terraform_data.later.output"}


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_all_that_they_are_given_may_be_made_along_with_them(endpoint, tmp_path):
    told = planned(tmp_path, {"main.tf": LATER.replace("ENDPOINT", ENDPOINTS[endpoint])})
    made = set(re.findall(r"# (\S+) will be created", told))
    assert "module.control_plane.terraform_data.guard" in made
    assert 'module.control_plane.module.role_policies.terraform_data.aws_iam_role_policy_attachment_additional["one"]' in made
    assert 'module.control_plane.module.role_policies.terraform_data.aws_iam_role_policy_this["source-dest-check"]' in made
    # The endpoint to S3 is made, or asked for.
    makes = "module.control_plane.terraform_data.aws_vpc_endpoint_s3[0]" in made
    asks = "module.control_plane.terraform_data.data_aws_vpc_endpoint_s3[0]" in made
    assert (makes, asks) == (endpoint == "made", endpoint == "there")


def test_the_private_root_is_planned_before_there_is_a_network(tmp_path):
    told = planned(tmp_path, {name: stand_in(text) for name, text in with_values(PRIVATE).items()})
    assert "# module.control_plane.terraform_data.aws_autoscaling_group_control_plane will be created" in told


NETWORK = """
locals {
  aws_vpc_this = {
    id                      = "vpc-0a1b2c3d4e5f60000"
    cidr_block              = "10.0.0.0/16"
    cidr_block_associations = [{ cidr_block = "100.64.0.0/16", state = "associated" }]
  }
}
"""


def test_the_complete_root_is_planned_with_groups_of_workers(tmp_path):
    """The network is there already, so that AWS has answered for it."""
    root = {name: stand_in(text.replace("data.aws_vpc.this", "local.aws_vpc_this")) for name, text in with_values(COMPLETE).items()}
    values = root["terraform.tfvars"] + "\nworkers = { a = {}, b = { iam_role_additional_policies = { one = \"arn:aws:iam::aws:policy/A\" } } }\n"
    told = planned(tmp_path, root | {"data.tf": NETWORK, "terraform.tfvars": values})
    made = set(re.findall(r"# (\S+) will be created", told))
    assert {f'module.workers["{name}"].terraform_data.aws_autoscaling_group_workers' for name in "ab"} <= made
    assert 'module.control_plane.terraform_data.aws_vpc_security_group_ingress_rule_clients["100.64.0.0/16"]' in made
    assert "terraform_data.guard_of_workers" in made

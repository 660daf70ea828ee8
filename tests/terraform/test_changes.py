"""What a change of each variable does to a control plane that stands: docs/terraform.md has the table made here."""

import base64
import json
import os
import re

import pytest

from example import PROJECT, Plan, group_of
from example import plan as evaluate
from test_replaces import LISTED
from test_variables import SHA256, SUBNETS, variables

PAGE = PROJECT / "docs/terraform.md"
PRIVATE = 'private_endpoints = true\nroute_table_ids = ["rtb-1"]\n'
PACKAGE = f'kubeboot_package_url = "s3://bucket/kubeboot.deb"\nkubeboot_package_sha256 = "{SHA256}"\n'
KEYS = 'kms_key_arns = { bucket = "arn:aws:kms:eu-central-1:123456789012:key/1" }\n'
ENDPOINT = 'cluster_endpoint = "api.example.com:6443"\n'
TARGETS = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/mine/1"

# For each variable a change, and what both sides have besides it.
CHANGES = {
    "region": ('region = "eu-west-1"', ""),
    "cluster_name": ('cluster_name = "other"', ""),
    "bucket": ('bucket = "kubeboot-other"', ""),
    "subnet_ids": (f'subnet_ids = ["{SUBNETS[0]}", "{SUBNETS[1]}", "subnet-0a1b2c3d4e5f60013"]', ""),
    "ami_id": ('ami_id = "ami-0123456789abcdef1"', ""),
    "workers": ('workers = { workers = { settings = { drain_timeout = "5m" } } }', "workers = { workers = {} }\n"),
    "kubeadm_config": ('kubeadm_config = "a: b"', ""),
    "pod_network_ports": ('pod_network_ports = [{ protocol = "udp", from_port = 4789, to_port = 4789 }]', ""),
    "kubeboot_package_url": ('kubeboot_package_url = "s3://bucket/kubeboot-2.deb"', PACKAGE),
    "kubeboot_package_sha256": (f'kubeboot_package_sha256 = "{SHA256[::-1]}"', PACKAGE),
    "start": ('start = "runcmd"', ""),
    "session_manager": ("session_manager = false", ""),
    "iam_role_permissions_boundary": ('iam_role_permissions_boundary = "arn:aws:iam::123456789012:policy/bounds"', ""),
    "allow_destroy": ("allow_destroy = true", ""),
    "tags": ('tags = { team = "a" }', ""),
    "create_bucket": ("create_bucket = false", KEYS),
    "kms_key_arns": (KEYS, ""),
    "vpc_id": ('vpc_id = "vpc-0a1b2c3d4e5f60009"', ""),
    "instance_count": ("instance_count = 5", ""),
    "instance_type": ('instance_type = "m6i.xlarge"', ""),
    "additional_security_group_ids": ('additional_security_group_ids = ["sg-0a1b"]', ""),
    "root_volume": ("root_volume = { size = 100 }", ""),
    "refresh": ('refresh = "auto"', ""),
    "zone_name": ('zone_name = "k8s.internal"', ""),
    "create_zone": ('create_zone = false\nzone_id = "Z1"', 'zone_name = "k8s.internal"\n'),
    "zone_id": ('zone_id = "Z2"', 'zone_name = "k8s.internal"\ncreate_zone = false\nzone_id = "Z1"\n'),
    "create_load_balancer": ("create_load_balancer = false\n" + ENDPOINT, ""),
    "cluster_endpoint": ('cluster_endpoint = "api.example.com:443"', "create_load_balancer = false\n" + ENDPOINT),
    "target_group_arns": (f'target_group_arns = ["{TARGETS}"]', ""),
    "health_check": ('health_check = "tcp"', ""),
    "allowed_cidr_blocks": ('allowed_cidr_blocks = ["10.0.0.0/8"]', ""),
    "webhook_ports": ("webhook_ports = [8443]", ""),
    "settings": ('settings = { claim_ttl = "90s" }', ""),
    "kubernetes_upgrade": ('kubernetes_upgrade = "by-image"', ""),
    "pre_bootstrap_commands": ('pre_bootstrap_commands = ["sysctl --system"]', ""),
    "launch_hook_timeout": ("launch_hook_timeout = 7200", ""),
    "terminate_hook": ("terminate_hook = false", ""),
    "wait_minutes": ("wait_minutes = 0", ""),
    "private_endpoints": (PRIVATE, ""),
    "route_table_ids": ('route_table_ids = ["rtb-2"]', PRIVATE),
    "s3_endpoint_id": ('private_endpoints = true\ns3_endpoint_id = "vpce-1"', PRIVATE),
    "more_private_services": ('more_private_services = ["ecr.api"]', PRIVATE),
    "iam_role_additional_policies": ('iam_role_additional_policies = { all = "arn:aws:iam::aws:policy/ReadOnlyAccess" }', ""),
    "operator_role_arns": ('operator_role_arns = ["arn:aws:iam::123456789012:role/operator"]', ""),
    "snapshot_minutes": ("snapshot_minutes = 30", ""),
    "snapshot_bucket": ('snapshot_bucket = "kubeboot-snapshots"', ""),
    "snapshot_days": ("snapshot_days = 7", ""),
    "alarm_topic_arns": ('alarm_topic_arns = ["arn:aws:sns:eu-central-1:123456789012:ops"]', ""),
}

REFUSED = "refused"
MACHINES = "new machines have it; those that run when you replace them"
SIZE = "in place: the group launches machines, or ends some"
IN_PLACE = "in place"


def told(made: Plan, value) -> str:
    """A value, with the IDs that are new in each evaluation by the names of what they stand for."""
    text = json.dumps(value, sort_keys=True, default=str)
    for kind, resources in made.parsed.items():
        for one in resources if kind.startswith(("aws_", "terraform_data")) else ():
            text = text.replace(one["id"], one["__tfmeta"]["path"])
    return re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "ID", text)


def resources(made: Plan, kind: str) -> dict[str, dict]:
    return {one["__tfmeta"]["path"]: one for one in made.all(kind)}


def differs(old: Plan, new: Plan, kind: str, arguments: list[str]) -> bool:
    """Whether a resource that both have differs in one of these."""
    ours, theirs = resources(old, kind), resources(new, kind)
    return any(
        told(old, ours[path].get(name)) != told(new, theirs[path].get(name))
        for path in ours.keys() & theirs.keys()
        for name in arguments
    )


def guard(made: Plan) -> dict:
    return made.one("terraform_data", "guard")["triggers_replace"]


def user_data(made: Plan) -> str:
    (template,) = [one for one in made.all("aws_launch_template") if not group_of(one)]
    return base64.b64decode(template["user_data"]).decode()


def effect(variable: str) -> str:
    change, base = CHANGES[variable]
    # The later line would be a second definition: the base is written without what changes.
    kept = "".join(f"{line}\n" for line in base.splitlines() if line.split(" = ")[0] not in change)
    old, new = evaluate(base), evaluate(kept + change)
    # Another Region is another provider, to which every resource would move.
    if variable == "region":
        assert all("region" in listed["never"] for kind, listed in LISTED.items() if kind.startswith("aws_s3"))
        return REFUSED
    for kind, listed in LISTED.items():
        looked_at = [name for name in listed["replaces"] if name != "initial_lifecycle_hook"]
        if differs(old, new, kind, looked_at):
            return REFUSED
    # What the guard looks at is refused, also where it comes or goes.
    if told(old, guard(old)) != told(new, guard(new)):
        return REFUSED
    template = [name for name in LISTED["aws_launch_template"]["stays"] if name != "user_data"]
    if differs(old, new, "aws_launch_template", template) or told(old, user_data(old)) != told(new, user_data(new)):
        return MACHINES
    if differs(old, new, "aws_autoscaling_group", ["desired_capacity"]):
        return SIZE
    return IN_PLACE


def table() -> str:
    lines = ["| variable | a change of it |", "|---|---|"]
    lines += [f"| `{name}` | {effect(name)} |" for name in variables()]
    return "\n".join(lines) + "\n"


def test_every_variable_has_a_change():
    assert list(CHANGES) == variables()


@pytest.mark.parametrize(
    ("variable", "wanted"),
    [("bucket", REFUSED), ("zone_name", REFUSED), ("ami_id", MACHINES), ("settings", MACHINES), ("instance_count", SIZE)]
    + [(name, IN_PLACE) for name in ("launch_hook_timeout", "terminate_hook", "tags", "allow_destroy", "operator_role_arns", "refresh")],
)
def test_what_must_never_be_otherwise(variable, wanted):
    assert effect(variable) == wanted


def test_the_page_says_what_a_change_does():
    page, made = PAGE.read_text(), table()
    found = re.search(r"(?<=^## What a change does\n\n)(?:\|.*\n)+", page, re.M)
    if "UPDATE" in os.environ:
        page = page.replace(found[0], made)
        PAGE.write_text(page)
    assert made in page, "the table of docs/terraform.md differs from the example: run this test with UPDATE=1"

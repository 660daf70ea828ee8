"""Variables: what they take, what they refuse, and that they are kubeboot's settings."""

import re
from pathlib import Path

import pytest

from example import ANSWERS, COMPLETE, CONTROL_PLANE, PROJECT, files, plan
from example import variables as declared

SUBNETS = ["subnet-0a1b2c3d4e5f60001", "subnet-0a1b2c3d4e5f60002", "subnet-0a1b2c3d4e5f60003"]
SHA256 = "0123456789abcdef" * 4
KEY = "arn:aws:kms:eu-central-1:123456789012:key/"

GOOD = [
    "",
    "instance_count = 5",
    'instance_type = "m6g.large"\nami_id = "ami-0123456789abcdef1"',
    'settings = { claim_ttl = "90s", init_attempts = 2, extra_shared_files = ["/etc/kubernetes/encryption.yaml"] }',
    'private_endpoints = true\nroute_table_ids = ["rtb-1"]\nmore_private_services = ["ecr.api", "ecr.dkr"]',
    f'kubeboot_package_url = "s3://bucket/a/kubeboot_1.0.0_amd64.deb"\nkubeboot_package_sha256 = "{SHA256}"',
    f'kubeboot_package_url = "https://example.com/kubeboot-1.0.0.x86_64.rpm"\nkubeboot_package_sha256 = "{SHA256}"',
    'zone_name = "k8s.example.internal"\nallowed_cidr_blocks = ["10.0.0.0/8", "192.168.0.0/16"]',
    'private_endpoints = true\ns3_endpoint_id = "vpce-1"',
    "root_volume = { size = 32, iops = 16000, throughput = 1000 }",
    'snapshot_bucket = "kubeboot-demo-snapshots"\nsnapshot_days = 7\nalarm_topic_arns = ["arn:aws:sns:eu-central-1:123456789012:ops"]',
    "snapshot_minutes = 0",
    'kubernetes_upgrade = "by-image"',
    f"create_bucket = false\nkms_key_arns = {{ bucket = \"{KEY}1\", pki = \"{KEY}2\", volumes = \"{KEY}3\", snapshots = \"{KEY}4\" }}",
    'create_zone = false\nzone_id = "Z1"\nzone_name = "k8s.example.com"',
    'create_load_balancer = false\ncluster_endpoint = "api.example.com:443"',
    'additional_security_group_ids = ["sg-0a1b"]\niam_role_permissions_boundary = "arn:aws:iam::123456789012:policy/bounds"',
    'pre_bootstrap_commands = ["sysctl --system"]',
    'region = "us-gov-west-1"',
    'region = "cn-north-1"',
]

BAD = [
    ("instance_count = 4", "instance_count"),
    ("instance_count = 1", "instance_count"),
    ('region = "Frankfurt"', "region"),
    ('cluster_name = "Demo"', "cluster_name"),
    ('cluster_name = "a-cluster-with-a-name"', "cluster_name"),
    ('cluster_name = "a--b"', "cluster_name"),
    ('bucket = "s3://demo"', "bucket"),
    ('bucket = "a.b"', "bucket"),
    ('vpc_id = "default"', "vpc_id"),
    (f'subnet_ids = ["{SUBNETS[0]}", "{SUBNETS[1]}"]', "subnet_ids"),
    (f'subnet_ids = ["{SUBNETS[0]}", "{SUBNETS[0]}", "{SUBNETS[1]}"]', "subnet_ids"),
    ('ami_id = "debian-12"', "ami_id"),
    ('instance_type = "large"', "instance_type"),
    ("root_volume = { size = 8 }", "root_volume"),
    ("root_volume = { iops = 100 }", "root_volume"),
    ("root_volume = { throughput = 5000 }", "root_volume"),
    ("root_volume = { size = 20, iops = 12000 }", "root_volume"),
    ("root_volume = { iops = 3000, throughput = 800 }", "root_volume"),
    ("root_volume = { size = 20.5 }", "root_volume"),
    ('refresh = "always"', "refresh"),
    ('zone_name = "Demo."', "zone_name"),
    ('health_check = "http"', "health_check"),
    ('allowed_cidr_blocks = ["10.0.0.0"]', "allowed_cidr_blocks"),
    ('pod_network_ports = [{ protocol = "-1", from_port = 1, to_port = 2 }]', "pod_network_ports"),
    ('pod_network_ports = [{ protocol = "udp", from_port = 2, to_port = 1 }]', "pod_network_ports"),
    ("workers = { control-plane = {} }", "workers"),
    ('workers = { "a b" = {} }', "workers"),
    ("webhook_ports = [0]", "webhook_ports"),
    (f'kms_key_arns = {{ disks = "{KEY}1" }}', "kms_key_arns"),
    ('kms_key_arns = { pki = "alias/mine" }', "kms_key_arns"),
    ("create_bucket = false", "kms_key_arns"),
    ('zone_id = "Z1"', "zone_id"),
    ('zone_name = "a.internal"\ncreate_zone = false', "zone_id"),
    ('create_zone = false\nzone_id = "Z1"', "zone_id"),
    ("create_load_balancer = false", "cluster_endpoint"),
    ('cluster_endpoint = "api.example.com:443"', "cluster_endpoint"),
    ('create_load_balancer = false\ncluster_endpoint = "api.example.com"', "cluster_endpoint"),
    ('create_load_balancer = false\ncluster_endpoint = "a:443"\nallowed_cidr_blocks = []', "allowed_cidr_blocks"),
    ('target_group_arns = ["mine"]', "target_group_arns"),
    ('additional_security_group_ids = ["default"]', "additional_security_group_ids"),
    ('iam_role_permissions_boundary = "bounds"', "iam_role_permissions_boundary"),
    ('pre_bootstrap_commands = [" "]', "pre_bootstrap_commands"),
    ('settings = { claim_tll = "90s" }', "settings"),
    ('settings = { bucket = "another" }', "settings"),
    ('kubeadm_config = "-----BEGIN RSA PRIVATE KEY-----"', "kubeadm_config"),
    ('kubeadm_config = "kind: InitConfiguration\\ncertificateKey: abc"', "kubeadm_config"),
    ('kubeboot_package_url = "http://example.com/kubeboot.deb"', "kubeboot_package_url"),
    ("kubeboot_package_url = \"https://example.com/';reboot;'.deb\"", "kubeboot_package_url"),
    ('kubeboot_package_url = "https://example.com/kubeboot.deb"', "kubeboot_package_sha256"),
    (f'kubeboot_package_sha256 = "{SHA256}"', "kubeboot_package_sha256"),
    ('start = "cron"', "start"),
    ("launch_hook_timeout = 60", "launch_hook_timeout"),
    ("wait_minutes = -1", "wait_minutes"),
    ("wait_minutes = 0.5", "wait_minutes"),
    ("private_endpoints = true", "route_table_ids"),
    ('route_table_ids = ["rtb-1"]', "route_table_ids"),
    ('private_endpoints = true\nroute_table_ids = ["rtb-1"]\ns3_endpoint_id = "vpce-1"', "route_table_ids"),
    ('s3_endpoint_id = "vpce-1"', "s3_endpoint_id"),
    ('private_endpoints = true\ns3_endpoint_id = "s3"', "s3_endpoint_id"),
    ('more_private_services = ["ECR"]', "more_private_services"),
    ('iam_role_additional_policies = { all = "AdministratorAccess" }', "iam_role_additional_policies"),
    ('operator_role_arns = ["arn:aws:iam::123456789012:role/*"]', "operator_role_arns"),
    ('operator_role_arns = ["arn:aws:iam::123456789012:user/me"]', "operator_role_arns"),
    ('kubernetes_upgrade = "on"', "kubernetes_upgrade"),
    ('kubernetes_upgrade = "by-images"', "kubernetes_upgrade"),
    ("snapshot_minutes = -1", "snapshot_minutes"),
    ("snapshot_minutes = 481", "snapshot_minutes"),
    ("snapshot_minutes = 0.5", "snapshot_minutes"),
    ("snapshot_days = 0", "snapshot_days"),
    ('snapshot_bucket = "kubeboot-demo"', "snapshot_bucket"),
    ('snapshot_bucket = "s3://a/b"', "snapshot_bucket"),
    ('alarm_topic_arns = ["me@example.com"]', "alarm_topic_arns"),
    ('tags = { "kubeboot-cluster" = "x" }', "tags"),
]


@pytest.mark.parametrize("changes", GOOD)
def test_good_values_are_taken(changes):
    # What the example does not know would be taken as well.
    assert set(re.findall(r"^(\w+) = ", changes, re.M)) <= set(variables())
    broken = plan(changes).broken()
    # The image of the answers is x86_64.
    assert [one for one in broken if "architecture" not in one] == []


@pytest.mark.parametrize(("changes", "variable"), BAD)
def test_bad_values_are_refused_by_their_own_variable(changes, variable):
    told = plan(changes).broken()
    assert any(one.startswith(f"variable.{variable}: The ") for one in told), told


def test_every_variable_that_can_be_wrong_is_refused_once():
    switches = set(re.findall(r'variable "(\w+)" \{\n  description = .*\n  type        = bool', files()["variables.tf"]))
    assert switches | {variable for _, variable in BAD} == set(variables())


def test_an_image_of_another_architecture_is_refused():
    told = plan('instance_type = "m6g.large"').broken()
    assert told == [
        "aws_launch_template.machine: The image ami-0123456789abcdef0 is x86_64, and m6g.large is not: give an "
        "instance_type of that architecture."
    ]


def test_a_disk_smaller_than_the_images_is_refused():
    (told,) = plan("root_volume = { size = 25 }").broken()
    assert told.startswith("aws_launch_template.machine: ") and "root disk of 30 GiB" in told


def test_subnets_in_one_zone_are_refused():
    same = [f'"subnet-0a1b2c3d4e5f6{n}001"' for n in range(3)]
    told = plan(f"subnet_ids = [{', '.join(same)}]").broken()
    assert any("are in 1 zones, not in three" in one for one in told), told


@pytest.mark.parametrize("missing", ["enable_dns_support  ", "enable_dns_hostnames"])
def test_a_vpc_without_names_is_refused(missing):
    told = plan(answers=ANSWERS.read_text().replace(f"{missing} = true", f"{missing} = false")).broken()
    assert len(told) == 1 and "DNS support and DNS host names" in told[0], told


def test_the_settings_are_kubeboots():
    page = (PROJECT / "docs/configuration.md").read_text()
    known = set(re.findall(r"^## `(\w+)`", page, re.MULTILINE))
    text = files()["variables.tf"]
    (taken,) = re.findall(r"setsubtract\(keys\(var\.settings\), \[(.*?)\]\)", text, re.DOTALL)
    taken = set(re.findall(r'"(\w+)"', taken))
    (settings,) = [one for one in plan('kubeadm_config = "a: b"\nsnapshot_bucket = "kubeboot-snapshots"').all("locals") if "settings" in one and one["__tfmeta"]["path"].startswith("module.control_plane.module.user_data.")]
    made = set(settings["settings"])
    # The group's desired capacity says the size, and goes with it when that is changed; the others are of workers.
    assert taken | made | {"expected_size"} | {"role", "drain_timeout", "rejoin"} == known
    assert not taken & made


def test_a_subnet_of_another_vpc_is_refused():
    told = plan(answers=ANSWERS.read_text().replace("  vpc_id = var.vpc_id\n", '  vpc_id = "vpc-0b"\n')).broken()
    assert told == ["aws_autoscaling_group.control_plane: The subnet_ids are not all in the VPC vpc-0a1b2c3d4e5f60000."]


def test_the_root_has_the_modules_defaults():
    def defaults(folder: Path) -> dict[str, str]:
        blocks = re.findall(r'^variable "(\w+)" \{\n(.*?)^\}', files(folder)["variables.tf"], re.MULTILINE | re.DOTALL)
        return {name: re.findall(r"^  default *= (.*)$", body, re.MULTILINE) for name, body in blocks}

    ours, theirs = defaults(COMPLETE), defaults(CONTROL_PLANE)
    assert ours.keys() - theirs.keys() == {"region", "workers"}
    assert {name: ours[name] for name in ours.keys() & theirs.keys()} == {name: theirs[name] for name in ours.keys() & theirs.keys()}


def variables() -> list[str]:
    """Names of all that can be said: in terraform.tfvars, or to the control plane's module."""
    return list(declared(COMPLETE) | declared(CONTROL_PLANE))

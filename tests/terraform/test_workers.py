"""Groups of workers: what must hold of each, and its role in the emulated world, where each other action is denied."""

import re

import pytest
import yaml

from example import REGION, WORKERS, Plan, files, group_of, worker_policies
from example import plan as evaluate
from test_permissions import requests, run_commands, wait_for, write_files
from world.iam import Iam
from world.policy import Ask

GROUPS = """
workers = {
  workers = { settings = { source_dest_check = "off" } }
  spot    = { instance_types = ["m6i.large", "m5.large"], min_size = 0, max_size = 9, spot_percentage = 80, on_demand_base = 2 }
}
"""
BUCKET = "arn:aws:s3:::kubeboot-demo/demo"
OWN = "arn:aws:autoscaling:eu-central-1:123456789012:autoScalingGroup:0f8f:autoScalingGroupName/demo-"
INSTANCE = "arn:aws:ec2:eu-central-1:123456789012:instance/i-"


@pytest.fixture(scope="module")
def plan() -> Plan:
    return evaluate(GROUPS)


def of(plan: Plan, kind: str, group: str) -> dict:
    (found,) = [one for one in plan.all(kind) if group_of(one) == group]
    return found


def test_without_groups_there_are_none():
    assert {one["name"] for one in evaluate().all("aws_autoscaling_group")} == {"demo-control-plane"}


@pytest.mark.parametrize("group", ["workers", "spot"])
def test_a_group_has_its_hooks_and_they_never_replace_it(plan, group):
    made = of(plan, "aws_autoscaling_group", group)
    hooks = {one["name"]: one for one in plan.all("aws_autoscaling_lifecycle_hook") if group_of(one) == group}
    told = yaml.safe_load(plan.user_data(group))["write_files"][0]["content"]
    for setting, name, transition in (("launch", "come", "LAUNCHING"), ("terminate", "go", "TERMINATING")):
        assert f'{setting}_hook = "{name}"\n' in told
        assert hooks[name]["lifecycle_transition"] == f"autoscaling:EC2_INSTANCE_{transition}"
        assert hooks[name]["default_result"] == "ABANDON"
        # kubeboot says once a minute that it is at work.
        assert hooks[name]["heartbeat_timeout"] >= 180
    assert hooks.keys() == {"come", "go"}
    # The first machines wait in the same hook, and what changes in it is the other resource's.
    first = made["initial_lifecycle_hook"]
    assert {name: hooks["come"][name] for name in ("name", "lifecycle_transition", "default_result", "heartbeat_timeout")} == {
        name: value for name, value in first.items() if name not in ("id", "__tfmeta")
    }
    (ignored,) = re.findall(r"^    ignore_changes = \[(.*)\]$", files(WORKERS)["main.tf"], re.M)
    assert ignored == "initial_lifecycle_hook"
    # A group whose first machine did not come is not tainted, and no apply takes back what an autoscaler has decided.
    assert made["wait_for_capacity_timeout"] == "0" and "desired_capacity" not in made


@pytest.mark.parametrize("group", ["workers", "spot"])
def test_a_worker_is_told_who_it_is_and_no_pod_gets_its_role(plan, group):
    told = plan.user_data(group)
    for line in ('role = "worker"', f'group = "demo-{group}"', 'bucket = "kubeboot-demo"', 'prefix = "demo"'):
        assert f"{line}\n" in told
    assert "endpoint" not in told and "kms_key_id" not in told
    template = of(plan, "aws_launch_template", group)
    options = template["metadata_options"]
    assert (options["http_tokens"], options["http_put_response_hop_limit"]) == ("required", 1)
    assert options["instance_metadata_tags"] == "disabled"
    assert template["block_device_mappings"]["ebs"]["encrypted"] is True
    security = next(one["id"] for one in plan.all("aws_security_group") if one["name"] == "demo-workers")
    assert template["network_interfaces"]["security_groups"] == [security]


def test_spot_and_mixed_instances_are_options(plan):
    plain, spot = (of(plan, "aws_autoscaling_group", group) for group in ("workers", "spot"))
    assert "mixed_instances_policy" not in plain and plain["capacity_rebalance"] is False
    assert "launch_template" not in spot and spot["capacity_rebalance"] is True
    shares = spot["mixed_instances_policy"]["instances_distribution"]
    assert (shares["on_demand_base_capacity"], shares["on_demand_percentage_above_base_capacity"]) == (2, 20)
    assert (plain["min_size"], plain["max_size"], spot["min_size"], spot["max_size"]) == (1, 3, 0, 9)
    pooled = evaluate('workers = { workers = { warm_pool = "Stopped" } }')
    assert of(pooled, "aws_autoscaling_group", "workers")["warm_pool"]["pool_state"] == "Stopped"
    assert "warm_pool" not in plain
    one_type = evaluate('workers = { workers = { instance_types = ["m6i.large", "m5.large"] } }')
    assert "mixed_instances_policy" in of(one_type, "aws_autoscaling_group", "workers")


@pytest.mark.parametrize(
    ("group", "told"),
    [
        ("spot_percentage = 101", "variable.spot_percentage"),
        ("on_demand_base = 1", "variable.on_demand_base"),
        ("min_size = 4", "variable.max_size"),
        ("min_size = 0, max_size = 0", "variable.max_size"),
        ("min_size = -1", "variable.min_size"),
        ("subnet_ids = []", "variable.subnet_ids"),
        ('ami_id = "debian"', "variable.ami_id"),
        ('instance_types = ["large"]', "variable.instance_types"),
        ("instance_types = []", "variable.instance_types"),
        ("volume_size = 8", "variable.volume_size"),
        ('warm_pool = "Cold"', "variable.warm_pool"),
        ('warm_pool = "Stopped", spot_percentage = 50', "aws_launch_template.machine"),
        ("launch_hook_timeout = 60", "variable.launch_hook_timeout"),
        ("terminate_hook_timeout = 60", "variable.terminate_hook_timeout"),
        ('settings = { endpoint = "a:6443" }', "variable.settings"),
        ('kubeadm_config = "-----BEGIN EC PRIVATE KEY-----"', "variable.kubeadm_config"),
        ('iam_role_additional_policies = { all = "all" }', "module.role_policies.variable.iam_role_additional_policies"),
        ('iam_role_permissions_boundary = "bounds"', "variable.iam_role_permissions_boundary"),
        ('pre_bootstrap_commands = [""]', "module.user_data.variable.pre_bootstrap_commands"),
        ('instance_types = ["m6g.large"]', "aws_launch_template.machine"),
    ],
)
def test_bad_values_of_a_group_are_refused_by_their_own_variable(group, told):
    broken = evaluate(f"workers = {{ workers = {{ {group} }} }}").broken()
    assert any(one.startswith(f'module.workers["workers"].{told}: The ') for one in broken), broken


ALONE = """
module "workers" {
  source   = "../modules/workers"
  for_each = toset(["workers"])

  name               = "demo-workers"
  cluster_name            = "demo"
  bucket             = "kubeboot-demo"
  bucket_kms_key_arn     = "arn:aws:kms:eu-central-1:123456789012:key/a"
  security_group_ids = ["sg-1"]
  subnet_ids         = ["subnet-1"]
  ami_id             = "ami-0123456789abcdef0"
}
"""


def test_the_module_works_by_itself(tmp_path):
    (tmp_path / "main.tf").write_text(ALONE)
    (tmp_path / "example.tfvars").touch()
    alone, root = evaluate(root=tmp_path), evaluate("workers = { workers = {} }")
    assert alone.broken() == []
    # What it does by itself, user data included, is what the root does with a group of which nothing is said.
    for kind in ("aws_autoscaling_group", "aws_launch_template"):
        ours, theirs = ({k: v for k, v in of(made, kind, "workers").items() if isinstance(v, str | int)} for made in (alone, root))
        assert ours | {"id": ""} == theirs | {"id": ""}
    documents = [alone.document(one) for one in alone.all("aws_iam_role_policy")]
    assert [one["Sid"] for one in documents[0]["Statement"]] == ["ReadWhatWorkersNeed", "UseTheBucketsKey", "SeeTheHooks", "AnswerTheHooks"]
    assert documents[0]["Statement"][0]["Resource"] == "arn:aws:s3:::kubeboot-demo/demo/join/*"
    assert [one["name"] for one in alone.all("aws_iam_role_policy")[1:]] == ["session-manager"]


def test_what_a_worker_may_do_is_of_its_own_region():
    made = evaluate('region = "cn-north-1"\nworkers = { workers = {} }')
    for one in made.all("aws_iam_role_policy"):
        assert REGION not in one["policy"], one["__tfmeta"]["path"]


def test_a_machine_of_the_control_plane_switches_its_check_off_only_where_the_settings_say_so():
    def named(made: Plan) -> list[dict]:
        found = [one for one in made.all("aws_iam_role_policy") if one["name"] == "source-dest-check"]
        return [made.document(one) for one in found if not group_of(one)]

    assert not named(evaluate())
    (document,) = named(evaluate('settings = { source_dest_check = "off" }'))
    (statement,) = document["Statement"]
    assert statement["Condition"] == {"StringLike": {"aws:userid": "*:${ec2:InstanceID}"}}
    assert statement["Action"] == ["ec2:DescribeInstanceAttribute", "ec2:ModifyInstanceAttribute"]


def ports(plan: Plan, way: str) -> set[tuple[str, str, str, int]]:
    """From which security group to which, by their names; protocol and first port."""
    names = {one["id"]: one["name"].removeprefix("demo-") for one in plan.all("aws_security_group")}
    found = set()
    for rule in plan.all(f"aws_vpc_security_group_{way}_rule"):
        ends = [names.get(rule["security_group_id"]), names.get(rule.get("referenced_security_group_id"))]
        if "workers" in ends and None not in ends:
            found.add((*(ends if way == "egress" else ends[::-1]), rule["ip_protocol"], rule["from_port"]))
    return found


def test_both_ends_of_every_connection_are_open_and_no_other():
    plan = evaluate("webhook_ports = [8443, 9443]")
    nodes = [("control-plane", "workers"), ("workers", "control-plane"), ("workers", "workers")]
    wanted = {(*way, "tcp", 10250) for way in nodes} | {(*way, "udp", 8472) for way in nodes}
    wanted |= {("control-plane", "workers", "tcp", port) for port in (8443, 9443)}
    wanted |= {("workers", "control-plane", "tcp", 6443), ("workers", "control-plane-endpoint", "tcp", 6443)}
    assert ports(plan, "egress") == ports(plan, "ingress") == wanted


def test_without_internet_access_workers_reach_aws_by_the_endpoints():
    private = evaluate('private_endpoints = true\nroute_table_ids = ["rtb-1"]')
    https = {("workers", "control-plane-private-services", "tcp", 443)}
    assert ports(private, "egress") & https == ports(private, "ingress") & https == https


# Action, resource, what the call carries besides, and whether a worker may.
ME = {"aws:userid": "AROA:i-1"}
TABLE = [
    ("s3:GetObject", f"{BUCKET}/join/cluster.json", {}, True),
    ("s3:GetObject", f"{BUCKET}/join/token.json", {}, True),
    ("s3:GetObjectVersion", f"{BUCKET}/join/token.json", {}, False),
    ("s3:PutObject", f"{BUCKET}/join/token.json", {"s3:if-match": "e"}, False),
    ("s3:DeleteObject", f"{BUCKET}/join/token.json", {}, False),
    ("s3:GetObject", f"{BUCKET}/control-plane/cluster.json", {}, False),
    ("s3:GetObject", f"{BUCKET}/control-plane/pki/0f8fad5b.json", {}, False),
    ("s3:GetObject", f"{BUCKET}/snapshots/a", {}, False),
    ("s3:GetObject", "arn:aws:s3:::kubeboot-demo/other/join/token.json", {}, False),
    ("s3:PutObject", f"{BUCKET}/control-plane/cluster.json", {"s3:if-none-match": "*"}, False),
    ("s3:ListBucket", "arn:aws:s3:::kubeboot-demo", {}, False),
    ("s3:GetBucketVersioning", "arn:aws:s3:::kubeboot-demo", {}, False),
    ("autoscaling:DescribeLifecycleHooks", "*", {}, True),
    ("autoscaling:CompleteLifecycleAction", f"{OWN}workers", {}, True),
    ("autoscaling:RecordLifecycleActionHeartbeat", f"{OWN}workers", {}, True),
    ("autoscaling:CompleteLifecycleAction", f"{OWN}spot", {}, False),
    ("autoscaling:CompleteLifecycleAction", f"{OWN}control-plane", {}, False),
    ("autoscaling:SetInstanceHealth", f"{OWN}workers", {}, False),
    ("autoscaling:DescribeAutoScalingGroups", "*", {}, False),
    ("ec2:DescribeInstances", "*", {}, False),
    ("ec2:ModifyInstanceAttribute", f"{INSTANCE}1", {**ME, "ec2:InstanceID": "i-1"}, True),
    ("ec2:DescribeInstanceAttribute", f"{INSTANCE}1", {**ME, "ec2:InstanceID": "i-1"}, True),
    ("ec2:ModifyInstanceAttribute", f"{INSTANCE}2", {**ME, "ec2:InstanceID": "i-2"}, False),
    ("ec2:TerminateInstances", f"{INSTANCE}1", {**ME, "ec2:InstanceID": "i-1"}, False),
    ("iam:PassRole", "*", {}, False),
]


def judge(plan: Plan, action: str, resource: str, carries: dict) -> str | None:
    policies = worker_policies(plan)
    iam = Iam(lambda call: "arn:of-the-group", {**policies, "role": policies["worker"]["role"], "policies": policies["worker"]["policies"]})
    context = {"aws:SecureTransport": "true", "aws:PrincipalArn": policies["worker"]["role"], **carries}
    return iam.why_not(Ask(action, resource, context))


@pytest.mark.parametrize(("action", "resource", "carries", "allowed"), TABLE)
def test_what_a_worker_may_do(plan, action, resource, carries, allowed):
    why = judge(plan, action, resource, carries)
    assert (why is None) == allowed, why


def test_a_worker_opens_nothing_with_the_keys_but_what_s3_hands_it(plan):
    through = {"kms:ViaService": "s3.eu-central-1.amazonaws.com"}
    for action, key, carries, allowed in [
        ("kms:Decrypt", "bucket", through, True),
        ("kms:Decrypt", "bucket", {}, False),
        ("kms:GenerateDataKey", "bucket", through, False),
        ("kms:Decrypt", "pki", through, False),
    ]:
        assert (judge(plan, action, plan.key(key), carries) is None) == allowed, (action, key)


def test_without_the_setting_a_worker_changes_no_instance():
    plan = evaluate("workers = { workers = {} }")
    assert judge(plan, "ec2:ModifyInstanceAttribute", f"{INSTANCE}1", {**ME, "ec2:InstanceID": "i-1"}) is not None


def test_a_worker_joins_and_goes_with_exactly_these_policies(world, plan):
    hooks = ["--launch-hook", "join", "--worker-launch-hook", "come", "--worker-terminate-hook", "go"]
    # The agents of the world begin before cloud-init would have written their settings.
    agent = ["--agents", "--worker-set", "terminate_hook=go"]
    machines = world.up("--nodes", "1", "--no-up", *agent, "--workers", "1", *hooks, **worker_policies(plan))
    for machine in machines:
        user_data = plan.user_data("workers" if machine["role"] == "worker" else None)
        write_files(user_data, machine)
        started = world.as_node(machine["id"], "sh", "-c", run_commands(user_data))
        assert started.returncode == 0, started.stderr
    world.do("run")
    (worker,) = [machine["id"] for machine in machines if machine["role"] == "worker"]
    wait_for(lambda: state(world, worker, "lifecycle") == "InService", world, "the worker in service", seconds=100)
    checked = world.as_node(worker, "kubeboot", "check", "--json")
    assert checked.returncode == 0, checked.stdout
    world.do("desired", "0", "--workers")
    wait_for(lambda: state(world, worker, "ec2") == "terminated", world, "the worker to go", seconds=100)
    called = [line for line in requests(world) if line["node"] == worker]
    assert {"DescribeLifecycleHooks", "CompleteLifecycleAction", "ModifyInstanceAttribute"} <= {line["action"] for line in called}
    refused = [line for line in called if line["status"] == 403 and line["action"] != "GetObject"]
    assert not refused, refused


def state(world, id: str, of: str) -> str:
    (node,) = [node for node in world.do("status")["nodes"] if node["id"] == id]
    return node[of]

"""Group and launch template: what must hold so that Auto Scaling never takes the quorum away."""

import json
import re

import pytest

from example import ANSWERS, MODULES, PROJECT, ROOTS, files, machine_actions
from example import plan as evaluate
from test_guard import references, resources


@pytest.fixture(scope="module")
def group(plan):
    return plan.one("aws_autoscaling_group")


def rows() -> dict[int, list[str]]:
    """docs/exit-codes.md by exit code of `up`: meaning, the unit, the launch hook."""
    page = (PROJECT / "docs/exit-codes.md").read_text().partition("## ")[0]
    cells = [row.strip("|").split("|") for row in page.splitlines() if row.startswith("| `")]
    return {int(row[0].strip().strip("`")): [cell.strip() for cell in row[1:4]] for row in cells}


def unit(name: str) -> str:
    return re.search(rf"^{name}=(.*)$", (PROJECT / "systemd/kubeboot.service").read_text(), re.MULTILINE)[1]


def seconds(text: str) -> int:
    number, letter = re.fullmatch(r"(\d+)([smh])", text).groups()
    return int(number) * {"s": 1, "m": 60, "h": 3600}[letter]


@pytest.mark.parametrize("changes", ["", "launch_hook_timeout = 7200"])
def test_the_launch_hook_gives_up_only_who_has_given_up(changes):
    hook = evaluate(changes).one("aws_autoscaling_lifecycle_hook", "launch")
    assert hook["lifecycle_transition"] == "autoscaling:EC2_INSTANCE_LAUNCHING"
    # Where the unit starts `up` again, `up` keeps the hook alive: its time must bear the pause between two runs, and a
    # whole run without a sign of life.
    page = (PROJECT / "docs/configuration.md").read_text()
    deadline = re.search(r"^\| \[`deadline`\]\(#deadline\) \| `(\w+)`", page, re.MULTILINE)[1]
    assert hook["heartbeat_timeout"] >= seconds(deadline) + seconds(unit("RestartSec"))
    # Where it fails, and a timer looks again, a stop does not keep the hook alive, so that the default result decides. Only
    # the exit of a healthy voter says CONTINUE; with that as the default, a machine that is none would enter service.
    left_alone = [code for code, row in rows().items() if row[1].startswith("fails") and row[2] == "left alone"]
    assert left_alone == [int(code) for code in unit("RestartPreventExitStatus").split()]
    assert [row[2] for row in rows().values()].count("CONTINUE") == 1
    assert hook["default_result"] == "ABANDON"


@pytest.mark.parametrize("changes", ["", "launch_hook_timeout = 7200", 'cluster_name = "other"'])
def test_the_hook_is_there_before_the_first_machine_and_kubeboot_knows_it(changes):
    plan = evaluate(changes)
    hook = plan.one("aws_autoscaling_lifecycle_hook", "launch")
    told = ("name", "lifecycle_transition", "default_result", "heartbeat_timeout")
    first = plan.one("aws_autoscaling_group")["initial_lifecycle_hook"]
    # The later hook is the first one: with another name the first would stay, and nobody would complete it.
    assert {name: first[name] for name in told} == {name: hook[name] for name in told}
    # Another name would be another hook, and the old one is completed with CONTINUE when it is deleted.
    assert hook["name"] == "join"
    assert f'launch_hook = "{hook["name"]}"' in plan.user_data()


@pytest.mark.parametrize("changes", ["", "terminate_hook = false"])
def test_who_is_terminated_waits_until_it_has_left_or_is_retained(changes):
    plan = evaluate(changes)
    hooks = [hook for hook in plan.all("aws_autoscaling_lifecycle_hook") if hook["name"] == "leave"]
    policy = plan.one("aws_autoscaling_group").get("instance_lifecycle_policy")
    # Known to every machine, so that the hook may be added and taken away while they run.
    assert 'terminate_hook = "leave"' in plan.user_data()
    if changes:
        assert not hooks and not policy
        return
    (hook,) = hooks
    assert hook["lifecycle_transition"] == "autoscaling:EC2_INSTANCE_TERMINATING"
    # Only ABANDON retains, by the agent's word or at the end of the time. Both belong together.
    assert hook["default_result"] == "ABANDON"
    assert policy["retention_triggers"]["terminate_hook_abandon"] == "retain"
    assert hook["heartbeat_timeout"] == 300


def test_a_changed_hook_never_replaces_the_group():
    (group,) = re.findall(r'^resource "aws_autoscaling_group".*?^\}', files()["machines.tf"], re.M | re.S)
    (ignored,) = re.findall(r"^    ignore_changes = \[(.*)\]$", group, re.M)
    # And nothing else is ignored: what differs is mended.
    assert ignored == "initial_lifecycle_hook"


def test_nothing_replaces_a_healthy_voter(group):
    assert group["suspended_processes"] == ["AZRebalance"]
    assert group["capacity_rebalance"] is False
    assert group["max_instance_lifetime"] == 0
    assert group["health_check_type"] == "EC2"
    assert group["min_size"] == group["max_size"] == group["desired_capacity"] == 3


def test_an_instance_refresh_replaces_one_at_a_time_and_launches_first(plan):
    group = evaluate('refresh = "auto"').one("aws_autoscaling_group")
    preferences = group["instance_refresh"]["preferences"]
    assert (preferences["min_healthy_percentage"], preferences["max_healthy_percentage"]) == (100, 100)
    # By hand it is the same one.
    (command,) = [one["value"] for one in plan.all("output") if one["__tfmeta"]["path"] == "output.start_refresh"]
    told = json.loads(re.search(r"--preferences '(.*)'", command)[1])
    assert {re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower(): value for name, value in told.items()} == {
        name: value for name, value in preferences.items() if name in preferences.keys() - {"id", "__tfmeta"}
    }


def test_no_apply_begins_or_cancels_a_refresh_unless_that_is_wanted(group):
    assert not group.get("instance_refresh")


def test_a_tag_is_no_reason_to_replace_a_machine():
    made = evaluate('tags = { costs = "of-team-a" }')
    # Whatever the launch template says makes a new version of it.
    assert "of-team-a" not in json.dumps(made.one("aws_launch_template")) + made.user_data()
    tags = [one for one in made.one("aws_autoscaling_group")["tag"] if one["key"] == "costs"]
    assert [(one["value"], one["propagate_at_launch"]) for one in tags] == [("of-team-a", True)]


def test_two_voters_never_share_a_zone_for_want_of_room(group):
    assert group["availability_zone_distribution"]["capacity_distribution_strategy"] == "balanced-only"


def test_versioning_has_settled_before_the_first_machine():
    settled = resources()["terraform_data.versioning_settled"]
    (seconds,) = re.findall(r'command = "sleep (\d+)"', settled)
    assert int(seconds) >= 15 * 60
    assert "aws_s3_bucket_versioning.control_plane" in settled
    assert "terraform_data.versioning_settled" in references(resources()["aws_autoscaling_group.control_plane"])


def test_deleting_the_group_waits_longer_than_a_hook(group):
    longest = re.search(r"var.launch_hook_timeout <= (\d+)", files()["variables.tf"])[1]
    assert seconds(group["timeouts"]["delete"]) > int(longest) + 900


def test_the_reasons_stand_beside_what_needs_one():
    text = files()["machines.tf"]
    health = text[: text.index('health_check_type         = "EC2"')].rpartition("\n\n")[2]
    assert "/readyz answers 500" in health and "terminate the survivors" in health
    hook = text[: text.index('resource "aws_autoscaling_lifecycle_hook" "launch"')].rpartition("\n\n")[2]
    assert "ABANDON, because" in hook


def test_metadata_is_for_the_machine_alone_and_disks_are_encrypted(plan):
    template = plan.one("aws_launch_template")
    options = template["metadata_options"]
    assert (options["http_tokens"], options["http_put_response_hop_limit"]) == ("required", 1)
    assert options["instance_metadata_tags"] == "disabled"
    disk = template["block_device_mappings"]["ebs"]
    assert disk["encrypted"] is True
    assert disk["kms_key_id"] == plan.one("aws_kms_key", "volumes")["id"]
    assert template["network_interfaces"]["associate_public_ip_address"] is False


def test_the_load_balancer_asks_for_more_than_an_open_port(plan):
    target = plan.one("aws_lb_target_group")
    assert target["preserve_client_ip"] == "false"
    assert (target["health_check"]["protocol"], target["health_check"]["path"]) == ("HTTPS", "/readyz")


def test_an_api_server_that_answers_nobody_unknown_can_be_asked_by_its_port():
    check = evaluate('health_check = "tcp"').one("aws_lb_target_group")["health_check"]
    # The provider refuses the other two with TCP.
    assert (check["protocol"], check.get("path"), check.get("matcher")) == ("TCP", None, None)


def test_etcd_is_reached_from_the_control_plane_alone(plan):
    machines = next(one["id"] for one in plan.all("aws_security_group") if one["name"] == "demo-control-plane")
    rules = [one for one in plan.all("aws_vpc_security_group_ingress_rule") if one["security_group_id"] == machines]
    etcd = [one for one in rules if one["from_port"] <= 2380 and one["to_port"] >= 2379]
    told = [(one["from_port"], one["to_port"], one.get("referenced_security_group_id")) for one in etcd]
    assert told == [(2379, 2380, machines)]
    assert all("cidr_ipv4" not in one for one in rules)


def test_without_internet_access_nothing_leaves_the_vpc():
    private = evaluate('private_endpoints = true\nroute_table_ids = ["rtb-1"]')
    assert not [one for one in private.all("aws_vpc_security_group_egress_rule") if "cidr_ipv4" in one]
    services = [
        one["service_name"].removeprefix("com.amazonaws.eu-central-1.") for one in private.all("aws_vpc_endpoint")
    ]
    assert sorted(services) == ["autoscaling", "ec2", "s3", "ssm", "ssmmessages"]
    buckets = {
        arn
        for one in private.document(private.one("aws_vpc_endpoint", "s3[0]"))["Statement"]
        for arn in one["Resource"]
    }
    assert buckets == {"arn:aws:s3:::kubeboot-demo", "arn:aws:s3:::kubeboot-demo/*"}


def test_a_gateway_endpoint_that_is_there_is_used():
    private = evaluate('private_endpoints = true\ns3_endpoint_id = "vpce-1"')
    assert not [one for one in private.all("aws_vpc_endpoint") if one.get("vpc_endpoint_type") == "Gateway"]
    rules = [one for one in private.all("aws_vpc_security_group_egress_rule") if one.get("prefix_list_id")]
    assert [rule["prefix_list_id"] for rule in rules] == ["pl-of-vpce-1"] * 2


def test_the_services_of_china_have_their_own_names():
    more = '["ecr.dkr", "cn.com.amazonaws.cn-north-1.kinesis-streams"]'
    private = evaluate(
        f'region = "cn-north-1"\nprivate_endpoints = true\nroute_table_ids = ["rtb-1"]\nmore_private_services = {more}'
    )
    names = {one["service_name"] for one in private.all("aws_vpc_endpoint") if one.get("vpc_endpoint_type") == "Interface"}
    assert names == {
        "cn.com.amazonaws.cn-north-1.autoscaling",
        "cn.com.amazonaws.cn-north-1.ec2",
        "cn.com.amazonaws.cn-north-1.ecr.dkr",
        "cn.com.amazonaws.cn-north-1.kinesis-streams",
        "com.amazonaws.cn-north-1.ssm",
        "com.amazonaws.cn-north-1.ssmmessages",
    }


def test_every_range_of_the_vpc_reaches_the_endpoint(plan):
    rules = [one.get("cidr_ipv4") for one in plan.all("aws_vpc_security_group_ingress_rule")]
    assert sorted(filter(None, rules)) == ["10.0.0.0/16", "100.64.0.0/16"]


def test_every_interface_endpoint_is_for_a_service_that_kubeboot_calls(plan):
    called = {action.partition(":")[0] for action in machine_actions(plan)}
    # S3 has the gateway endpoint, and asks KMS itself.
    assert called - {"s3", "kms"} == {"autoscaling", "ec2"}


@pytest.mark.parametrize("folder", [*ROOTS, *MODULES], ids=lambda one: one.name)
def test_no_partition_is_written_down(folder):
    for name, text in files(folder).items():
        assert not re.search(r"arn:aws|amazonaws\.com(?!\")", re.sub(r"#.*", "", text)), name


@pytest.mark.parametrize(("encrypted", "told"), [("false", []), ("true", ["snap-1"])])
def test_an_encrypted_image_is_said_at_plan_time(encrypted, told):
    answers = ANSWERS.read_text().replace('encrypted = "false"', f'encrypted = "{encrypted}"')
    (found,) = [one for one in evaluate(answers=answers).all("locals") if "encrypted_snapshots" in one]
    assert found["encrypted_snapshots"] == told
    # The evaluation knows no check blocks: this one looks at nothing else.
    (check,) = re.findall(r'^check "image_key" \{.*?^\}', files()["machines.tf"], re.M | re.S)
    assert "condition     = length(local.encrypted_snapshots) == 0" in check
    heading = re.search(r"docs/terraform.md, ([^.]*)\.", check)[1]
    assert f"\n## {heading}\n" in (PROJECT / "docs/terraform.md").read_text()
    assert "launch_role_arn" in check

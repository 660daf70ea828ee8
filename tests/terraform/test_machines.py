"""Group and launch template: what must hold so that Auto Scaling never takes the quorum away."""

import re

import pytest

from example import PROJECT, files, machine_actions
from example import plan as evaluate


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


def test_the_launch_hook_gives_up_only_who_has_given_up(group):
    hook = group["initial_lifecycle_hook"]
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


def test_the_hook_is_there_before_the_first_machine_and_kubeboot_knows_it(plan, group):
    # A hook of its own would come after the group, and the first machines would not wait in it.
    assert not plan.all("aws_autoscaling_lifecycle_hook")
    assert f'launch_hook = "{group["initial_lifecycle_hook"]["name"]}"' in plan.user_data()


def test_nothing_replaces_a_healthy_voter(group):
    assert group["suspended_processes"] == ["AZRebalance"]
    assert group["capacity_rebalance"] is False
    assert group["max_instance_lifetime"] == 0
    assert group["health_check_type"] == "EC2"
    assert group["min_size"] == group["max_size"] == group["desired_capacity"] == 3


def test_an_instance_refresh_replaces_one_at_a_time_and_launches_first(group):
    preferences = group["instance_refresh"]["preferences"]
    assert (preferences["min_healthy_percentage"], preferences["max_healthy_percentage"]) == (100, 100)


def test_the_reasons_stand_beside_what_needs_one():
    text = files()["machines.tf"]
    health = text[: text.index('health_check_type         = "EC2"')].rpartition("\n\n")[2]
    assert "/readyz answers 500" in health and "terminate the survivors" in health
    hook = text[: text.index("initial_lifecycle_hook {")].rpartition("instance_refresh")[2]
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


def test_every_interface_endpoint_is_for_a_service_that_kubeboot_calls(plan):
    called = {action.partition(":")[0] for action in machine_actions(plan)}
    # S3 has the gateway endpoint, and asks KMS itself.
    assert called - {"s3", "kms"} == {"autoscaling", "ec2"}


def test_no_partition_is_written_down():
    for name, text in files().items():
        assert not re.search(r"arn:aws|amazonaws\.com(?!\")", re.sub(r"#.*", "", text)), name

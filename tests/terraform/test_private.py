"""The root `private`: a network without a way out, and a control plane that lacks nothing in it."""

import re

import pytest

from example import PRIVATE, Plan, files
from example import plan as evaluate

# What a network is made of, and none of what leads out of it.
NETWORK = {"aws_vpc", "aws_default_security_group", "aws_subnet"}
# The evaluation makes up the IDs of what is not there yet, and they are no IDs of AWS.
MADE_UP = re.compile(r"variable\.(vpc_id|subnet_ids): ")


@pytest.fixture(scope="module")
def made() -> Plan:
    return evaluate(root=PRIVATE)


def broken(made: Plan) -> list[str]:
    return [one for one in made.broken() if not MADE_UP.match(one)]


def test_nothing_leads_out_of_the_network(made):
    text = "\n".join(files(PRIVATE).values())
    assert set(re.findall(r'^resource "(\w+)"', text, re.MULTILINE)) == NETWORK
    assert not [one for one in made.all("aws_vpc_security_group_egress_rule") if "cidr_ipv4" in one]
    assert not {"ingress", "egress"} & made.one("aws_default_security_group").keys()


def test_each_zone_has_a_subnet_with_the_route_to_s3(made):
    assert broken(made) == []
    subnets = [one for one in made.all("aws_subnet") if not one["__tfmeta"]["path"].startswith("module.")]
    assert [one["availability_zone"] for one in subnets] == [f"eu-central-1{letter}" for letter in "abc"]
    assert [one["cidr_block"] for one in subnets] == ["10.0.0.0/18", "10.0.64.0/18", "10.0.128.0/18"]
    # No subnet is tied to a route table, so that all of them have this one.
    assert "[aws_vpc.this.default_route_table_id]" in files(PRIVATE)["main.tf"]
    assert made.one("aws_vpc_endpoint", "s3[0]")["vpc_id"] == subnets[0]["vpc_id"]
    group = made.one("aws_autoscaling_group")
    assert group["vpc_zone_identifier"] == [one["id"] for one in subnets]


def test_names_work_and_the_network_alone_reaches_the_endpoint(made):
    vpc = next(one for one in made.all("aws_vpc") if one["__tfmeta"]["path"] == "aws_vpc.this")
    assert vpc["enable_dns_support"] is vpc["enable_dns_hostnames"] is True
    clients = [one["cidr_ipv4"] for one in made.all("aws_vpc_security_group_ingress_rule") if "cidr_ipv4" in one]
    assert clients == [vpc["cidr_block"]]


@pytest.mark.parametrize(
    ("changes", "variable"),
    [
        ('vpc_cidr = "10.0.0.0"', "vpc_cidr"),
        ('vpc_cidr = "10.0.0.0/25"', "vpc_cidr"),
        ('vpc_cidr = "fd00::/20"', "vpc_cidr"),
        ('zones = ["eu-central-1a", "eu-central-1b"]', "zones"),
        ('zones = ["eu-central-1a", "eu-central-1a", "eu-central-1b"]', "zones"),
        ('zones = ["eu-west-1a", "eu-west-1b", "eu-west-1c"]', "zones"),
        ("instance_count = 4", "instance_count"),
    ],
)
def test_bad_values_are_refused(changes, variable):
    told = broken(evaluate(changes, root=PRIVATE))
    assert any(one.startswith(f"variable.{variable}: The ") for one in told), told

"""What people bring, in place of what the control plane's module makes: nothing is made beside it, and nothing lacks."""

import json

import pytest

from example import Plan
from example import plan as evaluate
from test_changes import told
from test_variables import KEY

OWN_BUCKET = f'create_bucket = false\nkms_key_arns = {{ bucket = "{KEY}1" }}'
OWN_ENDPOINT = 'create_load_balancer = false\ncluster_endpoint = "api.example.com:443"'
TARGETS = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/mine/1"


def output(made: Plan, name: str):
    (found,) = [one for one in made.all("output") if one["__tfmeta"]["path"] == f"module.control_plane.output.{name}"]
    return found.get("value")


def kinds(made: Plan) -> set[str]:
    return {kind for kind, found in made.parsed.items() if found}


def test_a_bucket_that_is_there_is_left_as_it_is(plan):
    made = evaluate(OWN_BUCKET)
    assert not [kind for kind in kinds(made) if kind.startswith("aws_s3_bucket")]
    # Nothing waits for the versioning of another one's bucket.
    assert {one["__tfmeta"]["path"] for one in plan.all("terraform_data")} - {one["__tfmeta"]["path"] for one in made.all("terraform_data")} == {
        "module.control_plane.terraform_data.versioning_settled[0]"
    }
    # What the policy of one that is made says has to be said by the owner of this one.
    ours, theirs = (told(one, output(one, "bucket_policy")) for one in (made, plan))
    assert ours == theirs and json.loads(output(made, "bucket_policy"))["Statement"]
    assert theirs == told(plan, plan.one("aws_s3_bucket_policy")["policy"])
    assert output(made, "bucket") == output(plan, "bucket") == "kubeboot-demo"
    role = [one["policy"] for one in made.all("aws_iam_role_policy") if one["name"] == "kubeboot"]
    assert f"{KEY}1" in role[0] and "arn:aws:s3:::kubeboot-demo/demo/control-plane/*" in role[0]
    # Snapshots in a bucket of their own are as ever, and told of by themselves.
    assert len(evaluate(OWN_BUCKET + '\nsnapshot_bucket = "snapshots"').all("aws_s3_bucket_notification")) == 1


def test_keys_that_are_there_are_used_and_no_others_made():
    arns = {name: f"{KEY}{name}" for name in ("bucket", "pki", "volumes", "snapshots")}
    given = ", ".join(f'{name} = "{arn}"' for name, arn in arns.items())
    made = evaluate(f'kms_key_arns = {{ {given} }}\nsnapshot_bucket = "snapshots"')
    assert not kinds(made) & {"aws_kms_key", "aws_kms_alias"}
    assert made.one("aws_launch_template")["block_device_mappings"]["ebs"]["kms_key_id"] == arns["volumes"]
    settings = f'kms_key_id = "{arns["pki"]}"', f'snapshot_kms_key_id = "{arns["snapshots"]}"'
    assert all(one in made.user_data() for one in settings)
    defaults = [one["rule"]["apply_server_side_encryption_by_default"]["kms_master_key_id"] for one in made.all("aws_s3_bucket_server_side_encryption_configuration")]
    assert sorted(defaults) == sorted([arns["bucket"], arns["snapshots"]])
    names = ("bucket", "pki", "volumes")
    assert [output(made, f"{name}_kms_key_arn") for name in names] == [arns[name] for name in names]
    # One of them alone is possible as well.
    one = evaluate(f'kms_key_arns = {{ pki = "{KEY}pki" }}')
    assert sorted(key["__tfmeta"]["path"].rpartition(".")[2] for key in one.all("aws_kms_key")) == ["bucket[0]", "volumes[0]"]
    assert len(one.all("aws_kms_alias")) == 2


def test_the_owner_of_a_key_is_told_what_its_policy_says():
    made = evaluate('snapshot_bucket = "snapshots"')
    for name, policy in output(made, "kms_key_policies").items():
        assert told(made, policy) == told(made, made.one("aws_kms_key", name)["policy"]), name


def test_a_zone_that_is_there_has_the_record():
    made = evaluate('create_zone = false\nzone_id = "Z1"\nzone_name = "k8s.example.com"')
    assert not made.all("aws_route53_zone")
    record = made.one("aws_route53_record")
    assert (record["zone_id"], record["name"], output(made, "zone_id")) == ("Z1", "api.k8s.example.com", "Z1")
    assert 'endpoint = "api.k8s.example.com:6443"' in made.user_data()


@pytest.mark.parametrize("targets", [[], [TARGETS]])
def test_another_load_balancer_or_none_is_the_endpoint(targets):
    made = evaluate(f"{OWN_ENDPOINT}\ntarget_group_arns = {json.dumps(targets)}\nallowed_cidr_blocks = [\"10.1.0.0/16\"]")
    assert not [kind for kind in kinds(made) if kind.startswith(("aws_lb", "aws_route53"))]
    assert (made.one("aws_autoscaling_group").get("target_group_arns") or []) == targets
    assert 'endpoint = "api.example.com:443"' in made.user_data()
    assert output(made, "cluster_endpoint") == "https://api.example.com:443"
    groups = {one["id"]: one["name"] for one in made.all("aws_security_group")}
    assert sorted(groups.values()) == ["demo-control-plane", "demo-workers"]
    # Clients come to the machines; machines and workers go to the endpoint.
    rules = {
        (way, groups[one["security_group_id"]].removeprefix("demo-"), one["from_port"])
        for way in ("ingress", "egress")
        for one in made.all(f"aws_vpc_security_group_{way}_rule")
        if one.get("cidr_ipv4") == "10.1.0.0/16"
    }
    assert rules == {("ingress", "control-plane", 6443), ("egress", "control-plane", 443), ("egress", "workers", 443)}
    assert all(output(made, name) is None for name in ("load_balancer_arn", "target_group_arn", "zone_id", "load_balancer_security_group_id"))


def test_more_target_groups_than_the_one_that_is_made():
    made = evaluate(f'target_group_arns = ["{TARGETS}"]')
    assert made.one("aws_autoscaling_group")["target_group_arns"][1:] == [TARGETS]
    assert len(made.one("aws_autoscaling_group")["target_group_arns"]) == 2


def test_every_role_has_the_boundary():
    made = evaluate('iam_role_permissions_boundary = "arn:aws:iam::123456789012:policy/a"\nworkers = { a = {}, b = { iam_role_permissions_boundary = "arn:aws:iam::123456789012:policy/b" } }')
    bounds = {one["name"]: one["permissions_boundary"].rpartition("/")[2] for one in made.all("aws_iam_role")}
    assert bounds == {"demo-control-plane": "a", "demo-a": "a", "demo-b": "b"}


def test_machines_have_the_security_groups_that_they_are_given():
    made = evaluate('additional_security_group_ids = ["sg-0a1b"]')
    groups = made.one("aws_launch_template")["network_interfaces"]["security_groups"]
    own = next(one["id"] for one in made.all("aws_security_group") if one["name"] == "demo-control-plane")
    assert groups == [own, "sg-0a1b"]

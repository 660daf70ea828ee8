"""Snapshots of etcd: who may make, read, overwrite and delete one, in a bucket of their own and in the cluster's; the alarm."""

import json
import tomllib

import pytest
import yaml

from example import ROLE, world_policies
from example import plan as evaluate
from world.iam import Iam
from world.policy import Ask

OWN = "kubeboot-demo-snapshots"
NAME = "00000000000000012345-20261130T035059Z-6f9619ff-8b86-4011-b42d-00c04fc964ff"
KEY = f"demo/snapshots/{NAME}.db.zst"
FINAL = f"demo/snapshots/final-{NAME}.db.zst"
ADMIN = "arn:aws:iam::123456789012:role/admin"
OPERATOR = "arn:aws:iam::123456789012:role/operator"
EVERYTHING = {"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}

CREATES, PART = {"s3:ObjectCreationOperation": "true"}, {"s3:ObjectCreationOperation": "false"}
ABSENT, CHANGED = {**CREATES, "s3:if-none-match": "*"}, {**CREATES, "s3:if-match": '"etag"'}

# Who, action, what the call carries, and whether it is allowed: in a bucket of their own, and in the cluster's.
TABLE = [
    (ROLE, "s3:PutObject", ABSENT, True, True),
    (ROLE, "s3:PutObject", PART, True, True),
    (ROLE, "s3:PutObject", CREATES, False, False),
    (ROLE, "s3:PutObject", CHANGED, False, False),
    (ROLE, "s3:GetObject", {}, True, True),
    (ROLE, "s3:AbortMultipartUpload", {}, True, True),
    (ROLE, "s3:DeleteObject", {}, False, False),
    (ROLE, "s3:DeleteObject", CHANGED, False, False),
    (ROLE, "s3:DeleteObjectVersion", {}, False, False),
    (ROLE, "s3:BypassGovernanceRetention", {}, False, False),
    (ADMIN, "s3:PutObject", ABSENT, False, False),
    (ADMIN, "s3:PutObject", PART, False, False),
    (ADMIN, "s3:GetObject", {"aws:SecureTransport": "false"}, False, False),
]


@pytest.fixture(scope="module")
def own():
    return evaluate(f'snapshot_bucket = "{OWN}"\nsnapshot_days = 7\nsnapshot_minutes = 20')


def judge(made, who: str, action: str, bucket: str, carries: dict, key: str = KEY) -> str | None:
    policies = world_policies(made)
    if who != ROLE:
        policies |= {"role": who, "policies": [EVERYTHING]}
    context = {"aws:SecureTransport": "true", "aws:PrincipalArn": who, **carries}
    return Iam(lambda call: "arn:of-the-group", policies).why_not(Ask(action, f"arn:aws:s3:::{bucket}/{key}", context))


@pytest.mark.parametrize(("who", "action", "carries", "in_own", "in_clusters"), TABLE)
def test_snapshots_are_made_and_read_and_neither_overwritten_nor_deleted(
    plan, own, who, action, carries, in_own, in_clusters
):
    for made, bucket, allowed in ((own, OWN, in_own), (plan, "kubeboot-demo", in_clusters)):
        for key in (KEY, FINAL):
            why = judge(made, who, action, bucket, carries, key)
            assert (why is None) == allowed, f"{bucket}: {why}"


@pytest.mark.parametrize("bucket", [OWN, "kubeboot-demo"])
def test_the_bucket_says_no_whatever_the_roles_policies_allow(bucket):
    made = evaluate(
        f'snapshot_bucket = "{OWN}"\noperator_role_arns = ["{OPERATOR}"]'
        if bucket == OWN
        else f'operator_role_arns = ["{OPERATOR}"]'
    )
    policies = world_policies(made) | {"policies": [EVERYTHING]}
    for who, action, carries, allowed in (
        (ROLE, "s3:PutObject", ABSENT, True),
        (ROLE, "s3:PutObject", PART, True),
        (ROLE, "s3:PutObject", CREATES, False),
        (ROLE, "s3:PutObject", CHANGED, False),
        (ROLE, "s3:DeleteObject", {}, False),
        (ROLE, "s3:DeleteObjectVersion", {}, False),
        # An operator writes a record, never a snapshot; deleting a final one is for those whose own policies let them.
        (OPERATOR, "s3:PutObject", ABSENT, False),
        (OPERATOR, "s3:DeleteObject", {}, True),
    ):
        context = {"aws:SecureTransport": "true", "aws:PrincipalArn": who, **carries}
        iam = Iam(lambda call: "arn:of-the-group", policies | {"role": who})
        why = iam.why_not(Ask(action, f"arn:aws:s3:::{bucket}/{FINAL}", context))
        assert (why is None) == allowed, f"{who} {action} {carries}: {why}"


def test_the_machines_read_the_keys_of_both(own):
    through = {"kms:ViaService": "s3.eu-central-1.amazonaws.com", "aws:PrincipalArn": ROLE}
    for who, allowed in ((ROLE, True), (ADMIN, False)):
        policies = world_policies(own)
        if who != ROLE:
            policies |= {"role": who, "policies": [EVERYTHING]}
        asks = [Ask(action, own.key("snapshots"), through) for action in ("kms:Decrypt", "kms:GenerateDataKey")]
        assert [Iam(lambda call: "arn:x", policies).why_not(ask) is None for ask in asks] == [allowed, allowed]


def test_the_bucket_of_their_own_is_locked_and_ends_them(plan, own):
    assert not [one for one in plan.all("aws_s3_bucket") if one["bucket"] == OWN]
    bucket = own.one("aws_s3_bucket", "snapshots")
    assert (bucket["bucket"], bucket["object_lock_enabled"], bucket["force_destroy"]) == (OWN, True, False)
    lock = own.one("aws_s3_bucket_object_lock_configuration")["rule"]["default_retention"]
    assert (lock["mode"], lock["days"]) == ("GOVERNANCE", 7)
    assert own.one("aws_s3_bucket_versioning", "snapshots")["versioning_configuration"]["status"] == "Enabled"
    block = own.one("aws_s3_bucket_public_access_block", "snapshots")
    assert all(block[name] is True for name in block if name.startswith(("block_", "ignore_", "restrict_")))
    for made, name in ((own, "snapshots"), (plan, "control_plane")):
        rules = made.one("aws_s3_bucket_lifecycle_configuration", name)["rule"]
        rules = rules if isinstance(rules, list) else [rules]
        reach = [(one, one["filter"].get("prefix") or "") for one in rules]
        # By age end those of every kind but final: a cluster may hibernate for longer.
        for key, days in ((KEY, [7 if made is own else 30]), (FINAL, [])):
            reached = [one for one, prefix in reach if key.startswith(prefix)]
            assert [one["expiration"]["days"] for one in reached if one["expiration"].get("days")] == days, key
            assert not [one for one in reached if one["expiration"].get("date")]
            # Uploads that nobody has completed end, and so does what was deleted.
            aborts = [one["abort_incomplete_multipart_upload"]["days_after_initiation"] for one in reached]
            assert aborts and set(aborts) == {1}, key
            gone = [one["noncurrent_version_expiration"] for one in reached if one.get("noncurrent_version_expiration")]
            assert [one["noncurrent_days"] for one in gone] == [1], key


def settings(made) -> dict:
    files = yaml.safe_load(made.user_data())["write_files"]
    (file,) = [one for one in files if one["path"].endswith("config.toml")]
    return tomllib.loads(file["content"])


def test_the_machines_are_told_where(plan, own):
    told = settings(own)
    assert (told["snapshot_interval"], told["snapshot_location"]) == ("20m", f"s3://{OWN}/demo")
    assert told["snapshot_kms_key_id"]
    assert not {"snapshot_location", "snapshot_kms_key_id"} & set(settings(plan))


def test_the_alarm_fires_when_nothing_came(plan, own):
    for made, bucket, period in ((own, OWN, 1200), (plan, "kubeboot-demo", 900)):
        alarm = made.one("aws_cloudwatch_metric_alarm")
        assert (alarm["period"], alarm["evaluation_periods"]) == (period, 3)
        assert (alarm["comparison_operator"], alarm["threshold"]) == ("LessThanThreshold", 1)
        assert alarm["treat_missing_data"] == "breaching"
        pattern = json.loads(made.one("aws_cloudwatch_event_rule")["event_pattern"])
        assert pattern["detail"]["bucket"]["name"] == [bucket]
        # Manifests alone: an object without one is no snapshot.
        assert pattern["detail"]["object"]["key"] == [{"wildcard": "demo/snapshots/*.json"}]
        assert made.one("aws_s3_bucket_notification")["eventbridge"] is True
    off = evaluate("snapshot_minutes = 0")
    assert not off.all("aws_cloudwatch_metric_alarm")
    assert settings(off)["snapshot_interval"] == "0m"

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
KEY = "demo/snapshots/00000000000000012345-20261130T035059Z-6f9619ff-8b86-4011-b42d-00c04fc964ff.db.zst"
ADMIN = "arn:aws:iam::123456789012:role/admin"
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


def judge(made, who: str, action: str, bucket: str, carries: dict) -> str | None:
    policies = world_policies(made)
    if who != ROLE:
        policies |= {"role": who, "policies": [EVERYTHING]}
    context = {"aws:SecureTransport": "true", "aws:PrincipalArn": who, **carries}
    return Iam("arn:of-the-group", policies).why_not(Ask(action, f"arn:aws:s3:::{bucket}/{KEY}", context))


@pytest.mark.parametrize(("who", "action", "carries", "in_own", "in_clusters"), TABLE)
def test_snapshots_are_made_and_read_and_neither_overwritten_nor_deleted(
    plan, own, who, action, carries, in_own, in_clusters
):
    for made, bucket, allowed in ((own, OWN, in_own), (plan, "kubeboot-demo", in_clusters)):
        why = judge(made, who, action, bucket, carries)
        assert (why is None) == allowed, f"{bucket}: {why}"


def test_the_machines_read_the_keys_of_both(own):
    through = {"kms:ViaService": "s3.eu-central-1.amazonaws.com", "aws:PrincipalArn": ROLE}
    for who, allowed in ((ROLE, True), (ADMIN, False)):
        policies = world_policies(own)
        if who != ROLE:
            policies |= {"role": who, "policies": [EVERYTHING]}
        asks = [Ask(action, own.key("snapshots"), through) for action in ("kms:Decrypt", "kms:GenerateDataKey")]
        assert [Iam("arn:x", policies).why_not(ask) is None for ask in asks] == [allowed, allowed]


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
        # Nothing else is in the bucket of their own.
        (rule,) = [one for one in rules if made is own or one["filter"]["prefix"] == "demo/snapshots/"]
        assert rule["expiration"]["days"] == (7 if made is own else 30)
        assert rule["abort_incomplete_multipart_upload"]["days_after_initiation"] == 1


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

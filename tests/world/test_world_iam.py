"""Policies: how they are judged, and that the emulated AWS holds to them."""

import pytest
from botocore.exceptions import ClientError

from world.account import BUCKET
from world.iam import Iam
from world.policy import Ask, parse

ROLE = "arn:aws:iam::123456789012:role/demo"
ROOT = {"AWS": "arn:aws:iam::123456789012:root"}
KEY, OTHER = "arn:aws:kms:eu-central-1:123456789012:key/1", "arn:aws:kms:eu-central-1:123456789012:key/2"


def allow(action, resource="*", **more) -> dict:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def policies(*statements: dict, bucket: tuple = (), keys: dict | None = None) -> dict:
    return {
        "role": ROLE, "policies": [{"Statement": list(statements)}], "bucket": {"Statement": list(bucket)},
        "bucket_key": KEY, "keys": keys or {KEY: {"Statement": [allow("kms:*", Principal=ROOT)]}},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("statement", "ask", "holds"),
    [
        (allow("s3:GetObject", "arn:b/*"), Ask("s3:GetObject", "arn:b/k/l"), True),
        (allow("s3:getobject", "arn:b/*"), Ask("s3:GetObject", "arn:b/k"), True),
        (allow("s3:Get*", "arn:b/?"), Ask("s3:GetObject", "arn:b/k"), True),
        (allow("s3:Get*", "arn:b/?"), Ask("s3:GetObject", "arn:b/kk"), False),
        (allow("s3:Get*", "arn:B/k"), Ask("s3:GetObject", "arn:b/k"), False),
        (allow(["s3:A", "s3:B"], ["x", "y"]), Ask("s3:B", "y"), True),
        (allow("*", Condition={"Null": {"s3:if-match": "true"}}), Ask("a", "r"), True),
        (allow("*", Condition={"Null": {"s3:if-match": "true"}}), Ask("a", "r", {"s3:if-match": "e"}), False),
        (allow("*", Condition={"StringEquals": {"kms:ViaService": "s3"}}), Ask("a", "r"), False),
        (allow("*", Condition={"StringNotEquals": {"kms:ViaService": "s3"}}), Ask("a", "r"), True),
        (allow("*", Condition={"StringLike": {"aws:userid": "*:${ec2:InstanceID}"}}), Ask("a", "r", {"aws:userid": "R:i-1", "ec2:InstanceID": "i-1"}), True),
        (allow("*", Condition={"StringLike": {"aws:userid": "*:${ec2:InstanceID}"}}), Ask("a", "r", {"aws:userid": "R:i-1", "ec2:InstanceID": "i-2"}), False),
        (allow("*", Condition={"StringLike": {"aws:userid": "*${ec2:InstanceID}"}}), Ask("a", "r", {"aws:userid": "R:i-1"}), False),
        (
            allow("*", Condition={"ArnNotEquals": {"aws:PrincipalArn": "arn:*"}}),
            Ask("a", "r", {"aws:PrincipalArn": "arn:x"}),
            False,
        ),
        (
            allow("*", Condition={"StringEquals": {"kms:ViaService": ["s3", "ec2"]}}),
            Ask("a", "r", {"kms:ViaService": "ec2"}),
            True,
        ),
    ],
)
def test_a_statement_applies(statement, ask, holds):
    (parsed,) = parse({"Statement": statement})
    assert parsed.applies(ask) == holds


@pytest.mark.parametrize(
    "statement",
    [
        {"Effect": "Allow", "NotAction": "s3:*", "Resource": "*"},
        {"Effect": "allow", "Action": "*", "Resource": "*"},
        allow("*", Condition={"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}),
        allow("*", Condition={"StringEquals": {"aws:SourceVpce": "vpce-1"}}),
        allow("*", Condition={"StringEquals": {"aws:userid": "${aws:SourceIp}"}}),
    ],
)
def test_what_cannot_be_judged_is_refused_at_once(statement):
    with pytest.raises(ValueError, match="cannot judge"):
        parse({"Statement": [statement]})


def test_a_denial_wins_over_every_permission():
    deny = {"Effect": "Deny", "Principal": "*", "Action": "s3:DeleteObject", "Resource": "arn:aws:s3:::b/record"}
    iam = Iam(lambda call: "arn:group", policies(allow("s3:*"), bucket=(deny,)))
    assert "explicit deny in a resource-based policy" in iam.why_not(Ask("s3:DeleteObject", "arn:aws:s3:::b/record"))
    assert iam.why_not(Ask("s3:DeleteObject", "arn:aws:s3:::b/other")) is None


def test_a_key_listens_to_iam_only_if_it_says_so():
    keys = {
        KEY: {"Statement": [allow("kms:*", Principal=ROOT)]},
        OTHER: {"Statement": [allow("kms:PutKeyPolicy", Principal=ROOT)]},
    }
    iam = Iam(lambda call: "arn:group", policies(allow("kms:*"), keys=keys))
    assert iam.why_not(Ask("kms:Decrypt", KEY)) is None
    assert iam.why_not(Ask("kms:Decrypt", OTHER)) is not None
    keys[OTHER] = {"Statement": [allow("kms:Decrypt", Principal={"AWS": ROLE})]}
    assert Iam(lambda call: "arn:group", policies(keys=keys)).why_not(Ask("kms:Decrypt", OTHER)) is None


@pytest.fixture
def allowed(world):
    """Sets the policies of the running world, and takes them away after the test."""
    yield lambda *statements, **more: world.ask("iam", policies=policies(*statements, **more))
    world.ask("iam", policies=None)


def denial(call, **arguments) -> str:
    """AWS's words when it refuses; empty if it does not."""
    try:
        call(**arguments)
        return ""
    except ClientError as error:
        return f"{error.response['Error']['Code']}: {error.response['Error'].get('Message', '')}"


def test_calls_are_refused_in_the_words_of_aws(world, allowed):
    s3, ec2, scaling = world.aws("s3"), world.aws("ec2"), world.aws("autoscaling")
    allowed(allow("s3:ListBucket", f"arn:aws:s3:::{BUCKET}"))
    assert denial(s3.list_objects_v2, Bucket=BUCKET) == ""
    assert "not authorized to perform: s3:GetBucketVersioning on" in denial(s3.get_bucket_versioning, Bucket=BUCKET)
    assert "AccessDenied: User: " in denial(s3.put_object, Bucket=BUCKET, Key="k", Body=b"")
    first, second = denial(ec2.describe_instances), denial(ec2.describe_instances)
    assert "UnauthorizedOperation: User: " in first and " Encoded authorization failure message: " in first
    assert first != second, "EC2 encodes another message at every call"
    assert "autoscaling:DescribeAutoScalingGroups" in denial(scaling.describe_auto_scaling_groups)
    world.ask("iam", policies=None)
    assert denial(ec2.describe_instances) == ""


def test_s3_asks_kms_in_the_callers_name(world, allowed):
    s3, objects = world.aws("s3"), allow(["s3:GetObject", "s3:PutObject"], f"arn:aws:s3:::{BUCKET}/*")
    put = {"Bucket": BUCKET, "Key": "sealed", "Body": b"x"}
    allowed(objects)
    assert f"kms:GenerateDataKey on resource: {KEY}" in denial(s3.put_object, **put)
    allowed(objects, allow("kms:GenerateDataKey", KEY))
    assert denial(s3.put_object, **put) == ""
    other = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": OTHER}
    assert f"kms:GenerateDataKey on resource: {OTHER}" in denial(s3.put_object, **put, **other)
    assert f"kms:Decrypt on resource: {KEY}" in denial(s3.get_object, Bucket=BUCKET, Key="sealed")


def test_a_missing_object_is_only_told_to_who_may_list(world, allowed):
    s3, kms = world.aws("s3"), allow("kms:*")
    allowed(allow("s3:GetObject"), kms)
    assert "s3:ListBucket" in denial(s3.get_object, Bucket=BUCKET, Key="never")
    allowed(allow(["s3:GetObject", "s3:ListBucket"]), kms)
    assert denial(s3.get_object, Bucket=BUCKET, Key="never").startswith("NoSuchKey")


def test_replacing_an_object_needs_reading_it(world, allowed):
    s3, kms = world.aws("s3"), allow("kms:*")
    allowed(allow("s3:PutObject"), kms)
    etag = s3.put_object(Bucket=BUCKET, Key="replaced", Body=b"1")["ETag"]
    assert "s3:GetObject" in denial(s3.put_object, Bucket=BUCKET, Key="replaced", Body=b"2", IfMatch=etag)


def test_a_hook_is_answered_by_who_may_answer_that_groups(world, allowed):
    scaling, id = world.aws("autoscaling"), world.node(1)["id"]
    call = {
        "LifecycleHookName": "h",
        "AutoScalingGroupName": "demo-control-plane",
        "InstanceId": id,
        "LifecycleActionResult": "CONTINUE",
    }
    group = "arn:aws:autoscaling:eu-central-1:123456789012:autoScalingGroup:*:autoScalingGroupName/"
    allowed(allow("autoscaling:*", group + "another"))
    assert "autoscaling:CompleteLifecycleAction" in denial(scaling.complete_lifecycle_action, **call)
    allowed(allow("autoscaling:*", group + "demo-control-plane"))
    assert "No active Lifecycle Action" in denial(scaling.complete_lifecycle_action, **call)


def test_only_who_may_calls_a_machine_of_that_group_unhealthy(world, allowed):
    scaling, call = world.aws("autoscaling"), {"InstanceId": world.node(1)["id"], "HealthStatus": "Healthy"}
    group = "arn:aws:autoscaling:eu-central-1:123456789012:autoScalingGroup:*:autoScalingGroupName/"
    allowed(allow("autoscaling:SetInstanceHealth", group + "another"))
    assert "autoscaling:SetInstanceHealth" in denial(scaling.set_instance_health, **call)
    allowed(allow("autoscaling:SetInstanceHealth", group + "demo-control-plane"))
    scaling.set_instance_health(**call)


def test_an_upload_in_parts_takes_the_condition_where_it_makes_an_object(world, allowed):
    """What S3 asks of the policy of a role that may create and not overwrite."""
    s3, key = world.aws("s3"), "parts"
    creates = allow("s3:PutObject", Condition={"Null": {"s3:if-none-match": "false"}})
    in_parts = allow("s3:PutObject", Condition={"Bool": {"s3:ObjectCreationOperation": "false"}})
    kms = allow(["kms:GenerateDataKey", "kms:Decrypt"])
    allowed(creates, in_parts, kms)
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key=key)["UploadId"]
    part = s3.upload_part(Bucket=BUCKET, Key=key, UploadId=upload, PartNumber=1, Body=b"x")
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    of_it = {"Bucket": BUCKET, "Key": key, "UploadId": upload, "MultipartUpload": parts}
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.complete_multipart_upload(**of_it)
    s3.complete_multipart_upload(**of_it, IfNoneMatch="*")
    again = s3.create_multipart_upload(Bucket=BUCKET, Key=key)["UploadId"]
    s3.upload_part(Bucket=BUCKET, Key=key, UploadId=again, PartNumber=1, Body=b"y")
    with pytest.raises(ClientError, match="PreconditionFailed"):
        s3.complete_multipart_upload(**of_it | {"UploadId": again}, IfNoneMatch="*")
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.abort_multipart_upload(Bucket=BUCKET, Key=key, UploadId=again)
    allowed(creates, in_parts)
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.create_multipart_upload(Bucket=BUCKET, Key="other")

"""The AWS endpoint: conditional writes, faults, the group's states, hooks, and the record of calls."""

import base64
from concurrent.futures import ThreadPoolExecutor
from urllib.request import urlopen

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError, IncompleteReadError, ResponseStreamingError

from world.account import ACCOUNT, BUCKET, GROUP
from world.client import wait_until
from world.control import WorldError
from world.journal import read


def status_of(call, **arguments) -> tuple[int, str]:
    """Status and AWS error code of a call."""
    try:
        return call(**arguments)["ResponseMetadata"]["HTTPStatusCode"], ""
    except ClientError as error:
        return error.response["ResponseMetadata"]["HTTPStatusCode"], error.response["Error"]["Code"]


def code_of(call, **arguments) -> str:
    return status_of(call, **arguments)[1]


@pytest.fixture
def fault(world):
    """Adds faults, and clears them after the test."""
    yield lambda effect, **match: world.ask("fault_add", effect=effect, **match)
    world.ask("fault_clear")


def test_of_fifty_simultaneous_creations_exactly_one_wins(world):
    s3 = world.aws("s3", max_pool_connections=50)
    for attempt in range(5):
        key = f"race/{attempt}"
        with ThreadPoolExecutor(50) as pool:
            create = {"Bucket": BUCKET, "Key": key, "IfNoneMatch": "*"}
            writes = [pool.submit(status_of, s3.put_object, Body=b"%d" % n, **create) for n in range(50)]
            answers = [write.result()[0] for write in writes]
        assert sorted(set(answers)) == [200, 412]
        assert answers.count(200) == 1
        assert s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() == b"%d" % answers.index(200)


def test_if_match_tells_changed_from_gone(world):
    s3 = world.aws("s3")
    etag = s3.put_object(Bucket=BUCKET, Key="match", Body=b"1")["ETag"]
    assert status_of(s3.put_object, Bucket=BUCKET, Key="match", Body=b"2", IfMatch=etag)[0] == 200
    assert status_of(s3.put_object, Bucket=BUCKET, Key="match", Body=b"3", IfMatch=etag) == (412, "PreconditionFailed")
    assert status_of(s3.put_object, Bucket=BUCKET, Key="gone", Body=b"3", IfMatch=etag) == (404, "NoSuchKey")


def test_a_lost_reply_leaves_the_write_done(world, fault):
    s3 = world.aws("s3")
    fault("lost-reply", action="PutObject", key="lost", times=1)
    with pytest.raises(ConnectionClosedError):
        s3.put_object(Bucket=BUCKET, Key="lost", Body=b"x")
    assert s3.get_object(Bucket=BUCKET, Key="lost")["Body"].read() == b"x"


def test_a_cut_connection_leaves_the_write_undone(world, fault):
    s3 = world.aws("s3")
    fault("cut", action="PutObject", key="cut", times=1)
    with pytest.raises(ConnectionClosedError):
        s3.put_object(Bucket=BUCKET, Key="cut", Body=b"x")
    assert code_of(s3.get_object, Bucket=BUCKET, Key="cut") == "NoSuchKey"


@pytest.mark.parametrize(
    ("service", "call", "code"),
    [
        ("s3", "list_buckets", "SlowDown"),
        ("ec2", "describe_instances", "RequestLimitExceeded"),
        ("autoscaling", "describe_auto_scaling_groups", "Throttling"),
        ("sts", "get_caller_identity", "AccessDenied"),
    ],
)
def test_each_service_speaks_its_own_errors(world, fault, service, call, code):
    fault(f"error=403/{code}", service=service, times=1)
    method = getattr(world.aws(service), call)
    assert status_of(method) == (403, code)
    assert status_of(method)[0] == 200, "a fault for one call hit a second one"


def test_an_error_after_the_fact_leaves_the_write_done(world, fault):
    s3 = world.aws("s3")
    fault("error-after=500/InternalError", key="after", action="PutObject", times=1)
    assert code_of(s3.put_object, Bucket=BUCKET, Key="after", Body=b"x") == "InternalError"
    assert s3.get_object(Bucket=BUCKET, Key="after")["Body"].read() == b"x"


def test_a_late_write_lands_although_its_sender_has_gone(world, fault):
    s3 = world.aws("s3")
    fault("late=0.3", key="late", action="PutObject", times=1)
    with pytest.raises(ConnectionClosedError):
        s3.put_object(Bucket=BUCKET, Key="late", Body=b"late", IfNoneMatch="*")
    line = landed(world, "late")
    assert line["status"] == 200 and line["time"] - line["arrived"] >= 0.3
    assert s3.get_object(Bucket=BUCKET, Key="late")["Body"].read() == b"late"


def test_a_late_write_whose_condition_no_longer_holds_is_refused_when_it_lands(world, fault):
    s3 = world.aws("s3")
    fault("late=2/503/SlowDown", body="*first*", action="PutObject", times=1)
    create = {"Bucket": BUCKET, "Key": "overtaken", "IfNoneMatch": "*"}
    assert status_of(s3.put_object, Body=b"the first", **create) == (503, "SlowDown")
    assert status_of(s3.put_object, Body=b"the second", **create)[0] == 200
    assert landed(world, "overtaken")["status"] == 412
    assert s3.get_object(Bucket=BUCKET, Key="overtaken")["Body"].read() == b"the second"


def landed(world, key: str) -> dict:
    """The record of a late call to this key, once it was carried out at last."""
    late = lambda: [line for line in read(world.folder / "requests.jsonl") if line.get("landed") and line["key"] == key]
    wait_until(lambda: late() != [])
    return late()[0]


def test_a_truncated_answer_ends_in_the_middle(world, fault):
    s3 = world.aws("s3")
    s3.put_object(Bucket=BUCKET, Key="half", Body=b"0123456789")
    fault("truncate", key="half", times=1)
    with pytest.raises((IncompleteReadError, ResponseStreamingError)):
        s3.get_object(Bucket=BUCKET, Key="half")["Body"].read()
    assert s3.get_object(Bucket=BUCKET, Key="half")["Body"].read() == b"0123456789"


def test_a_hanging_call_ends_when_the_fault_is_cleared(world, fault):
    s3 = world.aws("s3")
    fault("hang", key="hung", times=1)
    with ThreadPoolExecutor(1) as pool:
        hung = pool.submit(s3.put_object, Bucket=BUCKET, Key="hung", Body=b"x")
        wait_until(lambda: world.ask("fault_list")[0]["hits"] == 1)
        assert not hung.done()
        world.ask("fault_clear")
        with pytest.raises(ConnectionClosedError):
            hung.result(timeout=10)
    assert code_of(s3.get_object, Bucket=BUCKET, Key="hung") == "NoSuchKey"


def test_a_store_that_ignores_conditions_overwrites(world, fault):
    s3 = world.aws("s3")
    s3.put_object(Bucket=BUCKET, Key="ignored", Body=b"1")
    fault("ignore-conditions")
    assert status_of(s3.put_object, Bucket=BUCKET, Key="ignored", Body=b"2", IfNoneMatch="*")[0] == 200
    assert s3.get_object(Bucket=BUCKET, Key="ignored")["Body"].read() == b"2"


def test_without_list_permission_a_missing_key_is_denied(world, fault):
    fault("hide-missing")
    assert status_of(world.aws("s3").get_object, Bucket=BUCKET, Key="never") == (403, "AccessDenied")


def test_a_wrong_fault_is_refused_with_what_is_right(world):
    with pytest.raises(WorldError, match="unknown effect 'explode': one of delay"):
        world.ask("fault_add", effect="explode")
    with pytest.raises(WorldError, match="STATUS/CODE"):
        world.ask("fault_add", effect="error=teapot")


def test_states_are_what_the_world_says(world):
    scaling, ec2 = world.aws("autoscaling"), world.aws("ec2")
    id = world.node(1)["id"]
    for state in ("Pending", "Pending:Wait", "Warmed:Stopped", "Standby", "Terminating:Wait", "InService"):
        world.ask("lifecycle", node=id, state=state)
        assert (
            scaling.describe_auto_scaling_instances(InstanceIds=[id])["AutoScalingInstances"][0]["LifecycleState"]
            == state
        )
    for state in ("pending", "stopped", "shutting-down", "terminated", "running"):
        world.ask("ec2_state", node=id, state=state)
        filters = [{"Name": "instance-id", "Values": [id]}, {"Name": "instance-state-name", "Values": [state]}]
        assert ec2.describe_instances(Filters=filters)["Reservations"][0]["Instances"][0]["State"]["Name"] == state


def test_instances_have_the_names_and_addresses_of_their_machines(world):
    node = world.node(1)
    told = world.aws("ec2").describe_instances(InstanceIds=[node["id"]])["Reservations"][0]["Instances"][0]
    assert told["PrivateIpAddress"] == node["address"]
    assert told["PrivateDnsName"] == f"ip-{node['address'].replace('.', '-')}.eu-central-1.compute.internal"


def test_hooks_are_answered_and_recorded(world):
    scaling, id = world.aws("autoscaling"), world.node(1)["id"]
    hook = {"LifecycleHookName": "launch", "AutoScalingGroupName": GROUP, "InstanceId": id}
    assert code_of(scaling.record_lifecycle_action_heartbeat, **hook) == "ValidationError", "no hook is waiting"
    world.ask("lifecycle", node=id, state="Pending:Wait")
    assert status_of(scaling.record_lifecycle_action_heartbeat, **hook)[0] == 200
    assert status_of(scaling.complete_lifecycle_action, LifecycleActionResult="CONTINUE", **hook)[0] == 200
    assert world.node(1)["lifecycle"] == "InService"
    calls = [
        (line["action"], line["instance"], line["result"])
        for line in read(world.folder / "events.jsonl")
        if line["event"] == "hook-call"
    ]
    assert calls[-1] == ("CompleteLifecycleAction", id, "CONTINUE")


def test_the_record_names_caller_key_condition_and_status(world):
    world.aws("s3").put_object(Bucket=BUCKET, Key="demo/recorded", Body=b"x", IfNoneMatch="*")
    line = next(line for line in read(world.folder / "requests.jsonl") if line["key"] == "demo/recorded")
    assert (line["action"], line["status"], line["condition"], line["node"]) == (
        "PutObject",
        200,
        "If-None-Match: *",
        "ASIATEST",
    )


def test_settled_answers_are_marked(world):
    scaling = world.aws("autoscaling")
    answered = lambda: [
        line for line in read(world.folder / "requests.jsonl") if line["action"] == "DescribeAutoScalingGroups"
    ][-1]
    scaling.describe_auto_scaling_groups()
    assert answered().get("settled")
    world.ask("desired", count=9, scale=False)
    scaling.describe_auto_scaling_groups()
    assert not answered().get("settled")
    world.ask("desired", count=2, scale=False)


def test_keys_and_encryption_are_there(world):
    key = world.aws("kms").create_key()["KeyMetadata"]["KeyId"]
    encrypted = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key}
    answer = world.aws("s3").put_object(Bucket=BUCKET, Key="encrypted", Body=b"x", **encrypted)
    assert answer["ServerSideEncryption"] == "aws:kms"
    assert world.aws("sts").get_caller_identity()["Account"] == ACCOUNT
    assert world.aws("iam").list_roles()["ResponseMetadata"]["HTTPStatusCode"] == 200


def test_the_bucket_keeps_earlier_versions_and_says_so_as_s3_does(world):
    s3 = world.aws("s3")
    asked = f"{world.ask('status')['aws']}/{BUCKET}?versioning"
    told = lambda: (s3.get_bucket_versioning(Bucket=BUCKET).get("Status"), urlopen(asked).read().decode())
    assert told()[0] == "Enabled"
    # Some SDKs read no other root; boto3 reads any.
    assert "<VersioningConfiguration xmlns=" in told()[1] and "GetBucketVersioningResponse" not in told()[1]
    for body in (b"1", b"2"):
        s3.put_object(Bucket=BUCKET, Key="kept", Body=body)
    s3.delete_object(Bucket=BUCKET, Key="kept")
    assert code_of(s3.get_object, Bucket=BUCKET, Key="kept") == "NoSuchKey"
    assert "kept" not in world.ask("s3_ls")
    versions = s3.list_object_versions(Bucket=BUCKET, Prefix="kept")
    assert (len(versions["Versions"]), len(versions["DeleteMarkers"])) == (2, 1)
    assert status_of(s3.put_object, Bucket=BUCKET, Key="kept", Body=b"3", IfNoneMatch="*")[0] == 200
    world.ask("s3_versioning", status="Suspended")
    assert told()[0] == "Suspended"
    world.ask("s3_versioning", status="Enabled")


def test_an_object_goes_back_in_time(world):
    s3, key = world.aws("s3"), "time/record"
    for body in (b"1", b"2", b"3"):
        s3.put_object(Bucket=BUCKET, Key=key, Body=body)
    now = lambda: s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
    third = world.ask("s3_versions", key=key)[2]["version"]
    for version, body in (("1", b"1"), ("-3", b"2"), (third, b"3")):
        world.ask("s3_put_back", key=key, version=version)
        assert now() == body
    kept = [base64.b64decode(each["body"]) for each in world.ask("s3_versions", key=key)]
    assert kept == [b"1", b"2", b"3", b"1", b"2", b"3"]
    for version in ("0", "9", "-9", "none"):
        with pytest.raises(WorldError, match="has no version"):
            world.ask("s3_put_back", key=key, version=version)
    # Gone behind a delete marker, which S3 tells of, and back by either way.
    world.ask("s3_rm", key=[key])
    for call in (s3.get_object, s3.head_object):
        with pytest.raises(ClientError) as refused:
            call(Bucket=BUCKET, Key=key)
        answer = refused.value.response["ResponseMetadata"]
        assert (answer["HTTPStatusCode"], answer["HTTPHeaders"].get("x-amz-delete-marker")) == (404, "true")
    assert world.ask("s3_versions", key=key)[-1]["deleted"]
    with pytest.raises(WorldError, match="with a body"):
        world.ask("s3_put_back", key=key, version="-1")
    world.ask("s3_undelete", key=key)
    assert now() == b"3" and not world.ask("s3_versions", key=key)[-1]["deleted"]
    # Emptied, with traces and without.
    s3.put_object(Bucket=BUCKET, Key="elsewhen", Body=b"x")
    assert world.ask("s3_empty", prefix="time/")["keys"] == [key] and world.ask("s3_ls", prefix="time/") == []
    assert len(world.ask("s3_versions", key=key)) == 7, "six bodies and a marker"
    assert world.ask("s3_empty", prefix="time/", forget=True)["keys"] == [key]
    with pytest.raises(WorldError, match="no version of"):
        world.ask("s3_versions", key=key)
    with pytest.raises(ClientError) as refused:
        s3.get_object(Bucket=BUCKET, Key=key)
    assert "x-amz-delete-marker" not in refused.value.response["ResponseMetadata"]["HTTPHeaders"]
    assert "elsewhen" in world.ask("s3_ls")
    world.ask("s3_rm", key=["elsewhen"])


def test_ec2_can_show_nobody_and_every_version_of_the_record_is_kept(world, fault):
    ec2, s3 = world.aws("ec2"), world.aws("s3")
    fault("nobody", service="ec2", times=1)
    assert ec2.describe_instances()["Reservations"] == []
    assert ec2.describe_instances()["Reservations"], "a fault for one call hit a second one"
    key = "elsewhere/control-plane/cluster.json"
    s3.put_object(Bucket=BUCKET, Key=key, Body=b"1", IfNoneMatch="*")
    assert code_of(s3.put_object, Bucket=BUCKET, Key=key, Body=b"2", IfNoneMatch="*") == "PreconditionFailed"
    s3.put_object(Bucket=BUCKET, Key=key, Body=b"3")
    written = [event["body"] for event in read(world.folder / "events.jsonl") if event.get("key") == key and "body" in event]
    assert written == ["1", "3"]

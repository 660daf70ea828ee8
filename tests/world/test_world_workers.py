"""The group of workers: its machines, their hooks and notices, what their role may do, and their way into a cluster."""

import json

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from world import lifetime
from world.account import BUCKET, GROUP, GROUPS, PREFIX, REGION, WORKER, access_key
from world.client import wait_until
from world.conftest import Running
from world.control import WorldError
from world.options import Options
from world.workers import WorkerOutcome, wrong

WORKERS = GROUPS[WORKER]
HOOKS = {"worker_launch_hook": "come", "worker_terminate_hook": "leave"}


@pytest.fixture(scope="module")
def workers(tmp_path_factory):
    folder = tmp_path_factory.mktemp("workers")
    lifetime.start(folder, Options(binary="/bin/true", nodes=1, workers=2, up=False, check_interval=0.1, **HOOKS))
    yield Running(folder)
    lifetime.stop(folder)


def outcome(**change) -> WorkerOutcome:
    """A worker that is as it should be, but for this."""
    good = {"index": 4, "instance": "i-4", "name": "w", "up_exit": 0, "node": "Ready", "machine": "aws:///eu-central-1a/i-4", "cordoned": False}
    return WorkerOutcome(**{**good, **change})


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({}, None),
        ({"up_exit": None}, "worker 4: `kubeboot up` still runs"),
        ({"up_exit": 1}, "worker 4: `kubeboot up` ended with exit code 1"),
        ({"node": "not Ready"}, "worker 4: its Node is not Ready"),
        ({"node": "none", "machine": ""}, "worker 4: its Node is none"),
        ({"machine": "aws:///eu-central-1a/i-5"}, "worker 4: its Node says that it is 'aws:///eu-central-1a/i-5'"),
    ],
)
def test_the_demo_says_what_is_wrong_with_a_worker(change, why):
    assert wrong([outcome(**change)], 1) == ([why] if why else [])
    assert wrong([], 1) == ["0 workers are on, not 1"]


def of_role(world, role) -> list[dict]:
    """The machines of a role that are on, the oldest first."""
    return [node for node in world.ask("status")["nodes"] if node["role"] == role and node["power"] == "on"]


def client(world, service, node=None):
    """A client that signs as a machine, or as nobody."""
    key = access_key(node["id"]) if node else "ASIATEST"
    return boto3.client(
        service, endpoint_url=world.ask("status")["aws"], region_name=REGION, aws_access_key_id=key,
        aws_secret_access_key="x", config=Config(retries={"total_max_attempts": 1}, read_timeout=10),
    )  # fmt: skip


def lifecycle(world, node) -> str | None:
    return world.node(node["id"])["lifecycle"]


def complete(world, node, hook, group=WORKERS, result="CONTINUE"):
    client(world, "autoscaling").complete_lifecycle_action(
        AutoScalingGroupName=group, LifecycleHookName=hook, InstanceId=node["id"], LifecycleActionResult=result
    )


def test_workers_are_machines_of_a_group_of_their_own(workers):
    first, *_ = of_role(workers, "worker")
    assert workers.ask("status")["workers"] == 2 and workers.ask("status")["desired"] == 1
    groups = client(workers, "autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
    sizes = {each["AutoScalingGroupName"]: [one["InstanceId"] for one in each["Instances"]] for each in groups}
    assert set(sizes) == {GROUP, WORKERS} and len(sizes[GROUP]) == 1 and first["id"] in sizes[WORKERS]
    settings = workers.run(first["id"], "cat", "/etc/kubeboot/config.toml")
    assert 'role = "worker"' in settings and "endpoint" not in settings
    assert "role" not in workers.run(1, "cat", "/etc/kubeboot/config.toml")


def test_no_worker_is_a_target_of_the_load_balancer(workers):
    node = of_role(workers, "worker")[0]
    workers.ask("lifecycle", node=node["id"], state="InService")
    assert set(workers.ask("status")["load_balancer"]["targets"]) == {workers.node(1)["address"]}
    workers.ask("lifecycle", node=node["id"], state="Pending:Wait")


def test_their_metadata_names_their_own_role(workers):
    node = of_role(workers, "worker")[0]
    script = (
        'T=$(curl -sX PUT -H "X-aws-ec2-metadata-token-ttl-seconds: 60" $AWS_EC2_METADATA_SERVICE_ENDPOINT/latest/api/token); '
        'curl -s -H "X-aws-ec2-metadata-token: $T" $AWS_EC2_METADATA_SERVICE_ENDPOINT/latest/meta-data/'
    )
    assert workers.run(node["id"], "sh", "-c", script + "iam/security-credentials") == WORKERS
    assert workers.run(1, "sh", "-c", script + "iam/security-credentials") == GROUP
    said = json.loads(workers.run(node["id"], "sh", "-c", script + f"iam/security-credentials/{WORKERS}"))
    assert said["AccessKeyId"] == access_key(node["id"])
    workers.ask("notice", node=node["id"], kind="spot")
    assert json.loads(workers.run(node["id"], "sh", "-c", script + "spot/instance-action"))["action"] == "terminate"


def test_a_hook_is_answered_in_the_name_of_its_own_group(workers):
    node = of_role(workers, "worker")[0]
    workers.ask("lifecycle", node=node["id"], state="Pending:Wait")
    for group, why in ((GROUP, "No active Lifecycle Action"), ("none", "AutoScalingGroup name not found")):
        with pytest.raises(ClientError, match=why):
            complete(workers, node, "come", group)
    assert lifecycle(workers, node) == "Pending:Wait"
    complete(workers, node, "come")
    assert lifecycle(workers, node) == "InService"


def test_they_come_and_go_and_the_control_plane_stays(workers):
    workers.ask("desired", count=3, workers=True)
    assert len(of_role(workers, "worker")) == 3 and len(of_role(workers, "control-plane")) == 1
    newest = of_role(workers, "worker")[-1]
    assert newest["lifecycle"] == "Pending:Wait"
    complete(workers, newest, "come")
    workers.ask("desired", count=2, workers=True)
    assert lifecycle(workers, newest) == "Terminating:Wait"
    client(workers, "autoscaling").record_lifecycle_action_heartbeat(
        AutoScalingGroupName=WORKERS, LifecycleHookName="leave", InstanceId=newest["id"]
    )
    complete(workers, newest, "leave")
    wait_until(lambda: workers.node(newest["id"])["ec2"] == "terminated")
    assert len(of_role(workers, "worker")) == 2 and len(of_role(workers, "control-plane")) == 1


def test_a_worker_that_dies_is_replaced_by_a_worker(workers):
    node = of_role(workers, "worker")[-1]
    made = workers.ask("replace", node=node["id"])
    assert made["role"] == "worker" and len(of_role(workers, "worker")) == 2


def test_a_world_without_workers_says_how_to_have_some(world):
    with pytest.raises(WorldError, match="dev/world up --workers N"):
        world.ask("desired", count=1, workers=True)
    assert world.ask("status")["workers"] is None


ROLE = "arn:aws:iam::123456789012:role/"
JOIN = f"arn:aws:s3:::{BUCKET}/{PREFIX}/join/*"
KEY = "arn:aws:kms:eu-central-1:123456789012:key/1"
POLICIES = {
    "role": f"{ROLE}demo-control-plane", "policies": [{"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}],
    "bucket": {"Statement": []}, "bucket_key": KEY,
    "keys": {
        KEY: {"Statement": [{"Effect": "Allow", "Action": "kms:*", "Resource": "*", "Principal": {"AWS": "arn:aws:iam::123456789012:root"}}]}
    },
    "worker": {
        "role": f"{ROLE}{WORKERS}",
        "policies": [
            {
                "Statement": [
                    {"Effect": "Allow", "Action": "s3:GetObject", "Resource": JOIN},
                    {"Effect": "Allow", "Action": "kms:Decrypt", "Resource": KEY},
                    {
                        "Effect": "Allow", "Action": ["autoscaling:CompleteLifecycleAction", "autoscaling:RecordLifecycleActionHeartbeat"],
                        "Resource": f"arn:aws:autoscaling:*:*:autoScalingGroup:*:autoScalingGroupName/{WORKERS}",
                    },
                ]
            }
        ],
    },
}  # fmt: skip


@pytest.fixture
def judged(workers):
    """Policies count: those of the control plane's role and of the workers', while an object lies below `join/`."""
    workers.ask("iam", policies=POLICIES)
    leader = client(workers, "s3", workers.node(1))
    for key in ("join/cluster.json", "control-plane/cluster.json"):
        leader.put_object(Bucket=BUCKET, Key=f"{PREFIX}/{key}", Body=b"{}")
    yield workers
    workers.ask("iam", policies=None)


@pytest.mark.parametrize(
    ("call", "arguments"),
    [
        ("put_object", {"Key": f"{PREFIX}/join/cluster.json", "Body": b"x"}),
        ("delete_object", {"Key": f"{PREFIX}/join/cluster.json"}),
        ("get_object", {"Key": f"{PREFIX}/control-plane/cluster.json"}),
        ("head_object", {"Key": f"{PREFIX}/control-plane/cluster.json"}),
        ("list_objects_v2", {}),
        ("list_object_versions", {}),
        ("get_bucket_versioning", {}),
        ("create_multipart_upload", {"Key": f"{PREFIX}/join/big"}),
    ],
)
def test_a_workers_role_reads_what_joins_and_nothing_else(judged, call, arguments):
    node = of_role(judged, "worker")[0]
    s3 = client(judged, "s3", node)
    assert s3.get_object(Bucket=BUCKET, Key=f"{PREFIX}/join/cluster.json")["Body"].read() == b"{}"
    with pytest.raises(ClientError) as error:
        getattr(s3, call)(Bucket=BUCKET, **arguments)
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    getattr(client(judged, "s3", judged.node(1)), call)(Bucket=BUCKET, **arguments)


def test_a_workers_role_describes_nothing_and_answers_the_hooks_of_its_group(judged):
    node = of_role(judged, "worker")[0]
    for service, call in (("ec2", "describe_instances"), ("autoscaling", "describe_auto_scaling_groups")):
        with pytest.raises(ClientError, match="not authorized to perform"):
            getattr(client(judged, service, node), call)()
    scaling = client(judged, "autoscaling", node)
    for group, why in ((GROUP, "not authorized"), (WORKERS, "No active Lifecycle Action")):
        with pytest.raises(ClientError, match=why):
            scaling.record_lifecycle_action_heartbeat(AutoScalingGroupName=group, LifecycleHookName="none", InstanceId=node["id"])


def test_a_policy_can_let_a_machine_change_itself_and_no_other(judged):
    """By the name of the session by which an instance has its role, which is the instance's ID."""
    own = {"StringLike": {"aws:userid": "*:${ec2:InstanceID}"}}
    allowed = {"Effect": "Allow", "Action": "ec2:ModifyInstanceAttribute", "Resource": "*", "Condition": own}
    worker = {**POLICIES["worker"], "policies": [{"Statement": [allowed]}]}
    judged.ask("iam", policies={**POLICIES, "worker": worker})
    node, other = of_role(judged, "worker")[:2]
    ec2, change = client(judged, "ec2", node), {"SourceDestCheck": {"Value": False}}
    ec2.modify_instance_attribute(InstanceId=node["id"], **change)
    with pytest.raises(ClientError, match="UnauthorizedOperation"):
        ec2.modify_instance_attribute(InstanceId=other["id"], **change)
    found = client(judged, "ec2", judged.node(1)).describe_instances(InstanceIds=[node["id"], other["id"]])
    checks = {each["Instances"][0]["InstanceId"]: each["Instances"][0]["SourceDestCheck"] for each in found["Reservations"]}
    assert checks == {node["id"]: False, other["id"]: True}


def test_without_a_policy_of_their_own_workers_may_nothing(judged):
    judged.ask("iam", policies={key: value for key, value in POLICIES.items() if key != "worker"})
    with pytest.raises(ClientError, match="AccessDenied|403|Forbidden"):
        client(judged, "s3", of_role(judged, "worker")[0]).get_object(Bucket=BUCKET, Key=f"{PREFIX}/join/cluster.json")


INIT = """apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
kubernetesVersion: v1.36.1
controlPlaneEndpoint: api.demo.internal:6443
"""
JOINS = """apiVersion: kubeadm.k8s.io/v1beta4
kind: JoinConfiguration
discovery: {file: {kubeConfigPath: /run/discovery.conf}}
nodeRegistration:
  kubeletExtraArgs: [{name: provider-id, value: aws:///eu-central-1a/%s}]
"""


def test_a_worker_joins_the_cluster_behind_the_load_balancer(workers):
    """As kubeboot has it, with kubeadm's own token: what the stand-in's own tests show in folders, here on machines."""
    control, node = workers.node(1), of_role(workers, "worker")[0]
    workers.run(1, "sh", "-c", f"echo '{INIT}' >/run/init.yaml; kubeadm init --config /run/init.yaml", seconds=120)
    token = workers.run(1, "kubeadm", "token", "create", "--ttl", "10m").strip()
    authority = workers.run(1, "base64", "-w0", "/etc/kubernetes/pki/ca.crt")
    file = {
        "apiVersion": "v1", "kind": "Config", "current-context": "c", "users": [{"name": "u", "user": {"token": token}}],
        "clusters": [{"name": "k", "cluster": {"server": "https://api.demo.internal:6443", "certificate-authority-data": authority}}],
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
    }  # fmt: skip
    wait_until(lambda: workers.ask("status")["load_balancer"]["targets"][control["address"]] == "healthy")
    for name, text in (("discovery.conf", json.dumps(file)), ("join.yaml", JOINS % node["id"])):
        workers.run(node["id"], "sh", "-c", f"cat >/run/{name} <<'END'\n{text}\nEND\n")
    workers.run(node["id"], "kubeadm", "join", "--config", "/run/join.yaml", seconds=60)
    ask = (
        "cd /etc/kubernetes/pki && curl -s --cacert ca.crt --cert apiserver-kubelet-client.crt --key apiserver-kubelet-client.key "
        f"https://api.demo.internal:6443/api/v1/nodes/{node['name']}"
    )
    wait_until(lambda: json.loads(workers.run(1, "sh", "-c", ask)).get("spec"))
    found = json.loads(workers.run(1, "sh", "-c", ask))
    assert found["spec"]["providerID"] == f"aws:///eu-central-1a/{node['id']}"
    assert found["status"]["conditions"][0]["status"] == "True"

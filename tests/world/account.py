"""The AWS account of every world: its names, and the access keys of its machines. It imports nothing."""

ACCOUNT = "123456789012"
REGION = "eu-central-1"
ZONE = "eu-central-1a"
GROUP = "demo-control-plane"
# What a machine is launched for, and the group, role and launch template of that.
CONTROL_PLANE, WORKER = "control-plane", "worker"
GROUPS = {CONTROL_PLANE: GROUP, WORKER: "demo-workers"}
BUCKET = "kubeboot-demo"
PREFIX = "demo"


def access_key(instance_id: str) -> str:
    """The access key of a machine's role, made from its ID so that the record can say whose call it was."""
    return "ASIA" + instance_id.removeprefix("i-").upper().ljust(16, "0")[-16:]

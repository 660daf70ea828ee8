"""What a machine is told about itself: the keys of the instance metadata service, in the shapes that EC2 gives them."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from .account import ACCOUNT, GROUP, REGION, ZONE, access_key

CREDENTIALS = "meta-data/iam/security-credentials"


@dataclass(frozen=True)
class Identity:
    """One instance; `lifecycle` asks for its state in the group as it is now, `role` is the name of its instance role."""

    instance: str
    private_ip: str
    host_name: str
    mac: str
    image: str
    subnet: str
    subnet_cidr: str
    vpc: str
    lifecycle: Callable[[], str | None]
    role: str = GROUP


def answers(me: Identity) -> dict[str, str]:
    """Every key below /latest/ that exists now. A trailing slash does not count."""
    nic = f"meta-data/network/interfaces/macs/{me.mac}"
    keys = {
        "dynamic/instance-identity/document": _document(me),
        "meta-data/instance-id": me.instance,
        "meta-data/ami-id": me.image,
        "meta-data/instance-type": "t3.medium",
        "meta-data/local-ipv4": me.private_ip,
        "meta-data/local-hostname": me.host_name,
        "meta-data/hostname": me.host_name,
        "meta-data/mac": me.mac,
        "meta-data/network/interfaces/macs": f"{me.mac}/",
        f"{nic}/local-ipv4s": me.private_ip,
        f"{nic}/subnet-id": me.subnet,
        f"{nic}/subnet-ipv4-cidr-block": me.subnet_cidr,
        f"{nic}/vpc-id": me.vpc,
        f"{nic}/device-number": "0",
        "meta-data/placement/region": REGION,
        "meta-data/placement/availability-zone": ZONE,
        "meta-data/services/domain": "amazonaws.com",
        "meta-data/services/partition": "aws",
        CREDENTIALS: me.role,
        f"{CREDENTIALS}/{me.role}": _credentials(me.instance),
    }
    target = target_state(me.lifecycle())
    if target:
        keys["meta-data/autoscaling/target-lifecycle-state"] = target
    return keys


def target_state(lifecycle: str | None) -> str | None:
    """The state that an instance in this lifecycle state is on its way to; None before the first transition."""
    if lifecycle is None:
        return "Detached"
    if lifecycle == "Pending":
        return None
    if lifecycle.startswith("Pending:"):
        return "InService"
    for pool in ("", "Warmed:"):
        if lifecycle.startswith(f"{pool}Terminat"):
            return f"{pool}Terminated"
    if lifecycle.startswith("Warmed:Pending"):
        return "Warmed:Running"
    return "Standby" if lifecycle == "EnteringStandby" else lifecycle


def _document(me: Identity) -> str:
    document = {
        "accountId": ACCOUNT, "architecture": "x86_64", "availabilityZone": ZONE, "billingProducts": None,
        "devpayProductCodes": None, "marketplaceProductCodes": None, "imageId": me.image,
        "instanceId": me.instance, "instanceType": "t3.medium", "kernelId": None,
        "pendingTime": _time(datetime.now(UTC)), "privateIp": me.private_ip, "ramdiskId": None,
        "region": REGION, "version": "2017-09-30",
    }  # fmt: skip
    return json.dumps(document, indent=2)


def _credentials(instance: str) -> str:
    now = datetime.now(UTC)
    return json.dumps(
        {
            "Code": "Success", "LastUpdated": _time(now), "Type": "AWS-HMAC", "AccessKeyId": access_key(instance),
            "SecretAccessKey": "emulated", "Token": f"emulated-{instance}",
            "Expiration": _time(now + timedelta(hours=6)),
        },
        indent=2,
    )  # fmt: skip


def _time(when: datetime) -> str:
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")

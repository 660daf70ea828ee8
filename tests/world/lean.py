"""Spares every world what moto loads when it starts and no world needs. It works when it is imported before moto."""

from boto3.session import Session

# Those that need no opt-in. moto would ask botocore, which reads all of EC2's model for that.
REGIONS = [
    "ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1", "ap-southeast-1", "ap-southeast-2",
    "ca-central-1", "eu-central-1", "eu-north-1", "eu-west-1", "eu-west-2", "eu-west-3", "sa-east-1", "us-east-1",
    "us-east-2", "us-west-1", "us-west-2",
]  # fmt: skip


def _regions(_session, _service: str, partition_name: str = "aws", allow_non_regional: bool = False) -> list[str]:
    return list(REGIONS) if partition_name == "aws" else []


Session.get_available_regions = _regions

"""The metadata service: version 2 only, and its faults."""

import http.client
import json
import socket
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta

import pytest

from world.addresses import IMDS_PORT
from world.control import WorldError

TTL, TOKEN = "X-aws-ec2-metadata-token-ttl-seconds", "X-aws-ec2-metadata-token"


@pytest.fixture
def metadata(world):
    """Asks the service of node 2, which is normal again after the test."""
    octet = world.node(2)["address"].split(".")[1]
    yield lambda path, method="GET", **headers: fetch(
        f"http://127.{octet}.3.12:{IMDS_PORT}/latest/{path}", method, headers
    )
    world.ask("imds", node="2", mode="normal")


def fetch(url: str, method: str, headers: dict) -> tuple[int, str]:
    request = urllib.request.Request(
        url, method=method, headers={name.replace("_", "-"): value for name, value in headers.items()}
    )
    try:
        with urllib.request.urlopen(request, timeout=5) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, ""


def token(metadata) -> dict:
    return {TOKEN: metadata("api/token", "PUT", **{TTL: "60"})[1]}


def test_nothing_is_told_without_a_token(metadata):
    assert metadata("meta-data/instance-id")[0] == 401
    assert metadata("meta-data/instance-id", **{TOKEN: "forged"})[0] == 401


@pytest.mark.parametrize(
    "headers", [{}, {TTL: "0"}, {TTL: "21601"}, {TTL: "x"}, {TTL: "60", "X-Forwarded-For": "127.0.0.1"}]
)
def test_a_wrong_request_gets_no_token(metadata, headers):
    assert metadata("api/token", "PUT", **headers)[0] == 400


def test_an_answer_comes_in_one_piece(world, metadata):
    told = token(metadata)[TOKEN]
    with socket.create_connection((f"127.{world.node(2)['address'].split('.')[1]}.3.12", IMDS_PORT), timeout=5) as kept:
        for _ in range(3):
            kept.sendall(f"GET /latest/meta-data/instance-id HTTP/1.1\r\nHost: imds\r\n{TOKEN}: {told}\r\n\r\n".encode())
            head, _, body = kept.recv(65536).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200") and body.startswith(b"i-"), (head, body)


def test_a_token_ends_with_its_time(metadata):
    short = metadata("api/token", "PUT", **{TTL: "1"})[1]
    assert metadata("meta-data/instance-id", **{TOKEN: short})[0] == 200
    time.sleep(1.1)
    assert metadata("meta-data/instance-id", **{TOKEN: short})[0] == 401


def test_a_machine_learns_who_it_is(world, metadata):
    node, header = world.node(2), token(metadata)
    document = json.loads(metadata("dynamic/instance-identity/document", **header)[1])
    assert (document["instanceId"], document["privateIp"], document["region"]) == (
        node["id"],
        node["address"],
        "eu-central-1",
    )
    role = metadata("meta-data/iam/security-credentials/", **header)[1]
    keys = json.loads(metadata(f"meta-data/iam/security-credentials/{role}", **header)[1])
    assert keys["Code"] == "Success" and keys["AccessKeyId"].startswith("ASIA")
    assert metadata("meta-data/tags/instance", **header)[0] == 404


def test_the_target_state_follows_the_group(world, metadata):
    header, path = token(metadata), "meta-data/autoscaling/target-lifecycle-state"
    for state, target in (
        ("InService", "InService"),
        ("Pending:Wait", "InService"),
        ("Terminating:Wait", "Terminated"),
        ("Warmed:Stopped", "Warmed:Stopped"),
        ("Warmed:Pending:Wait", "Warmed:Running"),
        ("Warmed:Terminating:Wait", "Warmed:Terminated"),
    ):
        world.ask("lifecycle", node="2", state=state)
        assert metadata(path, **header)[1] == target
    world.ask("lifecycle", node="2", state="Pending")
    assert metadata(path, **header)[0] == 404
    world.ask("lifecycle", node="2", state="InService")


def test_gone_late_missing_and_back(world, metadata):
    header = token(metadata)
    world.ask("imds", node="2", mode="gone")
    with pytest.raises(urllib.error.URLError, match="refused"):
        metadata("meta-data/instance-id", **header)
    world.ask("imds", node="2", mode="late=60")
    assert metadata("meta-data/instance-id", **header)[0] == 404
    world.ask("imds", node="2", mode="missing=meta-data/iam/*")
    assert metadata("meta-data/iam/security-credentials/", **header)[0] == 404
    assert metadata("meta-data/instance-id", **header)[0] == 200
    world.ask("imds", node="2", mode="slow=0.3")
    begin = time.monotonic()
    assert metadata("meta-data/instance-id", **header)[0] == 200
    assert time.monotonic() - begin >= 0.3


def test_faults_hit_the_metadata_service_if_they_say_so(world, metadata):
    header = token(metadata)
    world.ask("fault_add", effect="cut", times=1)
    world.ask("fault_add", effect="error=503/Busy", service="imds", action="PutToken", times=1)
    assert metadata("api/token", "PUT", **{TTL: "60"})[0] == 503
    assert metadata("api/token", "PUT", **{TTL: "60"})[0] == 200
    world.ask("fault_add", effect="truncate", service="imds", key="meta-data/instance-id", times=1)
    world.ask("fault_add", effect="cut", service="imds", key="meta-data/instance-id", times=1)
    with pytest.raises(http.client.IncompleteRead):
        metadata("meta-data/instance-id", **header)
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        metadata("meta-data/instance-id", **header)
    assert metadata("meta-data/instance-id", **header) == (200, world.node(2)["id"])
    assert [rule["hits"] for rule in world.ask("fault_list")] == [0, 1, 1, 1]
    world.ask("fault_clear")


def test_what_a_metadata_service_cannot_do_is_refused(world):
    with pytest.raises(WorldError, match="'late' is none of a metadata service"):
        world.ask("fault_add", effect="late=1", service="imds")


def test_what_ec2_announces_is_said_until_it_is_taken_back(world, metadata):
    header = token(metadata)
    spot, rebalance, scheduled = (f"meta-data/{key}" for key in (
        "spot/instance-action", "events/recommendations/rebalance", "events/maintenance/scheduled",
    ))  # fmt: skip
    quiet = {spot: (404, ""), rebalance: (404, ""), scheduled: (200, "[]")}
    said = lambda: {key: metadata(key, **header) for key in quiet}
    assert said() == quiet
    begins = datetime.now(UTC)
    for kind in ("spot", "rebalance", "scheduled"):
        world.ask("notice", node="2", kind=kind)
    notice = json.loads(metadata(spot, **header)[1])
    left = datetime.fromisoformat(notice["time"]) - begins
    assert notice["action"] == "terminate" and timedelta(seconds=118) < left < timedelta(seconds=150)
    assert list(json.loads(metadata(rebalance, **header)[1])) == ["noticeTime"]
    assert [event["Code"] for event in json.loads(metadata(scheduled, **header)[1])] == ["system-reboot"]
    world.ask("notice", node="2", kind="spot", value="stop")
    assert json.loads(metadata(spot, **header)[1])["action"] == "stop"
    world.ask("notice", node="2", kind="scheduled", raw="{")
    assert metadata(scheduled, **header) == (200, "{")
    for kind in ("spot", "rebalance", "scheduled"):
        world.ask("notice", node="2", kind=kind, gone=True)
    assert said() == quiet
    with pytest.raises(WorldError, match="unknown notice"):
        world.ask("notice", node="2", kind="strike")

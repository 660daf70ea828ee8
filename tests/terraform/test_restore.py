"""The record's last version, restored under the bucket's own policy by what docs/operating.md says, and `up` goes on."""

import re
import urllib.error
import urllib.request

from example import world_policies
from example import plan as evaluate
from test_bucket import OPERATOR, operator_policies
from test_permissions import launch_hook, run_commands, write_files

BUCKET, RECORD = "kubeboot-demo", "demo/control-plane/cluster.json"


class Operator:
    """S3 as the AWS CLI asks it. The world knows one role at a time: from `allow` on, whoever asks is the operator."""

    def __init__(self, world):
        self._endpoint = world.as_node("1", "sh", "-c", 'printf %s "$AWS_ENDPOINT_URL"').stdout

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, bytes, str]:
        """Status, body and ETag."""
        signed = "AWS4-HMAC-SHA256 Credential=OPERATOR/20260101/eu-central-1/s3/aws4_request"
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(
            f"{self._endpoint}/{BUCKET}{path}",
            body,
            {"Authorization": signed, "Content-Type": "binary/octet-stream", **named},
            method=method,
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.read(), answer.headers.get("ETag", "")
        except urllib.error.HTTPError as refused:
            return refused.code, refused.read(), ""


def test_an_operator_restores_the_records_last_version(world):
    plan = evaluate(f'start = "runcmd"\noperator_role_arns = ["{OPERATOR}"]')
    machines = world_policies(plan)
    (node,) = world.up("--nodes", "1", "--no-up", "--launch-hook", launch_hook(plan), **machines)
    write_files(plan.user_data(), node)
    begun = world.as_node("1", "sh", "-c", run_commands(plan.user_data()))
    assert begun.returncode == 0, begun.stderr
    kept = world.call("s3", "get", RECORD).stdout

    world.do("s3", "rm", RECORD)
    world.allow(**operator_policies(plan))
    operator = Operator(world)
    status, listed, _ = operator.ask("GET", f"?versions&prefix={RECORD}")
    assert status == 200, listed
    # S3 names the latest first; over the delete marker it is the first that is a version.
    (last, *_) = re.findall(r"<Version>.*?<VersionId>([^<]+)</VersionId>", listed.decode(), re.S)
    status, body, _ = operator.ask("GET", f"/{RECORD}?versionId={last}")
    assert (status, body.decode()) == (200, kept)
    # Without a condition it is denied, and so is what takes the marker away.
    assert operator.ask("PUT", f"/{RECORD}", body)[0] == 403
    assert operator.ask("DELETE", f"/{RECORD}?versionId={last}")[0] == 403
    assert operator.ask("PUT", f"/{RECORD}", body, If_None_Match="*")[0] == 200
    assert world.call("s3", "get", RECORD).stdout == kept
    # It is there again, so that nothing lands twice; in place of what is there, by its ETag.
    assert operator.ask("PUT", f"/{RECORD}", body, If_None_Match="*")[0] == 412
    etag = operator.ask("HEAD", f"/{RECORD}")[2]
    assert operator.ask("PUT", f"/{RECORD}", body, If_Match=etag)[0] == 200

    world.allow(**machines)
    again = world.as_node("1", "kubeboot", "up")
    assert again.returncode == 0, again.stderr

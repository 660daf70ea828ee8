"""What many workers ask for at once, counted by tests of the library that only measure: for `dev/bench`."""

import json
import os
import resource
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from world import build
from world.standin import whole

MARK = "measured "


def waiting(seconds: int) -> Iterator[dict]:
    """What S3, Auto Scaling and the API server are asked by workers that wait for so long, for each number of them. They run in one process, by the code
    of `up`, in which only the far ends of the connections are stand-ins."""
    with tempfile.TemporaryDirectory(prefix="kubeboot-bench-") as name:
        kubelet = Path(name) / "kubelet"
        whole.write(kubelet, "#!/bin/sh\necho Kubernetes v1.36.1\n", 0o755)
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            url = f"http://127.0.0.1:{found.getsockname()[1]}"
        environment = {
            "PATH": f"{name}:{os.environ['PATH']}", "KUBEBOOT_LOAD_SECONDS": str(seconds), "AWS_ENDPOINT_URL": url,
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": url, "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret",
        }  # fmt: skip
        yield from measured("up::worker::load::waiting_workers_are_counted", environment)


def deciding() -> Iterator[dict]:
    """How long the leader takes to decide the requests for certificates of a thousand machines."""
    yield from measured("agent::duties::workers::requests::tests::how_long_a_thousand_take_is_measured", {})


def measured(test: str, environment: dict[str, str]) -> Iterator[dict]:
    """What a test of the library that only measures prints, line by line. Raises RuntimeError if it fails."""
    # As many connections as workers, each with both of its ends here.
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    command = ["cargo", "test", "--quiet", "--locked", "--lib", "--", "--ignored", "--exact", test]
    # The target folder of the unit tests, and none of this environment's own settings of AWS.
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "KUBEBOOT_"))}
    kept |= {"CARGO_TARGET_DIR": str(build.target()), **environment}
    with subprocess.Popen(command, cwd=build.PROJECT, env=kept, stdout=subprocess.PIPE, text=True) as running:
        lines = []
        for line in running.stdout:
            lines.append(line)
            _, mark, text = line.partition(MARK)
            if mark:
                yield json.loads(text)
    if running.returncode or not any(MARK in line for line in lines):
        raise RuntimeError(f"{test} ended with {running.returncode}: {''.join(lines)}")

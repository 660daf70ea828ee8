"""checkov finds nothing, or what it finds is argued away beside it."""

import json
import subprocess

from example import EXAMPLE


def test_checkov_finds_nothing_that_is_not_argued_away(tools):
    command = [tools / "checkov/bin/checkov", "--directory", EXAMPLE, "--framework", "terraform", "--skip-download"]
    done = subprocess.run([*command, "--output", "json"], capture_output=True, text=True, timeout=300)
    told = json.loads(done.stdout)
    failed = [f"{one['check_id']} {one['resource']}: {one['check_name']}" for one in told["results"]["failed_checks"]]
    assert not failed, "\n".join(failed)
    assert told["summary"]["parsing_errors"] == 0
    # It looked at something.
    assert told["summary"]["passed"] > 100
    for one in told["results"]["skipped_checks"]:
        assert len(one["check_result"]["suppress_comment"].split()) > 1, (
            f"{one['check_id']} is skipped without a reason"
        )

"""Commands of user data come before kubeboot, under the real systemd (`pre_bootstrap_commands` of the Terraform example)."""

import os
import subprocess
import sys
import uuid

import pytest

from systemd import cgroups, roots


@pytest.mark.parametrize("system", ["bookworm", "trixie"])
def test_the_commands_of_user_data_come_before_the_enabled_unit(system, tmp_path):
    root = roots.make({system})[system]
    # Unlike a folder of pytest's, no two runs have it.
    name = uuid.uuid4().hex[:8]
    command = ["unshare", "--mount", "--net", "--propagation=private", sys.executable, "-m", "systemd.before", root, tmp_path, name]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    try:
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)
    finally:
        cgroups.sweep(tmp_path, name)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["failed", "before", "up"]

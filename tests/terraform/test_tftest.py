"""The modules' own tests (*.tftest.hcl), run by Terraform with a mocked provider, which needs the real one's schema and no more."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from example import CONTROL_PLANE, EXAMPLE, MODULES, WORKERS
from stand_in_provider import serving
from test_syntax import resources

TESTED = [CONTROL_PLANE, WORKERS]


@pytest.fixture(scope="module")
def provided(tools, tmp_path_factory) -> Iterator[dict[str, str]]:
    schema = json.loads((tools / "schema.json").read_text())
    kinds = {kind for module in MODULES for kind, _, _ in resources(module) if "aws_" in kind}
    with serving(schema, kinds, tmp_path_factory.mktemp("provider")) as environment:
        yield environment


def terraform(folder: Path, provided: dict[str, str], *words: str) -> subprocess.CompletedProcess:
    env = {**os.environ, **provided, "TF_IN_AUTOMATION": "1", "TF_CLI_ARGS": "-no-color", "CHECKPOINT_DISABLE": "1"}
    return subprocess.run(["terraform", *words], cwd=folder, env=env, capture_output=True, text=True, timeout=300)


@pytest.fixture
def modules(tmp_path) -> Path:
    if not shutil.which("terraform"):
        pytest.skip("terraform is not installed")
    shutil.copytree(EXAMPLE / "modules", tmp_path / "modules", ignore=shutil.ignore_patterns(".terraform*"))
    return tmp_path / "modules"


@pytest.mark.parametrize("module", TESTED, ids=lambda one: one.name)
def test_the_modules_own_tests_pass(module, modules, provided):
    folder = modules / module.name
    made = terraform(folder, provided, "init", "-backend=false")
    assert made.returncode == 0, made.stdout + made.stderr
    done = terraform(folder, provided, "test")
    assert done.returncode == 0, done.stdout + done.stderr
    runs = sum(len(re.findall(r"^run ", file.read_text(), re.M)) for file in (module / "tests").glob("*.tftest.hcl"))
    assert f"{runs} passed, 0 failed" in done.stdout, done.stdout


def test_they_find_what_is_wrong(modules, provided):
    file = modules / CONTROL_PLANE.name / "machines.tf"
    file.write_text(file.read_text().replace('health_check_type         = "EC2"', 'health_check_type         = "ELB"'))
    terraform(file.parent, provided, "init", "-backend=false")
    done = terraform(file.parent, provided, "test")
    # Its lines are broken as they come.
    told = " ".join((done.stdout + done.stderr).split())
    assert done.returncode != 0 and "would end the survivors" in told, told

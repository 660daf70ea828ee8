"""What keeps a mistake from the control plane: the guard, tried by Terraform itself, and the waiting beside it."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from example import COMPLETE, CONTROL_PLANE, PRIVATE, files
from example import plan as evaluate

RESOURCE = re.compile(r'^resource "(\w+)" "(\w+)" \{\n(.*?)^\}$', re.M | re.S)
REFERENCE = re.compile(r"(?<![\w.\"-])(aws_\w+|terraform_data)\.(\w+)")
GUARD = "terraform_data.guard"

# A change of these replaces something that holds a voter, the record, a key or the endpoint.
GROUP, BUCKET = "aws_autoscaling_group.control_plane", "aws_s3_bucket.control_plane"


def resources(folder: Path = CONTROL_PLANE) -> dict[str, str]:
    """Each resource's text by its address."""
    text = "\n".join(re.sub(r"#.*", "", one) for one in files(folder).values())
    return {f"{kind}.{name}": body for kind, name, body in RESOURCE.findall(text)}


def references(text: str) -> set[str]:
    """The resources that a text needs, those behind a local value among them."""
    locals_ = dict(re.findall(r"^  (\w+) += (.*?)(?=^  \w+ += |^\})", "\n".join(files().values()), re.M | re.S))
    found, names, seen = set(), set(re.findall(r"\blocal\.(\w+)", text)), set()
    found |= {".".join(one) for one in REFERENCE.findall(text)}
    while names - seen:
        name = (names - seen).pop()
        seen.add(name)
        found |= {".".join(one) for one in REFERENCE.findall(locals_.get(name, ""))}
        names |= set(re.findall(r"\blocal\.(\w+)", locals_.get(name, "")))
    return found


def needed_by(text: str, made: dict[str, str]) -> set[str]:
    """What is destroyed after this, by itself or because something of it is."""
    needed, todo = set(), [text]
    while todo:
        for one in references(todo.pop()) - needed:
            needed.add(one)
            todo.append(made[one])
    return needed


def test_everything_is_destroyed_after_the_guard():
    made = resources()
    # What comes after the guard does nothing when it is destroyed.
    assert set(made) - needed_by(made[GUARD], made) == {GUARD, "terraform_data.machines_in_service"}
    # The policies in a module of their own are destroyed after the group, and that after the guard.
    assert "    module.role_policies,\n" in made[GROUP].partition("depends_on")[2]


def test_no_worker_is_destroyed_before_its_guard():
    made = resources(COMPLETE)
    assert list(made) == ["terraform_data.guard_of_workers"]
    (depends_on,) = re.findall(r"^  depends_on = \[(.*?)\]$", made["terraform_data.guard_of_workers"], re.M)
    assert depends_on == "module.workers"
    (command,) = re.findall(r"^    command = (.*)$", made["terraform_data.guard_of_workers"], re.M)
    assert command.startswith('self.input.allow_destroy ? "exit 0" : ') and command.endswith('exit 1"')


def test_a_network_is_destroyed_after_the_control_plane_in_it():
    made = resources(PRIVATE)
    (block,) = re.findall(r'^module "control_plane" \{\n(.*?)^\}', files(PRIVATE)["main.tf"], re.M | re.S)
    # AWS keeps that one: destroying it only has Terraform forget it.
    assert set(made) - needed_by(block, made) == {"aws_default_security_group.this"}


class Root:
    """A root with the example's guard, and resources of Terraform's own in place of AWS's."""

    def __init__(self, folder: Path):
        self.folder = folder
        guard = (CONTROL_PLANE / "guard.tf").read_text().partition("# When this is done")[0]
        held = sorted({".".join(one) for one in REFERENCE.findall(guard)} - {GUARD})
        guard = re.sub(r"\b(aws_\w+)\.(\w+)", r"terraform_data.\1_\2", guard)
        guard = re.sub(r"(terraform_data\.aws_\w+)((?:\[\*\])?)\.\w+(\)?)$", r"\1\2.id\3", guard, flags=re.M)
        guard = guard.replace("local.endpoint", '"api.demo.internal:6443"')
        stands = [
            f'resource "terraform_data" "{one.replace(".", "_")}" {{\n  triggers_replace = var.changed == "{one}"\n}}\n'
            for one in held
        ]
        variables = 'variable "allow_destroy" {\n  default = false\n}\n\nvariable "changed" {\n  default = ""\n}\n'
        (folder / "main.tf").write_text("\n".join([variables, guard, *stands]))
        assert self.run("init").returncode == 0

    def run(self, *words: str) -> subprocess.CompletedProcess:
        words = [words[0], *(["-auto-approve"] if words[0] in ("apply", "destroy") else []), *words[1:]]
        env = {**os.environ, "TF_IN_AUTOMATION": "1", "TF_CLI_ARGS": "-no-color", "CHECKPOINT_DISABLE": "1"}
        return subprocess.run(["terraform", *words], cwd=self.folder, env=env, capture_output=True, text=True, timeout=60)

    def ids(self) -> dict[str, str]:
        """What there is, the guard left out."""
        state = json.loads((self.folder / "terraform.tfstate").read_text())
        return {
            one["name"]: one["instances"][0]["attributes"]["id"]
            for one in state["resources"] if one["name"] != "guard" and one["instances"]
        }  # fmt: skip

    def refused(self, *words: str) -> None:
        before = self.ids()
        done = self.run(*words)
        assert done.returncode != 0 and "refused" in done.stderr, done.stdout + done.stderr
        assert self.ids() == before


@pytest.fixture
def root(tmp_path) -> Root:
    if not shutil.which("terraform"):
        pytest.skip("terraform is not installed")
    made = Root(tmp_path)
    assert made.run("apply").returncode == 0
    return made


def stand_in(address: str) -> str:
    return f"terraform_data.{address.replace('.', '_')}"


def test_destroy_ends_nothing_before_it_is_allowed(root):
    root.refused("destroy")
    # The flag beside the destroy is too late: what has been applied counts.
    root.refused("destroy", "-var=allow_destroy=true")
    before = root.ids()
    assert root.run("apply", "-var=allow_destroy=true").returncode == 0
    assert root.ids() == before
    assert root.run("destroy", "-var=allow_destroy=true").returncode == 0
    assert root.ids() == {}


@pytest.mark.parametrize("changed", [GROUP, BUCKET, "aws_kms_key.pki", "aws_lb.endpoint", "aws_iam_role.machine"])
def test_nothing_is_replaced_before_it_is_allowed(root, changed):
    root.refused("apply", f"-var=changed={changed}")
    root.refused("apply", f"-replace={stand_in(changed)}")
    before = root.ids()
    assert root.run("apply", "-var=allow_destroy=true").returncode == 0
    assert root.run("apply", "-var=allow_destroy=true", f"-var=changed={changed}").returncode == 0
    assert root.ids() != before


def test_a_tainted_group_is_not_replaced_and_there_is_a_way_out(root):
    before = root.ids()
    assert root.run("taint", stand_in(GROUP)).returncode == 0
    root.refused("apply")
    root.refused("apply", "-var=allow_destroy=true")
    assert root.run("untaint", stand_in(GROUP)).returncode == 0
    assert root.run("apply").returncode == 0
    assert root.ids() == before


def test_what_is_gone_is_made_again_once_the_guard_is_forgotten(root):
    before = root.ids()
    assert root.run("state", "rm", stand_in(GROUP)).returncode == 0
    assert root.run("apply").returncode != 0
    assert root.run("state", "rm", GUARD).returncode == 0
    assert root.run("apply").returncode == 0
    assert root.ids().keys() == before.keys()
    root.refused("destroy")


def test_the_group_itself_waits_for_nothing(plan):
    assert plan.one("aws_autoscaling_group")["wait_for_capacity_timeout"] == "0"
    # A failed waiter must not keep the guard from being made.
    assert GUARD in references(resources()["terraform_data.machines_in_service"])
    assert len(evaluate("wait_minutes = 0").all("terraform_data")) == len(plan.all("terraform_data")) - 1


class Waiter:
    """wait-for-machines.sh with stand-ins for the AWS CLI, which tells one answer after the other, and for sleep."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._command("aws", 'echo "$@" >"$D/asked"\nline=$(head -n 1 "$D/answers")\nsed -i 1d "$D/answers"\n[ "$line" != fails ] || exit 254\necho "$line"')  # fmt: skip
        self._command("sleep", 'echo "$1" >>"$D/slept"')

    def _command(self, name: str, script: str) -> None:
        path = self.folder / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def run(self, *answers: str, minutes: int = 1) -> tuple[subprocess.CompletedProcess, int]:
        """What it said, and how many seconds it would have slept."""
        (self.folder / "answers").write_text("".join(f"{one}\n" for one in answers))
        (self.folder / "slept").write_text("")
        env = {"PATH": f"{self.folder}:{os.environ['PATH']}", "D": str(self.folder)}
        words = ["sh", CONTROL_PLANE / "wait-for-machines.sh", "demo-control-plane", "eu-central-1", "3", str(minutes)]
        done = subprocess.run(words, env=env, capture_output=True, text=True, timeout=60)
        return done, sum(map(int, (self.folder / "slept").read_text().split()))


def test_the_waiter_ends_when_all_are_in_service(tmp_path):
    waiter = Waiter(tmp_path)
    done, slept = waiter.run("0", "1", "fails", "3")
    assert (done.returncode, slept) == (0, 45), done.stderr
    asked = (tmp_path / "asked").read_text()
    assert "--region eu-central-1" in asked and "--auto-scaling-group-names demo-control-plane" in asked
    assert "--cli-read-timeout" in asked


@pytest.mark.parametrize("answers", [["2"] * 9, ["fails"] * 9, ["None"] * 9, [""] * 9])
def test_the_waiter_gives_up_and_says_what_to_do(tmp_path, answers):
    done, slept = Waiter(tmp_path).run(*answers, minutes=2)
    assert (done.returncode, slept) == (1, 105)
    assert "getting-started" in done.stderr

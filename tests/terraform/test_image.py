"""The template for machine images: what it builds, by which scripts, and the table of its variables."""

import os
import re
import shutil
import subprocess

import hcl2
import pytest

from example import PROJECT
from test_pages import table_of

IMAGE = PROJECT / "image"
TEMPLATE = IMAGE / "image.pkr.hcl"


@pytest.fixture(scope="module")
def build() -> dict:
    (found,) = hcl2.loads(TEMPLATE.read_text())["build"]
    return found


def bare(text: str) -> str:
    return text.strip('"')


def test_both_systems_are_built_for_both_architectures(build):
    sources = [body for one in build["source"] for body in one.values()]
    wanted = {"ubuntu-x86_64": "amd64", "ubuntu-arm64": "arm64", "amazon-linux-x86_64": "x86_64", "amazon-linux-arm64": "arm64"}
    assert {bare(one["name"]) for one in sources} == wanted.keys()
    for one in sources:
        name, (filters,) = bare(one["name"]), one["source_ami_filter"]
        assert wanted[name] in bare(filters["filters"]["name"]), "another architecture's image"
        assert bare(one["instance_type"]).startswith("m6g." if name.endswith("arm64") else "m6i.")
        assert name.partition("-")[0] in bare(one["ami_name"])


def test_the_scripts_are_there_and_the_last_word_is_the_check(build):
    named = [bare(one).removeprefix("${path.root}/") for step in build["provisioner"] for body in step.values() for one in body.get("scripts", [])]
    assert named == ["scripts/kubernetes.sh", "scripts/kubeboot.sh", "scripts/finish.sh"]
    assert {str(file.relative_to(IMAGE)) for file in (IMAGE / "scripts").iterdir()} == set(named)
    text = [(IMAGE / one).read_text() for one in named]
    assert all(one.startswith("#!/bin/sh\n") and "\nset -eu\n" in one for one in text)
    assert text[-1].endswith("\nkubeboot check --image\n"), "an image that is not fit would be made"


def test_the_variables_are_declared_and_used():
    text = TEMPLATE.read_text()
    assert set(re.findall(r"\bvar\.(\w+)", text)) == set(re.findall(r'^variable "(\w+)"', text, re.M))


def test_the_page_has_every_variable():
    page, made = (IMAGE / "README.md").read_text(), table_of(TEMPLATE.read_text(), "variable", "default")
    found = re.search(r"^(?:\|.*\n)+", page, re.M)
    if "UPDATE" in os.environ:
        page = page.replace(found[0], made)
        (IMAGE / "README.md").write_text(page)
    assert made in page, "the table of image/README.md differs from the template: run this test with UPDATE=1"


def test_packer_would_format_nothing_and_takes_it():
    if not shutil.which("packer"):
        pytest.skip("packer is not installed")
    for words in (["fmt", "-check", "-diff", IMAGE], ["validate", "-syntax-only", IMAGE]):
        done = subprocess.run(["packer", *words], capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr

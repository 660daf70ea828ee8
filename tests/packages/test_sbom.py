"""The bill of materials, made by dev/sbom."""

import json
import os
import subprocess
import tomllib
from pathlib import Path

import pytest
from world.build import PROJECT


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> str:
    """Its text."""
    file = tmp_path_factory.mktemp("sbom") / "kubeboot.cdx.json"
    done = subprocess.run([PROJECT / "dev/sbom", file], capture_output=True, text=True, timeout=1200)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(file)]
    return file.read_text()


def built_in() -> set[tuple[str, str]]:
    """The crates that the binary is made of, as cargo says: name and version."""
    words = ["cargo", "tree", "--locked", "--edges", "normal", "--prefix", "none", "--format", "{p}"]
    words += ["--target", "x86_64-unknown-linux-gnu"]
    told = subprocess.run(words, cwd=PROJECT, capture_output=True, text=True, check=True, timeout=120).stdout
    return {(line.split()[0], line.split()[1].removeprefix("v")) for line in told.splitlines() if line.strip()}


def test_it_names_every_crate_with_its_licence_and_checksum(made):
    locked = tomllib.loads((PROJECT / "Cargo.lock").read_text())["package"]
    checksums = {(each["name"], each["version"]): each.get("checksum") for each in locked}
    crates = {(each["name"], each["version"]): each for each in json.loads(made)["components"]}
    own = {name for name in built_in() if checksums[name] is None}
    assert built_in() - own <= set(crates) <= set(checksums), "what the binary is made of"
    for name, crate in crates.items():
        assert crate.get("licenses"), name
        assert [each["content"] for each in crate["hashes"] if each["alg"] == "SHA-256"] == [checksums[name]], name


def test_it_is_about_kubeboot_and_tells_no_folder_of_the_computer(made):
    about = json.loads(made)["metadata"]["component"]
    version = tomllib.loads((PROJECT / "Cargo.toml").read_text())["package"]["version"]
    assert (about["name"], about["version"]) == ("kubeboot", version)
    for folder in (PROJECT, Path.home(), os.environ.get("CARGO_HOME", Path.home() / ".cargo")):
        assert str(folder) + "/" not in made and f"{folder}#" not in made, folder


def test_nothing_is_left_beside_the_sources(made):
    assert made and not list(PROJECT.glob("kubeboot-sbom-*"))

"""The .deb on a clean Debian: installed, used, upgraded, removed."""

import hashlib
import json
import subprocess
from pathlib import Path

import pytest

from world.build import PROJECT

from .conftest import install_deb
from .root import Root
from .test_contents import MANUAL

UNITS = ("kubeboot.service", "kubeboot-reset.service", "kubeboot-agent.service")
LINKS = [f"/etc/systemd/system/multi-user.target.wants/{unit}" for unit in UNITS]
RELOAD = "--system daemon-reload"
# How Debian's helper enables a unit: as the presets say.
ENABLE = [f"--root=/ --system --preset-mode=enable-only preset {unit}" for unit in UNITS]


@pytest.fixture(scope="module")
def newer(deb: Path, tmp_path_factory) -> Path:
    """The same under the next version, with other defaults."""
    folder = tmp_path_factory.mktemp("newer")
    tree, packed = folder / "tree", folder / "newer.deb"
    subprocess.run(["dpkg-deb", "--raw-extract", deb, tree], check=True)
    control = tree / "DEBIAN/control"
    control.write_text(control.read_text().replace("Version: 0.", "Version: 1."))
    with (tree / "etc/kubeboot/config.toml").open("a") as config:
        config.write("# another default\n")
    subprocess.run(["dpkg-deb", "-Znone", "--build", tree, packed], check=True, capture_output=True)
    return packed


def test_installing_enables_the_units_and_starts_nothing(installed: Root):
    assert installed.asked() == [*ENABLE, RELOAD]
    assert [installed.is_enabled(unit) for unit in UNITS] == ["enabled"] * 3
    assert all(installed.path(link).is_symlink() for link in LINKS)


def test_the_settings_are_roots_alone(installed: Root):
    assert installed.mode("/etc/kubeboot/config.toml") == (0o600, 0)
    assert installed.mode("/etc/kubeboot") == (0o755, 0)


def test_the_settings_of_user_data_outlive_an_installation_after_them(new_root, deb: Path):
    root = new_root()
    files = {
        "/etc/kubeboot/config.toml": ("bucket = 'b'\n", 0o600),
        "/usr/local/sbin/install-kubeboot": ((PROJECT / "terraform-example/modules/user-data/install-kubeboot.sh").read_text(), 0o755),
        "/usr/local/bin/aws": ('#!/bin/sh\nfor last; do :; done; cp /package "$last"\n', 0o755),
    }
    for name, (text, mode) in files.items():
        root.path(name).parent.mkdir(parents=True, exist_ok=True)
        root.path(name).write_text(text)
        root.path(name).chmod(mode)
    package = deb.read_bytes()
    root.path("/package").write_bytes(package)
    root.run("install-kubeboot", f"s3://bucket/{deb.name}", hashlib.sha256(package).hexdigest())
    assert root.path("/etc/kubeboot/config.toml").read_text() == "bucket = 'b'\n"
    assert root.is_enabled("kubeboot.service") == "enabled"


def test_systemd_finds_no_fault_with_the_units(installed: Root):
    folder = installed.path("/usr/lib/systemd/system")
    units = [path.name for kind in ("service", "timer") for path in folder.glob(f"kubeboot*.{kind}")]
    assert units
    said = installed.run("systemd-analyze", "verify", *[f"/usr/lib/systemd/system/{unit}" for unit in units])
    assert "kubeboot" not in said.stderr, said.stderr


def test_systemd_verifies_at_all(installed: Root):
    broken = installed.path("/tmp/kubeboot-broken.service")
    unit = installed.path("/usr/lib/systemd/system/kubeboot.service").read_text()
    broken.write_text(unit.replace("ExecStart=kubeboot", "ExecStart=kubebot").replace("Restart=", "Restat="))
    said = installed.run("systemd-analyze", "verify", "/tmp/kubeboot-broken.service", code=None).stderr
    assert "kubebot" in said and "Restat" in said, said


def test_every_page_of_the_manual_is_found(installed: Root):
    assert {"kubeboot", "kubeboot-up", "kubeboot-status"} <= set(MANUAL)
    for page in MANUAL:
        assert installed.run("man", "-w", page).stdout.strip() == f"/usr/share/man/man1/{page}.1.gz"
    assert "claim-ttl" in installed.run("man", "-P", "cat", "kubeboot-up").stdout


def test_bash_completes(installed: Root):
    script = "source /usr/share/bash-completion/completions/kubeboot; complete -p kubeboot"
    assert "kubeboot" in installed.run("bash", "-c", script).stdout


def test_check_says_what_is_missing(installed: Root):
    report = json.loads(installed.run("kubeboot", "check", "--json", code=2).stdout)
    found = {}
    for finding in report["findings"]:
        found.setdefault(finding["check"], []).append(finding)
    assert not report["ready"]
    texts = " ".join(finding["text"] for finding in found["settings"])
    assert "bucket is not given" in texts and "endpoint is not given" in texts, texts
    assert [finding["verdict"] for finding in found["root"]] == ["ok"]
    assert [finding["verdict"] for finding in found["kubeadm"]] == ["failed"]
    assert [finding["verdict"] for finding in found["imds"]] == ["failed"]


def test_an_upgrade_and_a_removal_harm_nothing(new_root, deb: Path, newer: Path):
    root = new_root()
    install_deb(root, deb)
    root.asked()
    config = root.path("/etc/kubeboot/config.toml")
    config.write_text('bucket = "mine"\n')
    state = root.path("/var/lib/kubeboot/state.json")
    state.parent.mkdir(parents=True)
    state.write_text("{}")

    install_deb(root, newer)
    assert [line for line in root.asked() if line not in ENABLE] == [RELOAD], "an upgrade starts and stops nothing"
    assert config.read_text() == 'bucket = "mine"\n'
    assert root.mode("/etc/kubeboot/config.toml") == (0o600, 0)
    for unit in UNITS:
        root.run("systemctl", "disable", unit)
    install_deb(root, deb)
    assert [root.is_enabled(unit) for unit in UNITS] == ["disabled"] * 3, "they stay as the operator has left them"
    root.asked()

    root.run("dpkg", "--remove", "kubeboot")
    asked = root.asked()
    stopped = [line.removeprefix("stop ") for line in asked if line.startswith("stop ")]
    assert stopped == list(UNITS)
    assert asked[-1] == RELOAD
    assert config.exists()
    root.run("dpkg", "--purge", "kubeboot")
    assert not root.path("/etc/kubeboot").exists()
    assert not any(root.path(link).is_symlink() for link in LINKS)
    assert state.exists(), "it says whose control plane lies on this disk"

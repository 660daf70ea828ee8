"""The .rpm and its scripts, by Debian's rpm in a clean root: installed, upgraded, removed.

Its dependencies are names of other packages than Debian's, so they are not resolved here."""

import subprocess
from pathlib import Path

from .root import Root

# Fedora's and Amazon Linux' policy: nothing is enabled that no preset before it names.
UNITS = ("kubeboot.service", "kubeboot-reset.service", "kubeboot-agent.service")
POLICY = "usr/lib/systemd/system-preset/99-default-disable.preset"


def by_rpm(root: Root, *argv: str) -> None:
    """rpm runs the scripts of a package with the root as their root. Debian's wants to be told that it is meant."""
    inside = ["unshare", "--mount", "--net", "--"]
    rpm = ["rpm", "--root", str(root.folder), "--nodeps", "--nosignature", "--force-debian", *argv]
    done = subprocess.run([*inside, *rpm], capture_output=True, text=True, timeout=120)
    assert (done.returncode, "scriptlet failed" in done.stderr) == (0, False), done.stdout + done.stderr


def test_installing_upgrading_and_removing(new_root, rpm: Path):
    root = new_root()
    root.path(POLICY).parent.mkdir(parents=True, exist_ok=True)
    root.path(POLICY).write_text("disable *\n")
    by_rpm(root, "--install", str(rpm))
    assert root.asked() == [f"--no-reload preset {' '.join(UNITS)}", "daemon-reload"], "it starts nothing"
    assert [root.is_enabled(unit) for unit in UNITS] == ["enabled"] * 3
    config = root.path("/etc/kubeboot/config.toml")
    assert root.mode("/etc/kubeboot/config.toml") == (0o600, 0)
    assert root.run("kubeboot", "--version").stdout.startswith("kubeboot ")

    config.write_text('bucket = "mine"\n')
    root.run("systemctl", "disable", *UNITS)
    root.asked()
    by_rpm(root, "--upgrade", "--replacepkgs", str(rpm))
    assert set(root.asked()) == {"daemon-reload"}, "an upgrade starts and stops nothing"
    assert config.read_text() == 'bucket = "mine"\n'
    assert [root.is_enabled(unit) for unit in UNITS] == ["disabled"] * 3, "they stay as the operator has left them"

    root.run("systemctl", "enable", *UNITS)
    root.asked()
    by_rpm(root, "--erase", "kubeboot")
    assert root.asked() == [
        f"--no-reload disable {' '.join(UNITS)}", f"stop {' '.join(UNITS)}", "daemon-reload",
    ]  # fmt: skip
    assert not root.path("/usr/bin/kubeboot").exists()
    assert not any(root.path(f"/etc/systemd/system/multi-user.target.wants/{unit}").is_symlink() for unit in UNITS)

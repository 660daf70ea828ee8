"""A clean Debian in a folder, commands as root in it without any network, and what its systemctl was asked."""

import os
import subprocess
import tarfile
from pathlib import Path

# Finds what a machine's systemd would be asked to do: there is none in a folder. What only edits links is done.
RECORDER = """#!/bin/sh
echo "$*" >>/asked
case "$*" in
*preset* | *able*) SYSTEMD_OFFLINE=1 exec /usr/bin/systemctl.real "$@" ;;
esac
"""


class Root:
    """The Debian in `folder`."""

    def __init__(self, folder: Path, image: Path):
        self.folder = folder
        with tarfile.open(image) as tar:
            tar.extractall(folder, filter="fully_trusted")
        recorder = folder / "usr/bin/systemctl"
        recorder.rename(folder / "usr/bin/systemctl.real")
        recorder.write_text(RECORDER)
        recorder.chmod(0o755)
        # By this folder maintainer scripts see that systemd runs.
        (folder / "run/systemd/system").mkdir(parents=True)

    def run(self, *argv: str, code: int | None = 0, seconds: float = 60.0) -> subprocess.CompletedProcess:
        """Runs a command in it; its exit code must be `code`, unless that is None."""
        spaces = ["--mount", "--pid", "--net", "--fork", "--kill-child", "--mount-proc"]
        done = subprocess.run(
            ["unshare", *spaces, f"--root={self.folder}", "--", *argv],
            capture_output=True, text=True, timeout=seconds, cwd="/",
            env={"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"},
        )  # fmt: skip
        assert code is None or done.returncode == code, f"{argv}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    def path(self, name: str) -> Path:
        return self.folder / name.lstrip("/")

    def mode(self, name: str) -> tuple[int, int]:
        """Permissions and owner of a file."""
        stat = os.lstat(self.path(name))
        return stat.st_mode & 0o7777, stat.st_uid

    def asked(self) -> list[str]:
        """What systemctl was asked since the last time."""
        log = self.path("/asked")
        lines = log.read_text().splitlines() if log.exists() else []
        log.unlink(missing_ok=True)
        # Questions change nothing.
        return [line for line in lines if not {"is-enabled", "is-active", "show"} & set(line.split())]

    def is_enabled(self, unit: str) -> str:
        """What systemd would say of the unit at the next boot."""
        return self.run("systemctl", "is-enabled", unit, code=None).stdout.strip()

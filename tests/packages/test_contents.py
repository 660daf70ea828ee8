"""What is in the packages: the same files in each, for this architecture, in need of a libc that the page names."""

import platform
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

from world.build import PROJECT

# The pages of the manual: one for each command and what is below it, but for the one that writes them.
COMMANDS = re.findall(r"^\| \[`kubeboot ([a-z ]+)`\]", (PROJECT / "docs/commands.md").read_text(), re.M)
MANUAL = ["kubeboot", *(f"kubeboot-{command.replace(' ', '-')}" for command in COMMANDS if command != "man")]

# Every path that a package installs, and its mode.
FILES = {
    "/etc/kubeboot/config.toml": 0o600,
    "/usr/bin/kubeboot": 0o755,
    "/usr/lib/systemd/system-preset/80-kubeboot.preset": 0o644,
    "/usr/share/bash-completion/completions/kubeboot": 0o644,
    "/usr/share/kubeboot/grafana/kubeboot.json": 0o644,
    "/usr/share/kubeboot/prometheus/kubeboot.rules.yml": 0o644,
    "/usr/share/fish/vendor_completions.d/kubeboot.fish": 0o644,
    "/usr/share/zsh/site-functions/_kubeboot": 0o644,
    **{f"/usr/share/man/man1/{page}.1.gz": 0o644 for page in MANUAL},
    "/usr/share/doc/kubeboot/README.md": 0o644,
    "/usr/share/doc/kubeboot/CHANGELOG.md": 0o644,
    "/usr/share/doc/kubeboot/LICENSE": 0o644,
    **{f"/usr/share/doc/kubeboot/docs/{page.name}": 0o644 for page in (PROJECT / "docs").glob("*.md")},
    **{
        f"/usr/lib/systemd/system/{unit.relative_to(PROJECT / 'systemd')}": 0o644
        for unit in (PROJECT / "systemd").rglob("*")
        if unit.is_file()
    },
}
# cargo-deb writes it, from the metadata.
DEB_ONLY = {"/usr/share/doc/kubeboot/copyright": 0o644}


def said(*argv) -> str:
    return subprocess.run([str(word) for word in argv], capture_output=True, text=True, check=True, timeout=60).stdout


def mode_of(letters: str) -> int:
    """0o644 for `-rw-r--r--`."""
    return sum(1 << (8 - at) for at, letter in enumerate(letters[1:10]) if letter != "-")


def test_the_deb_says_what_it_is(deb: Path):
    version = re.search(r'^version = "(.*)"', (PROJECT / "Cargo.toml").read_text(), re.M)[1]
    fields = dict(line.split(": ", 1) for line in said("dpkg-deb", "--field", deb).splitlines() if ": " in line)
    architecture = said("dpkg", "--print-architecture").strip()
    assert (fields["Package"], fields["Version"], fields["Architecture"]) == ("kubeboot", f"{version}-1", architecture)
    assert deb.name == f"kubeboot_{version}-1_{architecture}.deb"
    assert {"ca-certificates", "systemd (>= 244)"} <= set(fields["Depends"].split(", "))


def test_the_deb_holds_every_file_with_its_mode(deb: Path):
    lines = [line.split() for line in said("dpkg-deb", "--contents", deb).splitlines()]
    found = {words[5][1:]: (mode_of(words[0]), words[1]) for words in lines if words[0][0] != "d"}
    assert found == {path: (mode, "0/0") for path, mode in {**FILES, **DEB_ONLY}.items()}
    folders = {words[5]: words[0] for words in lines if words[0][0] == "d"}
    assert set(folders.values()) == {"drwxr-xr-x"}, folders


def test_the_rpm_says_what_it_is(rpm: Path):
    version = re.search(r'^version = "(.*)"', (PROJECT / "Cargo.toml").read_text(), re.M)[1]
    format = "%{NAME} %{VERSION} %{RELEASE} %{ARCH} %{LICENSE}"
    assert said("rpm", "-qp", "--queryformat", format, rpm) == f"kubeboot {version} 1 {platform.machine()} Apache-2.0"
    assert rpm.name == f"kubeboot-{version}-1.{platform.machine()}.rpm"
    needs = said("rpm", "-qp", "--requires", rpm).splitlines()
    assert {"ca-certificates", "systemd >= 244", "util-linux", "/bin/sh"} <= set(needs)
    assert any(need.startswith("libc.so.6(GLIBC_") for need in needs), needs


def test_the_rpm_holds_every_file_with_its_mode(rpm: Path):
    format = "[%{FILENAMES} %{FILEMODES:octal} %{FILEUSERNAME} %{FILEGROUPNAME}\n]"
    found = {}
    for line in said("rpm", "-qp", "--queryformat", format, rpm).splitlines():
        name, mode, user, group = line.split()
        found[name] = (int(mode, 8) & 0o7777, user, group)
    assert found == {path: (mode, "root", "root") for path, mode in FILES.items()}
    assert said("rpm", "-qp", "--configfiles", rpm).split() == ["/etc/kubeboot/config.toml"]


def test_the_rpm_unpacks_to_a_binary_that_runs(rpm: Path, tmp_path: Path):
    # Its exit code says that the header has no size of the archive, which cargo-generate-rpm leaves out. cpio sees
    # whether it is whole.
    archive = subprocess.run(["rpm2cpio", rpm], capture_output=True, timeout=60).stdout
    subprocess.run(["cpio", "-id", "--quiet"], input=archive, cwd=tmp_path, check=True, timeout=60)
    assert said(tmp_path / "usr/bin/kubeboot", "--version").startswith("kubeboot ")


def test_the_tarball_holds_the_same(packages: list[Path]):
    path = next(path for path in packages if path.name.endswith(".tar.gz"))
    with tarfile.open(path) as tar:
        found = {f"/{member.name}": (member.mode, member.uid) for member in tar if member.isfile()}
    assert found == {name: (mode, 0) for name, mode in FILES.items()}


def test_the_page_names_the_libc_that_the_binary_needs(deb: Path, tmp_path: Path):
    said("dpkg-deb", "--extract", deb, tmp_path)
    needed = re.findall(r"GLIBC_(\d+)\.(\d+)", said("objdump", "--dynamic-syms", tmp_path / "usr/bin/kubeboot"))
    newest = max((int(major), int(minor)) for major, minor in needed)
    page = (PROJECT / "docs/packages.md").read_text()
    assert f"glibc {newest[0]}.{newest[1]} or newer" in page


def test_what_a_build_takes_and_is_not_there_is_named_before_it(tmp_path: Path):
    for name in ("bash", "cc", "dirname", "uname"):
        (tmp_path / name).symlink_to(shutil.which(name))
    env = {"PATH": str(tmp_path), "HOME": str(tmp_path)}
    done = subprocess.run([PROJECT / "dev/package"], env=env, capture_output=True, text=True)
    assert done.returncode == 1 and "please install: protobuf-compiler (" in done.stderr, done.stderr
    (tmp_path / "protoc").symlink_to("/bin/true")
    done = subprocess.run([PROJECT / "dev/package"], env=env, capture_output=True, text=True)
    assert done.returncode == 1 and "cargo is missing" in done.stderr, done.stderr


def test_a_target_that_is_not_there_is_named():
    asked = [PROJECT / "dev/package", "--target", "sparc-unknown-none"]
    done = subprocess.run(asked, capture_output=True, text=True, timeout=900)
    assert (done.returncode, done.stdout) == (1, "")
    assert "no target 'sparc-unknown-none': rustup target add sparc-unknown-none" in done.stderr


def test_an_architecture_of_which_none_are_made_is_refused():
    done = subprocess.run([PROJECT / "dev/package", "--arch", "riscv64"], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (1, "") and "no packages for 'riscv64'" in done.stderr

"""The scripts by which machine images are made, in a clean Debian: against repositories made here, and for Amazon Linux with a
stand-in for dnf. What they install are stand-ins, too; kubeboot and its check are the real ones."""

import hashlib
import json
import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from world.build import PROJECT

from .root import Root

SCRIPTS = PROJECT / "image/scripts"
VERSION = "v1.36.1"
CONTAINERS = [f"registry.k8s.io/{name}" for name in ("kube-apiserver:v1.36.1", "etcd:3.6.8-0", "pause:3.10.1")]

# What is installed, as far as the scripts and kubeboot ask it.
PROGRAMS = {
    "containerd": """case $1 in
--version) echo "containerd containerd.io ${CONTAINERD:-2.1.4} 75cb2b7" ;;
config) printf '[plugins]\\n  SystemdCgroup = false\\n' ;;
esac""",
    "kubelet": f'echo "Kubernetes {VERSION}"',
    "kubeadm": f"""case "$*" in
"version --output short") echo {VERSION} ;;
"version -o json") echo '{{"clientVersion": {{"major": "1", "minor": "36", "gitVersion": "{VERSION}"}}}}' ;;
"config images list --kubernetes-version {VERSION}") printf '%s\\n' {" ".join(CONTAINERS)} ;;
"config images pull --kubernetes-version {VERSION}") touch /pulled ;;
*) exit 1 ;;
esac""",
    "kubectl": "exit 1",
    "crictl": f"""case "$*" in
version) printf 'RuntimeName:  containerd\\nRuntimeVersion:  v2.1.4\\n' ;;
"images --output json") [ -e /pulled ] && echo '{json.dumps({"images": [{"repoTags": [name]} for name in CONTAINERS]})}' || echo '{{}}' ;;
*) exit 1 ;;
esac""",
}
UNIT = "[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n"
# By Debian's name: what is in it.
PACKAGES = {
    "containerd.io": ["containerd"], "kubelet": ["kubelet"], "kubeadm": ["kubeadm"], "kubectl": ["kubectl"], "cri-tools": ["crictl"],
}  # fmt: skip
UNITS = {"containerd.io": "containerd.service", "kubelet": "kubelet.service"}

# systemd's answers where there is none: of the files, and of the links that enabling has made.
ANSWERS = """#!/bin/sh
case "$1" in
show)
    for unit; do
        case $unit in
        *.service | *.timer)
            load=not-found
            [ ! -e "/usr/lib/systemd/system/$unit" ] || load=loaded
            enabled=$(SYSTEMD_OFFLINE=1 systemctl.real is-enabled "$unit" 2>/dev/null)
            printf 'LoadState=%s\\nActiveState=inactive\\nSubState=dead\\nUnitFileState=%s\\n\\n' $load "$enabled"
            ;;
        esac
    done
    exit
    ;;
esac
echo "$*" >>/asked
case "$*" in
*preset* | *able*) SYSTEMD_OFFLINE=1 exec systemctl.real "$@" ;;
esac
"""


def program(text: str) -> str:
    return f"#!/bin/sh\n{text}\n"


def put(root: Root, name: str, text: str, mode: int = 0o755) -> None:
    root.path(name).parent.mkdir(parents=True, exist_ok=True)
    root.path(name).write_text(text)
    root.path(name).chmod(mode)


def tree(folder: Path, package: str) -> None:
    """What a package brings."""
    for name in PACKAGES[package]:
        file = folder / "usr/bin" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(program(PROGRAMS[name]))
        file.chmod(0o755)
    if unit := UNITS.get(package):
        file = folder / "usr/lib/systemd/system" / unit
        file.parent.mkdir(parents=True)
        file.write_text(UNIT)


def repository(folder: Path, index: Path, packages: list[str]) -> None:
    """Debian packages below `folder`, and the index that apt reads of them."""
    listed = []
    for package in packages:
        made = folder / "pool" / package
        tree(made, package)
        control = f"Package: {package}\nVersion: 1.36.1-1.1\nArchitecture: amd64\nMaintainer: a <a@invalid>\nDescription: a\n"
        (made / "DEBIAN").mkdir()
        (made / "DEBIAN/control").write_text(control)
        deb = folder / f"pool/{package}.deb"
        subprocess.run(["dpkg-deb", "--root-owner-group", "-Znone", "--build", made, deb], check=True, capture_output=True)
        content = deb.read_bytes()
        where = f"Filename: {deb.relative_to(folder)}\nSize: {len(content)}\nSHA256: {hashlib.sha256(content).hexdigest()}\n"
        listed.append(control + where)
    index.parent.mkdir(parents=True, exist_ok=True)
    index.write_text("\n".join(listed))


@contextmanager
def runtime(root: Root) -> Iterator[None]:
    """Somebody listens at containerd's socket."""
    folder = root.path("/run/containerd")
    folder.mkdir(parents=True, exist_ok=True)
    here = Path.cwd()
    with socket.socket(socket.AF_UNIX) as listener:
        # A socket's path is short.
        os.chdir(folder)
        try:
            listener.bind("containerd.sock")
        finally:
            os.chdir(here)
        listener.listen()
        yield
    (folder / "containerd.sock").unlink()


@pytest.fixture
def ubuntu(new_root: Callable[[], Root], deb: Path) -> Root:
    """A machine on which the scripts find their repositories, with what its first boot has left."""
    root = new_root()
    prepared(root)
    docker, kubernetes = root.path("/docker"), root.path("/kubernetes/deb")
    repository(docker, docker / "dists/bookworm/stable/binary-amd64/Packages", ["containerd.io"])
    repository(kubernetes, kubernetes / "Packages", ["kubelet", "kubeadm", "kubectl", "cri-tools"])
    # Nobody has signed them.
    put(root, "/etc/apt/apt.conf.d/unsigned", 'Acquire::AllowInsecureRepositories "1";\nAPT::Get::AllowUnauthenticated "1";\n', 0o644)
    put(root, "/etc/apt/sources.list", "", 0o644)
    put(root, "/usr/local/bin/curl", program('while [ "$1" != --output ]; do shift; done; echo key >"$2"'))
    (root.path("/tmp/kubeboot-packages") / "kubeboot_0.1.0-1_amd64.deb").write_bytes(deb.read_bytes())
    return root


@pytest.fixture
def amazon_linux(new_root: Callable[[], Root], deb: Path) -> Root:
    """The same with Amazon Linux's name and dnf, which unpacks what it is asked for."""
    root = new_root()
    prepared(root)
    put(root, "/etc/os-release", 'NAME="Amazon Linux"\nID="amzn"\nVERSION_ID="2023"\n', 0o644)
    for package in PACKAGES:
        tree(root.path("/rpms") / package.removesuffix(".io"), package)
    subprocess.run(["dpkg-deb", "--extract", deb, root.path("/rpms/kubeboot")], check=True)
    root.path("/etc/yum.repos.d").mkdir(parents=True)
    put(root, "/usr/bin/dnf", program("""echo "$*" >>/installed
for each; do
    case $each in
    *.rpm) each=kubeboot ;;
    esac
    [ ! -d "/rpms/$each" ] || cp -r "/rpms/$each/." /
done
systemctl enable kubeboot.service kubeboot-reset.service kubeboot-agent.service >/dev/null 2>&1 || true"""))
    # It has no dpkg.
    root.path("/usr/bin/dpkg").unlink()
    (root.path("/tmp/kubeboot-packages") / "kubeboot-0.1.0-1.x86_64.rpm").write_bytes(b"a package")
    return root


def prepared(root: Root) -> None:
    put(root, "/usr/bin/systemctl", ANSWERS)
    put(root, "/usr/bin/cloud-init", program('echo "$*" >>/cloud-init'))
    root.path("/tmp/kubeboot-packages").mkdir(parents=True)
    put(root, "/etc/machine-id", "0f8fad5bd9cb469fa16570867728950e\n", 0o644)
    put(root, "/etc/ssh/ssh_host_ed25519_key", "a", 0o600)
    put(root, "/home/ubuntu/.ssh/authorized_keys", "a", 0o600)
    # Somebody has tried a node there, and another file beside its own stays.
    for name in ("pki/ca.crt", "admin.conf", "kubelet.conf", "cloud.conf"):
        put(root, f"/etc/kubernetes/{name}", "a", 0o600)
    shutil.copytree(SCRIPTS, root.path("/scripts"))


def run(root: Root, script: str, *variables: str, code: int = 0) -> subprocess.CompletedProcess:
    told = ["KUBERNETES_VERSION=1.36", "KUBERNETES_REPOSITORY=file:/kubernetes", "DOCKER_REPOSITORY=file:/docker"]
    return root.run("env", *told, *variables, "sh", f"/scripts/{script}", code=code, seconds=180.0)


def is_fit(root: Root) -> None:
    """What an image has that the scripts have made: kubeboot's own check said so at the end."""
    with runtime(root):
        run(root, "kubernetes.sh")
        run(root, "kubeboot.sh")
        done = run(root, "finish.sh")
    assert "\n0 failed, " in done.stdout and "all 3 images of v1.36.1 are here" in done.stdout, done.stdout
    # The swap is that of this computer.
    warnings = [line for line in done.stdout.splitlines() if line.startswith("warning") and " swap " not in line]
    assert not warnings, done.stdout
    assert "SystemdCgroup = true" in root.path("/etc/containerd/config.toml").read_text()
    assert root.path("/etc/sysctl.d/kubernetes.conf").read_text() == "net.ipv4.ip_forward = 1\n"
    units = ("containerd", "kubelet", "kubeboot", "kubeboot-reset", "kubeboot-agent")
    assert [root.is_enabled(f"{unit}.service") for unit in units] == ["enabled"] * len(units)
    assert not [line for line in root.asked() if line.startswith(("start", "restart")) and "containerd" not in line]
    # Nothing of this machine is on the others.
    assert root.path("/etc/machine-id").read_text() == "" and root.path("/cloud-init").read_text() == "clean --logs\n"
    gone = ("/etc/ssh/ssh_host_ed25519_key", "/home/ubuntu/.ssh/authorized_keys", "/tmp/kubeboot-packages")
    assert not [name for name in gone if root.path(name).exists()]
    assert [file.name for file in root.path("/etc/kubernetes").iterdir()] == ["cloud.conf"]


def test_an_image_of_ubuntu_is_fit(ubuntu: Root):
    is_fit(ubuntu)
    held = ubuntu.run("apt-mark", "showhold").stdout.split()
    assert held == ["containerd.io", "kubeadm", "kubectl", "kubelet"]


def test_an_image_of_amazon_linux_is_fit(amazon_linux: Root):
    is_fit(amazon_linux)
    asked = amazon_linux.path("/installed").read_text().splitlines()
    assert asked[:2] == [
        "install --assumeyes containerd",
        "install --assumeyes --disableexcludes=kubernetes kubelet kubeadm kubectl cri-tools",
    ]
    assert "baseurl=file:/kubernetes/rpm/\n" in amazon_linux.path("/etc/yum.repos.d/kubernetes.repo").read_text()


def test_a_runtime_that_is_too_old_ends_it(amazon_linux: Root):
    done = run(amazon_linux, "kubernetes.sh", "CONTAINERD=1.7.27", code=1)
    assert "wants containerd 2" in done.stderr


def test_a_machine_without_its_package_ends_it(ubuntu: Root):
    for file in ubuntu.path("/tmp/kubeboot-packages").iterdir():
        file.unlink()
    done = run(ubuntu, "kubeboot.sh", code=1)
    assert "one package for this machine is wanted" in done.stderr


def test_an_unknown_system_ends_it(ubuntu: Root):
    put(ubuntu, "/etc/os-release", "ID=gentoo\n", 0o644)
    assert "'gentoo'" in run(ubuntu, "kubernetes.sh", code=1).stderr


def test_an_image_of_a_node_is_not_fit(ubuntu: Root):
    with runtime(ubuntu):
        run(ubuntu, "kubernetes.sh")
        run(ubuntu, "kubeboot.sh")
        # finish.sh takes these away; whatever else is left of a node is found.
        put(ubuntu, "/etc/kubernetes/manifests/etcd.yaml", "a", 0o600)
        done = run(ubuntu, "finish.sh", code=2)
    assert "'/etc/kubernetes/manifests' is not empty" in done.stdout

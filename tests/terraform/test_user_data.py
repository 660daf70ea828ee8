"""User data: cloud-init understands it, its scripts are clean, and it says what kubeboot must know."""

import base64
import hashlib
import os
import subprocess
import sys
import tomllib

import pytest
import yaml

from example import PROJECT, USER_DATA, plan as evaluate

SHA256 = "0123456789abcdef" * 4
UNITS = "systemctl enable --now --no-block kubeboot.service kubeboot-agent.service"
KUBEADM = """\
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
networking:
  podSubnet: 10.244.0.0/16   # "quoted", $dollar, %{percent} and \\backslash
"""
VARIANTS = {
    "unit": "",
    "runcmd": 'start = "runcmd"',
    "documents": "kubeadm_config = <<EOT\n" + KUBEADM.replace("%{", "%%{") + "EOT\n",
    "deb": f'kubeboot_package_url = "s3://bucket/kubeboot.deb"\nkubeboot_package_sha256 = "{SHA256}"',
    "before": 'pre_bootstrap_commands = ["sysctl --system", "echo \'a b\' >/etc/motd"]',
    "before_runcmd": 'start = "runcmd"\npre_bootstrap_commands = ["true"]',
    "before_deb": f'pre_bootstrap_commands = ["true"]\nkubeboot_package_url = "s3://b/k.deb"\nkubeboot_package_sha256 = "{SHA256}"',
    "rpm": f'kubeboot_package_url = "https://a.com/k.rpm"\nkubeboot_package_sha256 = "{SHA256}"\nstart = "runcmd"',
}


@pytest.fixture(params=VARIANTS, scope="module")
def text(request) -> str:
    return evaluate(VARIANTS[request.param]).user_data()


def read(name: str) -> dict:
    return yaml.safe_load(evaluate(VARIANTS[name]).user_data())


def files(config: dict) -> dict[str, dict]:
    return {file["path"]: file for file in config["write_files"]}


@pytest.fixture(scope="module")
def cloud_init(tools):
    """Runs Python with Debian's cloud-init on its path."""
    env = {
        **os.environ,
        "PYTHONPATH": str(tools / "cloud-init/usr/lib/python3/dist-packages"),
        "PYTHONWARNINGS": "ignore",
    }
    return lambda *words: subprocess.run([sys.executable, *words], env=env, capture_output=True, text=True, timeout=60)


def test_cloud_init_takes_it(cloud_init, text, tmp_path):
    (tmp_path / "user-data").write_text(text)
    check = ("-m", "cloudinit.config.schema", "--config-file", str(tmp_path / "user-data"))
    assert text.startswith("#cloud-config\n")
    done = cloud_init(*check)
    assert done.returncode == 0, done.stderr
    (tmp_path / "user-data").write_text(text.replace("permissions", "permisions"))
    assert "permisions" in cloud_init(*check).stderr, "the check finds nothing wrong in what is wrong"


def test_the_commands_are_clean_shell(cloud_init, text, tmp_path):
    script = "import sys, cloudinit.util, yaml; print(cloudinit.util.shellify(yaml.safe_load(sys.argv[1])['runcmd']))"
    done = cloud_init("-c", script, text)
    assert done.returncode == 0, done.stderr
    (tmp_path / "runcmd").write_text(done.stdout)
    scripts = [tmp_path / "runcmd"]
    for path, file in files(yaml.safe_load(text)).items():
        if file["permissions"] == "0755":
            scripts.append(tmp_path / path.rpartition("/")[2])
            scripts[-1].write_text(file["content"])
    done = subprocess.run(["shellcheck", *scripts], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_settings_are_toml_that_says_it_all():
    made = evaluate(
        'settings = { init_attempts = 2, extra_shared_files = ["/etc/a b", "/etc/<\\"&"], claim_ttl = "90s" }'
    )
    file = files(yaml.safe_load(made.user_data()))["/etc/kubeboot/config.toml"]
    assert file["permissions"] == "0600"
    assert tomllib.loads(file["content"]) == {
        "cluster": "demo", "bucket": "kubeboot-demo", "prefix": "demo", "endpoint": "api.demo.internal:6443",
        "region": "eu-central-1", "group": "demo-control-plane", "kms_key_id": made.key("pki"), "launch_hook": "join",
        "terminate_hook": "leave", "init_attempts": 2, "extra_shared_files": ["/etc/a b", '/etc/<"&'], "claim_ttl": "90s",
        "snapshot_interval": "15m", "kubernetes_upgrade": "off",
    }  # fmt: skip


def test_kubeadm_documents_arrive_letter_by_letter():
    made = files(read("documents"))
    assert made["/etc/kubeboot/kubeadm.yaml"]["content"] == KUBEADM
    assert made["/etc/kubeboot/kubeadm.yaml"]["permissions"] == "0600"
    assert 'kubeadm_config = "/etc/kubeboot/kubeadm.yaml"' in made["/etc/kubeboot/config.toml"]["content"]


def test_both_ways_in():
    assert read("unit")["runcmd"][1:] == [UNITS]
    assert read("runcmd")["runcmd"][1:] == [
        "systemctl enable kubeboot-reset.service",
        "systemctl enable --now --no-block kubeboot-agent.service",
        "kubeboot up",
    ]
    (command,) = read("deb")["runcmd"]
    install, start = command.split(" && ")
    assert install == f"/usr/local/sbin/install-kubeboot 's3://bucket/kubeboot.deb' {SHA256}"
    assert start == UNITS
    (command,) = read("rpm")["runcmd"]
    assert command.split(" && ")[1:] == read("runcmd")["runcmd"][1:]


BEFORE = "/usr/local/sbin/before-kubeboot"


def test_commands_come_before_kubeboot_however_it_starts(tmp_path):
    # By its own unit, which an image may have enabled: that waits for the network, and this is done before.
    for name in ("before", "before_runcmd", "before_deb"):
        (made,) = read(name)["bootcmd"]
        script = made.replace("/etc/systemd", f"{tmp_path}/{name}").replace("systemctl", "echo")
        done = subprocess.run(["sh", "-euc", script], capture_output=True, text=True)
        assert done.stdout == "daemon-reload\n", done.stderr
        written = (tmp_path / name / "system/kubeboot.service.d/20-before.conf").read_text()
        assert written == f"[Service]\nExecStartPre={BEFORE}\n"
        assert files(read(name))[BEFORE]["permissions"] == "0755"
    assert read("before_runcmd")["runcmd"][-1] == f"{BEFORE} && kubeboot up"
    (command,) = read("before_deb")["runcmd"]
    assert command.startswith(f"{BEFORE} && /usr/local/sbin/install-kubeboot ")
    assert "bootcmd" not in read("unit") and BEFORE not in files(read("unit"))
    # The unit waits for what cloud-init's network stage writes, and for the commands as long as they take.
    unit = (PROJECT / "systemd/kubeboot.service").read_text()
    assert "\nAfter=network-online.target" in unit and "\nTimeoutStartSec=infinity\n" in unit


def test_the_commands_run_once_and_all_of_them_again_after_a_failure(tmp_path):
    text = files(read("before"))[BEFORE]["content"]
    own = ["sysctl --system", "echo 'a b' >/etc/motd"]
    assert [line for line in text.splitlines() if line in own] == own
    script = text.replace("/var/lib/cloud/instance/sem", str(tmp_path)).replace(own[0], 'echo first >>"$D/ran"')
    script = script.replace(own[1], '[ -e "$D/mended" ]\necho last >>"$D/ran"')

    def run() -> int:
        return subprocess.run(["sh", "-c", script], env={"PATH": os.environ["PATH"], "D": str(tmp_path)}).returncode

    assert run() != 0 and (tmp_path / "ran").read_text() == "first\n"
    (tmp_path / "mended").touch()
    assert (run(), run()) == (0, 0)
    assert (tmp_path / "ran").read_text() == "first\nfirst\nlast\n"


@pytest.mark.parametrize("way", ["unit", "runcmd"])
def test_an_image_without_kubeboot_says_so(way, tmp_path):
    first = read(way)["runcmd"][0]
    for found in (False, True):
        if found:
            (tmp_path / "kubeboot").touch(mode=0o755)
        done = subprocess.run(["/bin/sh", "-c", first], env={"PATH": str(tmp_path)}, capture_output=True, text=True)
        assert ("kubeboot is not in this image" in done.stderr) != found


@pytest.mark.parametrize("more", ["", "x", "xy"])
def test_the_limit_is_in_bytes(more):
    def changes(length: int) -> str:
        return f'kubeadm_config = "{more}{"é" * length}"'

    # One more of these letters is two bytes more.
    made = evaluate(changes(1))
    room = 16384 - len(base64.b64decode(made.one("aws_launch_template")["user_data"]))
    fits = 1 + room // 2
    assert evaluate(changes(fits)).broken() == []
    (told,) = evaluate(changes(fits + 1)).broken()
    assert told.startswith("aws_launch_template.machine: The user data has 163")


FETCH = 'while [ "$1" != --output ]; do shift; done; cp "$PACKAGE" "$2"'


class Installer:
    """install-kubeboot.sh with stand-ins for what downloads and installs."""

    def __init__(self, folder, package: bytes):
        self.folder = folder
        (folder / "package").write_bytes(package)
        last = 'for last; do :; done; cp "$PACKAGE" "$last"'
        self._command("aws", last)
        self._command("curl", FETCH)
        # dpkg's own words where it cannot do it now, or at all, for as many times as `failures` has lines.
        failing = 'if [ -s "$FAILURES" ]; then head -n 1 "$FAILURES" >&2; sed -i 1d "$FAILURES"; exit 2; fi\n'
        for name in ("dpkg", "rpm"):
            self._command(name, failing + 'echo "$@" >"$INSTALLED"; for last; do :; done; cmp "$last" "$PACKAGE"')
        for name, file in (("sleep", "slept"), ("logger", "logged")):
            self._command(name, f'echo "$@" >>"{folder}/{file}"')

    def _command(self, name: str, script: str) -> None:
        path = self.folder / name
        path.write_text(f"#!/bin/sh\nset -e\n{script}\n")
        path.chmod(0o755)

    def run(self, url: str, sha256: str, *failures: str) -> tuple[int, str]:
        """Exit code, and the arguments with which a package was installed."""
        (self.folder / "failures").write_text("".join(f"{one}\n" for one in failures))
        for name in ("slept", "logged"):
            (self.folder / name).write_text("")
        installed = self.folder / "installed"
        installed.unlink(missing_ok=True)
        env = {
            "PATH": f"{self.folder}:{os.environ['PATH']}",
            "PACKAGE": str(self.folder / "package"),
            "TMPDIR": str(self.folder),
            "FAILURES": str(self.folder / "failures"),
        }
        script = USER_DATA / "install-kubeboot.sh"
        done = subprocess.run(
            ["sh", script, url, sha256], env={**env, "INSTALLED": str(installed)}, capture_output=True, text=True
        )
        return done.returncode, installed.read_text() if installed.exists() else ""


def test_only_the_right_package_is_installed(tmp_path):
    package = b"a package"
    right = hashlib.sha256(package).hexdigest()
    installer = Installer(tmp_path, package)
    code, installed = installer.run("s3://bucket/kubeboot_1_amd64.deb", right)
    assert (code, installed.split()[:2]) == (0, ["--force-confold", "--install"]) and installed.strip().endswith(
        "/kubeboot_1_amd64.deb"
    )
    code, installed = installer.run("https://example.com/kubeboot-1.rpm", right)
    # The same package, or a newer one, may be in the image.
    assert (code, installed.split()[:3]) == (0, ["--upgrade", "--replacepkgs", "--oldpackage"])
    assert not (tmp_path / "logged").read_text()
    for url, sha256 in [
        ("s3://bucket/kubeboot.deb", SHA256),
        ("https://example.com/kubeboot.rpm", SHA256),
        ("http://example.com/kubeboot.deb", right),
        ("https://example.com/kubeboot.tar.gz", right),
    ]:
        code, installed = installer.run(url, sha256)
        assert code != 0 and not installed, url
        assert "launch hook" in (tmp_path / "logged").read_text(), "a machine without kubeboot that says nothing"


LOCKED = "dpkg: error: dpkg frontend lock was locked by another process with pid 812"


@pytest.mark.parametrize(
    ("failures", "pauses", "installs"),
    [
        ([LOCKED, LOCKED], 2, True),
        (["dpkg: error: dpkg status database is locked by another process"], 1, True),
        ([LOCKED] * 99, 59, False),
        ([LOCKED, "dpkg: dependency problems prevent configuration of kubeboot"], 1, False),
    ],
)
def test_the_lock_of_dpkg_is_waited_for(tmp_path, failures, pauses, installs):
    package = b"a package"
    installer = Installer(tmp_path, package)
    code, installed = installer.run("s3://bucket/kubeboot.deb", hashlib.sha256(package).hexdigest(), *failures)
    assert (code == 0, bool(installed)) == (installs, installs)
    assert len((tmp_path / "slept").read_text().splitlines()) == pauses


def test_a_download_is_tried_again(tmp_path):
    package = b"a package"
    installer = Installer(tmp_path, package)
    installer._command("curl", 'if [ -s "$FAILURES" ]; then sed -i 1d "$FAILURES"; exit 6; fi\n' + FETCH)
    code, installed = installer.run("https://a.com/k.rpm", hashlib.sha256(package).hexdigest(), "no name", "no name")
    assert code == 0 and installed
    code, installed = installer.run("https://a.com/k.rpm", hashlib.sha256(package).hexdigest(), *["no name"] * 30)
    assert code != 0 and not installed

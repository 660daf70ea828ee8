"""An etcd outside of the machines, with TLS: what kubeadm calls external, and nobody but the operator sees to."""

import ctypes
import signal
import subprocess
import time
from pathlib import Path

from .addresses import ETCD_NAME
from .standin import dial, etcdapi, keys, pki, whole

START_SECONDS = 20.0
END_SECONDS = 10.0
PR_SET_PDEATHSIG = 1

# Where a machine has each client file; tests/world/external-etcd.yaml says the same to kubeadm.
ON_MACHINES = {
    "ca.crt": "etc/kubernetes/pki/etcd/ca.crt",
    "client.crt": "etc/etcd-client/client.crt",
    "client.key": "etc/etcd-client/client.key",
}


class OutsideEtcd:
    """One member that listens at `address`, its data, certificates and log in `folder`. It runs from here on."""

    def __init__(self, folder: Path, address: str):
        self._folder, self._address = folder, address
        self._make_certificates()
        libc = ctypes.CDLL(None)
        with (folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                self._command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                preexec_fn=lambda: libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL),
            )  # fmt: skip
        self._wait_until_it_answers()

    def introduce(self, disk: Path, with_files: bool) -> None:
        """Makes its name known to a machine and, if asked for, gives it the client files."""
        hosts = disk / "etc/hosts"
        before = hosts.read_text() if hosts.exists() else ""
        whole.write(hosts, f"{before}{self._address} {ETCD_NAME}\n")
        for name, place in ON_MACHINES.items() if with_files else ():
            content = (self._folder / name).read_bytes()
            pki.write(str(disk / place), content, 0o600 if name.endswith(".key") else 0o644)

    def stop(self) -> None:
        """Ends it."""
        self._process.terminate()
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _make_certificates(self) -> None:
        authority = pki.new_ca("outside-etcd")
        pki.write(str(self._folder / "ca.crt"), pki.cert_pem(authority[0]), 0o644)
        # The server certificate serves the gateway as a client, too: that one dials etcd itself.
        for name, usages in (("server", (pki.SERVER, pki.CLIENT)), ("client", (pki.CLIENT,))):
            key = keys.leaf()
            names = (ETCD_NAME, self._address) if name == "server" else ()
            cert = pki.sign(authority, pki.name(f"outside-etcd-{name}"), key.public_key(), usages, names)
            pki.write(str(self._folder / f"{name}.key"), keys.pem(key), 0o600)
            pki.write(str(self._folder / f"{name}.crt"), pki.cert_pem(cert), 0o644)

    def _command(self) -> list[str]:
        # Without TLS among members: there is only one.
        client, peer = f"https://{self._address}:2379", f"http://{self._address}:2380"
        return [
            "etcd", "--name=outside", f"--data-dir={self._folder / 'data'}", "--client-cert-auth=true",
            f"--listen-client-urls={client}", f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}", f"--initial-cluster=outside={peer}",
            f"--trusted-ca-file={self._folder / 'ca.crt'}", f"--cert-file={self._folder / 'server.crt'}",
            f"--key-file={self._folder / 'server.key'}",
        ]  # fmt: skip

    def _wait_until_it_answers(self) -> None:
        files = [str(self._folder / name) for name in ("ca.crt", "client.crt", "client.key")]
        client = etcdapi.Client([f"https://{self._address}:2379"], *files)
        end = time.monotonic() + START_SECONDS
        while True:
            try:
                client.get("/")
                return
            except (dial.Unreachable, etcdapi.EtcdError) as error:
                if self._process.poll() is not None or time.monotonic() > end:
                    self.stop()
                    log = (self._folder / "log").read_text(errors="replace").strip()
                    why = f"the etcd outside of the machines did not start: {error}\n{log[-1000:]}"
                    raise RuntimeError(why) from error
            time.sleep(0.05)

"""A few nodes for the stand-in's own tests: each a folder, two addresses and a kubelet, no namespaces needed."""

import datetime
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

import yaml

from world.addresses import MACHINES, claim_octet
from world.launchers import NEWER_ETCD
from world.standin import etcdapi, kubeapi, kubeconfig

ENDPOINT = "api.lab.internal"
LONG_WAIT = 90  # seconds: what is waited for takes a few, and a busy computer many more
HERE = os.path.dirname(os.path.abspath(__file__))
V = "kubeadm.k8s.io/v1beta4"


class Node:
    """One machine: power it on and off, and run commands on it."""

    def __init__(self, lab, name, number):
        self.lab, self.name = lab, name
        self.address, self.loopback = lab.addresses.private(number), lab.addresses.loopback(number)
        self.root = os.path.join(lab.folder, name)
        self._kubelet = None
        self.env = {"PATH": lab.path, "STANDIN_ROOT": self.root, "PYTHONPATH": HERE}
        os.makedirs(f"{self.root}/etc/kubernetes")
        self.hosts(lab.front)

    def hosts(self, address):
        """Lets the endpoint's name mean an address on this node."""
        with open(f"{self.root}/etc/hosts", "w", encoding="ascii") as file:
            file.write(f"127.0.0.1 localhost\n{address} {ENDPOINT}\n")

    def boot(self):
        """Power on: an empty /run, then the kubelet, with the drop-ins of its unit."""
        shutil.rmtree(f"{self.root}/run", ignore_errors=True)
        os.makedirs(f"{self.root}/run/standin")
        with open(f"{self.root}/run/standin.env", "w", encoding="ascii") as file:
            file.write(
                f"STANDIN_ADDRESS={self.address}\nSTANDIN_LOOPBACK={self.loopback}\nSTANDIN_NODE={self.name}\n"
                f"STANDIN_LOG={self.lab.folder}/log\nSTANDIN_ETCDUTL={NEWER_ETCD}/etcdutl\n"
            )
        self._kubelet = subprocess.Popen(self._argv("kubelet"), env=self.env)
        wait(lambda: os.path.exists(f"{self.root}/run/standin/kubelet.sock"), "the kubelet's socket")
        return self

    def cut(self):
        """Power off, at once."""
        if self._kubelet:
            self._kubelet.kill()
            self._kubelet.wait()
            self._kubelet = None

    @staticmethod
    def _argv(program, *arguments):
        # kubeadm insists on root; who is not is root in a user namespace of the command's own.
        root = [] if os.geteuid() == 0 else ["unshare", "--map-root-user"]
        return [*root, sys.executable, "-m", f"standin.{program}", *arguments]

    def start(self, program, *arguments):
        """A command under way."""
        return subprocess.Popen(
            self._argv(program, *arguments), env=self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def run(self, program, *arguments):
        """A command to its end: the completed process with text output. kubeadm gives up after 120 s, and says why."""
        return subprocess.run(
            self._argv(program, *arguments), env=self.env, capture_output=True, text=True, timeout=150, check=False
        )

    def kubeadm(self, *arguments):
        """A kubeadm command that must succeed; its output."""
        done = self.run("kubeadm", *arguments)
        if done.returncode:
            raise AssertionError(
                f"kubeadm {' '.join(arguments)} on {self.name}: exit {done.returncode}\n{done.stdout}{done.stderr}"
            )
        return done.stdout

    def write(self, path, content, mode=0o600):
        """A file on the node; a list of documents becomes YAML."""
        text = content if isinstance(content, str) else yaml.safe_dump_all(content)
        os.makedirs(os.path.dirname(self.root + path), exist_ok=True)
        with open(self.root + path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(self.root + path, mode)
        return path

    def read(self, path):
        """A file of the node."""
        with open(self.root + path, encoding="utf-8") as file:
            return file.read()

    def files(self, path):
        """The names in a folder of the node; empty where there is none."""
        return sorted(os.listdir(self.root + path)) if os.path.isdir(self.root + path) else []

    def init_config(self, **extra):
        """Documents for init on this node; keyword arguments go into the InitConfiguration."""
        return [
            {
                "apiVersion": V,
                "kind": "InitConfiguration",
                "nodeRegistration": {"name": self.name},
                "localAPIEndpoint": {"advertiseAddress": self.address},
                **extra,
            },
            {
                "apiVersion": V,
                "kind": "ClusterConfiguration",
                "controlPlaneEndpoint": f"{ENDPOINT}:6443",
                "kubernetesVersion": "v1.36.1",
            },
        ]

    def join_config(self, **extra):
        """A document for join on this node, after prepare_join()."""
        return [
            {
                "apiVersion": V,
                "kind": "JoinConfiguration",
                "nodeRegistration": {"name": self.name},
                "discovery": {"file": {"kubeConfigPath": "/run/join.conf"}},
                "controlPlane": {"localAPIEndpoint": {"advertiseAddress": self.address}},
                **extra,
            }
        ]

    def prepare_join(self, other):
        """What kubeboot does before a join: shared keys, a kubeconfig of theirs, a name that leads to a live node."""
        for file in (
            "ca.crt",
            "ca.key",
            "sa.pub",
            "sa.key",
            "front-proxy-ca.crt",
            "front-proxy-ca.key",
            "etcd/ca.crt",
            "etcd/ca.key",
        ):
            self.write(f"/etc/kubernetes/pki/{file}", other.read(f"/etc/kubernetes/pki/{file}"))
        self.hosts(other.address)
        self.write("/run/cluster.yaml", other.init_config()[1:])
        self.write(
            "/run/join.conf",
            self.kubeadm(
                "kubeconfig",
                "user",
                "--client-name",
                "joiner",
                "--org",
                "system:masters",
                "--config",
                "/run/cluster.yaml",
                "--validity-period",
                "1h",
            ),
        )

    def worker_config(self, **extra):
        """A document for the join of this node as a worker, after discover()."""
        found = {"file": {"kubeConfigPath": "/run/discovery.conf"}}
        registration = {"name": self.name, "kubeletExtraArgs": [{"name": "provider-id", "value": f"aws:///a/i-{self.name}"}]}
        given = {"apiVersion": V, "kind": "JoinConfiguration", "nodeRegistration": registration, "discovery": found, **extra}
        return [given]

    def discover(self, other, token, ca=None):
        """The file by which this node finds a cluster through one of its machines; without a token it shows nothing."""
        self.hosts(other.address)
        ca = ca or other.read("/etc/kubernetes/pki/ca.crt")
        user = {"token": token} if token else {}
        self.write("/run/discovery.conf", kubeconfig.build(f"https://{ENDPOINT}:6443", "kubernetes", "joining", ca.encode(), user))

    def work(self, **extra):
        """The join of this node as a worker, after discover(): the completed process."""
        return self.run("kubeadm", "join", "--config", self.write("/run/worker.yaml", self.worker_config(**extra)))

    def init(self, *arguments, **extra):
        """A successful init; its output."""
        return self.kubeadm("init", "--config", self.write("/run/init.yaml", self.init_config(**extra)), *arguments)

    def join(self, other, **extra):
        """A successful join through another node; its output."""
        self.prepare_join(other)
        return self.kubeadm("join", "--config", self.write("/run/join.yaml", self.join_config(**extra)))

    def api(self, method, target, body=None, config="/etc/kubernetes/admin.conf", through=None, kind=None):
        """A request by a kubeconfig of this node to its own API server, or to that of another; the decoded answer.

        Raises kubeapi.ApiError for a refusal.
        """
        os.environ["STANDIN_ROOT"] = self.root
        try:
            server = f"https://{(through or self).address}:6443"
            return kubeapi.Api(kubeconfig.Config.load(config), server=server).call(method, target, body, kind)
        finally:
            del os.environ["STANDIN_ROOT"]

    def answer(self, method, target, body=None, **more):
        """(status, object or the text of a refusal) of a request, as api()."""
        try:
            return 200, self.api(method, target, body, **more)
        except kubeapi.ApiError as error:
            return error.status, str(error)

    def by_token(self, token, name="token"):
        """The path of a kubeconfig that shows a token, with this node's CA and its API server."""
        ca = self.read("/etc/kubernetes/pki/ca.crt").encode()
        text = kubeconfig.build(f"https://{self.address}:6443", "kubernetes", name, ca, {"token": token} if token else {})
        return self.write(f"/run/{name}.conf", text)

    def make_token(self, token, groups="", **data):
        """A bootstrap token in the cluster, for an hour unless told otherwise; a value of None is left out."""
        ident, _, secret = token.partition(".")
        known = {
            "token-id": ident, "token-secret": secret, "usage-bootstrap-authentication": "true", "auth-extra-groups": groups,
            "expiration": moment(3600), **{key.replace("_", "-"): value for key, value in data.items() if key != "type"},
        }  # fmt: skip
        kept = {key: value for key, value in known.items() if value is not None}
        kind = data.get("type", "bootstrap.kubernetes.io/token")
        made = {"metadata": {"name": f"bootstrap-token-{ident}"}, "type": kind, "stringData": kept}
        self.api("POST", "/api/v1/namespaces/kube-system/secrets", made)

    def get(self, target, **more):
        """The object at a path, as api()."""
        return self.api("GET", target, **more)

    def etcdctl(self, *arguments):
        """etcdctl on this node with the health check's certificate; the completed process."""
        pki = f"{self.root}/etc/kubernetes/pki/etcd"
        return subprocess.run(
            [
                "etcdctl",
                f"--endpoints=https://{self.address}:2379",
                f"--cacert={pki}/ca.crt",
                f"--cert={pki}/healthcheck-client.crt",
                f"--key={pki}/healthcheck-client.key",
                *arguments,
            ],
            env={**self.env, "ETCDCTL_API": "3"},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    def etcd(self, target, body=None):
        """A call to this node's etcd alone, and its answer. Raises dial.Unreachable or etcdapi.EtcdError."""
        pki = f"{self.root}/etc/kubernetes/pki/etcd"
        files = [f"{pki}/ca.crt", f"{pki}/healthcheck-client.crt", f"{pki}/healthcheck-client.key"]
        return etcdapi.Client([f"https://{self.address}:2379"], *files).call(target, body)

    def members(self):
        """The members as this node's etcd lists them: {peer URL: (ID, name, is a learner)}."""
        listed = json.loads(self.etcdctl("member", "list", "-w", "json").stdout)["members"]
        return {
            each["peerURLs"][0]: (each["ID"], each.get("name", ""), each.get("isLearner", False)) for each in listed
        }


class Lab:
    """Nodes that share a second octet of 127.0.0.0/8, in a folder that is deleted in the end; with this computer's etcd, or with
    the newer one of dev/etcd."""

    def __init__(self, newer_etcd=False):
        self.path = f"{NEWER_ETCD}:{os.environ['PATH']}" if newer_etcd else os.environ["PATH"]
        self.addresses, self._claim = claim_octet()
        self.front = self.addresses.private(MACHINES)
        self.folder = tempfile.mkdtemp(prefix="standin-")
        self.nodes = []

    def node(self, name=None, number=None, **settings):
        """A machine that is powered on; `settings` are those of the stand-in."""
        number = number or len(self.nodes) + 1
        made = Node(self, name or f"n{number}", number)
        made.env |= settings
        self.nodes.append(made)
        return made.boot()

    def close(self):
        """Power off everywhere, and no traces."""
        for node in self.nodes:
            node.cut()
        self._claim.close()
        shutil.rmtree(self.folder)


def moment(seconds):
    """The moment so many seconds from now, as Kubernetes writes it."""
    when = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")


def wait(condition, what):
    """Waits until a condition holds; fails after LONG_WAIT with a word about what was waited for."""
    end = time.monotonic() + LONG_WAIT
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"waited {LONG_WAIT} s in vain for {what}")
        time.sleep(0.02)

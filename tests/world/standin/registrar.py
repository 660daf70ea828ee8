"""What a kubelet does at the API server: gets its client certificate, registers its Node, says that it lives."""

import base64
import datetime
import os
import re
import shlex
import threading
import time

from . import dial, kubeapi, kubeconfig, manifests, node, nodeauth, pki, whole
from .storage import now

KUBELET_CONF = "/etc/kubernetes/kubelet.conf"
BOOTSTRAP_CONF = "/etc/kubernetes/bootstrap-kubelet.conf"
CLIENT_PEM = "/var/lib/kubelet/pki/kubelet-client-current.pem"
FLAGS_FILE = "/var/lib/kubelet/kubeadm-flags.env"
PODS = "/api/v1/namespaces/kube-system/pods"
REQUESTS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
ISSUE_TIMEOUT = 900.0  # seconds that it waits for one request to be approved and signed; then it makes another one
REFUSED = (2.0, 32.0)  # seconds before the first and at most before a later request after one that came to nothing
ISSUE_POLL = (0.05, 1.0)  # seconds before the first and at most before a later look at it
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
# Seconds between two signs of life, well below the 40 after which a Node counts as silent: of a node with static pods, and of
# another one, of which there may be a hundred.
HEARTBEAT, WORKERS_HEARTBEAT = 5.0, 10.0
RETRY = (0.1, 1.0)  # seconds before the first and at most before a later try while the API server is not there


def kubelet_flags():
    """The flags kubeadm gave the kubelet: {name: value}."""
    try:
        with open(node.path(FLAGS_FILE), encoding="utf-8") as text:
            found = re.search(r'KUBELET_KUBEADM_ARGS="(.*)"', text.read())
    except FileNotFoundError:
        return {}
    arguments = shlex.split(found[1]) if found else []
    return dict(each.removeprefix("--").split("=", 1) for each in arguments if "=" in each)


def refused_labels():
    """Why kubelet does not start with the labels that it was given; empty if it does."""
    given = kubelet_flags().get("node-labels", "").split(",")
    wrong = nodeauth.forbidden_labels([pair.split("=", 1)[0] for pair in given if pair])
    if not wrong:
        return ""
    return f"failed to validate kubelet flags: unknown 'kubernetes.io' or 'k8s.io' labels specified with --node-labels: [{' '.join(wrong)}]"


class Refused(Exception):
    """Nobody signs the certificate that was asked for: another request follows, after a while."""


class Registrar:
    """Runs in a thread from the start of the kubelet service until its end."""

    def __init__(self):
        self.flags = kubelet_flags()
        self.name = self.flags.get("hostname-override") or node.host_name()
        self._end = threading.Event()
        self._mirrored = set()
        self._registered = False
        self._known_api, self._known_by = None, None
        threading.Thread(target=self._run, daemon=True).start()

    def stop(self):
        """Says no more. What it said before stays at the API server."""
        self._end.set()

    def _run(self):
        retry, refused = RETRY[0], REFUSED[0]
        while not self._end.is_set():
            try:
                self._once()
                pause, retry = HEARTBEAT if self._mirrored else WORKERS_HEARTBEAT, RETRY[0]
                refused = REFUSED[0]
            except Refused:
                pause, refused = refused, min(refused * 2, REFUSED[1])
            except (OSError, ValueError, dial.Unreachable, kubeapi.ApiError):
                pause, retry = retry, min(retry * 1.5, RETRY[1])
            self._end.wait(pause)

    def _once(self):
        if not self._has_identity():
            self._bootstrap()
        api = self._api()
        if not self._registered:
            self._register(api)
        api.merge(f"/api/v1/nodes/{self.name}/status", {"status": self._status()})
        self._renew_lease(api)
        self._mirror(api)

    def _api(self):
        """The API server, by the credentials that kubelet.conf names now."""
        config = kubeconfig.Config.load(KUBELET_CONF)
        seen = (config.server, config.ca_pem, config.certificate())
        if seen != self._known_by:
            self._keep_certificate(config)
            self._known_api, self._known_by = kubeapi.Api(config), seen
        return self._known_api

    @staticmethod
    def _has_identity():
        try:
            return bool(kubeconfig.Config.load(KUBELET_CONF).certificate())
        except (OSError, ValueError):
            return False

    @staticmethod
    def _keep_certificate(config):
        """A certificate that kubeadm put into kubelet.conf is kept in the kubelet's own store, too, if none there is valid."""
        if "client-certificate-data" in config.user and not _is_valid(node.path(CLIENT_PEM)):
            write_client_pem(config.certificate() + base64.b64decode(config.user["client-key-data"]))

    def _bootstrap(self):
        """TLS bootstrap: kubelet.conf is written first, as the real one does, the certificate when it is signed."""
        from . import csr

        asking = kubeconfig.Config.load(BOOTSTRAP_CONF)
        text = kubeconfig.build(
            asking.server, "default-cluster", "default-auth", asking.ca_pem, kubeconfig.linked(CLIENT_PEM)
        )
        pki.write(node.path(KUBELET_CONF), text, 0o600)
        key, request = csr.request(self.name)
        api = kubeapi.Api(asking)
        asked = {
            "metadata": {"generateName": "csr-"},
            "spec": {
                "request": base64.b64encode(request).decode(),
                "usages": ["digital signature", "client auth"],
                "signerName": "kubernetes.io/kube-apiserver-client-kubelet",
            },
        }
        name = api.call("POST", REQUESTS, asked)["metadata"]["name"]
        write_client_pem(self._issued(api, f"{REQUESTS}/{name}") + key)

    def _issued(self, api, target):
        """The certificate of a request, once there is one. Raises Refused for a request that comes to nothing."""
        end, pause = time.monotonic() + ISSUE_TIMEOUT, ISSUE_POLL[0]
        while time.monotonic() < end and not self._end.is_set():
            found = api.get(target).get("status") or {}
            for each in found.get("conditions") or []:
                if each["type"] in ("Denied", "Failed"):
                    raise Refused(f"certificate signing request is {each['type'].lower()}: {each.get('message')}")
            if found.get("certificate"):
                return base64.b64decode(found["certificate"])
            self._end.wait(pause)
            pause = min(pause * 1.5, ISSUE_POLL[1])
        raise Refused("the certificate was not issued in time")

    def _register(self, api):
        body = {
            "metadata": {
                "name": self.name,
                "labels": self._labels(),
                "annotations": {"node.alpha.kubernetes.io/ttl": "0"},
            },
            "spec": {"taints": self._taints()},
            "status": self._status(),
        }
        if self.flags.get("provider-id"):
            body["spec"]["providerID"] = self.flags["provider-id"]
        api.create("/api/v1/nodes", body)
        self._registered = True

    def _renew_lease(self, api):
        """The sign of life that Kubernetes goes by."""
        spec = {"holderIdentity": self.name, "leaseDurationSeconds": 40, "renewTime": now()}
        try:
            api.merge(f"{LEASES}/{self.name}", {"spec": spec})
        except kubeapi.ApiError as error:
            if error.status != 404:
                raise
            api.create(LEASES, {"metadata": {"name": self.name}, "spec": spec})

    def _labels(self):
        labels = {"kubernetes.io/hostname": self.name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}
        given = self.flags.get("node-labels", "")
        return labels | dict(pair.split("=", 1) for pair in given.split(",") if "=" in pair)

    def _taints(self):
        found = re.findall(r"([^,=:]+)(?:=([^,:]*))?:([A-Za-z]+)", self.flags.get("register-with-taints", ""))
        taints = [{"key": key, "effect": effect, **({"value": value} if value else {})} for key, value, effect in found]
        if self.flags.get("cloud-provider") == "external":
            taints.append(
                {"key": "node.cloudprovider.kubernetes.io/uninitialized", "value": "true", "effect": "NoSchedule"}
            )
        return taints

    def _status(self):
        ready = {
            "type": "Ready",
            "status": "True",
            "reason": "KubeletReady",
            "lastHeartbeatTime": now(),
            "message": "kubelet is posting ready status",
        }
        address = self.flags.get("node-ip") or node.address()
        return {
            "conditions": [ready],
            "nodeInfo": {"kubeletVersion": node.kubelet_version()},
            "addresses": [{"type": "InternalIP", "address": address}, {"type": "Hostname", "address": self.name}],
        }

    def _mirror(self, api):
        """A Pod object for every static pod: kubeadm finds the other members by their annotations."""
        present = {pod["metadata"]["name"]: pod for pod in manifests.read_all().values()}
        fresh = [component for component in present if component not in self._mirrored]
        uid = api.get(f"/api/v1/nodes/{self.name}")["metadata"]["uid"] if fresh else ""
        for component in fresh:
            self._replace(api, self._mirror_pod(component, present[component], uid))
        for component in self._mirrored - set(present):
            api.call("DELETE", f"{PODS}/{component}-{self.name}")
        self._mirrored = set(present)

    @staticmethod
    def _replace(api, pod):
        """Creates a mirror pod; one of an earlier life of this Node, with other annotations or images, makes way."""
        name = pod["metadata"]["name"]
        if api.create(PODS, pod) is not None:
            return
        # Not read before: of a pod that there is not the API server says to a kubelet that it may not know.
        before = api.get(f"{PODS}/{name}")
        is_other = before["spec"]["containers"] != pod["spec"]["containers"]
        if is_other or any(before["metadata"].get(key) != pod["metadata"][key] for key in ("annotations", "ownerReferences")):
            api.call("DELETE", f"{PODS}/{name}")
            api.create(PODS, pod)

    def _mirror_pod(self, component, pod, uid):
        notes = {
            **(pod["metadata"].get("annotations") or {}),
            "kubernetes.io/config.source": "file",
            "kubernetes.io/config.mirror": component,
        }
        return {
            "metadata": {
                "name": f"{component}-{self.name}",
                "labels": pod["metadata"].get("labels") or {},
                "annotations": notes,
                "ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": self.name, "uid": uid, "controller": True}],
            },
            "spec": {**pod["spec"], "nodeName": self.name},
            "status": {"phase": "Running"},
        }


def _is_valid(file):
    try:
        return pki.load_cert(file).not_valid_after_utc > datetime.datetime.now(datetime.timezone.utc)
    except (OSError, ValueError):
        return False


def write_client_pem(content):
    """The kubelet's certificate and key: a dated file, and the link that names the newest, as the real one has."""
    link = node.path(CLIENT_PEM)
    dated = link.replace("current", now().replace(":", "-"))
    pki.write(dated, content, 0o600)
    whole.link(os.path.basename(dated), link)

"""Single phases of `kubeadm upgrade apply`: those that concern the cluster, not a machine. They run on a control-plane machine, after
the API servers have changed, and take the version as their last word.

No machine is upgraded where it stands: the phases `preflight` and `control-plane`, and the whole command, are refused.
"""

import os
import shutil

from . import addons, cluster, cmd_reset, documents, kubeapi, node, nodefiles, options, phases, pki, preflight, say

ADMIN = "/etc/kubernetes/admin.conf"
ADDONS = ("coredns", "kube-proxy")
CONFIGURATIONS = ("kubeadm", "kubelet")
TIMEOUT = 60.0  # seconds for what the API server does not take at once
PODS = "/api/v1/namespaces/kube-system/pods?labelSelector=component%3Dkube-apiserver"


class Upgrade:
    """What the phases of one command share."""

    def __init__(self, version, flags):
        file = flags.get("kubeconfig") or ADMIN
        try:
            self.api = cluster.client(file)
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or error
            what = f'couldn\'t create a Kubernetes client from file "{file}": failed to load admin kubeconfig'
            raise say.Failure(f"{what}: open {file}: {why}") from error
        try:
            self._read()
        except say.Failure as failure:
            raise say.Failure(f"[upgrade] FATAL: {failure}") from failure
        # Nobody compares it with kubeadm's own, nor looks whether it is one: only the phase `preflight` does.
        self.cluster["kubernetesVersion"] = version

    def _read(self):
        try:
            self.cluster = cluster.fetch(self.api, "upgrade")
        except say.Failure as failure:
            if isinstance(failure.__cause__, kubeapi.ApiError) and failure.__cause__.status == 404:
                raise say.Failure('the ConfigMap "kubeadm-config" in the "kube-system" namespace was not found') from failure
            raise
        self.kubelet_text = cluster.fetch_components(self.api)
        preflight.supported(self.cluster["kubernetesVersion"])
        self.name = cmd_reset.kubelet_name()
        cluster.retry(lambda: self.api.get(f"/api/v1/nodes/{self.name}"), TIMEOUT)

    def addon(self, name):
        """One addon, unless it is left out or an API server is still another one's."""
        if addons.disabled(self.cluster, name):
            say.out(f"[upgrade/addon] Skipping the addon/{name} phase. The addon is disabled.")
            return
        behind = self._not_upgraded()
        if behind:
            shown = " ".join(behind)
            say.out(f"[upgrade/addon] Skipping upgrade of addons because control plane instances [{shown}] have not been upgraded")
            return
        cluster.retry(lambda: addons.apply(self.api, self.cluster, name), TIMEOUT)

    def _not_upgraded(self):
        """The Nodes whose API server has another image than this machine's, by their mirror pods. Those of dead machines count."""
        problem = "failed to determine whether all the control plane instances have been upgraded: "
        pods = cluster.retry(lambda: self.api.get(PODS), TIMEOUT)["items"]
        runs = {pod["spec"].get("nodeName"): pod["spec"]["containers"][0]["image"] for pod in pods}
        if not runs:
            raise say.Failure(f"{problem}cannot find kube-apiserver Pod by label selector: component=kube-apiserver")
        if self.name not in runs:
            raise say.Failure(f"{problem}cannot find kube-apiserver image for current control plane instance {self.name}")
        return sorted(name for name, image in runs.items() if image != runs[self.name])

    def upload_kubeadm(self):
        """The configuration of the cluster, with the version of this command."""
        text = cluster.stored_form(self.cluster)
        self._apply(cluster.config_map("kubeadm-config", {"ClusterConfiguration": text}))

    def upload_kubelet(self):
        """The configuration of kubelets, with what this kubeadm adds to it."""
        text = nodefiles.kubelet_defaults(documents.parse(self.kubelet_text), self.cluster)
        self._apply(cluster.config_map("kubelet-config", {"kubelet": text}))

    def _apply(self, config_map):
        cluster.retry(lambda: self.api.apply(f"{cluster.SYSTEM}/configmaps", config_map), TIMEOUT)

    def kubelet_config(self):
        """The configuration of this machine's kubelet, after a copy of the one before."""
        before = node.path(f"{nodefiles.KUBELET}/config.yaml")
        copy = node.path(f"/etc/kubernetes/tmp/kubeadm-kubelet-config{os.getpid()}")
        os.makedirs(copy, mode=0o700)
        say.out(f"[upgrade] Backing up kubelet config file to {copy}/config.yaml")
        shutil.copy(before, copy)
        pki.write(before, nodefiles.for_this_machine(self.kubelet_text, None), 0o644)
        say.out("[upgrade/kubelet-config] The kubelet configuration for this node was successfully upgraded!")

    def bootstrap_token(self):
        """What the bearers of bootstrap tokens may do."""
        say.out("[bootstrap-token] Configuring cluster-info ConfigMap, RBAC Roles")
        cluster.retry(lambda: cluster.allow_bootstrapping(self.api), TIMEOUT)
        cluster.say_what_is_allowed()
        cluster.retry(lambda: cluster.allow_cluster_info(self.api), TIMEOUT)


def _parts(of, known):
    """The parts of a phase that a word means: all of them, or the one."""
    if of == "all":
        return known
    if of not in known:
        raise say.Failure(f'unknown command "{of}" for "kubeadm upgrade apply phase"')
    return (of,)


def phase(name):
    """The command `upgrade apply phase NAME`."""

    def run(rest, flags, _kinds):
        divided = {"addon": ADDONS, "upload-config": CONFIGURATIONS}.get(name)
        parts = _parts(rest[0] if rest else "", divided) if divided else ()
        words = rest[1:] if divided else rest
        if len(words) != 1:
            what = "missing one or more required arguments" if not words else "too many arguments, only 1 argument supported"
            raise say.Failure(f"{what}. Required arguments: [version]")
        if "config" in flags:
            raise say.Failure("the stand-in takes no UpgradeConfiguration: leave out --config")
        if flags.get("dry-run"):
            raise say.Failure("the stand-in has no dry run: leave out --dry-run")
        made = Upgrade(words[0], flags)
        work = {
            "addon": made.addon,
            "upload-config": lambda part: made.upload_kubeadm() if part == "kubeadm" else made.upload_kubelet(),
            "kubelet-config": made.kubelet_config,
            "bootstrap-token": made.bootstrap_token,
            "post-upgrade": lambda: None,
        }[name]
        rows = [(f"{name}/{part}", lambda part=part: work(part)) for part in parts] or [(name, work)]
        phases.run("upgrade", rows)

    return run


COMMANDS = {("upgrade", "apply", "phase", name): phase(name) for name in options.UPGRADE_PHASES}

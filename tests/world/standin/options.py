"""kubeadm's command line: which commands there are, which flags each has, and what does not mix."""

from . import say

COMMON = {"v": True, "rootfs": True}
_PREFLIGHT = {"ignore-preflight-errors": True, "skip-phases": True, "dry-run": False}
UPGRADE_PHASES = ("addon", "upload-config", "kubelet-config", "bootstrap-token", "post-upgrade")
_UPGRADE = {"config": True, "kubeconfig": True, "dry-run": False}
_PATCHED = ("addon", "kubelet-config")
# command: {flag: takes a value}; a flag without value is a switch
COMMANDS = {
    ("version",): {"output": True},
    ("init",): {
        "config": True,
        "skip-token-print": False,
        "upload-certs": False,
        "certificate-key": True,
        "skip-certificate-key-print": False,
        "node-name": True,
        "control-plane-endpoint": True,
        "kubernetes-version": True,
        "cri-socket": True,
        "cert-dir": True,
        **_PREFLIGHT,
    },
    ("join",): {
        "config": True,
        "control-plane": False,
        "token": True,
        "discovery-token": True,
        "discovery-file": True,
        "discovery-token-ca-cert-hash": True,
        "certificate-key": True,
        "node-name": True,
        "cri-socket": True,
        **_PREFLIGHT,
    },
    ("reset",): {
        "config": True,
        "force": False,
        "cri-socket": True,
        "cert-dir": True,
        "kubeconfig": True,
        "cleanup-tmp-dir": False,
        **_PREFLIGHT,
    },
    ("reset", "phase", "remove-etcd-member"): {"kubeconfig": True, "dry-run": False},
    ("reset", "phase", "cleanup-node"): {
        "cert-dir": True,
        "cri-socket": True,
        "cleanup-tmp-dir": False,
        "dry-run": False,
    },
    ("kubeconfig", "user"): {"client-name": True, "org": True, "config": True, "validity-period": True, "token": True},
    ("init", "phase", "certs"): {
        "cert-dir": True,
        "kubernetes-version": True,
        "config": True,
        "control-plane-endpoint": True,
        "node-name": True,
        "apiserver-advertise-address": True,
        "service-cidr": True,
        "service-dns-domain": True,
    },
    ("init", "phase", "kubeconfig"): {
        "cert-dir": True,
        "kubernetes-version": True,
        "config": True,
        "kubeconfig-dir": True,
        "control-plane-endpoint": True,
        "node-name": True,
        "apiserver-advertise-address": True,
        "apiserver-bind-port": True,
    },
    ("init", "phase", "control-plane"): {"config": True},
    ("init", "phase", "etcd"): {"config": True},
    ("init", "phase", "upload-certs"): {
        "upload-certs": False,
        "kubeconfig": True,
        "certificate-key": True,
        "config": True,
        "skip-certificate-key-print": False,
    },
    ("token", "create"): {
        "ttl": True,
        "kubeconfig": True,
        "description": True,
        "print-join-command": False,
        "config": True,
    },
    ("token", "list"): {"kubeconfig": True},
    ("token", "delete"): {"kubeconfig": True},
    ("token", "generate"): {},
    ("config", "validate"): {"config": True},
    ("config", "images", "list"): {"config": True, "kubernetes-version": True},
    ("config", "images", "pull"): {"config": True, "kubernetes-version": True, "cri-socket": True},
    ("certs", "certificate-key"): {},
    ("certs", "renew"): {"config": True, "cert-dir": True, "kubeconfig": True},
    **{
        ("upgrade", "apply", "phase", name): {**_UPGRADE, **({"patches": True} if name in _PATCHED else {})}
        for name in UPGRADE_PHASES
    },
}
SHORT = {"f": "force", "o": "output"}
# What may stand beside --config: a document says everything else.
BESIDE_CONFIG = {
    "config",
    "ignore-preflight-errors",
    "dry-run",
    "kubeconfig",
    "kubeconfig-dir",
    "node-name",
    "upload-certs",
    "print-join-command",
    "rootfs",
    "v",
    "force",
    "cleanup-tmp-dir",
    "client-name",
    "org",
    "validity-period",
    "token",
    "description",
    "ttl",
}


def parse(argv):
    """(command, positional arguments, flags) of a command line. Raises say.Failure for what kubeadm does not know."""
    words = [each for each in argv if not each.startswith("-")]
    command = next((tuple(words[:count]) for count in (4, 3, 2, 1) if tuple(words[:count]) in COMMANDS), None)
    if not command:
        raise say.Failure(f'unknown command "{" ".join(words[:2])}" for "kubeadm"')
    known, found, rest = {**COMMON, **COMMANDS[command]}, {}, []
    waiting = list(argv)
    while waiting:
        each = waiting.pop(0)
        if not each.startswith("-") or each == "-":
            rest.append(each)
            continue
        name, equals, value = each.lstrip("-").partition("=")
        name = SHORT.get(name, name) if not each.startswith("--") else name
        if name not in known:
            raise say.Failure(f"unknown flag: --{name}")
        if known[name] and not equals:
            if not waiting:
                raise say.Failure(f"flag needs an argument: --{name}")
            value = waiting.pop(0)
        found[name] = value if known[name] else value != "false"
    return command, rest[len(command) :], found


def names(flags, flag):
    """The names in a flag that holds a list of them."""
    return [name for name in flags.get(flag, "").split(",") if name]


def skipped(flags, document):
    """The phases to skip: those of the flag, or else those of the document."""
    return names(flags, "skip-phases") or document.get("skipPhases") or []


def check_mixing(command, flags):
    """Refuses flags that contradict a document. Raises say.Failure."""
    allowed = BESIDE_CONFIG - ({"token", "ttl", "description"} if command == ("join",) else set())
    mixed = sorted(name for name in flags if name not in allowed and not name.startswith("skip-"))
    if "config" in flags and mixed:
        raise say.Failure(f"can not mix '--config' with arguments [{' '.join(mixed)}]")

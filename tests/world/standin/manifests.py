"""Static pods as kubeadm writes them: the command lines of etcd and the control plane, and where they are read from."""

import os

import yaml

from . import images, node, pki

FOLDER = "/etc/kubernetes/manifests"
PKI = "/etc/kubernetes/pki"


def write(component, pod):
    """A static pod into the manifest folder, for the owner's eyes only."""
    pki.write(node.path(f"{FOLDER}/{component}.yaml"), yaml.safe_dump(pod, sort_keys=False), 0o600)


def _pod(component, command, image, annotations, folders, extra):
    """A pod; `folders` are (name, path) it sees where they are, `extra` is the component's part of the document."""
    volumes = [
        {"name": name, "hostPath": place, "mountPath": place, "readOnly": name != "etcd-data"}
        for name, place in folders
    ]
    volumes += extra.get("extraVolumes") or []
    container = {
        "name": component,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": command,
        "env": [dict(each) for each in extra.get("extraEnvs") or []],
        "volumeMounts": [
            {key: each[key] for key in ("name", "mountPath", "readOnly") if key in each} for each in volumes
        ],
    }
    paths = [
        {"name": each["name"], "hostPath": {"path": each["hostPath"], "type": each.get("pathType", "")}}
        for each in volumes
    ]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": component,
            "namespace": "kube-system",
            "annotations": annotations,
            "labels": {"component": component, "tier": "control-plane"},
        },
        "spec": {
            "containers": [container],
            "hostNetwork": True,
            "priorityClassName": "system-node-critical",
            "volumes": paths,
        },
        "status": {},
    }


def _command(program, flags, extra):
    given = extra.get("extraArgs") or []
    flags = {key: value for key, value in flags.items() if key not in {each["name"] for each in given}}
    pairs = sorted([*flags.items(), *((each["name"], each["value"]) for each in given)], key=lambda pair: pair[0])
    return [program, *(f"--{key}={value}" for key, value in pairs)]


def etcd(clustering, local, node_name, members):
    """The etcd pod; `members` are (name, peer URL) of the whole cluster, empty for the first member."""
    mine = f"https://{node.bracketed(local['advertiseAddress'])}"
    settings = clustering["etcd"]["local"]
    folder = clustering["certificatesDir"] + "/etcd"
    flags = {
        "name": node_name,
        "listen-client-urls": f"https://127.0.0.1:2379,{mine}:2379",
        "advertise-client-urls": f"{mine}:2379",
        "listen-peer-urls": f"{mine}:2380",
        "initial-advertise-peer-urls": f"{mine}:2380",
        "data-dir": settings["dataDir"],
        "cert-file": f"{folder}/server.crt",
        "key-file": f"{folder}/server.key",
        "trusted-ca-file": f"{folder}/ca.crt",
        "client-cert-auth": "true",
        "peer-cert-file": f"{folder}/peer.crt",
        "peer-key-file": f"{folder}/peer.key",
        "peer-trusted-ca-file": f"{folder}/ca.crt",
        "peer-client-cert-auth": "true",
        "snapshot-count": "10000",
        "listen-metrics-urls": "http://127.0.0.1:2381",
        "feature-gates": "InitialCorruptCheck=true",
        "watch-progress-notify-interval": "5s",
        "initial-cluster": ",".join(f"{name}={url}" for name, url in members) or f"{node_name}={mine}:2380",
    }
    if members:
        flags["initial-cluster-state"] = "existing"
    note = {"kubeadm.kubernetes.io/etcd.advertise-client-urls": f"{mine}:2379"}
    folders = [("etcd-data", settings["dataDir"]), ("etcd-certs", folder)]
    image = f"registry.k8s.io/etcd:{images.etcd(clustering['kubernetesVersion'])}"
    return _pod("etcd", _command("etcd", flags, settings), image, note, folders, settings)


def api_server(clustering, local):
    """The API server's pod."""
    folder = clustering["certificatesDir"]
    address, port = local["advertiseAddress"], local["bindPort"]
    flags = {
        "advertise-address": address,
        "secure-port": str(port),
        "allow-privileged": "true",
        "authorization-mode": "Node,RBAC",
        "client-ca-file": f"{folder}/ca.crt",
        "enable-admission-plugins": "NodeRestriction",
        "enable-bootstrap-token-auth": "true",
        "kubelet-client-certificate": f"{folder}/apiserver-kubelet-client.crt",
        "kubelet-client-key": f"{folder}/apiserver-kubelet-client.key",
        "proxy-client-cert-file": f"{folder}/front-proxy-client.crt",
        "proxy-client-key-file": f"{folder}/front-proxy-client.key",
        "requestheader-client-ca-file": f"{folder}/front-proxy-ca.crt",
        "service-account-issuer": f"https://kubernetes.default.svc.{clustering['networking']['dnsDomain']}",
        "service-account-key-file": f"{folder}/sa.pub",
        "service-account-signing-key-file": f"{folder}/sa.key",
        "service-cluster-ip-range": clustering["networking"]["serviceSubnet"],
        "tls-cert-file": f"{folder}/apiserver.crt",
        "tls-private-key-file": f"{folder}/apiserver.key",
        **_etcd_flags(clustering, folder),
    }
    settings = clustering["apiServer"]
    note = {"kubeadm.kubernetes.io/kube-apiserver.advertise-address.endpoint": f"{address}:{port}"}
    return _pod(
        "kube-apiserver",
        _command("kube-apiserver", flags, settings),
        _image(clustering, "kube-apiserver"),
        note,
        [("k8s-certs", folder), *_etcd_folders(clustering)],
        settings,
    )


def _etcd_folders(clustering):
    """The folders outside of the certificates folder that hold the client files of an external etcd."""
    outside = clustering["etcd"].get("external") or {}
    found = {os.path.dirname(outside.get(field, "")) for field in ("caFile", "certFile", "keyFile")}
    kept = sorted(each for each in found if not f"{each}/".startswith(f"{clustering['certificatesDir']}/"))
    return [(f"etcd-certs-{at}", each) for at, each in enumerate(kept)]


def _etcd_flags(clustering, folder):
    outside = clustering["etcd"].get("external")
    if outside:
        return {
            "etcd-servers": ",".join(outside["endpoints"]),
            "etcd-cafile": outside.get("caFile", ""),
            "etcd-certfile": outside.get("certFile", ""),
            "etcd-keyfile": outside.get("keyFile", ""),
        }
    return {
        "etcd-servers": "https://127.0.0.1:2379",
        "etcd-cafile": f"{folder}/etcd/ca.crt",
        "etcd-certfile": f"{folder}/apiserver-etcd-client.crt",
        "etcd-keyfile": f"{folder}/apiserver-etcd-client.key",
    }


def controller_manager(clustering):
    """The controller manager's pod."""
    folder = clustering["certificatesDir"]
    config = "/etc/kubernetes/controller-manager.conf"
    flags = {
        "kubeconfig": config,
        "authentication-kubeconfig": config,
        "authorization-kubeconfig": config,
        "bind-address": "127.0.0.1",
        "leader-elect": "true",
        "cluster-name": clustering["clusterName"],
        "client-ca-file": f"{folder}/ca.crt",
        "root-ca-file": f"{folder}/ca.crt",
        "cluster-signing-cert-file": f"{folder}/ca.crt",
        "cluster-signing-key-file": f"{folder}/ca.key",
        "service-account-private-key-file": f"{folder}/sa.key",
        "use-service-account-credentials": "true",
    }
    settings = clustering["controllerManager"]
    return _pod(
        "kube-controller-manager",
        _command("kube-controller-manager", flags, settings),
        _image(clustering, "kube-controller-manager"),
        {},
        [("k8s-certs", folder), ("kubeconfig", config)],
        settings,
    )


def scheduler(clustering):
    """The scheduler's pod."""
    config = "/etc/kubernetes/scheduler.conf"
    flags = {
        "kubeconfig": config,
        "authentication-kubeconfig": config,
        "authorization-kubeconfig": config,
        "bind-address": "127.0.0.1",
        "leader-elect": "true",
    }
    settings = clustering["scheduler"]
    return _pod(
        "kube-scheduler",
        _command("kube-scheduler", flags, settings),
        _image(clustering, "kube-scheduler"),
        {},
        [("kubeconfig", config)],
        settings,
    )


def _image(clustering, component):
    return f"{clustering['imageRepository']}/{component}:{clustering['kubernetesVersion']}"


_seen = {}


def read_all():
    """Every static pod in the manifest folder: {file name: pod}; a file that is no pod is left out, as kubelet does."""
    folder = node.path(FOLDER)
    names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    pods = {}
    for name in names:
        if name.endswith((".yaml", ".yml", ".json")) and not name.startswith("."):
            pod = _read(f"{folder}/{name}")
            if _is_pod(pod):
                pods[name] = pod
    return pods


def _is_pod(pod):
    try:
        return pod["kind"] == "Pod" and bool(pod["metadata"]["name"]) and bool(pod["spec"]["containers"][0]["command"])
    except (KeyError, TypeError, IndexError):
        return False


def _read(file):
    """One manifest, parsed anew only when the file has changed; None for what cannot be read."""
    try:
        stat = os.stat(file)
        stamp = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        if _seen.get(file, (None,))[0] != stamp:
            with open(file, encoding="utf-8") as text:
                _seen[file] = (stamp, yaml.load(text, yaml.CSafeLoader))
        return _seen[file][1]
    except (OSError, yaml.YAMLError):
        return None


def flags(command):
    """The flags of a command line as a dictionary; of one that stands twice, the last counts."""
    return dict(each.removeprefix("--").split("=", 1) for each in command[1:] if "=" in each)

"""The fields of kubeadm's v1beta4 documents, as data, and the check that a document has no others.

Written down from the type definitions in kubernetes/kubernetes, cmd/kubeadm/app/apis/kubeadm/v1beta4/types.go.
"""

STR, INT, BOOL, SPAN, ANY = "string", "int32", "bool", "duration", "any"

_ARG = {"name": STR, "value": STR}
_ENV = {"name": STR, "value": STR, "valueFrom": ANY}
_VOLUME = {"name": STR, "hostPath": STR, "mountPath": STR, "readOnly": BOOL, "pathType": STR}
_COMPONENT = {"extraArgs": [_ARG], "extraVolumes": [_VOLUME], "extraEnvs": [_ENV]}
_IMAGE = {"imageRepository": STR, "imageTag": STR}
_ENDPOINT = {"advertiseAddress": STR, "bindPort": INT}
_PATCHES = {"directory": STR}
_TIMEOUTS = {
    "controlPlaneComponentHealthCheck": SPAN,
    "kubeletHealthCheck": SPAN,
    "kubernetesAPICall": SPAN,
    "etcdAPICall": SPAN,
    "tlsBootstrap": SPAN,
    "discovery": SPAN,
    "upgradeManifests": SPAN,
}
_NODE = {
    "name": STR,
    "criSocket": STR,
    "taints": [{"key": STR, "value": STR, "effect": STR, "timeAdded": STR}],
    "kubeletExtraArgs": [_ARG],
    "ignorePreflightErrors": [STR],
    "imagePullPolicy": STR,
    "imagePullSerial": BOOL,
}
_TOKEN = {"token": STR, "description": STR, "ttl": SPAN, "expires": STR, "usages": [STR], "groups": [STR]}

KINDS = {
    "InitConfiguration": {
        "bootstrapTokens": [_TOKEN],
        "dryRun": BOOL,
        "nodeRegistration": _NODE,
        "localAPIEndpoint": _ENDPOINT,
        "certificateKey": STR,
        "skipPhases": [STR],
        "patches": _PATCHES,
        "timeouts": _TIMEOUTS,
    },
    "ClusterConfiguration": {
        "etcd": {
            "local": {
                **_IMAGE,
                "dataDir": STR,
                "extraArgs": [_ARG],
                "extraEnvs": [_ENV],
                "serverCertSANs": [STR],
                "peerCertSANs": [STR],
            },
            "external": {"endpoints": [STR], "caFile": STR, "certFile": STR, "keyFile": STR},
        },
        "networking": {"serviceSubnet": STR, "podSubnet": STR, "dnsDomain": STR},
        "kubernetesVersion": STR,
        "controlPlaneEndpoint": STR,
        "apiServer": {**_COMPONENT, "certSANs": [STR]},
        "controllerManager": _COMPONENT,
        "scheduler": _COMPONENT,
        "dns": {**_IMAGE, "disabled": BOOL},
        "proxy": {"disabled": BOOL},
        "certificatesDir": STR,
        "imageRepository": STR,
        "featureGates": {"*": BOOL},
        "clusterName": STR,
        "encryptionAlgorithm": STR,
        "certificateValidityPeriod": SPAN,
        "caCertificateValidityPeriod": SPAN,
    },
    "JoinConfiguration": {
        "dryRun": BOOL,
        "nodeRegistration": _NODE,
        "caCertPath": STR,
        "discovery": {
            "bootstrapToken": {
                "token": STR,
                "apiServerEndpoint": STR,
                "caCertHashes": [STR],
                "unsafeSkipCAVerification": BOOL,
            },
            "file": {"kubeConfigPath": STR},
            "tlsBootstrapToken": STR,
        },
        "controlPlane": {"localAPIEndpoint": _ENDPOINT, "certificateKey": STR},
        "skipPhases": [STR],
        "patches": _PATCHES,
        "timeouts": _TIMEOUTS,
    },
    "ResetConfiguration": {
        "cleanupTmpDir": BOOL,
        "certificatesDir": STR,
        "criSocket": STR,
        "dryRun": BOOL,
        "force": BOOL,
        "ignorePreflightErrors": [STR],
        "skipPhases": [STR],
        "unmountFlags": [STR],
        "timeouts": _TIMEOUTS,
    },
    "UpgradeConfiguration": {"apply": ANY, "diff": ANY, "node": ANY, "plan": ANY, "timeouts": _TIMEOUTS},
}

_PYTHON = {STR: str, INT: int, BOOL: bool, SPAN: str}


def complaints(kind, document):
    """Everything in a document that the kind's table does not have, in Go's words; an empty list is a clean one."""
    fields = {"apiVersion": STR, "kind": STR, **KINDS[kind]}
    return _struct(fields, document, "")


def _struct(fields, value, where):
    if not isinstance(value, dict):
        return [_mismatch(value, where, "an object")]
    found = []
    for key, each in value.items():
        here = f"{where}.{key}" if where else str(key)
        if key not in fields and "*" not in fields:
            found.append(f'unknown field "{here}"')
        elif each is not None:
            found += _value(fields.get(key, fields.get("*")), each, here)
    return found


def _value(wanted, value, where):
    if wanted == ANY:
        return []
    if isinstance(wanted, dict):
        return _struct(wanted, value, where)
    if isinstance(wanted, list):
        if not isinstance(value, list):
            return [_mismatch(value, where, "a list")]
        return [text for at, each in enumerate(value) for text in _value(wanted[0], each, f"{where}[{at}]")]
    # Python calls a bool an int; YAML and Go do not.
    fits = isinstance(value, _PYTHON[wanted]) and not (wanted == INT and isinstance(value, bool))
    return [] if fits else [_mismatch(value, where, f"Go value of type {wanted}")]


def _mismatch(value, where, wanted):
    names = {dict: "object", list: "array", str: "string", bool: "bool", int: "number", float: "number"}
    return f"json: cannot unmarshal {names.get(type(value), 'value')} into field {where}: wanted {wanted}"

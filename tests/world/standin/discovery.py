"""How `kubeadm join` comes to know the cluster: a kubeconfig file, the API server behind it, and by what the kubelet asks for its own."""

import time

from . import dial, kubeapi, kubeconfig, say

RETRY = 1.0  # seconds between two tries to reach the API server through the endpoint
INFO = "/api/v1/namespaces/kube-public/configmaps/cluster-info"
UNKNOWN = "couldn't validate the identity of the API Server: "
NO_CREDENTIALS = (
    "couldn't find authentication credentials for the TLS boostrap process. Please use Token discovery, a discovery file with "
    "embedded authentication credentials or a discovery file without authentication credentials but with the "
    "TLSBootstrapToken flag"
)
TOKEN_USER = "tls-bootstrap-token-user"


def find(given, limit):
    """The kubeconfig to join with, once its API server has answered within `limit` seconds. Raises say.Failure."""
    file = given["file"]["kubeConfigPath"]
    try:
        config = kubeconfig.Config.load(file)
        config.embed()
        api = kubeapi.Api(config)
    except (OSError, ValueError) as error:
        raise say.Failure(f"{UNKNOWN}failed to load {file}: {error}") from error
    try:
        _reach(api, limit)
    finally:
        api.close()
    if given.get("tlsBootstrapToken"):
        config.user_name, config.user = TOKEN_USER, {"token": given["tlsBootstrapToken"]}
    if not config.user:
        raise say.Failure(NO_CREDENTIALS)
    return config


def _reach(api, limit):
    """Asks for the ConfigMap that anybody may read, again and again: who may not read it has reached the API server, too."""
    end = time.monotonic() + limit
    while True:
        try:
            api.get(INFO)
            return
        except (dial.Unreachable, kubeapi.ApiError) as error:
            if getattr(error, "status", 0) == 403:
                say.warn(
                    "file.go:121",
                    "[discovery] Could not access the cluster-info ConfigMap for refreshing the cluster-info information, but the "
                    "TLS cert is valid so proceeding...",
                )
                return
            if time.monotonic() + RETRY > end:
                waited = f"Abort reading the cluster-info ConfigMap after timeout of {say.whole(limit)}"
                raise say.Failure(f"{UNKNOWN}{waited}: {error}") from error
        time.sleep(RETRY)

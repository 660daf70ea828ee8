"""kubeconfig files: written as kubeadm writes them, and read back into something that can dial."""

import base64
import os
import tempfile

import yaml

from . import dial, node


def _b64(data):
    return base64.b64encode(data).decode()


def build(server, cluster, user, ca_pem, credentials):
    """The text of a kubeconfig. `credentials` is the body of the user entry, see embedded() and linked()."""
    context = f"{user}@{cluster}"
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "preferences": {},
            "current-context": context,
            "clusters": [{"name": cluster, "cluster": {"certificate-authority-data": _b64(ca_pem), "server": server}}],
            "contexts": [{"name": context, "context": {"cluster": cluster, "user": user}}],
            "users": [{"name": user, "user": credentials}],
        }
    )


def embedded(cert_pem, key_pem):
    """Credentials that hold the certificate and key themselves."""
    return {"client-certificate-data": _b64(cert_pem), "client-key-data": _b64(key_pem)}


def linked(file):
    """Credentials in one PEM file beside the kubeconfig: what a kubelet with rotation has."""
    return {"client-certificate": file, "client-key": file}


class Config:
    """A kubeconfig as read: server, CA and the client's certificate or token of its current context."""

    def __init__(self, text):
        whole = yaml.safe_load(text)
        context = _named(whole["contexts"], whole["current-context"])["context"]
        cluster = _named(whole["clusters"], context["cluster"])["cluster"]
        self.server = cluster["server"]
        self.ca_pem = _pem(cluster, "certificate-authority")
        self.user_name = context.get("user", "")
        self.user = _named(whole.get("users") or [], self.user_name).get("user") or {}

    @classmethod
    def load(cls, file):
        """The kubeconfig of a file of the node. Raises OSError, or ValueError for something else than a kubeconfig."""
        with open(node.path(file), encoding="utf-8") as text:
            try:
                return cls(text.read())
            except (yaml.YAMLError, KeyError, TypeError, LookupError) as error:
                raise ValueError(f'error loading config file "{file}": {error}') from error

    def embed(self):
        """Takes into itself what its credentials name by a file. Raises OSError for one that is not there."""
        if self.token():
            self.user = {"token": self.token()}
        elif self.certificate():
            key = _pem(self.user, "client-key")
            self.user = embedded(self.certificate(), key or b"")

    def certificate(self):
        """The client's certificate as PEM, or None without one. Raises OSError when it is linked and not there."""
        return _pem(self.user, "client-certificate")

    def token(self):
        """The client's bearer token, or an empty text. Raises OSError when it is in a file that is not there."""
        if self.user.get("token") or not self.user.get("tokenFile"):
            return self.user.get("token") or ""
        with open(node.path(self.user["tokenFile"]), encoding="utf-8") as text:
            return text.read().strip()

    def context(self):
        """A TLS client for this kubeconfig, with the client certificate if it has one."""
        context = dial.client_context(ca_data=self.ca_pem.decode() if self.ca_pem else None)
        cert, key = self.certificate(), _pem(self.user, "client-key")
        if cert and key:
            # Python reads client certificates from files only: one that nobody else can open, for a moment.
            with tempfile.NamedTemporaryFile(dir=_private_folder(), suffix=".pem") as both:
                both.write(cert + b"\n" + key)
                both.flush()
                context.load_cert_chain(both.name)
        return context


def _private_folder():
    folder = node.path("/run/standin")
    os.makedirs(folder, exist_ok=True)
    return folder


def _named(entries, name):
    return next((entry for entry in entries if entry["name"] == name), {})


def _pem(entry, key):
    if entry.get(key + "-data"):
        return base64.b64decode(entry[key + "-data"])
    if entry.get(key):
        with open(node.path(entry[key]), "rb") as pem:
            return pem.read()
    return None

"""Certificates that control-plane nodes share through the cluster: the Secret kubeadm-certs, encrypted with a key."""

import base64
import os
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from . import cluster, kubeapi, node, pki, say

SECRET = "kubeadm-certs"
FILES = (
    "ca.crt",
    "ca.key",
    "front-proxy-ca.crt",
    "front-proxy-ca.key",
    "sa.key",
    "sa.pub",
    "etcd/ca.crt",
    "etcd/ca.key",
)
NONCE = 12  # bytes in front of the encrypted text


def new_key():
    """A fresh certificate key: 32 bytes in hexadecimal."""
    return secrets.token_hex(32)


def upload(api, folder, key):
    """Stores the shared files of a certificates folder, encrypted."""
    say.out(f'[upload-certs] Storing the certificates in Secret "{SECRET}" in the "kube-system" Namespace')
    cipher, data = AESGCM(bytes.fromhex(key)), {}
    for file in FILES:
        if os.path.exists(node.path(f"{folder}/{file}")):
            with open(node.path(f"{folder}/{file}"), "rb") as content:
                nonce = os.urandom(NONCE)
                sealed = nonce + cipher.encrypt(nonce, content.read(), None)
            data[file.replace("/", "-")] = base64.b64encode(sealed).decode()
    api.apply(f"{cluster.SYSTEM}/secrets", {"metadata": {"name": SECRET}, "type": "Opaque", "data": data})
    say.out("[upload-certs] Using certificate key:")
    say.out(key)


def download(api, folder, key):
    """Fetches and decrypts them into a certificates folder. Raises say.Failure."""
    say.out(f'[download-certs] Downloading the certificates in Secret "{SECRET}" in the "kube-system" Namespace')
    try:
        data = api.get(f"{cluster.SYSTEM}/secrets/{SECRET}")["data"]
    except kubeapi.ApiError as error:
        raise say.Failure(
            f'error downloading certs: error downloading the secret: Secret "{SECRET}" was not found in the '
            '"kube-system" Namespace. This Secret might have expired. Please, run `kubeadm init phase '
            "upload-certs --upload-certs` on a control plane to generate a new one"
        ) from error
    say.out(f'[download-certs] Saving the certificates to the folder: "{folder}"')
    cipher = AESGCM(bytes.fromhex(key))
    for file in FILES:
        sealed = base64.b64decode(data.get(file.replace("/", "-"), ""))
        if sealed:
            try:
                content = cipher.decrypt(sealed[:NONCE], sealed[NONCE:], None)
            except InvalidTag as error:
                raise say.Failure(
                    "error downloading certs: error decoding secret data with provided key: cipher: message "
                    "authentication failed"
                ) from error
            pki.write(node.path(f"{folder}/{file}"), content, 0o600 if file.endswith(".key") else 0o644)

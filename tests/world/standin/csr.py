"""Certificate signing requests: made by a kubelet for itself, signed with the cluster's CA."""

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from . import keys, node, pki
from .storage import Refusal

ASKERS = {"system:masters", "kubeadm:cluster-admins", "system:nodes", "system:bootstrappers"}


def request(node_name):
    """A new key and a request for the client certificate of a Node: (key, request), both PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = pki.name(f"system:node:{node_name}", "system:nodes")
    made = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    return keys.pem(key), made.public_bytes(serialization.Encoding.PEM)


def sign(ca, user, pem):
    """The certificate for a request, as PEM; `ca` is the CA's path without suffix. Raises Refusal."""
    asked = x509.load_pem_x509_csr(pem)
    if not user.groups & ASKERS:
        raise Refusal(403, "Forbidden", f'User "{user.name}" may not have a client certificate signed')
    pair = pki.load_cert(node.path(ca + ".crt")), keys.load(node.path(ca + ".key"))
    return pki.cert_pem(pki.sign(pair, asked.subject, asked.public_key(), (pki.CLIENT,)))

"""The certificate signing request that a kubelet makes for itself."""

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from . import keys, pki


def request(node_name):
    """A new key and a request for the client certificate of a Node: (key, request), both PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = pki.name(f"system:node:{node_name}", "system:nodes")
    made = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    return keys.pem(key), made.public_bytes(serialization.Encoding.PEM)

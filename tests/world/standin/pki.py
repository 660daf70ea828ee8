"""Certificates as kubeadm makes them: one CA pair per trust, leaf certificates signed by them."""

import datetime
import ipaddress
import os

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from . import keys, whole

YEAR = datetime.timedelta(days=365)
SERVER = ExtendedKeyUsageOID.SERVER_AUTH
CLIENT = ExtendedKeyUsageOID.CLIENT_AUTH


def cert_pem(cert):
    """A certificate as PEM."""
    return cert.public_bytes(serialization.Encoding.PEM)


def public_pem(key):
    """The public half of a private key as PEM."""
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def name(common, organisation=None):
    """A subject as Kubernetes reads it: organisation is the group, common name the user."""
    parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation)] if organisation else []
    return x509.Name(parts + [x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _builder(subject, issuer, public_key, start, end):
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
    )


def _usage(ca):
    return x509.KeyUsage(
        digital_signature=True,
        key_encipherment=True,
        key_cert_sign=ca,
        crl_sign=False,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def new_ca(common, life=10 * YEAR):
    """A self-signed CA: (certificate, key). Valid from five minutes ago, as kubeadm does against skewed clocks."""
    key, now = keys.fresh(), datetime.datetime.now(datetime.timezone.utc)
    subject = name(common)
    builder = _builder(subject, subject, key.public_key(), now - datetime.timedelta(minutes=5), now + life)
    builder = builder.add_extension(_usage(True), True).add_extension(x509.BasicConstraints(True, None), True)
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    names = x509.SubjectAlternativeName([x509.DNSName(common)])
    return builder.add_extension(identifier, False).add_extension(names, False).sign(key, hashes.SHA256()), key


def sign(ca, subject, public_key, usages, names=(), life=YEAR):
    """A leaf certificate by a CA pair: `names` are DNS names and addresses as text, `life` a timedelta."""
    ca_cert, ca_key = ca
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = _builder(subject, ca_cert.subject, public_key, ca_cert.not_valid_before_utc, now + life)
    builder = builder.add_extension(_usage(False), True).add_extension(x509.BasicConstraints(False, None), True)
    builder = builder.add_extension(x509.ExtendedKeyUsage(usages), False).add_extension(
        x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), False
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([_general(each) for each in names]), False)
    return builder.sign(ca_key, hashes.SHA256())


def again(ca, old, public_key, life):
    """A leaf certificate like another one, for a new key, by a CA pair."""
    ca_cert, ca_key = ca
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = _builder(old.subject, ca_cert.subject, public_key, ca_cert.not_valid_before_utc, now + life)
    for extension in old.extensions:
        builder = builder.add_extension(extension.value, extension.critical)
    return builder.sign(ca_key, hashes.SHA256())


def _general(text):
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def load_cert(file):
    """The certificate of a PEM file."""
    with open(file, "rb") as pem:
        return x509.load_pem_x509_certificate(pem.read())


def write(file, content, mode):
    """A file with its mode from the first byte on, its folder made where it is missing."""
    os.makedirs(os.path.dirname(file), mode=0o755, exist_ok=True)
    whole.write(file, content, mode)


def spki_hash(cert):
    """The SHA-256 of a certificate's public key, in hexadecimal: what kubeadm calls the CA certificate hash."""
    digest = hashes.Hash(hashes.SHA256())
    digest.update(
        cert.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    return digest.finalize().hex()

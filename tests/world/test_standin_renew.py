"""What `kubeadm certs renew` makes of certificates, by the authorities on the machine."""

import os

import pytest
from cryptography import x509

from world.standin import kubeconfig
from world.standin_lab import Lab

PKI = "/etc/kubernetes/pki"


@pytest.fixture
def node():
    """A node with the certificates of a control plane that live for a day, and nothing that runs."""
    lab = Lab()
    made = lab.node()
    config = made.init_config()
    config[1]["certificateValidityPeriod"] = "24h0m0s"
    file = made.write("/run/short.yaml", config)
    for phase in ("certs", "kubeconfig"):
        made.kubeadm("init", "phase", phase, "all", "--config", file)
    yield made
    lab.close()


def renew(node, name):
    done = node.run("kubeadm", "certs", "renew", name, "--config", node.write("/run/year.yaml", node.init_config()))
    assert done.returncode == 0, done.stderr
    return done.stdout


def leaf(node, name):
    return x509.load_pem_x509_certificate(node.read(f"{PKI}/{name}.crt").encode())


def test_one_certificate_lives_longer_and_says_the_same(node):
    before, other = leaf(node, "apiserver"), node.read(f"{PKI}/etcd/peer.crt")
    assert renew(node, "apiserver") == "certificate for serving the Kubernetes API renewed\n"
    after = leaf(node, "apiserver")
    assert (after.not_valid_after_utc - before.not_valid_after_utc).days in (363, 364)
    assert after.subject == before.subject and after.public_key() != before.public_key()
    names = [each.extensions.get_extension_for_class(x509.SubjectAlternativeName).value for each in (before, after)]
    assert names[0] == names[1]
    assert node.read(f"{PKI}/etcd/peer.crt") == other


def test_the_one_in_a_kubeconfig_leads_to_the_same_server(node):
    before = kubeconfig.Config(node.read("/etc/kubernetes/scheduler.conf"))
    assert "scheduler manager to use renewed" in renew(node, "scheduler.conf")
    after = kubeconfig.Config(node.read("/etc/kubernetes/scheduler.conf"))
    certificates = [x509.load_pem_x509_certificate(each.certificate()) for each in (before, after)]
    assert after.server == before.server and certificates[0].subject == certificates[1].subject
    assert certificates[0].not_valid_after_utc < certificates[1].not_valid_after_utc


@pytest.mark.parametrize(
    "gone, told", [("ca.key", "Detected external ca, "), ("apiserver.crt", "MISSING! certificate for serving")]
)
def test_what_cannot_be_renewed_is_told_and_is_no_failure(node, gone, told):
    os.unlink(f"{node.root}{PKI}/{gone}")
    assert renew(node, "apiserver").startswith(told)

"""CertificateSigningRequests at the stand-in's API server: who may ask, who approves of what, and what is signed."""

import base64

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from world.standin import csr, kubeconfig, pki, rbac
from world.standin_lab import Lab

RBAC = "/apis/rbac.authorization.k8s.io/v1"
REQUESTS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
SIGNER = "kubernetes.io/kube-apiserver-client-kubelet"
OWN, KUBEADMS = "system:bootstrappers:kubeboot", "system:bootstrappers:kubeadm:default-node-token"
TOKEN, DEFAULT = "aaaaaa.0123456789abcdef", "bbbbbb.0123456789abcdef"
USAGES = ["digital signature", "client auth"]
MERGE = "application/merge-patch+json"
REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"


@pytest.fixture(scope="module")
def node():
    lab = Lab()
    made = lab.node()
    made.init()
    made.make_token(TOKEN, OWN)
    made.make_token(DEFAULT, KUBEADMS)
    own = [{"kind": "Group", "name": OWN}]
    made.api("POST", f"{RBAC}/clusterrolebindings", rbac.binding("own", "system:node-bootstrapper", own))
    yield made
    lab.close()


def request(common="system:node:w1", organisation="system:nodes", names=()):
    """A request in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    made = x509.CertificateSigningRequestBuilder().subject_name(pki.name(common, organisation))
    if names:
        made = made.add_extension(x509.SubjectAlternativeName(names), False)
    return made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def ask(node, token=TOKEN, pem=None, config=None, **spec):
    """(status, object or text) of a request for a certificate."""
    given = {
        "request": base64.b64encode(pem or request()).decode(), "usages": USAGES, "signerName": SIGNER, **spec,
    }  # fmt: skip
    body = {"metadata": {"generateName": "csr-"}, "spec": given}
    return node.answer("POST", REQUESTS, body, config=config or node.by_token(token))


def asked(node, *args, **more):
    """The name of a request that was taken."""
    status, made = ask(node, *args, **more)
    assert status == 200, made
    assert made["status"] == {}
    return made["metadata"]["name"]


def status_of(node, name):
    """(kinds of its conditions, its certificate or None)."""
    found = node.get(f"{REQUESTS}/{name}")["status"]
    pem = found.get("certificate")
    return [each["type"] for each in found.get("conditions", [])], pem and x509.load_pem_x509_certificate(base64.b64decode(pem))


def decide(node, name, *kinds, config="/etc/kubernetes/admin.conf", **more):
    """(status, object or text) of an approval or a denial."""
    found = [{"type": kind, "status": "True", "reason": "Test", "message": "by a test", **more} for kind in kinds]
    body = {**node.get(f"{REQUESTS}/{name}"), "status": {"conditions": found}}
    return node.answer("PUT", f"{REQUESTS}/{name}/approval", body, config=config)


def test_the_request_of_an_own_group_waits_until_somebody_approves(node):
    name = asked(node)
    assert name.startswith("csr-") and status_of(node, name) == ([], None)
    spec = node.get(f"{REQUESTS}/{name}")["spec"]
    assert spec["username"] == "system:bootstrap:aaaaaa"
    assert spec["groups"] == ["system:authenticated", "system:bootstrappers", OWN]
    assert decide(node, name, "Approved")[0] == 200
    kinds, certificate = status_of(node, name)
    assert kinds == ["Approved"] and certificate.subject == pki.name("system:node:w1", "system:nodes")
    with open(f"{node.root}/etc/kubernetes/pki/ca.crt", "rb") as file:
        certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(file.read()))


def test_kubeadms_own_group_is_approved_at_once(node):
    kinds, certificate = status_of(node, asked(node, DEFAULT))
    assert kinds == ["Approved"] and certificate


def test_an_administrators_request_for_a_kubelet_is_approved_at_once(node):
    assert status_of(node, asked(node, config="/etc/kubernetes/admin.conf"))[0] == ["Approved"]


def test_a_patch_of_the_approval_counts_too(node):
    name = asked(node)
    given = {"status": {"conditions": [{"type": "Approved", "status": "True", "reason": "Test"}]}}
    assert node.answer("PATCH", f"{REQUESTS}/{name}/approval", given, kind=MERGE)[0] == 200
    assert status_of(node, name)[1] is not None


@pytest.mark.parametrize(
    ("pem", "spec"),
    [
        (request("system:node:w1", "system:masters"), {}),
        (request("w1"), {}),
        (request(names=[x509.DNSName("w1")]), {}),
        (None, {"usages": ["digital signature", "server auth"]}),
    ],
)
def test_what_is_no_kubelets_request_is_never_signed(node, pem, spec):
    for token in (TOKEN, DEFAULT):
        name = asked(node, token, pem=pem, **spec)
        assert status_of(node, name) == ([], None)
    decide(node, name, "Approved")
    assert status_of(node, name) == (["Approved", "Failed"], None)


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ({"request": ""}, "PEM block type must be CERTIFICATE REQUEST"),
        ({"request": "%%%"}, "illegal base64 data"),
        ({"request": base64.b64encode(b"-----BEGIN CERTIFICATE REQUEST-----\nx\n-----END CERTIFICATE REQUEST-----\n").decode()}, "spec.request"),
        ({"usages": []}, "spec.usages: Required value"),
        ({"usages": ["client"]}, 'spec.usages: Unsupported value: "client"'),
        ({"usages": [*USAGES, "client auth"]}, "spec.usages: Duplicate value"),
        ({"signerName": ""}, "spec.signerName: Required value"),
        ({"signerName": "kubelet"}, "must be a fully qualified domain and path"),
        ({"expirationSeconds": 60}, "600 seconds"),
    ],
)
def test_what_makes_no_sense_is_not_taken(node, spec, why):
    status, text = ask(node, **spec)
    assert status == 422 and why in text


def test_a_forged_signature_is_not_taken(node):
    der = bytearray(x509.load_pem_x509_csr(request()).public_bytes(serialization.Encoding.DER))
    der[-1] ^= 1
    body = base64.b64encode(bytes(der)).decode()
    status, text = ask(node, pem=f"-----BEGIN CERTIFICATE REQUEST-----\n{body}\n-----END CERTIFICATE REQUEST-----\n".encode())
    assert status == 422 and "spec.request" in text


def test_nobody_says_himself_who_he_is_or_that_he_is_approved(node):
    status, made = ask(node, username="system:node:n1", groups=["system:masters"])
    assert status == 200 and made["spec"]["username"] == "system:bootstrap:aaaaaa"
    name = made["metadata"]["name"]
    given = {"status": {"conditions": [{"type": "Approved", "status": "True"}]}, "spec": {"request": "x"}}
    assert node.answer("PATCH", f"{REQUESTS}/{name}", given, kind=MERGE)[0] == 200
    assert status_of(node, name) == ([], None) and node.get(f"{REQUESTS}/{name}")["spec"] == made["spec"]


def test_a_token_approves_nothing(node):
    assert decide(node, asked(node), "Approved", config=node.by_token(TOKEN))[0] == 403


def review(node, group, config="/etc/kubernetes/admin.conf"):
    """(status, what is said) of whether the requests of a token's group are approved by Kubernetes itself."""
    wanted = {
        "group": "certificates.k8s.io", "resource": "certificatesigningrequests", "subresource": "nodeclient", "verb": "create",
        "version": "*",
    }  # fmt: skip
    spec = {"user": "system:bootstrap:aaaaaa", "groups": [group, "system:bootstrappers", "system:authenticated"], "resourceAttributes": wanted}
    status, made = node.answer("POST", REVIEWS, {"spec": spec}, config=config)
    return status, made["status"] if status == 200 else made


def test_a_review_tells_by_which_binding_somebody_is_let_through(node):
    assert review(node, OWN) == (200, {"allowed": False})
    status, told = review(node, KUBEADMS)
    assert (status, told["allowed"]) == (200, True)
    assert 'allowed by ClusterRoleBinding "kubeadm:node-autoapprove-bootstrap" of ClusterRole' in told["reason"]
    assert told["reason"].endswith(f'to Group "{KUBEADMS}"')
    assert review(node, "system:masters") == (200, {"allowed": True})
    status, text = review(node, OWN, config=node.by_token(TOKEN))
    assert status == 403 and "cannot create resource" in text


def test_who_approves_may_approve_of_that_signer(node):
    """A role for the approval alone is not enough."""
    rules = [rbac.rule(("update",), "certificates.k8s.io", ("certificatesigningrequests/approval",))]
    node.api("POST", f"{RBAC}/clusterroles", {"metadata": {"name": "half"}, "rules": rules})
    node.api("POST", f"{RBAC}/clusterrolebindings", rbac.binding("half", "half", [{"kind": "Group", "name": OWN}]))
    name, config = asked(node), node.by_token(TOKEN)
    status, text = decide(node, name, "Approved", config=config)
    assert status == 403 and f'user not permitted to approve requests with signerName "{SIGNER}"' in text
    rules += [rbac.rule(("approve",), "certificates.k8s.io", ("signers",), (SIGNER,))]
    node.api("PATCH", f"{RBAC}/clusterroles/half", {"rules": rules}, kind=MERGE)
    assert decide(node, name, "Approved", config=config)[0] == 200
    node.api("DELETE", f"{RBAC}/clusterrolebindings/half")


def test_a_decision_stays(node):
    name = asked(node)
    assert decide(node, name, "Denied")[0] == 200
    status, text = decide(node, name, "Approved", "Denied")
    assert status == 422 and "mutually exclusive" in text
    status, text = decide(node, name, "Approved")
    assert status == 422 and "may not remove a condition of type Denied" in text
    assert status_of(node, name) == (["Denied"], None)
    status, text = decide(node, asked(node), "Approved", status="False")
    assert status == 422 and 'status: Unsupported value: "False"' in text


def test_a_decision_on_what_was_changed_meanwhile_is_refused(node):
    name = asked(node)
    old = node.get(f"{REQUESTS}/{name}")
    decide(node, name, "Denied")
    body = {**old, "status": {"conditions": [{"type": "Approved", "status": "True"}]}}
    assert node.answer("PUT", f"{REQUESTS}/{name}/approval", body)[0] == 409


def test_a_kubelet_renews_its_own_certificate_and_no_other(node):
    conf = "/etc/kubernetes/kubelet.conf"
    assert status_of(node, asked(node, pem=request("system:node:n1"), config=conf))[0] == ["Approved"]
    assert status_of(node, asked(node, pem=request("system:node:n2"), config=conf))[0] == []


def test_what_was_signed_is_the_kubelet(node):
    key, pem = csr.request("w9")
    name = asked(node, pem=pem)
    decide(node, name, "Approved")
    signed = base64.b64decode(node.get(f"{REQUESTS}/{name}")["status"]["certificate"])
    ca = node.read("/etc/kubernetes/pki/ca.crt").encode()
    text = kubeconfig.build(f"https://{node.address}:6443", "kubernetes", "me", ca, kubeconfig.embedded(signed, key))
    conf = node.write("/run/w9.conf", text)
    assert node.answer("GET", "/api/v1/nodes/w9", config=conf)[0] == 404
    assert node.answer("GET", "/api/v1/nodes/n1", config=conf)[0] == 403

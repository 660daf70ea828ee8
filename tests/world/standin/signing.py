"""CertificateSigningRequests at the API server: what it takes, who approves by himself, and the signer of kubelets' client certificates.

The approver and the signer are the controller manager's; here a request is approved and signed in the write that lets it be, so that
no API server can end in between. Whoever created one hears of that by reading it, not by the answer to the creation.
"""

import base64
import binascii
import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

from . import keys, node, pki
from .rbac import CERTIFICATES as GROUP
from .storage import Refusal, now

RESOURCE = "certificatesigningrequests"
KUBELET_CLIENT = "kubernetes.io/kube-apiserver-client-kubelet"
USAGES = ({"digital signature", "client auth"}, {"digital signature", "key encipherment", "client auth"})
KNOWN_USAGES = {
    "signing", "digital signature", "content commitment", "key encipherment", "key agreement", "data encipherment", "cert sign",
    "crl sign", "encipher only", "decipher only", "any", "server auth", "client auth", "code signing", "email protection", "s/mime",
    "ipsec end system", "ipsec tunnel", "ipsec user", "timestamping", "ocsp signing", "microsoft sgc", "netscape sgc",
}  # fmt: skip
SHORTEST = 600  # seconds that a certificate has to be asked for at least
DECISIONS = ("Approved", "Denied")
VERDICTS = (*DECISIONS, "Failed")


class Signer:
    """`ca` is the path of the cluster's CA on this node, without suffix."""

    def __init__(self, ca, policy):
        self._ca, self._policy = ca, policy

    def complete(self, user, body):
        """A new request as it is kept: in the name of who asks, approved and signed if Kubernetes does so by itself."""
        spec = body.get("spec") or {}
        asked = _checked(body, spec)
        spec |= {"username": user.name, "groups": sorted(user.groups)}
        body |= {"spec": spec, "status": {}}
        reason = self._approves(user, spec, asked)
        if reason:
            when = now()
            body["status"]["conditions"] = [
                {"type": "Approved", "status": "True", "reason": "AutoApproved", "message": reason, "lastUpdateTime": when,
                 "lastTransitionTime": when}
            ]  # fmt: skip
        self._sign(body, asked)
        return body

    def decide(self, user, before, given):
        """What an update of the approval makes of a request. Raises Refusal 403 or 422."""
        name, signer = before["metadata"]["name"], before["spec"]["signerName"]
        by_domain = f"{signer.split('/')[0]}/*"
        if not any(self._policy.allows(user, "approve", GROUP, "signers", name=each) for each in (signer, by_domain)):
            if "system:masters" not in user.groups:
                why = f'user not permitted to approve requests with signerName "{signer}"'
                raise Refusal(403, "Forbidden", f'{RESOURCE}.{GROUP} "{name}" is forbidden: {why}')
        had = (before.get("status") or {}).get("conditions") or []
        has = (given.get("status") or {}).get("conditions") or []
        wrong = _wrong_conditions(had, has)
        if wrong:
            raise Refusal(422, "Invalid", f'CertificateSigningRequest.{GROUP} "{name}" is invalid: status.conditions{wrong}')
        for each in has:
            each.setdefault("lastUpdateTime", now())
            each.setdefault("lastTransitionTime", now())
        after = {**before, "status": {**(before.get("status") or {}), "conditions": has}}
        self._sign(after, _parsed(after["spec"]["request"]))
        return after

    def _approves(self, user, spec, asked):
        """Why the approver of the controller manager approves of a request; empty if it does not."""
        if spec["signerName"] != KUBELET_CLIENT or _wrong_for_kubelet(asked, spec["usages"]):
            return ""
        own = user.name == _common_name(asked) and self._asks(user, "selfnodeclient")
        if own:
            return "Auto approving self kubelet client certificate after SubjectAccessReview."
        return "Auto approving kubelet client certificate after SubjectAccessReview." if self._asks(user, "nodeclient") else ""

    def _asks(self, user, what):
        return "system:masters" in user.groups or self._policy.allows(user, "create", GROUP, f"{RESOURCE}/{what}")

    def _sign(self, body, asked):
        """Issues the certificate of what is approved, or says what the signer has against it. Other signers are nobody here."""
        status, spec = body["status"], body["spec"]
        verdicts = {each["type"] for each in status.get("conditions") or []}
        if "Approved" not in verdicts or "Failed" in verdicts or status.get("certificate") or spec["signerName"] != KUBELET_CLIENT:
            return
        wrong = _wrong_for_kubelet(asked, spec["usages"])
        if wrong:
            when = now()
            status["conditions"].append(
                {"type": "Failed", "status": "True", "reason": "SignerValidationFailure", "message": wrong, "lastUpdateTime": when,
                 "lastTransitionTime": when}
            )  # fmt: skip
            return
        pair = pki.load_cert(node.path(self._ca + ".crt")), keys.load(node.path(self._ca + ".key"))
        life = datetime.timedelta(seconds=spec["expirationSeconds"]) if spec.get("expirationSeconds") else pki.YEAR
        made = pki.sign(pair, asked.subject, asked.public_key(), (pki.CLIENT,), life=life)
        status["certificate"] = base64.b64encode(pki.cert_pem(made)).decode()


def unchanged(before, given):
    """What an update of a request itself makes of it: its labels and annotations alone."""
    meta = {**before["metadata"], **{key: given[key] for key in ("labels", "annotations") if key in given}}
    return {**before, "metadata": meta}


def _checked(body, spec):
    """The certificate request in a new object. Raises Refusal 422 for what Kubernetes does not take."""
    problems, asked = [], None
    try:
        asked = _parsed(spec.get("request") or "")
        asked.public_key()
        if not asked.is_signature_valid:
            raise InvalidSignature("the signature does not fit")
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm) as error:
        problems.append(f'spec.request: Invalid value: "": {error}')
    usages = spec.get("usages") or []
    if not usages:
        problems.append("spec.usages: Required value")
    problems += [f'spec.usages: Unsupported value: "{each}"' for each in usages if each not in KNOWN_USAGES]
    if len(set(usages)) != len(usages):
        problems.append("spec.usages: Duplicate value")
    domain, _, path = str(spec.get("signerName") or "").partition("/")
    if not domain:
        problems.append("spec.signerName: Required value")
    elif "." not in domain or not path:
        problems.append(f'spec.signerName: Invalid value: "{spec["signerName"]}": must be a fully qualified domain and path')
    seconds = spec.get("expirationSeconds")
    if seconds is not None and seconds < SHORTEST:
        problems.append(f"spec.expirationSeconds: Invalid value: {seconds}: may not specify a duration less than {SHORTEST} seconds (10 minutes)")
    if problems:
        shown = problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]"
        name = body["metadata"].get("name", "")
        raise Refusal(422, "Invalid", f'CertificateSigningRequest.{GROUP} "{name}" is invalid: {shown}')
    return asked


def _parsed(encoded):
    """Raises ValueError for what is no request in PEM."""
    try:
        pem = base64.b64decode(encoded, validate=True)
    except (binascii.Error, TypeError) as error:
        raise ValueError("illegal base64 data") from error
    if not pem.lstrip().startswith(b"-----BEGIN CERTIFICATE REQUEST-----"):
        raise ValueError("PEM block type must be CERTIFICATE REQUEST")
    return x509.load_pem_x509_csr(pem)


def _common_name(asked):
    found = asked.subject.get_attributes_for_oid(x509.oid.NameOID.COMMON_NAME)
    return found[-1].value if found else ""


def _wrong_for_kubelet(asked, usages):
    """Why a request is none for a kubelet's client certificate, in the words of the signer; empty if it is one."""
    groups = [each.value for each in asked.subject.get_attributes_for_oid(x509.oid.NameOID.ORGANIZATION_NAME)]
    if groups != ["system:nodes"]:
        return "subject organization is not system:nodes"
    try:
        names = asked.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        names = ()
    for kind, shown in ((x509.DNSName, "DNS"), (x509.RFC822Name, "Email"), (x509.IPAddress, "IP"), (x509.UniformResourceIdentifier, "URI")):
        if any(isinstance(each, kind) for each in names):
            return f"{shown} subjectAltNames are not allowed"
    if not _common_name(asked).startswith("system:node:"):
        return "subject common name does not begin with system:node:"
    return "" if set(usages) in USAGES else "usages did not match [client auth digital signature key encipherment]"


def _wrong_conditions(had, has):
    """What is wrong with the conditions of an approval; empty if nothing is."""
    for at, each in enumerate(has):
        if not each.get("type"):
            return f"[{at}].type: Required value"
        if each["type"] in VERDICTS and each.get("status") != "True":
            return f'[{at}].status: Unsupported value: "{each.get("status", "")}": supported values: "True"'
        if not each.get("status"):
            return f"[{at}].status: Required value"
    kinds = [each["type"] for each in has]
    if "Approved" in kinds and "Denied" in kinds:
        return ': Invalid value: "Denied": Approved and Denied conditions are mutually exclusive'
    if len(set(kinds)) != len(kinds):
        return ": Duplicate value"
    before = {each["type"]: each for each in had if each["type"] in VERDICTS}
    for kind in before:
        if kind not in kinds:
            return f": Forbidden: updates may not remove a condition of type {kind}"
    added = [kind for kind in kinds if kind in VERDICTS and kind not in before]
    if "Failed" in added:
        return ": Forbidden: updates may not add a condition of type Failed"
    return ""

"""Authorisation: the policies of the machines' roles, of the bucket and its keys, and what each call needs of them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from secrets import token_urlsafe

from .account import ACCOUNT, REGION, WORKER
from .call import Call
from .policy import Ask, Statement, parse
from .refusals import refusal

S3_ACTIONS = {
    "GetObject": "s3:GetObject",
    "HeadObject": "s3:GetObject",
    "PutObject": "s3:PutObject",
    "CreateMultipartUpload": "s3:PutObject",
    "UploadPart": "s3:PutObject",
    "CompleteMultipartUpload": "s3:PutObject",
    "DeleteObject": "s3:DeleteObject",
    "GetBucketVersioning": "s3:GetBucketVersioning",
    "HeadBucket": "s3:ListBucket",
    "ListObjects": "s3:ListBucket",
    "ListObjectVersions": "s3:ListBucketVersions",
    "ListObjectsV2": "s3:ListBucket",
}
KMS_HEADER = "x-amz-server-side-encryption-aws-kms-key-id"
KMS_VARIABLE = "HTTP_X_AMZ_SERVER_SIDE_ENCRYPTION_AWS_KMS_KEY_ID"
SSE_VARIABLE = "HTTP_X_AMZ_SERVER_SIDE_ENCRYPTION"
# The calls that say how an object is encrypted.
ENCRYPTED = ("PutObject", "CreateMultipartUpload")
# A policy sees what the caller has asked for, not what the bucket's default makes of it.
DEFAULTED = "world.encryption_by_default"
# They mean one instance, which a policy can name, also as the caller's own.
INSTANCE_ACTIONS = ("DescribeInstanceAttribute", "ModifyInstanceAttribute")
# They mean one group, which a policy can name.
GROUP_ACTIONS = ("CompleteLifecycleAction", "RecordLifecycleActionHeartbeat", "SetInstanceHealth")


@dataclass(frozen=True)
class Role:
    """An instance role: its ARN, and what its own policies say."""

    arn: str
    own: list[Statement]


class Iam:
    """Who may do what; everybody everything until policies are set. `group_arn` is the ARN of the group of that name, or of the
    instance's own group; `role` says what an instance is launched for."""

    def __init__(
        self,
        group_arn: Callable[[Call], str],
        policies: dict | None,
        role: Callable[[str], str] = lambda id: "",
    ):
        self._group, self._launched_for = group_arn, role
        self.set(policies)

    def set(self, policies: dict | None) -> None:
        """From now on these count, or none: {"role": ARN, "policies": [...], "bucket": {...}, "bucket_key": ARN of its
        default encryption, "keys": {ARN: {...}}}, and {"worker": {"role": ARN, "policies": [...]}} for workers, who without
        that may nothing. Raises ValueError or KeyError for what cannot be judged.
        """
        self._on = policies is not None
        if policies is None:
            return
        self._bucket_key = policies["bucket_key"]
        self._role = _role(policies)
        self._worker = _role(policies.get("worker") or {"role": f"arn:aws:iam::{ACCOUNT}:role/none", "policies": []})
        self._bucket = parse(policies["bucket"])
        self._keys = {arn: parse(document) for arn, document in policies["keys"].items()}

    def encrypt(self, call: Call, environ: dict) -> None:
        """The bucket's default encryption: moto keeps the key with the object, as S3 does."""
        if self._on and call.service == "s3" and call.action in ENCRYPTED and SSE_VARIABLE not in environ:
            environ[SSE_VARIABLE], environ[KMS_VARIABLE] = "aws:kms", self._bucket_key
            environ[DEFAULTED] = True

    def before(self, call: Call, environ: dict, node: str) -> tuple | None:
        """The refusal of a call that the policies do not allow."""
        return self._first_refusal(call, node, self._needs(call, environ, self._role_of(node), node) if self._on else ())

    def after(self, call: Call, node: str, code: int | None, headers: list[tuple[str, str]]) -> tuple | None:
        """The refusal of an answer: S3 decrypts in the caller's name, and tells of a missing object who may list."""
        if not self._on or call.service != "s3" or call.action not in ("GetObject", "HeadObject"):
            return None
        role = self._role_of(node)
        if code == 404:
            return self._first_refusal(call, node, [_ask(role, "s3:ListBucket", f"arn:aws:s3:::{call.bucket}")])
        key = {name.lower(): value for name, value in headers}.get(KMS_HEADER)
        needs = [_ask_kms(role, "kms:Decrypt", key)] if key and call.action == "GetObject" else []
        return self._first_refusal(call, node, needs)

    def _needs(self, call: Call, environ: dict, role: Role, node: str) -> Iterator[Ask]:
        if call.service != "s3":
            resource, context = self._group(call) if call.action in GROUP_ACTIONS else "*", {}
            if call.action in INSTANCE_ACTIONS:
                instance = call.form.get("InstanceId", "")
                resource = f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/{instance}"
                # The name of a session by which an instance has its role is its ID.
                context = {"aws:userid": f"{role.arn.rpartition('/')[2].upper()}:{node}", "ec2:InstanceID": instance}
            yield _ask(role, f"{call.service}:{call.action}", resource, **context)
            return
        resource = "arn:aws:s3:::" + "/".join(filter(None, (call.bucket, call.key)))
        names = {"s3:if-match": "HTTP_IF_MATCH", "s3:if-none-match": "HTTP_IF_NONE_MATCH"}
        names[f"s3:{KMS_HEADER}"] = KMS_VARIABLE
        if DEFAULTED not in environ:
            names["s3:x-amz-server-side-encryption"] = SSE_VARIABLE
        headers = {name: environ[variable] for name, variable in names.items() if variable in environ}
        if call.action in ("CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload", "PutObject"):
            # Only two of them make an object, and only those take conditions.
            creates = call.action in ("PutObject", "CompleteMultipartUpload")
            headers["s3:ObjectCreationOperation"] = str(creates).lower()
        action = S3_ACTIONS.get(call.action, f"s3:{call.action}")
        if action == "s3:GetObject" and "versionId=" in environ.get("QUERY_STRING", ""):
            action = "s3:GetObjectVersion"
        yield _ask(role, action, resource, **headers)
        if call.action in ("PutObject", "DeleteObject") and "HTTP_IF_MATCH" in environ:
            yield _ask(role, "s3:GetObject", resource)
        if call.action in ("PutObject", "CreateMultipartUpload") and KMS_VARIABLE in environ:
            yield _ask_kms(role, "kms:GenerateDataKey", environ[KMS_VARIABLE])
            if call.action == "CreateMultipartUpload":
                # Every part is encrypted under the key of the first call, which S3 decrypts for each.
                yield _ask_kms(role, "kms:Decrypt", environ[KMS_VARIABLE])

    def _role_of(self, node: str) -> Role:
        """The role of whoever calls: a worker's, or the control plane's, which also somebody by hand has."""
        return self._worker if self._launched_for(node) == WORKER else self._role

    def _first_refusal(self, call: Call, node: str, needs) -> tuple | None:
        for ask in needs if self._on else ():
            if why := self.why_not(ask, self._role_of(node)):
                session = f"arn:aws:sts::{ACCOUNT}:assumed-role/{self._role_of(node).arn.rpartition('/')[2]}/{node}"
                text = f"User: {session} is not authorized to perform: {ask.action} on resource: {ask.resource} {why}"
                if call.service == "ec2":
                    # As EC2: another one at every call.
                    text = f"{text} Encoded authorization failure message: {token_urlsafe(600)}"
                return refusal(call, 403, "UnauthorizedOperation" if call.service == "ec2" else "AccessDenied", text)
        return None

    def why_not(self, ask: Ask, role: Role | None = None) -> str | None:
        """Why this is not allowed to a role, in the words of AWS; None if it is. Without a role the control plane's is meant."""
        role = role or self._role
        own = [one for one in role.own if one.applies(ask)]
        theirs = [one for one in self._resource_policy(ask) if one.applies(ask)]
        if any(one.effect == "Deny" for one in own):
            return "with an explicit deny in an identity-based policy"
        if any(one.effect == "Deny" and one.names(role.arn) for one in theirs):
            return "with an explicit deny in a resource-based policy"
        if any(one.names(role.arn) for one in theirs):
            return None
        # A key listens to IAM only if its policy says so, by naming the account.
        listens = not ask.action.startswith("kms:") or any(one.names(f"arn:aws:iam::{ACCOUNT}:root") for one in theirs)
        if own and listens:
            return None
        return f"because no identity-based policy allows the {ask.action} action"

    def _resource_policy(self, ask: Ask) -> list[Statement]:
        if ask.action.startswith("kms:"):
            return self._keys.get(ask.resource, [])
        return self._bucket if ask.action.startswith("s3:") else []


def _role(policies: dict) -> Role:
    return Role(policies["role"], [one for document in policies["policies"] for one in parse(document)])


def _ask(role: Role, action: str, resource: str, **context: str) -> Ask:
    # Machines speak to this AWS without TLS, and to the real one only with it.
    return Ask(action, resource, {"aws:SecureTransport": "true", "aws:PrincipalArn": role.arn, **context})


def _ask_kms(role: Role, action: str, key: str) -> Ask:
    return _ask(role, action, key, **{"kms:ViaService": f"s3.{REGION}.amazonaws.com"})

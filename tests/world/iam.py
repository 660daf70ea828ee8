"""Authorisation: the policies of the machines' role, of the bucket and its keys, and what each call needs of them."""

from collections.abc import Iterator

from .account import ACCOUNT, REGION
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
# They mean one group, which a policy can name.
GROUP_ACTIONS = ("CompleteLifecycleAction", "RecordLifecycleActionHeartbeat", "SetInstanceHealth")


class Iam:
    """Who may do what; everybody everything until policies are set."""

    def __init__(self, group_arn: str, policies: dict | None):
        self._group = group_arn
        self.set(policies)

    def set(self, policies: dict | None) -> None:
        """From now on these count, or none: {"role": ARN, "policies": [...], "bucket": {...}, "bucket_key": ARN of its
        default encryption, "keys": {ARN: {...}}}. Raises ValueError or KeyError for what cannot be judged.
        """
        self._on = policies is not None
        if policies is None:
            return
        self._role, self._bucket_key = policies["role"], policies["bucket_key"]
        self._own: list[Statement] = [one for document in policies["policies"] for one in parse(document)]
        self._bucket = parse(policies["bucket"])
        self._keys = {arn: parse(document) for arn, document in policies["keys"].items()}

    def encrypt(self, call: Call, environ: dict) -> None:
        """The bucket's default encryption: moto keeps the key with the object, as S3 does."""
        if self._on and call.service == "s3" and call.action in ENCRYPTED and SSE_VARIABLE not in environ:
            environ[SSE_VARIABLE], environ[KMS_VARIABLE] = "aws:kms", self._bucket_key
            environ[DEFAULTED] = True

    def before(self, call: Call, environ: dict, node: str) -> tuple | None:
        """The refusal of a call that the policies do not allow."""
        return self._first_refusal(call, node, self._needs(call, environ))

    def after(self, call: Call, node: str, code: int | None, headers: list[tuple[str, str]]) -> tuple | None:
        """The refusal of an answer: S3 decrypts in the caller's name, and tells of a missing object who may list."""
        if not self._on or call.service != "s3" or call.action not in ("GetObject", "HeadObject"):
            return None
        if code == 404:
            return self._first_refusal(call, node, [self._ask("s3:ListBucket", f"arn:aws:s3:::{call.bucket}")])
        key = {name.lower(): value for name, value in headers}.get(KMS_HEADER)
        needs = [self._ask_kms("kms:Decrypt", key)] if key and call.action == "GetObject" else []
        return self._first_refusal(call, node, needs)

    def _needs(self, call: Call, environ: dict) -> Iterator[Ask]:
        if call.service != "s3":
            resource = self._group if call.action in GROUP_ACTIONS else "*"
            yield self._ask(f"{call.service}:{call.action}", resource)
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
        yield self._ask(action, resource, **headers)
        if call.action in ("PutObject", "DeleteObject") and "HTTP_IF_MATCH" in environ:
            yield self._ask("s3:GetObject", resource)
        if call.action in ("PutObject", "CreateMultipartUpload") and KMS_VARIABLE in environ:
            yield self._ask_kms("kms:GenerateDataKey", environ[KMS_VARIABLE])
            if call.action == "CreateMultipartUpload":
                # Every part is encrypted under the key of the first call, which S3 decrypts for each.
                yield self._ask_kms("kms:Decrypt", environ[KMS_VARIABLE])

    def _ask(self, action: str, resource: str, **context: str) -> Ask:
        # Machines speak to this AWS without TLS, and to the real one only with it.
        return Ask(action, resource, {"aws:SecureTransport": "true", "aws:PrincipalArn": self._role, **context})

    def _ask_kms(self, action: str, key: str) -> Ask:
        return self._ask(action, key, **{"kms:ViaService": f"s3.{REGION}.amazonaws.com"})

    def _first_refusal(self, call: Call, node: str, needs) -> tuple | None:
        for ask in needs if self._on else ():
            if why := self.why_not(ask):
                session = f"arn:aws:sts::{ACCOUNT}:assumed-role/{self._role.rpartition('/')[2]}/{node}"
                text = f"User: {session} is not authorized to perform: {ask.action} on resource: {ask.resource} {why}"
                return refusal(call, 403, "UnauthorizedOperation" if call.service == "ec2" else "AccessDenied", text)
        return None

    def why_not(self, ask: Ask) -> str | None:
        """Why this is not allowed, in the words of AWS; None if it is."""
        own = [one for one in self._own if one.applies(ask)]
        theirs = [one for one in self._resource_policy(ask) if one.applies(ask)]
        if any(one.effect == "Deny" for one in own):
            return "with an explicit deny in an identity-based policy"
        if any(one.effect == "Deny" and one.names(self._role) for one in theirs):
            return "with an explicit deny in a resource-based policy"
        if any(one.names(self._role) for one in theirs):
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

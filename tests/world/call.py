"""What a request to AWS asks for: service, action and key, read off its first line, headers and form."""

import io
import re
from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote

CREDENTIAL = re.compile(r"Credential=(?P<key>[^/]+)/[^/]+/[^/]+/(?P<service>[^/]+)/aws4_request")

# The S3 calls that are told apart by method alone, once the sub-resources are out of the way.
OBJECT_ACTIONS = {"GET": "GetObject", "HEAD": "HeadObject", "PUT": "PutObject", "DELETE": "DeleteObject"}
BUCKET_READS = {"list-type": "ListObjectsV2", "versioning": "GetBucketVersioning", "versions": "ListObjectVersions"}
BUCKET_ACTIONS = {"GET": "ListObjects", "HEAD": "HeadBucket", "PUT": "CreateBucket", "DELETE": "DeleteBucket"}
# Those of an upload in parts, by method and sub-resource.
PART_ACTIONS = {
    ("POST", "uploads"): "CreateMultipartUpload",
    ("PUT", "uploadId"): "UploadPart",
    ("POST", "uploadId"): "CompleteMultipartUpload",
    ("DELETE", "uploadId"): "AbortMultipartUpload",
}


@dataclass
class Call:
    """One request to AWS."""

    service: str
    action: str
    access_key: str
    bucket: str = ""
    key: str = ""
    form: dict[str, str] = field(default_factory=dict)
    condition: str = ""
    body: str = ""


def parse(environ: dict) -> Call:
    """Reads a WSGI request. Never fails: what is not understood is named after its method."""
    credential = CREDENTIAL.search(environ.get("HTTP_AUTHORIZATION", ""))
    service = credential["service"] if credential else "s3"
    access_key = credential["key"] if credential else ""
    if service == "s3":
        return _s3(environ, access_key)
    target = environ.get("HTTP_X_AMZ_TARGET")
    if target:
        return Call(service, target.rpartition(".")[2], access_key)
    form = _form(environ)
    return Call(service, form.get("Action", environ["REQUEST_METHOD"]), access_key, form=form)


def _s3(environ: dict, access_key: str) -> Call:
    method, query = environ["REQUEST_METHOD"], environ.get("QUERY_STRING", "")
    bucket, _, key = unquote(environ.get("PATH_INFO", "/")).lstrip("/").partition("/")
    names = set(parse_qs(query, keep_blank_values=True)) - {"x-id"}
    if key:
        action = OBJECT_ACTIONS.get(method, method)
    else:
        action = BUCKET_ACTIONS.get(method, method)
        if method == "GET":
            action = next((BUCKET_READS[name] for name in BUCKET_READS if name in names), action)
    if method == "POST" and "delete" in names:
        action = "DeleteObjects"
    action = PART_ACTIONS.get((method, _part_of(names)), action)
    match, none_match = environ.get("HTTP_IF_MATCH"), environ.get("HTTP_IF_NONE_MATCH")
    condition = f"If-Match: {match}" if match else f"If-None-Match: {none_match}" if none_match else ""
    # Read now: whoever carries a write out later finds it although the connection is gone.
    body = _body(environ).decode(errors="replace") if action == "PutObject" else ""
    return Call("s3", action, access_key, bucket, key, condition=condition, body=body)


def _part_of(names: set[str]) -> str:
    return next((name for name in ("uploads", "uploadId") if name in names), "")


def _form(environ: dict) -> dict[str, str]:
    """The form of a query-protocol call."""
    if not environ.get("CONTENT_TYPE", "").startswith("application/x-www-form-urlencoded"):
        return {}
    return {name: values[0] for name, values in parse_qs(_body(environ).decode()).items()}


def _body(environ: dict) -> bytes:
    """What the request carries; it is put back for whoever reads it next."""
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    environ["wsgi.input"] = io.BytesIO(body)
    return body

"""The front before moto, with an application that shows how it is called."""

import io
import threading

from world.call import parse
from world.keylock import KeyLocks


def environ(method: str, path: str, query: str = "", service: str = "s3", body: bytes = b"", **headers) -> dict:
    return {
        "REQUEST_METHOD": method, "PATH_INFO": path, "QUERY_STRING": query, "wsgi.input": io.BytesIO(body),
        "CONTENT_LENGTH": str(len(body)), "CONTENT_TYPE": "application/x-www-form-urlencoded" if body else "",
        "HTTP_AUTHORIZATION": f"AWS4-HMAC-SHA256 Credential=ASIA1/20260101/eu-central-1/{service}/aws4_request, x",
        **headers,
    }  # fmt: skip


def test_calls_are_named_as_aws_names_them():
    named = lambda *request, **more: (lambda call: (call.action, call.bucket, call.key))(
        parse(environ(*request, **more))
    )
    assert named("PUT", "/b/a/k.json") == ("PutObject", "b", "a/k.json")
    assert named("PUT", "/b/a/k.json", "x-id=PutObject") == ("PutObject", "b", "a/k.json")
    for method, query, action in (
        ("POST", "uploads", "CreateMultipartUpload"),
        ("PUT", "partNumber=1&uploadId=u&x-id=UploadPart", "UploadPart"),
        ("POST", "uploadId=u", "CompleteMultipartUpload"),
        ("DELETE", "uploadId=u&x-id=AbortMultipartUpload", "AbortMultipartUpload"),
    ):
        assert named(method, "/b/a/k.zst", query) == (action, "b", "a/k.zst")
    assert named("GET", "/b/a%20b") == ("GetObject", "b", "a b")
    assert named("GET", "/b/", "list-type=2&prefix=x") == ("ListObjectsV2", "b", "")
    assert named("HEAD", "/b") == ("HeadBucket", "b", "")
    assert named("POST", "/b", "delete") == ("DeleteObjects", "b", "")
    assert named("POST", "/", service="ec2", body=b"Action=DescribeInstances&Version=1")[0] == "DescribeInstances"
    assert named("POST", "/", service="kms", HTTP_X_AMZ_TARGET="TrentService.DescribeKey")[0] == "DescribeKey"


def test_conditions_and_callers_are_read_off():
    call = parse(environ("PUT", "/b/k", HTTP_IF_NONE_MATCH="*"))
    assert (call.condition, call.access_key) == ("If-None-Match: *", "ASIA1")
    assert parse(environ("PUT", "/b/k", HTTP_IF_MATCH='"e"')).condition == 'If-Match: "e"'


def test_a_form_that_was_read_is_put_back():
    request = environ("POST", "/", service="ec2", body=b"Action=DescribeInstances")
    parse(request)
    assert request["wsgi.input"].read() == b"Action=DescribeInstances"


def test_one_key_is_locked_and_another_is_not():
    locks, met = KeyLocks(), threading.Barrier(2, timeout=5)

    def write(key: str) -> None:
        with locks.of("b", key):
            met.wait()

    threads = [threading.Thread(target=write, args=(key,)) for key in ("a", "b")]
    [thread.start() for thread in threads]
    [thread.join(5) for thread in threads]
    assert not met.broken, "two keys waited for each other"
    with locks.of("b", "a"):
        assert not locks.of("b", "a").acquire(timeout=0.05), "the same key has two locks"

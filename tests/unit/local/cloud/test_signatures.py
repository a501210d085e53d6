"""Verified signatures: what is accepted, and AWS's codes for what is not."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

import pytest
from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.signatures import Signature, SignatureFault, check, decode_chunks_untrusted, read_untrusted
from keyless.local.cloud.signatures.sigv4 import canonical_request, signing_key
from keyless.local.cloud.wire.http import HttpRequest
from unit.local.cloud.support import World, ask, refusal

EXAMPLE_SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
DATE = "20150830T123600Z"


def example(path: str, query: str, headers: tuple[tuple[str, str], ...], signed: str, signature: str) -> HttpRequest:
    """A request of AWS's published examples: region us-east-1, service ``service``."""
    authorization = (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request,"
        f" SignedHeaders={signed}, Signature={signature}"
    )
    base = (("host", "example.amazonaws.com"), *headers, ("x-amz-date", DATE), ("authorization", authorization))
    return HttpRequest("GET", path, query, base)


EXAMPLES = [
    example("/", "", (), "host;x-amz-date", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
    example(
        "/",
        "Param2=value2&Param1=value1",
        (),
        "host;x-amz-date",
        "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
    ),
    example(
        "/example1/example2/../..",
        "",
        (),
        "host;x-amz-date",
        "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
    ),
]


@pytest.mark.parametrize("request_", EXAMPLES)
def test_the_published_examples_verify(request_: HttpRequest) -> None:
    signature = read_untrusted(request_)
    assert isinstance(signature, Signature)
    assert check(request_, signature, EXAMPLE_SECRET, signature.signed_at) is None


@pytest.mark.parametrize("request_", EXAMPLES)
def test_the_published_examples_fail_with_another_secret(request_: HttpRequest) -> None:
    signature = read_untrusted(request_)
    assert isinstance(signature, Signature)
    fault = check(request_, signature, EXAMPLE_SECRET[:-1] + "Z", signature.signed_at)
    assert fault is not None
    assert fault[0] is SignatureFault.MISMATCH


def wrong_key(world: World) -> dict[str, str]:
    return {"AccessKeyId": world.cloud.admin_credentials().access_key_id, "SecretAccessKey": "wrong"}


@pytest.mark.parametrize(
    ("service", "operation", "code", "status"),
    [
        ("sts", "get_caller_identity", "SignatureDoesNotMatch", 403),
        ("eks", "list_clusters", "InvalidSignatureException", 403),
        ("secretsmanager", "list_secrets", "InvalidSignatureException", 400),
        ("s3", "list_buckets", "SignatureDoesNotMatch", 403),
    ],
)
def test_a_wrong_secret_is_refused_in_each_service_s_words(
    world: World, service: str, operation: str, code: str, status: int
) -> None:
    answer = refusal(getattr(world.aws(service, wrong_key(world)), operation))
    assert (answer[0], answer[2]) == (code, status)
    assert answer[1].startswith("The request signature we calculated does not match the signature you provided.")


@pytest.mark.parametrize(
    ("service", "operation", "code"),
    [
        ("sts", "get_caller_identity", "InvalidClientTokenId"),
        ("eks", "list_clusters", "UnrecognizedClientException"),
        ("ssm", "describe_parameters", "UnrecognizedClientException"),
        ("s3", "list_buckets", "InvalidAccessKeyId"),
    ],
)
def test_an_unknown_key_is_refused_in_each_service_s_words(
    world: World, service: str, operation: str, code: str
) -> None:
    key = {"AccessKeyId": "AKIAIOSFODNN7EXAMPLE", "SecretAccessKey": "x"}
    assert refusal(getattr(world.aws(service, key), operation))[0] == code


def test_an_altered_session_token_is_refused(world: World) -> None:
    credentials = world.aws("sts").get_session_token()["Credentials"]
    token = credentials["SessionToken"]
    middle = len(token) // 2
    altered = token[:middle] + ("A" if token[middle] != "A" else "B") + token[middle + 1 :]
    answer = refusal(world.aws("sts", {**credentials, "SessionToken": altered}).get_caller_identity)
    assert answer[0] == "InvalidClientTokenId"


def test_a_token_of_one_session_does_not_serve_another(world: World) -> None:
    first, second = (world.aws("sts").get_session_token()["Credentials"] for _ in range(2))
    mixed = {**first, "SessionToken": second["SessionToken"]}
    assert refusal(world.aws("sts", mixed).get_caller_identity)[0] == "InvalidClientTokenId"


def test_no_signature_is_missing_authentication(world: World) -> None:
    assert refusal(world.aws("sts", False).get_caller_identity)[:2] == (
        "MissingAuthenticationToken",
        "Request is missing Authentication Token",
    )


def test_a_signature_of_another_time_is_refused(world: World) -> None:
    made = presigned(world, expires=60)
    world.clock.pass_seconds(901)
    status, _, body = world.loop.run(ask(world.cloud.app, "GET", "/", query=made))
    assert status == 403
    assert b"Signature expired: " in body


def presigned(world: World, *, expires: int) -> str:
    admin = world.cloud.admin_credentials()
    request = AWSRequest("GET", "http://127.0.0.1:4566/?Action=GetCallerIdentity&Version=2011-06-15")
    keys = Credentials(admin.access_key_id, admin.secret_access_key)
    SigV4QueryAuth(keys, "sts", "us-west-2", expires=expires).add_auth(request)
    return request.url.partition("?")[2]


def test_a_presigned_request_is_accepted(world: World) -> None:
    status, _, body = world.loop.run(ask(world.cloud.app, "GET", "/", query=presigned(world, expires=60)))
    assert status == 200
    assert b"user/keyless-admin" in body


def test_a_presigned_request_with_one_argument_more_is_refused(world: World) -> None:
    query = presigned(world, expires=60) + "&Extra=1"
    assert world.loop.run(ask(world.cloud.app, "GET", "/", query=query))[0] == 403


def test_a_body_that_was_changed_on_the_way_is_refused(world: World) -> None:
    sent: dict[str, Any] = {}

    def keep(request: Any, **_: Any) -> None:
        sent.update(headers={name: _text(value) for name, value in request.headers.items()}, body=request.body)

    sts = world.aws("sts")
    sts.meta.events.register_first("before-send", keep)
    sts.get_caller_identity()
    headers = {**sent["headers"], "host": "127.0.0.1:4566"}
    body = sent["body"].encode() if isinstance(sent["body"], str) else sent["body"]
    assert world.loop.run(ask(world.cloud.app, "POST", "/", headers=headers, body=body))[0] == 200
    altered = body.replace(b"GetCallerIdentity", b"GetSessionToken")
    status, _, answer = world.loop.run(ask(world.cloud.app, "POST", "/", headers=headers, body=altered))
    assert status == 403
    assert b"SignatureDoesNotMatch" in answer


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


# aws-chunked -------------------------------------------------------------------------------------------------------


def chunked(body: bytes, *, form: str, signature: str = "") -> HttpRequest:
    authorization = (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/s3/aws4_request,"
        f" SignedHeaders=host;x-amz-date, Signature={signature or '0' * 64}"
    )
    headers = (
        ("host", "127.0.0.1"),
        ("x-amz-date", DATE),
        ("content-encoding", "aws-chunked"),
        ("x-amz-content-sha256", form),
        ("authorization", authorization),
    )
    return HttpRequest("PUT", "/bucket/key", "", headers, body)


def test_unsigned_chunks_are_joined_and_their_trailer_becomes_a_header() -> None:
    body = b"5\r\nhello\r\n6\r\n world\r\n0\r\nx-amz-checksum-crc32:DUoRhQ==\r\n\r\n"
    found = decode_chunks_untrusted(chunked(body, form="STREAMING-UNSIGNED-PAYLOAD-TRAILER"), None, "")
    assert found.body == b"hello world"
    assert found.header("x-amz-checksum-crc32") == "DUoRhQ=="
    assert found.header("content-encoding") == ""


@pytest.mark.parametrize("body", [b"5\r\nhel", b"zz\r\n", b"5\r\nhelloXX0\r\n\r\n", b"", b"ffffffff\r\nx"])
def test_broken_chunks_are_an_incomplete_body(body: bytes) -> None:
    with pytest.raises(AwsError) as caught:
        decode_chunks_untrusted(chunked(body, form="STREAMING-UNSIGNED-PAYLOAD-TRAILER"), None, "")
    assert caught.value.code == "IncompleteBody"


def test_signed_chunks_must_chain_from_the_request_s_signature() -> None:
    form = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
    seed = "ab" * 32
    empty = hashlib.sha256(b"").hexdigest()
    key = signing_key(EXAMPLE_SECRET, "20150830", "us-east-1", "s3")
    scope = "20150830/us-east-1/s3/aws4_request"
    body, previous = b"", seed
    for piece in (b"hello", b""):
        text = f"AWS4-HMAC-SHA256-PAYLOAD\n{DATE}\n{scope}\n{previous}\n{empty}\n{hashlib.sha256(piece).hexdigest()}"
        previous = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
        body += f"{len(piece):x};chunk-signature={previous}\r\n".encode() + piece + b"\r\n"
    request = chunked(body, form=form, signature=seed)
    signature = read_untrusted(request)
    assert isinstance(signature, Signature)
    assert decode_chunks_untrusted(request, signature, EXAMPLE_SECRET).body == b"hello"
    tampered = chunked(body.replace(b"hello", b"jello"), form=form, signature=seed)
    with pytest.raises(AwsError) as caught:
        decode_chunks_untrusted(tampered, signature, EXAMPLE_SECRET)
    assert caught.value.code == "SignatureDoesNotMatch"


def test_a_path_is_encoded_twice_except_for_s3() -> None:
    request = HttpRequest("GET", "/tags/arn%3Aaws", "", (("host", "127.0.0.1"),))
    signature = Signature("A", "20150830", "r", "eks", ("host",), "v", DATE, "", False, 0)
    assert canonical_request(request, signature, "h").splitlines()[1] == "/tags/arn%253Aaws"
    signature = Signature("A", "20150830", "r", "s3", ("host",), "v", DATE, "", False, 0)
    assert canonical_request(request, signature, "h").splitlines()[1] == "/tags/arn%3Aaws"


@pytest.mark.parametrize(
    "date", ["20260231T000000Z", "20260921T246000Z", "2026-09-21T14:13:20Z", "20260921T141320", "２0260921T141320Z", ""]
)
def test_a_date_that_is_none_makes_a_signature_incomplete(date: str) -> None:
    scope = f"Credential=AKIA/{date[:8]}/us-west-2/sts/aws4_request, SignedHeaders=host, Signature=00"
    headers = (("host", "h"), ("x-amz-date", date), ("authorization", f"AWS4-HMAC-SHA256 {scope}"))
    assert read_untrusted(HttpRequest("GET", "/", "", headers)) is SignatureFault.INCOMPLETE

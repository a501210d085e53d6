"""The gateway's door: hosts, sizes, services told apart, broken bodies."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.signatures import decode_chunks_untrusted
from keyless.local.cloud.wire.asgi import loopback_host
from keyless.local.cloud.wire.http import HttpRequest
from keyless.local.cloud.wire.models import load
from keyless.local.cloud.wire.structures import parse_xml_untrusted
from unit.local.cloud.support import World, ask


@pytest.mark.parametrize("host", ["127.0.0.1:4566", "127.3.2.1", "localhost:1", "[::1]:4566", "bucket.localhost:4566"])
def test_loopback_names_are_served(host: str) -> None:
    assert loopback_host(host)


@pytest.mark.parametrize(
    "host",
    ["", "evil.example", "127.0.0.1.evil.example", "10.0.0.1:4566", "localhost.evil", "0.0.0.0", "169.254.169.254"],
)
def test_other_names_are_not(world: World, host: str) -> None:
    assert not loopback_host(host)
    assert world.loop.run(ask(world.cloud.app, "GET", "/", headers={"host": host}))[0] == 403


def test_a_body_that_is_too_large_is_refused_before_it_is_read(world: World) -> None:
    headers = {"content-type": "application/x-www-form-urlencoded"}
    status, _, body = world.loop.run(ask(world.cloud.app, "POST", "/", headers=headers, body=b"a" * (1 << 17)))
    assert status == 413
    assert b"RequestEntityTooLarge" in body


def test_an_unsigned_form_with_an_unknown_action_is_an_invalid_one(world: World) -> None:
    headers = {"content-type": "application/x-www-form-urlencoded"}
    body = b"Action=Nonsense&Version=2011-06-15"
    status, answered, answer = world.loop.run(ask(world.cloud.app, "POST", "/", headers=headers, body=body))
    assert status == 400
    assert b"<Code>InvalidAction</Code>" in answer
    assert answered["x-amzn-requestid"]


@pytest.mark.parametrize("body", [b"\xff\xfe", b"Action=" + b"&a=1" * 6000, b"A" + b".a" * 100 + b"=1"])
def test_a_form_that_is_none_is_refused(world: World, body: bytes) -> None:
    headers = {"content-type": "application/x-www-form-urlencoded"}
    assert world.loop.run(ask(world.cloud.app, "POST", "/", headers=headers, body=body))[0] == 400


def test_a_service_that_is_not_here_is_named(world: World) -> None:
    authorization = (
        "AWS4-HMAC-SHA256 Credential=AKIA/20260921/us-west-2/sqs/aws4_request, SignedHeaders=host, Signature=00"
    )
    headers = {"authorization": authorization, "x-amz-date": "20260921T141320Z"}
    status, _, body = world.loop.run(ask(world.cloud.app, "POST", "/", headers=headers))
    assert status == 501
    assert b"sqs is not part of this cloud" in body


@pytest.mark.parametrize(
    "body",
    [
        b'<!DOCTYPE a [<!ENTITY b "bbbb">]><a>&b;</a>',
        b"<a><b></a>",
        b"\xff\xfe<\x00a\x00/\x00>\x00",
        b"",
    ],
)
def test_dangerous_or_broken_xml_is_malformed(body: bytes) -> None:
    with pytest.raises(Exception, match="MalformedXML"):
        parse_xml_untrusted(body)


@pytest.mark.parametrize(
    ("method", "path", "query", "operation"),
    [
        ("GET", "/", "", "ListBuckets"),
        ("GET", "/bucket", "list-type=2&prefix=a", "ListObjectsV2"),
        ("GET", "/bucket/", "", "ListObjects"),
        ("GET", "/bucket", "location", "GetBucketLocation"),
        ("GET", "/bucket/a/b//c", "", "GetObject"),
        ("GET", "/bucket/key", "uploadId=1", "ListParts"),
        ("PUT", "/bucket/key", "partNumber=1&uploadId=1", "UploadPart"),
        ("PUT", "/bucket/key", "x-id=PutObject", "PutObject"),
        ("POST", "/bucket", "delete", "DeleteObjects"),
        ("HEAD", "/bucket/key", "", "HeadObject"),
    ],
)
def test_paths_of_s3_mean_operations(method: str, path: str, query: str, operation: str) -> None:
    request = HttpRequest(method, path, query, (("host", "127.0.0.1"),))
    match = load("s3", ()).routes.match(request)
    assert match is not None
    assert match.operation == operation


def test_a_copy_is_told_from_a_put_by_its_header() -> None:
    headers = (("host", "127.0.0.1"), ("x-amz-copy-source", "/a/b"))
    match = load("s3", ()).routes.match(HttpRequest("PUT", "/bucket/key", "", headers))
    assert match is not None
    assert match.operation == "CopyObject"


def test_the_labels_of_a_path_are_decoded_after_it_is_split() -> None:
    request = HttpRequest("GET", "/tags/arn%3Aaws%3Aeks%3Ar%3Aa%3Acluster%2Fc", "", ())
    match = load("eks", ()).routes.match(request)
    assert match is not None
    assert match.labels == {"resourceArn": "arn:aws:eks:r:a:cluster/c"}


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ({"authorization": "AWS4-HMAC-SHA256 nonsense"}, ""),
        ({"authorization": "Basic YTpi"}, ""),
        ({"authorization": "AWS4-HMAC-SHA256 Credential=///, SignedHeaders=, Signature="}, ""),
        ({"x-amz-target": "Nobody.Nothing"}, ""),
        ({"x-amz-target": "secretsmanager.Nothing"}, ""),
        ({}, "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Expires=99999999999"),
        ({}, "Action=GetCallerIdentity&Version=%ff"),
        ({"content-type": "application/x-www-form-urlencoded"}, "Action=AssumeRoleWithWebIdentity"),
    ],
)
def test_whatever_arrives_is_answered_with_an_error_of_aws(world: World, headers: dict[str, str], query: str) -> None:
    status, _, body = world.loop.run(ask(world.cloud.app, "POST", "/", query=query, headers=headers))
    assert 400 <= status < 500
    assert b"Code" in body or b"__type" in body


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    body=st.binary(max_size=200), path=st.text("/abc%2F.{}:", max_size=20), target=st.sampled_from(["", "AmazonSSM.X"])
)
def test_no_bytes_bring_the_gateway_down(world: World, body: bytes, path: str, target: str) -> None:
    headers = {"x-amz-target": target} if target else {}
    asked = ask(world.cloud.app, "POST", "/" + path, headers=headers, body=body)
    assert world.loop.run(asked)[0] < 500


@settings(max_examples=100, deadline=None)
@given(body=st.binary(max_size=300))
def test_chunks_are_decoded_or_refused(body: bytes) -> None:
    headers = (("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"),)
    request = HttpRequest("PUT", "/b/k", "", headers, body)
    with suppress(AwsError):
        assert isinstance(decode_chunks_untrusted(request, None, "").body, bytes)

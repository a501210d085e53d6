"""Any bytes at the gateway end in an answer of AWS's, never in an internal error; in bounded time and memory.

``KEYLESS_FUZZ=100`` tries a hundred times as hard.
"""

from __future__ import annotations

import base64
import json
import logging
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.loaders import Loader
from hypothesis import given
from hypothesis import strategies as st

from fuzzing import effort
from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.service import Service
from keyless.local.cloud.sessions import Sessions
from keyless.local.cloud.signatures import (
    Signature,
    SignatureFault,
    check,
    decode_chunks_untrusted,
    read_untrusted,
)
from keyless.local.cloud.wire.http import HttpRequest
from keyless.local.cloud.wire.shapes import Shape
from keyless.local.cloud.wire.structures import parse_xml_untrusted
from unit.local.cloud.support import ACCOUNT, World, ask

HOST = "127.0.0.1:4566"
SECONDS, BYTES = 5.0, 64 * 2**20
TEXTS = st.sampled_from(
    [
        "",
        "a",
        "billing",
        "true",
        "0",
        "-1",
        "1e309",
        "NaN",
        "9" * 400,
        "é\u0000\ud7ff😀",
        "../..",
        "%00%ff",
        "x" * 3000,
        "*",
        "[",
        "{}",
        '{"Version":"2012-10-17","Statement":[]}',
        f"arn:aws:iam::{ACCOUNT}:role/billing",
        f"arn:aws:iam::{ACCOUNT}:oidc-provider/x",
        "arn:aws:s3:::",
        "2026-13-45T99:99:99Z",
        "https://issuer.example/x",
        "a.b.c",
        "half \ud800 a character",
    ]
) | st.text(max_size=20)
ODD = st.none() | st.booleans() | st.integers() | st.floats() | TEXTS | st.lists(TEXTS, max_size=2)
NUMBERS = st.integers(-2, 70000) | st.sampled_from([2**31, 2**63, -(2**70), 0])


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    made = World()
    made.aws("s3").create_bucket(Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    yield made
    made.close()


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)


def value_of(shape: Shape, depth: int = 0) -> st.SearchStrategy[Any]:
    """Values that mostly have the kind that the model wants, and now and then do not."""
    if depth > 3:
        return ODD
    kind = shape.kind
    if kind == "structure":
        right: st.SearchStrategy[Any] = structure(shape, depth)
    elif kind == "list":
        right = st.lists(value_of(shape.member, depth + 1), max_size=2)
    elif kind == "map":
        right = st.dictionaries(TEXTS, value_of(shape.value, depth + 1), max_size=2)
    elif kind == "blob":
        right = st.binary(max_size=20).map(lambda data: base64.b64encode(data).decode())
    elif kind == "boolean":
        right = st.booleans()
    elif kind in {"integer", "long", "float", "double", "timestamp"}:
        right = NUMBERS
    else:
        right = st.sampled_from(shape.values) | TEXTS if shape.values else TEXTS
    return right | right | right | ODD


def structure(shape: Shape, depth: int = 0) -> st.SearchStrategy[dict[str, Any]]:
    members = {name: value_of(member, depth + 1) for name, member in shape.members.items()}
    needed = {name: members.pop(name) for name in shape.required if name in members}
    return st.fixed_dictionaries(needed, optional=members)


def plain(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else "" if value is None else str(value)


def dotted(value: Any, at: str) -> Iterator[tuple[str, str]]:
    """The query protocol's names, those of both list forms."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from dotted(inner, f"{at}.{name}" if at else name)
    elif isinstance(value, list):
        for number, inner in enumerate(value, 1):
            yield from dotted(inner, f"{at}.member.{number}")
    else:
        yield at, plain(value)


def send(world: World, service: str, request: tuple[str, str, str, dict[str, str], bytes]) -> tuple[int, bytes]:
    """Sign a request as the administrator and send it."""
    method, path, query, headers, body = request
    named = {"host": HOST, **headers}
    admin = world.cloud.admin_credentials()
    url = f"http://{HOST}{path}" + (f"?{query}" if query else "")
    prepared = AWSRequest(method, url, data=body, headers=named)
    auth = S3SigV4Auth if service == "s3" else SigV4Auth
    auth(Credentials(admin.access_key_id, admin.secret_access_key), service, "us-west-2").add_auth(prepared)
    signed = {name.lower(): value for name, value in prepared.headers.items()}
    status, _, answer = world.loop.run(ask(world.cloud.app, method, path, query=query, headers=signed, body=body))
    return status, answer


def bounded(world: World, service: Service, request: tuple[str, str, str, dict[str, str], bytes]) -> None:
    began = time.process_time()
    status, answer = send(world, service.scopes[0], request)
    assert status < 500 or status == 501, (request[:3], request[4][:500], answer)
    assert time.process_time() - began < SECONDS


RAW = {name: Loader().load_service_model(name, "service-2")["operations"] for name in ("s3", "eks", "eks-auth")}


@st.composite
def calls(draw: st.DrawFn, service: Service) -> tuple[str, str, str, dict[str, str], bytes]:
    """A request for one of the service's operations, in its protocol."""
    name = draw(st.sampled_from(sorted(service.table)))
    shape = service.model.operation(name).input_shape
    params = draw(structure(shape)) if shape else {}
    protocol = service.model.protocol
    if protocol == "query":
        fields = [("Action", name), ("Version", service.model.version), *dotted(params, "")]
        text = urlencode([(key.encode("utf-8", "replace"), val.encode("utf-8", "replace")) for key, val in fields])
        return "POST", "/", "", {"content-type": "application/x-www-form-urlencoded"}, text.encode()
    if protocol == "json":
        headers = {"content-type": "application/x-amz-json-1.1", "x-amz-target": f"{service.target_prefix}.{name}"}
        return "POST", "/", "", headers, as_json(params)
    return rest(service, name, shape, params)


def as_json(value: Any) -> bytes:
    return json.dumps(value).encode("utf-8", "replace")


def rest(
    service: Service, name: str, shape: Shape | None, params: dict[str, Any]
) -> tuple[str, str, str, dict[str, str], bytes]:
    http = RAW[service.name][name]["http"]
    path, _, query = http["requestUri"].partition("?")
    arguments, headers, body = [query] if query else [], {}, {}
    for member, item in params.items():
        placed = shape.members[member] if shape else None
        where, wire = (placed.location, placed.wire or member) if placed else ("", member)
        text = plain(item)[:200]
        if where == "uri":
            segment = quote(text.encode("utf-8", "replace"), safe="") or "bucket"
            path = path.replace("{" + wire + "}", segment).replace("{" + wire + "+}", segment)
        elif where == "querystring":
            arguments.append(f"{quote(wire)}={quote(text.encode('utf-8', 'replace'), safe='')}")
        elif where == "header":
            headers[wire.lower()] = (
                text.encode("ascii", "replace").decode().replace("\n", " ").replace("\r", " ").replace("\0", "")
            )
        elif not where:
            body[member] = item
    if path.startswith("/{Bucket}"):
        path = path.replace("{Bucket}", "bucket")
    content = as_json(body) if service.model.protocol == "rest-json" else markup(name, body)
    headers.pop("host", None)
    headers.pop("content-length", None)
    return http["method"], path.replace("{", "").replace("}", ""), "&".join(arguments), headers, content


def markup(name: str, value: Any) -> bytes:
    """XML of whatever shape."""
    if isinstance(value, dict):
        inner = b"".join(markup(key, item) for key, item in value.items() if key.isidentifier())
    elif isinstance(value, list):
        inner = b"".join(markup("member", item) for item in value)
    else:
        inner = plain(value).encode("utf-8", "replace").replace(b"&", b"&amp;").replace(b"<", b"&lt;")
    return b"<%s>%s</%s>" % (name.encode(), inner, name.encode()) if value != {} else b""


@pytest.mark.parametrize("name", ["sts", "iam", "eks", "eks-auth", "s3", "secretsmanager", "ssm", "kms"])
@given(data=st.data())
@effort(12)
def test_a_call_with_any_parameters_is_answered(world: World, name: str, data: st.DataObject) -> None:
    service = next(one for one in world.cloud.app.services if one.name == name)
    bounded(world, service, data.draw(calls(service)))


@pytest.mark.parametrize("name", ["sts", "eks", "s3", "ssm"])
@given(body=st.binary(max_size=200) | st.sampled_from([b"[" * 5000, b'{"a":' * 5000, b"<a>" * 5000, b"a=" * 9000]))
@effort(12)
def test_a_call_with_any_body_is_answered(world: World, name: str, body: bytes) -> None:
    service = next(one for one in world.cloud.app.services if one.name == name)
    target = {"x-amz-target": f"{service.target_prefix}.PutParameter"} if service.target_prefix else {}
    bounded(world, service, ("POST", "/bucket", "delete", target, body))


# Parsers by themselves ----------------------------------------------------------------------------------------------

HEADERS = st.lists(
    st.tuples(
        st.sampled_from(
            ["authorization", "host", "x-amz-date", "x-amz-content-sha256", "x-amz-security-token", "content-encoding"]
        ),
        st.sampled_from(
            [
                "AWS4-HMAC-SHA256 Credential=AKIA/20260921/us-west-2/s3/aws4_request, SignedHeaders=host, Signature=00",
                "AWS4-HMAC-SHA256 Credential=/////, SignedHeaders=, Signature=",
                "AWS4-HMAC-SHA256",
                "AWS4-HMAC-SHA256 Credential=a/b/c/d/aws4_request,SignedHeaders=a;;b,Signature=" + "f" * 64,
                "AWS AKIA:sig",
                "20260921T000000Z",
                "20269999T999999Z",
                "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
                "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
                "UNSIGNED-PAYLOAD",
                "aws-chunked",
                "127.0.0.1",
            ]
        )
        | st.text(max_size=30),
    ),
    max_size=8,
)
QUERIES = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "X-Amz-Algorithm",
                "X-Amz-Credential",
                "X-Amz-Date",
                "X-Amz-Expires",
                "X-Amz-SignedHeaders",
                "X-Amz-Signature",
                "a",
            ]
        ),
        st.sampled_from(["AWS4-HMAC-SHA256", "A/20260921/r/s3/aws4_request", "20260921T000000Z", "60", "host", "%ZZ"])
        | st.text(max_size=12),
    ),
    max_size=8,
).map(lambda pairs: "&".join(f"{name}={quote(value, safe='%')}" for name, value in pairs))
CHUNKS = st.lists(
    st.sampled_from(
        [
            b"5\r\nhello\r\n",
            b"0\r\n\r\n",
            b"ffffffffffffffff\r\n",
            b"-1\r\n",
            b"5;chunk-signature=00\r\nhello\r\n",
            b"x:y\r\n",
        ]
    )
    | st.binary(max_size=12),
    max_size=6,
).map(b"".join)


@given(headers=HEADERS, query=QUERIES, body=CHUNKS, path=st.text(alphabet="/%.~ aé2F\x00", max_size=12))
@effort(60)
def test_signatures_and_chunks_are_read_or_refused(
    headers: list[tuple[str, str]], query: str, body: bytes, path: str
) -> None:
    request = HttpRequest("PUT", f"/{path}", query, tuple(headers), body)
    found = read_untrusted(request)
    assert isinstance(found, Signature | SignatureFault)
    signature = found if isinstance(found, Signature) else None
    if signature:
        assert check(request, signature, "secret", 1_790_000_000.0) is not None
    try:
        plain_request = decode_chunks_untrusted(request, signature, "secret")
    except AwsError:
        return
    assert len(plain_request.body) <= len(body)


@given(st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace")) | st.binary(max_size=100))
@effort(60)
def test_xml_is_read_or_refused(body: bytes) -> None:
    with suppress(AwsError):
        parse_xml_untrusted(b"<a>" + body + b"</a>")


@pytest.mark.parametrize(
    "body",
    [
        b'<!DOCTYPE a [<!ENTITY x "xxxxxxxxxx">' + b"<!ENTITY y '&x;&x;&x;&x;&x;&x;&x;&x;'>]><a>&y;</a>",
        b"<a " + b" ".join(b'b%d="x"' % number for number in range(60_000)) + b"/>",
        b"<a>" * 60_000 + b"</a>" * 60_000,
        b"<a>" + b"&#65;" * 200_000 + b"</a>",
    ],
    ids=["entities", "attributes", "deep", "references"],
)
def test_xml_bombs_cost_little(body: bytes) -> None:
    tracemalloc.start()
    began = time.process_time()
    with suppress(AwsError):
        parse_xml_untrusted(body)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert time.process_time() - began < SECONDS
    assert most < BYTES


@given(
    st.text(max_size=80)
    | st.binary(max_size=80).map(lambda data: "IQoJb3JpZ2luX2Vj" + base64.urlsafe_b64encode(data).decode())
)
@effort(60)
def test_a_session_token_that_is_not_ours_is_nobody_s(world: World, token: str) -> None:
    assert Sessions(world.cloud.database).read_untrusted(token) is None

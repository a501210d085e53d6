"""Attacks on the gateway: each is refused, in bounded time, and changes nothing."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from importlib import import_module
from typing import Any
from urllib.parse import quote

import orjson
import pytest
from botocore.auth import S3SigV4QueryAuth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.serve import serve
from keyless.local.cloud.wire.asgi import read_body
from unit.local.cloud.support import World, allow, ask, document, refusal

HOST = "http://127.0.0.1:4566"
BUCKET = "attacked-bucket"
#: far more than any of these takes, far less than a blow-up
BOUND_SECONDS = 2.0  # of the processor: what others run meanwhile does not count


def keys(world: World) -> Credentials:
    admin = world.cloud.admin_credentials()
    return Credentials(admin.access_key_id, admin.secret_access_key)


@pytest.fixture
def s3(world: World) -> Any:
    made = world.aws("s3")
    made.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    made.put_object(Bucket=BUCKET, Key="secret", Body=b"hidden")
    return made


def signed(
    world: World,
    service: str,
    *,
    region: str = "us-west-2",
    target: str = "",
    body: bytes = b"{}",
) -> dict[str, str]:
    """The headers of a signed POST to ``/``."""
    headers = {"content-type": "application/x-amz-json-1.1", "host": "127.0.0.1:4566"}
    if target:
        headers["x-amz-target"] = target
    request = AWSRequest("POST", HOST + "/", data=body, headers=headers)
    SigV4Auth(keys(world), service, region).add_auth(request)
    return {name.lower(): value for name, value in request.headers.items()}


def presigned(world: World, key: str, *, expires: int = 60, method: str = "GET") -> tuple[str, str]:
    request = AWSRequest(method, f"{HOST}/{BUCKET}/{key}")
    S3SigV4QueryAuth(keys(world), "s3", "us-west-2", expires=expires).add_auth(request)
    path, _, query = request.url.removeprefix(HOST).partition("?")
    return path, query


def send(world: World, method: str, path: str, **more: Any) -> tuple[int, bytes]:
    status, _, body = world.loop.run(ask(world.cloud.app, method, path, **more))
    return status, body


# Presigned URLs -----------------------------------------------------------------------------------------------------


def test_a_presigned_url_is_good_until_it_expires_and_not_a_second_longer(world: World, s3: Any) -> None:
    path, query = presigned(world, "secret", expires=60)
    world.clock.pass_seconds(60)
    assert send(world, "GET", path, query=query) == (200, b"hidden")
    world.clock.pass_seconds(1)
    status, body = send(world, "GET", path, query=query)
    assert (status, b"Request has expired" in body) == (403, True)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("X-Amz-Expires=60", "X-Amz-Expires=600"),
        ("us-west-2", "us-east-1"),
        ("X-Amz-SignedHeaders=host", "X-Amz-SignedHeaders=host%3Bx-amz-date"),
        ("X-Amz-Algorithm=AWS4-HMAC-SHA256", "X-Amz-Algorithm=none"),
        ("X-Amz-Expires=60", "X-Amz-Expires=604801"),
        ("X-Amz-Expires=60", "X-Amz-Expires=-1"),
        ("X-Amz-Expires=60", "X-Amz-Expires=" + "9" * 5000),
        ("X-Amz-Expires=60", "X-Amz-Expires=60&versionId=null"),
    ],
)
def test_a_presigned_url_with_one_thing_changed_is_refused(world: World, s3: Any, old: str, new: str) -> None:
    path, query = presigned(world, "secret")
    assert old in query
    status, body = send(world, "GET", path, query=query.replace(old, new))
    assert status in {400, 403}
    assert b"hidden" not in body


@pytest.mark.parametrize(("method", "path"), [("PUT", f"/{BUCKET}/secret"), ("GET", f"/{BUCKET}/other")])
def test_a_presigned_url_is_for_its_method_and_key_alone(world: World, s3: Any, method: str, path: str) -> None:
    _, query = presigned(world, "secret")
    assert send(world, method, path, query=query, body=b"x" if method == "PUT" else b"")[0] == 403
    assert s3.get_object(Bucket=BUCKET, Key="secret")["Body"].read() == b"hidden"


def test_a_presigned_put_cannot_be_made_a_copy_by_a_header(world: World, s3: Any) -> None:
    path, query = presigned(world, "mine", method="PUT")
    headers = {"x-amz-copy-source": f"/{BUCKET}/secret"}
    status, body = send(world, "PUT", path, query=query, headers=headers)
    assert status == 403
    assert b"headers present in the request which were not signed" in body
    assert refusal(s3.head_object, Bucket=BUCKET, Key="mine")[0] == "404"


# Headers and scope --------------------------------------------------------------------------------------------------


def test_the_operation_cannot_be_changed_by_a_header_that_was_not_signed(world: World) -> None:
    headers = signed(world, "secretsmanager") | {"x-amz-target": "secretsmanager.ListSecrets"}
    status, body = send(world, "POST", "/", headers=headers, body=b"{}")
    assert status == 400
    assert b"must be a 'SignedHeader'" in body


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x-amz-target", "secretsmanager.CreateSecret"),
        ("x-amz-date", "20260921T000000Z"),
        ("host", "127.0.0.1:4567"),
        ("content-type", "application/x-amz-json-1.0"),
    ],
)
def test_a_signed_header_that_was_changed_is_refused(world: World, name: str, value: str) -> None:
    headers = signed(world, "secretsmanager", target="secretsmanager.ListSecrets") | {name: value}
    assert send(world, "POST", "/", headers=headers, body=b"{}")[0] in {400, 403}


def test_a_signature_for_one_service_does_not_open_another(world: World) -> None:
    headers = signed(world, "ssm", target="secretsmanager.ListSecrets")
    status, body = send(world, "POST", "/", headers=headers, body=b"{}")
    assert status == 400
    assert b"SecretList" not in body


@pytest.mark.parametrize("part", ["us-west-2", "secretsmanager", "aws4_request"])
def test_a_scope_that_was_changed_after_signing_is_refused(world: World, part: str) -> None:
    headers = signed(world, "secretsmanager", target="secretsmanager.ListSecrets")
    headers["authorization"] = headers["authorization"].replace(f"/{part}", "/kms" if part != "us-west-2" else "/r")
    status, body = send(world, "POST", "/", headers=headers, body=b"{}")
    assert status in {400, 403}
    assert b"SecretList" not in body


async def raw(world: World, request: bytes) -> bytes:
    async with serve(world.cloud.app) as serving:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(serving.url.rpartition(":")[2]))
        writer.write(request)
        answer = await reader.read()
        writer.close()
        return answer


@pytest.mark.parametrize(
    "headers",
    [
        b"host: 127.0.0.1\r\nhost: evil.example\r\n",
        b"host: evil.example\r\nhost: 127.0.0.1\r\n",
        b"host: 127.0.0.1@evil.example\r\n",
        b"host: 127.0.0.1#.evil.example\r\n",
        b"host: 127.0.0.1.nip.example:80\r\n",
        b"host: 2130706433\r\n",
        b"x-forwarded-host: 127.0.0.1\r\nhost: evil.example\r\n",
        b"content-length: 0\r\n",
        b"host: 127.0.0.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n",
        b"host: 127.0.0.1\r\ntransfer-encoding: chunked\r\ncontent-length: 4\r\n",
    ],
)
async def test_hosts_and_lengths_that_say_two_things_are_refused(headers: bytes) -> None:
    world = World()
    try:
        answer = await raw(world, b"GET / HTTP/1.1\r\nconnection: close\r\n" + headers + b"\r\n")
    finally:
        world.close()
    assert answer.partition(b"\r\n")[0].split()[1] in {b"400", b"403"}


# Bodies -------------------------------------------------------------------------------------------------------------

DEEP = 100_000


@pytest.mark.parametrize(
    "body",
    [
        b"[" * DEEP,
        b'{"a":' * DEEP + b"1" + b"}" * DEEP,
        b'{"Filters":' + b"[" * 900 + b"]" * 900 + b"}",
        b'{"MaxResults":' + b"9" * 100_000 + b"}",
        b'{"MaxResults":1e999999}',
        b"\xff\xfe{}",
    ],
    ids=["open", "nested", "nested in a member", "digits", "exponent", "encoding"],
)
def test_json_bombs_are_refused_in_time(world: World, body: bytes) -> None:
    headers = signed(world, "secretsmanager", target="secretsmanager.ListSecrets", body=body)
    began = time.process_time()
    assert send(world, "POST", "/", headers=headers, body=body)[0] == 400
    assert time.process_time() - began < BOUND_SECONDS


@pytest.mark.parametrize(
    "body",
    [
        b'<!DOCTYPE d [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><Tagging>&b;</Tagging>',
        b'<!DOCTYPE d SYSTEM "file:///etc/passwd"><Tagging/>',
        b"<Tagging>" + b"<a>" * DEEP + b"</a>" * DEEP,
        b"<Tagging>" + b"<a/>" * (2 * 2**20),
        '<?xml version="1.0" encoding="UTF-16"?><Tagging/>'.encode("utf-16"),
    ],
    ids=["entities", "external", "deep", "wide", "encoding"],
)
def test_xml_bombs_are_refused_in_time(world: World, s3: Any, body: bytes) -> None:
    request = AWSRequest("PUT", f"{HOST}/{BUCKET}?tagging=", data=body, headers={"host": "127.0.0.1:4566"})
    SigV4Auth(keys(world), "s3", "us-west-2").add_auth(request)
    # S3 alone signs the header with the body's hash; without it the hash is computed, as here.
    headers = {name.lower(): value for name, value in request.headers.items()}
    began = time.process_time()
    status, answer = send(world, "PUT", f"/{BUCKET}", query="tagging=", headers=headers, body=body)
    assert (status, b"MalformedXML" in answer) == (400, True)
    assert time.process_time() - began < BOUND_SECONDS
    assert refusal(s3.get_bucket_tagging, Bucket=BUCKET)[0] == "NoSuchTagSet"


async def test_a_body_is_given_up_as_soon_as_it_is_too_large() -> None:
    pieces = 0

    async def receive() -> dict[str, Any]:
        nonlocal pieces
        pieces += 1
        return {"type": "http.request", "body": b"x" * 1000, "more_body": True}

    with pytest.raises(AwsError, match="RequestEntityTooLarge"):
        await read_body(receive, 10_000)
    assert pieces == 11


async def test_a_caller_cannot_choose_the_address_that_policies_see() -> None:
    seen: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["client"][0])
        await send({"type": "http.response.start", "status": 200, "headers": [(b"connection", b"close")]})
        await send({"type": "http.response.body", "body": b""})

    async with serve(app) as serving:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(serving.url.rpartition(":")[2]))
        writer.write(b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\nx-forwarded-for: 10.1.2.3\r\n\r\n")
        await reader.read()
        writer.close()
    assert seen == ["127.0.0.1"]


async def test_a_peer_that_stops_in_the_middle_of_its_body_is_given_up() -> None:
    async def receive() -> dict[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError

    with pytest.raises(AwsError, match="RequestTimeout"):
        await read_body(receive, 10_000, within_seconds=0.01)


async def test_a_peer_that_never_asks_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_module("keyless.local.heads"), "HEAD_SECONDS", 0.05)
    world = World()
    try:
        async with serve(world.cloud.app) as serving:
            reader, writer = await asyncio.open_connection("127.0.0.1", int(serving.url.rpartition(":")[2]))
            writer.write(b"GET / HT")
            with suppress(ConnectionResetError):
                assert await asyncio.wait_for(reader.read(), 5) == b""
            writer.close()
    finally:
        world.close()


# Policies -----------------------------------------------------------------------------------------------------------


def test_a_policy_that_is_built_to_blow_up_matching_decides_in_time(world: World, s3: Any) -> None:
    world.aws("iam").create_user(UserName="eve")
    stars = "arn:aws:s3:::" + "*a" * 60 + "*b"
    statement = allow("s3:" + "*t" * 40 + "*x", stars, Condition={"StringLike": {"s3:prefix": "*a" * 200 + "b"}})
    world.aws("iam").put_user_policy(UserName="eve", PolicyName="p", PolicyDocument=document(statement))
    made = world.aws("iam").create_access_key(UserName="eve")["AccessKey"]
    eve = world.aws("s3", made)
    began = time.process_time()
    key = "a" * 900
    assert refusal(eve.get_object, Bucket=BUCKET, Key=key)[0] == "AccessDenied"
    assert refusal(eve.list_objects_v2, Bucket=BUCKET, Prefix=key)[0] == "AccessDenied"
    assert time.process_time() - began < BOUND_SECONDS


@pytest.mark.parametrize(
    "text",
    [
        "[" * 2000,
        '{"Statement":' + "[" * 900 + "]" * 900 + "}",
        orjson.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow"}] * 2000}).decode(),
    ],
    ids=["open", "deep", "many"],
)
def test_a_policy_that_is_none_is_malformed_in_time(world: World, text: str) -> None:
    world.aws("iam").create_user(UserName="eve")
    began = time.process_time()
    code = refusal(world.aws("iam").put_user_policy, UserName="eve", PolicyName="p", PolicyDocument=text)[0]
    assert code in {"MalformedPolicyDocument", "LimitExceeded", "ValidationError"}
    assert time.process_time() - began < BOUND_SECONDS


@pytest.mark.parametrize("key", ["../other", "a/../../b", "%2e%2e/x", "a//b", ".", "\u202e", "a\nb"])
def test_a_key_is_a_name_and_no_path(world: World, s3: Any, key: str) -> None:
    path, query = presigned(world, quote(key, safe="/"), method="PUT")
    status, _ = send(world, "PUT", path, query=query, body=b"x")
    assert status in {200, 400, 403}
    listed = {one["Key"] for one in s3.list_objects_v2(Bucket=BUCKET)["Contents"]}
    assert listed <= {"secret", key}

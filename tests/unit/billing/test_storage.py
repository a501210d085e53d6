"""Every kind of bucket that usage may go to: what its policy demands, whose it is, and what another server lacks.

Two write: the collector, and the commands that record decisions. Both are held to the same table.
"""

from __future__ import annotations

import base64
import contextlib
import zlib
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from hypothesis import given
from hypothesis import strategies as st

from keyless.aws import AWS_FAILURES, Keys, Session
from keyless.aws.writing import Spared, Writing, spare
from keyless.billing.collector.ports import Put
from keyless.billing.collector.storing import S3
from keyless.billing.export.s3 import S3Bucket
from unit.billing.collector.answers import xml
from unit.billing.collector.test_clock import Machine
from unit.billing.collector.test_storing import Answers
from unit.local.cloud.support import World, _Wire, allow, document

KEY, BODY = "manifest/account=a/x", b"body"
HERE = {"LocationConstraint": "us-west-2"}
ENDPOINT = "http://127.0.0.1:4566"
ONLY_NEW = {"Null": {"s3:if-none-match": "true"}}
UNSIGNED = {"StringEquals": {"s3:x-amz-content-sha256": "UNSIGNED-PAYLOAD"}}
OWNER = "bucket-owner-full-control"


class Cloud:
    """One local cloud for the file; each test has a bucket and a role of its own."""

    def __init__(self, world: World) -> None:
        self._names = count()
        self._iam, self._sts = world.aws("iam"), world.aws("sts")
        self.s3, self.kms = world.aws("s3"), world.aws("kms")
        self.send = _Wire(world.loop, world.cloud.app, {})

    def bucket(self, **settings: Any) -> str:
        name = f"usage-{next(self._names)}"
        self.s3.create_bucket(Bucket=name, CreateBucketConfiguration=HERE, **settings)
        return name

    def writer(self, *actions: str) -> Keys:
        """A role that may do ``actions`` and no more."""
        name = f"writer-{next(self._names)}"
        trust = document({"Effect": "Allow", "Principal": {"AWS": "111122223333"}, "Action": "sts:AssumeRole"})
        arn = self._iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)["Role"]["Arn"]
        self._iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=document(allow(list(actions))))
        found = self._sts.assume_role(RoleArn=arn, RoleSessionName="writer")["Credentials"]
        return Keys(found["AccessKeyId"], found["SecretAccessKey"], found["SessionToken"])


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    world = World()
    yield Cloud(world)
    world.close()


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK's own retries wait for seconds."""
    monkeypatch.setattr("time.sleep", lambda _: None)


class Pool:
    """Stands for the command's HTTP pool."""

    def __init__(self, send: Any) -> None:
        self._send = send

    def send(self, request: Any) -> AWSResponse:
        return self._send(request)


def collector(
    bucket: str, keys: Keys, send: Any, writing: Writing, style: str = "auto", endpoint: str = ENDPOINT
) -> S3:
    session = Session.with_keys(keys, region="us-west-2", endpoints={"s3": endpoint} if endpoint else {})
    store = S3(session, bucket, Machine().clock(), endpoint=endpoint, writing=writing, addressing_style=style)
    store._opened().meta.events.register("before-send.s3", send)
    return store


def command(name: str, keys: Keys, send: Any, writing: Writing) -> S3Bucket:
    session = Session.with_keys(keys, region="us-west-2")
    bucket = S3Bucket(session, name, endpoint=ENDPOINT, writing=writing, sleep=lambda _: None)
    bucket._http = Pool(send)
    return bucket


async def written(who: str, bucket: str, keys: Keys, send: Any, writing: Writing) -> None:
    if who == "collector":
        await collector(bucket, keys, send, writing).put_new(KEY, BODY, "application/json")
    elif who == "report update":
        command(bucket, keys, send, writing).put_if(KEY, BODY, None)
    else:
        command(bucket, keys, send, writing).put_new(KEY, BODY)


def deny(bucket: str, condition: dict[str, Any]) -> dict[str, Any]:
    return allow("s3:PutObject", f"arn:aws:s3:::{bucket}/*", Principal="*", Condition=condition) | {"Effect": "Deny"}


SSE, SSE_KEY = "s3:x-amz-server-side-encryption", "s3:x-amz-server-side-encryption-aws-kms-key-id"
# what the bucket's policy refuses, the values that meet it, whether they must be set, what the object then has
DEMANDS = {
    "nothing": ({}, Writing(), False, "AES256"),
    "conditional writes": (ONLY_NEW, Writing(), False, "AES256"),
    "signed payloads": (UNSIGNED, Writing(), False, "AES256"),
    "TLS or loopback": ({"Bool": {"aws:SecureTransport": "null"}}, Writing(), False, "AES256"),
    "S3's encryption, by header": ({"StringNotEquals": {SSE: "AES256"}}, Writing("AES256"), True, "AES256"),
    "a header of encryption": ({"Null": {SSE: "true"}}, Writing("AES256"), True, "AES256"),
    "KMS": ({"StringNotEquals": {SSE: "aws:kms"}}, Writing("aws:kms"), True, "aws:kms"),
    "KMS twice over": ({"StringNotEquals": {SSE: "aws:kms:dsse"}}, Writing("aws:kms:dsse"), True, "aws:kms:dsse"),
    "this key": ({"StringNotEquals": {SSE_KEY: "KEY"}}, Writing("aws:kms", "KEY"), True, "aws:kms"),
    "the owner's full control": ({"StringNotEquals": {"s3:x-amz-acl": OWNER}}, Writing(acl=OWNER), True, "AES256"),
    "a checksum": ({}, Writing(checksum="CRC32"), False, "AES256"),
    "no checksum": ({}, Writing(checksum="none"), False, "AES256"),
    "its owner": ({}, Writing(owner="111122223333"), False, "AES256"),
}


@pytest.mark.parametrize("who", ["collector", "command", "report update"])
@pytest.mark.parametrize("demand", DEMANDS)
async def test_what_a_bucket_demands_the_values_meet(cloud: Cloud, who: str, demand: str) -> None:
    condition, writing, must_be_set, encryption = DEMANDS[demand]
    key = cloud.kms.create_key()["KeyMetadata"]["Arn"] if writing.kms_key else ""
    condition = {op: {name: key if v == "KEY" else v for name, v in one.items()} for op, one in condition.items()}
    writing = Writing(writing.encryption, key if writing.kms_key else "", writing.owner, writing.acl, writing.checksum)
    bucket = cloud.bucket()
    if condition:
        cloud.s3.put_bucket_policy(Bucket=bucket, Policy=document(deny(bucket, condition)))
    more = ["s3:PutObjectAcl"] if writing.acl else []
    keys = cloud.writer("s3:PutObject", *more, *(["kms:GenerateDataKey"] if writing.kms_key else []))
    if must_be_set:
        with pytest.raises(AWS_FAILURES) as refused:
            await written(who, bucket, keys, cloud.send, Writing())
        assert refused.value.code == "AccessDenied"
    await written(who, bucket, keys, cloud.send, writing)
    head = cloud.s3.head_object(Bucket=bucket, Key=KEY)
    assert head["ServerSideEncryption"] == encryption
    if writing.kms_key:
        assert head["SSEKMSKeyId"] == key


@pytest.mark.parametrize("who", ["collector", "command", "report update"])
async def test_a_key_that_the_role_may_not_use_is_named_with_the_right_that_lacks(cloud: Cloud, who: str) -> None:
    key = cloud.kms.create_key()["KeyMetadata"]["Arn"]
    with pytest.raises(AWS_FAILURES) as refused:
        await written(who, cloud.bucket(), cloud.writer("s3:PutObject"), cloud.send, Writing("aws:kms", key))
    assert "kms:GenerateDataKey" in str(refused.value)
    assert key in str(refused.value)


@pytest.mark.parametrize("who", ["collector", "command", "report update"])
async def test_in_the_bucket_of_another_account_nothing_is_stored(cloud: Cloud, who: str) -> None:
    bucket = cloud.bucket()
    with pytest.raises(AWS_FAILURES) as refused:
        await written(who, bucket, cloud.writer("s3:PutObject"), cloud.send, Writing(owner="999999999999"))
    assert refused.value.code == "AccessDenied"
    assert "Contents" not in cloud.s3.list_objects_v2(Bucket=bucket)


@pytest.mark.parametrize("who", ["collector", "command", "report update"])
@pytest.mark.parametrize("checksum", ["SHA256", "CRC32", "none"])
async def test_a_bucket_with_object_lock_takes_what_is_stored(cloud: Cloud, who: str, checksum: str) -> None:
    bucket = cloud.bucket(ObjectLockEnabledForBucket=True)
    rule = {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 30}}
    cloud.s3.put_object_lock_configuration(
        Bucket=bucket, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": rule}
    )
    await written(who, bucket, cloud.writer("s3:PutObject"), cloud.send, Writing(checksum=checksum))
    assert cloud.s3.head_object(Bucket=bucket, Key=KEY)["ObjectLockMode"] == "COMPLIANCE"


STORED = (200, b"", {})
NO_CONDITION = "A header you provided implies functionality that is not implemented"
NO_SUM = "Unsupported header 'x-amz-sdk-checksum-algorithm' received for this API call."
# what another server answers in turn, and which headers the write that it took is without
SERVERS = {
    "all that S3 has": ([STORED], set()),
    "no conditional writes": ([(501, xml("NotImplemented", NO_CONDITION), {}), STORED], {"if-none-match"}),
    "a condition is an argument to it": (
        [(400, xml("InvalidArgument", "If-None-Match is not supported"), {}), STORED],
        {"if-none-match"},
    ),
    "no checksums": ([(400, xml("InvalidArgument", NO_SUM), {}), STORED], {"x-amz-checksum-sha256"}),
    "checksums are not implemented": (
        [(501, xml("NotImplemented", "x-amz-checksum-sha256"), {}), STORED],
        {"x-amz-checksum-sha256"},
    ),
    "neither": (
        [(501, xml("NotImplemented", NO_CONDITION), {})] * 2 + [STORED],
        {"if-none-match", "x-amz-checksum-sha256"},
    ),
    "501 without a word": ([(501, b"", {}), STORED], {"if-none-match"}),
}


@pytest.mark.parametrize("who", ["collector", "command"])
@pytest.mark.parametrize("server", SERVERS)
async def test_another_server_is_spared_what_it_lacks_and_the_body_stays_guarded(who: str, server: str) -> None:
    answers, without = SERVERS[server]
    sent = Answers(*answers)
    await written(who, "usage", Keys("AKIA", "secret"), sent, Writing())
    assert len(sent.requests) == len(answers)
    headers = {name.lower() for name in sent.requests[-1].headers}
    assert headers & {"if-none-match", "x-amz-checksum-sha256"} == {"if-none-match", "x-amz-checksum-sha256"} - without
    assert ("content-md5" in headers) == ("x-amz-checksum-sha256" in without)
    assert sent.requests[-1].headers["X-Amz-Content-SHA256"] not in {"UNSIGNED-PAYLOAD", b"UNSIGNED-PAYLOAD"}


@pytest.mark.parametrize("server", SERVERS)
async def test_an_update_of_a_report_never_writes_without_its_condition(server: str) -> None:
    answers, _ = SERVERS[server]
    sent = Answers(*answers)
    with contextlib.suppress(AWS_FAILURES):
        await written("report update", "usage", Keys("AKIA", "secret"), sent, Writing())
    assert sent.requests
    assert all(request.headers["If-None-Match"] == "*" for request in sent.requests)


async def test_what_a_server_lacks_is_asked_of_it_once() -> None:
    sent = Answers((501, xml("NotImplemented"), {}), STORED)
    store = collector("usage", Keys("AKIA", "secret"), sent, Writing())
    for n in range(3):
        assert await store.put_new(f"{KEY}{n}", BODY, "application/json") == Put()
    assert len(sent.requests) == 4


async def test_a_proxy_s_refusal_of_a_moment_costs_the_condition_nothing() -> None:
    sent = Answers((501, b"", {}), (403, xml("AccessDenied"), {}), STORED)
    store = collector("usage", Keys("AKIA", "secret"), sent, Writing())
    with pytest.raises(AWS_FAILURES):
        await store.put_new(KEY, BODY, "application/json")
    await store.put_new(KEY, BODY, "application/json")
    assert "If-None-Match" in sent.requests[-1].headers


@pytest.mark.parametrize("who", ["collector", "command", "report update"])
@pytest.mark.parametrize(
    "refusal",
    [
        (403, "AccessDenied", "not authorized by If-None-Match"),
        (400, "InvalidArgument", "the key is odd"),
        (405, "MethodNotAllowed", "The specified method is not allowed against this resource."),
        (400, "BadDigest", "The checksum did not match"),
        (400, "KMS.NotFoundException", "no such key"),
    ],
    ids=lambda row: row[1],
)
async def test_a_refusal_about_anything_else_is_told(who: str, refusal: tuple[int, str, str]) -> None:
    status, code, message = refusal
    with pytest.raises(AWS_FAILURES) as raised:
        await written(who, "usage", Keys("AKIA", "secret"), Answers((status, xml(code, message), {})), Writing())
    assert raised.value.code == code


@pytest.mark.parametrize(
    ("style", "endpoint", "url"),
    [
        ("auto", "", "https://usage.s3.us-west-2.amazonaws.com/manifest"),
        ("path", "", "https://s3.us-west-2.amazonaws.com/usage/manifest"),
        ("auto", "http://store.example:9000", "http://store.example:9000/usage/manifest"),
        ("path", "https://store.example", "https://store.example/usage/manifest"),
        ("virtual", "https://store.example", "https://usage.store.example/manifest"),
    ],
)
async def test_the_bucket_is_named_where_its_server_looks_for_it(style: str, endpoint: str, url: str) -> None:
    sent = Answers(STORED)
    store = collector("usage", Keys("AKIA", "secret"), sent, Writing(), style, endpoint)
    await store.put_new(KEY, BODY, "application/json")
    assert sent.requests[0].url.startswith(url)


def test_a_checksum_is_of_the_body() -> None:
    assert Writing().members(b"", "t")["ChecksumSHA256"] == "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
    crc = base64.b64encode(zlib.crc32(b"body").to_bytes(4, "big")).decode()
    assert Writing(checksum="CRC32").members(b"body", "t")["ChecksumCRC32"] == crc
    assert Writing(checksum="none").members(b"", "t")["ContentMD5"] == "1B2M2Y8AsgTpgAmY7PhCfg=="


CODES = ["NotImplemented", "501", "InvalidArgument", "InvalidRequest", "AccessDenied", "SlowDown", "MethodNotAllowed"]
TEXTS = st.sampled_from(["", "If-None-Match", "x-amz-checksum-sha256", "a method", NO_CONDITION]) | st.text(max_size=20)
SUMS = st.sampled_from(["SHA256", "CRC32", "none"])


@given(st.lists(st.tuples(st.sampled_from(CODES), TEXTS), max_size=6), SUMS)
def test_whatever_a_server_answers_a_write_ends(answers: list[tuple[str, str]], checksum: str) -> None:
    spared: frozenset[Spared] = frozenset()
    for code, text in answers:
        more = spare(code, text, spared, checksum=checksum)
        if more is None:
            break
        assert more not in spared
        spared |= {more}
        assert code not in {"AccessDenied", "SlowDown"}
    assert Spared.CHECKSUM not in spared or checksum != "none"
    members = Writing(checksum=checksum).members(b"body", "t", spared)
    assert {"ContentMD5", "ChecksumSHA256", "ChecksumCRC32"} & members.keys()


@pytest.mark.parametrize(
    ("writing", "fault"),
    [
        (Writing("kms"), "serverSideEncryption: expected AES256, aws:kms, aws:kms:dsse, found 'kms'"),
        (Writing("AES256", "alias/mine"), "ssekmsKeyId: expected serverSideEncryption aws:kms beside it"),
        (Writing("aws:kms", "arn:aws:iam::1:role/x"), "ssekmsKeyId: expected a key's id, ARN or alias"),
        (Writing(owner="1234"), "expectedBucketOwner: expected an account of 12 digits, found '1234'"),
        (Writing(acl="public-read"), "acl: expected bucket-owner-full-control"),
        (Writing(checksum="MD5"), "checksumAlgorithm: expected SHA256, CRC32, none, found 'MD5'"),
    ],
)
def test_values_that_s3_would_refuse_are_named(writing: Writing, fault: str) -> None:
    assert writing.faults[0].startswith(fault)


@pytest.mark.parametrize(
    "key",
    [
        "alias/usage",
        "arn:aws:kms:us-west-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab",
        "arn:aws-cn:kms:cn-north-1:111122223333:alias/a_b/c",
        "mrk-1234abcd12ab34cd56ef1234567890ab",
    ],
)
def test_keys_by_all_their_names_are_keys(key: str) -> None:
    assert Writing("aws:kms", key).faults == ()

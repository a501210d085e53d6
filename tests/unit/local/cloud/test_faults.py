"""Faults on request: what each does to a call, to whom, how often, and that nothing happens unasked."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from botocore.exceptions import ClientError

from keyless.api import Permanent
from keyless.local.cloud.faults import SERVICES, Fault, Faults
from keyless.local.cloud.serve import serve
from unit.local.cloud.support import World, refusal


@pytest.fixture
def faults(world: World) -> Faults:
    return Faults(world.cloud.database)


def test_there_are_none_unless_set(world: World, faults: Faults) -> None:
    assert faults.all() == []
    assert world.aws("sts").get_caller_identity()["Account"]


def test_every_service_can_have_one(world: World) -> None:
    assert sorted(service.name for service in world.cloud.app.services) == sorted(SERVICES)


@pytest.mark.parametrize(
    ("service", "operation", "kind", "expected"),
    [
        ("sts", "get_caller_identity", "throttle", ("Throttling", 400)),
        ("ssm", "describe_parameters", "throttle", ("ThrottlingException", 400)),
        ("eks", "list_clusters", "throttle", ("ThrottlingException", 429)),
        ("s3", "list_buckets", "throttle", ("SlowDown", 503)),
        ("s3", "list_buckets", "error", ("InternalError", 500)),
        ("kms", "list_keys", "unavailable", ("ServiceUnavailableException", 503)),
    ],
)
def test_each_service_has_its_words(
    world: World, faults: Faults, service: str, operation: str, kind: str, expected: tuple[str, int]
) -> None:
    faults.set(Fault(kind, service))
    code, _, status = refusal(getattr(world.aws(service), operation))
    assert (code, status) == expected
    assert world.audit()[-1]["code"] == expected[0]


def test_a_fault_is_for_its_action_alone(world: World, faults: Faults) -> None:
    s3 = world.aws("s3")
    faults.set(Fault("error", "s3", "CreateBucket"))
    assert s3.list_buckets()["Buckets"] == []
    assert refusal(s3.create_bucket, Bucket="b-one")[0] == "InternalError"
    assert world.aws("sts").get_caller_identity()["Account"]


def test_a_fault_for_two_calls_is_gone_at_the_third(world: World, faults: Faults) -> None:
    s3 = world.aws("s3")
    faults.set(Fault("throttle", "s3", times=2))
    assert [refusal(s3.list_buckets)[0] for _ in range(2)] == ["SlowDown", "SlowDown"]
    assert s3.list_buckets()["Buckets"] == []
    assert faults.all() == []


@pytest.mark.parametrize(("kind", "written"), [("lose-request", False), ("lose-answer", True)])
def test_a_lost_connection_comes_before_or_after_the_write(
    world: World, faults: Faults, kind: str, written: bool
) -> None:
    sms = world.aws("secretsmanager")
    faults.set(Fault(kind, "secretsmanager", "CreateSecret", times=1))
    with pytest.raises(ConnectionResetError):
        sms.create_secret(Name="one", SecretString="x", ClientRequestToken="a" * 32)
    assert len(sms.list_secrets()["SecretList"]) == int(written)
    lost = [line for line in world.audit() if line["code"] == "ConnectionLost"]
    assert [line["operation"] for line in lost] == ["CreateSecret"]


async def test_a_connection_that_is_lost_ends_without_a_byte() -> None:
    """Over a socket: a peer sees the end of the connection and nothing else."""
    world = World()
    try:
        Faults(world.cloud.database).set(Fault("lose-request", "sts", times=1))
        async with serve(world.cloud.app) as serving:
            reader, writer = await asyncio.open_connection("127.0.0.1", int(serving.url.rpartition(":")[2]))
            body = b"Action=AssumeRoleWithWebIdentity&Version=2011-06-15"
            head = f"POST / HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: {len(body)}\r\n"
            writer.write(head.encode() + b"content-type: application/x-www-form-urlencoded\r\n\r\n" + body)
            with contextlib.suppress(ConnectionResetError):
                assert await reader.read() == b""
            writer.close()
    finally:
        world.close()


def test_a_clock_that_is_off_refuses_signatures_of_now(world: World, faults: Faults) -> None:
    faults.set(Fault("clock", "sts", seconds=1200))
    assert refusal(world.aws("sts").get_caller_identity)[0] == "SignatureDoesNotMatch"
    assert world.aws("s3").list_buckets()["Buckets"] == []
    assert faults.clear() == 1
    assert world.aws("sts").get_caller_identity()["Account"]


def test_latency_comes_before_the_operation(world: World, faults: Faults, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr("keyless.local.cloud.faults.asyncio.sleep", sleep)
    faults.set(Fault("latency", "s3", "ListBuckets", seconds=2.5))
    world.aws("s3").list_buckets()
    assert slept == [2.5]


def test_faults_outlive_a_restart(world: World, faults: Faults) -> None:
    faults.set(Fault("throttle", "kms"))
    world.restart()
    with pytest.raises(ClientError, match="ThrottlingException"):
        world.aws("kms").list_keys()


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        ({"kind": "flood"}, "expected one of latency"),
        ({"kind": "latency"}, "--seconds"),
        ({"kind": "latency", "seconds": -1.0}, "up to"),
        ({"kind": "clock", "seconds": float("nan")}, "--seconds"),
        ({"kind": "clock", "seconds": 5.0, "action": "PutObject"}, "leave --action out"),
        ({"kind": "error", "service": "sqs"}, "expected one of sts"),
        ({"kind": "error", "times": -1}, "--times"),
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(fault: dict[str, object], text: str) -> None:
    with pytest.raises(Permanent, match=text):
        Fault(**fault)  # type: ignore[arg-type] # the cases are wrong on purpose

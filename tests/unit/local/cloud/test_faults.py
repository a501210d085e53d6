"""Faults on request: what each does to a call, to whom, how often, and that nothing happens unasked."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from keyless.api import Permanent
from keyless.local.cloud.faults import SERVICES, Fault, Faults
from keyless.local.cloud.serve import serve
from unit.local.cloud.support import START, World, allow, document, refusal


@pytest.fixture
def faults(world: World) -> Faults:
    return world.cloud.app.faults


def test_there_are_none_unless_set(world: World, faults: Faults) -> None:
    assert faults.all() == []
    assert world.aws("sts").get_caller_identity()["Account"]


def test_every_service_can_have_one(world: World) -> None:
    assert {service.name for service in world.cloud.app.services} <= set(SERVICES)


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
        world.cloud.app.faults.set(Fault("lose-request", "sts", times=1))
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


def test_answers_tell_the_time_by_the_clock_that_is_off(world: World, faults: Faults) -> None:
    """SDKs set their own clock by it."""
    faults.set(Fault("clock", "s3", seconds=1200))
    told = refused_at(world.aws("s3").list_buckets)
    assert told == datetime.fromtimestamp(START + 1200, UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")


def refused_at(call: Any) -> str:
    with pytest.raises(ClientError) as refused:
        call()
    return str(refused.value.response["ResponseMetadata"]["HTTPHeaders"]["date"])


def test_decisions_lag_behind_writes_for_as_long_as_propagation_is_slow(world: World, faults: Faults) -> None:
    iam = world.aws("iam")
    iam.create_user(UserName="eve")
    eve = world.aws("iam", iam.create_access_key(UserName="eve")["AccessKey"])
    faults.set(Fault("propagation", "iam", seconds=30))
    iam.put_user_policy(UserName="eve", PolicyName="p", PolicyDocument=document(allow("iam:ListRoles")))
    faults.clear()
    world.clock.pass_seconds(29)
    assert refusal(eve.list_roles)[0] == "AccessDenied"
    world.clock.pass_seconds(1)
    assert eve.list_roles()["Roles"] is not None


def test_a_fault_may_end_by_itself(world: World, faults: Faults) -> None:
    s3 = world.aws("s3")
    faults.set(Fault("unavailable", "s3", until=world.clock() + 10))
    assert refusal(s3.list_buckets)[0] == "ServiceUnavailable"
    world.clock.pass_seconds(10)
    assert s3.list_buckets()["Buckets"] == []
    assert faults.all() == []
    assert faults.clear() == 0


def test_a_fault_may_come_by_chance(world: World) -> None:
    rolls = iter([0.29, 0.3, 0.9, 0.0])
    faults = Faults(world.cloud.database, world.clock, lambda: next(rolls))
    fault = Fault("error", "s3", probability=0.3, times=2)
    faults.set(fault)
    assert [faults.take(fault) for _ in range(4)] == [True, False, False, True]
    assert faults.all() == []


def test_a_fault_that_others_used_up_meanwhile_is_met_no_more(faults: Faults) -> None:
    fault = Fault("error", "s3", times=1)
    faults.set(fault)
    assert [faults.take(fault), faults.take(fault)] == [True, False]


def test_the_record_names_the_faults_that_a_call_met(world: World, faults: Faults) -> None:
    s3 = world.aws("s3")
    faults.set(Fault("error", "s3", "CreateBucket"))
    s3.list_buckets()
    refusal(s3.create_bucket, Bucket="b-one")
    assert [line["notes"]["faults"] for line in world.audit()[-2:]] == [[], ["error:s3:CreateBucket"]]
    faults.clear()
    faults.set(Fault("clock", "sts", seconds=1200))
    refusal(world.aws("sts").get_caller_identity)
    assert world.audit()[-1]["notes"]["faults"] == ["clock:sts:*"]


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
        ({"kind": "error", "seconds": 3.0}, "--for"),
        ({"kind": "error", "probability": 0.0}, "--probability"),
        ({"kind": "error", "probability": float("nan")}, "--probability"),
        ({"kind": "clock", "seconds": 5.0, "times": 1}, "--times"),
        ({"kind": "propagation", "seconds": 5.0, "service": "s3"}, "service iam"),
        ({"kind": "propagation", "seconds": 5.0, "action": "PutRolePolicy"}, "--action"),
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(fault: dict[str, object], text: str) -> None:
    with pytest.raises(Permanent, match=text):
        Fault(**fault)  # type: ignore[arg-type] # the cases are wrong on purpose

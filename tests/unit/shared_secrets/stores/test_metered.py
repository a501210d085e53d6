"""Calls are counted by External Secrets' names, and stay below a share of the account's quota."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyless.aws import AwsPermanent
from keyless.shared_secrets.stores.metered import LISTS, PARAMETERS, VALUES, Bucket, Calls, Rate
from unit.shared_secrets.fakes import FakeAws


class Clock:
    """Sleeping is the only thing that takes time."""

    def __init__(self):
        self.now, self.heard = 100.0, []

    async def sleep(self, seconds):
        self.now += seconds

    def calls(self):
        return Calls(lambda *said: self.heard.append(said), lambda: self.now, self.sleep)


@given(st.lists(st.floats(0, 3), min_size=1, max_size=80), st.sampled_from([PARAMETERS, LISTS, Rate(1.0, 1)]))
def test_no_second_has_more_calls_than_burst_and_rate(pauses, rate):
    now = 0.0
    bucket = Bucket(rate, lambda: now)
    moments = []
    for pause in pauses:
        now += pause
        moments.append(now + bucket.take())
    assert moments == sorted(moments)
    for at in moments:
        within = sum(1 for other in moments if at <= other < at + 1)
        assert within <= rate.burst + rate.per_second


async def test_an_account_s_parameters_come_at_a_quarter_of_its_quota():
    clock = Clock()
    session = clock.calls().of(FakeAws(parameters={"p": "x"}), "1", "eu-west-1")
    for _ in range(120):
        await session.call("ssm", "GetParameter", Name="p", WithDecryption=True)
    assert clock.now - 100.0 == pytest.approx(10.0, abs=0.2)


async def test_accounts_regions_and_families_do_not_wait_for_each_other():
    clock = Clock()
    calls = clock.calls()
    for account, region in (("1", "a"), ("2", "a"), ("1", "b")):
        for service, operation, burst in (
            ("ssm", "GetParameter", PARAMETERS.burst),
            ("secretsmanager", "BatchGetSecretValue", LISTS.burst),
            ("secretsmanager", "GetSecretValue", VALUES.burst),
        ):
            for _ in range(burst):
                await calls.let(account, region, service, operation)
    assert clock.now == pytest.approx(100.0)
    await calls.let("1", "a", "ssm", "GetParameters")
    assert clock.now > 100.01


async def test_each_call_is_heard_of_with_its_outcome():
    clock = Clock()
    aws = FakeAws(secrets={"s": "x"})
    session = clock.calls().of(aws, "", "eu-west-1")
    await session.call("secretsmanager", "GetSecretValue", SecretId="s")
    aws.refuse["GetParameter"] = "AccessDeniedException"
    with pytest.raises(AwsPermanent):
        await session.call("ssm", "GetParameter", Name="p", WithDecryption=True)
    assert clock.heard == [
        ("AWS/SecretsManager", "GetSecretValue", "success"),
        ("AWS/ParameterStore", "GetParameter", "error"),
    ]

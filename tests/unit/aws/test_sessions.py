from datetime import UTC, datetime, timedelta

import botocore.exceptions
import pytest
from botocore.credentials import Credentials

from keyless.aws import AwsPermanent, AwsTransient, Keys, Session, call, refreshing
from keyless.aws.sessions import keys_of


class FakeService:
    def __init__(self, error=None):
        self.calls, self.error = [], error

    def get_thing(self, **params):
        self.calls.append(params)
        if self.error:
            raise self.error
        return {"Thing": params["Name"]}


async def test_a_call_names_the_operation_as_the_api_does():
    service = FakeService()
    assert await call(service, "GetThing", Name="a") == {"Thing": "a"}
    assert service.calls == [{"Name": "a"}]


async def test_a_parameter_may_be_called_service_or_operation():
    assert await call(FakeService(), "GetThing", Name="a", service="s", operation="o") == {"Thing": "a"}


async def test_a_failed_call_raises_our_failure_from_the_sdks():
    refused = botocore.exceptions.ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "GetThing")
    with pytest.raises(AwsPermanent) as caught:
        await call(FakeService(refused), "GetThing", Name="a")
    assert caught.value.code == "AccessDenied"
    assert caught.value.__cause__ is refused


async def test_keys_are_fetched_once_and_kept_until_they_run_out():
    fetched = []

    def fetch():
        fetched.append(1)
        return Keys("ASIA1", "s", "t", datetime.now(UTC) + timedelta(hours=1))

    session = Session.with_credentials(refreshing(fetch, method="test"), region="us-west-2")
    assert (await session.keys()).access_key_id == "ASIA1"
    assert (await session.keys()).session_token == "t"
    assert (await session.in_region("eu-west-1").keys()).access_key_id == "ASIA1"
    assert fetched == [1]


async def test_keys_that_ran_out_are_fetched_again():
    times = iter([datetime.now(UTC) + timedelta(minutes=20), datetime.now(UTC) + timedelta(hours=1)])
    names = iter(["ASIA1", "ASIA2"])
    credentials = refreshing(lambda: Keys(next(names), "s", "t", next(times)), method="test")
    session = Session.with_credentials(credentials, region="us-west-2")
    assert (await session.keys()).access_key_id == "ASIA1"
    credentials._expiry_time = datetime.now(UTC) - timedelta(seconds=1)
    assert (await session.keys()).access_key_id == "ASIA2"


async def test_a_chain_that_found_nothing_is_asked_again():
    answers = iter([None, Credentials("AKIA1", "s")])

    class FakeBotocore:
        def __init__(self):
            self.found = next(answers)

        def get_credentials(self):
            return self.found

    session = Session(FakeBotocore, "us-west-2")
    with pytest.raises(AwsTransient) as caught:
        await session.keys()
    assert caught.value.code == "NoCredentials"
    assert (await session.keys()).access_key_id == "AKIA1"


def test_the_region_is_read_from_either_variable():
    assert Session.from_environment({"AWS_REGION": "a", "AWS_DEFAULT_REGION": "b"}).region == "a"
    assert Session.from_environment({"AWS_DEFAULT_REGION": "b"}).region == "b"
    assert Session.from_environment({"AWS_REGION": "a"}, region="c").region == "c"


def test_keys_never_show_their_secrets():
    text = repr(Keys("AKIA1", "pl4nted", "pl4nted-token"))
    assert "pl4nted" not in text
    assert "AKIA1" in text


def test_an_sts_answer_is_read_with_its_expiry():
    found = {"AccessKeyId": "A", "SecretAccessKey": "s", "SessionToken": "t", "Expiration": "2026-01-01T00:00:00Z"}
    assert keys_of({"Credentials": found}).expires_at == datetime(2026, 1, 1, tzinfo=UTC)

"""Reads that are asked for together are few calls where the policy allows it, and each hears its own answer."""

import asyncio
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyless.aws import AwsPermanent, AwsTransient
from keyless.shared_secrets.stores.batching import DENIED_SECONDS, Batchers
from keyless.shared_secrets.stores.model import AwsProvider, RemoteRef, SecretMissing
from keyless.shared_secrets.stores.readers import open_reader
from keyless.shared_secrets.stores.sessions import Opened
from unit.shared_secrets.fakes import FakeAws


class Aws(FakeAws):
    """``forbidden`` are names that GetSecretValue denies; a batch tells them in Errors, as AWS does."""

    forbidden = frozenset()

    def BatchGetSecretValue(self, SecretIdList):  # noqa: N803 - AWS's own name
        assert 1 <= len(SecretIdList) <= 20
        assert len(set(SecretIdList)) == len(SecretIdList)
        told = [name for name in SecretIdList if name in self.secrets and name not in self.forbidden]
        return {
            "SecretValues": [{"Name": name, "ARN": f"arn:{name}", "SecretString": self.secrets[name]} for name in told],
            "Errors": [{"SecretId": name, "ErrorCode": "X"} for name in SecretIdList if name not in told],
        }

    def GetSecretValue(self, **asked):
        if asked["SecretId"] in self.forbidden:
            self._no("GetSecretValue", "AccessDeniedException", "denied")
        return super().GetSecretValue(**asked)

    def GetParameters(self, Names, WithDecryption):  # noqa: N803 - AWS's own names
        assert 1 <= len(Names) <= 10
        found = [name for name in Names if name in self.parameters]
        made = [(name.partition(":"), self.parameters[name]) for name in found]
        return {
            "Parameters": [{"Name": n, "Selector": colon + s, "Value": v, "Version": 3} for (n, colon, s), v in made],
            "InvalidParameters": [name for name in Names if name not in found],
        }


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def reader(aws, batchers, service="SecretsManager", prefix=""):
    return open_reader(Opened(aws, "own", True), AwsProvider(service, "us-west-2", prefix=prefix), batchers)


def counted(aws):
    return Counter(operation for operation, _ in aws.calls)


async def read(one, keys):
    asked = (one.read(RemoteRef(*key) if isinstance(key, tuple) else RemoteRef(key)) for key in keys)
    return await asyncio.gather(*asked, return_exceptions=True)


async def test_a_thousand_secrets_are_fifty_calls():
    aws = Aws(secrets={f"s{n}": f"v{n}" for n in range(1000)})
    answers = await read(reader(aws, Batchers(Clock())), [f"s{n}" for n in range(1000)])
    assert [answer.text for answer in answers] == [f"v{n}" for n in range(1000)]
    assert counted(aws) == {"BatchGetSecretValue": 50}


async def test_parameters_go_ten_a_call_with_their_labels():
    aws = Aws(parameters={**{f"p{n}": f"v{n}" for n in range(20)}, "p0:prod": "old"})
    answers = await read(
        reader(aws, Batchers(Clock()), "ParameterStore"), [*(f"p{n}" for n in range(20)), ("p0", "prod")]
    )
    assert [answer.text for answer in answers] == [*(f"v{n}" for n in range(20)), "old"]
    assert counted(aws) == {"GetParameters": 2, "GetParameter": 1}


@pytest.mark.parametrize("code", ["AccessDeniedException", "AccessDenied"])
async def test_where_a_batch_is_denied_each_is_a_call_of_its_own_and_nobody_fails(code):
    aws, clock = Aws(secrets={"a": "1", "b": "2"}), Clock()
    aws.refuse["BatchGetSecretValue"] = code
    batchers = Batchers(clock)
    for _ in range(3):
        answers = await read(reader(aws, batchers), "ab")
        assert [answer.text for answer in answers] == ["1", "2"]
    assert counted(aws) == {"BatchGetSecretValue": 1, "GetSecretValue": 6}
    clock.now += DENIED_SECONDS
    del aws.refuse["BatchGetSecretValue"]
    await read(reader(aws, batchers), "ab")
    assert counted(aws)["BatchGetSecretValue"] == 2


async def test_one_alone_is_never_a_batch():
    aws = Aws(secrets={"a": "1"})
    assert (await reader(aws, Batchers(Clock())).read(RemoteRef("a"))).text == "1"
    assert counted(aws) == {"GetSecretValue": 1}


@given(
    st.lists(st.sampled_from("abcdefg"), min_size=2),
    st.sets(st.sampled_from("abcdefg")),
    st.sets(st.sampled_from("abcdefg")),
)
async def test_each_hears_its_own_answer_whatever_becomes_of_the_others(keys, gone, forbidden):
    aws = Aws(secrets={name: f"v{name}" for name in set("abcdefg") - gone})
    aws.forbidden = frozenset(forbidden)
    answers = await read(reader(aws, Batchers(Clock())), keys)
    for key, answer in zip(keys, answers, strict=True):
        if key in forbidden:
            assert isinstance(answer, AwsPermanent)
            assert answer.code == "AccessDeniedException"
        elif key in gone:
            assert isinstance(answer, SecretMissing)
        else:
            assert answer.text == f"v{key}"


async def test_a_busy_aws_is_busy_for_all_of_a_batch_and_asked_once():
    aws = Aws(secrets={"a": "1", "b": "2"})
    aws.refuse["BatchGetSecretValue"] = "ThrottlingException"
    answers = await read(reader(aws, Batchers(Clock())), "ab")
    assert all(isinstance(answer, AwsTransient) for answer in answers)
    assert counted(aws) == {"BatchGetSecretValue": 1}


async def test_versions_and_metadata_are_read_by_themselves():
    aws = Aws(secrets={"a": "1", "b": "2"})
    refs = [("a", "AWSPREVIOUS"), ("b", "uuid/1"), ("a", "", True)]
    await read(reader(aws, Batchers(Clock())), refs)
    assert counted(aws) == {"GetSecretValue": 2, "DescribeSecret": 1}
    asked = [params for operation, params in aws.calls if operation == "GetSecretValue"]
    assert [{k: v for k, v in one.items() if k != "SecretId"} for one in asked] == [
        {"VersionStage": "AWSPREVIOUS"},
        {"VersionId": "1"},
    ]


async def test_two_identities_never_share_a_call():
    aws, other, batchers = Aws(secrets={"a": "1"}), Aws(secrets={"a": "2"}), Batchers(Clock())
    two = open_reader(Opened(other, "another", True), AwsProvider("SecretsManager", "us-west-2"), batchers)
    answers = await asyncio.gather(reader(aws, batchers).read(RemoteRef("a")), two.read(RemoteRef("a")))
    assert [answer.text for answer in answers] == ["1", "2"]

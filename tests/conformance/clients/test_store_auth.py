"""Each way in which a store says whose credentials it reads with, tried on the local AWS."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterator
from typing import Any

import pytest

from conformance.clients.stage import NAMESPACE, PARAMETER, SECRET, Stage
from e2e import acting
from keyless.aws import AWS_FAILURES, Session
from keyless.kube.resources import SECRETS, SERVICEACCOUNTS
from keyless.shared_secrets.stores.model import AwsProvider, RemoteRef, provider_of
from keyless.shared_secrets.stores.plan import reference_namespaces
from keyless.shared_secrets.stores.readers import open_reader
from keyless.shared_secrets.stores.sessions import Place, Sessions

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

READER, MIDDLE, LAST = "store-reader", "store-middle", "store-last"
NAMES = ("AWS_ENDPOINT_URL", "AWS_CA_BUNDLE", "SSL_CERT_FILE", "AWS_REGION")
READS: dict[str, Any] = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Action": ["secretsmanager:GetSecretValue", "ssm:GetParameter"], "Resource": "*"},
        {"Effect": "Allow", "Action": "kms:Decrypt", "Resource": "*"},
    ],
}
GOES_ON: dict[str, Any] = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": ["sts:AssumeRole", "sts:TagSession"], "Resource": "*"}],
}


def _trust(principal: str, *actions: str, **conditions: Any) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Principal": {"AWS": principal}, "Action": list(actions)}
    return {"Version": "2012-10-17", "Statement": [statement | ({"Condition": conditions} if conditions else {})]}


@pytest.fixture(scope="module")
def roles(stage: Stage) -> Iterator[Stage]:
    """A chain of three: by a token, by the first, by the second with an external id and a tag."""
    space = stage.space
    own = {**READS, "Statement": [*READS["Statement"], *GOES_ON["Statement"]]}
    acting.make_role(space, READER, acting.irsa_trust(space, acting.subject(NAMESPACE, READER)), own)
    acting.make_role(space, MIDDLE, _trust(acting.role_arn(space, READER), "sts:AssumeRole"), GOES_ON)
    asked = {"StringEquals": {"sts:ExternalId": "agreed", "aws:RequestTag/team": "blue"}}
    last = _trust(acting.role_arn(space, MIDDLE), "sts:AssumeRole", "sts:TagSession", **asked)
    acting.make_role(space, LAST, last, READS)
    asyncio.run(_objects(stage, stage.as_session()))
    with pytest.MonkeyPatch.context() as patch:
        for name in NAMES:
            if name in space.environ:
                patch.setenv(name, space.environ[name])
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
            patch.delenv(name, raising=False)
        yield stage


async def _objects(stage: Stage, keys: dict[str, str]) -> None:
    data = {name: base64.b64encode(value.encode()).decode() for name, value in keys.items()}
    async with stage.space.host as kube:
        annotations = {"eks.amazonaws.com/role-arn": acting.role_arn(stage.space, READER)}
        account = {"metadata": {"name": READER, "namespace": NAMESPACE, "annotations": annotations}}
        await kube.apply(SERVICEACCOUNTS, account, field_manager="stores")
        await kube.apply(
            SECRETS, {"metadata": {"name": "keys", "namespace": NAMESPACE}, "data": data}, field_manager="s"
        )


JWT: dict[str, Any] = {"jwt": {"serviceAccountRef": {"name": READER}}}
KEYS: dict[str, Any] = {
    "secretRef": {
        "accessKeyIDSecretRef": {"name": "keys", "key": "AWS_ACCESS_KEY_ID"},
        "secretAccessKeySecretRef": {"name": "keys", "key": "AWS_SECRET_ACCESS_KEY"},
        "sessionTokenSecretRef": {"name": "keys", "key": "AWS_SESSION_TOKEN"},
    }
}
TAGS = [{"key": "team", "value": "blue"}]
CHAIN = {"auth": JWT, "role": LAST, "additionalRoles": [MIDDLE], "externalID": "agreed", "sessionTags": TAGS}
READ = [
    ({"auth": JWT}, READER),
    ({"auth": KEYS}, "client-role"),
    (CHAIN, LAST),
    ({**CHAIN, "transitiveTagKeys": ["team"]}, LAST),
]
REFUSED = [
    {**CHAIN, "externalID": "guessed"},
    {**CHAIN, "sessionTags": [{"key": "team", "value": "red"}]},
    {**CHAIN, "sessionTags": []},
    {**CHAIN, "additionalRoles": []},
    {"auth": KEYS, "role": MIDDLE},
]


def _provider(stage: Stage, said: dict[str, Any], service: str = "SecretsManager") -> AwsProvider:
    said = {**said, "service": service, "region": stage.space.environ["AWS_REGION"]}
    for name in ("role", "additionalRoles"):
        if said.get(name):
            named = said[name]
            roles = [acting.role_arn(stage.space, one) for one in ([named] if isinstance(named, str) else named)]
            said[name] = roles[0] if isinstance(named, str) else roles
    provider = provider_of({"provider": {"aws": said}})
    assert isinstance(provider, AwsProvider)
    return reference_namespaces(provider, cluster_wide=False, namespace=NAMESPACE)


async def _read(stage: Stage, provider: AwsProvider, key: str) -> tuple[str, str]:
    async with stage.space.host as kube:
        own = Session.from_environment({})
        opened = await Sessions(own, ("none", "none")).open(provider, Place("tenant", kube))
        arn = (await opened.session.call("sts", "GetCallerIdentity"))["Arn"]
        return arn, (await open_reader(opened, provider).read(RemoteRef(key))).plain().decode()


@pytest.mark.parametrize(("said", "role"), READ)
def test_a_store_reads_as_whom_it_says(roles: Stage, said: dict[str, Any], role: str) -> None:
    arn, value = asyncio.run(_read(roles, _provider(roles, said), SECRET))
    assert (f":assumed-role/{role}/" in arn, value) == (True, "told")
    _, parameter = asyncio.run(_read(roles, _provider(roles, said, "ParameterStore"), PARAMETER))
    assert parameter == "told, too"


@pytest.mark.parametrize("said", REFUSED)
def test_a_chain_that_a_trust_policy_does_not_admit_reads_nothing(roles: Stage, said: dict[str, Any]) -> None:
    with pytest.raises(AWS_FAILURES) as caught:
        asyncio.run(_read(roles, _provider(roles, said), SECRET))
    assert (caught.value.code, caught.value.operation) == ("AccessDenied", "AssumeRole")

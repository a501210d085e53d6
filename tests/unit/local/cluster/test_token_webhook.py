"""Bearer tokens of AWS at the API server: who they are is told by the authenticator, and by nobody else."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from keyless.local.cluster import Cluster, ClusterSettings
from keyless.local.cluster.admission.caller import Unreachable
from keyless.local.cluster.messages import Request
from keyless.local.cluster.status import ApiError
from keyless.local.cluster.token_webhook import TokenWebhook, is_for_webhook
from keyless.local.cluster.users import ANONYMOUS, User

TOKEN = "Bearer k8s-aws-v1.aHR0cHM6Ly9leGFtcGxl"


class FakeAuthenticator:
    """Answers every review with ``answer``; raises it when it is an exception."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.asked: list[dict[str, Any]] = []

    async def post(self, config: Mapping[str, Any], body: dict[str, Any], timeout_seconds: float) -> bytes:
        self.asked.append(body)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer if isinstance(self.answer, bytes) else orjson.dumps(self.answer)

    async def aclose(self) -> None:
        pass


def known(**user: Any) -> dict[str, Any]:
    return {"status": {"authenticated": True, "user": user}}


@pytest.mark.parametrize(
    ("authorization", "expected"),
    [(TOKEN, True), ("bearer k8s-aws-v1.x", True), ("Bearer abc", False), ("Basic k8s-aws-v1.x", False), ("", False)],
)
def test_only_bearer_tokens_of_aws_go_to_the_authenticator(authorization: str, expected: bool) -> None:
    assert is_for_webhook(authorization) is expected


async def test_the_user_is_who_the_authenticator_says_and_authenticated() -> None:
    fake = FakeAuthenticator(known(username="team:jane", uid="u", groups=["readers"], extra={"arn": ["a"]}))
    user = await TokenWebhook("http://127.0.0.1:1/authenticate", fake).user(TOKEN)
    assert (user.name, user.uid, user.extra) == ("team:jane", "u", {"arn": ("a",)})
    assert user.groups == ("readers", "system:authenticated")
    assert fake.asked[0]["spec"] == {"token": "k8s-aws-v1.aHR0cHM6Ly9leGFtcGxl"}


@pytest.mark.parametrize(
    "answer",
    [
        {"status": {"authenticated": False, "error": "no"}},
        {"status": {"user": {"username": "jane"}}},
        {"status": {"authenticated": "true", "user": {"username": "jane"}}},
        known(),
        {"status": None},
        [],
        b"not json",
        Unreachable("refused"),
    ],
)
async def test_anything_but_a_plain_yes_is_unauthorized(answer: Any) -> None:
    with pytest.raises(ApiError) as refused:
        await TokenWebhook("http://127.0.0.1:1/authenticate", FakeAuthenticator(answer)).user(TOKEN)
    assert refused.value.code == 401


@pytest.fixture
async def cluster() -> AsyncIterator[Cluster]:
    """A host and a tenant; the authenticator knows everybody as Jane."""
    database = sqlite3.connect(":memory:", isolation_level=None)
    settings = ClusterSettings(
        database=database,
        server_url="https://127.0.0.1:6443",
        admin_token="the-admin-token",
        kubelet_token="the-kubelet-token",
        ca_pem="",
        now=lambda: datetime(2026, 11, 22, tzinfo=UTC),
        token_review_url="http://127.0.0.1:1/authenticate",
    )
    made = Cluster(settings, webhooks=FakeAuthenticator(known(username="jane")))
    made.ensure_cluster("tenant", owner="somebody")
    yield made
    await made.aclose()
    database.close()


async def who(cluster: Cluster, name: str, authorization: str) -> User:
    request = Request(name, "GET", "/api/v1/pods", ANONYMOUS, {}, {})
    return await cluster.authenticate(request, authorization)


async def test_a_token_of_aws_opens_the_host_and_no_tenant(cluster: Cluster) -> None:
    assert (await who(cluster, "keyless", TOKEN)).name == "jane"
    with pytest.raises(ApiError) as refused:
        await who(cluster, "tenant", TOKEN)
    assert refused.value.code == 401


async def test_other_tokens_are_judged_as_ever(cluster: Cluster) -> None:
    assert (await who(cluster, "keyless", "Bearer the-admin-token")).is_master
    assert await who(cluster, "keyless", "") == ANONYMOUS
    with pytest.raises(ApiError):
        await who(cluster, "keyless", "Bearer nothing")

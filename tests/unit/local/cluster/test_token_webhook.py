"""Bearer tokens of AWS at the API server: who they are is told by the authenticator, and by nobody else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
import pytest

from keyless.local.cluster.admission.caller import Unreachable
from keyless.local.cluster.status import ApiError
from keyless.local.cluster.token_webhook import TokenWebhook, is_for_webhook

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

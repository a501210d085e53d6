"""A Space that was told to revoke tokens of deleted pods: its own cluster is asked, and living pods are served."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from botocore.exceptions import ClientError

from conformance.clients.stage import ACCOUNT_NAME, NAMESPACE, ROLE, Stage
from e2e import acting, local_space
from keyless.kube.resources import PODS

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]


@pytest.fixture
def revoking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("revoking") / "state"
    space = local_space.start(folder, "--propagation-delay", "0", "--revoke-tokens-of-deleted-pods")
    try:
        yield Stage.set_up(space)
    finally:
        local_space.stop(folder)


def ask(stage: Stage, token: str) -> str:
    sts = stage.space.aws("sts", signed=False)
    role = acting.role_arn(stage.space, ROLE)
    try:
        sts.assume_role_with_web_identity(RoleArn=role, RoleSessionName="pod", WebIdentityToken=token)
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return "Success"


def test_a_token_ends_with_its_pod(revoking: Stage) -> None:
    async def delete() -> None:
        async with revoking.space.host as kube:
            await kube.delete(PODS, ACCOUNT_NAME, NAMESPACE)

    token = revoking.token_file(acting.STS).read_text(encoding="utf-8")
    assert ask(revoking, token) == "Success"
    asyncio.run(delete())
    assert ask(revoking, token) == "InvalidIdentityToken"
    assert revoking.space.audit()[-1]["notes"]["refused"].startswith("revoked: ")

import asyncio
import base64
import json
import time
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from botocore.credentials import ContainerProvider
from botocore.exceptions import CredentialRetrievalError
from botocore.utils import ContainerMetadataFetcher

from keyless.aws.errors import AwsPermanent, AwsTransient, Said
from keyless.identity.agent.app import Agent, Metrics
from keyless.identity.agent.cache import CredentialCache
from keyless.identity.agent.model import PodCredentials
from keyless.identity.agent.readiness import Readiness
from keyless.identity.agent.service import forget_gone
from keyless.kube import Event
from keyless.serving import bind, serve


def a_token():
    def part(value):
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    return f"{part({'alg': 'RS256'})}.{part({'exp': time.time() + 600})}.sig"


def an_agent(fetch):
    metrics = Metrics()
    cache = CredentialCache(fetch, retention=timedelta(hours=3), size=10, observe=metrics.cache)
    return Agent(cache, ("127.0.0.1",), metrics, readiness=Readiness(known, now=lambda: datetime.now(UTC)))


async def known():
    return "arn:aws:sts::111122223333:assumed-role/node/i-1"


async def granted(_token):
    return PodCredentials("ASIA1", "secret", "session", datetime.now(UTC) + timedelta(hours=6), "111122223333")


async def ask(agent, token, host="127.0.0.1:80", path="/v1/credentials"):
    async with httpx.AsyncClient(transport=httpx.ASGITransport(agent.app), base_url="http://127.0.0.1") as http:
        return await http.get(path, headers={"authorization": token, "host": host})


async def test_a_pod_is_given_its_credentials():
    answer = await ask(an_agent(granted), a_token())
    assert answer.status_code == 200
    assert answer.json()["AccessKeyId"] == "ASIA1"
    assert answer.json()["AccountId"] == "111122223333"


async def test_another_host_or_no_token_is_refused_without_asking_upstream():
    async def never(_token):
        raise AssertionError

    agent = an_agent(never)
    assert (await ask(agent, a_token(), host="evil")).status_code == 403
    assert (await ask(agent, "")).text == "Service account token cannot be empty"
    assert (await ask(agent, a_token(), path="/")).status_code == 404


@pytest.mark.parametrize(
    ("kind", "code", "status", "fault"),
    [
        (AwsPermanent, "AccessDeniedException", 400, "client"),
        (AwsPermanent, "ResourceNotFoundException", 404, "client"),
        (AwsTransient, "ThrottlingException", 429, "client"),
        (AwsTransient, "ServiceUnavailableException", 503, "server"),
        (AwsTransient, "NoCredentials", 500, "server"),
    ],
)
async def test_an_upstream_failure_is_passed_on_in_upstreams_form(kind, code, status, fault):
    async def fails(_token):
        raise kind(Said("AssumeRoleForPodIdentity", code, "no", "r-1"))

    agent = an_agent(fails)
    answer = await ask(agent, a_token())
    assert (answer.status_code, answer.text) == (status, f"[r-1]: ({code}): no, fault: {fault}")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(agent.metrics_app), base_url="http://m") as http:
        exposition = (await http.get("/metrics")).text
    assert f'pod_identity_http_response_total{{code="{status}"}} 1.0' in exposition
    assert f'code="{code}"' in exposition


async def test_botocores_container_provider_reads_it(tmp_path):
    token_file = tmp_path / "token"
    token_file.write_text(a_token())
    sock = bind("127.0.0.1", 0)
    task = asyncio.create_task(serve(an_agent(granted).app, sock))
    environ = {
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://127.0.0.1:{sock.getsockname()[1]}/v1/credentials",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(token_file),
    }
    try:
        provider = ContainerProvider(environ, ContainerMetadataFetcher(sleep=lambda _seconds: None))
        found = await asyncio.to_thread(provider.load)
        assert found.access_key == "ASIA1"
        assert found.account_id == "111122223333"
        token_file.write_text("junk")
        with pytest.raises(CredentialRetrievalError, match="cannot be parsed"):
            await asyncio.to_thread(provider.load)
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_a_hundred_questions_of_one_pod_at_once_are_one_call_upstream():
    asked, gate = [], asyncio.Event()

    async def fetch(token):
        asked.append(token)
        await gate.wait()
        return await granted(token)

    agent, token = an_agent(fetch), a_token()
    waiting = [asyncio.create_task(ask(agent, token)) for _ in range(100)]
    while not asked:
        await asyncio.sleep(0)
    gate.set()
    answers = await asyncio.gather(*waiting)
    assert len(asked) == 1
    assert {(answer.status_code, answer.json()["AccessKeyId"]) for answer in answers} == {(200, "ASIA1")}


def test_a_deleted_pod_is_forgotten_and_a_changed_one_is_not():
    gone = []

    class Held:
        def forget(self, uid):
            gone.append(uid)

    for kind in ("ADDED", "MODIFIED", "DELETED"):
        forget_gone(Held(), Event(kind, {"metadata": {"name": "p", "uid": kind}}))
    assert gone == ["DELETED"]

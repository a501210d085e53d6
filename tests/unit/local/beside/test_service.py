"""The cloud beside a cluster: served over TLS under its own names, whatever the cluster does."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from contextlib import suppress
from pathlib import Path
from typing import Any

import botocore.session
import httpx
import pytest
from botocore.config import Config

from keyless.api import Permanent
from keyless.local.beside.place import names_of
from keyless.local.beside.service import check, issuer_of, run
from keyless.local.beside.settings import Settings

NAME = "cloud.keyless-cloud.svc"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def kubeconfig(folder: Path) -> Path:
    """A cluster where nobody is at home."""
    path = folder / "kubeconfig"
    cluster = {"name": "c", "cluster": {"server": f"https://127.0.0.1:{free_port()}"}}
    context = {"name": "c", "context": {"cluster": "c", "user": "u"}}
    user = {"name": "u", "user": {"token": "t"}}
    path.write_text(json.dumps({"clusters": [cluster], "contexts": [context], "users": [user], "current-context": "c"}))
    return path


async def listening(port: int, serving: asyncio.Task[None]) -> None:
    while not serving.done():
        with suppress(ConnectionError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            return
        await asyncio.sleep(0.01)
    serving.result()


def caller(url: str, state: Path) -> dict[str, Any]:
    access = json.loads((state / "access.json").read_text())
    client = botocore.session.Session().create_client(
        "sts",
        region_name=access["region"],
        endpoint_url=url,
        verify=str(state / "ca.crt"),
        aws_access_key_id=access["accessKeyId"],
        aws_secret_access_key=access["secretAccessKey"],
        config=Config(proxies={}, retries={"total_max_attempts": 1}),
    )
    try:
        answer: dict[str, Any] = client.get_caller_identity()
        return answer
    finally:
        client.close()


async def test_it_answers_over_tls_by_its_names_alone_while_the_cluster_is_away(tmp_path: Path) -> None:
    state, port = tmp_path / "state", free_port()
    settings = Settings(str(state), port=port, names=f"10.0.0.7, {NAME}", issuer="https://10.0.0.1:6443")
    serving = asyncio.create_task(run(settings, {"KUBECONFIG": str(kubeconfig(tmp_path))}))
    await listening(port, serving)
    url = f"https://127.0.0.1:{port}"
    assert (await asyncio.to_thread(caller, url, state))["Arn"].endswith(":user/keyless-admin")
    trust = ssl.create_default_context(cafile=state / "ca.crt")
    async with httpx.AsyncClient(verify=trust, trust_env=False) as http:
        statuses = {
            host: (await http.get(url, headers={"host": host})).status_code == 403
            for host in (f"10.0.0.7:{port}", NAME, "10.0.0.8", f"evil.{NAME}")
        }
        refused = await http.get(url, headers={"host": "10.0.0.8"})
    assert refused.text == f"Host is not a loopback name nor one of 10.0.0.7, {NAME}\n"
    # S3 answers 403 to an anonymous caller, too: the text tells the two apart.
    assert statuses["10.0.0.8"]
    assert statuses[f"evil.{NAME}"]
    serving.cancel()
    with suppress(asyncio.CancelledError):
        await serving
    assert {path.name: path.stat().st_mode & 0o077 for path in state.glob("*.*")}.items() >= {("access.json", 0)}


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (Settings("s", account="12"), "--account '12': expected an AWS account, 12 digits"),
        (Settings("s", account="١١١١٢٢٢٢٣٣٣٣"), "expected an AWS account"),
        (Settings("s", issuer="http://10.0.0.1"), "--issuer 'http://10.0.0.1': expected a URL that begins with https"),
    ],
)
def test_settings_that_no_start_could_use_are_refused_by_name(settings: Settings, told: str) -> None:
    with pytest.raises(Permanent, match=told):
        check(settings)


def test_names_are_told_once_without_brackets() -> None:
    assert names_of(Settings("s", names=f" {NAME.upper()},[fd00::7],,{NAME}")) == (NAME, "fd00::7")


class Discovery:
    """A cluster that answers with one document."""

    def __init__(self, document: Any) -> None:
        self.document = document

    async def request(self, method: str, path: str) -> Any:
        assert (method, path) == ("GET", "/.well-known/openid-configuration")
        return self.document


@pytest.mark.parametrize("form", [lambda one: one, json.dumps], ids=["read", "text"])
async def test_the_issuer_is_the_cluster_s_own_word(form: Any) -> None:
    found = await issuer_of(Discovery(form({"issuer": "https://10.99.0.1:16443"})))
    assert found == "https://10.99.0.1:16443"


@pytest.mark.parametrize("document", [{}, [], {"issuer": 7}, {"issuer": "http://x"}, {"issuer": "kubernetes"}])
async def test_a_cluster_that_names_no_issuer_is_told_what_to_set(document: Any) -> None:
    with pytest.raises(Permanent, match="set --issuer"):
        await issuer_of(Discovery(document))

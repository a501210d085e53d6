"""``keyless issuer publish`` as its user meets it, and its rows in the table of exit codes."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from keyless.api import Permanent
from keyless.aws import AwsPermanent
from keyless.aws.errors import Said
from keyless.cli import dispatch, exits
from keyless.cli.outcomes import OUTCOMES
from unit.identity.publishing.test_publishing import URL, Bucket, Host, jwk

Run = Callable[..., int]
WORDS = ["issuer", "publish", "s3://issuer/prod"]


class Cloud(Bucket):
    """S3 and who asks it; what S3 holds is what the world sees, where ``public``."""

    region = "eu-west-1"

    def __init__(self) -> None:
        super().__init__()
        self.public, self.denied = True, False

    async def call(self, service: str, operation: str, /, **params: Any) -> dict[str, Any]:
        if operation == "GetCallerIdentity":
            arn = "arn:aws:iam::111122223333:user/admin"
            return {"Account": "111122223333", "Arn": arn, "UserId": "AIDA"}
        if self.denied:
            raise AwsPermanent(Said(operation, "AccessDenied", "no"))
        return await super().call(service, operation, **params)

    async def fetch(self, url: str) -> str:
        if not self.public:
            raise Permanent(f"{url} answers 403 to a caller without credentials, and AWS is one")
        return self.objects[f"prod/{url.removeprefix(f'{URL}/')}"].decode()


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Cloud:
    made = Cloud()
    monkeypatch.setattr("keyless.aws.Session.from_environment", lambda *_, **__: made)
    monkeypatch.setattr("keyless.cli.issuer._fetch", made.fetch)
    monkeypatch.setattr("keyless.cli.issuer.use_local_space", lambda _: None)
    return made


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    def run(*words: str, host: Host | None = None) -> int:
        @asynccontextmanager
        async def connect(_: object) -> AsyncIterator[Host]:
            yield host or Host()

        monkeypatch.setattr("keyless.kube.connect", connect)
        return dispatch([*WORDS, *words])

    return run


def code_of(outcome: str) -> int:
    (row,) = [one for one in OUTCOMES if (one.command, one.outcome) == ("issuer publish", outcome)]
    return row.code


def test_what_is_put_can_be_fetched_and_the_next_step_is_said(
    cloud: Cloud, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run() == code_of("AWS can fetch all keys, and no token is refused") == exits.HELD
    told = capsys.readouterr().out
    assert told.startswith(f"issuer {URL}\n  put       s3://issuer/prod/openid/v1/jwks\n")
    assert "keyless identity apply makes the provider" in told
    assert run() == exits.HELD
    assert "all of it lies there already" in capsys.readouterr().out


def test_a_dry_run_puts_nothing_and_says_what_it_would(
    cloud: Cloud, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--dry-run") == exits.HELD
    assert cloud.objects == {}
    assert "would put s3://issuer/prod/openid/v1/jwks" in capsys.readouterr().out


def test_a_rotation_that_loses_tokens_is_told_by_the_code(cloud: Cloud, run: Run) -> None:
    run()
    keys = json.loads(cloud.objects["prod/openid/v1/jwks"])
    cloud.objects["prod/openid/v1/jwks"] = json.dumps(
        {"keys": [one for one in keys["keys"] if one["kid"] == "a"]}
    ).encode()
    assert run(host=Host("b")) == code_of("the issuer cannot be published there, or a rotation loses tokens")


def test_what_nobody_can_fetch_is_told_by_the_code(cloud: Cloud, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    cloud.public = False
    assert run() == code_of("what was put cannot be fetched by its public URL")
    assert "answers 403 to a caller without credentials" in capsys.readouterr().out
    assert run("--no-fetch") == exits.HELD


def test_a_refusal_of_s3_is_the_other_sides(cloud: Cloud, run: Run) -> None:
    cloud.denied = True
    assert run() == code_of("S3 refuses")


@pytest.mark.parametrize("place", ["issuer", "s3://", "https://issuer"])
def test_what_is_no_place_is_wrong_use(cloud: Cloud, place: str) -> None:
    assert dispatch(["issuer", "publish", place]) == exits.WRONG_USE
    assert cloud.objects == {}


def test_a_body_that_ends_early_is_no_trace(cloud: Cloud, run: Run) -> None:
    cloud.objects["prod/.well-known/openid-configuration"] = io.BytesIO(json.dumps([jwk("a")]).encode()).read()
    assert run() == exits.WRONG_USE

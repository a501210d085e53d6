"""``keyless keys`` on a state folder, beside the process that signs."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from keyless.api import Permanent
from keyless.cli.keys import app
from keyless.local.cluster.issuers import Issuers
from keyless.local.state.database import connect
from keyless.tokens import TokenRefusal, VerifiedServiceAccount

URL = "https://127.0.0.1:6443"


@pytest.fixture
def issuers(tmp_path: Path) -> Iterator[Issuers]:
    """What the running Space holds."""
    connection = connect(tmp_path)
    made = Issuers(connection, URL)
    made.jwks("keyless")
    yield made
    connection.close()


def run(*arguments: str) -> str:
    answer = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert answer.exit_code == 0, answer.output
    return answer.output


def a_token(issuers: Issuers) -> str:
    now = int(time.time())
    account = {"namespace": "ns", "serviceaccount": {"name": "a", "uid": "u"}}
    claims: dict[str, object] = {
        "iss": issuers.url("keyless"),
        "sub": "system:serviceaccount:ns:a",
        "aud": ["x"],
        "iat": now,
        "exp": now + 600,
        "kubernetes.io": account,
    }
    return issuers.sign("keyless", claims)


def judged(issuers: Issuers, token: str) -> VerifiedServiceAccount | TokenRefusal:
    return issuers.verify("keyless", token, audiences=["x"], now=int(time.time()))


def published(issuers: Issuers) -> list[str]:
    keys: Any = issuers.jwks("keyless")["keys"]
    return [key["kid"] for key in keys]


def test_a_rotation_begins_at_once_and_the_running_space_publishes_the_successor(
    issuers: Issuers, tmp_path: Path
) -> None:
    (first,), token = published(issuers), a_token(issuers)
    said = run("rotate", "--state", str(tmp_path))
    before, successor = published(issuers)
    assert before == first
    assert said.startswith(f"{successor} is published, signs from ")
    assert said.endswith(f"; {first} signs until then\n")
    assert isinstance(judged(issuers, token), VerifiedServiceAccount)
    listed = json.loads(run("list", "-o", "json", "--state", str(tmp_path)))["items"]
    assert [(row["kid"], row["state"]) for row in listed] == [(first, "Signing"), (successor, "Published")]


def test_a_rotation_that_has_begun_is_not_begun_twice(issuers: Issuers, tmp_path: Path) -> None:
    assert run("rotate", "--state", str(tmp_path)) == run("rotate", "--state", str(tmp_path))
    assert len(published(issuers)) == 2


def test_an_emergency_voids_the_tokens_of_the_lost_key_at_once(issuers: Issuers, tmp_path: Path) -> None:
    (lost,), token = published(issuers), a_token(issuers)
    assert isinstance(judged(issuers, token), VerifiedServiceAccount)
    said = run("rotate", "--emergency", "--state", str(tmp_path))
    assert isinstance(judged(issuers, token), TokenRefusal)
    (now_signing,) = published(issuers)
    assert said.startswith(f"{lost} is gone and {now_signing} signs")
    assert isinstance(judged(issuers, a_token(issuers)), VerifiedServiceAccount)


def test_a_list_says_what_comes_next(issuers: Issuers, tmp_path: Path) -> None:
    (kid,) = published(issuers)
    assert run("list", "--state", str(tmp_path)).startswith(f"keyless  {kid}  Signing since ")


def test_what_has_no_keys_is_named(issuers: Issuers, tmp_path: Path) -> None:
    with pytest.raises(Permanent, match="cluster 'other' has no keys; those that have: keyless"):
        run("rotate", "other", "--state", str(tmp_path))
    with pytest.raises(Permanent, match="keyless up"):
        run("list", "--state", str(tmp_path / "nothing"))

"""Helm values and history, as the release's Secrets hold them."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

import pytest

from keyless.identity.verify.helm import is_deployed, revision_of
from keyless.identity.verify.model import Space
from keyless.identity.verify.values import flatten, upgrade
from unit.identity.verify.chains import ANNOTATED


def secret(version: int, config: Any, *, status: str = "deployed") -> dict[str, Any]:
    text = json.dumps({"version": version, "config": config}).encode()
    packed = base64.b64encode(base64.b64encode(gzip.compress(text))).decode()
    return {
        "metadata": {"name": f"sh.helm.release.v1.spaces.v{version}", "labels": {"status": status}},
        "data": {"release": packed},
    }


def test_values_become_the_paths_that_helm_sets() -> None:
    values = {
        "billing": {"enabled": True, "storage": {"secretRef": {"name": ""}}, "extra": None},
        "controlPlanes": {"vector": {"serviceAccount": {"customAnnotations": {"eks.amazonaws.com/role-arn": "r"}}}},
        "size": 7,
    }
    assert flatten(values) == {
        "billing.enabled": "true",
        "billing.storage.secretRef.name": "",
        "billing.extra": "",
        ANNOTATED: "r",
        "size": "7",
    }


def test_a_release_secret_holds_what_its_user_set() -> None:
    read = revision_of(secret(3, {"billing": {"enabled": False}}))
    assert read is not None
    assert (read.number, read.values) == (3, {"billing.enabled": "false"})
    empty = revision_of(secret(1, None))
    assert empty is not None
    assert empty.values == {}


@pytest.mark.parametrize(
    "data", [{}, {"release": "!"}, {"release": "aGVsbG8="}, {"release": base64.b64encode(b"aGVsbG8=").decode()}]
)
def test_a_secret_that_is_no_release_is_none(data: dict[str, str]) -> None:
    assert revision_of({"metadata": {}, "data": data}) is None


@pytest.mark.parametrize(
    ("status", "counts"), [("deployed", True), ("superseded", True), ("failed", False), ("pending-upgrade", False)]
)
def test_only_revisions_that_took_effect_count(status: str, counts: bool) -> None:
    assert is_deployed(secret(1, {}, status=status)) is counts


@pytest.mark.parametrize(
    ("value", "flag"),
    [
        ("usage", '--set "a=usage"'),
        (True, '--set "a=true"'),
        (7, '--set "a=7"'),
        (None, '--set "a=null"'),
        ("", '--set "a="'),
        ("true", """--set-json 'a="true"'"""),
        ("111122223333", """--set-json 'a="111122223333"'"""),
        ("a,b", """--set-json 'a="a,b"'"""),
        ("$HOME", """--set-json 'a="$HOME"'"""),
        (["a"], """--set-json 'a=["a"]'"""),
        ('["a"]', """--set-json 'a="[\\"a\\"]"'"""),
    ],
)
def test_a_value_travels_as_what_it_is(value: object, flag: str) -> None:
    space = Space({}, (), frozenset())
    reuse = "--reset-then-reuse-values" if value is None else "--reuse-values"
    assert upgrade(space, flatten({"a": value})) == f"helm upgrade spaces spaces-helm-chart {reuse} {flag}"

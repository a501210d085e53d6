"""The webhook tells pods what the policy told them on a real API server: ``tests/production/test_told.py`` records."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from conformance.told_pods.shapes import PODS, SKIP, outline, plain
from keyless.local.beside.hook import review
from keyless.local.beside.pods import SELECTORS, SPARED_NAMESPACES, environment
from keyless.local.cluster.patches.json_patch import json_patch

RECORDED: dict[str, Any] = json.loads((Path(__file__).parent / "recorded.json").read_text())
ENVIRON = environment("https://127.0.0.1:8443", "us-west-2")


def made(asked: dict[str, Any]) -> Any:
    """The pod as the webhook's answer leaves it; one that the registration spares stays as it is."""
    spared = asked["metadata"].get("namespace") in SPARED_NAMESPACES or SKIP in asked["metadata"].get("labels", {})
    if spared:
        return asked
    response = review(json.dumps({"request": {"uid": "u", "object": asked}}).encode(), ENVIRON, "AUTHORITY")["response"]
    assert response["allowed"]
    return json_patch(asked, json.loads(base64.b64decode(response.get("patch", "W10="))))


@pytest.mark.parametrize("name", PODS)
def test_a_pod_comes_out_as_the_policy_left_it(name: str) -> None:
    assert outline(plain(made(PODS[name]), "AUTHORITY")) == RECORDED[name]


@pytest.mark.parametrize("name", PODS)
def test_a_pod_that_was_told_is_told_nothing_more(name: str) -> None:
    once = made(PODS[name])
    assert made(once) == once


def test_every_pod_of_the_table_was_recorded_and_those_that_are_spared_are_told_nothing() -> None:
    assert set(RECORDED) == set(PODS)
    (skipped,) = [one["key"] for one in SELECTORS["objectSelector"]["matchExpressions"]]
    assert skipped == SKIP
    for name in ("a pod that skips it", "a pod of the cluster's own"):
        assert RECORDED[name]["annotations"] == {}

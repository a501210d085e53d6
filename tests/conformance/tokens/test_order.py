"""The order of STS's checks (facts/identity.md#token-checks), pair by pair: of two faults, the earlier one is told."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest

from conformance.tokens.stage import SUBJECT, Stage, matrix, trust
from unit.local.cloud.support import PROVIDER

MATRIX = matrix("order")
#: in the file's order, which is that of the checks; two faults of one slot cannot be had at once
PAIRS = [(one, two) for one, two in combinations(MATRIX.cases, 2) if one["slot"] != two["slot"]]


def both(one: dict[str, Any], two: dict[str, Any]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for fault in (one, two):
        for part in ("params", "header", "claims"):
            merged[part] = {**merged.get(part, {}), **fault.get(part, {})}
        merged["drop"] = [*merged.get("drop", []), *fault.get("drop", [])]
        merged["key"] = fault.get("key", merged.get("key", "rsa"))
    return merged


def told(stage: Stage, fault: dict[str, Any], request: dict[str, Any]) -> None:
    stage.trust(trust(StringEquals={f"{PROVIDER}:sub": SUBJECT}))
    answer = stage.assume(request)
    code, text = stage.expected(fault, MATRIX.texts) or ("", "")
    assert answer.code == code
    assert text in {"*", answer.message}
    # Where AWS has one text for several faults, our own audit line tells them apart.
    assert fault.get("told", "") in stage.told()


@pytest.mark.parametrize("fault", [pytest.param(case, id=name) for name, case in MATRIX.named])
def test_each_fault_alone_is_told(stage: Stage, fault: dict[str, Any]) -> None:
    told(stage, fault, both(fault, {}))


@pytest.mark.parametrize("pair", [pytest.param(pair, id=f"{pair[0]['why']}, {pair[1]['why']}") for pair in PAIRS])
def test_of_two_faults_the_earlier_is_told(stage: Stage, pair: tuple[dict[str, Any], dict[str, Any]]) -> None:
    told(stage, pair[0], both(*pair))


def test_every_pair_is_tried() -> None:
    assert len(MATRIX.cases) == 22
    assert len(PAIRS) == 22 * 21 // 2 - 4

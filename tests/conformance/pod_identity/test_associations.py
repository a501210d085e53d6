"""The Pod Identity matrix: from a pod's token to what its session may read (E1–E7, P2)."""

from __future__ import annotations

import re
from typing import Any

import pytest

from conformance.pod_identity.stage import Stage, cases
from unit.local.cloud.support import ACCOUNT

#: facts/identity.md#eks-auth: all others are 400
STATUSES = {"ResourceNotFoundException": 404, "ServiceUnavailableException": 503, "InternalServerException": 500}


@pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in cases()])
def test_a_pod_gets_what_its_association_and_the_roles_say(stage: Stage, case: dict[str, Any]) -> None:
    stage.make(case)
    answer = stage.assume(case)
    if case["then"] != "given":
        assert (answer.code, answer.status) == (case["then"], STATUSES.get(case["then"], 400))
        assert answer.message
        return
    assert answer.code == ""
    name = case.get("role", "target" if case.get("target") else "billing")
    arn = answer.result["assumedRoleUser"]["arn"]
    assert re.fullmatch(rf"arn:aws:sts::{ACCOUNT}:assumed-role/{name}/eks-keyless-vector-0-[0-9a-f-]{{36}}", arn)
    assert answer.result["subject"] == {"namespace": "mxp-1-system", "serviceAccount": "vector"}
    assert answer.result["audience"] == "pods.eks.amazonaws.com"
    if "seconds" in case:
        ends = answer.result["credentials"]["expiration"].timestamp()
        assert ends == int(stage.world.clock()) + case["seconds"]
    for key, may in case.get("reads", {}).items():
        assert stage.may_read(answer, key) is may, key

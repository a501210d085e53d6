"""Whether a Space is installed whole: each thing that can be missing is named, with what to look at."""

from __future__ import annotations

from typing import Any

import pytest

from keyless.api import crds
from keyless.kube.memory import MemoryKube
from keyless.kube.resources import CONFIGMAPS, CRDS, DEPLOYMENTS, LEASES
from keyless.space.checking import check

WHERE = {"name": "spaces-operator", "namespace": "spaces"}
HERE = {"name": "spaces-values", "namespace": "spaces"}


def whole_installation() -> MemoryKube:
    kube = MemoryKube()
    for name in crds.HOST:
        status = {"conditions": [{"type": "Established", "status": "True"}]}
        kube.put(CRDS, {**crds.load(name), "status": status})
    kube.put(DEPLOYMENTS, {"metadata": WHERE, "spec": {"replicas": 2}, "status": {"readyReplicas": 2}})
    kube.put(LEASES, {"metadata": WHERE, "spec": {"holderIdentity": "spaces-operator-a"}})
    kube.put(CONFIGMAPS, {"metadata": HERE, "data": {"values.json": "{}"}})
    return kube


async def _said(kube: MemoryKube) -> dict[str, tuple[bool, str]]:
    return {each.name: (each.holds, each.said) for each in await check(kube, "spaces")}


async def test_a_whole_installation_holds() -> None:
    assert await _said(whole_installation()) == {
        "values": (True, "read"),
        "operator": (True, "2 of 2 pods ready"),
        "lease": (True, "held by spaces-operator-a"),
        "definitions": (True, "served, with 0 control planes"),
    }


NOBODY: dict[str, Any] = {"metadata": WHERE, "spec": {"holderIdentity": ""}}
WAITING: dict[str, Any] = {
    "metadata": WHERE,
    "spec": {"replicas": 1},
    "status": {"conditions": [{"type": "Available", "status": "False", "message": "no minimum availability"}]},
}


@pytest.mark.parametrize(
    ("resource", "found", "name", "said"),
    [
        (CONFIGMAPS, {"metadata": HERE, "data": {}}, "values", "has no values.json; `helm list -A`"),
        (CONFIGMAPS, {"metadata": HERE, "data": {"values.json": "{"}}, "values", "values.json is not JSON"),
        (
            DEPLOYMENTS,
            WAITING,
            "operator",
            "no pod of 1 is ready: no minimum availability; `kubectl get pods -n spaces",
        ),
        (LEASES, NOBODY, "lease", "no pod holds Lease spaces-operator in namespace spaces"),
        (CRDS, crds.load(crds.HOST[1]), "definitions", f"not served: {crds.HOST[1]}"),
    ],
)
async def test_what_is_missing_is_named_and_the_rest_still_holds(
    resource: Any, found: Any, name: str, said: str
) -> None:
    kube = whole_installation()
    kube.put(resource, found)
    checks = await _said(kube)
    assert said in checks[name][1]
    assert [each for each, (holds, _) in checks.items() if not holds] == [name]


async def test_of_a_cluster_without_a_space_every_part_is_missing() -> None:
    checks = await _said(MemoryKube())
    assert not any(holds for holds, _ in checks.values())
    assert len(checks) == 4

"""Definitions that somebody else brings: waited for, named where they are missing, and never written."""

from __future__ import annotations

import pytest
import yaml

from keyless.api import Permanent, Transient, crds
from keyless.cli.crds import crds as print_definitions
from keyless.kube.memory import MemoryKube
from keyless.kube.resources import CRDS
from keyless.space.definitions import apply_definitions, definitions_served, require_definitions

ESTABLISHED = {"conditions": [{"type": "Established", "status": "True"}]}


def _printed(capsys: pytest.CaptureFixture[str]) -> list[dict]:
    print_definitions()
    return list(yaml.safe_load_all(capsys.readouterr().out))


async def test_what_is_printed_is_enough(capsys: pytest.CaptureFixture[str]) -> None:
    kube = MemoryKube()
    printed = _printed(capsys)
    assert [each["metadata"]["name"] for each in printed] == list(crds.HOST)
    assert {each["metadata"]["annotations"]["helm.sh/resource-policy"] for each in printed} == {"keep"}
    for each in printed:
        with pytest.raises(Transient, match=r"expected v1.* `keyless crds \| kubectl apply"):
            await require_definitions(kube)
        kube.put(CRDS, {**each, "status": ESTABLISHED})
    await require_definitions(kube)
    assert await definitions_served(kube, ours=False)
    assert not await definitions_served(kube)
    with pytest.raises(Permanent, match="belongs to someone else"):
        await apply_definitions(kube)


async def test_one_of_an_older_version_is_named_with_what_it_serves() -> None:
    kube = MemoryKube()
    for name in crds.HOST:
        older = crds.load(name)
        older["spec"]["versions"][0]["name"] = "v1alpha0"
        kube.put(CRDS, {**older, "status": ESTABLISHED})
    with pytest.raises(Transient, match="found v1alpha0"):
        await require_definitions(kube)

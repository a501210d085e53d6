"""Strategic merge patches and server-side apply against the recorded answers."""

from __future__ import annotations

from typing import Any

import pytest

from conformance.kubernetes.replay import differences, kind_of, plain, recording, without_nulls
from keyless.local.cluster.apply import ApplyConflict, builtin_shape, schema_shape, server_side_apply, track_update
from keyless.local.cluster.builtin import KINDS, default, normalize
from keyless.local.cluster.patches import PatchError, strategic_patch
from keyless.local.cluster.schema import Structural

STRATEGIC = recording("strategic")
WIDE = recording("schema-wide")["schema"]
NOW = "2026-11-22T00:00:00Z"


@pytest.mark.parametrize("case", STRATEGIC["cases"], ids=lambda case: str(case["patch"])[:70])
def test_a_strategic_patch_gives_what_the_server_gave(case: dict[str, Any]) -> None:
    live = without_nulls(STRATEGIC["live"])
    if case["status"] >= 300:
        with pytest.raises(PatchError):
            strategic_patch(live, case["patch"], group="apps", kind="Deployment")
        return
    patched = strategic_patch(live, case["patch"], group="apps", kind="Deployment")
    ours = default("apps", "Deployment", normalize("apps", "v1", "Deployment", patched))
    assert differences(plain(ours), plain(case["answer"])) == []


def shape_for(obj: dict[str, Any]) -> Any:
    group, _, kind = kind_of(obj)
    return schema_shape(WIDE) if kind == "Wide" else builtin_shape(group, kind)


def stored(obj: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = without_nulls(obj)
    return made if made["kind"] == "Wide" else normalize(*kind_of(made), made)


def without_owners(obj: dict[str, Any]) -> dict[str, Any]:
    return {**obj, "metadata": {key: value for key, value in obj["metadata"].items() if key != "managedFields"}}


def owners(entries: list[dict[str, Any]] | None) -> list[dict[str, Any]]:
    timeless = [{key: value for key, value in entry.items() if key != "time"} for entry in entries or []]
    return sorted(timeless, key=lambda entry: (entry["manager"], entry["operation"], entry.get("subresource", "")))


CASES = recording("apply")


# Steps that the server refused after the merge say nothing about owners.
UPDATES = [case for case in CASES if case["op"] == "update" and case["status"] < 300]
APPLIES = [case for case in CASES if case["op"] == "apply" and case["status"] != 422]


@pytest.mark.parametrize("case", UPDATES, ids=lambda case: case["seq"])
def test_an_update_owns_what_it_changed(case: dict[str, Any]) -> None:
    new = stored(without_owners(case["after"]))
    ours = track_update(
        stored(case["old"]) if case["old"] else None,
        new,
        manager=case["manager"],
        api_version=new["apiVersion"],
        subresource=case["subresource"],
        now=NOW,
        schema=shape_for(new),
    )
    assert owners(ours) == owners(case["after"]["metadata"].get("managedFields"))


@pytest.mark.parametrize("case", APPLIES, ids=lambda case: case["seq"])
def test_an_apply_merges_prunes_and_conflicts_as_on_the_server(case: dict[str, Any]) -> None:
    applied = case["applied"]
    group, version, kind = kind_of(applied)
    has_status = all(found.has_status for found in KINDS if (found.group, found.kind) == (group, kind))
    result = server_side_apply(
        without_nulls(case["live"]) if case["live"] else None,
        applied,
        manager=case["manager"],
        force=case["force"],
        subresource=case["subresource"],
        now=NOW,
        schema=shape_for(applied),
        status_is_separate=has_status,
    )
    after = case["after"]
    if isinstance(result, ApplyConflict):
        assert case["status"] == 409
        assert result.message == after["message"]
        assert list(result.causes) == sorted(after["details"]["causes"], key=list(result.causes).index)
        return
    assert case["status"] < 300
    assert owners(result["metadata"]["managedFields"]) == owners(after["metadata"].get("managedFields"))
    assert differences(plain(completed(result, group, version, kind)), plain(after)) == []


def completed(obj: dict[str, Any], group: str, version: str, kind: str) -> dict[str, Any]:
    if kind == "Wide":
        schema = Structural.compile(WIDE)
        return schema.default(schema.prune(obj)[0])
    return default(group, kind, normalize(group, version, kind, obj))

"""What the operator keeps of what it watches."""

from __future__ import annotations

from typing import Any

from keyless.space.watched import named, unmanaged

OBJECT: dict[str, Any] = {
    "kind": "Deployment",
    "metadata": {
        "name": "vector",
        "namespace": "mxp-1-system",
        "uid": "1",
        "resourceVersion": "7",
        "labels": {"keyless.dev/control-plane-id": "1"},
        "annotations": {"keyless.dev/applied": "1"},
        "managedFields": [{"manager": "spaces-operator"}],
    },
    "spec": {"replicas": 1},
}


def test_of_what_only_wakes_its_names_its_version_and_its_labels_are_kept() -> None:
    assert named(OBJECT) == {
        "metadata": {
            "name": "vector",
            "namespace": "mxp-1-system",
            "uid": "1",
            "resourceVersion": "7",
            "labels": {"keyless.dev/control-plane-id": "1"},
        }
    }
    assert named({"metadata": {"name": "vector"}}) == {"metadata": {"name": "vector"}}


def test_of_a_control_plane_all_is_kept_but_its_managed_fields() -> None:
    kept = unmanaged(OBJECT)
    assert kept["spec"] == {"replicas": 1}
    assert kept["metadata"] == {key: value for key, value in OBJECT["metadata"].items() if key != "managedFields"}
    assert "managedFields" in OBJECT["metadata"]

"""Server-side apply: edges that the recordings do not reach."""

from __future__ import annotations

from typing import Any

from keyless.local.cluster.apply import ApplyConflict, builtin_shape, schema_shape, server_side_apply, track_update
from keyless.local.cluster.apply.entries import MAX_UPDATERS
from keyless.local.cluster.apply.fields import from_fields_v1, to_fields_v1

SHAPE = builtin_shape("", "ConfigMap")
LATER = "2026-01-01T00:00:09Z"


def config(manager_data: dict[str, str], **metadata: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", **metadata}, "data": manager_data}


def updated(
    old: dict[str, Any] | None, new: dict[str, Any], manager: str, now: str = "2026-01-01T00:00:00Z"
) -> dict[str, Any]:
    entries = track_update(old, new, manager=manager, api_version="v1", subresource="", now=now, schema=SHAPE)
    return {**new, "metadata": {**new["metadata"], "managedFields": entries}}


def applied(live: dict[str, Any] | None, obj: dict[str, Any], manager: str, *, force: bool = False) -> Any:
    return server_side_apply(live, obj, manager=manager, force=force, subresource="", now=LATER, schema=SHAPE)


def test_fields_v1_keeps_every_path_both_ways() -> None:
    paths = {
        ("f:data",),
        ("f:data", "f:a"),
        ("f:spec", 'k:{"name":"x"}'),
        ("f:spec", 'k:{"name":"x"}', "f:y"),
        ("f:z", 'v:"q"'),
    }
    assert from_fields_v1(to_fields_v1(paths)) == paths
    assert from_fields_v1({"f:a": 5, "bogus": {}, "f:b": {".": {}}}) == {("f:b",)}


def test_an_update_that_changes_nothing_leaves_entries_and_their_times() -> None:
    first = updated(None, config({"a": "1"}), "one")
    assert (
        updated(first, config({"a": "1"}), "two", LATER)["metadata"]["managedFields"]
        == first["metadata"]["managedFields"]
    )


def test_an_empty_list_of_managed_fields_resets_it() -> None:
    first = updated(None, config({"a": "1"}), "one")
    assert updated(first, config({"a": "2"}, managedFields=[]), "two")["metadata"]["managedFields"] == []


def test_a_caller_may_rewrite_the_entries_as_kubectl_does_when_it_migrates() -> None:
    first = updated(None, config({"a": "1"}), "kubectl-client-side-apply")
    (entry,) = first["metadata"]["managedFields"]
    rewritten = config({"a": "1"}, managedFields=[{**entry, "manager": "kubectl", "operation": "Apply"}])
    assert [found["operation"] for found in updated(first, rewritten, "kubectl")["metadata"]["managedFields"]] == [
        "Apply"
    ]


def test_the_same_apply_again_changes_nothing_at_all() -> None:
    first = applied(None, config({"a": "1"}), "me")
    again = server_side_apply(
        first, config({"a": "1"}), manager="me", force=False, subresource="", now="2027-01-01T00:00:00Z", schema=SHAPE
    )
    assert again == first


def test_an_object_whose_owners_nobody_recorded_belongs_to_before_first_apply() -> None:
    result = applied(config({"a": "1"}), config({"a": "2"}), "me")
    assert isinstance(result, ApplyConflict)
    assert result.message == 'Apply failed with 1 conflict: conflict with "before-first-apply" using v1: .data.a'


def test_kubectl_takes_over_what_its_client_side_apply_wrote() -> None:
    note = '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c"},"data":{"a":"1"}}'
    annotations = {"kubectl.kubernetes.io/last-applied-configuration": note}
    live = updated(None, config({"a": "1"}, annotations=annotations), "kubectl-client-side-apply")
    assert not isinstance(applied(live, config({"a": "2"}), "kubectl"), ApplyConflict)
    assert isinstance(applied(live, config({"a": "2"}), "other"), ApplyConflict)


def test_two_appliers_of_the_same_value_share_it_and_the_last_to_leave_removes_it() -> None:
    both = applied(applied(None, config({"a": "1", "b": "2"}), "one"), config({"a": "1"}), "two")
    left = applied(both, config({"b": "2"}), "one")
    assert left["data"] == {"a": "1", "b": "2"}
    assert applied(left, config({}), "two")["data"] == {"b": "2"}


def test_many_updaters_share_one_entry_at_last() -> None:
    obj = updated(None, config({"start": "0"}), "m")
    for index in range(15):
        new = config({**obj["data"], f"k{index}": "1"})
        obj = updated(obj, new, f"m{index}", f"2026-01-01T00:00:{index:02}Z")
    entries = obj["metadata"]["managedFields"]
    assert len(entries) == MAX_UPDATERS
    assert sum(entry["manager"] == "ancient-changes" for entry in entries) == 1


def test_a_custom_resource_merges_by_its_list_types() -> None:
    item = {"type": "object", "properties": {"name": {"type": "string"}, "v": {"type": "integer"}}}
    schema = {
        "type": "object",
        "properties": {
            "spec": {
                "type": "object",
                "properties": {
                    "m": {
                        "type": "array",
                        "x-kubernetes-list-type": "map",
                        "x-kubernetes-list-map-keys": ["name"],
                        "items": item,
                    },
                    "s": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
                    "o": {
                        "type": "object",
                        "x-kubernetes-map-type": "atomic",
                        "additionalProperties": {"type": "string"},
                    },
                },
            }
        },
    }
    shape = schema_shape(schema)

    def apply(live: Any, spec: dict[str, Any], manager: str) -> Any:
        obj = {"apiVersion": "e/v1", "kind": "Foo", "metadata": {"name": "f"}, "spec": spec}
        return server_side_apply(live, obj, manager=manager, force=True, subresource="", now=LATER, schema=shape)

    first = apply(None, {"m": [{"name": "a", "v": 1}], "s": ["x"], "o": {"p": "1"}}, "one")
    second = apply(first, {"m": [{"name": "b"}, {"name": "a"}], "s": ["y"], "o": {"q": "1"}}, "two")
    assert second["spec"] == {"m": [{"name": "b"}, {"name": "a", "v": 1}], "s": ["x", "y"], "o": {"q": "1"}}

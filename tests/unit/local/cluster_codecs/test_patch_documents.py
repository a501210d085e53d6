"""JSON patches and merge patches (strategic ones are held against recordings)."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyless.local.cluster.patches import PatchError, json_patch, merge_patch, strategic_patch

OBJECT: dict[str, Any] = {"a": {"b": [1, 2, 3], "c~d": {"e/f": "g"}}, "n": None, "t": True}


@pytest.mark.parametrize(
    ("operation", "path", "expected"),
    [
        ({"op": "add", "path": "/a/b/1", "value": 9}, ("a", "b"), [1, 9, 2, 3]),
        ({"op": "add", "path": "/a/b/-", "value": 9}, ("a", "b"), [1, 2, 3, 9]),
        ({"op": "add", "path": "/a/x", "value": {}}, ("a", "x"), {}),
        ({"op": "remove", "path": "/a/b/0"}, ("a", "b"), [2, 3]),
        ({"op": "replace", "path": "/a/c~0d/e~1f", "value": "h"}, ("a", "c~d"), {"e/f": "h"}),
        ({"op": "move", "from": "/a/b/0", "path": "/m"}, ("m",), 1),
        ({"op": "copy", "from": "/a/b", "path": "/a/b2"}, ("a", "b2"), [1, 2, 3]),
        ({"op": "test", "path": "/a/b/2", "value": 3}, ("t",), True),
        ({"op": "test", "path": "/missing", "value": None}, ("t",), True),
        ({"op": "add", "path": "", "value": {"new": 1}}, ("new",), 1),
    ],
)
def test_an_operation_does_what_rfc_6902_says(operation: dict[str, Any], path: tuple[str, ...], expected: Any) -> None:
    before = copy.deepcopy(OBJECT)
    found: Any = json_patch(OBJECT, [operation])
    for step in path:
        found = found[step]
    assert found == expected
    assert before == OBJECT


@pytest.mark.parametrize(
    ("operations", "code"),
    [
        ({"op": "add"}, 400),
        (["add"], 400),
        ([{"op": "bogus", "path": "/a"}], 400),
        ([{"op": "add", "path": "/a/b/9", "value": 1}], 422),
        ([{"op": "add", "path": "/x/y", "value": 1}], 422),
        ([{"op": "remove", "path": "/x"}], 422),
        ([{"op": "remove", "path": ""}], 422),
        ([{"op": "replace", "path": "/x", "value": 1}], 422),
        ([{"op": "add", "path": "/x"}], 422),
        ([{"op": "add", "path": "x", "value": 1}], 422),
        ([{"op": "test", "path": "/t", "value": 1}], 422),
        ([{"op": "test", "path": "/a/b", "value": [1, 2]}], 422),
        ([{"op": "move", "from": "/a", "path": "/a/b"}], 422),
        ([{"op": "copy", "path": "/a"}], 422),
        ([{"op": "add", "path": "/a/b/01", "value": 1}], 422),
        ([{"op": "replace", "path": "", "value": []}], 422),
        ([{"op": "test", "path": "/n", "value": None}] * 10_001, 413),
    ],
)
def test_a_patch_that_cannot_be_applied_says_why(operations: Any, code: int) -> None:
    with pytest.raises(PatchError) as refusal:
        json_patch(OBJECT, operations)
    assert refusal.value.code == code


def test_a_failed_test_reads_as_the_api_server_s() -> None:
    with pytest.raises(PatchError, match="testing value /t failed: test failed"):
        json_patch(OBJECT, [{"op": "test", "path": "/t", "value": False}])


@pytest.mark.parametrize(
    ("patch", "expected"),
    [
        ({"t": None}, {"a": OBJECT["a"], "n": None}),
        ({"a": {"b": [], "x": {"y": None, "z": 1}}}, {**OBJECT, "a": {**OBJECT["a"], "b": [], "x": {"z": 1}}}),
        ({"a": "text"}, {**OBJECT, "a": "text"}),
    ],
)
def test_a_merge_patch_does_what_rfc_7386_says(patch: Any, expected: Any) -> None:
    assert merge_patch(OBJECT, patch) == expected


def test_a_merge_patch_is_an_object() -> None:
    with pytest.raises(PatchError):
        merge_patch(OBJECT, [1])


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(0, 3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab$"), inner, max_size=3),
    max_leaves=6,
)


@given(VALUES)
@settings(max_examples=150, deadline=None)
def test_any_patch_is_applied_or_refused(patch: Any) -> None:
    for apply in (
        lambda: json_patch(OBJECT, patch),
        lambda: strategic_patch({"spec": {"containers": []}}, patch, group="", kind="Pod"),
    ):
        try:
            assert isinstance(apply(), dict)
        except PatchError:
            continue


def test_a_custom_kind_has_no_strategic_patch() -> None:
    with pytest.raises(PatchError) as refusal:
        strategic_patch({}, {}, group="example.com", kind="Foo")
    assert refusal.value.code == 415

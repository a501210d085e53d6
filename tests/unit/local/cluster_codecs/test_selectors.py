"""Label and field selectors."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyless.local.cluster.faults import Malformed
from keyless.local.cluster.selectors import FieldSelector, LabelSelector, selectable_fields

LABELS = {"app": "vector", "tier": "back", "n": "5", "example.com/x": ""}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "app",
        "!other",
        "app=vector",
        "app==vector,tier=back",
        "app!=x",
        "other!=x",
        "app in (a, vector)",
        "app notin (a,b)",
        "other notin (a)",
        "example.com/x=",
        "n>4,n<6",
        " app = vector , tier in ( back ) ",
    ],
)
def test_a_label_selector_that_matches(text: str) -> None:
    assert LabelSelector.parse(text).matches(LABELS)


@pytest.mark.parametrize("text", ["other", "!app", "app=x", "app!=vector", "app in (a)", "app notin (vector)", "n>5"])
def test_a_label_selector_that_does_not_match(text: str) -> None:
    assert not LabelSelector.parse(text).matches(LABELS)


@pytest.mark.parametrize("text", ["=x", "a=b=c", "a in b", "a in (b", "a,", "a b", "-a=b", "a=b/c", "a/b/c"])
def test_a_malformed_label_selector_is_refused(text: str) -> None:
    with pytest.raises(Malformed):
        LabelSelector.parse(text)


@given(st.text(alphabet="ab=!(),<> in", max_size=20))
@settings(max_examples=150, deadline=None)
def test_any_text_is_a_selector_or_malformed(text: str) -> None:
    try:
        LabelSelector.parse(text).matches(LABELS)
    except Malformed:
        return


def test_no_selector_object_selects_nothing_and_an_empty_one_everything() -> None:
    assert not LabelSelector.from_object(None).matches(LABELS)
    assert LabelSelector.from_object({}).matches(None)


def test_expressions_of_a_selector_object_all_hold() -> None:
    selector = {
        "matchLabels": {"app": "vector"},
        "matchExpressions": [
            {"key": "tier", "operator": "In", "values": ["back"]},
            {"key": "z", "operator": "DoesNotExist"},
        ],
    }
    assert LabelSelector.from_object(selector).matches(LABELS)
    with pytest.raises(Malformed, match="not a valid label selector operator"):
        LabelSelector.from_object({"matchExpressions": [{"key": "a", "operator": "Near"}]})


POD = {"metadata": {"name": "p", "namespace": "n"}, "spec": {"nodeName": "local-node"}, "status": {"phase": "Running"}}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("metadata.name=p,status.phase!=Pending", True),
        ("spec.nodeName==local-node", True),
        ("status.phase=Pending", False),
        ("spec.hostNetwork=false", True),
        ("", True),
    ],
)
def test_a_field_selector_compares_text(text: str, expected: bool) -> None:
    assert FieldSelector.parse(text, selectable_fields("", "pods")).matches(POD) is expected


def test_a_field_that_cannot_be_selected_is_named() -> None:
    with pytest.raises(Malformed, match=r"field label not supported: spec\.bogus"):
        FieldSelector.parse("spec.bogus=1", selectable_fields("", "pods"))
    with pytest.raises(Malformed, match="can't understand 'bogus'"):
        FieldSelector.parse("bogus", selectable_fields("", "pods"))


def test_a_selector_by_name_says_so_that_it_can_be_looked_up() -> None:
    allowed = selectable_fields("example.com", "foos", [".spec.colour"])
    assert FieldSelector.parse("metadata.name=a\\,b,spec.colour=red", allowed).name == "a,b"
    assert FieldSelector.parse("metadata.name!=a", allowed).name is None

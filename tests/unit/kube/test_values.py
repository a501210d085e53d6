"""Conditions, selectors, events and paths: pure rules."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from keyless.kube import record, set_condition
from keyless.kube.events import MESSAGE_LIMIT
from keyless.kube.memory import MemoryKube
from keyless.kube.resources import CONFIGMAPS, DEPLOYMENTS, EVENTS, NAMESPACES
from keyless.kube.selectors import matches, matches_text

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
LATER = NOON + timedelta(hours=1)


def test_a_condition_moves_its_time_only_with_its_status():
    first = set_condition(None, "Ready", False, "Starting", "not yet", now=NOON, observed_generation=3)
    same = set_condition(first, "Ready", False, "Waiting", "still not", now=LATER)
    turned = set_condition(same, "Ready", True, "Up", "", now=LATER)
    assert [c[0]["lastTransitionTime"] for c in (first, same, turned)] == [
        "2026-01-01T12:00:00Z",
        "2026-01-01T12:00:00Z",
        "2026-01-01T13:00:00Z",
    ]
    assert first[0]["observedGeneration"] == 3
    assert same[0]["reason"] == "Waiting"


def test_setting_a_condition_leaves_the_others_and_the_given_list_alone():
    given = [{"type": "A", "status": "True"}, {"type": "B", "status": "True"}]
    result = set_condition(given, "B", False, "Gone", "", now=NOON)
    assert result[0] is given[0]
    assert given[1] == {"type": "B", "status": "True"}
    assert [c["type"] for c in set_condition(given, "C", True, "New", "", now=NOON)] == ["A", "B", "C"]


@pytest.mark.parametrize(
    ("selector", "holds"),
    [
        ("", True),
        ("app=web", True),
        ("app==web,tier!=back", True),
        ("tier!=front", False),
        ("app in (web, db)", True),
        ("app notin (web)", False),
        ("missing notin (x)", True),
        ("app,!missing", True),
        ("missing", False),
    ],
)
def test_textual_selectors_choose_as_kubectl_does(selector, holds):
    assert matches_text(selector, {"app": "web", "tier": "front"}) is holds


def test_a_malformed_selector_is_refused():
    with pytest.raises(ValueError, match="unable to parse requirement"):
        matches_text("a in b", {})


def test_an_absent_selector_selects_nothing_and_an_empty_one_everything():
    assert not matches(None, {"a": "b"})
    assert matches({}, None)
    assert not matches({"matchLabels": {"a": "c"}}, {"a": "b"})
    for operator, values, holds in (("In", ["b"], True), ("NotIn", ["b"], False), ("Exists", [], True)):
        assert (
            matches({"matchExpressions": [{"key": "a", "operator": operator, "values": values}]}, {"a": "b"}) is holds
        )
    assert matches({"matchExpressions": [{"key": "z", "operator": "DoesNotExist"}]}, {"a": "b"})


def test_paths_name_group_namespace_and_subresource():
    assert DEPLOYMENTS.path("default", "web", "status") == "/apis/apps/v1/namespaces/default/deployments/web/status"
    assert CONFIGMAPS.path() == "/api/v1/configmaps"
    assert NAMESPACES.path("ignored", "team") == "/api/v1/namespaces/team"


async def test_a_repeated_event_is_counted_in_one_object_and_long_messages_are_cut():
    kube = MemoryKube()
    pod = {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "web", "namespace": "default", "uid": "u"}}
    for _ in range(3):
        await record(kube, pod, type="Warning", reason="Failed", message="x" * 5000, component="node")
    [event] = (await kube.list(EVENTS, "default")).items
    assert event["count"] == 3
    assert len(event["message"]) == MESSAGE_LIMIT
    assert event["involvedObject"]["uid"] == "u"

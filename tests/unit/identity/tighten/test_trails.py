"""Which parts of a document are events of CloudTrail; what the others are is told by kind, and nothing is lost."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzzing import effort
from keyless.identity.tighten import event_of, events_of, of_trail

ROLE = {"type": "AssumedRole", "sessionContext": {"sessionIssuer": {"userName": "billing"}}}
EVENT: dict[str, Any] = {
    "eventSource": "s3.amazonaws.com",
    "eventName": "PutObject",
    "eventTime": "2026-11-22T07:00:00Z",
    "userIdentity": ROLE,
    "resources": [{"ARN": "arn:aws:s3:::usage/a"}],
}
WITHOUT = {name: {key: value for key, value in EVENT.items() if key != name} for name in EVENT}
NO_EVENTS = [
    (None, "a JSON null"),
    (3, "a JSON number"),
    (True, "a JSON boolean"),
    ("text", "a JSON text"),
    ([], "a JSON list"),
    ({}, "an object without eventTime"),
    ({"digestStartTime": "2026-11-22T07:00:00Z", "logFiles": []}, "a digest file"),
    ({**WITHOUT["eventName"], "eventCategory": "Insight"}, "an Insights event"),
    (WITHOUT["eventTime"], "an object without eventTime"),
    (WITHOUT["eventSource"], "an object without eventSource"),
    (WITHOUT["eventName"], "an object without eventName"),
    (WITHOUT["userIdentity"], "an event without userIdentity"),
    ({**EVENT, "userIdentity": None}, "an event without userIdentity"),
    ({**EVENT, "userIdentity": "AIDA"}, "an event without userIdentity"),
    ({**EVENT, "userIdentity": {"sessionContext": "x"}}, "an event whose sessionContext"),
    ({**EVENT, "userIdentity": {"sessionContext": {"sessionIssuer": ["x"]}}}, "an event whose sessionContext"),
    ({**EVENT, "userIdentity": {"sessionContext": {"sessionIssuer": {"userName": 3}}}}, "an event whose sessionIssuer"),
    ({**EVENT, "resources": "arn:aws:s3:::usage"}, "an event whose resources"),
    ({**EVENT, "resources": ["arn:aws:s3:::usage"]}, "an event whose resources"),
    ({**EVENT, "resources": [{"ARN": 3}]}, "an event whose resources"),
    ({**EVENT, "eventTime": "yesterday"}, "an event whose eventTime"),
    ({**EVENT, "eventTime": "0001-01-01T00:00:00+14:00"}, "an event whose eventTime"),
    ({**EVENT, "eventName": "Put*"}, "an event whose eventSource and eventName"),
    ({**EVENT, "additionalEventData": {"keyless": {"action": "s3:*"}}}, "an event whose eventSource and eventName"),
]


@pytest.mark.parametrize(("document", "kind"), NO_EVENTS)
def test_what_is_no_event_is_told_by_its_kind(document: object, kind: str) -> None:
    found = event_of(document)
    assert isinstance(found, str)
    assert found.startswith(kind)


@pytest.mark.parametrize(
    "document",
    [
        EVENT,
        [EVENT],
        {"Records": [EVENT]},
        {"Events": [{"EventId": "1", "CloudTrailEvent": json.dumps(EVENT)}], "NextToken": "t"},
        {**EVENT, "eventTime": "2026-11-22T08:00:00+01:00"},
        {**EVENT, "eventTime": "2026-11-22 07:00:00.250"},
    ],
)
def test_an_event_is_found_in_each_form(document: object) -> None:
    assert list(events_of(document)) == [EVENT]


@pytest.mark.parametrize("text", [None, "no json", "[" * 100_000, "3"])
def test_a_looked_up_event_that_is_no_event_is_skipped(text: object) -> None:
    (found,) = events_of({"Events": [{"CloudTrailEvent": text}]})
    assert isinstance(found, str)


@pytest.mark.parametrize("absent", [None, {}])
def test_sections_that_are_null_or_empty_are_absent(absent: object) -> None:
    by_service = {**EVENT, "userIdentity": {"sessionContext": absent}, "resources": None, "additionalEventData": None}
    found = event_of(by_service)
    assert isinstance(found, dict)
    assert list(of_trail(found)) == []


ODD = [None, True, 3, 1.5, "", "x", "*", "arn:aws:s3:::usage/*", [], {}, [3], ["x"], [{}], [{"ARN": 3}], {"x": {}}]
JSON = st.sampled_from(ODD)
FIELDS = st.sampled_from([*EVENT, "additionalEventData", "requestParameters", "errorCode", "eventCategory", "Records"])
PATHS = st.lists(st.sampled_from(["sessionContext", "sessionIssuer", "userName", "keyless", "action", "secretId"]))


def planted(path: list[str], value: object) -> object:
    for name in reversed(path):
        value = {name: value}
    return value


@effort(60)
@given(st.dictionaries(FIELDS, JSON | st.builds(planted, PATHS, JSON), max_size=3))
def test_whatever_a_field_holds_it_is_an_event_with_calls_or_a_kind(changed: dict[str, object]) -> None:
    for found in events_of({**EVENT, **changed}):
        assert found
        if isinstance(found, dict):
            for call in of_trail(found):
                assert call.role
                assert "*" not in call.action


@effort(60)
@given(st.lists(st.sampled_from([EVENT, *(document for document, _ in NO_EVENTS)]), max_size=6))
def test_each_part_of_a_list_is_an_event_or_counted(parts: list[object]) -> None:
    found = list(events_of({"Records": parts}))
    assert len(found) == len(parts)
    assert sum(isinstance(one, dict) for one in found) == sum(part == EVENT for part in parts)

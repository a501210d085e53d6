"""Which parts of a JSON document are events of CloudTrail, and what the others are. Pure.

Events come as CloudTrail stores them (``Records``), as ``aws cloudtrail lookup-events`` answers them (``Events``, each
with its event as a text), as a list, or one by one. What is none is told by its kind, never by what it holds.
Shape: https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

Event = dict[str, Any]
"""An event whose fields have the shapes that CloudTrail gives them."""

# A name of an action as policies spell them: with a star in it a call would be taken for a pattern.
_ACTION = re.compile(r"[A-Za-z0-9-]{1,64}:[A-Za-z0-9_]{1,128}")
_TEXTS = ("eventTime", "eventSource", "eventName")


def events_of(document: object) -> Iterator[Event | str]:
    """Each event, and for each other part what it is, in words that can be counted (``… of another kind``)."""
    if isinstance(document, list):
        for each in document:
            yield event_of(each)
    elif isinstance(document, dict) and isinstance(document.get("Records"), list):
        for each in document["Records"]:
            yield event_of(each)
    elif isinstance(document, dict) and isinstance(document.get("Events"), list):
        for each in document["Events"]:
            yield event_of(_looked_up(each))
    else:
        yield event_of(document)


def event_of(found: object) -> Event | str:
    """``found`` with its time in UTC to the second, or what it is instead of an event."""
    if not isinstance(found, dict):
        return f"a JSON {_KINDS.get(type(found), 'value')}"
    if "digestStartTime" in found or "logFiles" in found:
        return "a digest file, which names CloudTrail's files and holds no event"
    if found.get("eventCategory") == "Insight" or "insightDetails" in found:
        return "an Insights event, which is no call"
    for name in _TEXTS:
        if not isinstance(found.get(name), str) or not found[name]:
            return f"an object without {name}"
    if not isinstance(found.get("userIdentity"), dict):
        return "an event without userIdentity, which tells nobody's call"
    time = _in_utc(found["eventTime"])
    if time is None:
        return "an event whose eventTime is no time in ISO 8601"
    return _misshapen(found) or {**found, "eventTime": time}


def is_call_lost(what: str) -> bool:
    """Whether what was skipped may have been a call: then an action that seems unused may have been used."""
    return what.startswith("an event ")


def _misshapen(event: Mapping[str, Any]) -> str:
    context = event["userIdentity"].get("sessionContext")
    issuer = context.get("sessionIssuer") if isinstance(context, dict) else None
    # A null section counts as absent: CloudTrail writes both.
    if not isinstance(context, dict | None) or not isinstance(issuer, dict | None):
        return "an event whose sessionContext is no object with a sessionIssuer"
    name = (issuer or {}).get("userName")
    if not isinstance(name, str | None):
        return "an event whose sessionIssuer has a userName that is no text"
    resources = event.get("resources")
    listed = resources if isinstance(resources, list) else []
    if not isinstance(resources, list | None) or not all(_is_resource(one) for one in listed):
        return "an event whose resources are no list of objects with an ARN"
    named = f"{event['eventSource'].partition('.')[0]}:{event['eventName']}"
    if name and not (_ACTION.fullmatch(named) and _ACTION.fullmatch(told_action(event) or named)):
        return "an event whose eventSource and eventName make no action of a policy"
    return ""


def told_action(event: Mapping[str, Any]) -> str:
    """The permission that the local cloud names beside its own events; AWS's have none."""
    told: object = event.get("additionalEventData")
    for key in ("keyless", "action"):
        told = told.get(key) if isinstance(told, dict) else None
    return told if isinstance(told, str) else ""


def _is_resource(one: object) -> bool:
    return isinstance(one, dict) and isinstance(one.get("ARN"), str | None)


def _looked_up(found: object) -> object:
    text = found.get("CloudTrailEvent") if isinstance(found, dict) else None
    if not isinstance(text, str):
        return found
    try:
        return json.loads(text)
    except (ValueError, RecursionError):  # as deep as it is long is no event either
        return None


def _in_utc(text: str) -> str | None:
    try:
        time = datetime.fromisoformat(text)
        return time.replace(tzinfo=time.tzinfo or UTC).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError):  # the year 1 at +14:00 has no UTC
        return None


_KINDS = {str: "text", bool: "boolean", int: "number", float: "number", list: "list", type(None): "null"}

"""Answers of an API server, or of whatever stands in its place, as what we may rely on. Pure.

A proxy's page, a JSON text that was cut off, an object without metadata: none of them is an answer. All end as
``Unreachable``, so that the caller tries again and nothing further in has to doubt the shape of what it is given.
Bodies are never quoted: what is broken may be a Secret.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

import orjson

from keyless.kube.errors import Unreachable, error_of, failure_status
from keyless.kube.model import Event, EventType, TokenStatus
from keyless.kube.resources import KubeObject, Resource

_EVENTS = ("ADDED", "MODIFIED", "DELETED", "BOOKMARK")


def object_of(body: bytes, subject: str) -> KubeObject:
    """A JSON object."""
    try:
        parsed = orjson.loads(body)
    except ValueError:
        raise _no_answer(subject, "a text that is no JSON (a proxy's page, or an answer that was cut off)") from None
    if not isinstance(parsed, dict):
        raise _no_answer(subject, f"a JSON {type(parsed).__name__}")
    return parsed


def stored_of(body: bytes, subject: str) -> KubeObject:
    """A stored object: it has metadata with a name."""
    obj = object_of(body, subject)
    if not _is_named(obj):
        raise _no_answer(subject, "an object without metadata.name")
    return obj


def chunk_of(res: Resource, body: bytes, subject: str) -> tuple[list[KubeObject], str, str]:
    """One chunk of a list: its items, the token that continues it, and its resourceVersion."""
    answer = object_of(body, subject)
    items, metadata = answer.get("items") or [], answer.get("metadata") or {}
    if not isinstance(items, list) or not isinstance(metadata, dict) or not all(_is_named(item) for item in items):
        raise _no_answer(subject, "a list whose items are no objects with metadata.name")
    token, version = metadata.get("continue") or "", metadata.get("resourceVersion") or ""
    return [named(res, item) for item in items], str(token), str(version)


def event_of(res: Resource, line: bytes, subject: str) -> Event:
    """One line of a watch; its ERROR is raised. A line that was cut off counts as the end of the connection."""
    try:
        parsed = orjson.loads(line)
        kind, obj = parsed["type"], parsed["object"]
    except (ValueError, KeyError, TypeError):
        raise Unreachable(failure_status(0, "", f"{subject}: the stream broke inside an event")) from None
    if kind == "ERROR":
        raise error_of(obj if isinstance(obj, dict) else {})
    shaped = isinstance(obj, dict) and isinstance(obj.get("metadata"), dict)
    if kind not in _EVENTS or not shaped or not (kind == "BOOKMARK" or _is_named(obj)):
        raise _no_answer(subject, "an event without an object that has metadata.name")
    return Event(cast(EventType, kind), named(res, obj))


def token_of(answer: KubeObject, subject: str) -> TokenStatus:
    """The status of a TokenRequest."""
    try:
        token, expires = answer["status"]["token"], datetime.fromisoformat(answer["status"]["expirationTimestamp"])
        if not isinstance(token, str) or not token:
            raise TypeError
    except (KeyError, TypeError, ValueError):
        raise _no_answer(subject, "a TokenRequest without status.token and status.expirationTimestamp") from None
    return TokenStatus(token, expires.replace(tzinfo=expires.tzinfo or UTC))


def named(res: Resource, item: KubeObject) -> KubeObject:
    """List items carry no type, partial ones a type that names nothing: give them their own."""
    return {**item, "apiVersion": res.api_version, "kind": res.kind}


def _is_named(obj: Any) -> bool:
    """Whether ``obj`` has what every stored object has. A null section counts as absent, as Kubernetes reads it."""
    if not isinstance(obj, dict):
        return False
    metadata = obj.get("metadata")
    # Spelled out: it is asked of every event of every watch, and what orjson makes is a dict or is none.
    return (
        isinstance(metadata, dict)
        and isinstance(metadata.get("name"), str)
        and isinstance(metadata.get("labels") or {}, dict)
        and isinstance(metadata.get("annotations") or {}, dict)
        and isinstance(obj.get("spec") or {}, dict)
        and isinstance(obj.get("status") or {}, dict)
    )


def _no_answer(subject: str, found: str) -> Unreachable:
    return Unreachable(failure_status(0, "", f"{subject}: expected an answer of Kubernetes, found {found}"))

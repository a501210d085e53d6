"""Events: the short stories that ``kubectl describe`` tells about an object.

One event per (object, reason, message): a repetition raises its count, so a loop that fails for hours leaves one line.

Shape: https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/ (legacy core form)
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Literal

from keyless.kube.conditions import timestamp
from keyless.kube.errors import AlreadyExists
from keyless.kube.kube import Kube
from keyless.kube.resources import EVENTS, KubeObject

MESSAGE_LIMIT = 1024
"""The API server refuses longer messages."""

EventLevel = Literal["Normal", "Warning"]


async def record(
    kube: Kube,
    involved: KubeObject,
    *,
    type: EventLevel,  # noqa: A002 - the field's name in the API
    reason: str,
    message: str,
    component: str,
) -> None:
    """Tell that something happened to ``involved``. Never pass a secret value in ``message``."""
    event = event_for(involved, level=type, reason=reason, message=message, component=component, now=datetime.now(UTC))
    namespace = event["metadata"]["namespace"]
    try:
        await kube.create(EVENTS, event, namespace)
    except AlreadyExists:
        name = event["metadata"]["name"]
        known = await kube.get(EVENTS, name, namespace)
        again = {"count": int(known.get("count") or 1) + 1, "lastTimestamp": event["lastTimestamp"]}
        await kube.patch(EVENTS, name, again, namespace)


def event_for(
    involved: KubeObject, *, level: EventLevel, reason: str, message: str, component: str, now: datetime
) -> KubeObject:
    """The Event object. Pure; its name is derived from what it says, so that a repetition finds it."""
    metadata = involved["metadata"]
    text = message[:MESSAGE_LIMIT]
    story = "\0".join((metadata.get("uid", ""), level, reason, text, component))
    digest = hashlib.sha256(story.encode()).hexdigest()[:16]
    return {
        "apiVersion": EVENTS.api_version,
        "kind": EVENTS.kind,
        "metadata": {
            "name": f"{metadata['name']}.{digest}",
            "namespace": metadata.get("namespace") or "default",
        },
        "involvedObject": {
            "apiVersion": involved.get("apiVersion", ""),
            "kind": involved.get("kind", ""),
            "name": metadata["name"],
            "uid": metadata.get("uid", ""),
            **({"namespace": metadata["namespace"]} if metadata.get("namespace") else {}),
            **({"resourceVersion": metadata["resourceVersion"]} if metadata.get("resourceVersion") else {}),
        },
        "type": level,
        "reason": reason,
        "message": text,
        "source": {"component": component},
        "reportingComponent": component,
        "reportingInstance": "",
        "firstTimestamp": timestamp(now),
        "lastTimestamp": timestamp(now),
        "count": 1,
    }

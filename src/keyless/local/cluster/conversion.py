"""Asks a definition's conversion webhook where a stored object has another version than the caller names.

Whether it can be reached, and agrees, decides the request, as in Kubernetes: else it fails with 500, for this one kind.
What the webhook makes of the object is not used: versions differ by their name alone here, on the way in and on the way
out (docs/reference/kubernetes-differences.md). Spec:
https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definition-versioning/
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import orjson

from keyless.local.cluster.admission.caller import Unreachable, WebhookCaller
from keyless.local.cluster.objects import Object, Target
from keyless.local.cluster.status import ApiError
from keyless.local.cluster.store import Store

TIMEOUT_SECONDS = 30.0
_INCOMING = frozenset({"create", "update", "patch"})
MOST_OBJECTS = 100
"""One question's size; a webhook that answers for these answers for the rest."""


async def must_convert(store: Store, caller: WebhookCaller, target: Target, verb: str) -> None:
    """Raise a 500 where the webhook would be needed and does not answer."""
    custom = target.served.custom
    if custom is None or custom.conversion is None:
        return
    waiting = [] if verb == "create" else _stored_otherwise(store, target)
    if waiting:
        await _ask(caller, custom.conversion, waiting, target.served.api_version)
    elif verb in _INCOMING and target.served.api_version != target.served.stored_api_version:
        # What comes in is stored in another version than it came in.
        coming = {"apiVersion": target.served.api_version, "kind": target.served.kind, "metadata": {}}
        await _ask(caller, custom.conversion, [coming], target.served.stored_api_version)


def _stored_otherwise(store: Store, target: Target) -> list[Object]:
    served = target.served
    if target.name:
        entry = store.get(replace(target, subresource="").key)
        entries = [entry] if entry is not None else []
    else:
        entries = store.list(target.cluster, served.group, served.plural, target.namespace or None)
    differing = (entry.object for entry in entries if entry.object["apiVersion"] != served.api_version)
    return [obj for obj, _ in zip(differing, range(MOST_OBJECTS), strict=False)]


async def _ask(caller: WebhookCaller, webhook: Mapping[str, Any], objects: list[Object], desired: str) -> None:
    uid = str(uuid.uuid4())
    body = {
        "kind": "ConversionReview",
        "apiVersion": "apiextensions.k8s.io/v1",
        "request": {"uid": uid, "desiredAPIVersion": desired, "objects": objects},
    }
    try:
        fault = _fault_untrusted(uid, len(objects), await caller.post(webhook, body, TIMEOUT_SECONDS))
    except Unreachable as error:
        fault = str(error)
    if fault:
        what = f"{objects[0]['apiVersion']}, Kind={objects[0]['kind']}"
        raise ApiError(500, "", f"conversion webhook for {what} failed: {fault}")


def _fault_untrusted(uid: str, count: int, body: bytes) -> str:
    """What is wrong with an answer; empty for a good one."""
    try:
        response = orjson.loads(body)["response"]
        result = response.get("result") or {}
        if response.get("uid") != uid:
            return "the answer's response.uid is not the question's"
        if result.get("status") != "Success":
            return str(result.get("message") or "the webhook refused without a message")[:1000]
        if len(response.get("convertedObjects") or ()) != count:
            return f"expected {count} converted objects, found {len(response.get('convertedObjects') or ())}"
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        return "the answer is no ConversionReview of version apiextensions.k8s.io/v1"
    return ""
